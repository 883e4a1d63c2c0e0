//! The vault follows: what another host wrote is pulled from the store of the fleet when it is missed.

use super::session::{CredentialSession, VaultState};
use crate::credential::Credentials;
use crate::error::{Error, Reason, Result};
use crate::profile::Plan;

impl CredentialSession<'_> {
    /// Runs a plan, and once more by the vault as it is now, if AWS does not know the key that it had: another
    /// host may have replaced it.
    ///
    /// # Errors
    /// As [`CredentialSession::run`].
    pub(super) fn run_and_follow(mut self, plan: &Plan) -> Result<Credentials> {
        match self.run(plan) {
            Err(error) if self.may_follow(&error) => {
                let plan = self.plan(&plan.profile).unwrap_or_else(|_| plan.clone());
                let session = self.keep_only([&plan]);
                let request = session.request(session.options.min_left);
                session.make(super::credentials::without_notes(plan), &request)
            }
            done => done,
        }
    }

    /// After this error: true if there is a later vault now, which another host has put into the store.
    pub fn may_follow(&mut self, error: &Error) -> bool {
        error.reason == Some(Reason::UnknownKey) && self.follow()
    }

    /// Pulls the latest vault; true if it is later than the one that was open. A failure is a warning: what
    /// was open goes on.
    pub fn follow(&mut self) -> bool {
        let VaultState::Open(vault) = &mut self.vault else { return false };
        let before = vault.payload().generation();
        match vault.sync() {
            Ok(_) => vault.payload().generation() > before,
            Err(Error { what, hint, .. }) => {
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.reporter.warn(format!("the vault could not follow: {what}{hint}"));
                false
            }
        }
    }
}
