//! Checks of this host: everything that a job needs for its credentials is examined; nothing is changed, and no
//! person is asked. Each file has the checks of one area; a check gives findings, and the report shows them.
//!
//! | file | looks at |
//! | --- | --- |
//! | `vault` | the file, its header, modes, fingerprint and what the machine remembers of it |
//! | `keys` | the key sources, and whether they unlock it |
//! | `places` | the directories of cache and state, locks that are held there, and free space |
//! | `config` | the AWS files, and the environment's variables for profiles |
//! | `profiles` | whether a profile leads to credentials, and from which source |
//! | `references` | whether the files that a profile names can be read, and its programs be started |
//! | `fleet` | the store that is shared, and a copy that a fork left |
//! | `exposure` | what other processes can read: unlock variables, and vault's memory |
//! | `aws` | the clock, compared with AWS's, the codes left of each MFA device, and logins |

mod aws;
mod config;
mod exposure;
mod fleet;
mod host;
mod keys;
mod places;
mod profiles;
mod references;
mod report;
mod vault;

use std::path::Path;
use std::sync::Arc;

use self::host::SILENT;
use crate::prompt::Prompt;
use crate::sealed::DerivationQueue;
use crate::vault::Access;

pub use host::{Host, ProfileScope};
pub use report::{Finding, Mark, Report};
pub use vault::DEFAULT;

/// Runs all checks, in the order in which a job would need what they check.
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

/// How the vault is opened here: without asking a person, and without remembering it.
fn access<'a>(host: &'a Host, path: &Path, report: &mut Report) -> Option<Access<'a>> {
    let pins = report.value_of("vault.pins", host.pins.clone());
    let min_generation = report.value_of("vault.generation", host.min_generation.clone());
    let max_memory = report.value_of("vault.cost", host.max_passphrase_memory.clone());
    let state = host.state.as_ref().ok().and_then(Option::as_ref);
    Some(Access {
        path: path.to_owned(),
        remote: None,
        by_flag: false,
        by_default: false,
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
