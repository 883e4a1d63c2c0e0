//! The vault: its payload, its fingerprint, and the file that holds both.

mod access;
pub mod memory;
mod missing;
mod open;
mod opening;
pub mod payload;
pub mod pin;
mod slot_memory;
mod state_file;
mod store;
mod sync;
mod trust;
mod vault_file;

pub use access::{Access, Connect, NamedBy, SharedStore};
pub use missing::how_to_make;
pub use open::{LockedVault, Opening};
pub use payload::{
    Enrolment, Fleet, PassphraseEntry, Payload, RecipientEntry, Rotation, no_store_key,
};
pub use pin::Pin;
pub use store::{Vault, create, is_saved, slot_names};
pub use sync::{OBJECT, Synced, copy_name, theirs_beside};
