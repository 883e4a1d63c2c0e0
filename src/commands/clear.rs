//! `clear`: forgets cached sessions. The ledger of MFA codes stays: what was sent stays sent.

use super::context::Context;
use crate::cli::Clear;
use crate::error::{Class, Result};
use crate::name::ProfileName;
use crate::report;
use crate::session;
use crate::vault::Vault;

pub fn run(args: &Clear, context: &Context) -> Result<()> {
    let count = match &args.profile {
        // All of them can be told by their names; whose they are, only with the vault's key.
        None => context.cache_dir()?.map_or(Ok(0), |dir| session::clear_all(&dir))?,
        Some(profile) => {
            let profile = ProfileName::new(profile)?;
            let prompt = context.prompt(None);
            let access = context.access(&prompt)?;
            match Vault::open(&access) {
                Ok(vault) => context.cache(Some(vault.payload()))?.clear(profile.as_str())?,
                Err(error) if error.class == Class::NotFound => 0,
                Err(error) => return Err(error),
            }
        }
    };
    report::result(&format!("Cleared {count} sessions.\n"))
}
