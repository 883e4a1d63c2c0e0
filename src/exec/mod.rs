//! The command that gets the credentials: its environment, becoming it, and standing by it.

mod become_command;
mod environment;
mod supervise;

pub use become_command::{ExecError, become_command};
pub use environment::{Child, Given, environment, helper_environment};
pub use supervise::{Ending, Supervisor};
