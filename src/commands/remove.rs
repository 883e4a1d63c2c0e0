//! `remove`: removes the access key of a profile from the vault.

use super::context::Context;
use super::removal;
use crate::cli::Remove;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::process::shell_word;
use crate::report;
use crate::vault::Payload;

pub fn run(args: &Remove, context: &Context) -> Result<()> {
    let profile = ProfileName::new(&args.profile)?;
    if args.sessions_only {
        return Err(Error::usage(
            "--sessions-only: remove removes keys from the vault, clear removes sessions",
        )
        .hint(format!("vault clear {}", shell_word(profile.as_str()))));
    }
    let no_key = |payload: &Payload| payload.no_key(profile.as_str()).or_hint("vault list");
    let mut vault = context.open_vault()?;
    if vault.payload().access_key_id(profile.as_str()).is_none() {
        return Err(no_key(vault.payload()));
    }
    let question = format!("Delete credentials for profile \"{profile}\"?");
    removal::confirm(args.force, context.prompt, &question)?;
    vault.change(|payload| match payload.remove_credential(profile.as_str()) {
        true => Ok(()),
        false => Err(no_key(payload)),
    })?;
    report::result("Deleted credentials.\n")
}
