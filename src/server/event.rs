//! What the server logs.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::Error;

/// An event for the log.
#[derive(Debug)]
pub enum Event<'a> {
    /// New credentials are served.
    Renewed { name: &'a str, ends: Timestamp },
    /// The credentials have ended or will soon, and could not be renewed.
    Failed { name: &'a str, error: &'a Error },
    /// A request was refused, and so many others since the last event of this kind.
    Refused { why: &'static str, others: u64 },
}

pub type Log = Arc<dyn Fn(Event<'_>) + Send + Sync>;
