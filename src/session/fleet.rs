//! What the hosts of a fleet share in a store: sessions that cost a code, and the books of MFA devices.
//!
//! | file | what |
//! | --- | --- |
//! | `lead` | which host makes a session, and with which code: events and actions only |
//! | `object` | what is in the store, and how it is sealed |
//! | `close` | the end of a device's book, when the vault gets new keys |
//! | `part` | one host's part: the actions as requests to the store, the answers as events |

mod close;
mod lead;
mod object;
mod part;

pub use close::close_book;
pub use object::{Book, FleetKeys};
pub use part::{Alone, Names, Pace, Part, Step, Turn};
