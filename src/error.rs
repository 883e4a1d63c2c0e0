//! Errors: what happened, what to do about it, and the class, which is the exit code.
//!
//! The error type of every room. It never holds a secret, nor the message of a parser: those of toml,
//! serde_json, clap and the SDK quote their input.

/// The classes of failure. Each is an exit code that scripts may rely on (README, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any other failure.
    Other = 1,
    /// Usage, and invalid input (duration, seed, recipient).
    Usage = 2,
    /// No such vault, profile or entry.
    NotFound = 3,
    /// The vault cannot be unlocked.
    Locked = 4,
    /// Damaged, or written by a newer version.
    Damaged = 5,
    /// Refused: permissions, pin, limits.
    Refused = 6,
    /// Not saved; the old vault, or the file that is named, is unchanged.
    NotSaved = 7,
    /// Busy, or timed out.
    Busy = 8,
    /// AWS refused or cannot be reached; MFA failed, or there is no code.
    Aws = 9,
    /// Saved, but the disk has not confirmed it.
    NotDurable = 10,
}

impl Class {
    /// The process's exit code for this class.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why something failed, if a caller decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No file and no vault has a profile of this name. The hint may suggest another.
    NoSuchProfile { guessed: bool },
    /// The message already names the `credential_process` that failed.
    Inside,
    /// The command line is wrong.
    CommandLine,
    /// A source of keys holds no key. The message names the source.
    BadSource,
    /// A key has a passphrase of its own.
    KeyPassphrase,
    /// AWS does not know the key: it was deleted, deactivated, or never existed.
    UnknownKey,
}

/// A failure. The texts are for the user: lowercase, without a full stop, a secret, or Rust's debug text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The class, which is the exit code.
    pub class: Class,
    /// What happened.
    pub what: String,
    /// What to do about it, if anything.
    pub hint: Option<String>,
    /// Why it happened, if a caller decides by it.
    pub reason: Option<Reason>,
}

/// The result type of every room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of the given class.
    pub fn new(class: Class, what: impl Into<String>) -> Self {
        Self { class, what: what.into(), hint: None, reason: None }
    }

    /// Class 1.
    pub fn other(what: impl Into<String>) -> Self {
        Self::new(Class::Other, what)
    }

    /// Class 2.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Class::Usage, what)
    }

    /// Class 3.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Class::NotFound, what)
    }

    /// Class 4.
    pub fn locked(what: impl Into<String>) -> Self {
        Self::new(Class::Locked, what)
    }

    /// Class 5.
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::new(Class::Damaged, what)
    }

    /// Class 6.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Class::Refused, what)
    }

    /// Class 7.
    pub fn not_saved(what: impl Into<String>) -> Self {
        Self::new(Class::NotSaved, what)
    }

    /// Class 8.
    pub fn busy(what: impl Into<String>) -> Self {
        Self::new(Class::Busy, what)
    }

    /// Class 9.
    pub fn aws(what: impl Into<String>) -> Self {
        Self::new(Class::Aws, what)
    }

    /// Sets the reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds a hint, which replaces an earlier one.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is none.
    #[must_use]
    pub fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }
}

/// The operating system's text for an error, without Rust's `(os error N)`.
pub fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        // "Permission denied" becomes "permission denied"; "I/O error" keeps its capitals.
        Some(first) if chars.clone().next().is_some_and(|c| c.is_lowercase()) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// Replaces control characters, which file names and AWS's messages may contain, so that a message stays on
/// one line and has no escape sequences for the terminal.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
