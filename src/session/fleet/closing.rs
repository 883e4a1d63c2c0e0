//! A device's TOTP claims when the keys of its vault are replaced: they are copied to those of the new keys,
//! and those of the old keys are closed.

use std::io;
use std::time::Duration;

use super::object::{FleetKeys, SharedClaims};
use super::timing::Timing;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::store::{Condition, Object, Read, Store, StoreError, Written};

/// The most tries, if other hosts write the claims meanwhile.
const TRIES: u32 = 8;
/// The number of requests without an answer at which it fails.
const IN_DOUBT: u32 = 2;
/// The pause before the second try; each is longer by as much.
const PAUSE: Duration = Duration::from_millis(50);

/// Closes the TOTP claims of a device that hosts with the `old` keys share, after they were added to those
/// of the `new` keys: what was sent just now is not sent again.
/// Errors: AWS (9) if the store cannot be reached, or other hosts write the claims each time. The old
/// ones may then be open.
pub fn close_totp_claims(
    store: &dyn Store,
    (old, new): (&FleetKeys, &FleetKeys),
    device: &str,
    timing: &Timing<'_>,
) -> Result<()> {
    let mut in_doubt = 0;
    for tried in 1..=TRIES {
        match try_to_close(store, (old, new), device) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(StoreError::Unknown(_)) if in_doubt + 1 < IN_DOUBT => in_doubt += 1,
            Err(error) => return Err(error.into()),
        }
        (timing.sleep)(PAUSE * tried);
    }
    Err(Error::aws("other hosts keep changing the record of MFA codes"))
}

/// False if another host wrote meanwhile.
fn try_to_close(
    store: &dyn Store,
    (old, new): (&FleetKeys, &FleetKeys),
    device: &str,
) -> Result<bool, StoreError> {
    let name = old.totp_claims_name(device);
    let there = read(store, &name)?;
    // No host takes a code by claims that cannot be opened; they are lost in any case.
    match there.as_ref().and_then(|object| open(old, &name, object).ok()) {
        Some(None) => return Ok(true),
        Some(Some(shared)) if !carry_over(store, new, device, shared.clone())? => return Ok(false),
        _ => {}
    }
    // Only if nothing was claimed in it since it was read.
    write(store, &name, old.closed_totp_claims(&name), there.as_ref())
}

/// Adds the claims to the device's ones under the new keys.
fn carry_over(
    store: &dyn Store,
    new: &FleetKeys,
    device: &str,
    mut shared: SharedClaims,
) -> Result<bool, StoreError> {
    let name = new.totp_claims_name(device);
    let there = read(store, &name)?;
    if let Some(object) = &there {
        match open(new, &name, object)? {
            // The claims that are there are the later ones.
            Some(known) if !known.has_all_of(&shared) => shared.claims.add(&known.claims),
            // They are there already, or these keys were replaced as well.
            _ => return Ok(true),
        }
    }
    write(store, &name, new.seal_totp_claims(&name, &shared), there.as_ref())
}

fn open(keys: &FleetKeys, name: &str, object: &Object) -> Result<Option<SharedClaims>, StoreError> {
    let opened = keys.open_totp_claims(name, object.body.clone(), Timestamp(0));
    opened.map_err(|_| failed("the record of MFA codes in the store is damaged"))
}

fn read(store: &dyn Store, name: &str) -> Result<Option<Object>, StoreError> {
    match store.read(name, None)?.what {
        Read::Found(object) => Ok(Some(object)),
        Read::Missing | Read::Unchanged => Ok(None),
    }
}

fn write(
    store: &dyn Store,
    name: &str,
    sealed: io::Result<Vec<u8>>,
    over: Option<&Object>,
) -> Result<bool, StoreError> {
    let body = sealed.map_err(|_| failed("the system has no randomness to give"))?;
    let condition = over.map_or(Condition::Absent, |object| Condition::Is(&object.etag));
    let written = store.write(name, &body, condition)?.what;
    Ok(matches!(written, Written::Done(_)))
}

fn failed(what: &str) -> StoreError {
    StoreError::Failed { what: what.to_owned(), hint: None }
}

#[cfg(test)]
mod tests;
