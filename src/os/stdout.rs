//! Detects that the program was started without a stdout.

use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Run by the loader: before `main`, Rust's runtime opens /dev/null in the place of a closed standard stream,
/// which cannot be distinguished from a redirection.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: asks for the flags of a descriptor, open or not.
    let answer = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    let why = std::io::Error::last_os_error().raw_os_error();
    CLOSED.store(answer == -1 && why == Some(libc::EBADF), Ordering::Relaxed);
}

/// True if stdout was closed when the program was started.
pub fn stdout_was_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}
