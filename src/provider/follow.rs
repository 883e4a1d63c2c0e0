//! Following the fleet's vault: what another host wrote is pulled from the store when AWS does not know a key.

use std::sync::atomic::Ordering;

use super::credentials::without_notes;
use super::session::CredentialSession;
use super::vault_state::VaultState;
use crate::credential::Credentials;
use crate::error::{Class, Error, Reason, Result};
use crate::profile::Plan;

impl CredentialSession<'_> {
    /// Runs a plan, and once more by the vault as it is now, if AWS does not know the key that it had: another
    /// host may have replaced it. Where AWS had to be asked, or another host's session names a later vault,
    /// the next run has the latest. All that the session holds is forgotten.
    pub fn into_credentials(mut self, plan: &Plan) -> Result<Credentials> {
        let mut plan = plan.clone();
        match self.run(&plan) {
            Err(error) if self.follow(&error, std::slice::from_mut(&mut plan)) => self.run(&plan),
            Ok(made) if self.may_be_late() => {
                if let Err(error) = self.pull() {
                    // A store that cannot be reached, and a vault that this user may not write, are no error.
                    match error.class {
                        Class::Usage | Class::Refused | Class::Locked | Class::Damaged => {
                            self.not_followed(&error)
                        }
                        _ => {
                            self.reporter.debug(format!("the vault did not follow: {}", error.what))
                        }
                    }
                }
                Ok(made)
            }
            done => done,
        }
    }

    /// True if there may be a later vault: AWS was asked, or another host's session names one. A store that
    /// could not be reached just now is not asked again.
    fn may_be_late(&self) -> bool {
        if self.fleet.as_ref().is_some_and(|fleet| fleet.is_alone()) {
            return false;
        }
        let own = self.vault().map_or(0, |vault| vault.payload().generation());
        let seen = self.fleet.as_ref().map_or(0, |fleet| fleet.seen_generation());
        self.missed.load(Ordering::Relaxed) || seen > own
    }

    /// After this error of one of the plans: true if another host has put a later vault into the store. The
    /// plans are made again by that vault, of which only what they need is kept.
    pub fn follow(&mut self, error: &Error, plans: &mut [Plan]) -> bool {
        if error.reason != Some(Reason::UnknownKey) {
            return false;
        }
        let is_later = self.pull().unwrap_or_else(|error| {
            self.not_followed(&error);
            false
        });
        if is_later {
            for plan in &mut *plans {
                let again = self.plan(&plan.profile).unwrap_or_else(|_| plan.clone());
                // The notes were printed the first time.
                *plan = without_notes(again);
            }
            self.keep_only(&*plans);
        }
        is_later
    }

    /// Pulls the latest vault; true if it is later than the one that was open.
    fn pull(&mut self) -> Result<bool> {
        let VaultState::Open(vault) = &mut self.vault else { return Ok(false) };
        let before = vault.payload().generation();
        vault.sync()?;
        Ok(vault.payload().generation() > before)
    }

    /// Warns; the open vault is used further.
    fn not_followed(&self, Error { what, hint, .. }: &Error) {
        let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        self.reporter.warn(format!("the vault could not follow: {what}{hint}"));
    }
}
