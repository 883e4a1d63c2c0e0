//! The errors for a file that is missing or is no vault, with what to do.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::access::Access;
use crate::error::{Class, Error, os_text};
use crate::file;
use crate::os;
use crate::process::shell_word;
use crate::sealed;
use crate::secret::Secret;
use crate::unlock;

/// Adds the file's name to the error of one that cannot be read as a vault, with what to do.
pub(super) fn of_file(error: Error, access: &Access) -> Error {
    if error.class != Class::Damaged || error.hint.is_some() {
        return error;
    }
    let path = access.path.display();
    error.hint(format!(
        "that is {path}: put a backup in its place, or name another file with --vault"
    ))
}

/// The error for a missing vault, with the command that makes one.
pub(super) fn missing(access: &Access) -> Error {
    let error = no_vault(&access.path, &std::io::ErrorKind::NotFound.into());
    if access.remote.is_some() {
        return error;
    }
    let named = access.by_flag.then_some(access.path.as_path());
    error.hint(how_to_make(named, access.identity_file.as_deref()))
}

/// A hint with the command that makes a vault. `named`: the path of `--vault`. `identity_file`: the default one,
/// which the command makes if it is missing, and whose key opens the vault if there is one.
pub fn how_to_make(named: Option<&Path>, identity_file: Option<&Path>) -> String {
    let mut command = "vault init".to_owned();
    if let Some(path) = named {
        command += &format!(" --vault {}", shell_word(&path.to_string_lossy()));
    }
    let is_missing = |path: &&Path| path.symlink_metadata().is_err();
    let recipient = identity_file.and_then(recipient_in);
    match (identity_file.filter(is_missing), recipient) {
        (Some(path), _) => {
            let path = shell_word(&path.to_string_lossy());
            command += &format!(" --generate-identity {path}");
        }
        (None, Some(recipient)) => command += &format!(" -r {}", shell_word(&recipient)),
        (None, None) => command += " --passphrase",
    }
    format!("make one: {command}; or name it with --vault or AWS_VAULT_FILE")
}

/// The recipient of the first key in an identity file.
fn recipient_in(path: &Path) -> Option<String> {
    let (bytes, _) = file::read_regular(path, unlock::KEY_LIMIT).ok()?;
    let identities = sealed::parse_identities(&Secret::from_text(&bytes)?, "").ok()?;
    identities.first()?.recipient().map(|recipient| recipient.to_string())
}

/// The owner of the nearest ancestor of a path that can be examined.
fn owner(path: &Path) -> Option<String> {
    let (ancestor, about) = path.ancestors().find_map(|at| Some((at, at.metadata().ok()?)))?;
    let (uid, mode, own) = (about.uid(), about.mode() & 0o7777, os::effective_uid());
    Some(format!("{} belongs to uid {uid}, mode {mode:04o}; this is uid {own}", ancestor.display()))
}

/// Only ENOENT means that there is no vault; EIO or EACCES taken for it would get one overwritten.
pub(super) fn no_vault(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        Error::not_found(format!("no vault at {shown}"))
            .hint("make one with vault init, or name it with --vault or AWS_VAULT_FILE")
    } else {
        let is_loop = error.raw_os_error() == Some(libc::ELOOP);
        let class = if is_loop { Class::Refused } else { Class::Other };
        let what = format!("cannot read the vault {shown}: {}", os_text(error));
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        Error { hint: denied.then(|| owner(path)).flatten(), ..Error::new(class, what) }
    }
}
