//! A new virtual MFA device for the user of a key: it is made at AWS, its seed is saved, it is enabled, and a
//! code of it is tested.
//!
//! AWS returns a device's seed once, in the answer that makes it. So the journal in the vault has the
//! device before it is made, and the seed is in the vault before the device is enabled:
//!
//! | crash | what the next run finds | what it does |
//! | --- | --- | --- |
//! | before CreateVirtualMFADevice | the journal | makes the device |
//! | after it, or its answer is lost | the journal; AWS has a device without a seed | deletes it, makes another |
//! | after the seed was saved | the seed | enables the device |
//! | after EnableMFADevice | the seed; AWS says that the device is in use | proves it |
//! | after GetSessionToken | the seed | proves it once more |
//!
//! Only a device that the journal knows is ever deleted, and AWS deletes none that is enabled.

use crate::aws::{NewDevice, ServiceError};
use crate::credential::Credentials;
use crate::error::{Class, Error, Result};
use crate::provider::CodeCheck;
use crate::random;
use crate::totp::Seed;
use crate::user_change::{NotMade, User, UserChange};
use crate::vault::{Enrolment, Payload, Vault};
use crate::waiting::waiting;

/// Pauses before each test of the device, in seconds. STS knows it within 8 to 14 s (measured); each test costs
/// a code, and at most six are sent in three minutes.
const PROOF_PAUSES: [u64; 6] = [0, 8, 7, 5, 5, 5];

/// The same without a ledger, where only one code is sent.
const ONE_PROOF_PAUSE: [u64; 1] = [15];

/// Pauses before each retry of a call to IAM, which is eventually consistent, in seconds.
const IAM_PAUSES: [u64; 4] = [1, 2, 4, 8];

/// All that an enrolment needs.
pub struct Enroll<'a, 'v> {
    /// The profile's key is that of the user who gets the device.
    pub change: UserChange<'a, 'v>,
    /// The device's name; by default the unfinished enrolment's, or the user's.
    pub device: Option<&'a str>,
}

/// A device that is enabled and proven.
#[derive(Debug)]
pub struct Enrolled {
    pub serial: String,
    /// Its name in the account.
    pub device: String,
    /// The IAM user's name.
    pub user: String,
}

impl Enroll<'_, '_> {
    /// Does what is left to do. The journal keeps its entry, since the caller's changes belong to the
    /// enrolment too; [`end`] removes it.
    ///
    /// # Errors
    /// No key for the profile (3); a key that is no IAM user's, or a device of that name that is not
    /// ours (6); what AWS refuses, or no way to record codes (9); what saving the vault ends with (7, 8, 10),
    /// and sharing it ([`Vault::sync`]).
    pub fn run(mut self) -> Result<Enrolled> {
        self.change.share()?;
        let whose = "an MFA device belongs to a key's user: name the profile that has the key";
        let key = self.change.key().map_err(|error| error.or_hint(whose))?;
        let user = user_of(self.change.caller_identity(&key)?)?;
        let device = self.device_name(&user)?;
        let serial = format!("{}:mfa/{device}", user.account);
        // Before a device is made whose codes could not be used.
        self.change.session.cache().ledger(&serial).can_record(self.change.deadline)?;
        let fresh = self.change.payload()?.totp(&serial).is_none();
        if fresh {
            self.create(&key, &device, &serial)?;
        }
        let seed = self.change.payload()?.totp(&serial).ok_or_else(|| {
            Error::other("the seed that was just stored is not in the vault any more")
        })?;
        let known = fresh || unfinished(self.change.payload()?, self.change.profile, &device);
        self.enable(&key, &user, &serial, &seed, known)?;
        self.prove(&key, &serial, &seed)?;
        Ok(Enrolled { serial, device, user: user.name })
    }

    /// The name that was given, that of an unfinished enrolment, or the user's own: AWS's older policies
    /// allow a user only a device of their own name.
    fn device_name(&self, user: &User) -> Result<String> {
        let started =
            self.change.payload()?.enrolments().find(|e| e.profile == self.change.profile);
        let name = match (self.device, started) {
            (Some(given), started) => {
                if let Some(started) = started.filter(|started| started.device != given) {
                    self.change.reporter().warn(format!(
                        "the enrolment of the device {:?} is not finished; to finish it, run \
                         vault mfa enroll {} --device {0}",
                        started.device, self.change.profile
                    ));
                }
                given.to_owned()
            }
            (None, Some(started)) => started.device,
            (None, None) => user.name.clone(),
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
            return Err(Error::usage("the device's name has characters that AWS does not take")
                .hint("letters, digits and _ + = , . @ - make a name"));
        }
        Ok(name)
    }

    /// Makes the device and saves its seed.
    fn create(&mut self, key: &Credentials, device: &str, serial: &str) -> Result<()> {
        let entry = Enrolment {
            profile: self.change.profile.to_owned(),
            device: device.to_owned(),
            run: random::name()?,
        };
        // A vault that cannot be written is found here, before AWS is asked for anything.
        let started_before = self.change.save(|payload| {
            if payload.totp(serial).is_some() {
                return Err(Error::busy("another process has just enrolled this device")
                    .hint("run the same command again to enable and prove it"));
            }
            let before = payload
                .enrolments()
                .any(|e| (e.profile.as_str(), e.device.as_str()) == (&entry.profile, device));
            payload.set_enrolment(&entry);
            Ok(before)
        })?;
        if started_before {
            self.change
                .reporter()
                .note(format!("Going on with the enrolment of the device {device:?}"));
        }
        self.change.share()?;
        let new = match self.make(key, device, serial, started_before) {
            Ok(new) => new,
            Err(NotMade { error, nothing_there }) => {
                if nothing_there {
                    self.forget(&entry);
                }
                return Err(error);
            }
        };
        let (seed, _) = Seed::parse(&new.seed)
            .map_err(|_| Error::aws("IAM answered with a seed that is not base32"))?;
        let now = self.change.session.clock().now();
        let saved = self.change.save(|payload| {
            if !payload.enrolments().any(|e| e == entry) {
                return Err(Error::busy("another process has taken over this enrolment"));
            }
            payload.set_totp(serial, &seed, now);
            Ok(())
        });
        if let Err(error) = &saved
            && !matches!(error.class, Class::NotDurable | Class::Busy)
        {
            // Its seed is lost. If this fails too, the journal has the device.
            self.delete(key, serial);
        }
        saved
    }

    /// CreateVirtualMFADevice, until the device is one whose seed is known. `ours`: a device of this
    /// name is an earlier try's.
    fn make(
        &self,
        key: &Credentials,
        device: &str,
        serial: &str,
        mut ours: bool,
    ) -> Result<NewDevice, NotMade> {
        let mut pauses = IAM_PAUSES.into_iter();
        loop {
            let error = match self.change.iam.create_virtual_mfa_device(key, device) {
                Ok(new) if new.serial == serial => return Ok(new),
                Ok(_) => {
                    let error = Error::aws("IAM answered with a device of another name");
                    return Err(NotMade { error, nothing_there: false });
                }
                Err(error) => error,
            };
            let exists = error.is("EntityAlreadyExists");
            if exists && !(ours && self.delete(key, serial)) {
                let error = name_is_taken(device, serial);
                return Err(NotMade { error, nothing_there: !ours });
            }
            ours |= error.may_have_arrived();
            if !(exists || error.may_pass()) || !self.change.pause(pauses.next()) {
                let error = self.change.denied(error, key, MUST);
                return Err(NotMade { error, nothing_there: !ours });
            }
        }
    }

    /// True if AWS has no such device any more.
    fn delete(&self, key: &Credentials, serial: &str) -> bool {
        let deleted = self.change.iam.delete_virtual_mfa_device(key, serial);
        deleted.is_ok() || deleted.is_err_and(|error| error.is("NoSuchEntity"))
    }

    /// EnableMFADevice with the codes of the last two steps: AWS takes them, so there is no wait for the
    /// next one. `known`: the device was made a short while ago, and IAM may not know it everywhere.
    fn enable(
        &mut self,
        key: &Credentials,
        user: &User,
        serial: &str,
        seed: &Seed,
        known: bool,
    ) -> Result<()> {
        let mut pauses = IAM_PAUSES.into_iter();
        loop {
            let step = seed.step_at(self.change.now());
            let steps = [step.saturating_sub(2), step.saturating_sub(1)];
            // They are recorded, so that no other process sends one of them.
            let (now, deadline) = (self.change.now(), self.change.deadline);
            self.change.session.spend_codes(serial, &steps, now, deadline)?;
            let codes = steps.map(|step| seed.code(step));
            let [first, second] = &codes;
            let error =
                match self.change.iam.enable_mfa_device(key, &user.name, serial, [first, second]) {
                    Ok(()) => return Ok(()),
                    Err(error) if error.is("EntityAlreadyExists") => {
                        self.change.reporter().debug(format!("{serial} is enabled already"));
                        return Ok(());
                    }
                    Err(error) => error,
                };
            let gone = error.is("NoSuchEntity");
            let again = error.may_pass()
                || gone && known
                || error.is("EntityTemporarilyUnmodifiable")
                || error.is("ConcurrentModification");
            if again && self.change.pause(pauses.next()) {
                continue;
            }
            if gone {
                return Err(Error::aws(format!(
                    "AWS has no device {serial}; the vault has a seed for it"
                ))
                .hint(format!("run vault totp remove {serial}, then enroll again")));
            }
            if error.is("InvalidAuthenticationCode") {
                return Err(Error::aws(format!("AWS refused the codes of {serial}")).hint(format!(
                    "the seed in the vault is not this device's: delete the device at AWS, and vault totp remove {serial}"
                )));
            }
            return Err(self.change.denied(error, key, MUST));
        }
    }

    /// GetSessionToken with a code, until STS knows the device.
    fn prove(&mut self, key: &Credentials, serial: &str, seed: &Seed) -> Result<()> {
        let ledger = self.change.session.cache().ledger(serial);
        let recorded = ledger.can_record(self.change.deadline)?;
        let pauses: &[u64] = match recorded {
            true => &PROOF_PAUSES,
            false => &ONE_PROOF_PAUSE,
        };
        let device = serial.rsplit('/').next().unwrap_or_default().to_owned();
        let what = move || format!("STS to know the device {device}");
        let _waiting = waiting(what, Some(self.change.deadline));
        for pause in pauses {
            if !self.change.pause(Some(*pause)) {
                break;
            }
            let UserChange { session, sts, deadline, .. } = &self.change;
            let now = self.change.now();
            let error = match session.check_code(sts, key, (serial, seed), now, *deadline)? {
                CodeCheck::Accepted => return Ok(()),
                CodeCheck::Refused { error, .. } => error,
            };
            let soon = matches!(error, ServiceError::MfaUnable | ServiceError::MfaInvalid { .. });
            if !soon && !error.may_pass() {
                return Err(error.into_error_of(&key.access_key_id, self.change.profile));
            }
            self.change.reporter().debug(format!("not proven yet: {}", error.into_error().what));
        }
        Err(Error::aws(format!("{serial} is enabled, but STS has not taken a code of it yet"))
            .hint(
                "in three minutes, run the same command again: it continues where this run stopped",
            ))
    }

    /// Removes the entry, since nothing was made. If this cannot be saved, the next run finds out.
    fn forget(&mut self, entry: &Enrolment) {
        let _ = self.change.save(|payload| {
            if payload.enrolments().any(|e| e == *entry) {
                payload.end_enrolment(&entry.profile, &entry.device);
            }
            Ok(())
        });
    }
}

/// True if an enrolment of this profile and device is unfinished.
fn unfinished(payload: &Payload, profile: &str, device: &str) -> bool {
    payload.enrolments().any(|e| e.profile == profile && e.device == device)
}

/// Removes a finished enrolment from the journal.
///
/// # Errors
/// What saving the vault ends with (7, 8, 10).
pub fn end(vault: &mut Vault, profile: &str, device: &str) -> Result<()> {
    if !unfinished(vault.payload(), profile, device) {
        return Ok(());
    }
    vault.change(|payload| {
        payload.end_enrolment(profile, device);
        Ok(())
    })
}

/// The IAM user of the key.
fn user_of(arn: String) -> Result<User> {
    User::of(arn, "a key and a device", "can have no MFA device")
}

/// The error for a name that another device has.
fn name_is_taken(device: &str, serial: &str) -> Error {
    Error::refused(format!("there is a device {device:?} at AWS, and its seed is not in the vault"))
        .hint(format!(
            "choose another name with --device, or, if it is not in use: aws iam \
             delete-virtual-mfa-device --serial-number {serial}"
        ))
}

/// The permissions whose lack AWS most often refuses a call for.
const MUST: &str = "the user must be allowed to create and enable its own MFA device; if it has one \
                        already, many policies want a session made with that";
