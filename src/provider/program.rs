//! The programs that profiles name: credential_process and mfa_process.

use std::ffi::OsString;
use std::time::Instant;

use zeroize::Zeroizing;

use super::session::CredentialSession;
use crate::error::{Error, Result, os_text};
use crate::exec;
use crate::process::{self, Failure};

/// Carries the profiles whose credentials are being made through helper programs, so that a
/// credential_process that comes back to its own profile is found.
const UNDER_WAY: &str = "AWS_VAULT_UNDER_WAY";

impl CredentialSession<'_> {
    /// Runs a helper program for a profile; the outer error is that of starting itself without end.
    ///
    /// # Errors
    /// Other (1), with the chain, if a helper for this profile is under way already.
    pub(super) fn helper(
        &self,
        kind: &str,
        profile: &str,
        command: &str,
        deadline: Instant,
    ) -> Result<std::result::Result<Zeroizing<Vec<u8>>, Failure>> {
        let vars = self.helper_environment(kind, profile)?;
        let left = deadline.saturating_duration_since(Instant::now());
        // Only an mfa_process has something to ask: the others answer a machine.
        let terminal = (kind == "mfa_process").then(|| self.prompt.terminal()).flatten();
        Ok(process::run(command, &vars, terminal, left))
    }

    /// Refuses what would start itself without end, or wait for itself.
    ///
    /// # Errors
    /// Other (1), with the chain, if a helper for this profile is under way already.
    pub(super) fn refuse_to_come_back(&self, kind: &str, profile: &str) -> Result<()> {
        if self.under_way().all(|name| name != profile) {
            return Ok(());
        }
        let hint = match kind {
            "mfa_process" => "let it use --no-session, which needs no code",
            _ => "make it name a profile that has a key in the vault",
        };
        let chain: Vec<_> = self.under_way().chain([profile]).collect();
        let chain = chain.join(" -> ");
        Err(Error::other(format!("{kind} comes back to its own profile: {chain}")).hint(hint))
    }

    fn under_way(&self) -> impl Iterator<Item = &str> {
        self.env.get(UNDER_WAY).unwrap_or_default().split('\n').filter(|name| !name.is_empty())
    }

    /// What a helper program sees: our environment without unlock variables, and for which profiles
    /// helpers are under way.
    ///
    /// # Errors
    /// Other (1), with the chain, if this profile's is: it would start itself without end.
    fn helper_environment(&self, kind: &str, profile: &str) -> Result<Vec<(OsString, OsString)>> {
        self.refuse_to_come_back(kind, profile)?;
        let chain: Vec<_> = self.under_way().chain([profile]).collect();
        let mut vars = exec::helper_environment(self.env, self.opened_by_sops());
        vars.retain(|(name, _)| name != UNDER_WAY);
        vars.push((UNDER_WAY.into(), chain.join("\n").into()));
        Ok(vars)
    }
}

/// A helper's failure, without anything that it printed.
pub(super) fn failed(name: &str, failure: &Failure) -> Error {
    match failure {
        Failure::NotStarted(error) => {
            Error::other(format!("{name} cannot be started: {}", os_text(error)))
        }
        Failure::Status(status) => Error::other(format!("{name} failed with exit status {status}")),
        Failure::TimedOut => Error::busy(format!("{name} did not answer in time")),
        Failure::TooMuch => Error::other(format!("{name} printed more than 64 KiB")),
    }
}
