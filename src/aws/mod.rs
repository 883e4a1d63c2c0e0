//! AWS's Security Token Service and IAM, and what the host of this program hands out itself, as
//! blocking calls.
//!
//! The only room (with a later server) that knows async: a runtime, TLS roots and sockets come up
//! with the first call and not before, so that a run that asks AWS nothing pays for none of them.

mod connection;
mod failure;
pub mod host;
mod http;
mod iam;
mod proxy;
mod roots;
mod sts;
mod unreachable;

pub use failure::StsError;
pub use iam::{Iam, NewDevice};
pub use sts::Sts;
