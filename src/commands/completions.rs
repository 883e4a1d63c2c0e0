//! `completions`: a script for a shell, and the answers to that script.

use std::ffi::OsString;

use super::context::Context;
use crate::cli::complete::{Completions, Expected, expected, script};
use crate::error::Result;
use crate::report;

pub fn run(args: &Completions, context: &Context) -> Result<()> {
    report::result(&script(args.shell, context.program))
}

/// Answers a script: `profile` and the names in the AWS config, `command N`, or nothing. The vault is not
/// opened. A config that cannot be read has no names: there is no error while a line is typed.
pub fn complete(words: &[OsString], context: &Context) -> Result<()> {
    let text = match expected(words) {
        Expected::Other => String::new(),
        Expected::Command(at) => format!("command {at}\n"),
        Expected::Profile => {
            let names = context.profiles().map(|profiles| profiles.names()).unwrap_or_default();
            // With a leading dash it would be a flag, and with a line break two names.
            let fits = |name: &&String| {
                !name.starts_with('-') && !name.is_empty() && !name.contains(char::is_control)
            };
            names.iter().filter(fits).fold("profile\n".to_owned(), |text, name| text + name + "\n")
        }
    };
    report::result(&text)
}
