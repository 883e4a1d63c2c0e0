//! The plaintext: one TOML document. It stays the document that was read, so that fields of a later
//! version survive a rewrite; what is known of it is checked once, when it comes in.
//!
//! Not by serde's structs with a flattened rest: an error names the field that is wrong, and profiles and
//! devices in it by number, while serde names no path. The crate serde_path_to_error adds one, but with the names
//! of profiles and devices, which a forged vault chooses, and the message of toml quotes the line, a secret too.

mod depth;
mod fleet;
mod journal;
mod key_slots;
mod rotation;
mod totp;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::pin::Pin;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::random;
use crate::secret::Secret;

pub use fleet::{Fleet, no_store_key};
pub use journal::Enrolment;
pub use rotation::Rotation;

/// The version of the payload's schema that this program reads and writes.
const VERSION: i64 = 1;

/// The features that this version knows in `critical`. None yet.
const KNOWN_FEATURES: [&str; 0] = [];

/// The plaintext is padded to a multiple of this many bytes, so that its size reveals little.
const PADDING: usize = 4096;

/// The payload of a vault.
pub struct Payload {
    doc: Table,
    generation: u64,
    pin: Pin,
}

/// A key that opens the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientEntry {
    /// The recipient as age writes it: `age1…`, `ssh-ed25519 …`.
    pub recipient: String,
    /// What the user calls it.
    pub name: Option<String>,
}

/// A passphrase that opens the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassphraseEntry {
    /// The public key of the slot's X25519 secret.
    pub public: String,
    /// The slot's stanza, byte for byte as in the header.
    pub stanza: String,
}

impl Payload {
    /// A new, empty payload: fresh id, `auth_key` and `cache_key`, generation 0 (the first write
    /// makes it 1).
    pub fn new(recipients: &[RecipientEntry], passphrases: &[PassphraseEntry]) -> Result<Self> {
        let mut doc = Table::new();
        doc.insert("version".into(), Value::Integer(VERSION));
        doc.insert("critical".into(), Value::Array(Vec::new()));
        doc.insert("id".into(), random::<16>()?);
        doc.insert("generation".into(), Value::Integer(0));
        doc.insert("auth_key".into(), random::<32>()?);
        doc.insert("cache_key".into(), random::<32>()?);
        let recipients = recipients.iter().map(key_slots::recipient).collect();
        doc.insert("recipients".into(), Value::Array(recipients));
        let passphrases = passphrases.iter().map(key_slots::passphrase).collect();
        doc.insert("passphrases".into(), Value::Array(passphrases));
        Self::check(doc)
    }

    /// Reads a decrypted plaintext and checks all that this version knows of.
    /// Errors: damaged (5), naming the field or line, never its content: not TOML, a newer version, an
    /// unknown critical feature, a field that is missing or of the wrong kind.
    pub fn parse(plaintext: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(plaintext)
            .ok()
            // TOML 1.0 knows no byte order mark, the parser does.
            .filter(|text| !text.starts_with('\u{feff}'))
            .ok_or_else(|| Error::damaged("the vault's content is not text"))?;
        let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        if let Some((what, at)) = depth::excess(text) {
            let line = line(at);
            return Err(Error::damaged(format!("the vault's content {what} (line {line})")));
        }
        let doc: Table = toml::from_str(text).map_err(|error| {
            let line = line(error.span().map_or(0, |span| span.start));
            Error::damaged(format!("the vault's content is not TOML (line {line})"))
        })?;
        Self::check(doc)
    }

    fn check(doc: Table) -> Result<Self> {
        match doc.get("version") {
            Some(Value::Integer(VERSION)) => {}
            Some(Value::Integer(newer)) if *newer > VERSION => {
                return Err(Error::damaged(format!(
                    "the vault has version {newer}, and this program reads version {VERSION}"
                ))
                .hint("use a newer vault program"));
            }
            _ => return Err(bad("version")),
        }
        for feature in array(&doc, "critical")? {
            let feature = feature.as_str().ok_or_else(|| bad("critical"))?;
            if !KNOWN_FEATURES.contains(&feature) {
                let shown: String =
                    feature.chars().filter(char::is_ascii_graphic).take(64).collect();
                return Err(Error::damaged(format!(
                    "the vault needs a feature that this program does not know: {shown}"
                ))
                .hint("use a newer vault program"));
            }
        }
        let id: [u8; 16] = *binary(&doc, "id")?;
        let auth_key = binary::<32>(&doc, "auth_key")?;
        binary::<32>(&doc, "cache_key")?;
        let generation = doc
            .get("generation")
            .and_then(Value::as_integer)
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| bad("generation"))?;
        let payload = Self { pin: Pin::of(&id, &auth_key), generation, doc };
        payload.check_entries()?;
        Ok(payload)
    }

    fn check_entries(&self) -> Result<()> {
        for (index, entry) in array(&self.doc, "recipients")?.iter().enumerate() {
            let table = entry.as_table();
            if line(table, "recipient").is_none() {
                return Err(bad(&format!("recipients[{index}].recipient")));
            }
            if table.is_some_and(|t| t.contains_key("name")) && line(table, "name").is_none() {
                return Err(bad(&format!("recipients[{index}].name")));
            }
        }
        for (index, entry) in array(&self.doc, "passphrases")?.iter().enumerate() {
            for field in ["public", "stanza"] {
                let table = entry.as_table();
                if table.and_then(|t| t.get(field)).and_then(Value::as_str).is_none() {
                    return Err(bad(&format!("passphrases[{index}].{field}")));
                }
            }
        }
        if let Some(credentials) = self.doc.get("credentials") {
            let credentials = credentials.as_table().ok_or_else(|| bad("credentials"))?;
            for (index, (name, entry)) in credentials.iter().enumerate() {
                if !is_line(name) {
                    return Err(bad(&format!("credentials[{index}]")));
                }
                for field in ["access_key_id", "secret_access_key"] {
                    if line(entry.as_table(), field).is_none() {
                        // By number: an error shows no name from a file that may be forged.
                        return Err(bad(&format!("credentials[{index}].{field}")));
                    }
                }
            }
        }
        self.check_totp()?;
        self.check_fleet()?;
        self.check_journal()
    }

    /// As it is now, to be put back.
    pub(super) fn copy(&self) -> Self {
        Self { doc: self.doc.clone(), ..*self }
    }

    /// The document, padded by one comment line to a multiple of 4,096 bytes.
    pub fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let mut text = self.doc.to_string().into_bytes();
        // The comment line is at least "#\n".
        let padded = (text.len() + 2).next_multiple_of(PADDING);
        text.reserve_exact(padded - text.len());
        text.push(b'#');
        text.resize(padded - 1, b' ');
        text.push(b'\n');
        Zeroizing::new(text)
    }

    /// The vault's fingerprint.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// What the cache's keys and names are made from: the vault's id and its `cache_key`.
    pub fn cache_seed(&self) -> ([u8; 16], Zeroizing<[u8; 32]>) {
        // Both were checked when the payload came in.
        let id = binary(&self.doc, "id").map(|id| *id).unwrap_or_default();
        (id, binary(&self.doc, "cache_key").unwrap_or_default())
    }

    /// How often this vault was written.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts one more write.
    pub fn next_generation(&mut self) {
        self.generation = self.generation.saturating_add(1);
        let value = i64::try_from(self.generation).unwrap_or(i64::MAX);
        self.doc.insert("generation".into(), Value::Integer(value));
    }

    /// The profiles that have a key here, in the order of their names.
    pub fn credential_names(&self) -> impl Iterator<Item = &str> {
        self.names("credentials")
    }

    /// The access key stored for a profile.
    pub fn credential(&self, profile: &str) -> Option<Credentials> {
        let entry = self.entry("credentials", profile)?;
        Some(Credentials::long_term(
            entry.get("access_key_id")?.as_str()?.to_owned(),
            Secret::new(entry.get("secret_access_key")?.as_str()?.to_owned()),
        ))
    }

    /// Only the id of the access key stored for a profile, which is no secret.
    pub fn access_key_id(&self, profile: &str) -> Option<&str> {
        self.entry("credentials", profile)?.get("access_key_id")?.as_str()
    }

    /// When the access key was stored for a profile.
    pub fn credential_stored(&self, profile: &str) -> Option<Timestamp> {
        Timestamp::parse(self.entry("credentials", profile)?.get("created")?.as_str()?)
    }

    /// The error for a profile that has no key here, with the one that may be meant.
    pub fn no_key(&self, profile: &str) -> Error {
        let error = Error::not_found(format!("no key for profile {profile:?} in the vault"));
        match nearest(profile, self.credential_names()) {
            Some(name) => error.hint(format!("did you mean {name:?}?")),
            None => error,
        }
    }

    /// Stores an access key for a profile, in place of the one that may be there. Fields of a later
    /// version that stand beside the old one are the old one's and go with it.
    pub fn set_credential(&mut self, profile: &str, key: &Credentials, now: Timestamp) {
        let mut entry = rotation::table(key);
        entry.insert("created".into(), Value::String(now.to_rfc3339()));
        self.put("credentials", profile, entry);
    }

    /// Removes a profile's access key; false if there was none.
    pub fn remove_credential(&mut self, profile: &str) -> bool {
        self.take("credentials", profile)
    }

    /// Forgets everything but these keys and seeds.
    pub(super) fn keep_only(&mut self, credentials: &BTreeSet<&str>, serials: &BTreeSet<&str>) {
        self.doc.retain(|name, _| ["credentials", "fleet", "totp"].contains(&name));
        for (table, kept) in [("credentials", credentials), ("totp", serials)] {
            if let Some(Value::Table(table)) = self.doc.get_mut(table) {
                table.retain(|name, _| kept.contains(name));
            }
        }
    }

    /// The names in one of the document's tables, in their order.
    fn names(&self, table: &str) -> impl Iterator<Item = &str> {
        let table = self.doc.get(table).and_then(Value::as_table);
        table.into_iter().flat_map(Table::keys).map(String::as_str)
    }

    /// What one of the tables has for a name.
    fn entry(&self, table: &str, name: &str) -> Option<&Table> {
        self.doc.get(table)?.get(name)?.as_table()
    }

    /// One of the tables, which is made if it is missing.
    fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.doc.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
    }

    /// Puts an entry into one of the tables, in place of the present one.
    fn put(&mut self, table: &str, name: &str, entry: Table) {
        if let Some(table) = self.table_mut(table) {
            table.insert(name.to_owned(), Value::Table(entry));
        }
    }

    /// Removes an entry from one of the tables; false if there was none.
    fn take(&mut self, table: &str, name: &str) -> bool {
        let table = self.doc.get_mut(table).and_then(Value::as_table_mut);
        table.is_some_and(|table| table.remove(name).is_some())
    }
}

/// Without the content.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A text field without control characters: a forged vault must not write to the terminal, nor start a
/// new setting in what `export` prints.
fn line<'a>(table: Option<&'a Table>, field: &str) -> Option<&'a str> {
    table?.get(field)?.as_str().filter(|text| is_line(text))
}

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// A table of these texts.
fn texts<const N: usize>(fields: [(&str, &str); N]) -> Table {
    let text = |(field, text): (&str, &str)| (field.to_owned(), Value::String(text.to_owned()));
    fields.into_iter().map(text).collect()
}

fn bad(field: &str) -> Error {
    Error::damaged(format!("the vault's content has no valid {field}"))
}

fn array<'a>(doc: &'a Table, field: &str) -> Result<&'a [Value]> {
    doc.get(field).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| bad(field))
}

fn entries<'a>(doc: &'a Table, field: &str) -> impl Iterator<Item = &'a Table> {
    doc.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn binary<const N: usize>(doc: &Table, field: &str) -> Result<Zeroizing<[u8; N]>> {
    let text = doc.get(field).and_then(Value::as_str).ok_or_else(|| bad(field))?;
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| bad(field))?);
    let mut array = Zeroizing::new([0; N]);
    if bytes.len() != N {
        return Err(bad(field));
    }
    array.copy_from_slice(&bytes);
    Ok(array)
}

fn random<const N: usize>() -> Result<Value> {
    Ok(Value::String(BASE64.encode(*random::bytes::<N>()?)))
}

#[cfg(test)]
mod tests;
