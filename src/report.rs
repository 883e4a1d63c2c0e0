//! Output: a command's result on stdout, errors and usage on stderr.

use std::io::Write;
use std::os::fd::AsFd;

use crate::called;
use crate::error::{Error, Result, one_line, os_text};
use crate::os;
use crate::style::{Style, styled};
use crate::waiting;

/// The text of an error, ready for stderr.
fn text(error: &Error) -> String {
    let line = |style, label, text| {
        let label = styled(&std::io::stderr(), style, label);
        format!("{label} {}\n", one_line(&called::named(text)))
    };
    let hint = error.hint.as_ref().map(|hint| line(Style::Hint, "vault: hint:", hint));
    line(Style::Error, "vault: error:", &error.what) + &hint.unwrap_or_default()
}

/// Writes the usage to stderr.
pub fn usage(text: &str) {
    let _ = std::io::stderr().write_all(called::named(text).as_bytes());
}

/// Writes an error and its hint to stderr, in one write.
pub fn error(error: &Error) {
    let _aside = waiting::aside();
    let _ = std::io::stderr().write_all(text(error).as_bytes());
}

/// Checks that stdout is open.
///
/// # Errors
/// Other (1) if it is closed.
pub fn check_stdout() -> Result<()> {
    match os::stdout_was_closed() {
        false => Ok(()),
        true => Err(Error::other("cannot write to stdout: it is closed")
            .hint("give it a file or a pipe, or redirect it to /dev/null")),
    }
}

/// Writes a command's result to stdout, in one write.
///
/// # Errors
/// Other (1) if stdout is closed or full: without its result a command has failed.
pub fn result(text: &str) -> Result<()> {
    check_stdout()?;
    // Not through Rust's stdout, whose buffer would keep a copy of credentials.
    std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|stdout| std::fs::File::from(stdout).write_all(text.as_bytes()))
        .map_err(|error| Error::other(format!("cannot write to stdout: {}", os_text(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_and_a_hint_another() {
        let error = Error::usage("bad\nthing").hint("do \u{1b}[31mthis");
        assert_eq!(
            text(&error),
            "vault: error: bad\u{fffd}thing\nvault: hint: do \u{fffd}[31mthis\n"
        );
    }
}
