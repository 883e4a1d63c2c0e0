//! After the vault was written: removes the plaintext if asked to, and notes what is left to do.

use std::ffi::OsString;
use std::path::Path;

use super::super::config;
use super::super::context::Context;
use super::source;
use super::write_config::Written;
use crate::called::ProgramName;
use crate::cli::import::{Import, Source};
use crate::credential::Credentials;
use crate::error::Result;
use crate::import::plaintext;
use crate::import::plan::{self, Action, ImportStep, is_same};
use crate::process;
use crate::profile::edit;
use crate::vault::Vault;

/// The advice for keys that also exist elsewhere.
const ROTATE: &str = "make new keys (vault rotate PROFILE)";

/// The profiles whose keys were removed from the credentials file, and those whose keys could not be, since
/// the file's lines for them are not plain.
pub struct Removed {
    taken: Vec<String>,
    left: Vec<String>,
}

/// Removes from the credentials file the keys that the vault on disk has now.
pub fn remove_source(
    profile: Option<&str>,
    vault: &mut Vault,
    context: &Context,
) -> Result<Removed> {
    let path = source::credentials_file(context)?;
    let safe =
        |error| config::partly_done("the keys are in the vault", "they were not taken out", error);
    let stored = vault.read_back().map_err(safe)?;
    let is_safe = |name: &str, key: &Credentials| {
        profile.is_none_or(|profile| profile == name)
            && stored.credential(name).is_some_and(|stored| is_same(&stored, key))
    };
    let mut removed = Removed { taken: Vec::new(), left: Vec::new() };
    config::edit(&path, |text| {
        let (text, taken, left) = plaintext::without(&path, text, is_safe)?;
        removed = Removed { taken, left };
        Ok(text)
    })
    .map_err(safe)?;
    Ok(removed)
}

/// Notes what is left to do.
pub fn note_next_steps(
    args: &Import,
    steps: &[ImportStep],
    removed: Option<Removed>,
    written: Option<&Written>,
    context: &Context,
) -> Result<()> {
    let reporter = context.reporter;
    let stored = plan::stored(steps);
    let kept: Vec<&str> =
        steps.iter().filter(|step| step.act == Action::Kept).map(|step| step.profile).collect();
    if args.remove_source && !kept.is_empty() {
        reporter.warn(format!(
            "the vault has other keys, so these stay in {}: {}",
            source::credentials_file(context)?.display(),
            kept.join(", ")
        ));
    }
    if stored.is_empty() {
        return Ok(());
    }
    match written {
        Some(written) => written.note(context),
        None => note_missing_sections(&stored, context),
    }
    match args.from {
        Source::AwsVault | Source::Pass => {
            reporter.note(format!("For aws-vault's command lines: {}", link()));
            reporter.note(format!(
                "aws-vault's own copies are as they were. When all works, {ROTATE} and remove them"
            ));
        }
        Source::Csv | Source::Json => {
            reporter
                .note("If the input came from a file, remove the file: its keys are not encrypted");
        }
        Source::Credentials => {
            note_roles(&stored, context);
            let path = source::credentials_file(context)?;
            match removed {
                Some(removed) => note_removal(&path, &removed, written, context),
                None => reporter.note(format!(
                    "The keys are still unencrypted in {}: --remove-source removes them",
                    path.display()
                )),
            }
        }
    }
    Ok(())
}

/// Where the link `aws-vault` is, or how to make it. A package has the link, and its program keeps the
/// package's name whichever name it was started by.
fn link() -> &'static str {
    let path = process::own_path().map(OsString::from);
    match ProgramName::of(path.as_slice()) {
        ProgramName::Packaged => "aws-vault is in /usr/lib/aws-age-vault/bin",
        _ => "ln -s vault aws-vault, in the directory of vault",
    }
}

/// Notes the profiles that work differently with their key in the vault: the AWS CLI ends a chain at a key in
/// the files, and a key in the vault assumes its profile's role.
fn note_roles(stored: &[&str], context: &Context) {
    let Ok(profiles) = context.profiles() else { return };
    let names = profiles.names();
    for name in stored.iter().filter(|name| profiles.get(name, "role_arn").is_some()) {
        let sources_it =
            |other: &&String| other != name && profiles.get(other, "source_profile") == Some(*name);
        let others: Vec<&str> = names.iter().filter(sources_it).map(String::as_str).collect();
        if !others.is_empty() {
            context.reporter.note(format!(
                "The key of {name} in the vault assumes its role_arn first for what sources {name}, and the key \
                 in the file did not: {}",
                others.join(", ")
            ));
        }
    }
}

fn note_removal(path: &Path, removed: &Removed, written: Option<&Written>, context: &Context) {
    let (reporter, shown) = (context.reporter, path.display());
    for profile in &removed.left {
        reporter.warn(format!(
            "the key of {profile} is in {shown} more than once, or in [DEFAULT], and was left \
             there: remove it in an editor"
        ));
    }
    if !removed.taken.is_empty() {
        reporter.note(format!("Removed the keys of {} from {shown}", removed.taken.join(", ")));
        if written.is_none() {
            let program = process::lasting_path(context.env.get_os("PATH"))
                .unwrap_or_else(|| "/usr/local/bin/vault".to_owned());
            reporter.note(format!(
                "The AWS CLI and SDKs get them by this line in the profile's section of the AWS config \
                 (--write-config writes it): credential_process = {program} exec --json PROFILE"
            ));
        }
        reporter.note(format!(
            "Copies of that file (backups, snapshots, what the disk keeps of it) and a shell's history may still \
             have them: {ROTATE}"
        ));
    }
}

/// Notes the sections that the AWS config lacks. A config that cannot be read is an error of the next
/// command.
fn note_missing_sections(stored: &[&str], context: &Context) {
    let Ok(profiles) = context.profiles() else { return };
    let lacking: Vec<_> = stored
        .iter()
        .filter(|name| !profiles.has(name))
        .filter_map(|name| edit::add_profile("", name, &[]).ok())
        .collect();
    let Some(path) = profiles.files().config.as_deref().filter(|_| !lacking.is_empty()) else {
        return;
    };
    context
        .reporter
        .note(format!("Add to {}, each with its region, or by --write-config:", path.display()));
    for section in lacking {
        context.reporter.note(format!("  {}", section.trim_end()));
    }
}
