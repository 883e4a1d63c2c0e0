//! aws-vault's items in the password store `pass`: an entry for each, with the item as JSON. They are read
//! by `pass show`, which gets the key from gpg-agent.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::aws_vault::content;
use super::{Content, Item};
use crate::error::{Class, Error, Result, os_text};
use crate::process::{self, Failure};

/// The longest run of `pass show`: gpg-agent may prompt for a passphrase or a PIN.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most entries, and the greatest depth of directories.
const ENTRIES: usize = 10_000;
const DEPTH: usize = 16;

/// A password store with items of aws-vault.
#[derive(Debug)]
pub struct PasswordStore {
    pub dir: PathBuf,
    /// The program, `pass` by default.
    pub program: OsString,
    /// The prefix of aws-vault's items; empty for none.
    pub prefix: String,
    /// The environment of the program.
    pub vars: Vec<(OsString, OsString)>,
}

impl PasswordStore {
    /// The names of the entries below the prefix, sorted.
    ///
    /// # Errors
    /// [`Class::NotFound`] if the directory does not exist, [`Class::Refused`] for too many entries,
    /// [`Class::Other`] if it cannot be read.
    pub fn list(&self) -> Result<Vec<String>> {
        let top = match self.prefix.trim_matches('/') {
            "" => self.dir.clone(),
            prefix => self.dir.join(prefix),
        };
        let shown = top.display();
        let mut names = Vec::new();
        walk(&top, "", DEPTH, &mut names).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::not_found(format!("no password store {shown}"))
                .hint("name it with --dir, and aws-vault's prefix in it by AWS_VAULT_PASS_PREFIX"),
            std::io::ErrorKind::FileTooLarge => {
                Error::refused(format!("{shown} has more than {ENTRIES} entries"))
            }
            _ => Error::other(format!("cannot read {shown}: {}", os_text(&error))),
        })?;
        names.sort();
        Ok(names)
    }

    /// Reads these entries. An error of an entry is in its content.
    pub fn read(&self, names: Vec<String>) -> Result<Vec<Item>> {
        let mut vars = self.vars.clone();
        vars.retain(|(name, _)| name != "PASSWORD_STORE_DIR");
        vars.push(("PASSWORD_STORE_DIR".into(), self.dir.clone().into()));
        names
            .into_iter()
            .map(|profile| Ok(Item { content: self.show(&profile, &vars)?, profile }))
            .collect()
    }

    fn show(&self, name: &str, vars: &[(OsString, OsString)]) -> Result<Content> {
        if let Some(failed) = Content::bad_name(name) {
            return Ok(failed);
        }
        let prefix = self.prefix.trim_matches('/');
        let entry = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let words = [OsStr::new("show"), OsStr::new("--"), OsStr::new(&entry)];
        match process::run_program(&self.program, &words, vars, PATIENCE) {
            Ok(json) => Ok(content(name, &json)),
            Err(Failure::NotStarted(error)) => {
                let program = self.program.to_string_lossy();
                Err(Error::not_found(format!("cannot start {program}: {}", os_text(&error)))
                    .hint("name the program by AWS_VAULT_PASS_CMD"))
            }
            Err(Failure::Status(status)) => {
                let why = format!("pass could not show it (exit status {status})");
                Ok(Content::failed(Class::Locked, why))
            }
            Err(Failure::TimedOut) => {
                let why = format!("pass took more than {} s", PATIENCE.as_secs());
                Ok(Content::failed(Class::Busy, why))
            }
            Err(Failure::TooMuch) => Ok(Content::failed(Class::Damaged, "it is over 64 KiB")),
        }
    }
}

/// Collects `NAME` for each file `NAME.gpg`. Names that begin with a dot, such as `.git`, are skipped.
fn walk(dir: &Path, before: &str, depth: usize, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let file = entry.file_name();
        let Some(file) = file.to_str().filter(|file| !file.starts_with('.')) else { continue };
        if names.len() >= ENTRIES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        // A symlink to a directory is not followed: it may form a loop.
        if entry.file_type()?.is_dir() {
            if depth > 0 {
                walk(&entry.path(), &format!("{before}{file}/"), depth - 1, names)?;
            }
        } else if let Some(name) = file.strip_suffix(".gpg") {
            names.push(format!("{before}{name}"));
        }
    }
    Ok(())
}
