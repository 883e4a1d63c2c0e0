//! `pin`: the vault's fingerprint.

use super::context::Context;
use crate::cli::key_slots::PinArgs;
use crate::error::Result;
use crate::report;
use crate::vault::{Pin, Vault};

pub fn run(args: &PinArgs, context: &Context) -> Result<()> {
    let vault = match &args.accept {
        Some(text) => accepted(text, context)?,
        None => context.open_vault()?,
    };
    if args.accept_rollback {
        vault.accept_rollback()?;
    }
    let (pin, generation) = (vault.payload().pin(), vault.payload().generation());
    if args.json {
        let json = serde_json::json!({ "pin": pin.to_string(), "generation": generation });
        return report::result(&format!("{json}\n"));
    }
    report::result(&format!("{pin}\n"))
}

/// The vault with this fingerprint: the local one, or its copy in the store of its fleet, which is pulled
/// then.
fn accepted<'a>(text: &str, context: &'a Context) -> Result<Vault<'a>> {
    let mut access = context.access()?;
    let pin = Pin::parse(text)?;
    access.accepts = Some(pin);
    // Opened once, so that a passphrase is asked for once.
    let mut vault = Vault::open(&access)?;
    if vault.payload().pin() != pin {
        vault.pull_accepted(pin)?;
    }
    vault.accept()?;
    Ok(vault)
}
