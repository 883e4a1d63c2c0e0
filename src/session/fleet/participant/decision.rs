//! What a host has to do about a session or a code.

use std::time::Duration;

use super::super::super::flight::Minted;
use super::super::lead::Why;

/// What a host has to do about a session.
#[derive(Debug)]
pub enum Turn {
    Serve(Minted),
    /// Make it, each code by [`Part::step`]; the new one is at least as long as the one that it replaces.
    Lead(Option<Duration>),
    Ask,
    /// Another host did not finish within this time.
    Waited(Duration),
    /// Make it without the fleet.
    Alone(Alone),
}

/// What becomes of a code.
#[derive(Debug)]
pub enum Step<C> {
    Send(C),
    /// Another host leads now.
    Overtaken,
    /// None is sent that other hosts know of.
    Alone(Alone),
}

/// Why the fleet is of no use now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    pub what: String,
    pub hint: Option<String>,
}

impl Alone {
    pub(super) fn new(what: &str) -> Self {
        Self { what: what.to_owned(), hint: None }
    }
}

impl Why {
    pub(super) fn alone(self) -> Alone {
        match self {
            Self::Closed => Alone {
                what: "the vault has another key by now".to_owned(),
                hint: Some(
                    "vault fleet pull takes the new vault, or names the command that accepts it"
                        .to_owned(),
                ),
            },
            Self::Refuses => Alone::new("the store refuses writes that it should take"),
            Self::Silent => Alone::new("the store does not say whether it has written"),
        }
    }
}
