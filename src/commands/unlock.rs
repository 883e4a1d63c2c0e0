//! `unlock` and `lock`: a vault with a passphrase opens without it, for a time.

use std::time::Duration;

use super::context::Context;
use crate::cli::key_slots::Unlock;
use crate::duration::{parse_duration, show_duration};
use crate::error::{Error, Result};
use crate::report;
use crate::unlock::keyring;
use crate::vault::{self, Vault};

/// The longest time for which a vault stays unlocked.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub fn unlock(args: &Unlock, context: &Context) -> Result<()> {
    let time = parse_duration(&args.time, "--for")?;
    if time > LONGEST {
        return Err(Error::usage("--for: 24h at most")
            .hint("for longer, give it a key: vault recipient add"));
    }
    let (_, secret) = Vault::open_by_passphrase(&context.access()?)?;
    let until = keyring::keep(&secret, time, context.clock.now())?;
    let (time, until) = (show_duration(time), until.to_rfc3339());
    report::result(&format!("Unlocked for {time}, until {until}\n"))
}

/// Needs no key: the entries of the keyring are named by the vault's header.
pub fn lock(context: &Context) -> Result<()> {
    let (path, _) = context.vault_file()?;
    let slots = vault::slot_names(&path)?;
    let was_unlocked = keyring::forget(slots.iter().map(String::as_str))?;
    report::result(if was_unlocked { "Locked\n" } else { "It was not unlocked\n" })
}
