//! `clear`: forgets cached sessions and logins. The ledger of MFA codes stays: what was sent stays sent.

use std::time::{Duration, Instant};

use super::context::Context;
use crate::cli::Clear;
use crate::error::{Class, Result};
use crate::name::ProfileName;
use crate::profile::{self, PlanRequest};
use crate::report;
use crate::session::{self, Cache};
use crate::vault::{Payload, Vault};

/// How long to wait for a process that refreshes the login.
const PATIENCE: Duration = Duration::from_secs(50);

pub fn run(args: &Clear, context: &Context) -> Result<()> {
    let count = match &args.profile {
        // Sessions are recognized by their file names; whose they are is known only with the vault's key.
        None => context.cache_dir()?.map_or(Ok(0), |dir| session::clear_all(&dir))?,
        Some(profile) => {
            let profile = ProfileName::new(profile)?;
            let access = context.access()?;
            match Vault::open(&access) {
                Ok(vault) => {
                    let cache = context.cache(vault.payload())?;
                    let count =
                        cache.clear(profile.as_str())? + forget_login(&profile, &cache, context)?;
                    // A profile that was removed from the files may still have sessions.
                    if count == 0 {
                        exists(&profile, vault.payload(), context)?;
                    }
                    count
                }
                // Where a vault could be and is not, there are no sessions.
                Err(error) if error.class == Class::NotFound && access.remote.is_none() => 0,
                Err(error) => return Err(error),
            }
        }
    };
    report::result(&format!("Cleared {count} sessions.\n"))
}

/// # Errors
/// Not found (3): no file and no vault has the profile.
fn exists(profile: &ProfileName, payload: &Payload, context: &Context) -> Result<()> {
    let (name, profiles) = (profile.as_str(), context.profiles()?);
    if profiles.has(name) || payload.access_key_id(name).is_some() {
        return Ok(());
    }
    let stored = payload.credential_names().map(str::to_owned).collect();
    let request = PlanRequest { profile: name.to_owned(), ..PlanRequest::default() };
    profile::plan(&profiles, &stored, &request).map(|_| ())
}

/// Forgets the login that a profile uses, also if other profiles use it; as aws-vault does.
fn forget_login(profile: &ProfileName, cache: &Cache, context: &Context) -> Result<usize> {
    let profiles = context.profiles();
    let found = profiles.and_then(|all| profile::sign_on(&all, profile.as_str()));
    // A profile without a login, or that does not exist, has nothing to forget.
    let Ok((_, sign_on)) = found else { return Ok(0) };
    let file = cache.login(&sign_on.key());
    let lock = file.lock(Instant::now() + PATIENCE)?;
    let was_there = file.load().is_some();
    lock.forget()?;
    Ok(usize::from(was_there))
}
