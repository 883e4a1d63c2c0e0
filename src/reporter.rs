//! What is said to a person goes to stderr, one line at a time, and never a secret.

use std::io::Write;

use crate::called;
use crate::error::one_line;
use crate::style::{Style, styled};
use crate::waiting;

/// How much is said. A value that is passed down, so that tests and `--quiet` decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reporter {
    /// `--quiet`: no warnings and notes; errors are still reported.
    pub quiet: bool,
    /// `--debug`: which sources, files and calls were chosen.
    pub debug: bool,
}

impl Reporter {
    /// Something that the user should mend: `vault: warning: …`.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.quiet {
            let label = styled(&std::io::stderr(), Style::Doubtful, "vault: warning:");
            line(&format!("{label} "), &called::named(text.as_ref()));
        }
    }

    /// An answer for a person that is not a command's result, as it stands.
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

/// One write a line, so that parallel jobs do not mix theirs; a closed stderr is no reason to fail.
fn line(label: &str, text: &str) {
    let text = format!("{label}{}\n", one_line(text));
    let _aside = waiting::aside();
    let _ = std::io::stderr().write_all(text.as_bytes());
}
