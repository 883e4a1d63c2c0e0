//! `fleet pull`: gets the vault that the other hosts have written.

use super::{no_fleet, not_shared};
use crate::commands::context::Context;
use crate::error::Result;
use crate::report;
use crate::vault::Synced;

pub fn pull(context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    let synced = vault.sync()?;
    let write = vault.payload().generation();
    report::result(&match synced {
        Synced::Alone if vault.payload().fleet().is_some() => return Err(not_shared()),
        Synced::Alone => return Err(no_fleet()),
        Synced::Same => format!("Nothing to pull: write {write} of the vault is the latest\n"),
        Synced::Pulled => format!("Pulled write {write} of the vault\n"),
        Synced::Pushed => format!("The store has write {write} of the vault now\n"),
    })
}
