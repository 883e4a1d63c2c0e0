//! What a host does about a session or with a code.

use std::time::Duration;

use super::super::super::flight::Minted;
use super::super::protocol::AloneReason;

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
    /// Make it without the fleet.
    Alone(FleetFailure),
}

/// What a host does with a code.
#[derive(Debug)]
pub enum CodeDecision<C> {
    Send(C),
    /// Another host leads now.
    Overtaken,
    /// None is sent that other hosts know of.
    Alone(FleetFailure),
}

/// Why the fleet is of no use now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetFailure {
    pub what: String,
    pub hint: Option<String>,
}

impl FleetFailure {
    pub(super) fn new(what: &str) -> Self {
        Self { what: what.to_owned(), hint: None }
    }
}

impl AloneReason {
    pub(super) fn alone(self) -> FleetFailure {
        match self {
            Self::Closed => FleetFailure {
                what: "another host has renewed the vault's keys".to_owned(),
                hint: Some(
                    "vault fleet pull takes the new vault, or names the command that accepts it"
                        .to_owned(),
                ),
            },
            Self::Refuses => FleetFailure::new("the store refuses valid conditional writes"),
            Self::Silent => {
                FleetFailure::new("the store does not answer whether the write succeeded")
            }
        }
    }
}
