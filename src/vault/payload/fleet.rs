//! The store that the hosts of a fleet share: `[fleet]` with `store`, and optionally `region`, `endpoint`,
//! `profile` and `required`.

use toml::{Table, Value};

use super::{Payload, bad, line};
use crate::error::Result;
use crate::store::Location;

/// How the hosts reach the store that they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Where the objects are.
    pub store: Location,
    /// The bucket's region.
    pub region: String,
    /// Another endpoint than AWS's: its URL.
    pub endpoint: Option<String>,
    /// The profile whose key in the vault reaches the store; `None` for the credentials of the host.
    pub profile: Option<String>,
    /// True if no code is sent while the store is away.
    pub required: bool,
}

impl Payload {
    /// The fleet that this vault's hosts have joined.
    pub fn fleet(&self) -> Option<Fleet> {
        self.doc.get("fleet").and_then(|value| read(value).ok())
    }

    /// Joins a fleet, in place of another; fields of a later version are kept.
    pub fn set_fleet(&mut self, fleet: &Fleet) {
        let table = self.doc.entry("fleet").or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(table) = table else { return };
        let texts = [
            ("store", Some(fleet.store.to_string())),
            ("region", Some(fleet.region.clone())),
            ("endpoint", fleet.endpoint.clone()),
            ("profile", fleet.profile.clone()),
        ];
        for (field, text) in texts {
            match text {
                Some(text) => drop(table.insert(field.into(), Value::String(text))),
                None => drop(table.remove(field)),
            }
        }
        table.insert("required".into(), Value::Boolean(fleet.required));
    }

    /// Leaves the fleet; false if there was none.
    pub fn remove_fleet(&mut self) -> bool {
        self.doc.remove("fleet").is_some()
    }

    pub(super) fn check_fleet(&self) -> Result<()> {
        let Some(value) = self.doc.get("fleet") else { return Ok(()) };
        read(value).map(drop).map_err(|field| match field {
            "" => bad("fleet"),
            field => bad(&format!("fleet.{field}")),
        })
    }
}

/// What stands there, or the field that is wrong; empty if it is no table.
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
