//! Reading stdin, for `--stdin`.

use crate::error::{Error, Result, os_text};
use crate::file::{self, ReadError};
use crate::os;
use crate::secret::Secret;

/// The most that is read, in bytes.
pub const STDIN_LIMIT: u64 = 64 * 1024;

/// All of stdin as text. `what` is expected there, for the error.
pub fn stdin_text(what: &str) -> Result<Secret> {
    let (mut bytes, _) =
        file::read_fd(os::stdin_fd(), STDIN_LIMIT).map_err(|error| match error {
            ReadError::Io(error) => Error::other(format!("cannot read stdin: {}", os_text(&error))),
            _ => Error::usage(format!("stdin has more than 64 KiB: not a valid {what}")),
        })?;
    Secret::from_utf8(std::mem::take(&mut *bytes))
        .ok_or_else(|| Error::usage(format!("stdin holds no text, so no {what}")))
}
