//! aws-vault's file backend: a directory with a file for each item. The file name is the item's name with
//! `/` and `%` percent-encoded; the content is a JWE (see [`super::jwe`]) of the item as JSON, whose `Data`
//! is JSON too. Long-term keys, sessions and tokens are in the same directory.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use super::form::not_swapped;
use super::jwe::{self, Fault, Jwe};
use super::{Content, Item, OTHER_PASSPHRASE, listed};
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, ReadError};
use crate::prompt::Prompt;
use crate::secret::Secret;

/// The most entries of a directory, sessions included: aws-vault removes expired ones only occasionally.
const ENTRIES: usize = 10_000;

/// The most items on which a passphrase is tried.
const ITEMS: usize = 1000;

/// The most PBKDF2 rounds of one passphrase on all items together: those of a thousand items of aws-vault,
/// a few seconds.
const ROUNDS: u64 = 10_000_000;

/// The most prompts for a passphrase that opens nothing.
const TRIES: usize = 3;

const OTHER_BACKENDS: &str = "name aws-vault's files with --dir; from its other backends: \
    aws-vault exec -n PROFILE -- vault add --env PROFILE";

/// The items in aws-vault's directory, not read yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The directory, as named.
    pub dir: PathBuf,
    /// The items that may be long-term keys, as name and file, sorted by name.
    pub items: Vec<(String, PathBuf)>,
    /// The number of sessions and tokens, which are left out.
    pub left_out: usize,
}

/// Lists the directory.
///
/// # Errors
/// [`Class::NotFound`] if it does not exist, [`Class::Refused`] for too many entries, [`Class::Other`] if it
/// cannot be read.
pub fn list(dir: &Path) -> Result<Listing> {
    let shown = dir.display();
    let unread = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::not_found(format!("no directory {shown}")).hint(OTHER_BACKENDS)
        }
        _ => Error::other(format!("cannot read the directory {shown}: {}", os_text(&error))),
    };
    let mut listing = Listing { dir: dir.to_owned(), ..Listing::default() };
    for (count, entry) in std::fs::read_dir(dir).map_err(unread)?.enumerate() {
        let entry = entry.map_err(unread)?;
        if count >= ENTRIES {
            return Err(Error::refused(format!("{shown} has more than {ENTRIES} files")));
        }
        if entry.file_type().map_err(unread)?.is_dir() {
            continue;
        }
        let name = item_name(&entry.file_name().to_string_lossy());
        if is_no_key(&name) {
            listing.left_out += 1;
        } else {
            listing.items.push((name, entry.path()));
        }
    }
    if listing.items.len() > ITEMS {
        return Err(Error::refused(format!("{shown} has more than {ITEMS} items")));
    }
    listing.items.sort();
    Ok(listing)
}

/// Decodes a file name. A `%` without two hexadecimal digits is kept: old versions did not encode.
fn item_name(file: &str) -> String {
    urlencoding::decode(file).map_or_else(|_| file.to_owned(), Cow::into_owned)
}

/// True for the name of a session or of a token of IAM Identity Center.
pub fn is_no_key(name: &str) -> bool {
    is_session(name) || name.starts_with("oidc:")
}

/// True for the names of sessions in aws-vault today (`TYPE,PROFILE,SERIAL,EXPIRY` with profile
/// and serial in base64url) and in versions 4 and 5 (`session,…`, `session:…`, `NAME session (EXPIRY)`).
fn is_session(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_base64 = |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok();
    let today = match name.split(',').collect::<Vec<_>>()[..] {
        [kind, profile, serial, expiry] => {
            !kind.is_empty()
                && !profile.is_empty()
                && (kind == "session" || is_base64(profile) && is_base64(serial))
                && is_number(expiry)
        }
        _ => false,
    };
    let colons = name.strip_prefix("session:").is_some_and(|rest| {
        rest.split(':').count() == 3 && !rest.contains(' ') && !rest.starts_with(':')
    });
    let words = name.strip_suffix(')').and_then(|rest| rest.split_once(" session ("));
    today || colons || words.is_some_and(|(_, expiry)| is_number(expiry))
}

/// Reads the items, which may have different passphrases: `given` is tried on all, and a terminal prompts
/// for more while items are left that none opens.
///
/// # Errors
/// [`Class::Locked`] without a passphrase and a terminal; [`Class::Refused`] if a passphrase costs too much
/// on all items together; the errors of the prompt. An error of an item is in its content.
pub fn read(listing: &Listing, given: Option<Secret>, prompt: &Prompt) -> Result<Vec<Item>> {
    let mut done = Vec::new();
    let (mut closed, mut rounds) = (Vec::new(), 0);
    for (name, path) in &listing.items {
        match sealed(name, path) {
            Ok((file, cost)) => {
                rounds += u64::from(cost);
                closed.push((name.clone(), file));
            }
            Err(content) => done.push(Item { profile: name.clone(), content }),
        }
    }
    let shown = listing.dir.display();
    if rounds > ROUNDS {
        return Err(Error::refused(format!(
            "trying a passphrase on all files in {shown} costs more than {ROUNDS} rounds"
        )));
    }
    if given.is_none() && !closed.is_empty() && !prompt.available() {
        return Err(Error::locked(format!("no passphrase for aws-vault's files in {shown}")).hint(
            "give it with --source-passphrase-file FILE or AWS_VAULT_FILE_PASSPHRASE, or run this \
             on a terminal",
        ));
    }
    let (mut passphrase, mut opened, mut tries) = (given, false, 0);
    while !closed.is_empty() {
        let passphrase = match passphrase.take() {
            Some(given) => given,
            None if tries < TRIES && prompt.available() => {
                let names: Vec<&str> = closed.iter().map(|(name, _)| name.as_str()).collect();
                prompt.hidden(&question(&listing.dir, &names, opened, tries))?
            }
            None => break,
        };
        if passphrase.is_empty() {
            break;
        }
        let before = closed.len();
        closed.retain(|(name, file)| match open(name, file, &passphrase) {
            Some(content) => {
                done.push(Item { profile: name.clone(), content });
                false
            }
            None => true,
        });
        opened |= closed.len() < before;
        tries = if closed.len() < before { 0 } else { tries + 1 };
    }
    done.extend(closed.into_iter().map(|(profile, _)| Item {
        profile,
        content: Content::failed(Class::Locked, OTHER_PASSPHRASE),
    }));
    done.sort_by(|one, other| one.profile.cmp(&other.profile));
    Ok(done)
}

/// The prompt for a passphrase of the `closed` items: `opened` if an earlier one opened some, after `tries`
/// wrong ones.
fn question(dir: &Path, closed: &[&str], opened: bool, tries: usize) -> String {
    let again = if tries > 0 { "Wrong passphrase, try again. " } else { "" };
    if !opened {
        return format!("{again}Enter aws-vault's passphrase for {}: ", dir.display());
    }
    let them = if closed.len() == 1 { "it" } else { "them" };
    let names = listed(closed);
    format!("{again}Enter the passphrase of {names}, or nothing to leave {them}: ")
}

/// A file on which a passphrase can be tried, and the cost of that; or the error.
fn sealed(name: &str, path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), Content> {
    if let Some(failed) = Content::bad_name(name) {
        return Err(failed);
    }
    let (file, _) = file::read_regular(path, jwe::LIMIT).map_err(|error| {
        let class = match error {
            ReadError::NotFound => Class::NotFound,
            ReadError::NotRegular | ReadError::TooLarge => Class::Damaged,
            ReadError::Io(_) => Class::Other,
        };
        Content::failed(class, error.text(jwe::LIMIT))
    })?;
    match Jwe::parse(&file).map(|jwe| jwe.rounds) {
        Ok(rounds) => Ok((file, rounds)),
        Err(fault) => Err(Content::failed(Class::Damaged, reason(fault))),
    }
}

/// The content of a file; `None` if the passphrase is wrong.
fn open(name: &str, file: &[u8], passphrase: &Secret) -> Option<Content> {
    match Jwe::parse(file).and_then(|jwe| jwe.open(passphrase)) {
        Ok(plaintext) => Some(content(name, &plaintext)),
        Err(Fault::Passphrase) => None,
        Err(fault) => Some(Content::failed(Class::Damaged, reason(fault))),
    }
}

fn reason(fault: Fault) -> &'static str {
    match fault {
        Fault::Other(why) => why,
        Fault::Passphrase => OTHER_PASSPHRASE,
        Fault::Damaged => "it is damaged",
    }
}

/// Reads an item as aws-vault writes it. It contains its name, so that no file can replace another.
pub fn content(name: &str, json: &[u8]) -> Content {
    let damaged = |why| Content::failed(Class::Damaged, why);
    let Ok(item) = serde_json::from_slice::<Value>(json) else {
        return damaged("it is not an item of aws-vault");
    };
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    if text(&item, "Key").as_deref() != Some(name) {
        return damaged("it is an item of another name");
    }
    let data = text(&item, "Data").and_then(|data| STANDARD.decode(data).ok()).map(Zeroizing::new);
    let Some(key) = data.and_then(|data| serde_json::from_slice::<Value>(&data).ok()) else {
        return damaged("it has no access key");
    };
    if text(&key, "SessionToken").is_some_and(|token| !token.is_empty()) {
        return Content::skipped("these are temporary credentials");
    }
    match (text(&key, "AccessKeyID"), text(&key, "SecretAccessKey")) {
        (Some(id), Some(secret)) => Content::of(not_swapped(&id, Secret::new(secret))),
        _ => damaged("it has no access key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_as_aws_vault_encodes_them() {
        for (file, name) in [
            ("prod", "prod"),
            ("team%2Fprod", "team/prod"),
            ("100%25", "100%"),
            ("%2f", "/"),
            ("50%", "50%"),
            ("50%2", "50%2"),
            ("%zz", "%zz"),
            ("%+1", "%+1"),
            ("%FF", "%FF"),
            ("gr%C3%BCn", "grün"),
        ] {
            assert_eq!(item_name(file), name, "{file}");
        }
    }

    #[test]
    fn sessions_of_all_versions_are_told_from_keys() {
        for session in [
            "sts.GetSessionToken,cHJvZA,YXJuOmF3czppYW06OjEyMzQ1Njc4OTAxMjptZmEvZGVtbw,1735689600",
            "sts.AssumeRole,cHJvZA,,1735689600",
            "session,cHJvZA,,1735689600",
            "session:cHJvZA:YXJu:1735689600",
            "prod session (1735689600)",
        ] {
            assert!(is_session(session), "{session}");
        }
        for key in [
            "prod",
            "a,b,c,d",
            "a,b,c,1",
            "session",
            "session:a",
            "my session (x)",
            "a,!,!,1",
            ",,,1",
        ] {
            assert!(!is_session(key), "{key}");
        }
    }

    fn item(key: &str, data: &str) -> String {
        format!("{{\"Key\": \"{key}\", \"Data\": \"{}\", \"Label\": \"x\"}}", STANDARD.encode(data))
    }

    #[test]
    fn an_item_is_a_key_or_has_a_reason() {
        let id = "AKIAIOSFODNN7EXAMPLE";
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let key = |more: &str| {
            format!("{{\"AccessKeyID\": \"{id}\", \"SecretAccessKey\": \"{secret}\"{more}}}")
        };
        let read = |json: &str| content("prod", json.as_bytes());
        for more in ["", ", \"SessionToken\": \"\", \"ProviderName\": \"x\", \"CanExpire\": false"]
        {
            let Content::Key(found) = read(&item("prod", &key(more))) else { panic!("{more}") };
            assert_eq!(found.access_key_id, id);
            assert_eq!(found.secret_access_key.expose(), secret);
        }
        let temporary = read(&item("prod", &key(", \"SessionToken\": \"t\"")));
        assert!(matches!(temporary, Content::Skipped(_)), "{temporary:?}");
        for (json, class) in [
            (item("ci", &key("")), Class::Damaged),
            (item("prod", "{}"), Class::Damaged),
            (item("prod", "x"), Class::Damaged),
            (item("prod", &key("").replace(id, "sh ort")), Class::Usage),
            ("{\"Key\": \"prod\", \"Data\": \"!\"}".to_owned(), Class::Damaged),
            ("{\"Key\": \"prod\"}".to_owned(), Class::Damaged),
            ("[]".to_owned(), Class::Damaged),
            (String::new(), Class::Damaged),
        ] {
            let found = read(&json);
            assert!(matches!(&found, Content::Failed(is, _) if *is == class), "{json}: {found:?}");
            assert!(!format!("{found:?}").contains("wJalr"));
        }
    }
}
