//! The two files, read by us and parsed by `aws-config`.
//!
//! We read them because the SDK's own loader takes an unreadable file for an empty one. We do not
//! parse them, so that a profile means here what it means to the AWS SDKs; the price is that some
//! sections which the AWS CLI (Python's configparser) accepts are passed over. Those are found by a
//! scan of the headers and reported where they matter: in "no such profile" and by `doctor`.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_config::profile::{ProfileFileLoadError, ProfileSet};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_runtime::env_config::property::PropertiesKey;

use super::lines::{Header, is_identifier};
use crate::env::Env;
use crate::error::{Error, Reason, Result, os_text};
use crate::file::{self, ReadError};

/// The most bytes that a config or credentials file may have.
pub const FILE_LIMIT: u64 = 1024 * 1024;

/// Where the AWS files lie. `None`: there is no such place, as without a home.
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
    let place = |variable: &str, default: &str| match env.get_os(variable) {
        Some(named) => match Path::new(named).strip_prefix("~") {
            Ok(rest) => home.map(|home| home.join(rest)),
            Err(_) => Some(PathBuf::from(named)),
        },
        None => home
            .map(|home| home.join(default))
            .filter(|path| file::closed_directory(path).is_none()),
    };
    Files {
        config: place("AWS_CONFIG_FILE", ".aws/config"),
        credentials: place("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    }
}

/// What the two files say.
///
/// The credentials file may hold keys in the clear, so this type has no content in its `Debug`.
pub struct Profiles {
    set: ProfileSet,
    files: Files,
    ignored: Vec<String>,
    /// The profile that each line of `ignored` is about.
    ignored_names: Vec<String>,
    /// Profiles under two spellings in one file: which of two values counts is left to chance.
    /// With the place of the line in `ignored` that says so.
    doubled: BTreeMap<String, usize>,
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiles").field("names", &self.names()).finish_non_exhaustive()
    }
}

/// Reads and parses both files. A missing file, and `/dev/null`, is an empty one.
///
/// # Errors
/// [`crate::error::Class::Other`], naming the path and where possible the line, never the content:
/// a file that cannot be read, is over [`FILE_LIMIT`], is not UTF-8, or is not understood.
pub fn read(files: &Files) -> Result<Profiles> {
    let config = load(files.config.as_deref())?;
    let credentials = load(files.credentials.as_deref())?;
    Profiles::parse(files, &config, &credentials)
}

/// The text of one file, without a byte order mark.
fn load(path: Option<&Path>) -> Result<zeroize::Zeroizing<String>> {
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
        Err(ReadError::NotRegular) => {
            return Err(Error::other(format!("cannot read {shown}: not a regular file")));
        }
        Err(ReadError::TooLarge) => {
            return Err(Error::other(format!("cannot read {shown}: larger than 1 MiB")));
        }
        Err(ReadError::Io(error)) => {
            return Err(Error::other(format!("cannot read {shown}: {}", os_text(&error))));
        }
    };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = zeroize::Zeroizing::new(error.into_bytes());
            let line = 1 + bytes.iter().take(valid).filter(|b| **b == b'\n').count();
            Err(Error::other(format!("cannot read {shown}: line {line} is not UTF-8")))
        }
    }
}

fn is_null(path: &Path) -> bool {
    std::fs::canonicalize(path).is_ok_and(|real| real == Path::new("/dev/null"))
}

impl Profiles {
    /// Parses the contents of both files; `files` only names them in what is said.
    ///
    /// # Errors
    /// As [`read`].
    pub fn parse(files: &Files, config: &str, credentials: &str) -> Result<Self> {
        let set = parse(&[
            (EnvConfigFileKind::Config, config),
            (EnvConfigFileKind::Credentials, credentials),
        ])
        .map_err(|error| {
            // The parser names no file for contents: the one that fails alone is the one.
            let alone = [
                (EnvConfigFileKind::Config, config, &files.config),
                (EnvConfigFileKind::Credentials, credentials, &files.credentials),
            ];
            for (kind, text, path) in alone {
                if let Err(error) = parse(&[(kind, text)]) {
                    return not_understood(path.as_deref(), &error);
                }
            }
            not_understood(None, &error)
        })?;
        let mut profiles = Self {
            set,
            files: files.clone(),
            ignored: Vec::new(),
            ignored_names: Vec::new(),
            doubled: BTreeMap::new(),
        };
        profiles.scan(EnvConfigFileKind::Config, config);
        profiles.scan(EnvConfigFileKind::Credentials, credentials);
        Ok(profiles)
    }

    /// The names of all profiles in the files, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.set.profiles().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    /// True if the profile stands in one of the files.
    pub fn has(&self, profile: &str) -> bool {
        self.set.get_profile(profile).is_some()
    }

    /// A key of a profile's own section, trimmed; an empty one counts as unset.
    ///
    /// An indented comment is part of the value above it to the SDK's parser, and none of it to the
    /// AWS CLI: it is cut off.
    pub fn get(&self, profile: &str, key: &str) -> Option<&str> {
        without_comment(self.set.get_profile(profile)?.get(key)?)
    }

    /// True if there is a section `[sso-session NAME]`.
    pub fn has_sso_session(&self, name: &str) -> bool {
        self.set.sso_session(name).is_some()
    }

    /// A key of a section `[sso-session NAME]`, as [`Profiles::get`] gives a profile's.
    pub fn sso_session(&self, name: &str, key: &str) -> Option<&str> {
        without_comment(self.set.sso_session(name)?.get(key)?)
    }

    /// A key below a service in a `[services NAME]` section, as `endpoint_url` below `sts =`.
    pub fn service(&self, services: &str, service: &str, key: &str) -> Option<&str> {
        let key = PropertiesKey::builder()
            .section_key("services")
            .section_name(services)
            .property_name(service)
            .sub_property_name(key)
            .build()
            .ok()?;
        let value = self.set.other_sections().get(&key)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// A sentence on each section that stands in the files and does not count.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Where the profiles come from.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// True if the profile stands under two spellings in one file: which values count is left to chance.
    pub fn is_doubled(&self, profile: &str) -> bool {
        self.doubled.contains_key(profile)
    }

    /// The sentence on a profile that stands under two spellings in one file.
    pub(super) fn doubled(&self, profile: &str) -> Option<&str> {
        self.ignored.get(*self.doubled.get(profile)?).map(String::as_str)
    }

    /// What is ignored of a profile, by its exact name or by one that differs in case.
    pub(super) fn ignored_about(&self, profile: &str) -> Option<&str> {
        let names = || self.ignored_names.iter();
        let at = names()
            .position(|name| name == profile)
            .or_else(|| names().position(|name| name.eq_ignore_ascii_case(profile)))?;
        self.ignored.get(at).map(String::as_str)
    }

    /// Collects what the parser passes over, by the headers alone.
    fn scan(&mut self, kind: EnvConfigFileKind, text: &str) {
        let in_config = matches!(kind, EnvConfigFileKind::Config);
        let path = if in_config { &self.files.config } else { &self.files.credentials };
        let path = path.as_deref().map_or("the file".into(), Path::to_string_lossy).into_owned();
        let mut spellings: HashMap<&str, (&str, bool)> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some(header) = Header::of(line) else { continue };
            let name = plain(header.name.trim_matches(['"', '\'']));
            let reason = match (in_config, header.prefix) {
                // Sections of the AWS CLI's own.
                (true, None) if matches!(header.name, "preview" | "plugins") => continue,
                (true, None) if header.name != "default" => {
                    format!("is ignored, the AWS config wants [profile {name}]")
                }
                (true, Some("profile")) | (false, None) if !is_identifier(header.name) => {
                    "is ignored, the AWS SDKs take no such name".to_owned()
                }
                (true, Some(word)) if word != "profile" && word.eq_ignore_ascii_case("profile") => {
                    "is ignored, the word is profile in lower case".to_owned()
                }
                (false, Some("profile")) => {
                    format!("is ignored, the credentials file wants [{name}]")
                }
                (false, Some(_)) => "is ignored, the AWS SDKs take no such name".to_owned(),
                (true, Some(word)) if word != "profile" => continue,
                (_, prefix) => {
                    let this = (header.inside, prefix.is_some());
                    let first = *spellings.entry(header.name).or_insert(this);
                    if first.0 == this.0 {
                        continue;
                    }
                    if first.1 != this.1 {
                        // The SDK's rule for this one pair, the only one with and without a prefix.
                        "stands beside another spelling, only [profile default] counts".to_owned()
                    } else {
                        self.doubled.insert(header.name.to_owned(), self.ignored.len());
                        format!("and [{}] are one profile, make them one section", plain(first.0))
                    }
                }
            };
            let inside = plain(header.inside);
            self.ignored.push(format!("{path} line {}: [{inside}] {reason}", number + 1));
            self.ignored_names.push(match (in_config, header.prefix) {
                (false, Some(prefix)) if prefix != "profile" => format!("{prefix} {name}"),
                _ => name,
            });
        }
    }
}

fn without_comment(value: &str) -> Option<&str> {
    let end = value
        .match_indices('\n')
        .find(|(at, _)| value.get(at + 1..).is_some_and(|rest| rest.starts_with(['#', ';'])))
        .map_or(value.len(), |(at, _)| at);
    value.get(..end).map(str::trim).filter(|value| !value.is_empty())
}

/// A name from a file, fit for one line of an error.
pub(super) fn plain(inside: &str) -> String {
    inside.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// Contents that the parser does not take: the line, as far as it tells, and none of its text.
pub(super) struct NotUnderstood {
    line: Option<u32>,
}

/// Parses contents with `aws-config`. Nothing is read and nothing is waited for: with contents at
/// hand its future is ready when it is first polled, so no runtime is needed.
pub(super) fn parse(
    contents: &[(EnvConfigFileKind, &str)],
) -> std::result::Result<ProfileSet, NotUnderstood> {
    let mut files = EnvConfigFiles::builder();
    for (kind, text) in contents {
        files = files.with_contents(*kind, *text);
    }
    let files = files.build();
    // The SDK's file system is there for its type only; its environment is an empty one.
    let (fs, env) = (Default::default(), HashMap::<String, String>::new().into());
    let load = pin!(aws_config::profile::load(&fs, &env, &files, Some("default".into())));
    match load.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(set)) => Ok(set),
        Poll::Ready(Err(error)) => Err(NotUnderstood { line: line_of(&error) }),
        Poll::Pending => Err(NotUnderstood { line: None }),
    }
}

/// The line number in the parser's text, which is all of it that can be told.
fn line_of(error: &ProfileFileLoadError) -> Option<u32> {
    let text = error.source()?.to_string();
    text.split_once("on line ")?.1.split_once(':')?.0.parse().ok()
}

pub(super) fn not_understood(path: Option<&Path>, error: &NotUnderstood) -> Error {
    let path = path.map_or("the AWS config".into(), |path| path.display().to_string());
    let line = error.line.map_or_else(String::new, |line| format!(" line {line}"));
    Error::other(format!("{path}{line} is not understood"))
        .hint("only [profile NAME], KEY = VALUE and comments, with an indent only below a value")
}

/// The error for a profile that is nowhere.
pub(super) fn no_such_profile<'a>(
    profiles: &'a Profiles,
    stored: impl Iterator<Item = &'a str>,
    profile: &str,
    named_by: Option<&str>,
) -> Error {
    let profile = plain(profile);
    let what = match named_by {
        Some(by) => format!("no profile \"{profile}\", the source_profile of \"{by}\""),
        None => format!("no profile \"{profile}\""),
    };
    let slips = (profile.len() / 3).min(2);
    let near = profiles
        .set
        .profiles()
        .chain(stored)
        .filter(|name| name.len().abs_diff(profile.len()) <= slips)
        .map(|name| (distance(&name.to_lowercase(), &profile.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= slips)
        .min();
    let mut guessed = true;
    let hint = if let Some(ignored) = profiles.ignored_about(&profile) {
        ignored.to_owned()
    } else if let Some((_, near)) = near {
        format!("did you mean \"{near}\"?")
    } else {
        let places = [&profiles.files.config, &profiles.files.credentials];
        let places: Vec<_> = places.iter().filter_map(|p| p.as_deref()).collect();
        match places.as_slice() {
            [] => "there is no HOME to look for .aws/config in, set AWS_CONFIG_FILE".to_owned(),
            places => {
                let places: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
                guessed = false;
                format!("looked in {} and the vault", places.join(", "))
            }
        }
    };
    Error::not_found(what).because(Reason::NoSuchProfile { guessed }).hint(hint)
}

/// Edits between two names (Levenshtein), for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
