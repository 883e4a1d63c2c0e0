//! What every command starts from: the flags, the environment and the places they lead to.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use crate::cli::Global;
use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Error, Result, os_text};
use crate::name::ProfileName;
use crate::os;
use crate::place::Places;
use crate::profile::{self, Profiles, Target};
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::unlock::Named;

/// What is looked for once: each look goes to the disk.
#[derive(Debug, Default)]
pub struct Found {
    pub vault: OnceCell<Result<(PathBuf, bool)>>,
    pub cache: OnceCell<Result<Option<PathBuf>>>,
}

/// The values that a command needs.
pub struct Context<'a> {
    pub env: &'a Env,
    pub global: Global,
    pub named: Named,
    pub places: Places,
    pub reporter: Reporter,
    pub clock: Clock,
    pub limits: &'a os::SavedLimit,
    pub(super) found: Found,
}

impl<'a> Context<'a> {
    pub fn new(mut global: Global, env: &'a Env, limits: &'a os::SavedLimit) -> Result<Self> {
        let reporter = Reporter { quiet: global.quiet, debug: global.debug };
        refuse_other_prompts(&global)?;
        for refused in limits.refused() {
            let os::Refused { call, error, effect } = refused;
            reporter.debug(format!("{call} failed: {}; {effect}", os_text(&error)));
        }
        let theirs = THEIR_VARIABLES.into_iter().filter(|name| env.is_set(name));
        for name in global.ignored().into_iter().chain(theirs) {
            let effect = match ["FILE_DIR", "file-dir", "PASS_", "pass-"]
                .iter()
                .any(|part| name.contains(part))
            {
                true => "counts for import only",
                false => "has no effect here",
            };
            reporter.debug(format!("{name} is aws-vault's and {effect}"));
        }
        let named = Named {
            identities: std::mem::take(&mut global.identity),
            passphrase_file: global.passphrase_file.take(),
        };
        let places = Places::new(env, os::effective_uid(), &|| std::fs::read("/etc/passwd").ok());
        let (clock, found) = (Clock::system(), Found::default());
        Ok(Self { env, global, named, places, reporter, clock, limits, found })
    }

    /// How questions are asked; `deadline` where a machine waits for what comes of the answers.
    pub fn prompt(&self, deadline: Option<Instant>) -> Prompt {
        Prompt::new(self.global.no_input, deadline)
    }

    /// Warns where a named endpoint outranks the variant that is asked for: once, of the first.
    pub fn warn_of_overridden(&self, targets: &[&Target]) {
        if let Some(warning) = targets.iter().find_map(|target| target.overridden()) {
            self.reporter.warn(warning);
        }
    }

    /// Stdin cannot give what a command `takes` from it and what opens the vault.
    ///
    /// # Errors
    /// Usage (2), as `clash` says it.
    pub fn may_take_stdin(&self, takes: bool, clash: &str) -> Result<()> {
        let Named { identities, passphrase_file } = &self.named;
        let mut named = identities.iter().chain(passphrase_file);
        match takes && named.any(|path| path.as_os_str() == "-") {
            true => Err(Error::usage(clash)),
            false => Ok(()),
        }
    }

    /// The AWS config and credentials files.
    pub fn profiles(&self) -> Result<Profiles> {
        // Six looks at the disk, which a cached answer does without.
        let closed = if self.reporter.debug { self.places.closed() } else { BTreeSet::new() };
        for closed in closed {
            let shown = closed.display();
            self.reporter
                .debug(format!("{shown} may not be entered: default files in it count as missing"));
        }
        profile::read(&profile::locate(self.env, self.places.home()))
    }

    /// The profile that was asked for: the word, `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `default`.
    pub fn profile_name(&self, word: Option<&str>) -> Result<ProfileName> {
        if let Some(name) = word {
            return ProfileName::new(name);
        }
        for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            // Of one that cannot be read another profile, perhaps another account, is not what was meant.
            if let Some(name) = self.env.text(variable)? {
                return ProfileName::new(name);
            }
        }
        ProfileName::new("default")
    }
}

/// aws-vault's variables for backends that are not here.
const THEIR_VARIABLES: [&str; 8] = [
    "AWS_VAULT_BACKEND",
    "AWS_VAULT_KEYCHAIN_NAME",
    "AWS_VAULT_PASS_PASSWORD_STORE_DIR",
    "AWS_VAULT_PASS_CMD",
    "AWS_VAULT_PASS_PREFIX",
    "AWS_VAULT_FILE_DIR",
    "AWS_VAULT_SECRET_SERVICE_COLLECTION_NAME",
    "AWS_VAULT_PROMPT",
];

fn refuse_other_prompts(global: &Global) -> Result<()> {
    match global.prompt.as_deref() {
        None | Some("terminal") => Ok(()),
        Some(_) => Err(Error::usage("--prompt: only terminal is known here").hint(
            "name a program by mfa_process in the AWS config, or give the code by --mfa-token",
        )),
    }
}
