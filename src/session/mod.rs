//! Sessions that survive parallel jobs: kept encrypted, made once for all processes, and a book of
//! the MFA codes that were used.
//!
//! | file | what |
//! | --- | --- |
//! | `envelope` | the keys, the names that tell nothing, and the encryption of a file |
//! | `record` | one session as bytes, and when it is due |
//! | `cache` | the files: load, store, list, clear |
//! | `flight` | who makes a session, and who waits for it |
//! | `login` | a login to IAM Identity Center, which outlives many sessions |
//! | `book` | which code may be sent when: plain numbers, no file |
//! | `ledger` | a device's book in its file, under its lock |
//!
//! In the cache directory lie `sessions/NAME`, `logins/NAME` and `ledger/NAME`, and beside each its
//! `NAME.lock`, which goes only when nobody has taken it for as long as what it guards lasts. A lock
//! guards making and writing; a reader takes none.

mod cache;
mod envelope;
mod flight;
mod ledger;
mod login;
mod record;
#[cfg(test)]
mod testing;
mod totp_claims;

pub use cache::{Cache, Listed, clear_all, locks_held};
pub use flight::{Length, NotMade, Obtained, Wanted};
pub use ledger::{Claim, Ledger};
pub use login::{Login, LoginLock, LoginPlace, LoginState};

/// What a session was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionKind {
    /// GetSessionToken.
    Session,
    /// AssumeRole.
    Role,
    /// IAM Identity Center's GetRoleCredentials.
    Sso,
}

impl SessionKind {
    const ALL: [Self; 3] = [Self::Session, Self::Role, Self::Sso];

    /// `session`, `role` or `sso`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Role => "role",
            Self::Sso => "sso",
        }
    }
}
