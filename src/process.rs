//! Helper programs: credential_process and pass, which get no stdin; mfa_process, which gets the terminal if
//! there is one; and plugins of age, which read and write in turn. Their time and their output are limited, and
//! the output is treated as a secret.

mod piped;
mod words;

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::os::{self, Interest};
use crate::waiting;

pub use piped::PipedProcess;
pub use words::{is_plain_word, shell_word, words, words_escaping};

/// The limit of a helper's output, in bytes.
pub const OUTPUT_LIMIT: usize = 64 * 1024;

/// How long a killed helper is waited for: one may hang in the kernel.
const REAP: Duration = Duration::from_secs(2);

/// Why a helper failed.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started. `InvalidInput`: the line has no words, or an open quote.
    NotStarted(io::Error),
    /// Its exit status; 128 + n after signal n.
    Status(i32),
    /// It did not end in time, and was killed.
    TimedOut,
    /// It printed more than [`OUTPUT_LIMIT`], and was killed.
    TooMuch,
}

/// The program that a shell would start for a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The running executable: the same device and inode.
    Ourselves,
    Other,
    Missing,
}

/// The search path of shells without a `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Searches for a program as a shell does with this `PATH`.
pub fn find(word: &str, path: Option<&OsStr>) -> Program {
    match locate(word, path) {
        None => Program::Missing,
        Some(found) if is_this_program(&found) => Program::Ourselves,
        Some(_) => Program::Other,
    }
}

/// The path of the program that a shell would start for a word with this `PATH`.
fn locate(word: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| file_of(path).is_some();
    match word.contains('/') {
        true => Some(PathBuf::from(word)).filter(is_program),
        false => std::env::split_paths(path.unwrap_or(DEFAULT_PATH.as_ref()))
            .map(|directory| directory.join(word))
            .find(is_program),
    }
}

/// The device and inode of an executable file.
fn file_of(path: &Path) -> Option<(u64, u64)> {
    let about = path.metadata().ok()?;
    (about.is_file() && about.mode() & 0o111 != 0).then(|| (about.dev(), about.ino()))
}

/// True if a path leads to the running executable.
fn is_this_program(path: &Path) -> bool {
    // The link leads to the running executable even if another file has replaced it.
    file_of(path).is_some_and(|file| Some(file) == file_of(Path::new("/proc/self/exe")))
}

/// True if only this user and root can make a path lead elsewhere. What the kernel makes up for each process
/// leads elsewhere in another one.
fn is_only_ours(path: &Path) -> bool {
    let ours = |about: &Metadata| [0, os::effective_uid()].contains(&about.uid());
    let kept =
        |about: &Metadata| ours(about) && (about.mode() & 0o002 == 0 || about.mode() & 0o1000 != 0);
    let directory = path.parent().and_then(|it| it.canonicalize().ok());
    directory.is_some_and(|directory| !directory.starts_with("/proc"))
        && path.symlink_metadata().is_ok_and(|about| ours(&about))
        && path.ancestors().skip(1).all(|dir| dir.metadata().is_ok_and(|about| kept(&about)))
}

/// The absolute path to start this program by later: the name that it was started by, if that is absolute or in
/// `PATH` and no other user can replace it, and else [`own_path`]. A link such as `/usr/local/bin/vault` stays
/// when the next version is installed beside this one, and the file that it leads to does not. The name
/// `aws-vault` is another program's, which may be installed later.
pub fn lasting_path(path: Option<&OsStr>) -> Option<String> {
    let started = std::env::args_os().next().and_then(|word| word.into_string().ok());
    started
        .and_then(|word| locate(&word, path))
        .filter(|found| found.is_absolute() && !found.ends_with("aws-vault"))
        .filter(|found| is_this_program(found) && is_only_ours(found))
        .and_then(|found| found.into_os_string().into_string().ok())
        .or_else(own_path)
}

/// The absolute path of the running executable, links resolved; `None` if it is unknown or not UTF-8, or if
/// another file is there now.
pub fn own_path() -> Option<String> {
    let path = std::env::current_exe().ok()?.into_os_string().into_string().ok()?;
    (path.starts_with('/') && find(&path, None) == Program::Ourselves).then_some(path)
}

/// Runs `command` and returns its stdout. It is run by /bin/sh; without one it is split into words, with
/// quotes and backslashes as in a shell and without expansions. Stdin is `terminal`, else /dev/null; stderr is
/// ours, the environment is exactly `vars`.
///
/// It stays in our process group, so that it may prompt on the terminal and ^C reaches it. At the deadline it
/// is killed and reaped with its descendants, except those whose parent has ended.
pub fn run(
    command: &str,
    vars: &[(OsString, OsString)],
    terminal: Option<File>,
    timeout: Duration,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shell = Path::new("/bin/sh");
    let program = if shell.exists() {
        let mut program = Command::new(shell);
        program.arg("-c").arg(command);
        program
    } else {
        by_words(command).ok_or_else(|| Failure::NotStarted(ErrorKind::InvalidInput.into()))?
    };
    if let Some(terminal) = &terminal {
        os::let_reads_wait(terminal).map_err(|error| Failure::NotStarted(error.kind().into()))?;
    }
    let stdin = terminal.map_or_else(Stdio::null, Stdio::from);
    start(program, stdin, vars, timeout)
}

/// The same for a program and its arguments, without a shell. The program is searched in the `PATH` of `vars`.
pub fn run_program(
    program: &OsStr,
    arguments: &[&OsStr],
    vars: &[(OsString, OsString)],
    timeout: Duration,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut command = Command::new(program);
    command.args(arguments);
    start(command, Stdio::null(), vars, timeout)
}

fn start(
    mut program: Command,
    stdin: Stdio,
    vars: &[(OsString, OsString)],
    timeout: Duration,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let deadline = Instant::now() + timeout;
    program.env_clear().envs(vars.iter().map(|(name, value)| (name, value)));
    program.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::inherit());
    os::restore_in_child(&mut program);
    // It may prompt on the terminal, and show there what it waits for.
    let _aside = waiting::aside();
    let mut child = program.spawn().map_err(Failure::NotStarted)?;

    // Open until the processes are killed: one that writes into a closed pipe dies, and its children become
    // orphans, which are not found.
    let mut stdout = child.stdout.take();
    let result = match &mut stdout {
        Some(stdout) => {
            collect(stdout, deadline).and_then(|text| Ok((text, wait(&mut child, deadline)?)))
        }
        None => Err(Failure::NotStarted(ErrorKind::BrokenPipe.into())),
    };
    match result {
        Ok((text, status)) if status.success() => Ok(text),
        Ok((_, status)) => {
            let signal = status.signal().map(|n| 128 + n);
            Err(Failure::Status(status.code().or(signal).unwrap_or(1)))
        }
        Err(failure) => {
            kill(&mut child);
            Err(failure)
        }
    }
}

/// Kills a child with its descendants, and waits for it.
fn kill(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        os::kill_tree(pid);
    }
    let _ = child.kill();
    let _ = wait(child, Instant::now() + REAP);
}

/// Waits until a pipe is ready. The deadline also ends a program that never stops writing; what one that is
/// done can still be told is written.
fn wait_until_ready(
    pipe: BorrowedFd<'_>,
    interest: Interest,
    deadline: Instant,
) -> Result<(), Failure> {
    let ready = os::wait_until_ready(&[(pipe, interest)], Some(deadline));
    match ready.map_err(Failure::NotStarted)?[..] {
        [true] if interest == Interest::Write || Instant::now() < deadline => Ok(()),
        _ => Err(Failure::TimedOut),
    }
}

fn collect(stdout: &mut ChildStdout, deadline: Instant) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut buffer = Zeroizing::new(vec![0; OUTPUT_LIMIT + 1]);
    let mut filled = 0;
    loop {
        wait_until_ready(stdout.as_fd(), Interest::Read, deadline)?;
        let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
            return Err(Failure::TooMuch);
        };
        match stdout.read(room) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::NotStarted(error)),
        }
    }
    if filled > OUTPUT_LIMIT {
        return Err(Failure::TooMuch);
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// Waits for the child's end, which is near: stdout is closed, or SIGKILL sent.
fn wait(child: &mut Child, deadline: Instant) -> Result<ExitStatus, Failure> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::NotStarted)? {
            return Ok(status);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::TimedOut);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn by_words(command: &str) -> Option<Command> {
    let words = words(command)?;
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn vars() -> Vec<(OsString, OsString)> {
        vec![("PATH".into(), "/usr/bin:/bin".into()), ("SEEN".into(), "yes".into())]
    }

    #[test]
    fn a_helper_gives_its_output_and_sees_only_its_variables() {
        let text = run("printf '%s' \"$SEEN\"; cat; env", &vars(), None, LONG).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.starts_with("yes"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[test]
    fn a_program_is_ours_by_its_file_and_not_by_its_name() {
        let exe = std::env::current_exe().unwrap();
        let (directory, name) = (exe.parent().unwrap(), exe.file_name().unwrap().to_str().unwrap());
        let path = std::env::join_paths([Path::new("/nonexistent"), directory]).unwrap();
        assert_eq!(find(exe.to_str().unwrap(), None), Program::Ourselves);
        assert_eq!(own_path().as_deref(), exe.to_str());
        assert_eq!(find(name, Some(&path)), Program::Ourselves);
        assert_eq!(find("/bin/sh", Some(&path)), Program::Other);
        for missing in [name, "/nonexistent/vault", "/etc/passwd", "/"] {
            assert_eq!(find(missing, None), Program::Missing, "{missing}");
        }
    }

    #[test]
    fn a_status_is_passed_on_and_the_output_dropped() {
        assert!(matches!(run("echo half; exit 3", &vars(), None, LONG), Err(Failure::Status(3))));
        assert!(matches!(run("kill -TERM $$", &vars(), None, LONG), Err(Failure::Status(143))));
        assert!(matches!(run("/nonexistent", &vars(), None, LONG), Err(Failure::Status(127))));
    }

    #[test]
    fn a_helper_is_killed_at_the_deadline_also_after_it_closed_its_output() {
        let soon = Duration::from_millis(30);
        assert!(matches!(run("exec sleep 600", &vars(), None, soon), Err(Failure::TimedOut)));
        let closed = run("exec >&-; exec sleep 600", &vars(), None, soon);
        assert!(matches!(closed, Err(Failure::TimedOut)));
        let endless = run("while :; do :; done", &vars(), None, soon);
        assert!(matches!(endless, Err(Failure::TimedOut)));
    }

    #[test]
    fn what_a_helper_started_is_killed_with_it() {
        let note = std::env::temp_dir().join(format!("vault-helper-{}", std::process::id()));
        let inner = format!("sleep 600 & echo $! >{}; exec cat /dev/zero", note.display());
        let command = format!("sh -c '{inner}'; true");
        assert!(matches!(run(&command, &vars(), None, LONG), Err(Failure::TooMuch)));
        let pid: u32 = std::fs::read_to_string(&note).unwrap().trim().parse().unwrap();
        std::fs::remove_file(&note).unwrap();
        assert!(os::testing::is_over(pid));
    }

    #[test]
    fn too_much_output_ends_it() {
        assert!(matches!(run("exec cat /dev/zero", &vars(), None, LONG), Err(Failure::TooMuch)));
        let just = run("head -c 65536 /dev/zero", &vars(), None, LONG).unwrap();
        assert_eq!(just.len(), OUTPUT_LIMIT);
        let over = run("head -c 65537 /dev/zero", &vars(), None, LONG);
        assert!(matches!(over, Err(Failure::TooMuch)));
    }

    #[test]
    fn a_line_without_words_starts_nothing() {
        assert!(by_words(" ").is_none());
    }
}
