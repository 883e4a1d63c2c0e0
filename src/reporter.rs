//! Warnings, notes and debug messages: on stderr, one line each, without secrets.

use std::io::Write;

use crate::called;
use crate::error::one_line;
use crate::style::{Style, styled};
use crate::waiting;

/// Writes messages as `--quiet` and `--debug` ask for. It is passed as a value, so that tests can silence it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reporter {
    /// `--quiet`: no warnings and notes; errors are still reported.
    pub quiet: bool,
    /// `--debug`: which sources, files and calls were chosen.
    pub debug: bool,
}

impl Reporter {
    /// A problem that the user should fix: `vault: warning: …`.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.quiet {
            let label = styled(&std::io::stderr(), Style::Warning, "vault: warning:");
            line(&format!("{label} "), &called::named(text.as_ref()));
        }
    }

    /// Information for the user that is not the command's result, without a label.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            line("", &called::named(text.as_ref()));
        }
    }

    /// What was chosen and why: `vault: debug: …`.
    pub fn debug(&self, text: impl AsRef<str>) {
        if self.debug {
            line("vault: debug: ", text.as_ref());
        }
    }
}

/// One write per line, so that the lines of parallel jobs do not mix. A closed stderr is no error.
fn line(label: &str, text: &str) {
    let text = format!("{label}{}\n", one_line(text));
    let _aside = waiting::aside();
    let _ = std::io::stderr().write_all(text.as_bytes());
}
