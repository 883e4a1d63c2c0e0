//! `rekey`: the vault's own keys anew, for the same recipients.

use super::context::Context;
use super::key_slots;
use crate::error::Result;
use crate::report;
use crate::vault::{Payload, Vault, is_saved};

pub fn run(context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let access = context.access(&prompt)?;
    let mut vault = Vault::open(&access)?;
    // The file's key is new at every write.
    let saved = key_slots::change(&mut vault, &access, context, Payload::renew_keys);
    if is_saved(&saved) {
        context.reporter.note("The vault's own keys are new. It opens as before.");
        key_slots::tell_new_keys(vault.payload(), false, context.reporter);
    }
    saved?;
    report::result(&format!("{}\n", vault.payload().pin()))
}
