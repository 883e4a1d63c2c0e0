//! The store that the hosts of a fleet share: `[fleet]` with `store`, and optionally `region`, `endpoint`,
//! `profile` and `required`; and what this version adds: `copies` and `known_key`.

use toml::{Table, Value};

use super::{Payload, bad, line};
use crate::error::{Error, Result};
use crate::process::shell_word;
use crate::store::Location;

/// The most copies that a vault lists of those that it was made of.
const COPIES: usize = 64;

/// How the hosts reach the store that they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub store: Location,
    pub region: String,
    /// An endpoint other than AWS's: its URL.
    pub endpoint: Option<String>,
    /// The profile whose key in the vault reaches the store; `None` for the credentials of the host.
    pub profile: Option<String>,
    /// True if no code is sent while the store cannot be reached.
    pub required: bool,
}

impl Fleet {
    /// True if both name the same store.
    pub fn shares_with(&self, other: &Self) -> bool {
        (&self.store, &self.region, &self.endpoint)
            == (&other.store, &other.region, &other.endpoint)
    }
}

/// The error for a store whose key is not in the vault.
pub fn no_store_key(profile: &str) -> Error {
    Error::not_found(format!("no key for profile {profile:?}, the store's, in the vault"))
        .hint(format!("vault add {}", shell_word(profile)))
}

impl Payload {
    /// The fleet that this vault's hosts have joined.
    pub fn fleet(&self) -> Option<Fleet> {
        self.doc.get("fleet").and_then(|value| read(value).ok())
    }

    /// Joins a fleet, in place of another; fields of a later version are kept.
    pub fn set_fleet(&mut self, fleet: &Fleet) {
        let Some(table) = self.table_mut("fleet") else { return };
        let texts = [
            ("store", Some(fleet.store.to_string())),
            ("region", Some(fleet.region.clone())),
            ("endpoint", fleet.endpoint.clone()),
            ("profile", fleet.profile.clone()),
        ];
        for (field, text) in texts {
            set(table, field, text);
        }
        table.insert("required".into(), Value::Boolean(fleet.required));
        self.note_known_key();
    }

    /// Leaves the fleet; false if there was none.
    pub fn remove_fleet(&mut self) -> bool {
        self.doc.remove("fleet").is_some()
    }

    /// Lists the copy that the next one is made of, by its hash. A host with a listed copy can replace it by the
    /// later one and loses nothing.
    pub(in crate::vault) fn add_copy(&mut self, hash: &str) {
        let Some(Value::Table(table)) = self.doc.get_mut("fleet") else { return };
        let copies = table.entry("copies").or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(copies) = copies else { return };
        copies.push(Value::String(hash.to_owned()));
        copies.drain(..copies.len().saturating_sub(COPIES));
    }

    /// True if this was made of that copy.
    pub(in crate::vault) fn is_made_of(&self, hash: &str) -> bool {
        let fleet = self.doc.get("fleet").and_then(Value::as_table);
        let copies = fleet.and_then(|table| table.get("copies")).and_then(Value::as_array);
        copies.is_some_and(|copies| copies.iter().any(|copy| copy.as_str() == Some(hash)))
    }

    /// Records the present key of the store: recipients were added or removed, and those before know it.
    pub fn note_known_key(&mut self) {
        let key = self.store_key().map(|(_, id)| id.to_owned());
        let Some(Value::Table(table)) = self.doc.get_mut("fleet") else { return };
        set(table, "known_key", key);
    }

    /// The profile and the id of the store's key, if it is in the vault and was not replaced since recipients
    /// were last added or removed, or the fleet joined.
    pub fn known_store_key(&self) -> Option<(&str, &str)> {
        let known = self.doc.get("fleet")?.get("known_key");
        self.store_key().filter(|(_, id)| known.is_none_or(|known| known.as_str() == Some(id)))
    }

    fn store_key(&self) -> Option<(&str, &str)> {
        let profile = self.doc.get("fleet")?.get("profile")?.as_str()?;
        Some((profile, self.access_key_id(profile)?))
    }

    pub(super) fn check_fleet(&self) -> Result<()> {
        let Some(value) = self.doc.get("fleet") else { return Ok(()) };
        read(value).map(drop).map_err(|field| match field {
            "" => bad("fleet"),
            field => bad(&format!("fleet.{field}")),
        })
    }
}

/// Sets a text field, or removes it.
fn set(table: &mut Table, field: &str, text: Option<String>) {
    match text {
        Some(text) => table.insert(field.to_owned(), Value::String(text)),
        None => table.remove(field),
    };
}

/// The fleet, or the field that is wrong; empty if it is no table.
fn read(value: &Value) -> std::result::Result<Fleet, &'static str> {
    let table = value.as_table().ok_or("")?;
    let optional = |field| match table.contains_key(field) {
        false => Ok(None),
        true => line(Some(table), field).map(|text| Some(text.to_owned())).ok_or(field),
    };
    let store = line(Some(table), "store").and_then(Location::parse).ok_or("store")?;
    let region = line(Some(table), "region").filter(|text| !text.is_empty()).ok_or("region")?;
    let required = match table.get("required") {
        None => false,
        Some(value) => value.as_bool().ok_or("required")?,
    };
    Ok(Fleet {
        store,
        region: region.to_owned(),
        endpoint: optional("endpoint")?,
        profile: optional("profile")?,
        required,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{PassphraseEntry, RecipientEntry};
    use super::*;

    fn payload(fleet: &str) -> Result<Payload> {
        let (recipients, passphrases): (&[RecipientEntry], &[PassphraseEntry]) = (&[], &[]);
        let empty = Payload::new(recipients, passphrases).expect("random numbers").to_plaintext();
        let text = std::str::from_utf8(&empty).expect("text").trim_end().trim_end_matches('#');
        Payload::parse(format!("{text}\n{fleet}").as_bytes())
    }

    #[test]
    fn a_fleet_is_read_as_it_was_set_and_a_later_versions_fields_stay() {
        let mut payload =
            payload("[fleet]\nstore = \"s3://old\"\nregion = \"r\"\nprofile = \"p\"\nlater = 1\n")
                .unwrap();
        let fleet = Fleet {
            store: Location::parse("s3://bucket/prefix").unwrap(),
            region: "eu-central-1".to_owned(),
            endpoint: Some("https://ceph.example:8080".to_owned()),
            profile: None,
            required: true,
        };
        payload.set_fleet(&fleet);
        let again = Payload::parse(&payload.to_plaintext()).unwrap();
        assert_eq!(again.fleet(), Some(fleet));
        let text = String::from_utf8(again.to_plaintext().to_vec()).unwrap();
        assert!(text.contains("later = 1") && !text.contains("profile"), "{text}");
        assert!(payload.remove_fleet() && !payload.remove_fleet());
        assert_eq!(payload.fleet(), None);
    }

    #[test]
    fn the_latest_copies_that_it_was_made_of_are_listed() {
        let mut payload = payload("[fleet]\nstore = \"s3://old\"\nregion = \"r\"\n").unwrap();
        for copy in 0..70 {
            payload.add_copy(&copy.to_string());
        }
        let again = Payload::parse(&payload.to_plaintext()).unwrap();
        let known = (0..70).filter(|copy| again.is_made_of(&copy.to_string()));
        assert!(known.eq(6..70));
        payload.remove_fleet();
        payload.add_copy("1");
        assert!(!payload.is_made_of("1"));
    }

    #[test]
    fn the_stores_key_is_known_until_it_is_replaced() {
        use crate::clock::Timestamp;
        use crate::credential::Credentials;
        use crate::secret::Secret;
        let mut payload =
            payload("[fleet]\nstore = \"s3://old\"\nregion = \"r\"\nprofile = \"store\"\n")
                .unwrap();
        assert_eq!(payload.known_store_key(), None, "no key of that profile");
        let key = |id: &str| Credentials::long_term(id.into(), Secret::new("secret".to_owned()));
        payload.set_credential("store", &key("AKIA1"), Timestamp(0));
        assert_eq!(payload.known_store_key(), Some(("store", "AKIA1")), "since when is not known");
        payload.note_known_key();
        assert_eq!(payload.known_store_key(), Some(("store", "AKIA1")));
        payload.set_credential("store", &key("AKIA2"), Timestamp(0));
        assert_eq!(payload.known_store_key(), None);
        payload.note_known_key();
        assert_eq!(payload.known_store_key(), Some(("store", "AKIA2")));
    }

    #[test]
    fn a_bad_field_is_named() {
        let good = "store = \"s3://bucket\"\nregion = \"eu-central-1\"\n";
        for (fleet, field) in [
            ("fleet = 1\n".to_owned(), "fleet"),
            ("[fleet]\n".to_owned(), "fleet.store"),
            ("[fleet]\nstore = \"https://bucket\"\n".to_owned(), "fleet.store"),
            ("[fleet]\nstore = \"s3://bucket\"\n".to_owned(), "fleet.region"),
            (format!("[fleet]\n{good}endpoint = 1\n"), "fleet.endpoint"),
            (format!("[fleet]\n{good}profile = \"a\\nb\"\n"), "fleet.profile"),
            (format!("[fleet]\n{good}required = \"yes\"\n"), "fleet.required"),
        ] {
            let error = payload(&fleet).unwrap_err();
            assert_eq!(error.what, format!("the vault's content has no valid {field}"));
        }
    }
}
