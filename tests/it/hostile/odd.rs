//! What is no file, in the place of one: as vault, key file, passphrase file, recipients file, AWS
//! config and CA bundle.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::{CPU, cpu_of};
use crate::support::builder::Test;
use crate::support::{AGE_KEY, AGE_RECIPIENT};

const EXAMPLE: &str = "example";

/// Who reads the file called `odd`: the words, the status and what is said, for each kind of file.
struct Reader {
    words: &'static [&'static str],
    variable: Option<&'static str>,
    status: i32,
    /// `{}` stands for what the file is not.
    error: &'static str,
    not_a_file: &'static str,
    too_large: &'static str,
    missing: (i32, &'static str),
}

const READERS: [Reader; 5] = [
    Reader {
        words: &["--vault", "odd", "list"],
        variable: None,
        status: 6,
        error: "{}",
        not_a_file: "odd is not a regular file, so not a vault",
        too_large: "odd is over 2 MiB, so not a vault",
        missing: (
            3,
            "no vault at odd\n\
             vault: hint: make one: vault init --vault odd --generate-identity \
             [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE",
        ),
    },
    Reader {
        words: &["-i", "odd", "list"],
        variable: None,
        status: 4,
        error: "cannot read the key file odd: {}",
        not_a_file: "not a regular file",
        too_large: "larger than 64 KiB",
        missing: (
            4,
            "the key file odd (--identity) does not exist\n\
             vault: hint: correct the path, or leave --identity out",
        ),
    },
    Reader {
        words: &["--passphrase-file", "odd", "list"],
        variable: None,
        status: 4,
        error: "cannot read the passphrase file odd: {}",
        not_a_file: "not a regular file",
        too_large: "larger than 64 KiB",
        missing: (
            4,
            "the passphrase file odd (--passphrase-file) does not exist\n\
             vault: hint: correct the path, or leave --passphrase-file out",
        ),
    },
    Reader {
        words: &["--vault", "new.age", "init", "-R", "odd"],
        variable: None,
        status: 2,
        error: "cannot read the recipients file odd: {}",
        not_a_file: "not a regular file",
        too_large: "larger than 64 KiB",
        missing: (2, "cannot read the recipients file odd: no such file or directory"),
    },
    Reader {
        words: &["list", "--profiles"],
        variable: Some("AWS_CONFIG_FILE"),
        status: 1,
        error: "cannot read odd: {}",
        not_a_file: "not a regular file",
        too_large: "larger than 1 MiB",
        missing: (0, ""),
    },
];

impl Reader {
    fn run(&self, test: &Test) -> Test {
        match self.variable {
            Some(name) => test.clone().env(name, "odd").command(self.words),
            None => test.command(self.words),
        }
    }

    /// Refused with these words, at once.
    #[track_caller]
    fn refuses(&self, test: &Test, status: i32, what: &str) {
        let run = self.run(test);
        let (ended, cpu) = cpu_of(&run);
        assert_eq!(ended, status, "{:?}", self.words);
        assert!(cpu < CPU, "{:?}: {cpu:?}", self.words);
        if status != 0 {
            run.expect_error(status, &format!("vault: error: {what}\n")).run();
        }
    }

    fn says(&self, what: &str) -> String {
        self.error.replace("{}", what)
    }
}

fn place() -> Test {
    Test::new().vault_with(EXAMPLE)
}

/// Each kind anew under the name `odd`.
#[track_caller]
fn with(test: &Test, target: &str) {
    let odd = test.home().join("odd");
    let _ = std::fs::remove_file(&odd);
    symlink(target, odd).unwrap();
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let test = place();
    let _listener = UnixListener::bind(test.home().join("socket")).unwrap();
    std::fs::create_dir(test.home().join("directory")).unwrap();
    // Without a terminal, /dev/tty cannot be opened.
    for target in ["directory", "socket", "/dev/tty"] {
        with(&test, target);
        for reader in &READERS {
            reader.refuses(&test, reader.status, &reader.says(reader.not_a_file));
        }
    }
    // Devices without an end are read no further than any file, where pipes are read at all.
    for target in ["/dev/zero", "/dev/full", "/dev/urandom"] {
        with(&test, target);
        for reader in &READERS {
            let streams = matches!(reader.status, 2 | 4);
            let what = if streams { reader.too_large } else { reader.not_a_file };
            reader.refuses(&test, reader.status, &reader.says(what));
        }
    }
}

#[test]
fn links_to_nowhere_and_in_circles_are_told_apart() {
    let test = place();
    let circle = "too many levels of symbolic links";
    for reader in &READERS {
        with(&test, "odd");
        let what = match reader.status {
            6 => format!("cannot read the vault odd: {circle}"),
            _ => reader.says(circle),
        };
        reader.refuses(&test, reader.status, &what);
        with(&test, "nowhere");
        reader.refuses(&test, reader.missing.0, reader.missing.1);
    }
}

#[test]
fn a_file_of_a_terabyte_of_nothing_is_refused_at_once() {
    let test = place();
    let sparse = std::fs::File::create(test.home().join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    with(&test, "sparse");
    for reader in &READERS {
        reader.refuses(&test, reader.status, &reader.says(reader.too_large));
    }
}

/// Where nobody may wait, a pipe is refused; where a pipe is good, see
/// [`a_pipe_without_a_writer_ends_the_run`].
#[test]
fn a_pipe_is_no_vault_and_no_config() {
    let test = place();
    test.command(["odd"]).program("mkfifo").run();
    for reader in READERS.iter().filter(|reader| matches!(reader.status, 1 | 6)) {
        reader.refuses(&test, reader.status, &reader.says(reader.not_a_file));
    }
    let role = "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/nobody\n\
                source_profile = example\n";
    let test = test.file("config", role, 0o600).env("AWS_CONFIG_FILE", "config");
    test.command(["exec", "--json", "role"])
        .env("AWS_CA_BUNDLE", "odd")
        .expect_error(1, "vault: error: CA bundle odd: not a regular file\n")
        .run();
}

#[test]
#[ignore = "takes 45 s"]
fn a_pipe_without_a_writer_ends_the_run() {
    let test = place();
    test.command(["-m", "600", "odd"]).program("mkfifo").run();
    std::thread::scope(|scope| {
        for reader in READERS.iter().filter(|reader| matches!(reader.status, 2 | 4)) {
            let test = &test;
            scope.spawn(move || {
                let what = reader.says("nothing was written to it for 45 s");
                reader.refuses(test, reader.status, &what);
            });
        }
    });
}

/// A shell's `<(…)` whose command has ended before it is read.
#[test]
fn a_descriptor_whose_writer_is_gone_is_empty_and_not_waited_for() {
    let test = place();
    let script = "exec 3< <(:); wait $!; exec \"$0\" -i /dev/fd/3 list";
    let bash = test.clone().program("bash");
    bash.command(["-c", script, env!("CARGO_BIN_EXE_vault")])
        .expect_error(
            4,
            "vault: error: /dev/fd/3 holds no identity\n\
             vault: hint: give a key, such as AGE-SECRET-KEY-1…, or name its file by -i or \
             AWS_VAULT_AGE_KEY_FILE, or give a passphrase by AWS_VAULT_PASSPHRASE\n",
        )
        .run();
    let script = "exec \"$0\" -i <(printf %s \"$1\") list --credentials";
    bash.command(["-c", script, env!("CARGO_BIN_EXE_vault"), AGE_KEY])
        .expect_stdout(format!("{EXAMPLE}\n"))
        .expect_stderr("")
        .run();
    let script = "exec \"$0\" --vault new.age init -R <(printf %s \"$1\")";
    bash.command(["-c", script, env!("CARGO_BIN_EXE_vault"), AGE_RECIPIENT]).run();
}

/// /proc says that its files are empty regular ones: they are read, and are no vault.
#[test]
fn a_file_of_the_kernels_is_judged_by_what_is_in_it() {
    let test = place();
    with(&test, "/proc/self/status");
    let words = ["--vault", "odd", "list"];
    let foreign = "vault: error: the file is not a vault: it is not an age file\n\
                   vault: hint: that is odd: put a backup in its place, or name another file with --vault\n";
    test.command(words).expect_error(5, foreign).run();
    with(&test, "/proc/self/mem");
    let output = test.command(words).any_status().run();
    assert!(matches!(output.status, 1 | 6), "{}", output.stderr);
}
