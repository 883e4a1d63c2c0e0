//! System calls that std lacks, as small safe functions, and the only unsafe code of the program. Every
//! descriptor that is opened here is closed on exec.
#![allow(unsafe_code)]

mod acl;
mod children;
mod clock;
mod environment;
mod files;
pub mod keyring;
mod limits;
mod memory;
mod names;
mod signals;
mod stack;
mod stdout;
#[cfg(test)]
pub mod testing;
mod tty;

pub use acl::{acl, lets_group_write, only_writers, set_acl};
pub use children::{
    ChildEvent, is_in_our_group, kill_tree, next_child_event, real_time_signals, signal_child,
    stop_self,
};
pub use clock::monotonic_seconds;
pub use environment::take_environment;
pub use files::{
    Interest, close, duplicate, effective_uid, file_system, free_space, groups, inherited,
    is_procfs, is_read_only, may_write, may_write_file, null_onto_stdin, stdin_fd,
    wait_until_ready,
};
pub use limits::{Refused, SavedLimit, harden, open_files, restore, restore_in_child};
pub use memory::{Blocks, WipingAllocator};
pub use names::{Family, addresses};
pub use signals::{
    Sender, Signals, die_of, end_also_as_process_1, fail_at_file_size_limit, ignore_children_again,
    ignore_sigpipe, keep_status_of_children,
};
pub use stack::{on_enough_stack, on_wiped_stack};
pub use stdout::stdout_was_closed;
pub use tty::{
    TerminalState, columns, discard_input, echo_off, in_foreground, let_reads_wait, open_terminal,
};
