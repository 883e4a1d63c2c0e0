//! From a profile to credentials: the plan, run with the vault's key and AWS's answers.
//!
//! | file | what |
//! | --- | --- |
//! | `session` | the value that a command makes, uses and drops; it opens the vault and forgets it |
//! | `options` | what the command line asks for, and what is wanted of one run |
//! | `vault_state` | the vault that is opened, or not needed, or missing |
//! | `credentials` | a plan in, credentials out; renewing them |
//! | `endpoints` | the endpoints that the calls of a plan go to |
//! | `connect` | how a vault reaches the store that it names |
//! | `follow` | pulls the vault that another host of the fleet has written |
//! | `old_keys` | the keys that a vault had before they were replaced |
//! | `run` | the steps of a plan: from the cache, or from AWS; `run/codes` sends codes of a seed |
//! | `fleet` | the store that hosts share; `run/shared` makes a session for all of them |
//! | `base` | what a plan starts from |
//! | `code` | where MFA codes come from |
//! | `program` | the programs that profiles name |
//! | `token` | web identity tokens |
//! | `sso`, `device` | logging in to IAM Identity Center |
//! | `console` | an address that opens the console |
//! | `shared_store` | the client of the store that hosts share; `silent` notes that it did not answer |

mod base;
mod code;
mod connect;
mod console;
mod credentials;
mod device;
mod endpoints;
mod fleet;
mod follow;
mod old_keys;
mod options;
mod program;
mod run;
mod session;
mod shared_store;
mod silent;
mod sso;
mod token;
mod vault_state;

pub use code::CodeCheck;
pub use connect::StoreConnector;
pub use credentials::DEADLINE;
pub use endpoints::ServiceEndpoint;
pub use old_keys::OldKeys;
pub use options::Options;
pub use session::{CredentialSession, Parts};
pub use sso::IdentityCenter;
pub use vault_state::{VaultAccess, VaultState};
