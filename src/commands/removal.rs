//! A removal wants a yes.

use crate::error::{Error, Result};
use crate::prompt::Prompt;

/// Said before anything is opened, rather than after: `force` is the yes, or somebody can be asked.
pub fn may_ask(force: bool, prompt: Prompt) -> Result<()> {
    if force || prompt.available() {
        return Ok(());
    }
    Err(Error::usage("removing wants a yes, and there is no terminal to ask on")
        .hint("say it by -f"))
}

/// Asks, unless `force` is the yes.
///
/// # Errors
/// Other (1) for a no.
pub fn confirm(force: bool, prompt: Prompt, question: &str) -> Result<()> {
    match force || prompt.confirm(question)? {
        true => Ok(()),
        false => Err(Error::other("nothing was removed")),
    }
}
