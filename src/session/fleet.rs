//! What the hosts of a fleet share in a store: sessions that cost a code, and the TOTP claims of MFA devices.
//!
//! | file | what |
//! | --- | --- |
//! | `closing` | a device's TOTP claims when the vault's keys are replaced |
//! | `object` | what is in the store, and how it is sealed |
//! | `participant` | one host: the actions as requests to the store, the answers as events |
//! | `protocol` | which host makes a session, and with which code: events and actions only |
//! | `timing` | how time passes, as a value |

mod closing;
mod object;
mod participant;
mod protocol;
mod timing;

pub use closing::close_totp_claims;
pub use object::{FleetKeys, InStore, SharedClaims};
pub use participant::{CodeDecision, Names, Participant, SessionDecision};
pub use timing::Timing;
