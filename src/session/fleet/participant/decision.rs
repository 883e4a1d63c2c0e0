//! What a host does about a session or with a code.

use std::time::Duration;

use super::super::super::flight::Minted;
use super::super::protocol::AloneReason;
use crate::error::Error;

/// What a host does about a session.
#[derive(Debug)]
pub enum SessionDecision {
    Serve(Minted),
    /// Make it, each code by `Participant::claim_step`; at least as long as the session that it replaces.
    Lead(Option<Duration>),
    /// Ask for a code, then begin again.
    Ask,
    /// Another host did not finish within this time.
    Waited(Duration),
    /// Make it without the fleet, and why.
    Alone(Error),
}

/// What a host does with a code.
#[derive(Debug)]
pub enum CodeDecision<C> {
    Send(C),
    /// Another host leads now.
    Overtaken,
    /// None is sent that other hosts know of, and why.
    Alone(Error),
}

impl AloneReason {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Closed => Error::aws("another host has renewed the vault's keys")
                .hint("vault fleet pull takes the new vault, or names the command that accepts it"),
            Self::Refuses => Error::aws("the store refuses valid conditional writes"),
            Self::Silent => Error::aws("the store does not answer whether the write succeeded"),
        }
    }
}
