//! `--write-config`: adds the imported profiles to the AWS config.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::super::config;
use super::super::context::Context;
use crate::cli::import::Import;
use crate::error::{Class, Error, Result};
use crate::import::plaintext;
use crate::import::plan::{self, ImportStep};
use crate::import::sections::{self, Change, OwnPath};
use crate::process;
use crate::profile::AwsFile;

/// What was written, or would be.
pub struct Written {
    path: PathBuf,
    change: Change,
    dry_run: bool,
}

/// With `--write-config`, writes the sections and lines that the AWS config lacks for the profiles whose keys
/// are stored; with `--dry-run`, only finds them.
///
/// # Errors
/// 7 if the file cannot be read or written, 6 if that is refused, 8 while another process writes it, 10 if
/// the disk has not confirmed it.
pub fn run(args: &Import, steps: &[ImportStep], context: &Context) -> Result<Option<Written>> {
    let names = plan::stored(steps);
    if !args.write_config || names.is_empty() {
        return Ok(None);
    }
    let written = written(args, &names, context);
    written.map(Some).map_err(|error| not_written(error, args.dry_run))
}

fn written(args: &Import, names: &[&str], context: &Context) -> Result<Written> {
    let path = config::path(context)?;
    let profiles = context.profiles()?;
    let files = profiles.files();
    let credentials = profiles.text(AwsFile::Credentials);
    let credentials = Zeroizing::new(match &files.credentials {
        // Without the keys that would be removed.
        Some(path) if args.dry_run && args.remove_source => {
            plaintext::without(path, credentials, |name, _| names.contains(&name))?.0
        }
        _ => credentials.to_owned(),
    });
    let program = own_path(context);
    let add = |config: &str| sections::add(files, config, &credentials, names, &program);
    let mut change = Change::default();
    if args.dry_run {
        change = add(profiles.text(AwsFile::Config));
    } else {
        config::edit(&path, |config| {
            change = add(config);
            Ok(change.text.clone())
        })?;
    }
    Ok(Written { path, change, dry_run: args.dry_run })
}

/// The path that a `credential_process` line names.
fn own_path(context: &Context) -> OwnPath {
    if context.global.vault.is_some() {
        return Err("it would open the default vault, not that of --vault");
    }
    process::lasting_path(context.env.get_os("PATH")).ok_or("the path of this program is not known")
}

/// An error that concerns the AWS config alone: the vault is saved by now.
fn not_written(error: Error, dry_run: bool) -> Error {
    let class = match error.class {
        Class::Refused | Class::Busy | Class::NotDurable => error.class,
        _ => Class::NotSaved,
    };
    let error = match dry_run {
        true => {
            let what = format!("the AWS config cannot be changed: {}", error.what);
            Error { what, ..error }
        }
        false => config::partly_done(
            "the keys are in the vault",
            "the AWS config was not changed",
            error,
        ),
    };
    Error { class, ..error }
}

impl Written {
    /// Notes what was written and what was not.
    pub fn note(&self, context: &Context) {
        let (reporter, change) = (context.reporter, &self.change);
        for left in &change.left {
            reporter.warn(format!("not in {}: {left}", self.path.display()));
        }
        if !change.done.is_empty() {
            let changed = if self.dry_run { "Would change" } else { "Changed" };
            reporter.note(format!("{changed} {}:", self.path.display()));
        }
        for done in &change.done {
            reporter.note(format!("  {done}"));
        }
        for no_line in &change.no_line {
            reporter.note(no_line);
        }
        if change.new_section {
            reporter.note(
                "A new section has no region: write it there, or name one with --region or AWS_REGION",
            );
        }
    }
}
