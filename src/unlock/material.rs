//! What is tried on the vault.

use super::keyring::SlotSecret;
use crate::secret::Secret;

/// The content of a source.
#[derive(Debug)]
pub enum SecretKind {
    /// The text of an identity file, plain or in base64.
    Identity(Secret),
    /// The text of an identity file, with the passphrase of an ssh key in it.
    LockedKey(Secret, Secret),
    /// A passphrase without its trailing newline.
    Passphrase(Secret),
    /// The key of a passphrase slot, stored by `vault unlock`.
    Slot(SlotSecret),
}

/// Key material to try on the vault.
#[derive(Debug)]
pub struct Material {
    /// The source's name as the user knows it: a variable, a flag or a path.
    pub label: String,
    pub kind: SecretKind,
    /// True if it came from a variable of sops, which is removed from the child's environment only if it
    /// opened the vault.
    pub sops: bool,
}
