//! Sessions for parallel jobs: stored encrypted, made once for all processes, with a ledger of the MFA
//! codes that were sent.
//!
//! | file | what |
//! | --- | --- |
//! | `envelope` | the keys, the file names, and the encryption of a file |
//! | `record` | one session as bytes, and when it is renewed |
//! | `cache` | the files: load, store, list, clear |
//! | `flight` | which process makes a session, and which ones wait |
//! | `fleet` | the same among hosts, which share a store |
//! | `login` | a login to IAM Identity Center, which lasts longer than its sessions |
//! | `totp_claims` | which MFA code may be sent when: numbers only, no file |
//! | `ledger` | the claims of a device in a file, under its lock |
//!
//! The cache directory holds `sessions/NAME`, `logins/NAME` and `ledger/NAME`, and beside each a
//! `NAME.lock`, which is removed when it has not been taken for as long as the guarded file is valid. A lock
//! is held to make and to write; readers take none.

mod cache;
mod envelope;
mod fleet;
mod flight;
mod ledger;
mod login;
mod record;
#[cfg(test)]
mod testing;
mod totp_claims;

pub use cache::{Cache, Listed, clear_all, locks_held};
pub use fleet::{
    CodeDecision, FleetKeys, InStore, Names, Participant, SessionDecision, SharedClaims, Timing,
    close_totp_claims,
};
pub use flight::{Length, MintError, Minted, Obtained, Wanted};
pub use ledger::{Choice, Claim, Ledger};
pub use login::{Login, LoginFile, LoginLock, LoginState};

/// The AWS call that made a session.
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
