//! The environment as a value, read once at start: the public variables, and separately those that open a
//! vault. No other code reads a variable of the process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::secret::Secret;

/// Variables that open a vault or name a key file. They are wiped from the process's environment at start
/// and are not passed to any child.
pub const UNLOCK: [&str; 6] = [
    "AWS_VAULT_AGE_KEY",
    "AWS_VAULT_AGE_KEY_FILE",
    "AWS_VAULT_PASSPHRASE_FILE",
    "AWS_VAULT_PASSPHRASE",
    "AWS_VAULT_FILE_PASSPHRASE",
    // A variable of sops: passed to a child unless it opened the vault, and secret too.
    "SOPS_AGE_KEY",
];

/// Variables that make a library print secrets: `AGEDEBUG` the file key, `LOG_SENSITIVE_BODIES` the bodies
/// of AWS's answers. They are removed at start, also for children.
pub const DROPPED: [&str; 2] = ["AGEDEBUG", "LOG_SENSITIVE_BODIES"];

/// The environment of the process.
#[derive(Debug, Default)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    /// Behind a lock, so that they can be wiped.
    unlock: Mutex<BTreeMap<&'static str, Arc<Secret>>>,
}

impl Env {
    /// Sorts raw `name=value` pairs: unlock variables become secrets, [`DROPPED`] ones are removed, all others
    /// are public. Of a duplicate name the first value is used, as by getenv(3).
    ///
    /// An unlock variable that is not UTF-8 becomes a replacement character, which is reported as an invalid
    /// key.
    pub fn from_raw(pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let mut env = Self::default();
        let mut unlock = BTreeMap::new();
        for (name, value) in pairs {
            if DROPPED.iter().any(|d| d.as_bytes() == name) {
                continue;
            }
            if let Some(known) = UNLOCK.iter().find(|u| u.as_bytes() == name) {
                let secret = Secret::from_utf8(value)
                    .unwrap_or_else(|| Secret::new(char::REPLACEMENT_CHARACTER.to_string()));
                unlock.entry(*known).or_insert(Arc::new(secret));
            } else {
                env.vars
                    .entry(OsString::from_vec(name))
                    .or_insert_with(|| OsString::from_vec(value));
            }
        }
        env.unlock = Mutex::new(unlock);
        env
    }

    /// For tests: an environment of these public variables and unlock variables.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self::from_raw(pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())))
    }

    /// A public variable that is set, not empty, and UTF-8. As in AWS's tools, an empty variable counts as
    /// unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(OsStr::new(name))?.to_str().filter(|v| !v.is_empty())
    }

    /// As [`Env::get`], but an error if the value is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        text(name, self.get_os(name))
    }

    /// A public variable that is set and not empty, as bytes: for paths.
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|v| !v.is_empty())
    }

    /// A public variable of this program, as bytes. One that is empty must not quietly mean the default.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`] for one that is set but empty, with the hint to give it `what`.
    pub fn own(&self, name: &str, what: &str) -> Result<Option<&OsStr>> {
        match self.get_os(name) {
            None if self.is_set(name) => Err(Error::usage(format!("{name} is set but empty"))
                .hint(format!("give it {what}, or unset it"))),
            value => Ok(value),
        }
    }

    /// True if `TERM` names a terminal that moves its cursor and has colours.
    pub fn terminal_takes_escapes(&self) -> bool {
        self.get("TERM").is_some_and(|terminal| terminal != "dumb")
    }

    /// True if a public variable is set, empty or not.
    pub fn is_set(&self, name: &str) -> bool {
        self.vars.contains_key(OsStr::new(name))
    }

    /// An unlock variable (one of [`UNLOCK`]), empty or not.
    pub fn unlock(&self, name: &str) -> Option<Arc<Secret>> {
        self.unlock.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Wipes the unlock variables, in a long-running process; with `keep_sops` that of sops stays, for
    /// children.
    pub fn forget_unlock(&self, keep_sops: bool) {
        let mut unlock = self.unlock.lock().unwrap_or_else(PoisonError::into_inner);
        unlock.retain(|name, _| keep_sops && *name == "SOPS_AGE_KEY");
    }

    /// All public variables, sorted by name.
    pub fn vars(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars.iter().map(|(k, v)| (k.as_os_str(), v.as_os_str()))
    }
}

/// The value of a variable, or an error if it is not UTF-8.
pub fn text<'a>(name: &str, value: Option<&'a OsStr>) -> Result<Option<&'a str>> {
    let Some(value) = value else { return Ok(None) };
    match value.to_str() {
        None => Err(Error::usage(format!("{name} is not UTF-8"))),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlock_variables_are_kept_apart() {
        let env = Env::of(&[("AWS_VAULT_AGE_KEY", "k"), ("HOME", "/h"), ("AGEDEBUG", "1")]);
        assert_eq!(env.get("HOME"), Some("/h"));
        assert_eq!(env.get("AWS_VAULT_AGE_KEY"), None);
        assert_eq!(env.unlock("AWS_VAULT_AGE_KEY").unwrap().expose(), "k");
        assert_eq!(env.vars().count(), 1);
    }

    #[test]
    fn unlock_variables_can_be_wiped() {
        for keep in [true, false] {
            let env = Env::of(&[("AWS_VAULT_AGE_KEY", "k"), ("SOPS_AGE_KEY", "s"), ("HOME", "/h")]);
            env.forget_unlock(keep);
            assert!(env.unlock("AWS_VAULT_AGE_KEY").is_none());
            assert_eq!(env.unlock("SOPS_AGE_KEY").is_some(), keep);
            assert_eq!(env.get("HOME"), Some("/h"));
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = Env::of(&[("XDG_DATA_HOME", ""), ("A", "1"), ("A", "2")]);
        assert_eq!(env.get("XDG_DATA_HOME"), None);
        assert!(env.is_set("XDG_DATA_HOME"));
        assert_eq!(env.get("A"), Some("1"));
    }
}
