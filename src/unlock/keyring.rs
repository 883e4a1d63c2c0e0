//! Unlock once: the secret of an opened passphrase slot, in the kernel's keyring for a time.
//!
//! Nothing is there unless `vault unlock` put it there. The key's description is `vault:` and the
//! slot's name (its salt, which anybody reads in the vault's header), so that another vault, or another
//! passphrase, finds nothing. What it holds is the slot's 32-byte secret and the end of its time in
//! seconds since 1970, a 64-bit number, big-endian; the passphrase is not in it.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::error::{Error, Result, os_text};
use crate::os::keyring::{self, KeyringError};

/// The source's name.
pub(super) const NAME: &str = "the kernel's keyring";

/// Bytes of a slot's secret.
const SECRET: usize = 32;
/// Bytes of the time that stands after it.
const TIME: usize = 8;

/// The secret that a passphrase slot held: with it the vault opens without the passphrase.
pub struct SlotSecret {
    /// The slot's name.
    pub slot: String,
    /// 32 bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for SlotSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSecret({}, …)", self.slot)
    }
}

/// Keeps it for so long, in the place of what is there of this slot; until when.
///
/// # Errors
/// [`crate::error::Class::Refused`]: the keyring is full, forbidden or not there.
pub fn keep(secret: &SlotSecret, wait: Duration, now: Timestamp) -> Result<Timestamp> {
    let until = now.plus(wait);
    let mut payload = Zeroizing::new(Vec::with_capacity(SECRET + TIME));
    payload.extend_from_slice(&secret.bytes);
    payload.extend_from_slice(&until.0.to_be_bytes());
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
    keyring::keep(&description(&secret.slot), &payload, seconds).map_err(refused)?;
    Ok(until)
}

/// Wipes what is there of these slots; true if anything was.
///
/// # Errors
/// As [`keep`].
pub fn forget<'s>(slots: impl IntoIterator<Item = &'s str>) -> Result<bool> {
    let mut any = false;
    for slot in slots {
        any |= keyring::remove(&description(slot)).map_err(refused)?;
    }
    Ok(any)
}

/// Says whether there is a keyring, before anybody is asked for a passphrase in vain.
///
/// # Errors
/// As [`keep`].
pub fn check(slot: &str) -> Result<()> {
    keyring::find(&description(slot), SECRET + TIME).map(drop).map_err(refused)
}

/// What is there of these slots, each with the end of its time; or why the keyring cannot be looked
/// into.
pub(super) fn find(slots: &[String]) -> Result<Vec<(SlotSecret, Timestamp)>, String> {
    let mut all = Vec::new();
    for slot in slots {
        let found = keyring::find(&description(slot), SECRET + TIME).map_err(|why| told(&why))?;
        let Some(mut bytes) = found else { continue };
        let until = bytes[SECRET..].try_into().map(i64::from_be_bytes).unwrap_or_default();
        bytes.truncate(SECRET);
        all.push((SlotSecret { slot: slot.clone(), bytes }, Timestamp(until)));
    }
    Ok(all)
}

fn description(slot: &str) -> String {
    format!("vault:{slot}")
}

fn told(error: &KeyringError) -> String {
    match error {
        KeyringError::Full => "it is full".to_owned(),
        KeyringError::Unavailable(why) => os_text(why),
    }
}

fn refused(error: KeyringError) -> Error {
    match &error {
        KeyringError::Full => Error::refused("the kernel's keyring has no room left for this user")
            .hint("keyctl show @u lists what is in it; its limits are in /proc/sys/kernel/keys"),
        KeyringError::Unavailable(_) => {
            let why = told(&error);
            Error::refused(format!("the kernel's keyring is not to be had here: {why}")).hint(
                "containers' seccomp profiles forbid it: give a key or the passphrase to each run",
            )
        }
    }
}
