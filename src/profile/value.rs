//! A value of an AWS file: where it ends, and how an error shows it.

use super::ini;
use crate::error::Error;

/// Settings that may hold a blank and a `#` or `;` behind it: commands, paths, names of profiles.
const WHOLE: [&str; 9] = [
    "ca_bundle",
    "credential_process",
    "include_profile",
    "mfa_process",
    "services",
    "source_profile",
    "sso_session",
    "web_identity_token_file",
    "web_identity_token_process",
];

/// A value without the comment after it. To the AWS CLI that is no comment; here it is one if the value can
/// have no blank, since existing files have such comments, and aws-vault and some SDKs cut them off.
pub(super) fn value<'a>(key: &str, value: &'a str) -> &'a str {
    if WHOLE.contains(&key) || value.starts_with('\n') {
        return value;
    }
    let mut before = ' ';
    for (at, c) in value.char_indices() {
        if matches!(c, '#' | ';') && ini::is_blank(before) {
            return ini::trim(value.get(..at).unwrap_or_default());
        }
        before = c;
    }
    value
}

/// A value that is set: trimmed and, where it can hold no blank, without the comment behind it.
pub(super) fn set<'a>(key: &str, raw: &'a str) -> Option<&'a str> {
    Some(ini::trim(value(key, raw))).filter(|value| !value.is_empty())
}

/// A name from a file, for one line of an error. Lines that continue it are not shown: they may be an indented
/// secret.
pub(super) fn plain(inside: &str) -> String {
    let (first, more) = inside.split_once('\n').map_or((inside, ""), |(first, _)| (first, " ..."));
    first.chars().filter(|c| !c.is_control()).take(100).chain(more.chars()).collect()
}

/// What an error calls a key of a profile.
pub fn key_of(key: &str, profile: &str) -> String {
    format!("{key} of profile \"{}\"", plain(profile))
}

/// The error for a value that cannot be right. `by` is what it is of, `is` what it is: `not a URL`.
pub(super) fn wrong_value(by: &str, is: &str, value: &str) -> Error {
    Error::usage(format!("{by} is {is}{}", of_value(value)))
}

/// A value at the end of an error; nothing if it may be a secret in the wrong place.
pub fn of_value(value: &str) -> String {
    // AWS's key ids have 20 characters and its secrets 40, of these; a URL may have a password.
    let end = |c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c));
    let short = !value.contains('@') && value.split(end).all(|word| word.len() < 20);
    match short || value.starts_with("arn:") {
        true => format!(": {}", plain(value)),
        false => String::new(),
    }
}
