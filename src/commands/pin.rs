//! `pin`: the vault's fingerprint.

use super::context::Context;
use crate::cli::key_slots::PinArgs;
use crate::error::{Class, Result};
use crate::prompt::Prompt;
use crate::report;
use crate::vault::{Access, Pin, Synced, Vault};

pub fn run(args: &PinArgs, context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let access = context.access(&prompt)?;
    let vault = match &args.accept {
        Some(text) => accepted(Pin::parse(text)?, context, &prompt)?,
        None => Vault::open(&access)?,
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

/// The vault with this fingerprint: the one that is here, or its copy in the store of a fleet, which is
/// pulled then.
fn accepted<'a>(pin: Pin, context: &'a Context, prompt: &Prompt) -> Result<Vault<'a>> {
    let before = context.access(prompt)?;
    // The accepted fingerprint is an explicit pin: it outranks what is remembered.
    let access = Access { pins: vec![pin], ..before.clone() };
    let vault = match Vault::open(&access) {
        Err(error) if error.class == Class::Refused => {
            let Ok(mut vault) = Vault::open(&before) else { return Err(error) };
            if vault.pull_accepted(pin)? == Synced::Alone {
                return Err(error);
            }
            vault
        }
        opened => opened?,
    };
    vault.accept()?;
    Ok(vault)
}
