//! The journal: changes that span AWS and the vault, from before their first call to their end. An
//! entry that is found is of a run that did not finish.
//!
//! `[[journal]]` with `kind`, and what the kind needs. Kinds that this version does not know are kept.

use toml::{Table, Value};

use super::rotation::{ROTATE, rotation};
use super::{Payload, bad};
use crate::error::Result;

/// The kind of an [`Enrolment`].
const ENROL: &str = "mfa-enroll";

/// A virtual MFA device that is being made. As long as its seed is not in the vault, AWS may have
/// made it or not; from then on it is to be enabled and proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The profile whose key's user gets it.
    pub profile: String,
    /// The device's name in its account.
    pub device: String,
    /// Random, one for each run: only the run that wrote the entry last continues.
    pub run: String,
}

impl Payload {
    /// The enrolments that have not come to their end.
    pub fn enrolments(&self) -> impl Iterator<Item = Enrolment> {
        super::entries(&self.doc, "journal").filter_map(enrolment)
    }

    /// Notes an enrolment, in place of an earlier one of the same profile and device.
    pub fn set_enrolment(&mut self, new: &Enrolment) {
        self.end_enrolment(&new.profile, &new.device);
        let fields = [
            ("kind", ENROL),
            ("profile", &new.profile),
            ("device", &new.device),
            ("run", &new.run),
        ];
        if let Some(journal) = self.journal_mut() {
            journal.push(Value::Table(super::texts(fields)));
        }
    }

    /// Takes an enrolment out of the journal.
    pub fn end_enrolment(&mut self, profile: &str, device: &str) {
        self.end_entries(|entry| {
            enrolment(entry).is_some_and(|found| {
                (found.profile.as_str(), found.device.as_str()) == (profile, device)
            })
        });
    }

    /// Removes entries from the journal, and an empty journal.
    pub(super) fn end_entries(&mut self, ended: impl Fn(&Table) -> bool) {
        let Some(Value::Array(journal)) = self.doc.get_mut("journal") else { return };
        journal.retain(|entry| !entry.as_table().is_some_and(&ended));
        if journal.is_empty() {
            self.doc.remove("journal");
        }
    }

    /// The journal is a list of tables that have a kind.
    pub(super) fn check_journal(&self) -> Result<()> {
        let Some(value) = self.doc.get("journal") else { return Ok(()) };
        for (index, entry) in value.as_array().ok_or_else(|| bad("journal"))?.iter().enumerate() {
            let kind_and_table = entry.as_table().and_then(|t| Some((t.get("kind")?.as_str()?, t)));
            let is_whole = match kind_and_table {
                Some((ENROL, table)) => enrolment(table).is_some(),
                Some((ROTATE, table)) => rotation(table).is_some(),
                Some(_) => true,
                None => return Err(bad(&format!("journal[{index}].kind"))),
            };
            if !is_whole {
                return Err(bad(&format!("journal[{index}]")));
            }
        }
        Ok(())
    }

    /// The entries, whose list is made if it is missing.
    pub(super) fn journal_mut(&mut self) -> Option<&mut Vec<Value>> {
        self.doc.entry("journal").or_insert_with(|| Value::Array(Vec::new())).as_array_mut()
    }
}

fn enrolment(entry: &Table) -> Option<Enrolment> {
    let text = |field| super::line(Some(entry), field).map(str::to_owned);
    (entry.get("kind")?.as_str() == Some(ENROL)).then_some(())?;
    Some(Enrolment { profile: text("profile")?, device: text("device")?, run: text("run")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(run: &str) -> Enrolment {
        Enrolment { profile: "ci".into(), device: "robot".into(), run: run.into() }
    }

    #[test]
    fn an_enrolment_is_noted_replaced_and_ended() {
        let mut payload = Payload::new(&[], &[]).unwrap();
        payload.set_enrolment(&run("1"));
        payload.set_enrolment(&run("2"));
        let mut payload = Payload::parse(&payload.to_plaintext()).unwrap();
        assert_eq!(payload.enrolments().collect::<Vec<_>>(), [run("2")]);
        payload.end_enrolment("ci", "other");
        assert_eq!(payload.enrolments().count(), 1);
        payload.end_enrolment("ci", "robot");
        assert!(!String::from_utf8_lossy(&payload.to_plaintext()).contains("journal"));
    }

    #[test]
    fn entries_of_other_kinds_are_kept_and_crooked_ones_refused() {
        let text = |journal: &str| {
            let plain = Payload::new(&[], &[]).unwrap().to_plaintext();
            format!("{}\n[[journal]]\n{journal}\n", String::from_utf8_lossy(&plain))
        };
        let mut payload = Payload::parse(text("kind = \"later\"\nx = 1").as_bytes()).unwrap();
        payload.set_enrolment(&run("1"));
        payload.end_enrolment("ci", "robot");
        assert!(String::from_utf8_lossy(&payload.to_plaintext()).contains("kind = \"later\""));
        for (bad, field) in [("x = 1", "journal[0].kind"), ("kind = \"mfa-enroll\"", "journal[0]")]
        {
            let error = Payload::parse(text(bad).as_bytes()).unwrap_err();
            assert_eq!(error.what, format!("the vault's content has no valid {field}"));
        }
    }
}
