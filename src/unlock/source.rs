//! Reading one source: a variable, a file, stdin or a descriptor, with the check that it is private.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::owner::{self, Ids};
use super::table::{KeySource, Location, Purpose};
use super::{Material, SecretKind, ci, keyring};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::file::{self, Descriptor, Meta, ReadError};
use crate::os;
use crate::reporter::Reporter;
use crate::secret::Secret;

/// The most bytes of a key file or passphrase file.
pub const KEY_LIMIT: u64 = 64 * 1024;

/// Whether a pipe is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For named sources, as any program does.
    ForWriter,
    /// For default sources, which are files: the user did not ask for them, so they must not block.
    Never,
}

/// Reads sources.
pub struct Reader<'a> {
    pub(super) env: &'a Env,
    reporter: Reporter,
    slots: &'a [String],
}

impl<'a> Reader<'a> {
    /// `slots` are the names of the vault's passphrase slots, for which the keyring is searched.
    pub fn new(env: &'a Env, reporter: Reporter, slots: &'a [String]) -> Self {
        Self { env, reporter, slots }
    }

    /// The key material of a source; none if an optional source is missing.
    pub(super) fn read(&self, source: &KeySource) -> Result<Vec<Material>> {
        let purpose = source.purpose;
        let text = match &source.location {
            Location::Keyring => return Ok(self.keyring()),
            Location::File(path, by) => Some(self.named_file(path, purpose, by)?),
            Location::FileOf(name) => match self.path_variable(name)? {
                Some(path) => Some(self.named_file(&path, purpose, name)?),
                None => None,
            },
            Location::OtherVariable(_) if !source.location.is_set(self.env) => None,
            Location::Variable(name) | Location::OtherVariable(name) => {
                self.variable(name)?.map(|secret| ((*name).to_owned(), secret))
            }
            Location::DefaultFile(path) => self.read_file(path, purpose, Wait::Never)?,
            Location::OtherFileOf(name) => match self.env.get_os(name).map(Path::new) {
                Some(path) => {
                    let wait = file::descriptor(path).map_or(Wait::Never, |_| Wait::ForWriter);
                    self.read_file(path, purpose, wait)?
                }
                None => None,
            },
        };
        let Some((label, secret)) = text else { return Ok(Vec::new()) };
        let kind = match purpose {
            Purpose::Key => SecretKind::Identity(secret),
            Purpose::Passphrase(_) => SecretKind::Passphrase(passphrase(&label, secret)?),
        };
        Ok(vec![Material { label, kind, sops: source.is_sops() }])
    }

    /// The secrets that `vault unlock` has stored in the kernel's keyring. Without a keyring, as in a
    /// container, only a debug message is printed, since the user did not name it.
    fn keyring(&self) -> Vec<Material> {
        let found = keyring::find(self.slots).unwrap_or_else(|why| {
            self.reporter.debug(format!("{} is not available: {why}", keyring::NAME));
            Vec::new()
        });
        let slots = found.into_iter().map(|(secret, _)| SecretKind::Slot(secret));
        slots.map(|kind| Material { label: keyring::NAME.to_owned(), kind, sops: false }).collect()
    }

    /// The passphrase in a variable, for a new slot.
    pub fn passphrase_variable(&self, name: &'static str) -> Result<Option<Secret>> {
        self.variable(name)?.map(|secret| passphrase(name, secret)).transpose()
    }

    /// The path in a variable.
    pub fn path_variable(&self, name: &'static str) -> Result<Option<PathBuf>> {
        Ok(self.variable(name)?.map(|secret| PathBuf::from(secret.expose())))
    }

    fn variable(&self, name: &'static str) -> Result<Option<Secret>> {
        match self.env.unlock(name) {
            Some(value) if value.is_empty() => Err(Error::locked(format!("{name} is set but empty"))
                .hint("a CI variable that is protected or not defined is empty; unset it if it is not needed")),
            Some(value) => Ok(Some(value.duplicate())),
            None => Ok(None),
        }
    }

    /// A passphrase file that does not open the vault. `by` is the flag or variable that names it.
    pub fn passphrase_file(&self, path: &Path, purpose: Purpose, by: &str) -> Result<Secret> {
        let (label, secret) = self.named_file(path, purpose, by)?;
        passphrase(&label, secret)
    }

    /// The label and text of a file that the user named.
    fn named_file(&self, path: &Path, purpose: Purpose, by: &str) -> Result<(String, Secret)> {
        refuse_secret_in_place_of_path(path, by)?;
        self.read_file(path, purpose, Wait::ForWriter)?.ok_or_else(|| missing(path, purpose, by))
    }

    /// The label and text of a file; `None` if it does not exist.
    fn read_file(
        &self,
        path: &Path,
        purpose: Purpose,
        wait: Wait,
    ) -> Result<Option<(String, Secret)>> {
        let descriptor = file::descriptor(path);
        let (label, read) = match (wait, descriptor) {
            (Wait::Never, _) => (path.display().to_string(), file::read_regular(path, KEY_LIMIT)),
            (_, Some(Descriptor::Own(0))) => {
                ("stdin".to_owned(), file::read_fd(os::stdin_fd(), KEY_LIMIT))
            }
            _ => (path.display().to_string(), file::read_stream(path, KEY_LIMIT)),
        };
        let (bytes, meta) = match read {
            Ok(read) => read,
            Err(ReadError::NotFound) => return Ok(None),
            Err(error) => {
                let what = format_args!("the {} {label}", purpose.name());
                return Err(Error::locked(error.message(what, KEY_LIMIT)));
            }
        };
        if let Some(descriptor) = descriptor {
            file::close_inherited(descriptor, &meta);
        }
        if !matches!(descriptor, Some(Descriptor::Own(_))) && !is_public(purpose, &bytes) {
            self.check_private(path, purpose, &meta)?;
        }
        text(&label, purpose, bytes).map(|secret| Some((label, secret)))
    }

    /// Refuses a file that others can read or write. In a CI job (GitLab writes file variables with mode
    /// 0666) and where container secrets are mounted (mode 0444), it is a warning.
    fn check_private(&self, path: &Path, purpose: Purpose, meta: &Meta) -> Result<()> {
        let ids = Ids::current();
        let Some(who) = owner::others_with_access(meta, &ids) else { return Ok(()) };
        let shown = path.display();
        let (name, flag, mode) = (purpose.name(), purpose.flag(), meta.mode & 0o7777);
        let what = format!("the {name} {shown} is not private: {who} (mode {mode:04o})");
        let under_run = || fs::canonicalize(path).is_ok_and(|real| real.starts_with("/run"));
        if meta.for_secrets || under_run() || ci::is_job(self.env) {
            self.reporter.warn(what);
            return Ok(());
        }
        let remedy = owner::remedy(meta, &ids, &shown.to_string());
        Err(Error::refused(what).hint(format!("{remedy}, or give it with {flag} - <{shown}")))
    }
}

/// True if a key's file has public keys and nothing else, which everybody may read, and which open nothing.
fn is_public(purpose: Purpose, bytes: &[u8]) -> bool {
    let beginnings = [&b"age1"[..], b"ssh-", b"ecdsa-", b"sk-"];
    let lines = bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).peekable();
    purpose == Purpose::Key
        && lines.peek().is_some()
        && lines.all(|line| beginnings.iter().any(|beginning| line.starts_with(beginning)))
}

fn text(label: &str, purpose: Purpose, mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret> {
    let text = match purpose {
        // A passphrase-protected identity file, as `age -p` writes it: binary, so it is kept in base64.
        Purpose::Key if bytes.starts_with(b"age-encryption.org/") => {
            Some(Secret::new(STANDARD.encode(&bytes)))
        }
        Purpose::Key => Secret::from_text(&bytes),
        _ => Secret::from_utf8(std::mem::take(&mut *bytes)),
    };
    text.ok_or_else(|| Error::locked(format!("{label} is not text, so it holds no key")))
}

/// Drops one trailing newline, which editors add, and a byte order mark.
fn passphrase(label: &str, secret: Secret) -> Result<Secret> {
    let text = secret.expose();
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let bare = bare.strip_suffix("\r\n").or_else(|| bare.strip_suffix('\n')).unwrap_or(bare);
    if bare.is_empty() {
        return Err(Error::locked(format!("the passphrase in {label} is empty")));
    }
    Ok(if bare.len() == text.len() { secret } else { Secret::new(bare.to_owned()) })
}

fn missing(path: &Path, purpose: Purpose, by: &str) -> Error {
    Error::locked(format!("the {} {} ({by}) does not exist", purpose.name(), path.display()))
        .hint(format!("correct the path, or leave {by} out"))
}

/// Refuses a key in place of its file's name, and does not echo it.
fn refuse_secret_in_place_of_path(path: &Path, by: &str) -> Result<()> {
    let text = path.to_string_lossy();
    let upper = text.trim_start().to_ascii_uppercase();
    if upper.starts_with("AGE-SECRET-KEY-")
        || text.trim_start().starts_with("AGE-PLUGIN-")
        || text.contains('\n')
    {
        return Err(Error::usage(format!("{by} needs the name of a file, and this is a key"))
            .hint("put it into a file of mode 0600, or give it by AWS_VAULT_AGE_KEY or -i -"));
    }
    Ok(())
}
