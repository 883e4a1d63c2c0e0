//! What is said of bad input, and with which exit code: each text whole, stdout empty.

use crate::support::builder::Test;
use crate::support::{
    ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, MFA_SEED, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY,
};

const DEMO_KEY: &str = include_str!("../../fixtures/demo/key.txt");
const DEMO_VAULT: &[u8] = include_bytes!("../../fixtures/demo/by-key.age");
const DEMO_PASSPHRASE_VAULT: &[u8] = include_bytes!("../../fixtures/demo/by-passphrase.age");
/// What `vault list` says of a file that is no vault, is one no more, or is not there.
const NO_VAULT: &str = "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
    vault: hint: make one: vault init --generate-identity \
                [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE\n";

/// The demo vault, changed, as the default vault of a home, with its key.
fn demo(vault: impl AsRef<[u8]>) -> Test {
    Test::new()
        .file(".local/share/vault/vault.age", vault, 0o600)
        .env("AWS_VAULT_AGE_KEY", DEMO_KEY)
}

/// Runs a command line of words without blanks in them.
#[track_caller]
fn fails(test: &Test, line: &str, status: i32, stderr: &str) {
    test.command(line.split(' ')).expect_error(status, stderr).run();
}

#[test]
fn a_missing_vault_is_an_error_with_its_path() {
    let test = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    for line in ["list", "pin", "recipient list", "exec --json demo", "export demo", "rm -f demo"] {
        fails(&test, line, 3, NO_VAULT);
    }
    for line in ["exec demo true", "exec demo", "exec -- true"] {
        fails(&test, line, 125, NO_VAULT);
    }
    let named = NO_VAULT.replace("[HOME]/.local/share/vault/vault.age", "mine.age");
    // The command makes the vault that was meant.
    let by_flag = named.replace("init", "init --vault mine.age");
    fails(&test, "--vault mine.age list", 3, &by_flag);
    fails(&test.clone().env("AWS_VAULT_FILE", "mine.age"), "list", 3, &named);
    fails(
        &test.env("AWS_VAULT_FILE", ""),
        "list",
        2,
        "vault: error: AWS_VAULT_FILE is set but empty\n\
         vault: hint: give it the vault's path, or unset it\n",
    );
}

#[test]
fn a_file_that_is_no_vault_or_no_whole_one_is_damaged() {
    let flipped = |at: usize| {
        let mut file = DEMO_VAULT.to_vec();
        file[at] ^= 1;
        file
    };
    let header = DEMO_VAULT.windows(4).position(|four| four == b"--- ").expect("a MAC");
    let (no_age, cut) =
        ("the file is not a vault: it is not an age file", "the vault file is cut short");
    let content = "the vault's content is damaged or cut short";
    for (file, what) in [
        (Vec::new(), "the vault file is empty"),
        (b"hello\n".to_vec(), no_age),
        (DEMO_KEY.as_bytes().to_vec(), no_age),
        (vec![0; 100], no_age),
        (DEMO_VAULT[..100].to_vec(), cut),
        (DEMO_VAULT[..header + 60].to_vec(), cut),
        (DEMO_VAULT[..DEMO_VAULT.len() - 1].to_vec(), content),
        ([DEMO_VAULT, b"x"].concat(), content),
        (flipped(DEMO_VAULT.len() - 1), content),
        (flipped(header + 100), content),
        (flipped(header + 10), "the vault's header is damaged: it is not authentic"),
        (flipped(20), "the file has another version of the age format than v1"),
    ] {
        let hint = "that is [HOME]/.local/share/vault/vault.age: put a backup in its place, or name \
                    another file with --vault";
        fails(&demo(file), "list", 5, &format!("vault: error: {what}\nvault: hint: {hint}\n"));
    }
}

#[test]
fn what_is_no_file_of_a_vaults_size_is_refused_and_never_waited_for() {
    let (of, not) = ("[HOME]/.local/share/vault/vault.age", "so not a vault");
    let big = demo(vec![b'a'; 2 * 1024 * 1024 + 1]);
    fails(&big, "list", 6, &format!("vault: error: {of} is over 2 MiB, {not}\n"));
    let make = |command: &str| {
        let test = Test::new();
        test.command(["-c", command]).program("sh").run();
        test.env("AWS_VAULT_AGE_KEY", DEMO_KEY).env("AWS_VAULT_FILE", "odd")
    };
    let odd = format!("vault: error: odd is not a regular file, {not}\n");
    for command in ["mkdir odd", "mkfifo odd", "ln -s /dev/zero odd"] {
        fails(&make(command), "list", 6, &odd);
    }
    let around = "vault: error: cannot read the vault odd: too many levels of symbolic links\n";
    fails(&make("ln -s odd odd"), "list", 6, around);
}

#[test]
fn each_key_that_does_not_open_the_vault_has_its_own_error() {
    let by_key = demo(DEMO_VAULT);
    let wrong = "vault: error: no key opens this vault\nvault: hint: tried AWS_VAULT_AGE_KEY\n";
    fails(&by_key.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY), "list", 4, wrong);
    let by_passphrase = demo(DEMO_PASSPHRASE_VAULT).env_remove("AWS_VAULT_AGE_KEY");
    let wrong = "vault: error: the passphrase does not open this vault\n\
                 vault: hint: tried AWS_VAULT_PASSPHRASE\n";
    fails(&by_passphrase.clone().env("AWS_VAULT_PASSPHRASE", "wrong"), "list", 4, wrong);
    let none = "vault: error: this vault has no passphrase; only keys open it\n\
                vault: hint: tried AWS_VAULT_PASSPHRASE\n";
    let test = by_key.env_remove("AWS_VAULT_AGE_KEY").env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    fails(&test, "list", 4, none);
}

#[test]
fn a_missing_profile_is_an_error_with_the_files_that_were_read() {
    let test = demo(DEMO_VAULT);
    let what = "vault: error: no profile \"nobody\"\n";
    let places =
        "vault: hint: looked in [HOME]/.aws/config, [HOME]/.aws/credentials and the vault\n";
    for (line, status) in [
        ("exec --json nobody", 3),
        ("export nobody", 3),
        ("explain nobody", 3),
        ("exec nobody", 125),
    ] {
        fails(&test, line, status, &format!("{what}{places}"));
    }
    fails(&test, "exec nobody true", 125, &format!("{what}{places}"));
    // A word that is a program was meant as the command.
    let meant = "vault: error: no profile \"sleep\"\n\
                 vault: hint: to run sleep with the default profile: vault exec -- sleep ...\n";
    fails(&test, "exec sleep 1", 125, meant);
    let none =
        "vault: error: no key for profile \"nobody\" in the vault\nvault: hint: vault list\n";
    fails(&test, "remove -f nobody", 3, none);
}

#[test]
fn a_loop_of_source_profiles_is_shown() {
    let role = "role_arn = arn:aws:iam::123456789012:role/r";
    let test = demo(DEMO_VAULT).config(&format!(
        "[profile a]\n{role}\nsource_profile = b\n[profile b]\n{role}\nsource_profile = c\n\
         [profile c]\n{role}\nsource_profile = a\n[profile d]\n{role}\nsource_profile = a\n"
    ));
    for (profile, shown) in [("a", "a -> b -> c -> a"), ("d", "d -> a -> b -> c -> a")] {
        let shown = format!(
            "vault: error: source_profile loop: {shown}\n\
             vault: hint: take the source_profile out of one of these profiles\n"
        );
        fails(&test, &format!("exec --json {profile}"), 2, &shown);
        fails(&test, &format!("explain {profile}"), 2, &shown);
        fails(&test, &format!("exec {profile} true"), 125, &shown);
    }
}

#[test]
fn a_duration_that_cannot_be_right_is_a_usage_error() {
    let none = "vault: error: --duration: not a duration\n\
                vault: hint: give a number with its unit, such as 30m, 12h or 1h30m\n";
    let range = "vault: error: --duration: AWS takes 15m to 36h, and 12h at most for a role\n";
    // Before a vault is looked for.
    let test = Test::new();
    for (duration, what) in
        [("0", none), ("30", none), ("-5m", none), ("1x", none), ("1m", range), ("37h", range)]
    {
        for line in
            ["exec demo true -d", "exec --json demo -d", "export demo -d", "explain demo -d"]
        {
            let mut words: Vec<&str> = line.split(' ').collect();
            // The flag stands before the command.
            let flag = words.pop().expect("a flag");
            words.splice(1..1, [flag, duration]);
            test.command(&words).expect_error(2, what).run();
        }
        test.command(["exec", &format!("--duration={duration}")]).expect_error(2, what).run();
    }
}

#[test]
fn an_aws_config_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
    let config = |bytes: &[u8]| demo(DEMO_VAULT).file(".aws/config", bytes, 0o600);
    let bytes = b"# fine\n[profile \xff]\n";
    let error = "vault: error: cannot read [HOME]/.aws/config: line 2 is not UTF-8\n";
    fails(&config(bytes), "exec --json demo", 1, error);
    fails(&config(bytes), "list", 1, error);
    fails(&config(bytes), "exec demo true", 125, error);
    let large = "vault: error: cannot read [HOME]/.aws/config: larger than 1 MiB\n";
    fails(&config(&vec![b'#'; 1024 * 1024 + 1]), "list", 1, large);
    let directory = demo(DEMO_VAULT).file(".aws/config/file", "", 0o600);
    let error = "vault: error: cannot read [HOME]/.aws/config: not a regular file\n";
    fails(&directory, "list", 1, error);
    let fifo = demo(DEMO_VAULT);
    fifo.command(["-c", "mkdir .aws; mkfifo .aws/config"]).program("sh").run();
    fails(&fifo, "list", 1, error);
}

#[test]
#[allow(clippy::disallowed_methods)]
fn an_aws_config_that_may_not_be_read_is_an_error() {
    let test = demo(DEMO_VAULT).file(".aws/config", "[profile x]\n", 0o000);
    // Root reads everything.
    if std::fs::read(test.home().join(".aws/config")).is_ok() {
        return;
    }
    let error = "vault: error: cannot read [HOME]/.aws/config: permission denied\n";
    fails(&test, "list", 1, error);
}

/// The hint of a missing vault is the command for the key that there is, and it works.
#[test]
fn a_missing_vault_is_made_for_the_key_that_is_there() {
    let identity = ".config/vault/identity.txt";
    for (key, command) in [
        (AGE_KEY, format!("vault init --vault here.age -r {AGE_RECIPIENT}")),
        ("no key\n", "vault init --vault here.age --passphrase".to_owned()),
    ] {
        let test = Test::new().file(identity, key, 0o600);
        let hint = format!("make one: {command}; or name it with --vault or AWS_VAULT_FILE\n");
        let error = format!("vault: error: no vault at here.age\nvault: hint: {hint}");
        fails(&test, "--vault here.age list", 3, &error);
        let own = error.replace(" --vault here.age", "");
        let own = own.replace("at here.age", "at [HOME]/.local/share/vault/vault.age");
        fails(&test, "list", 3, &own);
        if key == AGE_KEY {
            test.command(command.split(' ').skip(1)).run();
            test.command(["--vault", "here.age", "list", "--profiles"]).expect_stderr("").run();
        }
    }
}

#[test]
fn a_command_line_that_is_not_understood_is_a_usage_error() {
    let test = demo(DEMO_VAULT);
    for (line, what) in [
        ("rotate", "<PROFILE> is missing"),
        ("rotate demo --all", "[PROFILE] and --all cannot be used together"),
        ("list --no-session", "unknown flag \"--no-session\""),
        ("list -x", "unknown flag \"-x\""),
        ("add", "<PROFILE> is missing"),
        ("remove", "<PROFILE> is missing"),
        ("list demo", "unexpected argument \"demo\""),
        ("clear a b", "unexpected argument \"b\""),
        ("list -i", "--identity <FILE> needs a value"),
        ("list --vault", "--vault <FILE> needs a value"),
        ("list --json=yes", "--json takes no value"),
        (
            "export --format xml demo",
            "--format <FORMAT> takes one of: env, export-env, json, ini, dotenv, fish, powershell, \
             docker, github, not \"xml\"",
        ),
        (
            "init --passphrase --passphrase-memory 3",
            "--passphrase-memory <MIB> cannot take the value \"3\"",
        ),
        ("add demo --env --stdin", "--env and --stdin cannot be used together"),
    ] {
        let command = line.split(' ').next().unwrap();
        let error = format!("vault: error: {what}\nvault: hint: see vault {command} --help\n");
        fails(&test, line, 2, &error);
    }
    for (line, see) in
        [("--quiet", "vault"), ("recipient", "vault recipient"), ("-i k mfa", "vault mfa")]
    {
        let error = format!("vault: error: a command is missing\nvault: hint: see {see} --help\n");
        fails(&test, line, 2, &error);
    }
    for (line, error) in [
        ("list -- x", "vault: error: this command takes nothing after --: x\n"),
        (
            "exec --json demo true",
            "vault: error: --json prints credentials and runs nothing, so it takes no command\n",
        ),
        ("clear a[b", "vault: error: the profile name has characters that a profile cannot have\n"),
        (
            "exec a]b true",
            "vault: error: the profile name has characters that a profile cannot have\n",
        ),
        (
            "list --pin x",
            "vault: error: not a vault fingerprint\n\
             vault: hint: a fingerprint is SHA256: and 43 characters, as `vault pin` prints it\n",
        ),
        (
            "list --prompt ykman",
            "vault: error: --prompt: only terminal is supported\n\
             vault: hint: name a program by mfa_process in the AWS config, or give the code with \
                 --mfa-token\n",
        ),
    ] {
        fails(&test, line, 2, error);
    }
}

#[test]
fn a_mistyped_word_is_named_with_the_one_that_is_meant() {
    let test = demo(DEMO_VAULT);
    for (line, what, hint) in [
        ("exce demo true", "unknown command \"exce\"", "did you mean \"exec\"?"),
        ("lst", "unknown command \"lst\"", "did you mean \"list\"?"),
        ("-i k totp ad", "unknown command \"ad\"", "see vault totp --help"),
        ("man totp ad", "unknown command \"ad\"", "see vault totp --help"),
        ("totp addd", "unknown command \"addd\"", "did you mean \"add\"?"),
        ("help exce", "unknown command \"exce\"", "did you mean \"exec\"?"),
        ("man exprot", "unknown command \"exprot\"", "did you mean \"export\"?"),
        ("renew demo", "unknown command \"renew\"", "see vault --help"),
        ("__complte", "unknown command \"__complte\"", "see vault --help"),
        ("Exec", "unknown command", "see vault --help"),
        ("list --jsno", "unknown flag \"--jsno\"", "did you mean \"--json\"?"),
        ("list --vautl f", "unknown flag \"--vautl\"", "did you mean \"--vault\"?"),
        ("exec --jsno demo true", "unknown flag \"--jsno\"", "did you mean \"--json\"?"),
        ("exec demo --jsno true", "unknown flag \"--jsno\"", "did you mean \"--json\"?"),
        ("--lazzy list", "unknown flag \"--lazzy\"", "see vault --help"),
        ("ls -x", "unknown flag \"-x\"", "see vault list --help"),
        ("-i k totp add", "<DEVICE> is missing", "see vault totp add --help"),
        (
            "export --format jsno demo",
            "--format <FORMAT> takes one of: env, export-env, json, ini, dotenv, fish, powershell, \
             docker, github, not \"jsno\"",
            "did you mean \"json\"?",
        ),
    ] {
        fails(&test, line, 2, &format!("vault: error: {what}\nvault: hint: {hint}\n"));
    }
    let near = "vault: hint: did you mean \"demo\"?\n";
    for (line, status, what) in [
        ("exec dmeo true", 125, "no profile \"dmeo\""),
        ("remove -f dmeo", 3, "no key for profile \"dmeo\" in the vault"),
        ("rotate dmeo", 3, "no profile \"dmeo\""),
        ("totp code dmeo", 3, "no profile \"dmeo\""),
        ("mfa enroll dmeo", 3, "no key for profile \"dmeo\" in the vault"),
    ] {
        fails(&test, line, status, &format!("vault: error: {what}\n{near}"));
    }
    let source = test.config("[profile role]\nsource_profile = dmeo\n");
    let what = "no profile \"dmeo\", the source_profile of \"role\"";
    fails(&source, "explain role", 3, &format!("vault: error: {what}\n{near}"));
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_echoed() {
    let refused = "vault: error: there is a secret on the command line, where every user can see it\n\
        vault: hint: pass keys in a file (-i FILE), on stdin (-i -) or in AWS_VAULT_AGE_KEY, and \
            seeds on stdin; replace this key, since others may have seen it\n";
    let test = demo(DEMO_VAULT);
    for secret in [
        AGE_KEY,
        &AGE_KEY.to_lowercase(),
        "AGE-SECRET-KEY-PQ-1QQQ",
        "AGE-PLUGIN-YUBIKEY-1QQQ",
        "QUdFLVNFQ1JFVC1LRVktMUdROTc3OFZRWE1NSlZF",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0K",
    ] {
        for words in [
            &["list", "-i", secret][..],
            &["-i", secret, "list"],
            &[&format!("--identity={secret}"), "list"],
            &["list", "--passphrase-file", secret],
            &["init", "-r", secret],
            &["exec", secret, "true"],
            &["add", secret],
            &[secret],
        ] {
            test.command(words).expect_error(2, refused).run();
        }
    }
    // An access key is not told from a word, but it is not repeated either.
    let words = ["add", "demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY];
    let error = "vault: error: unexpected argument\nvault: hint: see vault add --help\n";
    test.command(words).expect_error(2, error).run();
    // A plugin's file is no secret.
    let missing = "vault: error: the key file age-plugin-yubikey.txt (--identity) does not exist\n\
                   vault: hint: correct the path, or leave --identity out\n";
    fails(&test, "list -i age-plugin-yubikey.txt", 4, missing);
    // The command's words are the command's.
    test.command(["exec", "-n", "demo", "--", "echo", AGE_KEY])
        .expect_stdout(format!("{AGE_KEY}\n"))
        .run();
}

#[test]
fn exec_with_a_command_keeps_the_commands_codes_apart_from_its_own() {
    let test = demo(DEMO_VAULT).file("plain", "", 0o644);
    for (line, status, stderr) in [
        ("exec -n demo sh -c exit\t7", 7, ""),
        (
            "exec -n demo nothing-of-that-name",
            127,
            "vault: error: command not found: nothing-of-that-name\n",
        ),
        ("exec -n demo ./nowhere", 127, "vault: error: command not found: ./nowhere\n"),
        ("exec -n demo ./plain", 126, "vault: error: cannot execute ./plain: permission denied\n"),
        (
            "exec -n nobody true",
            125,
            "vault: error: no profile \"nobody\"\nvault: hint: looked in [HOME]/.aws/config, \
             [HOME]/.aws/credentials and the vault\n",
        ),
        (
            "exec --jsno demo true",
            2,
            "vault: error: unknown flag \"--jsno\"\nvault: hint: did you mean \"--json\"?\n",
        ),
    ] {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('\t', " ")).collect();
        test.command(words).expect_error(status, stderr).run();
    }
    let killed = ["exec", "-n", "demo", "sh", "-c", "kill -TERM $$"];
    test.command(killed).expect_error(128 + 15, "").run();
    // With --json nothing runs, so the code is the class's.
    for (test, status) in [
        (test.clone().env("AWS_VAULT_AGE_KEY", ""), 4),
        (test.clone().env("AWS_VAULT_FILE", "plain"), 5),
        (test.clone().env("AWS_VAULT_FILE", "bin"), 3),
    ] {
        assert_eq!(test.command(["exec", "--json", "demo"]).expect_status(status).run().stdout, "");
        assert_eq!(test.command(["exec", "demo", "true"]).expect_status(125).run().stdout, "");
    }
}

#[test]
fn inside_a_subshell_another_one_is_refused_and_a_command_is_not() {
    let test = demo(DEMO_VAULT).env("AWS_VAULT", "demo");
    let refused = "vault: error: running in an existing vault subshell\n\
                   vault: hint: exit from the subshell, or unset AWS_VAULT to force\n";
    fails(&test, "exec -n demo", 125, refused);
    for line in ["exec -n demo true", "exec -n --json demo", "export -n demo"] {
        test.command(line.split(' ')).expect_stderr("").run();
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let test = demo(DEMO_VAULT).on_path("vault").program("sh");
    for line in ["vault list >/dev/full", "vault exec -n --json demo >/dev/full"] {
        let error = "vault: error: cannot write to stdout: no space left on device\n";
        test.command(["-c", line]).expect_error(1, error).run();
    }
}

#[test]
fn a_result_for_a_closed_stdout_is_a_failure() {
    let test = demo(DEMO_VAULT);
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let error = "vault: error: cannot write to stdout: it is closed\n\
                 vault: hint: give it a file or a pipe, or redirect it to /dev/null\n";
    for line in [
        "list",
        "explain demo",
        "export -n demo",
        "exec -n --json demo",
        "pin",
        "doctor",
        "completions bash",
        "--help",
    ] {
        let run = test.command(line.split(' '));
        run.under("sh", ["-c", "exec \"$0\" \"$@\" >&-"]).expect_error(1, error).run();
    }
    let code = test.command(["totp", "code", MFA_SERIAL]);
    let closed = code.under("sh", ["-c", "exec \"$0\" \"$@\" >&-"]).any_status().run();
    assert!(closed.stderr.ends_with(error), "{}", closed.stderr);
    // Nothing is done whose result could not be told.
    let run = test.command(["remove", "-f", "demo"]);
    run.under("sh", ["-c", "exec \"$0\" \"$@\" >&-"]).expect_error(1, error).run();
    test.command(["list", "--credentials"]).expect_stdout("demo\n").run();
    // Python's DEVNULL, which can be read as well, is somebody's wish.
    let run = test.command(["list"]).under("sh", ["-c", "exec \"$0\" \"$@\" 1<>/dev/null"]);
    run.expect_stdout("").expect_stderr("").run();
    // The command of exec has no need of one.
    let run = test.command(["exec", "-n", "demo", "true"]);
    run.under("sh", ["-c", "exec \"$0\" \"$@\" >&-"]).expect_stderr("").run();
}

mod secrets;

#[test]
fn a_warning_writes_no_control_characters_to_the_terminal() {
    let test = demo(DEMO_VAULT).env("CI", "1").file("k\u{1b}[31m", AGE_KEY, 0o644);
    let output = test.command(["list", "-i", "k\u{1b}[31m"]).any_status().run();
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    assert!(output.stderr.contains("k\u{fffd}[31m is not private"), "{}", output.stderr);
}
