//! Unlock once: the secret of an opened passphrase slot in the kernel's keyring, with a timeout.
//!
//! Only `vault unlock` stores a key there. The key's description is `vault:` and the slot's name (its salt,
//! which is public in the vault's header), so that another vault or another passphrase does not match. The
//! payload is the slot's 32-byte secret and the expiry in seconds since 1970, a 64-bit big-endian number;
//! the passphrase is not stored.

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
/// Bytes of the expiry after it.
const TIME: usize = 8;

/// The secret of a passphrase slot, which opens the vault without the passphrase.
pub struct SlotSecret {
    pub slot: String,
    /// 32 bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for SlotSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSecret({}, …)", self.slot)
    }
}

/// Stores the secret for `duration`, replacing the slot's earlier one. Returns the expiry.
/// Errors: refused (6): the keyring is full, forbidden or missing.
pub fn keep(secret: &SlotSecret, duration: Duration, now: Timestamp) -> Result<Timestamp> {
    let until = now.plus(duration);
    let mut payload = Zeroizing::new(Vec::with_capacity(SECRET + TIME));
    payload.extend_from_slice(&secret.bytes);
    payload.extend_from_slice(&until.0.to_be_bytes());
    let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    keyring::keep(&description(&secret.slot), &payload, seconds).map_err(refused)?;
    Ok(until)
}

/// Removes the secrets of these slots; true if there was one.
pub fn forget<'s>(slots: impl IntoIterator<Item = &'s str>) -> Result<bool> {
    let mut any = false;
    for slot in slots {
        any |= keyring::remove(&description(slot)).map_err(refused)?;
    }
    Ok(any)
}

/// Checks that the keyring can be used, before the prompt for a passphrase.
pub fn check(slot: &str) -> Result<()> {
    keyring::find(&description(slot), SECRET + TIME).map(drop).map_err(refused)
}

/// The stored secrets of these slots, each with its expiry; or why the keyring cannot be searched.
pub(super) fn find(slots: &[String]) -> Result<Vec<(SlotSecret, Timestamp)>, String> {
    let mut all = Vec::new();
    for slot in slots {
        let found = keyring::find(&description(slot), SECRET + TIME).map_err(|why| reason(&why))?;
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

fn reason(error: &KeyringError) -> String {
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
            let why = reason(&error);
            Error::refused(format!("the kernel's keyring is not available: {why}")).hint(
                "seccomp profiles of containers forbid it; give the key or the passphrase to each run",
            )
        }
    }
}
