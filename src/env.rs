//! The environment as a value, taken once at start: the public variables, and apart from them the
//! ones that open a vault. Nothing else in the program asks the process for a variable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::secret::Secret;

/// Variables that open a vault, or that say where the key lies. They are wiped from the process's
/// own environment at start and reach no child of any kind.
pub const UNLOCK: [&str; 6] = [
    "AWS_VAULT_AGE_KEY",
    "AWS_VAULT_AGE_KEY_FILE",
    "AWS_VAULT_PASSPHRASE_FILE",
    "AWS_VAULT_PASSPHRASE",
    "AWS_VAULT_FILE_PASSPHRASE",
    // sops's own: kept for a child unless it opened the vault, but a secret all the same.
    "SOPS_AGE_KEY",
];

/// Variables that would make a library print secrets: `AGEDEBUG` prints the file key, the other the
/// bodies of AWS's answers. Dropped at start, also from what children see.
pub const DROPPED: [&str; 2] = ["AGEDEBUG", "LOG_SENSITIVE_BODIES"];

/// The environment of the process.
#[derive(Debug, Default)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    /// Shared, so that they can be forgotten.
    unlock: Mutex<BTreeMap<&'static str, Arc<Secret>>>,
}

impl Env {
    /// Sorts raw `name=value` pairs: unlock variables become secrets, debugging switches are
    /// dropped, everything else is public. Of a name that stands twice the first counts, as in
    /// `getenv`.
    ///
    /// An unlock variable that is not UTF-8 becomes one with a replacement character, which opens
    /// nothing and so is reported as a key that cannot be read.
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

    /// A public variable that is set, not empty, and UTF-8. What AWS tools do with an empty variable
    /// (treat it as unset) is done here for all.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(OsStr::new(name))?.to_str().filter(|v| !v.is_empty())
    }

    /// A public variable as the bytes that it is, set and not empty: paths.
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|v| !v.is_empty())
    }

    /// True if a public variable is set at all, empty or not.
    pub fn is_set(&self, name: &str) -> bool {
        self.vars.contains_key(OsStr::new(name))
    }

    /// An unlock variable (one of [`UNLOCK`]), empty or not.
    pub fn unlock(&self, name: &str) -> Option<Arc<Secret>> {
        self.unlock.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Forgets the unlock variables, for a process that lives long; sops's own stays with `keep_sops`,
    /// for children.
    pub fn forget_unlock(&self, keep_sops: bool) {
        let mut unlock = self.unlock.lock().unwrap_or_else(PoisonError::into_inner);
        unlock.retain(|name, _| keep_sops && *name == "SOPS_AGE_KEY");
    }

    /// All public variables, in the order of their names.
    pub fn vars(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars.iter().map(|(k, v)| (k.as_os_str(), v.as_os_str()))
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
    fn what_opened_the_vault_can_be_forgotten() {
        for keep in [true, false] {
            let env = Env::of(&[("AWS_VAULT_AGE_KEY", "k"), ("SOPS_AGE_KEY", "s"), ("HOME", "/h")]);
            env.forget_unlock(keep);
            assert!(env.unlock("AWS_VAULT_AGE_KEY").is_none());
            assert_eq!(env.unlock("SOPS_AGE_KEY").is_some(), keep);
            assert_eq!(env.get("HOME"), Some("/h"));
        }
    }

    #[test]
    fn empty_is_unset_but_known() {
        let env = Env::of(&[("XDG_DATA_HOME", ""), ("A", "1"), ("A", "2")]);
        assert_eq!(env.get("XDG_DATA_HOME"), None);
        assert!(env.is_set("XDG_DATA_HOME"));
        assert_eq!(env.get("A"), Some("1"));
    }
}
