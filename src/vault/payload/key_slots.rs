//! What opens the vault: `[[recipients]]` and `[[passphrases]]`; and the keys that are replaced when one of these
//! is removed.

use toml::Value;

use super::{PassphraseEntry, Payload, Pin, RecipientEntry, binary, entries, random, texts};
use crate::error::Result;
use crate::sealed::Slot;

impl Payload {
    /// The recipients, whose keys open the vault.
    pub fn recipients(&self) -> Vec<RecipientEntry> {
        entries(&self.doc, "recipients")
            .filter_map(|table| {
                Some(RecipientEntry {
                    recipient: table.get("recipient")?.as_str()?.to_owned(),
                    name: table.get("name").and_then(Value::as_str).map(str::to_owned),
                })
            })
            .collect()
    }

    /// The passphrases that open the vault.
    pub fn passphrases(&self) -> Vec<PassphraseEntry> {
        entries(&self.doc, "passphrases")
            .filter_map(|table| {
                Some(PassphraseEntry {
                    public: table.get("public")?.as_str()?.to_owned(),
                    stanza: table.get("stanza")?.as_str()?.to_owned(),
                })
            })
            .collect()
    }

    /// The names of its passphrase slots.
    pub fn slot_names(&self) -> Vec<String> {
        self.slots().iter().map(Slot::name).collect()
    }

    /// The passphrase slots, as in the header.
    pub fn slots(&self) -> Vec<Slot> {
        self.passphrases().iter().flat_map(|entry| Slot::parse(&entry.stanza)).collect()
    }

    /// Adds a recipient, or gives the one that is written the same its name.
    pub fn set_recipient(&mut self, entry: &RecipientEntry) {
        let Some(Value::Array(list)) = self.doc.get_mut("recipients") else { return };
        let is_it = |value: &&mut Value| text(value) == Some(&entry.recipient);
        match (list.iter_mut().find(is_it), &entry.name) {
            (Some(Value::Table(table)), Some(name)) => {
                table.insert("name".into(), Value::String(name.clone()));
            }
            (Some(_), _) => {}
            (None, _) => list.push(recipient(entry)),
        }
    }

    /// Removes these recipients. The caller also replaces the keys ([`Payload::renew_keys`]).
    pub fn remove_recipients(&mut self, is_meant: impl Fn(&str) -> bool) {
        if let Some(Value::Array(list)) = self.doc.get_mut("recipients") {
            list.retain(|value| !text(value).is_some_and(&is_meant));
        }
    }

    /// Replaces all passphrases by this one or by none. If there was one, the caller also replaces the keys.
    pub fn set_passphrase(&mut self, entry: Option<&PassphraseEntry>) {
        let list = entry.into_iter().map(passphrase).collect();
        self.doc.insert("passphrases".into(), Value::Array(list));
    }

    /// Replaces `auth_key` and `cache_key`: the old ones can neither forge this vault's new fingerprint nor
    /// read new sessions.
    pub fn renew_keys(&mut self) -> Result<()> {
        self.doc.insert("auth_key".into(), random::<32>()?);
        self.doc.insert("cache_key".into(), random::<32>()?);
        self.pin = Pin::of(&*binary(&self.doc, "id")?, &*binary(&self.doc, "auth_key")?);
        Ok(())
    }
}

/// The recipient in a row of the document.
fn text(row: &Value) -> Option<&str> {
    row.get("recipient")?.as_str()
}

/// A recipient as a row of the document.
pub(super) fn recipient(entry: &RecipientEntry) -> Value {
    let mut table = texts([("recipient", &entry.recipient)]);
    if let Some(name) = &entry.name {
        table.insert("name".into(), Value::String(name.clone()));
    }
    Value::Table(table)
}

/// A passphrase slot as a row of the document.
pub(super) fn passphrase(entry: &PassphraseEntry) -> Value {
    Value::Table(texts([("public", &entry.public), ("stanza", &entry.stanza)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(recipient: &str, name: Option<&str>) -> RecipientEntry {
        RecipientEntry { recipient: recipient.into(), name: name.map(str::to_owned) }
    }

    #[test]
    fn recipients_come_and_go_and_their_unknown_fields_stay() {
        let mut payload = Payload::new(&[named("age1a", None)], &[]).unwrap();
        let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
        let text = text.replace("recipient = \"age1a\"", "recipient = \"age1a\"\nsince = 7");
        payload = Payload::parse(text.as_bytes()).unwrap();
        payload.set_recipient(&named("age1b", Some("b")));
        payload.set_recipient(&named("age1b", None));
        payload.set_recipient(&named("age1a", Some("first")));
        let all = [named("age1a", Some("first")), named("age1b", Some("b"))];
        assert_eq!(payload.recipients(), all);
        payload.remove_recipients(|recipient| recipient == "age1b");
        assert_eq!(payload.recipients(), all[..1]);
        assert!(String::from_utf8_lossy(&payload.to_plaintext()).contains("since = 7"));
    }

    #[test]
    fn one_passphrase_takes_the_place_of_all() {
        let entry = |public: &str| PassphraseEntry { public: public.into(), stanza: "-> ".into() };
        let mut payload = Payload::new(&[], &[entry("age1a"), entry("age1b")]).unwrap();
        payload.set_passphrase(Some(&entry("age1c")));
        assert_eq!(payload.passphrases(), [entry("age1c")]);
        payload.set_passphrase(None);
        assert_eq!(payload.passphrases(), []);
    }

    #[test]
    fn new_keys_are_a_new_fingerprint_and_a_new_cache_of_the_same_vault() {
        let mut payload = Payload::new(&[named("age1a", None)], &[]).unwrap();
        let (pin, (id, cache_key)) = (payload.pin(), payload.cache_seed());
        payload.renew_keys().unwrap();
        assert_ne!(payload.pin(), pin);
        assert_eq!(payload.cache_seed().0, id);
        assert_ne!(payload.cache_seed().1, cache_key);
        assert_eq!(Payload::parse(&payload.to_plaintext()).unwrap().pin(), payload.pin());
    }
}
