//! `pin`: the vault's fingerprint.

use super::context::Context;
use crate::cli::key_slots::PinArgs;
use crate::error::Result;
use crate::report;
use crate::vault::{Pin, Vault};

pub fn run(args: &PinArgs, context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let mut access = context.access(&prompt)?;
    if let Some(text) = &args.accept {
        // The accepted fingerprint is an explicit pin: it outranks what is remembered.
        access.pins = vec![Pin::parse(text)?];
    }
    let vault = Vault::open(&access)?;
    if args.accept.is_some() {
        vault.accept()?;
    } else if args.accept_rollback {
        vault.accept_rollback()?;
    }
    let (pin, generation) = (vault.payload().pin(), vault.payload().generation());
    if args.json {
        let json = serde_json::json!({ "pin": pin.to_string(), "generation": generation });
        return report::result(&format!("{json}\n"));
    }
    report::result(&format!("{pin}\n"))
}
