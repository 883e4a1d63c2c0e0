//! vault: AWS credentials for machines without a keyring.
//!
//! The house, from the ground up. A room imports only lower ones, and siblings do not know each
//! other; `tests/it/house.rs` holds that.
//!
//! | floor | rooms |
//! | --- | --- |
//! | 6 | `commands/`: one file per command, the order of events and nothing else |
//! | 5 | `cli/`: clap types; `report`: errors to text and codes |
//! | 4 | `provider/`: profile to credentials: plan, vault, session and aws together; `import/`: keys from elsewhere; `enroll`: a new MFA device |
//! | 3 | `vault/`: payload, pins, store; `session/`: cache, flight, ledger; `aws/`: STS and IAM; `exec/`: the child |
//! | 2 | `sealed/`: the age container and the argon2id slot; `unlock/`: where keys come from; `profile/`: read, plan, edit; `place`: where things lie; `totp`: seeds and codes |
//! | 1 | `env`, `clock`, `credential`, `name`, `file`, `process`, `prompt`, `say` |
//! | 0 | `os/`: the only unsafe; `error`, `secret` |
#![deny(unsafe_code)]

pub mod aws;
pub mod clock;
pub mod credential;
pub mod enroll;
pub mod env;
pub mod error;
pub mod exec;
pub mod file;
pub mod import;
pub mod name;
pub mod os;
pub mod place;
pub mod process;
pub mod profile;
pub mod prompt;
pub mod provider;
pub mod say;
pub mod sealed;
pub mod secret;
pub mod session;
pub mod totp;
pub mod unlock;
pub mod vault;
