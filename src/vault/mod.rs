//! The vault: its payload, its fingerprint, and the file that holds both.

pub mod memory;
mod opening;
pub mod payload;
pub mod pin;
mod slot_memory;
mod store;
mod trust;

pub use payload::{Enrolment, PassphraseEntry, Payload, RecipientEntry, Rotation};
pub use pin::Pin;
pub use store::{Access, Vault, create, slot_names};
