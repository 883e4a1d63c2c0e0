//! A real terminal: the child leads a session of which the pty is the controlling terminal.

use std::fs::File;
use std::io::{Error, Read, Result, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vault::os::{Interest, wait_until_ready};

use super::child::{exit_code, spawn, wait};
use super::place::TestHome;

/// A child on a terminal.
pub struct Pty {
    master: File,
    child: Option<Child>,
    output: Arc<Output>,
    /// Who reads the output, until it is closed or the other end of this is.
    reader: Option<(JoinHandle<()>, UnixStream)>,
    /// How much of the screen was expected already.
    seen: usize,
    /// Held where the child opens the terminal only now and then: between two times nobody would
    /// hold it, and the screen would end.
    held: Option<File>,
    /// The child's home lasts as long as the child.
    _home: Arc<TestHome>,
}

#[derive(Default)]
struct Output {
    screen: Mutex<Screen>,
    more: Condvar,
}

#[derive(Default)]
struct Screen {
    bytes: Vec<u8>,
    closed: bool,
}

impl Pty {
    /// Starts the command with the terminal as stdin, stdout and stderr.
    pub fn spawn(mut command: Command, home: Arc<TestHome>) -> Self {
        let (master, slave) = open().expect("a pty");
        let end = || Stdio::from(slave.try_clone().expect("the terminal"));
        command.stdin(end()).stdout(end()).stderr(end());
        let mut pty = Self::spawn_on(command, home, master, slave);
        pty.held = None;
        pty
    }

    /// Starts the command with the stdio that it has; the terminal is there as /dev/tty.
    pub fn spawn_beside(command: Command, home: Arc<TestHome>) -> Self {
        let (master, slave) = open().expect("a pty");
        Self::spawn_on(command, home, master, slave)
    }

    fn spawn_on(mut command: Command, home: Arc<TestHome>, master: File, slave: File) -> Self {
        let fd = slave.as_raw_fd();
        // SAFETY: setsid and ioctl are safe to call between fork and exec, and the parent keeps
        // the slave open until then.
        unsafe {
            command.pre_exec(move || {
                check(libc::setsid())?;
                check(libc::ioctl(fd, libc::TIOCSCTTY, 0)).map(drop)
            });
        }
        let child = Some(spawn(&mut command));
        let output = Arc::new(Output::default());
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let reader = std::thread::spawn({
            let (output, master) = (Arc::clone(&output), master.try_clone().expect("the master"));
            move || output.fill(master, &theirs)
        });
        // With the command, its copies of the terminal are closed.
        drop(command);
        let reader = Some((reader, ours));
        Self { master, child, output, reader, seen: 0, held: Some(slave), _home: home }
    }

    /// Waits until the text appears after what was expected before; fails after the timeout, or
    /// at once when the child has closed the terminal.
    #[track_caller]
    pub fn expect(&mut self, text: &str, timeout: Duration) {
        if !self.shows(text, timeout) {
            panic!("{text:?} did not appear; the screen:\n{}", self.screen());
        }
    }

    /// The same, but false where [`Pty::expect`] fails.
    pub fn shows(&mut self, text: &str, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut screen = self.output.screen.lock().expect("the screen");
        loop {
            let rest = &screen.bytes[self.seen..];
            if let Some(at) = rest.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.seen += at + text.len();
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if screen.closed || left.is_zero() {
                return false;
            }
            screen = self.output.more.wait_timeout(screen, left).expect("the screen").0;
        }
    }

    /// Types a line and the return key.
    pub fn send(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    /// Types as it stands: `"\x03"` is ^C, `"\x04"` is ^D.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal");
    }

    /// Gives the terminal so many columns.
    pub fn resize(&self, columns: u16) {
        let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is ours, and the kernel only reads the size.
        check(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) })
            .expect("a size");
    }

    /// All that the terminal showed so far, echo included, without carriage returns.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.output.screen.lock().expect("the screen").bytes).into_owned()
    }

    /// True if the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        let mut modes = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the descriptor is ours, and the modes are read only if tcgetattr filled them in.
        unsafe {
            check(libc::tcgetattr(self.master.as_raw_fd(), modes.as_mut_ptr())).expect("modes");
            modes.assume_init().c_lflag & libc::ECHO != 0
        }
    }

    /// Sends a signal to the child.
    pub fn signal(&self, number: i32) {
        let pid = self.child.as_ref().expect("the child").id() as i32;
        // SAFETY: our own child, which has not been waited for.
        unsafe { libc::kill(pid, number) };
    }

    /// The child.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("the child")
    }

    /// The child, to be waited for elsewhere; the terminal lasts as long as this.
    pub fn take_child(&mut self) -> Child {
        self.child.take().expect("the child")
    }

    /// Closes the terminal from its far side, as sshd does when the connection is lost: whoever leads
    /// the session gets SIGHUP from the kernel. The child is to be waited for elsewhere.
    pub fn hang_up(mut self) -> Child {
        let (reader, end) = self.reader.take().expect("a reader");
        drop(end);
        reader.join().expect("the reader");
        self.take_child()
    }

    /// Waits for the end: the exit code (128+n after signal n), and the whole screen.
    #[track_caller]
    pub fn end(mut self, timeout: Duration) -> (i32, String) {
        let deadline = Instant::now() + timeout;
        let status = wait(self.take_child(), deadline);
        self.held = None;
        let mut screen = self.output.screen.lock().expect("the screen");
        while !screen.closed && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            screen = self.output.more.wait_timeout(screen, left).expect("the screen").0;
        }
        (exit_code(status), String::from_utf8_lossy(&screen.bytes).into_owned())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // SAFETY: the child leads its own session and has not been waited for.
            unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
            let _ = child.wait();
        }
    }
}

impl Output {
    /// Reads until the last holder of the terminal has closed it (EIO), or nobody wants to read it.
    fn fill(&self, mut master: File, end: &UnixStream) {
        let mut buffer = [0; 4096];
        loop {
            let wait = [(master.as_fd(), Interest::Read), (end.as_fd(), Interest::Read)];
            let ready = wait_until_ready(&wait, None).expect("poll");
            let ended = ready.get(1) == Some(&true);
            let count = if ended { 0 } else { master.read(&mut buffer).unwrap_or(0) };
            let mut screen = self.screen.lock().expect("the screen");
            screen.bytes.extend(buffer[..count].iter().filter(|b| **b != b'\r'));
            screen.closed = count == 0;
            self.more.notify_all();
            if count == 0 {
                return;
            }
        }
    }
}

/// Master and slave, neither of which a child inherits by itself.
fn open() -> Result<(File, File)> {
    // SAFETY: plain calls on a descriptor that is ours; each result is checked before it is used.
    unsafe {
        let master = check(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC))?;
        let master = File::from_raw_fd(master);
        let fd = master.as_raw_fd();
        check(libc::grantpt(fd))?;
        check(libc::unlockpt(fd))?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let slave = File::from_raw_fd(check(libc::ioctl(fd, libc::TIOCGPTPEER, flags))?);
        Ok((master, slave))
    }
}

fn check(result: i32) -> Result<i32> {
    if result == -1 { Err(Error::last_os_error()) } else { Ok(result) }
}
