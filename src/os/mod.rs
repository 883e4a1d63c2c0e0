//! The operating system, and the only unsafe code of the program: small safe functions over what
//! std does not offer. Everything that is opened here is closed on exec.
#![allow(unsafe_code)]

mod environment;
mod exec;
mod files;
mod limits;
mod memory;
mod names;
mod signals;
#[cfg(test)]
pub mod testing;
mod tty;

pub use environment::take_environment;
pub use exec::{
    default_sigpipe, execve, ignore_sigpipe, reap_children_of_this_thread, restore_in_child,
};
pub use files::{
    Interest, close, effective_uid, may_write, null_onto_stdin, on_memory, stdin_fd,
    wait_until_ready,
};
pub use limits::{SavedLimit, harden, restore, wipe_stack};
pub use memory::Blocks;
pub use names::configure_name_service;
pub use signals::{Signals, die_of};
pub use tty::{TerminalState, discard_input, echo_off, in_foreground, open_terminal};
