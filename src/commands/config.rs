//! Changes to the AWS config and credentials files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::Context;
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, Existing, ReadError, ReplaceError};
use crate::profile;

/// How long to wait for another process that changes the AWS config.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Sets keys in the profile's section of the AWS config, and adds the section if it is missing. If there is
/// no place for the file, that is a warning. `safe`: what is done already, for the error.
pub fn set(profile: &str, settings: &[(&str, &str)], safe: &str, context: &Context) -> Result<()> {
    let path = match path(context) {
        Ok(path) => path,
        Err(none) => {
            context.reporter.warn(none.what);
            return Ok(());
        }
    };
    let set = |old: &str| profile::edit::set_profile(old, profile, settings);
    edit(&path, set).map_err(|error| partly_done(safe, "the AWS config was not changed", error))
}

/// The path of the AWS config file, which may not exist yet.
///
/// # Errors
/// Not saved (7) without a home directory that may be entered; refused (6) for a new file in another user's
/// home.
pub fn path(context: &Context) -> Result<PathBuf> {
    let files = profile::locate(&context.env, context.places.home());
    let Some(path) = files.config else {
        let why = match context.places.home() {
            Some(home) => format!("{}/.aws may not be entered", home.display()),
            None => "there is no home directory".to_owned(),
        };
        let what = format!("{why}, so no AWS config file that the profile could be added to");
        return Err(Error::not_saved(what));
    };
    if path.symlink_metadata().is_err() {
        context.places.may_create(&path).map_err(|refused| Error {
            what: format!("the profile is in no AWS config file: {}", refused.what),
            ..refused
        })?;
    }
    Ok(path)
}

/// The error of an [`edit`] after another step was done. Its class is not 7, which means an unchanged vault.
pub fn partly_done(safe: &str, not_done: &str, error: Error) -> Error {
    match error.class {
        Class::NotDurable => Error { what: format!("{safe}, but {}", error.what), ..error },
        _ => {
            let what = format!("{safe}, but {not_done}: {}", error.what);
            Error { what, class: Class::Other, ..error }
        }
    }
}

/// Changes the text of a file, which keeps its mode and its owner; a missing file counts as empty. Nothing is
/// written if the text stays the same.
pub fn edit(path: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let shown = path.display();
    let not_saved = |why: String| Error::not_saved(format!("{shown}: {why}"));
    file::make_parents(path).map_err(|error| not_saved(os_text(&error)))?;
    let real = file::resolve(path).map_err(|error| not_saved(os_text(&error)))?;
    let lock = file::lock(&real, LOCK_WAIT, "changes the same file").map_err(|error| {
        error.into_error(&real, &format!("is changing {shown}"), LOCK_WAIT, &shown.to_string())
    })?;
    let (old, meta) = match file::read_regular(&real, profile::FILE_LIMIT) {
        Ok((bytes, meta)) => (bytes, Some(meta)),
        Err(ReadError::NotFound) => (Default::default(), None),
        Err(ReadError::Io(error)) => return Err(not_saved(os_text(&error))),
        Err(_) => return Err(not_saved("it is no file, or too large".to_owned())),
    };
    let old = std::str::from_utf8(&old).map_err(|_| not_saved("it is not UTF-8".to_owned()))?;
    let new = zeroize::Zeroizing::new(change(old)?);
    if *new == *old {
        return Ok(());
    }
    if new.len() as u64 > profile::FILE_LIMIT {
        // No command could read it.
        return Err(not_saved("it would be larger than 1 MiB".to_owned()));
    }
    let existing = meta.as_ref().map_or(Existing::New { mode: 0o600 }, Existing::Keep);
    match file::replace(&lock, &real, new.as_bytes(), existing, &mut |_| true) {
        Ok(()) => Ok(()),
        Err(ReplaceError::NotDurable(why)) => Err(Error::new(
            Class::NotDurable,
            format!("the disk has not confirmed the change of {shown}: {why}"),
        )),
        Err(ReplaceError::NotSaved(why, _)) => Err(not_saved(why)),
        Err(ReplaceError::UnsafeDirectory) => {
            Err(Error::refused(format!("everybody can write the directory of {shown}")))
        }
    }
}
