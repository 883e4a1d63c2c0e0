//! The vault of a session: open, or not needed, or missing while no profile needs it.

use std::collections::BTreeSet;

use super::options::Options;
use crate::error::{Class, Error, Result};
use crate::name::ProfileName;
use crate::profile::{self, Profiles};
use crate::reporter::Reporter;
use crate::unlock;
use crate::vault::{Access, Opening, Vault};

/// Whether a session opens a vault, and which one.
pub enum VaultAccess<'a, 'n> {
    /// The command itself needs it.
    Needed(Access<'a>),
    /// Those of these profiles need it that take something from it.
    Optional(Access<'a>, &'n [ProfileName]),
    /// Nothing names a vault, and this is why there is no place for the default one.
    Nowhere(Error),
    NotNeeded,
}

#[derive(Debug)]
pub enum VaultState<'a> {
    Open(Box<Vault<'a>>),
    NotNeeded,
    /// There is none, or no key source opens it, and no profile that was asked for needs it.
    Missing(Error),
}

impl<'a> VaultState<'a> {
    /// Opens the vault, if it is needed.
    pub(super) fn open(
        access: VaultAccess<'a, '_>,
        profiles: &Profiles,
        options: &Options,
        reporter: Reporter,
    ) -> Result<Self> {
        match access {
            VaultAccess::Needed(access) => Ok(Self::Open(Box::new(Vault::open(&access)?))),
            VaultAccess::Optional(access, names) => {
                Self::optional(&access, names, profiles, options)
            }
            VaultAccess::Nowhere(error) => Ok(Self::missing(error, reporter)),
            VaultAccess::NotNeeded => Ok(Self::NotNeeded),
        }
    }

    /// Opens the vault, which may be missing or stay locked if none of the profiles needs it: then no
    /// passphrase is asked for. A path, a key source and a pin that the user named must hold.
    fn optional(
        access: &Access<'a>,
        names: &[ProfileName],
        profiles: &Profiles,
        options: &Options,
    ) -> Result<Self> {
        let missing = match Vault::open_without_prompt(access) {
            Ok(Opening::Open(vault, _)) => return Ok(Self::Open(vault)),
            Ok(Opening::Locked(locked)) => {
                if locked.is_named() || !need_no_vault(names, profiles, options) {
                    return locked.ask().map(|vault| Self::Open(Box::new(vault)));
                }
                let error = locked.into_error();
                if error.class != Class::Locked || unlock::is_named(access.named, access.env) {
                    return Err(error);
                }
                error
            }
            Err(error) if error.class == Class::NotFound && access.by_default => error,
            Err(error) => return Err(error),
        };
        // A user who says which vault it must be wants that one: a vault that stays locked must not silently
        // lead to another identity.
        if access.is_pinned() {
            return Err(missing);
        }
        Ok(Self::missing(missing, access.reporter))
    }

    fn missing(error: Error, reporter: Reporter) -> Self {
        reporter.debug(format!("going on without a vault: {}", error.what));
        Self::Missing(error)
    }

    pub(super) fn why_not_open(&self) -> Error {
        match self {
            Self::Missing(why) => why.clone(),
            Self::Open(_) | Self::NotNeeded => {
                Error::other("the vault was not opened, since it is not needed")
            }
        }
    }
}

/// True if none of these profiles takes anything from a vault, unless the vault has a key for it, which comes
/// first.
fn need_no_vault(names: &[ProfileName], profiles: &Profiles, options: &Options) -> bool {
    names.iter().all(|name| {
        let request = options.plan_request(name.as_str(), BTreeSet::new());
        profile::plan(profiles, &BTreeSet::new(), &request).is_ok_and(|plan| plan.needs_no_vault())
    })
}
