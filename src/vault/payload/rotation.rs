//! The journal's entries of access keys that are being replaced, and the replacing.

use toml::{Table, Value};

use super::{Payload, entries, line, texts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::secret::Secret;

/// The kind of a [`Rotation`].
pub(super) const ROTATE: &str = "key-rotate";

/// An access key that is being replaced by another one of the same user. It was the user's only key
/// when the entry was written; as long as there is no new one here, AWS may have made it or not.
#[derive(Debug)]
pub struct Rotation {
    /// The profile that it was asked for.
    pub profile: String,
    pub user: String,
    /// The key that is to go. It stays here until AWS has deleted it.
    pub old: Credentials,
    /// When a run last set out to make the new key, by AWS's clock.
    pub at: Option<Timestamp>,
    /// The new key, which no profile has before it is proven.
    pub new: Option<Credentials>,
    /// Random, one for each run: only the run that wrote the entry last continues.
    pub run: String,
}

impl Payload {
    /// The rotations that have not come to their end.
    pub fn rotations(&self) -> impl Iterator<Item = Rotation> {
        entries(&self.doc, "journal").filter_map(rotation)
    }

    /// The rotation by which this key is to go, or has come.
    pub fn rotation_of(&self, id: &str) -> Option<Rotation> {
        self.rotations().find(|rotation| {
            let new = rotation.new.as_ref().is_some_and(|new| new.access_key_id == id);
            new || rotation.old.access_key_id == id
        })
    }

    /// Notes a rotation, or what has come of it: there is one for an old key.
    pub fn set_rotation(&mut self, rotation: &Rotation) {
        let mut fields = texts([
            ("kind", ROTATE),
            ("profile", &rotation.profile),
            ("user", &rotation.user),
            ("run", &rotation.run),
        ]);
        if let Some(at) = rotation.at {
            fields.insert("at".into(), Value::String(at.to_rfc3339()));
        }
        fields.insert("old".into(), Value::Table(table(&rotation.old)));
        if let Some(new) = &rotation.new {
            fields.insert("new".into(), Value::Table(table(new)));
        }
        let Some(journal) = self.journal_mut() else { return };
        let own = journal.iter_mut().filter_map(Value::as_table_mut).find(|entry| {
            self::rotation(entry)
                .is_some_and(|found| found.old.access_key_id == rotation.old.access_key_id)
        });
        match own {
            // Fields of a later version stay.
            Some(entry) => {
                entry.remove("new");
                entry.extend(fields);
            }
            None => journal.push(Value::Table(fields)),
        }
    }

    /// Takes a rotation out of the journal, and with it both its keys.
    pub fn end_rotation(&mut self, old: &str) {
        self.end_entries(|entry| {
            rotation(entry).is_some_and(|found| found.old.access_key_id == old)
        });
    }

    /// The profiles that have this access key, in the order of their names.
    pub fn profiles_of(&self, id: &str) -> Vec<String> {
        let has = |profile: &&str| self.access_key_id(profile) == Some(id);
        self.credential_names().filter(has).map(str::to_owned).collect()
    }

    /// Gives every profile that has this access key another one in its place.
    pub fn replace_key(&mut self, id: &str, new: &Credentials, now: Timestamp) {
        for profile in self.profiles_of(id) {
            self.set_credential(&profile, new, now);
        }
    }
}

/// A key as a table of the document.
pub(super) fn table(key: &Credentials) -> Table {
    let secret = key.secret_access_key.expose();
    texts([("access_key_id", &key.access_key_id), ("secret_access_key", secret)])
}

/// None for an entry of another kind, and for one that is not whole.
pub(super) fn rotation(entry: &Table) -> Option<Rotation> {
    let text = |field| line(Some(entry), field).map(str::to_owned);
    let key = |field| {
        let table = entry.get(field)?.as_table();
        let secret = Secret::new(line(table, "secret_access_key")?.to_owned());
        Some(Credentials::long_term(line(table, "access_key_id")?.to_owned(), secret))
    };
    (entry.get("kind")?.as_str() == Some(ROTATE)).then_some(())?;
    Some(Rotation {
        profile: text("profile")?,
        user: text("user")?,
        at: text("at").and_then(|at| Timestamp::parse(&at)),
        old: key("old")?,
        new: if entry.contains_key("new") { Some(key("new")?) } else { None },
        run: text("run")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Credentials {
        Credentials::long_term(id.to_owned(), Secret::new("s".to_owned()))
    }

    fn started() -> Rotation {
        Rotation {
            profile: "ci".into(),
            user: "arn:aws:iam::123456789012:user/robot".into(),
            at: Some(Timestamp(1_769_860_800)),
            old: key("AKIA1"),
            new: None,
            run: "1".into(),
        }
    }

    #[test]
    fn a_rotation_is_noted_continued_and_ended() {
        let mut payload = Payload::new(&[], &[]).unwrap();
        payload.set_rotation(&started());
        payload.set_rotation(&Rotation { new: Some(key("AKIA2")), run: "2".into(), ..started() });
        let mut payload = Payload::parse(&payload.to_plaintext()).unwrap();
        assert_eq!(payload.rotations().count(), 1);
        for id in ["AKIA1", "AKIA2"] {
            let rotation = payload.rotation_of(id).unwrap();
            assert_eq!((&*rotation.run, rotation.at), ("2", started().at));
        }
        assert!(payload.rotation_of("AKIA3").is_none());
        payload.end_rotation("AKIA2");
        assert_eq!(payload.rotations().count(), 1);
        payload.end_rotation("AKIA1");
        assert!(!String::from_utf8_lossy(&payload.to_plaintext()).contains("journal"));
    }

    #[test]
    fn fields_of_a_later_version_stay_when_it_goes_on() {
        let mut payload = Payload::new(&[], &[]).unwrap();
        payload.set_rotation(&Rotation { new: Some(key("AKIA2")), ..started() });
        let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
        let text = text.replace("run = ", "later = 1\nrun = ");
        let mut payload = Payload::parse(text.as_bytes()).unwrap();
        payload.set_rotation(&started());
        let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
        assert!(text.contains("later = 1") && !text.contains("AKIA2"), "{text}");
    }

    #[test]
    fn all_profiles_with_a_key_get_the_new_one() {
        let mut payload = Payload::new(&[], &[]).unwrap();
        for (profile, id) in [("a", "AKIA1"), ("b", "AKIA9"), ("c", "AKIA1")] {
            payload.set_credential(profile, &key(id), Timestamp(0));
        }
        assert_eq!(payload.profiles_of("AKIA1"), ["a", "c"]);
        payload.replace_key("AKIA1", &key("AKIA2"), Timestamp(0));
        let ids = ["a", "b", "c"].map(|profile| payload.access_key_id(profile).unwrap());
        assert_eq!(ids, ["AKIA2", "AKIA9", "AKIA2"]);
    }

    #[test]
    fn an_entry_that_is_not_whole_is_damage() {
        let mut payload = Payload::new(&[], &[]).unwrap();
        payload.set_rotation(&Rotation { new: Some(key("AKIA2")), ..started() });
        let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
        for (from, to) in [
            ("profile = ", "other = "),
            ("user = ", "other = "),
            ("run = ", "other = "),
            ("access_key_id = \"AKIA1\"", "other = 1"),
            ("access_key_id = \"AKIA2\"", "access_key_id = 2"),
            ("user/robot", "user/\\u001b"),
        ] {
            assert!(text.contains(from), "{from}: {text}");
            let crooked = text.replacen(from, to, 1);
            let error = Payload::parse(crooked.as_bytes()).unwrap_err();
            assert_eq!(error.what, "the vault's content has no valid journal[0]", "{from}");
        }
    }
}
