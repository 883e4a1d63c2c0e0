//! Colour, for whoever reads on a terminal. What goes elsewhere is read by programs and has none, whatever the
//! environment says; `NO_COLOR` (<https://no-color.org>) and a `TERM` that is `dumb` or missing turn it off.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// An error, a problem.
    Bad,
    /// A warning, what is about to expire.
    Doubtful,
    /// What to do.
    Advice,
    /// As it should be.
    Good,
}

/// True if the environment allows colour; nothing is coloured before that is known.
static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Says whether the environment allows colour.
pub fn allow(allowed: bool) {
    ALLOWED.store(allowed, Ordering::Relaxed);
}

/// The text as it is for this stream.
pub fn styled(stream: &impl IsTerminal, style: Style, text: &str) -> String {
    // ECMA-48, "select graphic rendition".
    let code = match style {
        Style::Bad => "1;31",
        Style::Doubtful => "33",
        Style::Advice => "36",
        Style::Good => "32",
    };
    match ALLOWED.load(Ordering::Relaxed) && stream.is_terminal() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}
