//! What every command starts from: the flags, the environment and the directories that they name.

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::called::ProgramName;
use crate::cli::Global;
use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Error, Result, os_text};
use crate::os;
use crate::place::Places;
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::unlock::Named;

/// The values that a command needs.
pub struct Context {
    pub env: Env,
    pub global: Global,
    pub program: ProgramName,
    pub named: Named,
    pub places: Places,
    pub prompt: Prompt,
    pub reporter: Reporter,
    pub clock: Clock,
    pub limits: os::SavedLimit,
    /// Looked up once, since that reads the disk: the vault's path, and whether it is the default one.
    pub(super) vault_path: OnceCell<Result<(PathBuf, bool)>>,
    /// The same for the directory of the cache.
    pub(super) cache_path: OnceCell<Result<Option<PathBuf>>>,
}

impl Context {
    pub fn new(
        mut global: Global,
        program: ProgramName,
        prompt: Prompt,
        env: Env,
        limits: os::SavedLimit,
    ) -> Result<Self> {
        let reporter = Reporter { quiet: global.quiet, debug: global.debug };
        if global.prompt.as_deref().is_some_and(|driver| driver != "terminal") {
            return Err(Error::usage("--prompt: only terminal is supported").hint(
                "name a program by mfa_process in the AWS config, or give the code with --mfa-token",
            ));
        }
        for refused in limits.refused() {
            let os::Refused { call, error, effect } = refused;
            reporter.debug(format!("{call} failed: {}; {effect}", os_text(&error)));
        }
        let variables = AWS_VAULT_VARIABLES.into_iter().filter(|name| env.is_set(name));
        for name in global.ignored().into_iter().chain(variables) {
            let for_import =
                ["FILE_DIR", "file-dir", "PASS_", "pass-"].iter().any(|part| name.contains(part));
            let effect = if for_import { "is used by import only" } else { "has no effect here" };
            reporter.debug(format!("{name} is aws-vault's and {effect}"));
        }
        let named = Named {
            identities: std::mem::take(&mut global.identity),
            passphrase_file: global.passphrase_file.take(),
        };
        let read_passwd = || std::fs::read("/etc/passwd").ok();
        Ok(Self {
            places: Places::new(&env, os::effective_uid(), &read_passwd),
            env,
            global,
            program,
            named,
            prompt,
            reporter,
            clock: Clock::system(),
            limits,
            vault_path: OnceCell::new(),
            cache_path: OnceCell::new(),
        })
    }

    /// Refuses to take from stdin both what a command `takes` and what opens the vault.
    ///
    /// # Errors
    /// Usage (2), with the message `clash`.
    pub fn may_take_stdin(&self, takes: bool, clash: &str) -> Result<()> {
        let Named { identities, passphrase_file } = &self.named;
        let mut named = identities.iter().chain(passphrase_file);
        match takes && named.any(|path| path.as_os_str() == "-") {
            true => Err(Error::usage(clash)),
            false => Ok(()),
        }
    }
}

/// aws-vault's variables for backends that are not here.
const AWS_VAULT_VARIABLES: [&str; 8] = [
    "AWS_VAULT_BACKEND",
    "AWS_VAULT_KEYCHAIN_NAME",
    "AWS_VAULT_PASS_PASSWORD_STORE_DIR",
    "AWS_VAULT_PASS_CMD",
    "AWS_VAULT_PASS_PREFIX",
    "AWS_VAULT_FILE_DIR",
    "AWS_VAULT_SECRET_SERVICE_COLLECTION_NAME",
    "AWS_VAULT_PROMPT",
];
