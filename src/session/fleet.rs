//! What the hosts of a fleet share in a store: sessions that cost a code, and the books of MFA devices.
//!
//! | file | what |
//! | --- | --- |
//! | `closing` | a device's book when the vault's keys are replaced |
//! | `lead` | which host makes a session, and with which code: events and actions only |
//! | `object` | what is in the store, and how it is sealed |
//! | `pace` | how time passes, as a value |
//! | `part` | one host's part: the actions as requests to the store, the answers as events |

mod closing;
mod lead;
mod object;
mod pace;
mod part;

pub use closing::close_book;
pub use object::{Book, FleetKeys, InStore};
pub use pace::Pace;
pub use part::{Alone, Names, Part, Step, Turn};
