//! From a profile to credentials: the plan, run with the vault's key and AWS's answers.
//!
//! | file | what |
//! | --- | --- |
//! | `session` | what a command makes, asks and drops; the vault is opened and forgotten there |
//! | `credentials` | a plan in, credentials out; renewing them |
//! | `connect` | how a vault reaches the store that it names |
//! | `follow` | the vault as another host of the fleet has written it |
//! | `old_keys` | the keys that a vault had before they were drawn anew |
//! | `run` | the steps of a plan: out of the cache, or made; `run/codes` sends codes of a seed |
//! | `fleet` | the store that hosts share; `run/shared` makes a session for all of them |
//! | `base` | what a plan starts from |
//! | `code` | where MFA codes come from |
//! | `program` | the programs that profiles name |
//! | `token` | web identity tokens |
//! | `sso`, `device` | logging in to IAM Identity Center |
//! | `console` | an address that opens the console |
//! | `shared_store` | the client of the store that hosts share; `silent` notes when it gave no answer |

mod base;
mod code;
mod connect;
mod console;
mod credentials;
mod device;
mod fleet;
mod follow;
mod old_keys;
mod program;
mod run;
mod session;
mod shared_store;
mod silent;
mod sso;
mod token;

pub use code::Answer;
pub use connect::Host;
pub use credentials::DEADLINE;
pub use old_keys::OldKeys;
pub use session::{CredentialSession, Need, Options, Parts, ServicePlace, VaultState};
pub use sso::IdentityCenter;
