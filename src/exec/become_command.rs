//! Replaces the process by the command as execvp(3) does. Its errors do not tell enough, so after a
//! failure PATH is searched once more.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::os_text;
use crate::os;

/// Why the command did not start: messages that name the program at most, never its arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum ExecError {
    /// 127: no such program.
    NotFound(String),
    /// 126: it cannot be executed.
    NotExecutable(String),
    /// 125: anything else: arguments too long, no memory.
    Other(String),
}

/// The search path without a PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Executes the command in this process; returns only after an error. PATH is the one in `vars`. The core
/// limit is as at start and SIGPIPE has its default; the signal mask and other dispositions are the inherited
/// ones, which this program changes only while it prompts.
pub fn become_command(
    argv: &[OsString],
    vars: &[(OsString, OsString)],
    saved: &os::SavedLimit,
) -> ExecError {
    let mut command = match command(argv, vars) {
        Ok(command) => command,
        Err(error) => return error,
    };
    os::restore(saved);
    os::ignore_children_again();
    let error = command.exec();
    // As before, for the report of the error.
    os::ignore_sigpipe();
    os::harden();
    not_started(argv, vars, &error)
}

/// The command with these variables and no others. std gives it SIGPIPE's default.
pub(super) fn command(
    argv: &[OsString],
    vars: &[(OsString, OsString)],
) -> Result<Command, ExecError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(ExecError::Other("no command is given".to_owned()));
    };
    // The default of execvp(3) has no /usr/local/bin.
    let mut found = None;
    if path_of(vars).is_none() {
        found = candidates(program, None).into_iter().find(|file| file.exists());
    }
    let mut command = Command::new(found.as_deref().map_or(program.as_os_str(), Path::as_os_str));
    command.arg0(program).args(arguments).env_clear();
    command.envs(vars.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// The command's PATH.
fn path_of(vars: &[(OsString, OsString)]) -> Option<&OsStr> {
    vars.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str())
}

/// The files that a name may mean, in this order: a name with a `/` is a path; any other is searched in PATH,
/// in which an empty entry is the current directory (POSIX, "PATH").
fn candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    path.unwrap_or(OsStr::new(DEFAULT_PATH))
        .as_bytes()
        .split(|b| *b == b':')
        .map(|entry| if entry.is_empty() { b".".as_slice() } else { entry })
        .map(|entry| PathBuf::from(OsString::from_vec([entry, b"/", program.as_bytes()].concat())))
        .collect()
}

/// The error for a command that was not started.
pub(super) fn not_started(
    argv: &[OsString],
    vars: &[(OsString, OsString)],
    error: &io::Error,
) -> ExecError {
    let program = argv.first().map(OsString::as_os_str).unwrap_or_default();
    if error.kind() == ErrorKind::InvalidInput && error.raw_os_error().is_none() {
        return ExecError::Other("an argument or a variable has a null byte in it".to_owned());
    }
    why(program, path_of(vars), error)
}

fn why(program: &OsStr, path: Option<&OsStr>, error: &io::Error) -> ExecError {
    let name = program.display();
    let why = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG | libc::ESTALE) => {
            // If the file exists, the interpreter in its first line does not.
            let is_there = candidates(program, path).iter().any(|file| file.exists());
            is_there.then(|| "the interpreter that it names is missing".to_owned())
        }
        // Also the error of a directory in PATH that may not be searched; then the program is not found.
        Some(libc::EACCES) => {
            let is_there = |file: &PathBuf| file.symlink_metadata().is_ok();
            let named = program.as_bytes().contains(&b'/');
            (named || candidates(program, path).iter().any(is_there)).then(|| os_text(error))
        }
        Some(
            libc::EPERM
            | libc::ENOEXEC
            | libc::EISDIR
            | libc::ELIBBAD
            | libc::ETXTBSY
            | libc::ELOOP
            | libc::EINVAL,
        ) => Some(os_text(error)),
        _ => return ExecError::Other(format!("cannot start {name}: {}", os_text(error))),
    };
    match why {
        Some(why) => ExecError::NotExecutable(format!("cannot execute {name}: {why}")),
        None => ExecError::NotFound(format!("command not found: {name}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::os::testing;

    fn tried(program: &str, path: Option<&str>) -> Vec<String> {
        candidates(OsStr::new(program), path.map(OsStr::new))
            .iter()
            .map(|p| p.display().to_string())
            .collect()
    }

    fn found(program: &str, path: &str, number: i32) -> ExecError {
        let error = io::Error::from_raw_os_error(number);
        why(OsStr::new(program), Some(OsStr::new(path)), &error)
    }

    #[test]
    fn a_name_is_looked_for_along_path_and_a_path_is_not() {
        assert_eq!(tried("aws", Some("/a:/b/")), ["/a/aws", "/b//aws"]);
        assert_eq!(tried("aws", Some(":/b")), ["./aws", "/b/aws"]);
        assert_eq!(tried("aws", None), ["/usr/local/bin/aws", "/usr/bin/aws", "/bin/aws"]);
        assert_eq!(tried("./aws", Some("/a")), ["./aws"]);
        assert_eq!(tried("/x/aws", None), ["/x/aws"]);
        assert!(tried("", Some("/a")).is_empty());
    }

    #[test]
    fn what_is_nowhere_is_not_found() {
        let expected = ExecError::NotFound("command not found: none-such".to_owned());
        assert_eq!(found("none-such", "/usr/bin:/bin", libc::ENOENT), expected);
        assert_eq!(found("none-such", "/usr/bin:/bin", libc::ENOTDIR), expected);
        assert!(matches!(found("", "/bin", libc::ENOENT), ExecError::NotFound(_)));
        // A directory of PATH that may not be searched hides nothing that is known to be there.
        assert_eq!(found("none-such", "/usr/bin", libc::EACCES), expected);
    }

    #[test]
    fn what_is_there_and_cannot_run_is_not_executable() {
        let denied = "cannot execute sh: permission denied".to_owned();
        assert_eq!(found("sh", "/none:/bin", libc::EACCES), ExecError::NotExecutable(denied));
        let interpreter = found("sh", "/bin", libc::ENOENT);
        assert!(matches!(interpreter, ExecError::NotExecutable(why) if why.contains("missing")));
        assert!(matches!(found("/x/y", "", libc::EACCES), ExecError::NotExecutable(_)));
        assert!(matches!(found("sh", "/bin", libc::ENOEXEC), ExecError::NotExecutable(_)));
    }

    #[test]
    fn anything_else_is_an_error_before_the_start() {
        assert!(matches!(found("sh", "/bin", libc::E2BIG), ExecError::Other(_)));
        let saved = os::SavedLimit::default();
        assert!(matches!(become_command(&[], &[], &saved), ExecError::Other(_)));
        let null = ["a\0b".into()];
        assert!(matches!(become_command(&null, &[], &saved), ExecError::Other(_)));
    }

    /// Becomes the command that the variable holds, one word each.
    fn play() {
        let vars: Vec<_> = os::take_environment(&[])
            .into_iter()
            .map(|(n, v)| (OsString::from_vec(n), OsString::from_vec(v)))
            .collect();
        let command = vars.iter().find(|(n, _)| n == "VAULT_TEST_COMMAND").unwrap().1.clone();
        let argv: Vec<OsString> = command
            .as_bytes()
            .split(|b| *b == b'|')
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect();
        let saved = os::harden();
        let _open = std::fs::File::open("/etc/passwd").unwrap();
        let code = match become_command(&argv, &vars, &saved) {
            ExecError::NotFound(_) => 127,
            ExecError::NotExecutable(_) => 126,
            ExecError::Other(_) => 125,
        };
        std::process::exit(code);
    }

    fn becoming(command: &str) -> std::process::Output {
        let test = "exec::become_command::tests::the_process_becomes_the_command";
        testing::again(test, "exec").env("VAULT_TEST_COMMAND", command).output().unwrap()
    }

    #[test]
    fn the_process_becomes_the_command() {
        if testing::role().as_deref() == Some("exec") {
            return play();
        }
        let output = becoming("sh|-c|echo out; exit 42");
        assert_eq!(output.status.code(), Some(42));
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("out\n"));
        // SIGPIPE ends the command, as in a shell.
        let output = becoming("sh|-c|kill -PIPE $$");
        assert_eq!(output.status.signal(), Some(libc::SIGPIPE));
        assert_eq!(becoming("no-such-command-here").status.code(), Some(127));
        assert_eq!(becoming("/etc/passwd").status.code(), Some(126));
        assert_eq!(becoming("/").status.code(), Some(126));

        let script = std::env::temp_dir().join(format!("vault-test-{}", std::process::id()));
        let mode = |mode| {
            std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(mode))
        };
        std::fs::write(&script, "echo script \"$1\"; exit 7\n").unwrap();
        mode(0o755).unwrap();
        let output = becoming(&format!("{}|argument", script.display()));
        assert_eq!(output.status.code(), Some(7), "a script without #! is the shell's");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("script argument\n"));
        std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        assert_eq!(becoming(&script.display().to_string()).status.code(), Some(126));
        std::fs::remove_file(&script).unwrap();
    }

    #[test]
    fn the_command_gets_no_descriptor_that_was_opened_here() {
        let output = becoming("sh|-c|exec ls -l /proc/self/fd");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("-> pipe:") && !text.contains("/etc/passwd"), "{text}");
    }
}
