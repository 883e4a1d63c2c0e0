//! The two files: where they are, and what they say together. A setting of the credentials file overrides
//! that of the config file, as in the AWS CLI.
//!
//! No file is refused for one line: a line that is not understood is an error for the profiles that use its
//! section, and for no other.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ini::{self, Fault};
use super::remarks::{Remark, remarks};
use super::sections::{AwsFile, Group, Sections, Swallowed};
use super::value::{plain, set};
use super::variables::Variables;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::file::{self, ReadError};

/// The most bytes that a config or credentials file may have.
pub const FILE_LIMIT: u64 = 1024 * 1024;

/// Where the AWS files are. `None`: there is no such place, as without a home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The config file, by default `~/.aws/config`.
    pub config: Option<PathBuf>,
    /// The credentials file, by default `~/.aws/credentials`.
    pub credentials: Option<PathBuf>,
}

/// Finds the files: `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` (a leading `~/` is the home),
/// else below the home. Without a home there is no default file: never `./~/.aws`. Nor is there one, to
/// the SDKs as well, in a directory that may not be entered (`HOME=/root` of another user).
pub fn locate(env: &Env, home: Option<&Path>) -> Files {
    let locate_file = |variable: &str, default: &str| match env.get_os(variable) {
        Some(named) => match Path::new(named).strip_prefix("~") {
            Ok(rest) => home.map(|home| home.join(rest)),
            Err(_) => Some(PathBuf::from(named)),
        },
        None => home
            .map(|home| home.join(default))
            .filter(|path| file::closed_directory(path).is_none()),
    };
    Files {
        config: locate_file("AWS_CONFIG_FILE", ".aws/config"),
        credentials: locate_file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    }
}

/// What the two files and the environment's variables say.
///
/// The credentials file may hold keys in the clear, so this type has no content in its `Debug`.
pub struct Profiles {
    files: Files,
    config: Sections,
    credentials: Sections,
    /// The texts of both, for remarks on their lines.
    texts: [Zeroizing<String>; 2],
    variables: Variables,
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiles").field("names", &self.names()).finish_non_exhaustive()
    }
}

/// Reads and parses both files, and looks the variables up. A missing file, and `/dev/null`, is an empty one.
///
/// # Errors
/// [`crate::error::Class::Other`], naming the path and where possible the line, never the content:
/// a file that cannot be read, is over [`FILE_LIMIT`] or is not UTF-8.
pub fn read(files: &Files, env: &Env) -> Result<Profiles> {
    let config = load(files.config.as_deref())?;
    let credentials = load(files.credentials.as_deref())?;
    Ok(Profiles::of(files, [config, credentials], env))
}

/// The text of one file, without a byte order mark.
fn load(path: Option<&Path>) -> Result<Zeroizing<String>> {
    let Some(path) = path else { return Ok(Default::default()) };
    let shown = path.display();
    let mut bytes = match file::read_regular(path, FILE_LIMIT) {
        Ok((bytes, _)) => bytes,
        Err(ReadError::NotFound) => return Ok(Default::default()),
        // HOME=/dev/null is how some give a service no home.
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Ok(Default::default());
        }
        // And AWS_CONFIG_FILE=/dev/null is how one says "no file".
        Err(ReadError::NotRegular) if is_null(path) => return Ok(Default::default()),
        Err(error) => return Err(Error::other(error.message(shown, FILE_LIMIT))),
    };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = Zeroizing::new(error.into_bytes());
            let line = 1 + bytes.iter().take(valid).filter(|b| **b == b'\n').count();
            Err(Error::other(format!("cannot read {shown}: line {line} is not UTF-8")))
        }
    }
}

fn is_null(path: &Path) -> bool {
    std::fs::canonicalize(path).is_ok_and(|real| real == Path::new("/dev/null"))
}

impl Profiles {
    /// Parses the contents of both files, without a byte order mark; `files` names them in messages.
    /// Without variables.
    pub fn parse(files: &Files, config: &str, credentials: &str) -> Self {
        Self::parse_in(&Env::default(), files, config, credentials)
    }

    /// The same, in an environment.
    pub(super) fn parse_in(env: &Env, files: &Files, config: &str, credentials: &str) -> Self {
        Self::of(files, [config, credentials].map(|text| Zeroizing::new(text.to_owned())), env)
    }

    fn of(files: &Files, texts: [Zeroizing<String>; 2], env: &Env) -> Self {
        let [config, credentials] = &texts;
        Self {
            files: files.clone(),
            config: Sections::parse(AwsFile::Config, files.config.as_deref(), config),
            credentials: Sections::parse(
                AwsFile::Credentials,
                files.credentials.as_deref(),
                credentials,
            ),
            texts,
            variables: Variables::of(env),
        }
    }

    /// The environment's variables.
    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The names of all profiles in the files, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.config.names().chain(self.credentials.names()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(str::to_owned).collect()
    }

    /// True if the profile is in one of the files.
    pub fn has(&self, profile: &str) -> bool {
        self.config.has(Group::Profile, profile) || self.credentials.has(Group::Profile, profile)
    }

    /// A key of a profile's own section, trimmed, without a comment behind it where it can hold no blank;
    /// an empty one counts as unset.
    pub fn get(&self, profile: &str, key: &str) -> Option<&str> {
        let mut both = [&self.credentials, &self.config].into_iter();
        set(key, both.find_map(|file| file.get(Group::Profile, profile, key))?)
    }

    /// All keys of a profile that are set, as [`Profiles::get`] gives them.
    pub(super) fn settings(&self, profile: &str) -> impl Iterator<Item = (&str, &str)> {
        let both = [&self.config, &self.credentials].into_iter();
        all_set(both.flat_map(move |file| file.settings(Group::Profile, profile)))
    }

    /// The plaintext access key of a profile: the credentials file's, else the config file's.
    pub fn plaintext(&self, profile: &str) -> Option<AccessKey<'_>> {
        self.access_key(profile, AwsFile::Credentials)
            .or_else(|| self.access_key(profile, AwsFile::Config))
    }

    /// The access key of a profile in one file, which is not mixed with the other file's.
    pub fn access_key(&self, profile: &str, which: AwsFile) -> Option<AccessKey<'_>> {
        let (file, ..) = self.file(which);
        let get = |key: &str| set(key, file.get(Group::Profile, profile, key)?);
        Some(AccessKey {
            id: get("aws_access_key_id")?,
            secret: get("aws_secret_access_key"),
            token: get("aws_security_token").or_else(|| get("aws_session_token")),
        })
    }

    /// Checks that each line of a profile is understood, and each of the `[DEFAULT]` of its files.
    ///
    /// # Errors
    /// [`crate::error::Class::Other`], naming the file, the line and, where it can be no secret, its text.
    pub fn understood(&self, profile: &str) -> Result<()> {
        self.check(AwsFile::Config, Group::Profile, profile)?;
        self.check(AwsFile::Credentials, Group::Profile, profile)
    }

    fn check(&self, which: AwsFile, group: Group, name: &str) -> Result<()> {
        let (file, _, path) = self.file(which);
        let Some((section, fault)) = file.fault(group, name) else { return Ok(()) };
        Err(not_understood(path, &section, fault, which))
    }

    /// What one file says, its text, and where it is.
    fn file(&self, which: AwsFile) -> (&Sections, &str, Option<&Path>) {
        let ([config, credentials], files) = (&self.texts, &self.files);
        match which {
            AwsFile::Config => (&self.config, config, files.config.as_deref()),
            AwsFile::Credentials => (&self.credentials, credentials, files.credentials.as_deref()),
        }
    }

    /// The keys of a section `[sso-session NAME]` that are set, if there is one.
    pub(super) fn sso_session(&self, name: &str) -> Result<Option<HashMap<&str, &str>>> {
        self.check(AwsFile::Config, Group::SsoSession, name)?;
        let settings = || all_set(self.config.settings(Group::SsoSession, name)).collect();
        Ok(self.config.has(Group::SsoSession, name).then(settings))
    }

    /// True if there is a section `[services NAME]` with a setting.
    pub fn has_services(&self, name: &str) -> bool {
        self.config.has(Group::Services, name)
    }

    /// The `endpoint_url` below a service (`sts =`) in a `[services NAME]` section.
    pub(super) fn service_endpoint(&self, services: &str, service: &str) -> Result<Option<&str>> {
        self.check(AwsFile::Config, Group::Services, services)?;
        let raw = self.config.get(Group::Services, services, service);
        let Some(raw) = raw.filter(|raw| !raw.is_empty()) else { return Ok(None) };
        let Some(Ok(settings)) = ini::nested(raw) else {
            let services = plain(services);
            return Err(Error::usage(format!(
                "{service} of [services {services}] is a value, not a block of settings"
            ))
            .hint(format!("write endpoint_url = VALUE below {service} =, indented")));
        };
        Ok(endpoint_url(settings))
    }

    /// Each service of a `[services NAME]` section that names an endpoint, with it, sorted.
    pub(super) fn service_endpoints(&self, services: &str) -> Vec<(&str, &str)> {
        let section = self.config.settings(Group::Services, services);
        let endpoint = |(service, raw)| Some((service, endpoint_url(ini::nested(raw)?.ok()?)?));
        let mut found: Vec<(&str, &str)> = section.filter_map(endpoint).collect();
        found.sort_unstable();
        found
    }

    /// The remarks on the files, the config file's first. They are made here, since few callers need them and
    /// long files take time.
    pub fn remarks(&self) -> Vec<Remark> {
        let of = |which| {
            let (file, text, path) = self.file(which);
            remarks(file, which, path, text)
        };
        [AwsFile::Config, AwsFile::Credentials].into_iter().flat_map(of).collect()
    }

    /// The settings in a profile's section that continue the line above them.
    pub(super) fn swallowed(&self, profile: &str) -> impl Iterator<Item = &Swallowed> {
        self.config.swallowed(profile).iter().chain(self.credentials.swallowed(profile))
    }

    /// The text of one file, without a byte order mark.
    pub fn text(&self, which: AwsFile) -> &str {
        self.file(which).1
    }

    /// Where the profiles come from.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The warning on a profile that one file has under two spellings.
    pub fn doubled(&self, profile: &str) -> Option<&str> {
        self.config.doubled(profile).or_else(|| self.credentials.doubled(profile))
    }
}

/// A plaintext access key, whole or not.
pub struct AccessKey<'a> {
    /// `aws_access_key_id`
    pub id: &'a str,
    /// `aws_secret_access_key`
    pub secret: Option<&'a str>,
    /// `aws_security_token` (boto's old name, which botocore asks for first) or `aws_session_token`.
    pub token: Option<&'a str>,
}

/// The values that are set, of which the last for a key counts.
fn all_set<'a>(
    raw: impl Iterator<Item = (&'a str, &'a str)>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let raw: HashMap<&str, &str> = raw.collect();
    raw.into_iter().filter_map(|(key, raw)| Some((key, set(key, raw)?)))
}

/// The endpoint that the settings of a service name; of several the last counts.
fn endpoint_url<'a>(settings: Vec<(&str, &'a str)>) -> Option<&'a str> {
    let (key, raw) = settings.into_iter().rev().find(|(key, _)| *key == "endpoint_url")?;
    set(key, raw)
}

/// The error for a line that is not understood.
fn not_understood(path: Option<&Path>, section: &str, fault: &Fault, which: AwsFile) -> Error {
    let path = path.map_or("the AWS config".into(), |path| path.display().to_string());
    let text = match which {
        AwsFile::Config => masked(&fault.text),
        // It may be a key.
        AwsFile::Credentials => String::new(),
    };
    Error::other(format!("{path} line {}, of {section}, is not understood{text}", fault.line))
        .hint("make it KEY = VALUE, or a comment that begins with #")
}

/// The text of a line, as far as it cannot be a secret: short words of small letters, and of a line that
/// names a secret the first of them only.
fn masked(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let names_one = ["secret", "token", "password", "key"].iter().any(|name| lower.contains(name));
    let mask = |(at, word): (usize, &str)| {
        let digits = word.len() <= 12;
        let plain = word.len() < 32
            && word.bytes().all(|b| {
                b.is_ascii_lowercase() || b"_-[].:=#;".contains(&b) || digits && b.is_ascii_digit()
            });
        if plain && (at == 0 || !names_one) { word.to_owned() } else { "...".to_owned() }
    };
    let words: Vec<String> = text.split_whitespace().enumerate().map(mask).collect();
    format!(": {}", plain(&words.join(" ")))
}
