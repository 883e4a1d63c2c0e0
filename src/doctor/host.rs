//! What is examined.

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::env::Env;
use crate::error::Result;
use crate::os;
use crate::place::Places;
use crate::reporter::Reporter;
use crate::store::Location;
use crate::unlock::Named;
use crate::vault::Pin;

/// Checks report only by their findings.
pub(super) const SILENT: Reporter = Reporter { quiet: true, debug: false };

/// What is examined, from the command line and the environment.
pub struct Host<'a> {
    /// The environment, with the unlock variables.
    pub env: &'a Env,
    pub named: &'a Named,
    pub places: &'a Places,
    /// The vault's path, and what names it.
    pub vault: Result<(PathBuf, &'static str)>,
    /// The store that it is in; the path is then its copy's.
    pub remote: Option<Location>,
    pub cache_flag: Option<&'a Path>,
    /// Where pins and generations are remembered, and whether the user named that place.
    pub state: Result<Option<(PathBuf, bool)>>,
    pub pins: Result<Vec<Pin>>,
    /// `--min-generation` or its variable.
    pub min_generation: Result<Option<u64>>,
    /// `--max-passphrase-memory` or its variable, in MiB.
    pub max_passphrase_memory: Result<u32>,
    /// The profile that a command would use. Its STS is asked for the time.
    pub profile: Result<String>,
    pub scope: ProfileScope,
    /// True if a person could be asked for a passphrase.
    pub has_terminal: bool,
    pub clock: Clock,
    /// What the system refused when the process was hardened.
    pub limits: &'a os::SavedLimit,
}

/// Which profiles are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileScope {
    /// The one that an argument or a variable names.
    Named,
    /// `default`, if there is one, since none is named.
    Default,
    All,
}
