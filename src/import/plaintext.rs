//! Access keys in plaintext in `~/.aws/credentials`.

use std::path::Path;

use super::form::not_swapped;
use super::{Content, Item};
use crate::credential::Credentials;
use crate::error::{Class, Result};
use crate::profile::{self, Files, Profiles, edit};
use crate::secret::Secret;

/// The profiles of a credentials file that have a key or half of one, sorted by name. `path` names the file
/// in errors.
pub fn items(path: &Path, text: &str) -> Vec<Item> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let files = Files { config: None, credentials: Some(path.to_owned()) };
    let profiles = Profiles::parse(&files, "", text);
    let of_two = edit::keys_of_two_halves(text);
    let item = |profile: String| {
        let content = content(&profiles, &profile, of_two.contains(&profile))?;
        Some(Item { content, profile })
    };
    profiles.names().into_iter().filter_map(item).collect()
}

/// `of_two`: the halves may be of two keys.
fn content(profiles: &Profiles, profile: &str, of_two: bool) -> Option<Content> {
    let get = |key: &str| profiles.get(profile, key);
    let failed = |why| Content::failed(Class::Usage, why);
    if let Err(error) = profiles.understood(profile) {
        return Some(Content::Failed(error.class, error.what));
    }
    Some(match (get(profile::ACCESS_KEY[0]), get(profile::ACCESS_KEY[1])) {
        (None, None) => return None,
        _ if profiles.doubled(profile).is_some() => {
            failed("it has two sections with different spellings: make them one")
        }
        // The second name is boto's old one.
        (Some(_), Some(_))
            if ["aws_session_token", "aws_security_token"].iter().any(|key| get(key).is_some()) =>
        {
            Content::skipped("these are temporary credentials")
        }
        (Some(_), Some(_)) if of_two => {
            failed("its ID and secret may be of two keys: leave one of each, in one section")
        }
        (Some(id), Some(secret)) => Content::of(not_swapped(id, Secret::new(secret.to_owned()))),
        _ => Content::skipped(
            "half a key: aws_access_key_id and aws_secret_access_key belong together",
        ),
    })
}

/// Removes the keys for which `is_safe` returns true. Returns the new text, the profiles whose keys were
/// removed, and those whose keys were not, since their lines are not in the plain form.
///
/// # Errors
/// [`crate::error::Class::Other`] if the file would mean something else afterwards.
pub fn without(
    path: &Path,
    text: &str,
    is_safe: impl Fn(&str, &Credentials) -> bool,
) -> Result<(String, Vec<String>, Vec<String>)> {
    let safe = |item: Item| match &item.content {
        Content::Key(key) if is_safe(&item.profile, key) => Some(item.profile),
        _ => None,
    };
    let safe: Vec<String> = items(path, text).into_iter().filter_map(safe).collect();
    let (plain, odd): (Vec<_>, Vec<_>) =
        safe.into_iter().partition(|profile| edit::has_plain_key(text, profile));
    Ok((edit::remove_keys(text, &plain)?, plain, odd))
}
