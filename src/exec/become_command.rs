//! The process becomes the command, found as execvp finds it.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::os_text;
use crate::os;

/// Why the command did not start. Each names the program at most, never its arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum ExecError {
    /// 127: there is no such program.
    NotFound(String),
    /// 126: there is one, and it cannot be executed.
    NotExecutable(String),
    /// 125: anything else: arguments too long, no memory.
    Other(String),
}

/// Where programs are looked for without a PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Becomes the command; returns only if it cannot. PATH is the one in `vars`. The core limit is what
/// it was at start and SIGPIPE has its default; the signal mask and other dispositions are the
/// inherited ones, which this program changes only while it prompts.
pub fn become_command(
    argv: &[OsString],
    vars: &[(OsString, OsString)],
    saved: &os::SavedLimit,
) -> ExecError {
    let Some(program) = argv.first() else {
        return ExecError::Other("no command is given".to_owned());
    };
    let arguments: Option<Vec<_>> = argv.iter().map(|a| c_string(a.as_bytes())).collect();
    let environment: Option<Vec<_>> = vars
        .iter()
        .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let (Some(arguments), Some(environment)) = (arguments, environment) else {
        return ExecError::Other("an argument or a variable has a null byte in it".to_owned());
    };

    os::restore(saved);
    os::default_sigpipe();
    os::ignore_children_again();
    let never: Result<Infallible, ExecError> = search(program, path_of(vars), &mut |file| {
        let Some(c_file) = c_string(file.as_os_str().as_bytes()) else {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        };
        let error = os::execve(&c_file, &arguments, &environment);
        if error.raw_os_error() != Some(libc::ENOEXEC) {
            return Err(error);
        }
        // A script without `#!`: execvp gives it to the shell.
        let rest = arguments.iter().skip(1).cloned();
        let script: Vec<_> = [c"/bin/sh".to_owned(), c_file].into_iter().chain(rest).collect();
        os::execve(c"/bin/sh", &script, &environment);
        Err(error)
    });
    let Err(error) = never;
    // Back to what suits a program that will report an error and exit.
    os::ignore_sigpipe();
    os::harden();
    error
}

/// The PATH that the command will have.
pub(super) fn path_of(vars: &[(OsString, OsString)]) -> Option<&OsStr> {
    vars.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str())
}

fn c_string(bytes: &[u8]) -> Option<CString> {
    CString::new(bytes).ok()
}

/// The files that a name may mean, in their order: a name with a `/` means itself; any other is
/// looked for along PATH, in which an empty entry is the current directory (POSIX, "PATH").
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

/// Tries one candidate after the other, and tells what is wrong if none starts. The first that is
/// there and cannot be executed is what the user hears of.
pub(super) fn search<T>(
    program: &OsStr,
    path: Option<&OsStr>,
    start: &mut dyn FnMut(&Path) -> io::Result<T>,
) -> Result<T, ExecError> {
    let name = program.display();
    let mut refusal = None;
    for file in candidates(program, path) {
        let error = match start(&file) {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        match error.raw_os_error() {
            // The file is there all the same: what its first line names is not.
            Some(libc::ENOENT) if file.exists() => {
                refusal
                    .get_or_insert_with(|| "the interpreter that it names is missing".to_owned());
            }
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG | libc::ESTALE) => {}
            Some(libc::EACCES) => {
                // Also what a directory on the way says that may not be searched: not "found", then.
                if file.symlink_metadata().is_ok() || program.as_bytes().contains(&b'/') {
                    refusal.get_or_insert_with(|| os_text(&error));
                }
            }
            Some(
                libc::EPERM
                | libc::ENOEXEC
                | libc::EISDIR
                | libc::ELIBBAD
                | libc::ETXTBSY
                | libc::ELOOP
                | libc::EINVAL,
            ) => {
                refusal.get_or_insert_with(|| os_text(&error));
                break;
            }
            _ => return Err(ExecError::Other(format!("cannot start {name}: {}", os_text(&error)))),
        }
    }
    Err(match refusal {
        Some(why) => ExecError::NotExecutable(format!("cannot execute {name}: {why}")),
        None => ExecError::NotFound(format!("command not found: {name}")),
    })
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
        search::<()>(OsStr::new(program), Some(OsStr::new(path)), &mut |_| {
            Err(io::Error::from_raw_os_error(number))
        })
        .unwrap_err()
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
