//! Colour on terminals, and nowhere else. `NO_COLOR` (<https://no-color.org>) and a `TERM` that is `dumb` or
//! missing turn it off.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

/// The meaning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// An error, a problem.
    Error,
    /// A warning; something that expires soon.
    Warning,
    /// What to do.
    Hint,
    /// Something without a problem.
    Success,
}

/// True if the environment allows colour; false until it has been read.
static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Sets whether the environment allows colour.
pub fn allow(allowed: bool) {
    ALLOWED.store(allowed, Ordering::Relaxed);
}

/// The text for this stream, coloured if it is a terminal.
pub fn styled(stream: &impl IsTerminal, style: Style, text: &str) -> String {
    // ECMA-48, "select graphic rendition".
    let code = match style {
        Style::Error => "1;31",
        Style::Warning => "33",
        Style::Hint => "36",
        Style::Success => "32",
    };
    match ALLOWED.load(Ordering::Relaxed) && stream.is_terminal() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}
