//! A run of the program, described and compared whole.
//!
//! ```ignore
//! let test = Test::new().vault_with("demo");
//! test.command(["exec", "nobody", "true"])
//!     .expect_status(125)
//!     .expect_stderr("vault: error: no such profile: nobody\n")
//!     .run();
//! ```
//!
//! A [`Test`] is a home directory, an environment and one command line. Clones share the home, so
//! [`Test::command`] describes the next run in the same place, also from several threads.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::{Pipes, exit_code, spawn, wait};
use super::diff::assert_same;
use super::place::TestHome;
use super::pty::Pty;
use super::seccomp;
use super::standin::{Issued, StandIn, time};
use super::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, PASSPHRASE, SECRET_ACCESS_KEY, program};

/// A run that takes longer has hung: the design's own deadline is 50 s.
const DEADLINE: Duration = Duration::from_secs(60);

/// Other programs may be slow: a hundred AWS CLIs at once take half a minute on two cores.
const OTHERS: Duration = Duration::from_secs(300);

/// How a line of `--debug` begins that says what has been waited for, on a machine that is busy.
pub const WAITS: &str = "vault: debug: waiting ";

/// Stands for every status.
const ANY: i32 = i32::MIN;

/// A run to come.
#[derive(Clone)]
pub struct Test {
    home: Arc<TestHome>,
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    dir: Option<PathBuf>,
    port: Option<u16>,
    refused: Option<(Vec<libc::c_long>, u32)>,
    stdout: Option<String>,
    stderr: Option<String>,
    status: Option<i32>,
}

/// What a run left.
#[derive(Debug)]
pub struct Output {
    /// With placeholders in it, as compared.
    pub stdout: String,
    pub stderr: String,
    /// The exit code, or 128+n after signal n.
    pub status: i32,
    /// As it came.
    pub raw_stdout: Vec<u8>,
    pub raw_stderr: Vec<u8>,
}

impl Test {
    /// The program in a new, empty home, with HOME and PATH as its whole environment, nothing on
    /// stdin, and no terminal.
    #[allow(clippy::new_without_default, clippy::disallowed_methods)]
    pub fn new() -> Self {
        let home = Arc::new(TestHome::new());
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let env = [("HOME".into(), home.path().into()), ("PATH".into(), path)];
        Self {
            home,
            program: program().into(),
            args: Vec::new(),
            env: BTreeMap::from(env),
            stdin: Vec::new(),
            dir: None,
            port: None,
            refused: None,
            stdout: None,
            stderr: None,
            status: None,
        }
    }

    /// Another run in the same home with the same environment; input and expectations are its own.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Self {
        let fresh = Self {
            args: Vec::new(),
            stdin: Vec::new(),
            stdout: None,
            stderr: None,
            ..self.clone()
        };
        Self { status: None, ..fresh }.args(args)
    }

    /// Runs another program than ours, found in the test's PATH.
    pub fn program(mut self, program: impl AsRef<OsStr>) -> Self {
        self.program = program.as_ref().into();
        self
    }

    /// The same command line, as the last words of another program's.
    pub fn under<A: AsRef<OsStr>>(
        mut self,
        program: impl AsRef<OsStr>,
        words: impl IntoIterator<Item = A>,
    ) -> Self {
        let own = std::mem::replace(&mut self.program, program.as_ref().into());
        let args = std::mem::take(&mut self.args);
        self.args(words).arg(own).args(args)
    }

    /// True if the program that PATH has under this name is ours: a package is installed.
    pub fn on_path_already(&self, name: &str) -> bool {
        let path = self.env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let first = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.exists());
        let ours = |path: PathBuf| path.canonicalize().ok();
        first.is_some_and(|path| ours(path) == ours(program().into()))
    }

    /// Puts our program into the test's PATH under this name, if it is not there already.
    pub fn on_path(self, name: &str) -> Self {
        let bin = self.home.path().join("bin");
        std::fs::create_dir_all(&bin).expect("bin");
        let link = bin.join(name);
        if !link.exists() && !self.on_path_already(name) {
            std::os::unix::fs::symlink(program(), link).expect("symlink");
        }
        let path = self.env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let path = std::env::join_paths(
            std::iter::once(bin.clone()).chain(std::env::split_paths(&path).filter(|p| *p != bin)),
        );
        self.env("PATH", path.expect("a PATH"))
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.remove(name.as_ref());
        self
    }

    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// These system calls fail with this error, as under a container's seccomp profile.
    pub fn refuse(mut self, calls: &[libc::c_long], errno: i32) -> Self {
        self.refused = Some((calls.to_vec(), seccomp::fail_with(errno)));
        self
    }

    /// The first of these system calls is the last: SIGSYS ends the process.
    pub fn kill_at(mut self, calls: &[libc::c_long]) -> Self {
        self.refused = Some((calls.to_vec(), libc::SECCOMP_RET_KILL_PROCESS));
        self
    }

    /// Runs in this directory instead of the home.
    pub fn in_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(self.home.path().join(dir));
        self
    }

    /// `~/.aws/config`
    pub fn config(self, text: &str) -> Self {
        self.file(".aws/config", text, 0o600)
    }

    /// `~/.aws/credentials`
    pub fn aws_credentials(self, text: &str) -> Self {
        self.file(".aws/credentials", text, 0o600)
    }

    /// A file below the home, with exactly this mode.
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>, mode: u32) -> Self {
        self.home.file(path, contents.as_ref(), mode);
        self
    }

    /// A copy of our program below the home. Another process makes it: a child that a parallel test
    /// forks meanwhile would hold it open for writing, and then it cannot be run (ETXTBSY).
    pub fn binary(self, path: &str) -> Self {
        let words = ["-D", "-m", "755"];
        self.command(words).arg(program()).arg(path).program("install").run();
        self
    }

    /// STS is the stand-in.
    pub fn standin(mut self, standin: &StandIn) -> Self {
        self.port = Some(standin.port());
        self.env("AWS_ENDPOINT_URL_STS", standin.endpoint()).env("AWS_REGION", "us-east-1")
    }

    /// The home, to be kept as long as somebody runs in it.
    pub fn place(&self) -> Arc<TestHome> {
        Arc::clone(&self.home)
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the vault lies by default.
    pub fn vault_file(&self) -> PathBuf {
        self.home().join(".local/share/vault/vault.age")
    }

    /// Contents of a file below the home.
    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.home().join(path);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// A vault for [`AGE_KEY`] with the example key under this profile, and the key in
    /// `AWS_VAULT_AGE_KEY`. A second call adds a second profile.
    pub fn vault_with(self, profile: &str) -> Self {
        if !self.vault_file().exists() {
            self.command(["init", "-r", AGE_RECIPIENT]).run();
        }
        self.env("AWS_VAULT_AGE_KEY", AGE_KEY).stored(profile, ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    }

    /// The same with [`PASSPHRASE`], in `AWS_VAULT_PASSPHRASE`.
    pub fn vault_with_passphrase(self, profile: &str) -> Self {
        let file = self.home.file("passphrase", PASSPHRASE.as_bytes(), 0o600);
        self.command(["init", "--passphrase", "--passphrase-file"]).arg(&file).run();
        std::fs::remove_file(file).expect("the passphrase file");
        self.env("AWS_VAULT_PASSPHRASE", PASSPHRASE).stored(
            profile,
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
        )
    }

    /// Stores an access key in the vault, in the place of another one, as `aws iam create-access-key` prints it.
    pub fn stored(self, profile: &str, id: &str, secret: &str) -> Self {
        let json = format!(
            r#"{{"AccessKey": {{"UserName": "demo", "AccessKeyId": "{id}", "Status": "Active",
                "SecretAccessKey": "{secret}", "CreateDate": "2026-01-31T12:00:00+00:00"}}}}"#
        );
        let words = ["add", profile, "--stdin", "--no-add-config", "--overwrite"];
        self.command(words).stdin(json).run();
        self
    }

    /// The whole of stdout, with placeholders: `[HOME]`, `[PORT]`, and for what the stand-in gave
    /// see [`Output::hide`].
    pub fn expect_stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// The whole of stderr.
    pub fn expect_stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Some(text.into());
        self
    }

    /// The exit code; 0 where nothing is said.
    pub fn expect_status(mut self, status: i32) -> Self {
        self.status = Some(status);
        self
    }

    /// Takes whatever status there is: the test looks at it itself.
    pub fn any_status(mut self) -> Self {
        self.status = Some(ANY);
        self
    }

    /// A failure: nothing on stdout, this on stderr.
    pub fn expect_error(self, status: i32, stderr: &str) -> Self {
        self.expect_status(status).expect_stdout("").expect_stderr(stderr)
    }

    /// Runs it without a terminal (in a session of its own) and compares what was expected.
    #[track_caller]
    pub fn run(&self) -> Output {
        let output = self.try_run();
        self.compare(&output);
        output
    }

    /// The same where any end will do: nothing is compared.
    #[track_caller]
    pub fn try_run(&self) -> Output {
        let mut command = self.ready();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: setsid is safe to call between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::setsid() {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        let mut child = spawn(&mut command);
        let pipes = Pipes::of(&mut child, &self.stdin);
        let ours = self.program == program();
        self.collect(child, pipes, if ours { DEADLINE } else { OTHERS })
    }

    /// Starts it without a terminal, stdin, stdout or stderr, for a test that kills it.
    pub fn start(&self) -> Child {
        let mut command = self.ready();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        spawn(&mut command)
    }

    /// Starts it on a terminal of its own: stdin, stdout and stderr are the terminal.
    pub fn pty(&self) -> Pty {
        Pty::spawn(self.ready(), Arc::clone(&self.home))
    }

    /// Starts it on a terminal that is reached by /dev/tty only: stdin is the test's, stdout and
    /// stderr are pipes, as under an SDK. [`Test::finish`] gives what went through them.
    pub fn pty_with_pipes(&self) -> (Pty, Pipes) {
        let mut command = self.ready();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut pty = Pty::spawn_beside(command, Arc::clone(&self.home));
        let pipes = Pipes::of(pty.child(), &self.stdin);
        (pty, pipes)
    }

    /// Waits for the end of a run started by [`Test::pty_with_pipes`] and compares.
    #[track_caller]
    pub fn finish(&self, mut pty: Pty, pipes: Pipes) -> Output {
        self.watch(&mut pty, pipes)
    }

    /// The same, and the terminal can still be looked at afterwards.
    #[track_caller]
    pub fn watch(&self, pty: &mut Pty, pipes: Pipes) -> Output {
        let output = self.collect(pty.take_child(), pipes, DEADLINE);
        self.compare(&output);
        output
    }

    /// The command with its place and environment and every signal at its default, but without stdio.
    pub fn ready(&self) -> Command {
        // A name without a slash is looked up in the parent's PATH by Rust, not in the child's.
        let path = self.env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let found = std::env::split_paths(&path).map(|dir| dir.join(&self.program));
        let program = match Path::new(&self.program).components().count() {
            1 => found.into_iter().find(|p| p.is_file()).expect("the program in PATH"),
            _ => PathBuf::from(&self.program),
        };
        let mut command = Command::new(program);
        command.args(&self.args).env_clear().envs(&self.env);
        command.arg0(&self.program).current_dir(self.dir.as_deref().unwrap_or(self.home.path()));
        // What whoever started the tests ignores (nohup SIGHUP, a shell's `&` SIGINT and SIGQUIT) would
        // be ignored by the program too.
        // SAFETY: signal is safe to call between fork and exec; a number that it refuses is no signal,
        // or one of those that nobody ignores.
        unsafe {
            command.pre_exec(|| {
                (1..=libc::SIGRTMAX()).for_each(|signal| _ = libc::signal(signal, libc::SIG_DFL));
                Ok(())
            });
        }
        if let Some((calls, action)) = &self.refused {
            seccomp::refuse(&mut command, calls, *action);
        }
        command
    }

    #[track_caller]
    fn collect(&self, child: Child, pipes: Pipes, limit: Duration) -> Output {
        let deadline = Instant::now() + limit;
        let status = wait(child, deadline);
        let left = || deadline.saturating_duration_since(Instant::now());
        let raw_stdout = pipes.stdout.recv_timeout(left());
        let raw_stderr = pipes.stderr.recv_timeout(left());
        let (Ok(raw_stdout), Ok(raw_stderr)) = (raw_stdout, raw_stderr) else {
            panic!("somebody kept stdout or stderr open after the end of {:?}", self.args);
        };
        Output {
            stdout: self.placeholders(&raw_stdout),
            // How much else the machine does is not the test's affair; it is in `raw_stderr`.
            stderr: {
                let stderr = self.placeholders(&raw_stderr);
                stderr.split_inclusive('\n').filter(|line| !line.starts_with(WAITS)).collect()
            },
            status: exit_code(status),
            raw_stdout,
            raw_stderr,
        }
    }

    #[track_caller]
    fn compare(&self, output: &Output) {
        let status = self.status.unwrap_or(0);
        if status != ANY && output.status != status {
            panic!(
                "{:?}: status {} instead of {status}\nstdout:\n{}\nstderr:\n{}",
                self.args, output.status, output.stdout, output.stderr
            );
        }
        if let Some(expected) = &self.stdout {
            assert_same("stdout", expected, &output.stdout);
        }
        if let Some(expected) = &self.stderr {
            assert_same("stderr", expected, &output.stderr);
        }
    }

    /// What is shown, with `[HOME]` and `[PORT]` in it.
    pub fn placeholders(&self, bytes: &[u8]) -> String {
        let home = self.home.path().display().to_string();
        let text = String::from_utf8_lossy(bytes).replace(&home, "[HOME]");
        match self.port {
            Some(port) => text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:[PORT]"),
            None => text,
        }
    }
}

impl Output {
    /// Stdout with the credentials that a stand-in gave replaced: `[ID 1]`, `[SECRET 1]`, `[TOKEN
    /// 1]` and `[EXPIRATION 1]` for the first, and so on.
    pub fn hide(&self, issued: &[Issued]) -> String {
        hide(&self.stdout, issued)
    }
}

/// See [`Output::hide`].
pub fn hide(text: &str, issued: &[Issued]) -> String {
    let mut text = text.to_owned();
    for (number, given) in issued.iter().enumerate().map(|(at, given)| (at + 1, given)) {
        text = text
            .replace(&given.access_key_id, &format!("[ID {number}]"))
            .replace(&given.secret_access_key, &format!("[SECRET {number}]"))
            .replace(&given.session_token, &format!("[TOKEN {number}]"))
            .replace(&time::rfc3339(given.expiration), &format!("[EXPIRATION {number}]"));
    }
    text
}
