//! Sessions that survive parallel jobs: kept encrypted, made once for all processes, and a book of
//! the MFA codes that were used.
//!
//! | file | what |
//! | --- | --- |
//! | `envelope` | the keys, the names that tell nothing, and the encryption of a file |
//! | `record` | one session as bytes, and when it is due |
//! | `cache` | the files: load, store, list, clear |
//! | `flight` | who makes a session, and who waits for it |
//! | `book` | which code may be sent when: plain numbers, no file |
//! | `ledger` | a device's book in its file, under its lock |
//!
//! In the cache directory lie `sessions/NAME` and `ledger/NAME`, and beside each its `NAME.lock`, which
//! is never removed. A lock guards making and writing; a reader takes none.

mod book;
mod cache;
mod envelope;
mod flight;
mod ledger;
mod record;
#[cfg(test)]
mod testing;

pub use cache::{Cache, Listed, clear_all, locks_held};
pub use flight::{Obtained, Wanted};
pub use ledger::{Claim, Ledger};

/// What a session was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// GetSessionToken.
    Session,
    /// AssumeRole.
    Role,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Session, Self::Role];

    /// `session` or `role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Role => "role",
        }
    }
}
