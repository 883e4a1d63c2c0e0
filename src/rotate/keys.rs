//! The user's keys other than the old and the new one.

use super::{MUST, Rotate};
use crate::aws::{LastUse, ListedKey};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::user_change::User;
use crate::vault::Rotation;

/// The most seconds between the time of an entry and the creation of its key: a run makes calls for five minutes
/// at most, and clocks differ.
const TRY: u64 = 600;

impl Rotate<'_, '_> {
    /// AWS gives a user two keys: there must be room for the new one.
    pub(super) fn make_room(&mut self, old: &Credentials, user: &User) -> Result<()> {
        for other in self.others(old, user)? {
            let used = self.iam(old, |iam, by| iam.access_key_last_used(by, &other.id)).ok();
            self.refuse_other(user, &other, used.as_ref())?;
            // Only for a vault that can take the new key.
            self.change.save(|_| Ok(()))?;
            self.change.reporter().note(format!("Deleting {}", describe(&other, used.as_ref())));
            self.delete(old, user, &other.id)?;
        }
        Ok(())
    }

    /// Deletes the key of an earlier try whose answer or vault was lost: one that was made at that time and,
    /// if AWS says so, never used.
    pub(super) fn delete_lost(&mut self, rotation: &Rotation, user: &User) -> Result<()> {
        let old = &rotation.old;
        for other in self.others(old, user)? {
            let times = rotation.at.zip(other.created);
            let in_time =
                times.is_some_and(|(at, made)| made.seconds_since(at).unsigned_abs() <= TRY);
            let used = self.iam(old, |iam, by| iam.access_key_last_used(by, &other.id)).ok();
            let in_vault = !self.change.payload()?.profiles_of(&other.id).is_empty();
            if !in_time || in_vault || used.as_ref().is_some_and(|used| used.at.is_some()) {
                self.refuse_other(user, &other, used.as_ref())?;
                self.change
                    .reporter()
                    .note(format!("Deleting {}", describe(&other, used.as_ref())));
            }
            self.change.reporter().debug(format!("deleting {}, whose secret is lost", other.id));
            self.delete(old, user, &other.id)?;
        }
        Ok(())
    }

    /// The user's keys beside this one.
    fn others(&mut self, old: &Credentials, user: &User) -> Result<Vec<ListedKey>> {
        let keys = self.iam(old, |iam, by| iam.list_access_keys(by, &user.name));
        let keys = keys.map_err(|error| self.change.denied(error, old, MUST))?;
        Ok(keys.into_iter().filter(|key| key.id != old.access_key_id).collect())
    }

    /// Refuses another key, unless the user asked to delete it and the vault has it for no profile.
    pub(super) fn refuse_other(
        &self,
        user: &User,
        other: &ListedKey,
        used: Option<&LastUse>,
    ) -> Result<()> {
        let what = format!(
            "the user {} has two access keys, as many as AWS allows; the other one is {}",
            user.name,
            describe(other, used)
        );
        if let [profile, ..] = &self.change.payload()?.profiles_of(&other.id)[..] {
            return Err(Error::refused(what).hint(format!(
                "it is the key of profile {profile:?}; to use one key for both, run \
                 vault remove {profile} and set source_profile = {} in it",
                self.change.profile
            )));
        }
        if !self.delete_other {
            return Err(Error::refused(what).hint(format!(
                "if it is not needed: vault rotate {} --delete-other",
                self.change.profile
            )));
        }
        Ok(())
    }
}

/// A key and what AWS says of it; `used` is none if AWS does not say it.
pub(super) fn describe(key: &ListedKey, used: Option<&LastUse>) -> String {
    let state = if key.active { "active" } else { "inactive" };
    let made = key.created.map_or_else(String::new, |at| format!(", made {}", at.to_rfc3339()));
    let used = match used {
        None => ", and AWS does not say when it was last used".to_owned(),
        Some(LastUse { at: None, .. }) => ", never used".to_owned(),
        Some(LastUse { at: Some(at), service, region }) => {
            format!(", last used {} for {service} in {region}", at.to_rfc3339())
        }
    };
    format!("{} ({state}{made}{used})", key.id)
}
