//! The integration tests: one binary, one module per feature.

mod add;
mod container;
mod errors;
mod help;
mod house;
mod init;
mod list;
mod pin;
mod prompt;
mod quiet;
mod readme;
mod remove;
mod stage;
mod standin;
mod support;
mod unlock;
mod vault_file;
mod write;
