//! The question before a removal.

use crate::error::{Error, Result};
use crate::prompt::Prompt;

/// Fails if there is neither `force` nor a terminal, before anything is opened.
pub fn can_confirm(force: bool, prompt: Prompt) -> Result<()> {
    if force || prompt.available() {
        return Ok(());
    }
    Err(Error::usage("removing needs a confirmation, and there is no terminal to ask on")
        .hint("confirm it by -f"))
}

/// Asks, unless `force` is given.
///
/// # Errors
/// Other (1) if the answer is no.
pub fn confirm(force: bool, prompt: Prompt, question: &str) -> Result<()> {
    match force || prompt.confirm(question)? {
        true => Ok(()),
        false => Err(Error::other("nothing was removed")),
    }
}
