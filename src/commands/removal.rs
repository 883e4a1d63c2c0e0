//! The question before a removal.

use crate::error::{Error, Result};
use crate::prompt::Prompt;

/// Asks, unless `force` is given.
///
/// # Errors
/// Other (1) if the answer is no, usage (2) without a terminal to ask on.
pub fn confirm(force: bool, prompt: Prompt, question: &str) -> Result<()> {
    if !force && !prompt.available() {
        let what = "removing needs a confirmation, and there is no terminal to ask on";
        return Err(Error::usage(what).hint("confirm it by -f"));
    }
    match force || prompt.confirm(question)? {
        true => Ok(()),
        false => Err(Error::other("nothing was removed")),
    }
}
