//! The command that gets the credentials: its environment, and becoming it.

mod become_command;
mod environment;

pub use become_command::{ExecError, become_command};
pub use environment::{Child, environment, helper_environment};
