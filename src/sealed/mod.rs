//! The sealed file: an age v1 container, and the passphrase slot in its header.
//!
//! [`scan`] checks the form and the limits of an untrusted file; [`open()`] tries keys and passphrases and
//! returns the plaintext; [`seal()`] writes a new file for every recipient and slot. The meaning of the
//! plaintext is not known here.

mod armor;
mod decrypt;
mod derivation_queue;
mod encrypted_file;
mod grammar;
mod identities;
mod identity_text;
mod open;
mod passphrase_policy;
mod plugin;
mod recipients;
mod seal;
mod slot;
mod ssh;
mod stanza;
#[cfg(test)]
mod tests;
mod unsupported;

pub use derivation_queue::DerivationQueue;
pub use grammar::{Scanned, scan};
pub use identities::{Identity, generate_identity, parse_identities};
pub use open::{Opened, open, open_by_locked_key, open_by_slot_key};
pub use passphrase_policy::{DEFAULT_MAX_MEMORY, PassphrasePolicy, within_default_limits};
pub use recipients::{Recipient, brief, parse_recipient, parse_recipients_file};
pub use seal::{Sealed, seal};
pub use slot::{Cost, Slot, SlotKey};

/// The largest vault file, as stored: 2 MiB.
pub const FILE_LIMIT: u64 = 2 << 20;
/// The largest header of the binary file: 16 KiB.
pub const HEADER_LIMIT: usize = 16 << 10;
/// The most stanzas in a header, age's own random one included.
pub const STANZA_LIMIT: usize = 32;
