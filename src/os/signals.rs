//! Signals: collecting them, and ending by one.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};

/// Signals that are collected until this is dropped, which restores their dispositions.
///
/// A handler writes them to a pipe. The signal mask would not suffice: it is a thread's, and ^C in the middle
/// of a prompt would end the process by another thread, such as one left by a name look-up.
pub struct Signals {
    old: Vec<(i32, libc::sigaction)>,
    pipe: &'static (OwnedFd, OwnedFd),
    /// Dispositions are the process's: one at a time.
    _alone: MutexGuard<'static, ()>,
}

/// The sender of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A terminal, to its whole foreground process group or to the leader of its session, or a timer.
    Kernel,
    /// A process, by kill(2) and its like.
    Process,
}

/// Never closed, so that a late handler does not write to another descriptor of that number.
static PIPE: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();
static WRITE_END: AtomicI32 = AtomicI32::new(-1);
static ALONE: Mutex<()> = Mutex::new(());

impl Signals {
    /// Collects these signals from now on, except those that the process ignores (under nohup, SIGHUP), which
    /// stay ignored.
    pub fn watch(signals: &[i32]) -> io::Result<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = match PIPE.get() {
            Some(pipe) => pipe,
            None => {
                // A pipe that never blocks, for reading and for writing.
                let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                PIPE.get_or_init(|| ends)
            }
        };
        WRITE_END.store(pipe.1.as_raw_fd(), Ordering::SeqCst);
        let mut watched = Self { old: Vec::new(), pipe, _alone: alone };
        while watched.take().is_some() {}
        for signal in signals {
            let counts = |old: &libc::sigaction| old.sa_sigaction != libc::SIG_IGN;
            if let Some(old) = disposition(*signal).filter(counts) {
                watched.old.push((*signal, old));
                collect(*signal);
            }
        }
        Ok(watched)
    }

    /// The next signal that has arrived; never blocks.
    pub fn take(&self) -> Option<i32> {
        self.take_with_sender().map(|(signal, _)| signal)
    }

    /// The same with its sender.
    pub fn take_with_sender(&self) -> Option<(i32, Sender)> {
        let mut note = [0u8; 2];
        // A record is written and read in one piece.
        let read = rustix::io::read(&self.pipe.0, &mut note);
        let sender = if note[1] == 0 { Sender::Process } else { Sender::Kernel };
        (read == Ok(2)).then_some((i32::from(note[0]), sender))
    }

    /// Executes a collected signal's own disposition, and collects it again from then on. For SIGTSTP it
    /// returns when the process is continued, or at once without job control (an orphaned process group).
    pub fn let_act(&self, signal: i32) {
        for (_, old) in self.old.iter().filter(|(number, _)| *number == signal) {
            set_disposition(signal, old);
            raise_unblocked(signal);
            collect(signal);
        }
    }
}

impl AsFd for Signals {
    /// Readable when [`Signals::take`] has something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.0.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, old) in &self.old {
            set_disposition(*signal, old);
        }
    }
}

/// Ends the process by this signal, so that its parent sees that status (128+n in a shell).
pub fn die_of(signal: i32) -> ! {
    set_handler(signal, Handler::Default);
    raise_unblocked(signal);
    // Only where the signal's default is not to end the process.
    // SAFETY: ends the process; nothing runs after it.
    unsafe { libc::_exit(128 + signal) }
}

/// Lets the usual signals end process 1 of a container, too: the kernel does not send it signals without a
/// handler (pid_namespaces(7)), so that an engine would wait ten seconds and kill it. execve restores the
/// defaults for the command.
pub fn end_also_as_process_1() {
    if std::process::id() != 1 {
        return;
    }
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        if disposition(signal).is_some_and(|old| old.sa_sigaction == libc::SIG_DFL) {
            set_handler(signal, Handler::Call(end));
        }
    }
}

/// Lets a write beyond RLIMIT_FSIZE fail with EFBIG, as on a full disk, instead of ending the process in
/// the middle of a file (SIGXFSZ, signal(7)). By a handler, so that execve restores the default for the command
/// and every helper; an ignored signal would stay ignored.
pub fn fail_at_file_size_limit() {
    if disposition(libc::SIGXFSZ).is_some_and(|old| old.sa_sigaction == libc::SIG_DFL) {
        set_handler(libc::SIGXFSZ, Handler::Call(nothing));
    }
}

/// True if SIGCHLD was ignored when vault was started.
static CHILDREN_IGNORED: AtomicBool = AtomicBool::new(false);

/// Gives SIGCHLD its default if vault was started with it ignored: the kernel would discard the status of
/// every helper (wait(2)). [`ignore_children_again`] undoes it for the command.
pub fn keep_status_of_children() {
    if disposition(libc::SIGCHLD).is_some_and(|old| old.sa_sigaction == libc::SIG_IGN) {
        CHILDREN_IGNORED.store(true, Ordering::SeqCst);
        set_handler(libc::SIGCHLD, Handler::Default);
    }
}

/// Before execve: the command inherits an ignored SIGCHLD if vault did.
pub fn ignore_children_again() {
    if CHILDREN_IGNORED.load(Ordering::SeqCst) {
        set_handler(libc::SIGCHLD, Handler::Ignore);
    }
}

/// Ignores SIGPIPE as Rust's runtime does: after a failed execve, so that the error can be reported. std sets
/// the default for a command; whether it was ignored at start is not known.
pub fn ignore_sigpipe() {
    set_handler(libc::SIGPIPE, Handler::Ignore);
}

/// The handler does nothing: write(2) returns the error.
extern "C" fn nothing(_: libc::c_int) {}

/// The handler: async-signal-safe.
extern "C" fn end(signal: libc::c_int) {
    // SAFETY: ends the process; nothing runs after it.
    unsafe { libc::_exit(128 + signal) }
}

/// The handler. Only what is async-signal-safe: an atomic, write(2), errno kept.
extern "C" fn note(signal: libc::c_int, info: *const libc::siginfo_t, _: *const libc::c_void) {
    // SAFETY: errno is this thread's own; the kernel gives a handler with SA_SIGINFO a valid struct,
    // and a positive code means the kernel's own doing (sigaction(2)); two bytes are written from a
    // local variable, at once or not at all. A full pipe loses a signal beside 32,768 others.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let from_kernel = !info.is_null() && (*info).si_code > 0;
        let note = [u8::try_from(signal).unwrap_or_default(), u8::from(from_kernel)];
        libc::write(WRITE_END.load(Ordering::SeqCst), note.as_ptr().cast(), note.len());
        *errno = before;
    }
}

enum Handler {
    Default,
    Ignore,
    /// One of this file's, which are async-signal-safe.
    Call(extern "C" fn(libc::c_int)),
}

fn set_handler(signal: i32, handler: Handler) {
    let handler = match handler {
        Handler::Default => libc::SIG_DFL,
        Handler::Ignore => libc::SIG_IGN,
        Handler::Call(function) => function as *const () as libc::sighandler_t,
    };
    // SAFETY: a valid disposition; a failure leaves the old one.
    unsafe { libc::signal(signal, handler) };
}

fn collect(signal: i32) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero is a valid struct (no flags, empty mask); the handler has the type that a
    // disposition with SA_SIGINFO wants.
    let action = unsafe {
        (*action.as_mut_ptr()).sa_sigaction = note as *const () as libc::sighandler_t;
        (*action.as_mut_ptr()).sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
        action.assume_init()
    };
    set_disposition(signal, &action);
}

fn disposition(signal: i32) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; the out-pointer is valid, and all-zero is a valid struct.
    unsafe {
        (libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0)
            .then(|| action.assume_init())
    }
}

fn set_disposition(signal: i32, action: &libc::sigaction) {
    // SAFETY: a valid struct: one that the system gave, or one of `collect`.
    unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) };
}

/// Sends this thread a signal that may be blocked, and lets it be delivered.
fn raise_unblocked(signal: i32) {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigemptyset initialises the set, sigaddset refuses what is no signal, and an all-zero
    // set is the empty one, should a call fail. The mask is this thread's own.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), before.as_mut_ptr());
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_signal_waits_to_be_taken() {
        let signals = Signals::watch(&[libc::SIGUSR1]).unwrap();
        assert_eq!(signals.take(), None);
        // SAFETY: no pointers; the signal is noted by the handler.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(signals.take_with_sender(), Some((libc::SIGUSR1, Sender::Process)));
        assert_eq!(signals.take(), None);
        drop(signals);
        assert_eq!(disposition(libc::SIGUSR1).unwrap().sa_sigaction, libc::SIG_DFL);
    }

    #[test]
    fn an_ignored_signal_stays_ignored() {
        // SIGPIPE is ignored by Rust's runtime.
        let signals = Signals::watch(&[libc::SIGPIPE]).unwrap();
        // SAFETY: no pointers; ignored.
        unsafe { libc::raise(libc::SIGPIPE) };
        assert_eq!(signals.take(), None);
    }
}
