//! What the user sees of a failure: one error line, at most one hint, and a stable exit code.

use std::io::Write;
use std::os::fd::AsFd;

use crate::called;
use crate::error::{Error, one_line};
use crate::os;
use crate::style::{Style, styled};
use crate::waiting;

/// The text of an error, ready for stderr.
fn text(error: &Error) -> String {
    let label = |style, text| styled(&std::io::stderr(), style, text);
    let mut text = format!(
        "{} {}\n",
        label(Style::Bad, "vault: error:"),
        one_line(&called::named(&error.what))
    );
    if let Some(hint) = &error.hint {
        text += &format!(
            "{} {}\n",
            label(Style::Advice, "vault: hint:"),
            one_line(&called::named(hint))
        );
    }
    text
}

/// Shows on stderr how the program is used.
pub fn usage(text: &str) {
    let _ = std::io::stderr().write_all(called::named(text).as_bytes());
}

/// Says an error on stderr, in one write.
pub fn say(error: &Error) {
    let _aside = waiting::aside();
    let _ = std::io::stderr().write_all(text(error).as_bytes());
}

/// Makes sure that there is a stdout.
///
/// # Errors
/// [`crate::error::Class::Other`] if it is closed.
pub fn is_open() -> crate::error::Result<()> {
    match os::stdout_was_closed() {
        false => Ok(()),
        true => Err(Error::other("cannot write to stdout: it is closed")
            .hint("give it a file or a pipe, or >/dev/null where nobody reads it")),
    }
}

/// Writes a command's result to stdout, in one write.
///
/// # Errors
/// [`crate::error::Class::Other`] if stdout is closed or full: a result that nobody got is no
/// success.
pub fn result(text: &str) -> crate::error::Result<()> {
    is_open()?;
    // Not through Rust's stdout: its buffer would keep a copy of what may be credentials.
    std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|stdout| std::fs::File::from(stdout).write_all(text.as_bytes()))
        .map_err(|error| {
            Error::other(format!("cannot write to stdout: {}", crate::error::os_text(&error)))
        })
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
