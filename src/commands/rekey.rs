//! `rekey`: renews the vault's own keys for the same recipients.

use super::context::Context;
use super::key_slots;
use crate::error::Result;
use crate::vault::Payload;

pub fn run(context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    // The file key is new with every write anyway.
    let saved = key_slots::change(&mut vault, context, Payload::renew_keys);
    let done = "The vault's own keys are new. It opens as before.";
    key_slots::end_with_new_keys(saved, done, false, vault.payload(), context)
}
