//! The errors below HTTP.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

/// For TCP, a proxy's tunnel and TLS together. The look-up of the name has a time of its own.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there was no connection, or no response over it. `unreachable` has the messages.
#[derive(Debug)]
pub enum TransportError {
    /// No such name, or it has no address.
    NoAddress,
    /// The resolver does not answer.
    NoResolver,
    /// No connection within [`CONNECT_TIMEOUT`].
    ConnectTimeout,
    /// No address could be connected to.
    Tcp(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
    /// The response is larger than the route's limit.
    TooLarge,
}

impl TransportError {
    /// The transport error below a library's error.
    pub fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        chain(error).find_map(|error| error.downcast_ref())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Tcp(error) | Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}

/// The errors below an error, itself first.
pub(super) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        // An io::Error's `source` skips what it wraps.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}
