//! The command that gets the credentials: its environment, its start by execve(2), and its supervision.

mod become_command;
mod environment;
mod supervise;

pub use become_command::{ExecError, become_command};
pub use environment::{Child, Delivery, environment, helper_environment};
pub use supervise::{Ending, Supervisor};
