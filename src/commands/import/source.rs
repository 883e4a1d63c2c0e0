//! The sources of `import`. aws-vault's own flags and variables count here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::super::stdin::stdin_text;
use crate::cli::import::{Import, Source};
use crate::error::{Error, Result};
use crate::exec;
use crate::file::{self, ReadError};
use crate::import::pass::PasswordStore;
use crate::import::{self, Item, aws_vault, plaintext};
use crate::profile;
use crate::secret::Secret;
use crate::unlock;

/// The keys of a source, before any passphrase is asked for.
pub enum SourceKeys {
    /// All of them have been read.
    Read(Vec<Item>),
    /// The files of aws-vault's file backend.
    AwsVaultFiles(aws_vault::Listing),
    /// The entries of these names in pass.
    PassEntries(PasswordStore, Vec<String>),
}

impl SourceKeys {
    /// Decrypts them where they are encrypted.
    pub fn decrypt(self, args: &Import, context: &Context) -> Result<Vec<Item>> {
        let listing = match self {
            Self::Read(items) => return Ok(items),
            Self::PassEntries(store, names) => return store.read(names),
            Self::AwsVaultFiles(listing) => listing,
        };
        let passphrase = match &args.source_passphrase_file {
            Some(path) => {
                let flag = "--source-passphrase-file";
                Some(unlock::passphrase_file(path, flag, &context.env, context.reporter)?)
            }
            // aws-vault's own variable, which counts as unset if it is empty.
            None => context
                .env
                .unlock("AWS_VAULT_FILE_PASSPHRASE")
                .filter(|value| !value.is_empty())
                .map(|value| value.duplicate()),
        };
        aws_vault::read(&listing, passphrase, &context.prompt)
    }
}

/// Looks for keys in the source.
pub fn find(args: &Import, profile: Option<&str>, context: &Context) -> Result<SourceKeys> {
    match args.from {
        Source::AwsVault => files(args, profile, context),
        Source::Pass => entries(args, profile, context),
        Source::Credentials => {
            let path = credentials_file(context)?;
            Ok(SourceKeys::Read(plaintext::items(&path, credentials_text(&path)?.expose())))
        }
        Source::Csv => import::csv(&stdin_text("access key")?, profile).map(SourceKeys::Read),
        Source::Json => import::json(&stdin_text("access key")?, profile).map(SourceKeys::Read),
    }
}

/// aws-vault's file backend.
fn files(args: &Import, profile: Option<&str>, context: &Context) -> Result<SourceKeys> {
    let named = args.dir.as_deref().or(context.global.file_dir.as_deref());
    let dir = directory(named, &["AWS_VAULT_FILE_DIR"], ".awsvault/keys", context)?;
    let mut listing = aws_vault::list(&dir)?;
    if listing.left_out > 0 {
        context.reporter.note(format!(
            "Left out, since they expire: {} sessions and tokens of aws-vault's",
            listing.left_out
        ));
    }
    listing.items.retain(|(name, _)| profile.is_none_or(|profile| name == profile));
    Ok(SourceKeys::AwsVaultFiles(listing))
}

/// aws-vault's entries in pass. Without a prefix they are among all passwords of the user: then only entries
/// with the name of a profile are opened.
fn entries(args: &Import, profile: Option<&str>, context: &Context) -> Result<SourceKeys> {
    let named = args.dir.as_deref().or(context.global.pass_dir.as_deref());
    let variables = ["AWS_VAULT_PASS_PASSWORD_STORE_DIR", "PASSWORD_STORE_DIR"];
    let text = |flag: &Option<String>, variable: &str| {
        flag.clone().or_else(|| context.env.get(variable).map(str::to_owned))
    };
    let store = PasswordStore {
        dir: directory(named, &variables, ".password-store", context)?,
        program: text(&context.global.pass_cmd, "AWS_VAULT_PASS_CMD")
            .map_or_else(|| "pass".into(), OsString::from),
        prefix: text(&context.global.pass_prefix, "AWS_VAULT_PASS_PREFIX").unwrap_or_default(),
        // Without the variables that may open a vault, sops's included.
        vars: exec::helper_environment(&context.env, true),
    };
    let profiles = context.profiles()?;
    let mut names = store.list()?;
    names.retain(|name| !aws_vault::is_no_key(name));
    let found = names.len();
    names.retain(|name| match profile {
        Some(profile) => name == profile,
        None => !store.prefix.is_empty() || profiles.has(name),
    });
    if profile.is_none() && names.len() < found {
        context.reporter.note(format!(
            "Left out, since no profile in the AWS config is called so: {} entries",
            found - names.len()
        ));
    }
    Ok(SourceKeys::PassEntries(store, names))
}

/// The directory of the flag, else of the first variable that is set, else the default. A leading `~/` is the
/// home directory.
fn directory(
    flag: Option<&Path>,
    variables: &[&str],
    default: &str,
    context: &Context,
) -> Result<PathBuf> {
    let home = context.places.home();
    let variable = || variables.iter().find_map(|name| context.env.get_os(name)).map(Path::new);
    match flag.or_else(variable) {
        Some(named) => Ok(match (named.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => named.to_owned(),
        }),
        None => home.map(|home| home.join(default)).ok_or_else(|| {
            Error::not_found("no home directory to look in").hint("name the directory with --dir")
        }),
    }
}

/// The path of the credentials file.
pub fn credentials_file(context: &Context) -> Result<PathBuf> {
    profile::locate(&context.env, context.places.home()).credentials.ok_or_else(|| {
        let why = match context.places.home() {
            Some(home) => format!("{}/.aws may not be entered", home.display()),
            None => "no home directory".to_owned(),
        };
        Error::not_found(format!("{why}, so no credentials file"))
            .hint("name it by AWS_SHARED_CREDENTIALS_FILE")
    })
}

fn credentials_text(path: &Path) -> Result<Secret> {
    let shown = path.display();
    let (mut bytes, _) = file::read_regular(path, profile::FILE_LIMIT).map_err(|error| {
        if matches!(error, ReadError::NotFound) {
            return Error::not_found(format!("there is no credentials file {shown}"));
        }
        Error::other(error.message(&shown, profile::FILE_LIMIT))
    })?;
    Secret::from_utf8(std::mem::take(&mut *bytes))
        .ok_or_else(|| Error::other(format!("cannot read {shown}: it is not UTF-8")))
}
