//! A store of objects that several hosts share: reads, and writes with a condition.
//!
//! The store must be consistent: a write happens only if its condition holds at that instant, of two writes
//! at once one wins, and a read sees every write that was answered. S3 promises that, and most of its
//! imitations keep it; `vault fleet check` tests it by races.
//!
//! No request is repeated here: after a lost response, a repeated `If-None-Match` would be refused because of
//! the first. The writer reads again and compares.

pub mod check;
mod location;
#[cfg(test)]
pub mod testing;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;

pub use location::{Location, Shared};

/// The version of an object, in the form that the store gave, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

/// The condition of a write.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// There is no object of that name (`If-None-Match: *`).
    Absent,
    /// The object is still this version (`If-Match`).
    Is(&'a ETag),
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub struct Object {
    pub body: Vec<u8>,
    pub etag: ETag,
    /// When it was written, by the store's clock (`Last-Modified`), in whole seconds.
    pub modified: Option<Timestamp>,
}

/// The answer to a read.
#[derive(Clone, Debug)]
pub enum Read {
    Found(Object),
    /// It is still the version that the reader knows.
    Unchanged,
    Missing,
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It happened; the object's new version.
    Done(ETag),
    /// The condition did not hold.
    Refused,
    /// Another writer was writing, and the write is to be repeated (409).
    Again,
}

/// An answer, and the store's time in it (`Date`).
#[derive(Clone, Debug)]
pub struct Answer<T> {
    pub what: T,
    pub date: Option<Timestamp>,
}

/// Why there is no answer, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// A write may have happened, or may yet: its response was lost, or the store failed (5xx).
    Unknown(String),
    /// It did not happen: no connection, no permission, another region.
    Failed { what: String, hint: Option<String> },
}

/// A store of objects under one prefix.
pub trait Store: Sync {
    /// Reads an object within a time; `known` is the version that need not be sent again.
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        within: Duration,
    ) -> Result<Answer<Read>, StoreError>;

    /// Writes an object within a time if a condition holds. Sent once.
    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        within: Duration,
    ) -> Result<Answer<Written>, StoreError>;

    /// [`Store::read_within`] the store's own time limits.
    fn read(&self, name: &str, known: Option<&ETag>) -> Result<Answer<Read>, StoreError> {
        self.read_within(name, known, Duration::MAX)
    }

    /// [`Store::write_within`] the store's own time limits.
    fn write(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
    ) -> Result<Answer<Written>, StoreError> {
        self.write_within(name, body, condition, Duration::MAX)
    }
}

/// Class 9.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(what) => Self::aws(what),
            StoreError::Failed { what, hint } => Self { hint, ..Self::aws(what) },
        }
    }
}
