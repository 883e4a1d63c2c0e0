//! A store of objects that several hosts share: reads, and writes with a condition.
//!
//! What is asked of it: a write with a condition happens only if the condition holds at that instant, of two
//! at once one wins, and a read sees every write that was answered. S3 promises that, and what speaks S3
//! mostly keeps it; `vault fleet check` tries it by races.
//!
//! Nothing is repeated here: a repeated `If-None-Match` is refused over its own first try, whose answer was
//! lost. Whoever wrote reads again and looks whether it is theirs.

pub mod check;
mod location;
#[cfg(test)]
pub mod testing;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;

pub use location::{Location, Shared};

/// The version of an object as the store names it, in the form that it gave, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

/// When a write happens.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// If there is no object of that name (`If-None-Match: *`).
    Absent,
    /// If the object is still this version (`If-Match`).
    Is(&'a ETag),
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub struct Object {
    /// What is in it.
    pub body: Vec<u8>,
    /// Its version.
    pub etag: ETag,
    /// When it was written, by the store's clock (`Last-Modified`), in whole seconds.
    pub modified: Option<Timestamp>,
}

/// The answer to a read.
#[derive(Clone, Debug)]
pub enum Read {
    /// The object.
    Found(Object),
    /// It is still the version that the reader knows.
    Unchanged,
    /// There is none.
    Missing,
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It happened; the object's new version.
    Done(ETag),
    /// The condition did not hold.
    Refused,
    /// Somebody else was writing; the store wants to be asked again (409).
    Again,
}

/// An answer, and the store's time in it (`Date`).
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What was answered.
    pub what: T,
    /// When, by the store's clock.
    pub date: Option<Timestamp>,
}

/// Why there is no answer to go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// A write may have happened, or may yet: its answer was lost, or the store failed over it (5xx).
    Unknown(String),
    /// It did not happen: no connection, no right, another region, another answer that decides it. The
    /// text is what to tell the user.
    Failed {
        /// What happened.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// A store of objects under one prefix.
pub trait Store: Sync {
    /// Reads an object; `known` is the version that need not be sent again. For who waits no longer than
    /// `within`; a store that waits for nobody has no use for it.
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        within: Duration,
    ) -> Result<Answer<Read>, StoreError>;

    /// Writes an object if a condition holds. Sent once. `within` as for [`Store::read_within`].
    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        within: Duration,
    ) -> Result<Answer<Written>, StoreError>;

    /// [`Store::read_within`] the store's own limits.
    fn read(&self, name: &str, known: Option<&ETag>) -> Result<Answer<Read>, StoreError> {
        self.read_within(name, known, Duration::MAX)
    }

    /// [`Store::write_within`] the store's own limits.
    fn write(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
    ) -> Result<Answer<Written>, StoreError> {
        self.write_within(name, body, condition, Duration::MAX)
    }
}

/// What a command says of it: class 9.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(what) => Self::aws(what),
            StoreError::Failed { what, hint } => Self { hint, ..Self::aws(what) },
        }
    }
}
