//! What must be true after a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vault::sealed::{self, PassphrasePolicy};
use vault::secret::Secret;
use vault::vault::{Payload, Pin};

use super::CSV;
use super::inject::Call;
use crate::support::builder::{Output, Test};
use crate::vault_file::plaintext_of;

/// All files below a directory with their content; a directory has none.
pub type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// These are repeated when a signal interrupts them.
const REPEATED: [&str; 9] =
    ["open", "openat", "read", "write", "fsync", "fchmod", "flock", "getrandom", "ftruncate"];

const CAUSES: [(&str, &str); 5] = [
    ("EIO", "input/output error"),
    ("EINTR", "interrupted system call"),
    ("ENOSPC", "no space left on device"),
    ("EDQUOT", "disk quota exceeded"),
    ("EROFS", "read-only file system"),
];

/// A command's home before it, and after it where nothing went wrong.
pub struct Scene<'a> {
    test: &'a Test,
    run: &'a Test,
    before: Tree,
    after: Tree,
    output: Output,
    saved: Option<Summary>,
    /// The old vault's fingerprint.
    pin: Option<Pin>,
}

/// What tells the new vault from the old one.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    generation: u64,
    profiles: Vec<String>,
    devices: usize,
    recipients: usize,
    passphrases: usize,
    /// True if the vault's keys were drawn anew.
    renewed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Vault {
    Old,
    New,
    Wrong(String),
}

impl<'a> Scene<'a> {
    /// `output` is of a run without a fault, which has just ended.
    pub fn new(test: &'a Test, run: &'a Test, before: Tree, output: Output) -> Self {
        let after = tree(test.home());
        let file = std::fs::read(test.vault_file()).expect("a vault");
        let changed = before.get(&own(test)) != Some(&Some(file.clone()));
        let pin = before.get(&own(test)).cloned().flatten().and_then(|old| pin_of(&old).ok());
        let saved = changed.then(|| summary(&file, pin).expect("a vault"));
        Self { test, run, before, after, output, saved, pin }
    }

    /// Puts all back.
    pub fn reset(&self) {
        let home = self.test.home();
        for entry in std::fs::read_dir(home).expect("the home").map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => std::fs::remove_dir_all(entry.path()).unwrap(),
                false => std::fs::remove_file(entry.path()).unwrap(),
            }
        }
        for (path, content) in &self.before {
            match content {
                None => make_directory(&home.join(path)),
                Some(bytes) => make_file(&home.join(path), bytes),
            }
        }
    }

    /// What is not as it should be after this fault.
    pub fn judge(&self, call: &Call, fault: &str, output: &Output) -> Result<(), String> {
        let killed = fault == super::KILL;
        let new = match self.vault() {
            Vault::Wrong(what) => {
                return Err(format!("neither the old vault nor the new one: {what}"));
            }
            vault => vault == Vault::New || self.saved.is_none(),
        };
        if !killed {
            self.the_status_is_true(call, fault, output, new)?;
        }
        // The first word of a result, or of a note, comes after the rename.
        let notes = output.stderr.lines().any(|line| !line.starts_with("vault: "));
        check(new || output.stdout.is_empty() && !notes, "it was printed as saved")?;
        let strays = self.strays();
        let temporary = strays.iter().all(|path| is_temporary(path));
        check(temporary && (killed || strays.is_empty()), &format!("left behind: {strays:?}"))?;
        self.files_are_whole()?;
        self.the_next_write_works()
    }

    fn the_status_is_true(
        &self,
        call: &Call,
        fault: &str,
        output: &Output,
        new: bool,
    ) -> Result<(), String> {
        let said = |text: &str| output.stderr.contains(text);
        let unwritten = said("vault: error: cannot write to stdout: ");
        match output.status {
            0 => {
                check(new, "success, and it is the old vault")?;
                let synced = call.name != "fsync" || !call.line.contains("/share/vault");
                check(synced || fault == "error=EINTR", "success, and the disk did not store it")?;
                let as_ever = masked(&output.stdout) == masked(&self.output.stdout);
                return check(as_ever, "success, and not all was said");
            }
            10 => check(new, "saved, it said, and it is the old vault")?,
            1 if self.saved.is_some() => {
                let later = unwritten || said(" in the vault, but ");
                check(new == later, "what was said of the vault is not so")?;
            }
            1 | 4..=8 => {
                check(self.saved.is_none() || !new, "not saved, it said, and it is the new vault")?
            }
            status => return Err(format!("a status of {status}")),
        }
        check(output.stdout.is_empty() || unwritten, "a failure, and a result on stdout")?;
        let (_, number) = fault.split_once('=').expect("error=…");
        let (_, cause) = CAUSES.iter().find(|(known, _)| *known == number).expect("a cause");
        check(said(cause), "the cause is not said")?;
        let repeated = number == "EINTR" && REPEATED.contains(&call.name.as_str());
        check(!repeated, "an interruption was taken for a failure")
    }

    fn vault(&self) -> Vault {
        let before = self.before.get(&own(self.test)).cloned().flatten();
        let now = match std::fs::read(self.test.vault_file()) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Vault::Wrong(error.to_string()),
        };
        if now == before {
            return Vault::Old;
        }
        match now.map(|file| summary(&file, self.pin)) {
            None => Vault::Wrong("there is none".into()),
            Some(Err(error)) => Vault::Wrong(error),
            Some(Ok(summary)) if Some(&summary) == self.saved.as_ref() => Vault::New,
            Some(Ok(summary)) => Vault::Wrong(format!("{summary:?}")),
        }
    }

    /// Files that were neither there before nor are after a run without a fault.
    fn strays(&self) -> BTreeSet<PathBuf> {
        let now = tree(self.test.home());
        let known =
            |path: &PathBuf| self.before.contains_key(path) || self.after.contains_key(path);
        now.into_iter()
            .filter(|(path, content)| content.is_some() && !known(path))
            .map(|(path, _)| path)
            .collect()
    }

    /// The AWS config is the old or the new one, and a key that was made opens the vault that was made
    /// for it.
    fn files_are_whole(&self) -> Result<(), String> {
        let now = tree(self.test.home());
        let config = Path::new(".aws/config");
        let old_or_new =
            [self.before.get(config), self.after.get(config)].contains(&now.get(config));
        check(old_or_new, "the AWS config is neither the old nor the new one")?;
        let plain = now.get(Path::new(".aws/credentials"));
        let old = plain == self.before.get(Path::new(".aws/credentials"));
        let new = plain == self.after.get(Path::new(".aws/credentials"));
        check(old || new, "the credentials file is neither the old nor the new one")?;
        check(
            old || self.vault() == Vault::New,
            "the plaintext is gone, and nothing is in the vault",
        )?;
        let (Some(Some(key)), Some(Some(vault))) =
            (now.get(Path::new("key.txt")), now.get(&own(self.test)))
        else {
            return check(
                !self.after.contains_key(Path::new("key.txt"))
                    || !now.contains_key(&own(self.test)),
                "a vault without its key",
            );
        };
        let key = Secret::from_utf8(key.clone()).ok_or("the key is no text")?;
        let opened = sealed::parse_identities(&key, "the key").and_then(|key| {
            sealed::open(&sealed::scan(vault)?, &key, &[], PassphrasePolicy::default_limits())
        });
        opened.map(drop).map_err(|error| format!("the key does not open the vault: {error:?}"))
    }

    /// The next writer finds all in order, says nothing, and removes what was left lying.
    fn the_next_write_works(&self) -> Result<(), String> {
        if !self.test.vault_file().exists() {
            let mut output = self.run.try_run();
            // A key is never overwritten.
            if output.status == 6 && output.stderr.contains("a key is never overwritten") {
                std::fs::remove_file(self.test.home().join("key.txt"))
                    .map_err(|e| e.to_string())?;
                output = self.run.try_run();
            }
            check(output.status == 0, &format!("the next init: {}", output.stderr))?;
        }
        // What it left in plaintext, it takes away the next time.
        if self.before.contains_key(Path::new(".aws/credentials")) {
            let next = self.run.try_run();
            let nothing = next.stderr == "vault: error: there is no key to import\n";
            check(next.status == 0 || nothing, &format!("the next import: {}", next.stderr))?;
            let plain = std::fs::read(self.test.home().join(".aws/credentials")).ok();
            check(Some(&plain) == self.after.get(Path::new(".aws/credentials")), "plaintext")?;
        }
        let next = self.test.command(["add", "third", "--stdin"]).stdin(CSV).try_run();
        check(
            (next.status, next.stderr.as_str()) == (0, ""),
            &format!("the next write: {}", next.stderr),
        )?;
        let known =
            ["vault.age", "vault.age.lock", "config", "config.lock", "credentials.lock", "key.txt"];
        let is_known =
            |path: &PathBuf| known.contains(&path.file_name().unwrap().to_str().unwrap());
        let left: Vec<_> = self.strays().into_iter().filter(|path| !is_known(path)).collect();
        let left: Vec<_> = left
            .iter()
            .filter(|path| {
                !path.starts_with(".local/state") || path.to_str().unwrap().contains(".tmp-")
            })
            .collect();
        check(left.is_empty(), &format!("the next write left lying: {left:?}"))
    }
}

fn check(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tmp-"))
}

/// Without what is new in each run.
fn masked(text: &str) -> Vec<&str> {
    let random = |word: &&str| !word.starts_with("age1") && !word.starts_with("SHA256:");
    text.split_ascii_whitespace().filter(random).collect()
}

/// The vault's path below the home.
fn own(test: &Test) -> PathBuf {
    test.vault_file().strip_prefix(test.home()).expect("below the home").to_owned()
}

fn payload(file: &[u8]) -> Result<Payload, String> {
    let text = plaintext_of(file).map_err(|error| format!("{error:?}"))?;
    Payload::parse(&text).map_err(|error| format!("{error:?}"))
}

fn pin_of(file: &[u8]) -> Result<Pin, String> {
    payload(file).map(|payload| payload.pin())
}

fn summary(file: &[u8], old: Option<Pin>) -> Result<Summary, String> {
    let payload = payload(file)?;
    Ok(Summary {
        generation: payload.generation(),
        profiles: payload.credential_names().map(str::to_owned).collect(),
        devices: payload.totp_serials().count(),
        recipients: payload.recipients().len(),
        passphrases: payload.passphrases().len(),
        renewed: old.is_some_and(|old| old != payload.pin()),
    })
}

/// Everything below a directory.
pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory").map(Result::unwrap) {
            let path = entry.path();
            let content = if entry.file_type().unwrap().is_dir() {
                open.push(path.clone());
                None
            } else {
                Some(std::fs::read(&path).expect("a file"))
            };
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), content);
        }
    }
    tree
}

fn make_directory(path: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path).expect("a directory");
}

fn make_file(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a file");
}
