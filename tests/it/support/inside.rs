//! For tests that drive a part of the program themselves: how a vault is opened here, by a key in the
//! environment and by nobody's hand, and what a session of credentials is made of.

use std::path::PathBuf;
use std::sync::Arc;

use vault::clock::Clock;
use vault::env::Env;
use vault::profile::{self, Files};
use vault::prompt::Prompt;
use vault::provider::{Options, Parts, VaultAccess};
use vault::reporter::Reporter;
use vault::sealed::{self, DerivationQueue};
use vault::unlock::Named;
use vault::vault::Access;

/// Says nothing.
pub const SILENT: Reporter = Reporter { quiet: true, debug: false };

/// No flag names a key.
static NO_FLAGS: Named = Named { identities: Vec::new(), passphrase_file: None };

/// A vault that nothing pins or remembers.
pub fn access(path: PathBuf, env: &Env, prompt: Prompt) -> Access<'_> {
    Access {
        path,
        remote: None,
        by_flag: false,
        by_default: false,
        env,
        named: &NO_FLAGS,
        identity_file: None,
        pins: Vec::new(),
        accepts: None,
        min_generation: None,
        state: None,
        slot_memory: None,
        max_passphrase_memory: sealed::DEFAULT_MAX_MEMORY,
        derivation_queue: DerivationQueue::none(),
        prompt,
        reporter: SILENT,
        connect: Arc::new(|_| Ok(None)),
    }
}

/// The parts of a session that needs that vault, with this config file and no cache.
pub fn parts(
    vault: PathBuf,
    config: Option<PathBuf>,
    env: &Env,
    prompt: Prompt,
    clock: Clock,
) -> Parts<'_, '_> {
    Parts {
        profiles: profile::read(&Files { config, credentials: None }, env).expect("the profiles"),
        vault: VaultAccess::Needed(access(vault, env, prompt)),
        cache_dir: None,
        env,
        options: Options::default(),
        prompt,
        clock,
        reporter: SILENT,
    }
}
