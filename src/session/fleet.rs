//! What the hosts of a fleet share in a store: sessions that cost a code, and the books of MFA devices.
//!
//! | file | what |
//! | --- | --- |
//! | `lead` | which host makes a session, and with which code: events and actions only |

mod lead;

pub use lead::{Action, Event, Lead, Nonce, Seen, Why, Written};
