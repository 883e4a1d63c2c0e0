//! `pin`: the vault's fingerprint.

use super::context::Context;
use crate::cli::PinArgs;
use crate::error::Result;
use crate::report;
use crate::vault::{Pin, Vault};

pub fn run(args: &PinArgs, context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let mut access = context.access(&prompt)?;
    let Some(text) = &args.accept else {
        let vault = Vault::open(&access)?;
        return report::result(&format!("{}\n", vault.payload().pin()));
    };
    // The accepted fingerprint is an explicit pin: it outranks what is remembered.
    access.pins = vec![Pin::parse(text)?];
    let vault = Vault::open(&access)?;
    vault.accept()?;
    report::result(&format!("{}\n", vault.payload().pin()))
}
