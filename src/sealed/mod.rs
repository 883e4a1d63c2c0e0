//! The sealed file: an age v1 container, and the passphrase slot in its header.
//!
//! [`scan`] believes nothing and checks the form and the limits; [`open`] tries keys and passphrases
//! and returns the plaintext; [`seal`] writes a new file for every recipient and slot. What the
//! plaintext means is not known here.

mod armor;
mod decrypt;
mod encrypted_file;
mod grammar;
mod identities;
mod keys;
mod open;
mod plugin;
mod seal;
mod slot;
mod ssh;
mod stanza;
mod terms;
#[cfg(test)]
mod tests;
mod text;
mod turns;
mod unsupported;

use age::secrecy::ExposeSecret;

pub use grammar::{Scanned, scan};
pub use identities::{Identity, generate_identity, parse_identities};
pub use keys::{Recipient, brief, parse_recipient, parse_recipients_file};
pub use open::{Opened, open, open_by_locked_key, open_by_slot_key};
pub use seal::{Sealed, seal};
pub use slot::{Cost, Slot, SlotKey};
pub use terms::{MEMORY_UNASKED, Terms, is_accepted_unasked};
pub use turns::Turns;

/// The largest vault file, as it lies on the disk: 2 MiB.
pub const FILE_LIMIT: u64 = 2 << 20;
/// The largest header of the binary file: 16 KiB.
pub const HEADER_LIMIT: usize = 16 << 10;
/// The most stanzas in a header, age's own random one included.
pub const STANZA_LIMIT: usize = 32;

/// The key of one file's content: 16 bytes, new at every write, wiped when dropped.
pub struct FileKey(age_core::format::FileKey);

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey(…)")
    }
}

/// A file key once more: age hands out one, and takes one back.
fn copy_key(key: &age_core::format::FileKey) -> age_core::format::FileKey {
    age_core::format::FileKey::init_with_mut(|copy| copy.copy_from_slice(key.expose_secret()))
}
