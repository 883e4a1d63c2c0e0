//! What is wrong on this host: everything that stands between a job and its credentials is looked at,
//! and nothing is changed, asked of a person, or waited for. Each file is one place to look; a check
//! gives findings, and only the report decides how they are shown.
//!
//! | file | looks at |
//! | --- | --- |
//! | `vault` | the file, its header, modes, fingerprint and what the machine remembers of it |
//! | `keys` | the sources that would unlock it, and whether they do |
//! | `places` | the directories of cache and state, who holds a lock there, and the room for what is written |
//! | `config` | the AWS files, and what the environment offers beside them |
//! | `profiles` | whether a profile leads to credentials, and by what |
//! | `things` | whether the files that a profile names can be read, and its programs be started |
//! | `fleet` | the store that is shared, and a copy that a fork left |
//! | `exposure` | what other processes can read: unlock variables, and vault's memory |
//! | `aws` | the clock, by AWS's, what is left of each MFA device, and who is logged in |

mod aws;
mod config;
mod exposure;
mod fleet;
mod keys;
mod places;
mod profiles;
mod report;
mod things;
mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::env::Env;
use crate::error::Result;
use crate::os;
use crate::place::Places;
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::sealed::DerivationQueue;
use crate::store::Location;
use crate::unlock::Named;
use crate::vault::{Access, Pin};

pub use profiles::Judged;
pub use report::{Finding, Mark, Report};
pub use vault::DEFAULT;

/// Checks say what they find in the report, and nothing else says anything.
const SILENT: Reporter = Reporter { quiet: true, debug: false };

/// What a command line and its environment come to.
pub struct Host<'a> {
    /// The environment, with the unlock variables.
    pub env: &'a Env,
    /// The unlocking flags.
    pub named: &'a Named,
    /// The directories of this user.
    pub places: &'a Places,
    /// The vault's path, and what names it.
    pub vault: Result<(PathBuf, &'static str)>,
    /// The store that it lies in; the path is then its copy's.
    pub remote: Option<Location>,
    /// `--cache-dir`.
    pub cache_flag: Option<&'a Path>,
    /// Where pins and generations are remembered, and whether that place was named.
    pub state: Result<Option<(PathBuf, bool)>>,
    /// Explicit pins.
    pub pins: Result<Vec<Pin>>,
    /// `--min-generation` or its variable.
    pub min_generation: Result<Option<u64>>,
    /// `--max-passphrase-memory` or its variable, in MiB.
    pub max_passphrase_memory: Result<u32>,
    /// The profile that would be asked for. Its region and endpoint say where AWS is asked for the time.
    pub profile: Result<String>,
    /// Which profiles are judged.
    pub judged: Judged,
    /// True if a person could be asked for a passphrase.
    pub has_terminal: bool,
    /// This host's own.
    pub clock: Clock,
    /// What of the process's hardening the system refused.
    pub limits: &'a os::SavedLimit,
}

/// Looks at everything, in the order in which a job would come across it.
pub fn examine(host: &Host) -> Report {
    let mut report = Report::default();
    let optional = config::needs_no_vault(host);
    let file = vault::file(host, optional, &mut report);
    let access = file.as_ref().and_then(|file| access(host, &file.path, &mut report));
    let vault = match (&file, &access) {
        (Some(file), Some(access)) => keys::check(host, file, access, optional, &mut report),
        _ => {
            keys::sources(host, &mut report);
            None
        }
    };
    if let (Some(file), Some(vault)) = (&file, &vault) {
        vault::content(file, vault, &mut report);
    }
    fleet::check(host, file.as_ref(), vault.as_ref(), &mut report);
    let cache = places::check(host, file.as_ref().map(|file| file.path.as_path()), &mut report);
    let profiles = config::check(host, &mut report);
    if let Some(profiles) = &profiles {
        profiles::check(host, profiles, vault.as_ref(), &mut report);
    }
    config::identity(host, &mut report);
    config::container(host, &mut report);
    exposure::check(&mut report);
    exposure::memory(host.limits, &mut report);
    let offset = aws::clock(host, profiles.as_ref(), &mut report);
    if let Some(vault) = &vault {
        aws::devices(host, vault, cache.clone(), offset, &mut report);
        if let Some(profiles) = &profiles {
            aws::logins(host, vault, cache, profiles, &mut report);
        }
    }
    report
}

/// How the vault is opened here: by nobody's hand, and without remembering it.
fn access<'a>(host: &'a Host, path: &Path, report: &mut Report) -> Option<Access<'a>> {
    let pins = report.unless("vault.pins", host.pins.clone());
    let min_generation = report.unless("vault.generation", host.min_generation.clone());
    let max_memory = report.unless("vault.cost", host.max_passphrase_memory.clone());
    let state = host.state.as_ref().ok().and_then(Option::as_ref);
    Some(Access {
        path: path.to_owned(),
        remote: None,
        by_flag: false,
        env: host.env,
        named: host.named,
        identity_file: host.places.identity_file(),
        pins: pins?,
        accepts: None,
        min_generation: min_generation?,
        state: None,
        slot_memory: state.map(|(dir, _)| dir.clone()),
        max_passphrase_memory: max_memory?,
        derivation_queue: DerivationQueue::none(),
        prompt: Prompt::new(true, None),
        reporter: SILENT,
        connect: Arc::new(|_| Ok(None)),
    })
}
