//! The programs that profiles name: credential_process and mfa_process.

use std::ffi::OsString;
use std::time::Instant;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::session::CredentialSession;
use crate::error::{Class, Error, Result, os_text};
use crate::exec;
use crate::process::{self, Failure};
use crate::profile::recursion;
use crate::vault::Vault;

/// The profiles for which helper programs are running, so that a credential_process which starts itself
/// again is found.
const UNDER_WAY: &str = "AWS_VAULT_UNDER_WAY";

/// The program that prints an MFA code: its failure is one of MFA.
pub(super) const MFA: &str = "mfa_process";

/// The key in the environment, which a fleet's store may be reached by.
const KEY: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The variables of directories where programs keep logins.
const DIRECTORIES: [&str; 6] = [
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

impl CredentialSession<'_> {
    /// True if the vault is in a store, or its hosts share one, that is reached with the host's own
    /// credentials: a key in the environment is for that store.
    fn reaches_the_store_by_variables(&self) -> bool {
        let is_remote = self.vault().is_ok_and(Vault::is_remote);
        is_remote || self.fleet().is_ok_and(|it| it.is_some_and(|fleet| fleet.profile.is_none()))
    }

    /// Runs a helper program for a profile: what it prints.
    pub(super) fn helper(
        &self,
        kind: &str,
        profile: &str,
        command: &str,
        within: &[String],
        deadline: Instant,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let name = name(kind, profile);
        self.reporter.debug(format!("running {name}"));
        self.refuse_recursion(kind, profile, within)?;
        let chain: Vec<_> = self.under_way(within).chain([profile]).collect();
        let mut vars = self.helper_variables();
        vars.push((UNDER_WAY.into(), chain.join("\n").into()));
        let left = deadline.saturating_duration_since(Instant::now());
        // Only an mfa_process has something to ask: the others answer a machine.
        let terminal = (kind == MFA).then(|| self.prompt.terminal()).flatten();
        process::run(command, &vars, terminal, left).map_err(|failure| {
            let error = failed(&name, &failure);
            if kind == MFA { Error { class: Class::Aws, ..error } } else { error }
        })
    }

    /// The environment of a helper program, but for the profiles under way.
    fn helper_variables(&self) -> Vec<(OsString, OsString)> {
        let mut vars = exec::helper_environment(self.env, self.opened_by_sops());
        let is_stores = self.reaches_the_store_by_variables();
        vars.retain(|(name, _)| {
            name != UNDER_WAY && !(is_stores && KEY.iter().any(|it| name == *it))
        });
        vars
    }

    /// By what a helper program finds its login, as far as that is known: the variables of AWS's tools, the
    /// home, the XDG directories and the working directory. None where the working directory is gone. Keys
    /// are among them, so it is a hash.
    pub(super) fn login_variables(&self) -> Option<String> {
        let directory = std::env::current_dir().ok()?;
        let mut vars = self.helper_variables();
        vars.retain(|(name, _)| {
            let name = name.as_encoded_bytes();
            // This program's own, and those by which it decides how long a session lasts.
            let own = name.starts_with(b"AWS_VAULT_") || name.ends_with(b"_TTL");
            DIRECTORIES.iter().any(|it| name == it.as_bytes()) || name.starts_with(b"AWS_") && !own
        });
        let text = Zeroizing::new(format!("{vars:?} in {directory:?}"));
        Some(Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Refuses a program that would start itself in a loop, or wait for itself.
    pub(super) fn refuse_recursion(
        &self,
        kind: &str,
        profile: &str,
        within: &[String],
    ) -> Result<()> {
        let mut chain: Vec<_> = self.under_way(within).collect();
        if !chain.contains(&profile) {
            return Ok(());
        }
        chain.push(profile);
        Err(recursion(kind, &chain))
    }

    /// The profiles whose programs are running: in processes that started this one, and in this one.
    fn under_way<'b>(&'b self, within: &'b [String]) -> impl Iterator<Item = &'b str> {
        let processes = self.env.get(UNDER_WAY).unwrap_or_default().split('\n');
        processes.filter(|name| !name.is_empty()).chain(within.iter().map(String::as_str))
    }
}

/// What a helper is called. A plan has one device at most, so one mfa_process.
pub(super) fn name(kind: &str, profile: &str) -> String {
    match kind {
        MFA => format!("the {kind}"),
        _ => format!("the {kind} of profile {profile:?}"),
    }
}

/// A helper's failure, without anything that it printed.
fn failed(name: &str, failure: &Failure) -> Error {
    match failure {
        Failure::NotStarted(error) => {
            Error::other(format!("{name} cannot be started: {}", os_text(error)))
        }
        Failure::Status(status) => Error::other(format!("{name} failed with exit status {status}")),
        Failure::TimedOut => Error::busy(format!("{name} did not answer in time")),
        Failure::TooMuch => Error::other(format!("{name} printed more than 64 KiB")),
    }
}
