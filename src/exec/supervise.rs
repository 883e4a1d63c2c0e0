//! Supervises the command: forwards signals, returns its status, and reaps orphans.
//!
//! - The command is in our process group. A terminal's signals to the whole group (^C, ^\, ^Z, a new size)
//!   reach it without us, and all others are forwarded. At a hang-up the kernel signals only the session's
//!   leader, which may be us, with SIGHUP and SIGCONT (`tty_signal_session_leader` in
//!   drivers/tty/tty_jobctrl.c); timers signal one process, too. A command that has left the group gets all
//!   signals from us.
//! - When it stops, we stop, so that the shell sees its job stopped; when we continue, it continues.
//! - When it ends, its status is the result, 128+n after signal n.
//! - As the first process of a pid namespace we inherit orphans, and wait for them too.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use super::become_command::{ExecError, command, not_started};
use crate::error::os_text;
use crate::os::{self, ChildEvent, Interest, Sender, Signals};

/// The forwarded signals, unless they were ignored at start. Not SIGTTIN and SIGTTOU: the terminal sends them
/// to the whole group, and a process that catches them repeats its read or write for ever.
const FORWARDED: [i32; 16] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGXCPU,
    libc::SIGTERM,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGPWR,
];

/// The signals that a terminal sends to its whole foreground process group. If the kernel sent one, the
/// command in the group has it too.
const OF_THE_GROUP: [i32; 4] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGWINCH];

/// The signals that end a server without a command.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Runs a command.
pub struct Supervisor {
    signals: Signals,
}

impl Supervisor {
    /// From now on signals are collected, to be forwarded.
    pub fn new() -> Result<Self, ExecError> {
        let all = FORWARDED.into_iter().chain([libc::SIGCHLD]).chain(os::real_time_signals());
        let signals = Signals::watch(&all.collect::<Vec<_>>())
            .map_err(|error| ExecError::Other(cannot_wait(&error)))?;
        Ok(Self { signals })
    }

    /// Runs the command to its end; its exit code, 128+n after signal n. It is started as by
    /// [`super::become_command()`]. Call it on the main thread, which inherits orphans.
    pub fn run(self, argv: &[OsString], vars: &[(OsString, OsString)]) -> Result<u8, ExecError> {
        let child = start(argv, vars)?;
        // Signals before the start did not reach the command, neither the user's nor the system's.
        let early: BTreeSet<i32> = std::iter::from_fn(|| self.signals.take()).collect();
        for signal in early.into_iter().filter(|signal| *signal != libc::SIGCHLD) {
            os::signal_child(child, signal);
        }
        let wait = [(self.signals.as_fd(), Interest::Read)];
        loop {
            if let Some(code) = self.reap(child) {
                return Ok(code);
            }
            while let Some((signal, sender)) = self.signals.take_with_sender() {
                if signal == libc::SIGCHLD {
                    continue;
                }
                let received = sender == Sender::Kernel
                    && OF_THE_GROUP.contains(&signal)
                    && os::is_in_our_group(child);
                if !received {
                    os::signal_child(child, signal);
                }
            }
            if let Some(code) = self.reap(child) {
                return Ok(code);
            }
            os::wait_until_ready(&wait, None)
                .map_err(|error| ExecError::Other(cannot_wait(&error)))?;
        }
    }

    /// Reaps the children that have ended; the command's exit code if it is one of them.
    fn reap(&self, child: i32) -> Option<u8> {
        while let Some((pid, event)) = os::next_child_event() {
            match event {
                ChildEvent::Exited(code) if pid == child => return Some(low_byte(code)),
                ChildEvent::Killed(signal) if pid == child => return Some(low_byte(128 + signal)),
                ChildEvent::Stopped(signal) if pid == child => {
                    match signal {
                        libc::SIGTSTP => self.signals.let_act(signal),
                        _ => os::stop_self(),
                    }
                    os::signal_child(child, libc::SIGCONT);
                }
                _ => {}
            }
        }
        None
    }
}

/// Waits for a signal that ends a server.
pub struct Ending {
    signals: Signals,
}

impl Ending {
    /// From now on those signals do not end the process.
    pub fn watch() -> io::Result<Self> {
        let all: Vec<i32> = ENDING.into_iter().chain([libc::SIGCHLD]).collect();
        Ok(Self { signals: Signals::watch(&all)? })
    }

    /// Call it on the main thread, which inherits orphans in the first process of a pid namespace.
    pub fn wait(self) -> io::Result<()> {
        loop {
            os::wait_until_ready(&[(self.signals.as_fd(), Interest::Read)], None)?;
            while let Some(signal) = self.signals.take() {
                if signal != libc::SIGCHLD {
                    return Ok(());
                }
            }
            while os::next_child_event().is_some() {}
        }
    }
}

fn start(argv: &[OsString], vars: &[(OsString, OsString)]) -> Result<i32, ExecError> {
    let mut command = command(argv, vars)?;
    os::restore_in_child(&mut command);
    let child = command.spawn().map_err(|error| not_started(argv, vars, &error))?;
    i32::try_from(child.id())
        .map_err(|_| ExecError::Other("the command has no process id".to_owned()))
}

fn cannot_wait(error: &io::Error) -> String {
    format!("cannot wait for signals: {}", os_text(error))
}

fn low_byte(code: i32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or_default()
}
