//! The sources that the command line names.

use std::path::PathBuf;

/// The unlocking flags of the command line.
#[derive(Debug, Default, Clone)]
pub struct Named {
    /// `--identity FILE`, repeatable; `-` is stdin.
    pub identities: Vec<PathBuf>,
    /// `--passphrase-file FILE`.
    pub passphrase_file: Option<PathBuf>,
}
