//! Replacing an access key: a new one is made at AWS, saved, tested and put into use, and only then the old one
//! is deleted.
//!
//! AWS returns a key's secret once, in the answer that makes it. So the journal in the vault has the rotation
//! before the key is made, and the new key before it is used. Until it is tested, only the journal has it, and
//! the profiles keep the old one, which works; then all profiles with the old key change in one write, and the
//! journal has the old one until AWS has deleted it. So the key that the profiles have always works:
//!
//! | crash | what the next run finds | what it does |
//! | --- | --- | --- |
//! | before CreateAccessKey | the journal | makes the key |
//! | after it, or its answer is lost | the journal; AWS has a key that no vault has | deletes it, makes another |
//! | after the new key was saved | both keys in the journal, the old one in use | proves the new one |
//! | after GetCallerIdentity | the same | proves it once more |
//! | after the profiles got the new key | both keys in the journal, the new one in use | makes the old one inactive |
//! | after UpdateAccessKey | the same; the old one is inactive | proves the new one, which now works alone, and deletes the old one |
//! | after DeleteAccessKey | the same; AWS does not know the old one | drops its sessions, ends the entry |
//!
//! An entry is written only when the user has no other key, so a third key may be the rotation's own, whose
//! secret is lost. That was made within minutes of the entry's time, and never used; any other key is not
//! touched. If the new key is deleted at AWS while the old one exists, the next run goes back to the old one.
//! Each run begins with a write, so what an earlier run saved without confirmation from the disk is on the disk
//! before AWS is asked for anything.

mod keys;
mod mfa_session;
mod preview;

use std::time::{Duration, Instant};

pub use preview::RotationPreview;

use crate::aws::ServiceError;
use crate::credential::Credentials;
use crate::error::{Class, Error, Result};
use crate::profile::{Mfa, Target};
use crate::random;
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::user_change::{NotMade, User, UserChange};
use crate::vault::{Payload, Rotation, Synced, Vault};
use crate::waiting::waiting;

/// Pauses before each test of the new key, in seconds. It works after 3 to 15 s (measured).
const PROOF_PAUSES: [u64; 14] = [0, 2, 2, 3, 3, 4, 5, 5, 5, 5, 6, 6, 7, 7];

/// Pauses before each retry of a call to IAM, which is eventually consistent, in seconds.
const IAM_PAUSES: [u64; 5] = [1, 2, 4, 8, 8];

/// The permissions whose lack AWS most often refuses a call for.
const MUST: &str = "the user must be allowed to list, create, update and delete its own access \
                               keys; if the policies want MFA, the profile has to name the device by mfa_serial";

/// All that a rotation needs.
pub struct Rotate<'a, 'v> {
    /// All profiles that have the key get the new one.
    pub change: UserChange<'a, 'v>,
    /// Delete the user's other key, if there is one.
    pub delete_other: bool,
    /// The user's MFA device, if one is named.
    pub mfa: Option<MfaDevice<'a>>,
    /// The profiles whose sessions start from the key.
    pub sessions_of: &'a [String],
    /// The MFA session that calls to IAM are signed by, once one was needed.
    pub session: Option<Session>,
}

/// The device of the key's user, and where its codes come from other than the vault.
pub struct MfaDevice<'a> {
    pub device: &'a Mfa,
    /// Where sessions are made.
    pub sts: &'a Target,
    /// A code that was given, until it is used.
    pub token: &'a mut Option<Secret>,
    /// True once a session was made.
    pub used: bool,
}

/// An MFA session, and the key that it was made of.
pub struct Session {
    of: String,
    credentials: Credentials,
}

/// A key that was replaced.
#[derive(Debug)]
pub struct Rotated {
    /// The profiles that have the new key.
    pub profiles: Vec<String>,
    /// The IAM user's name.
    pub user: String,
    /// The id of the key that is gone.
    pub old: String,
    /// The id of the one in its place.
    pub new: String,
}

/// The IAM user of the key.
fn user_of(arn: String) -> Result<User> {
    User::of(arn, "a key", "cannot be rotated")
}

impl Rotate<'_, '_> {
    /// Does what is left to do, from the beginning or from where an earlier run stopped.
    ///
    /// # Errors
    /// No key for the profile (3); a key that is no IAM user's, or another key in the way (6); what AWS
    /// refuses, and a new key that it does not take in time (9); busy (8) if another process continues
    /// it, or the other hosts of a fleet reach the store by the old key; what saving the vault ends
    /// with (7, 8, 10), and sharing it ([`Vault::sync`]).
    pub fn run(mut self) -> Result<Rotated> {
        let mut shared = vec![self.change.share()?];
        let started = self.started();
        let (rotation, again) = match &started {
            Some(started) => (self.take_over(started)?, true),
            None => (self.begin()?, false),
        };
        let user = user_of(rotation.user.clone())?;
        shared.push(self.change.share()?);
        let rotation = match rotation.new {
            Some(_) => rotation,
            None => self.create(rotation, &user, again)?,
        };
        let Rotation { old, new: Some(new), .. } = &rotation else {
            return Err(Error::other("the key that was just stored is not in the vault any more"));
        };
        self.prove(new, old, &user)?;
        let profiles = self.take_into_use(new, old)?;
        // Other hosts have not pulled yet what this run has put into the store.
        if shared.contains(&Synced::Pushed) {
            self.wait_for_hosts(&profiles, old)?;
        }
        self.retire(new, old, &user)?;
        self.end(new, old)?;
        Ok(Rotated {
            profiles,
            user: user.name,
            old: old.access_key_id.clone(),
            new: new.access_key_id.clone(),
        })
    }

    /// The unfinished rotation of the profile's key.
    fn started(&self) -> Option<Rotation> {
        let payload = self.change.payload().ok()?;
        payload.rotation_of(payload.access_key_id(self.change.profile)?)
    }

    /// Goes on with a rotation, as the latest content of the vault has it.
    fn take_over(&mut self, started: &Rotation) -> Result<Rotation> {
        self.change
            .reporter()
            .debug(format!("going on with the rotation of {}", started.old.access_key_id));
        let run = random::name()?;
        self.change.save(|payload| {
            let rotation = payload.rotation_of(&started.old.access_key_id).ok_or_else(finished)?;
            let rotation = Rotation { run: run.clone(), ..rotation };
            payload.set_rotation(&rotation);
            Ok(rotation)
        })
    }

    /// Checks whose key it is and that there is room for another, and records the rotation. A vault that
    /// cannot be written is found here, before AWS is asked to change anything.
    fn begin(&mut self) -> Result<Rotation> {
        let old = self.change.key().map_err(|error| error.or_hint("vault list"))?;
        let user = user_of(self.change.caller_identity(&old)?)?;
        self.make_room(&old, &user)?;
        let profile = self.change.profile;
        let (at, run) = (Some(self.change.now()), random::name()?);
        let rotation =
            Rotation { profile: profile.to_owned(), user: user.arn, at, old, new: None, run };
        self.change.save(|payload| {
            let id = rotation.old.access_key_id.as_str();
            if payload.access_key_id(profile) != Some(id) || payload.rotation_of(id).is_some() {
                return Err(Error::busy("another process has just begun to replace this key")
                    .hint("run the same command again to finish it"));
            }
            payload.set_rotation(&rotation);
            Ok(())
        })?;
        Ok(rotation)
    }

    /// CreateAccessKey, until there is a key whose secret is known, and saves it. `again`: an earlier
    /// run may have made one.
    fn create(&mut self, mut rotation: Rotation, user: &User, again: bool) -> Result<Rotation> {
        if again {
            // Before the time of this try replaces the earlier one's.
            self.delete_lost(&rotation, user)?;
            rotation.at = Some(self.change.now());
            self.record(&rotation)?;
        }
        let new = match self.make(&rotation, user, again) {
            Ok(new) => new,
            Err(NotMade { error, nothing_there }) => {
                if nothing_there {
                    // If this cannot be saved, the next run finds out.
                    let _ = self.change.save(|payload| {
                        current(payload, &rotation)?;
                        payload.end_rotation(&rotation.old.access_key_id);
                        Ok(())
                    });
                }
                return Err(error);
            }
        };
        let id = new.access_key_id.clone();
        let rotation = Rotation { new: Some(new), ..rotation };
        if let Err(error) = self.record(&rotation) {
            // Its secret is lost. If this fails too, the next run finds the key.
            if error.class != Class::NotDurable {
                let _ = self.delete(&rotation.old, user, &id);
            }
            return Err(error);
        }
        Ok(rotation)
    }

    /// Saves the state of the rotation.
    fn record(&mut self, rotation: &Rotation) -> Result<()> {
        self.change.save(|payload| {
            current(payload, rotation)?;
            payload.set_rotation(rotation);
            Ok(())
        })
    }

    /// CreateAccessKey. `ours`: AWS may have a key of ours whose secret is lost.
    fn make(
        &mut self,
        rotation: &Rotation,
        user: &User,
        mut ours: bool,
    ) -> Result<Credentials, NotMade> {
        let mut pauses = IAM_PAUSES.into_iter();
        loop {
            let made = self.iam(&rotation.old, |iam, by| iam.create_access_key(by, &user.name));
            let error = match made {
                Ok(new) => return Ok(new),
                Err(error) => error,
            };
            let full = error.is("LimitExceeded");
            ours |= error.may_have_arrived();
            let may_pass = error.may_pass() || full && ours;
            if !may_pass || !self.change.pause(pauses.next()) {
                let error = match full && !ours {
                    true => another_key_was_made(user),
                    false => self.change.denied(error, &rotation.old, MUST),
                };
                return Err(NotMade { error, nothing_there: !ours });
            }
            if ours {
                let deleted = self.delete_lost(rotation, user);
                deleted.map_err(|error| NotMade { error, nothing_there: false })?;
            }
        }
    }

    /// GetCallerIdentity with the new key, until AWS knows it.
    fn prove(&mut self, new: &Credentials, old: &Credentials, user: &User) -> Result<()> {
        let mut last = None;
        let id = new.access_key_id.clone();
        let ends = Instant::now() + Duration::from_secs(PROOF_PAUSES.iter().sum());
        let _waiting = waiting(move || format!("AWS to know the new key {id}"), Some(ends));
        for pause in PROOF_PAUSES {
            if !self.change.pause(Some(pause)) {
                break;
            }
            match self.change.sts.caller_identity(new) {
                Ok(arn) if arn == user.arn => return Ok(()),
                Ok(_) => {
                    return Err(Error::aws("AWS says that the new key belongs to another user"));
                }
                Err(error) if error.is_of_an_unknown_key() || error.may_pass() => {
                    self.change.reporter().debug("the new key is not proven yet");
                    last = Some(error);
                }
                Err(error) => {
                    return Err(error.into_error_of(&new.access_key_id, self.change.profile));
                }
            }
        }
        match last {
            Some(error) if error.is_of_an_unknown_key() => self.go_back(new, old, user)?,
            Some(error) => return Err(error.into()),
            None => {}
        }
        Err(Error::aws(format!("AWS does not accept the new key {} yet", new.access_key_id))
            .hint("in a minute, vault rotate --resume continues where this run stopped"))
    }

    /// Back to the old key, if AWS has the new one no longer.
    fn go_back(&mut self, new: &Credentials, old: &Credentials, user: &User) -> Result<()> {
        let (new_id, old_id) = (&new.access_key_id, &old.access_key_id);
        let keys = self.iam(old, |iam, by| iam.list_access_keys(by, &user.name));
        let Ok(keys) = keys else { return Ok(()) };
        if let Some(listed) = keys.iter().find(|key| key.id == *new_id) {
            return match listed.active {
                true => Ok(()),
                false => Err(Error::aws(format!("the new key {new_id} was made inactive at AWS"))
                    .hint("make it active there, or delete it, and run the same command again")),
            };
        }
        let now = self.change.session.clock().now();
        self.change.save(|payload| {
            let rotation = payload.rotation_of(old_id).ok_or_else(finished)?;
            payload.replace_key(new_id, old, now);
            payload.set_rotation(&Rotation { new: None, ..rotation });
            Ok(())
        })?;
        Err(Error::aws(format!("the new key {new_id} was deleted at AWS"))
            .hint(format!("{old_id} is in use as before; run the same command again")))
    }

    /// All profiles with the old key get the new one, in one write; their names.
    fn take_into_use(&mut self, new: &Credentials, old: &Credentials) -> Result<Vec<String>> {
        let (new_id, old_id) = (&new.access_key_id, &old.access_key_id);
        let payload = self.change.payload()?;
        if payload.profiles_of(old_id).is_empty() {
            return Ok(payload.profiles_of(new_id));
        }
        let now = self.change.session.clock().now();
        let profiles = self.change.save(|payload| {
            let known = payload.rotation_of(old_id).and_then(|rotation| rotation.new);
            if known.is_none_or(|known| known.access_key_id != *new_id) {
                return Err(taken_over());
            }
            payload.replace_key(old_id, new, now);
            in_use(payload, new)
        })?;
        self.wait_for_hosts(&profiles, old)?;
        Ok(profiles)
    }

    /// The key of the fleet's own store is deleted by another run, once the other hosts have the new one.
    fn wait_for_hosts(&mut self, profiles: &[String], old: &Credentials) -> Result<()> {
        let store = self.change.payload()?.fleet().and_then(|fleet| fleet.profile);
        let Some(store) = store.filter(|store| profiles.contains(store)) else { return Ok(()) };
        if self.change.session.vault()?.is_ahead_of_the_store() {
            return Err(Error::aws(
                "the new key is saved on this host only: the vault was not written to the fleet's store",
            )
            .hint(format!(
                "run vault fleet pull here, then on the other hosts, then vault rotate {store} --resume"
            )));
        }
        Err(Error::busy(format!(
            "{} is not deleted yet: the other hosts need it for the store until they have pulled the vault",
            old.access_key_id
        ))
        .hint(format!("run vault fleet pull on each of them, then vault rotate {store} --resume")))
    }

    /// Makes the old key inactive, and deletes it once the new one works alone. Both calls are signed by the
    /// new one, so IAM knows that one too; and both are made only while the vault on disk, and in a fleet
    /// that in the store, uses the new one: a user may have put an earlier copy in its place.
    fn retire(&mut self, new: &Credentials, old: &Credentials, user: &User) -> Result<()> {
        let id = &old.access_key_id;
        in_use(self.change.session.vault_mut()?.read_back()?, new)?;
        let inactive =
            self.iam_steadily(new, |iam, by| iam.deactivate_access_key(by, &user.name, id));
        self.ok_if_deleted(inactive, new, id, user)?;
        self.prove(new, old, user)?;
        in_use(self.change.session.vault_mut()?.read_back()?, new)?;
        let deleted = self.iam_steadily(new, |iam, by| iam.delete_access_key(by, &user.name, id));
        self.ok_if_deleted(deleted, new, id, user)
    }

    /// If the policies refuse it, looks whether the key is deleted already.
    fn ok_if_deleted(
        &mut self,
        done: Result<(), ServiceError>,
        new: &Credentials,
        id: &str,
        user: &User,
    ) -> Result<()> {
        if matches!(&done, Err(error) if error.is("AccessDenied")) {
            let keys = self.iam(new, |iam, by| iam.list_access_keys(by, &user.name));
            if keys.is_ok_and(|keys| keys.iter().all(|key| key.id != id)) {
                return Ok(());
            }
        }
        self.ok_if_unknown(done, new)
    }

    /// Deletes the sessions of the old key, and the rotation from the journal. A profile that got the old key
    /// meanwhile gets the new one.
    fn end(&mut self, new: &Credentials, old: &Credentials) -> Result<()> {
        for profile in self.sessions_of {
            if let Err(error) = self.change.session.cache().clear(profile) {
                self.change.reporter().warn(error.what);
            }
        }
        let now = self.change.session.clock().now();
        self.change.save(|payload| {
            payload.replace_key(&old.access_key_id, new, now);
            in_use(payload, new)?;
            payload.end_rotation(&old.access_key_id);
            Ok(())
        })
    }

    fn delete(&mut self, key: &Credentials, user: &User, id: &str) -> Result<()> {
        let done = self.iam(key, |iam, by| iam.delete_access_key(by, &user.name, id));
        self.ok_if_unknown(done, key)
    }

    fn ok_if_unknown(&self, done: Result<(), ServiceError>, by: &Credentials) -> Result<()> {
        match done {
            Err(error) if !error.is("NoSuchEntity") => Err(self.change.denied(error, by, MUST)),
            _ => Ok(()),
        }
    }
}

/// Checks that the rotation is still in the journal, and this run's.
fn current(payload: &Payload, rotation: &Rotation) -> Result<()> {
    let own = payload.rotation_of(&rotation.old.access_key_id);
    if own.is_none_or(|own| own.run != rotation.run) {
        return Err(taken_over());
    }
    Ok(())
}

/// The profiles that have the new key: one at least.
fn in_use(payload: &Payload, new: &Credentials) -> Result<Vec<String>> {
    let profiles = payload.profiles_of(&new.access_key_id);
    match profiles.is_empty() {
        false => Ok(profiles),
        true => Err(Error::busy(
            "the key was removed from the vault, or replaced there, while it was rotated",
        )
        .hint("vault rotate --resume says which keys AWS may still have")),
    }
}

fn taken_over() -> Error {
    Error::busy("another process has taken over this rotation")
}

fn finished() -> Error {
    Error::busy("another process has just finished this rotation")
}

/// The error if another key was made since this run looked.
fn another_key_was_made(user: &User) -> Error {
    Error::refused(format!("another key was made just now for the user {}", user.name))
        .hint("run the same command again to see which")
}

/// Removes those rotations from the journal whose keys no profile has any more, and warns which keys AWS may
/// still have. True if there were some.
///
/// # Errors
/// What saving the vault ends with (7, 8, 10).
pub fn abandon(vault: &mut Vault, reporter: Reporter) -> Result<bool> {
    let orphaned = |payload: &Payload| -> Vec<Rotation> {
        let unused = |id: &str| payload.profiles_of(id).is_empty();
        let rotations = payload.rotations();
        rotations
            .filter(|rotation| {
                let new = rotation.new.as_ref();
                unused(&rotation.old.access_key_id)
                    && new.is_none_or(|new| unused(&new.access_key_id))
            })
            .collect()
    };
    if orphaned(vault.payload()).is_empty() {
        return Ok(false);
    }
    let gone = vault.change(|payload| {
        let gone = orphaned(payload);
        for rotation in &gone {
            payload.end_rotation(&rotation.old.access_key_id);
        }
        Ok(gone)
    })?;
    for Rotation { profile, user, old, new, .. } in gone {
        let new = new.map_or_else(String::new, |new| format!(" or {}", new.access_key_id));
        reporter.warn(format!(
            "the key of profile {profile:?} was replaced or removed by hand before its rotation \
             was finished; {user} may still have {}{new} at AWS",
            old.access_key_id
        ));
    }
    Ok(true)
}
