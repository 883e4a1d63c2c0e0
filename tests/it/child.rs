//! What the programs that vault starts get from it, and what they do not.

mod descriptors;

use crate::support::builder::Test;
use crate::support::standin::{Role, StandIn, World};
use crate::support::{
    ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, MFA_SEED, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY,
};
use crate::write::unprivileged;

/// All variables that open a vault or say where its key lies, each with a value that can be told.
const UNLOCK: [&str; 6] = [
    "AWS_VAULT_AGE_KEY",
    "AWS_VAULT_AGE_KEY_FILE",
    "AWS_VAULT_PASSPHRASE",
    "AWS_VAULT_PASSPHRASE_FILE",
    "AWS_VAULT_FILE_PASSPHRASE",
    "SOPS_AGE_KEY",
];

/// The environment as env(1) printed it, without what the shell and the test add.
fn sorted(printed: &str) -> String {
    let own = |line: &&str| {
        !["PATH=", "PWD=", "_=", "SHLVL=", "OLDPWD="].iter().any(|own| line.starts_with(own))
    };
    let mut lines: Vec<_> = printed.lines().filter(own).collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The environment that `exec` gives to a command.
#[track_caller]
fn environment(test: &Test, words: &[&str]) -> String {
    let run = test.command(["exec"]).args(words).args(["--", "env"]).expect_stderr("").run();
    sorted(&run.stdout)
}

const KEY: &str = "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n\
                   AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n\
                   AWS_VAULT=demo\n";

#[test]
fn the_command_gets_credentials_in_place_of_all_that_contradicts_them() {
    let stale = [
        "AWS_ACCESS_KEY_ID",
        "AWS_ACCESS_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CREDENTIAL_FILE",
        "AWS_SDK_LOAD_CONFIG",
        "AWS_ROLE_ARN",
        "AWS_ACCOUNT_ID",
        "AGEDEBUG",
        "LOG_SENSITIVE_BODIES",
    ];
    let mut test = Test::new().vault_with("demo").env("AWS_PAGER", "").env("EDITOR", "ed");
    for name in stale {
        test = test.env(name, "stale");
    }
    let expected = format!("{KEY}AWS_PAGER=\nEDITOR=ed\nHOME=[HOME]\n");
    assert_eq!(environment(&test, &["-n", "demo"]), sorted(&expected));
}

#[test]
fn the_account_is_set_where_it_is_known() {
    let test = Test::new()
        .vault_with("demo")
        .config("[profile demo]\naws_account_id = 123456789012\n")
        .env("AWS_ACCOUNT_ID", "210987654321");
    let expected = format!("AWS_ACCOUNT_ID=123456789012\n{KEY}HOME=[HOME]\n");
    assert_eq!(environment(&test, &["-n", "demo"]), sorted(&expected));
}

#[test]
fn region_variables_are_set_where_a_region_is_known_and_left_alone_else() {
    let test = Test::new()
        .vault_with("demo")
        .config("[profile demo]\nregion = eu-west-1\n[profile bare]\nsource_profile = demo\n");
    let regions = |test: &Test, words: &[&str]| {
        let all = environment(test, words);
        all.lines().filter(|line| line.contains("REGION=")).collect::<Vec<_>>().join(" ")
    };
    let both = |region: &str| format!("AWS_DEFAULT_REGION={region} AWS_REGION={region}");
    assert_eq!(regions(&test, &["-n", "demo"]), both("eu-west-1"));
    assert_eq!(regions(&test, &["-n", "--region", "us-east-2", "demo"]), both("us-east-2"));
    let test = test.env("AWS_DEFAULT_REGION", "eu-north-1");
    assert_eq!(regions(&test, &["-n", "demo"]), both("eu-north-1"));
    let bare = Test::new().vault_with("demo");
    assert_eq!(regions(&bare, &["-n", "demo"]), "");
}

/// A script below `~/bin`, first in PATH.
fn script(test: Test, name: &str, text: &str) -> Test {
    test.on_path("vault").file(&format!("bin/{name}"), format!("#!/bin/sh\n{text}"), 0o755)
}

/// Prints an access key for credential_process.
const PRINT_KEY: &str = "echo '{\"Version\": 1, \"AccessKeyId\": \"AKIAIOSFODNN7EXAMPLE\", \
                         \"SecretAccessKey\": \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"}'\n";

/// A home in which the command, a credential_process, an mfa_process and a plugin all write down what
/// they see: `what`, a line of shell, into a file named after each.
fn everybody_looks(standin: &StandIn, what: &str) -> Test {
    let recipient = plugin_recipient();
    let test = Test::new().standin(standin).config(&format!(
        "[profile process]\n\
         credential_process = (set -- process; {what}); print-key\n\
         [profile code]\n\
         source_profile = demo\n\
         role_arn = arn:aws:iam::123456789012:role/deploy\n\
         mfa_serial = {MFA_SERIAL}\n\
         mfa_process = (set -- code; {what}); cat ~/digits\n"
    ));
    let test = script(test, "print-key", PRINT_KEY);
    let test = script(test, "age-plugin-vaulttest", &format!("(set -- plugin; {what})\n{PLUGIN}"));
    test.command(["init", "-r", AGE_RECIPIENT, "-r", &recipient]).run();
    test.env("AWS_VAULT_AGE_KEY", AGE_KEY).stored("demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
}

/// A plugin that wraps the file key in nothing at all.
pub const PLUGIN: &str = r#"wrapped= body=
while read -r line; do
    case "$line" in
        "-> done") read -r _; break ;;
        "-> wrap-file-key") read -r body ;;
        "-> recipient-stanza 0 vaulttest") read -r body ;;
    esac
done
reply() { printf '%s\n' "$@"; read -r _; read -r _; }
case "$1" in
    *--age-plugin=recipient-v1) reply "-> recipient-stanza 0 vaulttest" "$body" ;;
    *--age-plugin=identity-v1) [ -z "$body" ] || reply "-> file-key 0" "$body" ;;
esac
printf -- '-> done\n\n'
"#;

pub fn plugin_recipient() -> String {
    let hrp = bech32::Hrp::parse("age1vaulttest").unwrap();
    bech32::encode_lower::<bech32::Bech32>(hrp, &[7; 8]).unwrap()
}

pub fn plugin_identity() -> String {
    let hrp = bech32::Hrp::parse("age-plugin-vaulttest-").unwrap();
    bech32::encode_upper::<bech32::Bech32>(hrp, &[7; 8]).unwrap()
}

/// Runs all four, and gives what each of them wrote.
fn what_they_saw(standin: &StandIn, test: &Test, what: &str) -> Vec<(&'static str, String)> {
    let code = standin.totp_now(MFA_SEED);
    let test = test.clone().file("digits", &code, 0o600);
    let command = format!("set -- command; {what}");
    for (words, name) in
        [(["-n", "process", "--", "true"], "process"), (["-n", "code", "--", "true"], "code")]
    {
        test.command(["exec"]).args(words).expect_stderr("").run();
        assert!(test.home().join(name).exists(), "{name}");
    }
    test.command(["exec", "-n", "demo", "--", "sh", "-c", &command]).expect_stderr("").run();
    ["process", "code", "plugin", "command"]
        .map(|name| (name, String::from_utf8(test.read(name)).expect("text")))
        .into()
}

fn standin() -> StandIn {
    StandIn::start(World::demo().role(Role::new("deploy").requires_mfa()))
}

#[test]
fn unlock_variables_reach_no_child() {
    let standin = standin();
    let what = "env > ~/$1";
    let test = everybody_looks(&standin, what);
    let test = test.file("key", plugin_identity(), 0o600);
    // By the plugin, named by a file, with every other variable there as well. (Only the first line
    // of sources with anything in it is used.)
    let file = test.home().join("key");
    let mut test = test.env("AWS_VAULT_AGE_KEY", plugin_identity());
    for name in &UNLOCK[1..] {
        test = test.env(name, "opens-the-vault");
    }
    let test = test.env("AWS_VAULT_AGE_KEY_FILE", &file).env("AWS_VAULT_PIN_NOT_OURS", "stays");
    let test = test.env_remove("SOPS_AGE_KEY").env("AGEDEBUG", "x");
    for (who, saw) in what_they_saw(&standin, &test, what) {
        for name in UNLOCK.iter().chain(&["AGEDEBUG"]) {
            assert!(!saw.contains(&format!("{name}=")), "{who} saw {name}:\n{saw}");
        }
        assert!(!saw.contains("opens-the-vault"), "{who}:\n{saw}");
        assert!(saw.contains("AWS_VAULT_PIN_NOT_OURS=stays"), "{who}:\n{saw}");
    }
}

#[test]
fn sops_keeps_its_key_unless_it_opened_the_vault() {
    let test = Test::new().vault_with("demo").env("SOPS_AGE_KEY", AGE_KEY);
    let sops = |test: &Test| {
        let all = environment(test, &["-n", "demo"]);
        all.lines().filter(|line| line.starts_with("SOPS_")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sops(&test), format!("SOPS_AGE_KEY={AGE_KEY}"));
    assert_eq!(sops(&test.clone().env_remove("AWS_VAULT_AGE_KEY")), "");

    let test = test.file("keys.txt", AGE_KEY, 0o600).env_remove("SOPS_AGE_KEY");
    let file = test.home().join("keys.txt");
    let test = test.env("SOPS_AGE_KEY_FILE", file);
    assert_eq!(sops(&test), "SOPS_AGE_KEY_FILE=[HOME]/keys.txt");
    assert_eq!(sops(&test.clone().env_remove("AWS_VAULT_AGE_KEY")), "");
}

#[test]
fn unlock_variables_are_gone_from_proc() {
    let standin = standin();
    // Another user's process may not look at all; root may, and finds nothing.
    let what = "tr '\\\\0' '\\\\n' </proc/$PPID/environ >~/$1 2>&1";
    let what = what.replace("\\\\", "\\");
    let test = everybody_looks(&standin, "true").config(&format!(
        "[profile process]\ncredential_process = set -- process; {what}; print-key\n"
    ));
    let test = test
        .env("AWS_VAULT_PASSPHRASE", PASSPHRASE)
        .env("AWS_VAULT_FILE_PASSPHRASE", PASSPHRASE)
        .env("SOPS_AGE_KEY", AGE_KEY)
        .env("AGEDEBUG", "plugin");
    test.command(["exec", "-n", "process", "--", "true"]).expect_stderr("").run();
    let saw = String::from_utf8(test.read("process")).unwrap();
    for secret in [AGE_KEY, PASSPHRASE, &AGE_KEY[20..40], "AGEDEBUG=plugin"] {
        assert!(!saw.contains(secret), "{saw}");
    }
    let may = saw.contains("AWS_REGION=us-east-1") || saw.to_lowercase().contains("denied");
    assert!(may, "{saw}");
}

/// A shell that starts vault with the key on a descriptor.
fn from_a_shell(test: &Test, script: &str) -> Test {
    test.clone()
        .on_path("vault")
        .env_remove("AWS_VAULT_AGE_KEY")
        .program("sh")
        .command(["-c", script])
}

#[test]
fn the_command_inherits_no_descriptor_of_ours() {
    let test = Test::new().vault_with("demo").file("key", AGE_KEY, 0o600).file("mine", "x", 0o600);
    // Descriptors by number; what is a pipe is the test's own stdio.
    let look = "for fd in 0 1 2 3 4 5 6 7 8 9; do \
                    [ -e /proc/$$/fd/$fd ] && { printf \"$fd \"; readlink /proc/$$/fd/$fd; }; \
                done; true";
    // But what the one who started the tests had open.
    let close = "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-";
    let open = |script: &str| {
        let script =
            format!("{close}; exec vault {script}").replace("LOOK", &format!("sh -c '{look}'"));
        let run = from_a_shell(&test, &script).expect_stderr("").run();
        let word = |line: &str| {
            line.split_once("[").map_or(line.to_owned(), |(a, b)| match a {
                a if a.ends_with("pipe:") => a.to_owned(),
                _ => format!("{a}[{b}"),
            })
        };
        run.stdout.lines().map(word).collect::<Vec<_>>().join(", ")
    };
    let stdio = "0 pipe:, 1 pipe:, 2 pipe:";
    // What was open before passes through (make's jobserver, systemd's sockets).
    let passed = open("-i key exec -n demo -- LOOK 9<mine");
    assert_eq!(passed, format!("{stdio}, 9 [HOME]/mine"));
    // What a key was read from does not.
    for given in ["-i /dev/fd/9", "-i /proc/self/fd/9"] {
        let left = open(&format!("{given} exec -n demo -- LOOK 9<key 8<mine"));
        assert_eq!(left, format!("{stdio}, 8 [HOME]/mine"));
    }
    // A stdin that held a key is empty now.
    for given in ["-i -", "-i /dev/stdin", "-i /dev/fd/0"] {
        let left = open(&format!("{given} exec -n demo -- LOOK <key"));
        assert_eq!(left, "0 /dev/null, 1 pipe:, 2 pipe:");
    }
}

#[test]
fn a_helper_inherits_no_descriptor_that_held_a_key() {
    let test = Test::new().vault_with("demo").file("key", AGE_KEY, 0o600);
    let test = script(test, "print-key", PRINT_KEY).config(
        "[profile process]\ncredential_process = readlink /proc/$$/fd/0 /proc/$$/fd/9 >&2; print-key\n",
    );
    from_a_shell(&test, "exec vault -i /dev/fd/9 exec --json -n process 9<key")
        .expect_stderr("/dev/null\n")
        .run();
}

#[test]
fn stdin_is_the_commands_own() {
    let test = Test::new().vault_with("demo").stdin("for the command\n");
    let test = test.command(["exec", "-n", "demo", "cat"]).stdin("for the command\n");
    test.expect_stdout("for the command\n").expect_stderr("").run();
}

#[test]
fn core_limit_is_restored_for_the_command() {
    let test = Test::new().vault_with("demo").file("key", AGE_KEY, 0o600);
    let test = script(test, "print-key", PRINT_KEY).config(
        "[profile process]\n\
         credential_process = grep 'Max core' /proc/$PPID/limits /proc/$$/limits >&2; print-key\n",
    );
    // As high as it goes: where that is 0, there is nothing to see.
    let high = "ulimit -S -c $(ulimit -H -c)";
    let limits = "ulimit -S -c; ulimit -H -c";
    let plain = from_a_shell(&test, &format!("{high}; {limits}")).run().stdout;
    from_a_shell(&test, &format!("{high}; exec vault -i key exec -n demo -- sh -c '{limits}'"))
        .expect_stdout(&plain)
        .expect_stderr("")
        .run();

    // While vault runs, its own soft limit is 0; its helper's is not.
    let run =
        from_a_shell(&test, &format!("{high}; exec vault -i key exec --json -n process")).run();
    let soft: Vec<_> = run.stderr.lines().map(|line| line.split_whitespace().nth(4)).collect();
    let whole = plain.lines().next();
    let whole = if plain.starts_with("unlimited") { whole } else { soft[1] };
    assert_eq!(soft, [Some("0"), whole], "{}", run.stderr);
}

#[test]
fn helpers_are_heard_where_sigchld_was_ignored() {
    let standin = crate::support::scene::sts();
    let test = everybody_looks(&standin, "true").file("digits", standin.totp_now(MFA_SEED), 0o600);
    let ignored = |words: &[&str]| {
        let python = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                      os.execvp('vault', ['vault'] + sys.argv[1:])";
        test.clone().on_path("vault").command(["-c", python]).args(words).program("python3")
    };
    // Mask and all: the command finds it as vault did.
    let look = ["--", "sed", "-n", "s/^SigIgn:.//p", "/proc/self/status"];
    for profile in ["process", "code"] {
        let run = ignored(&[&["exec", "-n", profile], &look[..]].concat()).expect_stderr("").run();
        let mask = u64::from_str_radix(run.stdout.trim(), 16).expect("a mask");
        assert_ne!(mask & 1 << (libc::SIGCHLD - 1), 0, "{profile}: {mask:x}");
    }
}

#[test]
fn the_command_finds_the_signal_mask_that_vault_was_started_with() {
    let standin = crate::support::scene::sts();
    let test = everybody_looks(&standin, "true");
    let python = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n\
                  os.execvp('vault', ['vault'] + sys.argv[1:])";
    let look = ["demo", "--", "sed", "-n", "s/^SigBlk:.//p", "/proc/self/status"];
    for how in [&["exec"][..], &["exec", "--server"]] {
        let words = [&["-c", python][..], how, &look].concat();
        let run = test.clone().on_path("vault").command(words).program("python3");
        run.expect_stdout(format!("{:016x}\n", 1 << (libc::SIGUSR1 - 1))).run();
    }
}

#[test]
fn no_process_may_inspect_vault_and_the_command_is_as_open_as_any() {
    let test = script(Test::new().vault_with("demo"), "print-key", PRINT_KEY);
    let look = "if cat /proc/$PPID/environ >/dev/null 2>&1; then echo open; else echo closed; fi";
    let test =
        test.config(&format!("[profile process]\ncredential_process = ({look}) >&2; print-key\n"));
    let look = format!("sh -c '{look}'; exit 0");
    unprivileged(&test, &["exec", "-n", "process", "--", "sh", "-c", &look])
        .expect_stdout("open\n")
        .expect_stderr("closed\n")
        .run();
}

#[test]
fn sigpipe_ends_the_command_as_in_a_shell() {
    let test = Test::new().vault_with("demo");
    let run = test.command(["exec", "-n", "demo", "--", "sh", "-c", "kill -PIPE $$"]);
    run.expect_status(128 + libc::SIGPIPE).expect_stderr("").run();
}

#[test]
fn status_and_signal_are_the_commands() {
    let test = Test::new().vault_with("demo");
    for (script, status) in [
        ("exit 0", 0),
        ("exit 42", 42),
        ("exit 125", 125),
        ("kill -TERM $$", 143),
        ("kill -9 $$", 137),
    ] {
        let run = test.command(["exec", "-n", "demo", "--", "sh", "-c", script]);
        run.expect_status(status).expect_stdout("").expect_stderr("").run();
    }
}

#[test]
fn the_command_is_the_same_process() {
    let test = Test::new().vault_with("demo").file("key", AGE_KEY, 0o600);
    let run =
        from_a_shell(&test, "echo $$; exec vault -i key exec -n demo -- sh -c 'echo $$'").run();
    let pids: Vec<_> = run.stdout.lines().collect();
    assert_eq!(pids[0], pids[1]);
}

#[test]
fn the_command_is_looked_up_as_a_shell_does() {
    let test = script(Test::new().vault_with("demo"), "tool", "echo \"tool $*\"; exit 3\n")
        .file("bin/old-script", "echo \"no first line, $1\"\n", 0o755)
        .file("bin/plain", "echo never\n", 0o644)
        .file("bin/lost", "#!/no/such/interpreter\n", 0o755)
        .file("here", "#!/bin/sh\necho here\n", 0o755);
    let run = |words: &[&str]| test.command(["exec", "-n", "demo", "--"]).args(words);
    run(&["tool", "-n", "--", "a b"]).expect_status(3).expect_stdout("tool -n -- a b\n").run();
    run(&["old-script", "x"]).expect_stdout("no first line, x\n").run();
    run(&["./here"]).expect_stdout("here\n").run();
    for (word, status, what) in [
        ("here", 127, "command not found: here"),
        ("./nothing", 127, "command not found: ./nothing"),
        ("plain", 126, "cannot execute plain: permission denied"),
        ("/", 126, "cannot execute /: permission denied"),
        ("lost", 126, "cannot execute lost: the interpreter that it names is missing"),
    ] {
        let stderr = format!("vault: error: {what}\n");
        run(&[word, "secret-argument"]).expect_error(status, &stderr).run();
    }
}

#[test]
fn a_subshell_is_the_users_own() {
    let test =
        script(Test::new().vault_with("demo"), "my-shell", "echo \"$AWS_VAULT $# arguments\"\n");
    let shell = test.home().join("bin/my-shell");
    test.command(["exec", "-n", "demo"])
        .env("SHELL", &shell)
        .expect_stdout("demo 0 arguments\n")
        .expect_stderr("Starting subshell [HOME]/bin/my-shell, use `exit` to exit the subshell\n")
        .run();
    test.command(["exec", "-n", "demo"])
        .stdin("echo $AWS_VAULT\nexit 5\n")
        .expect_status(5)
        .expect_stdout("demo\n")
        .expect_stderr("Starting subshell /bin/sh, use `exit` to exit the subshell\n")
        .run();
}

#[test]
fn a_subshell_in_a_subshell_is_refused_and_nothing_else() {
    let test = Test::new().vault_with("demo").env("AWS_VAULT", "demo");
    test.command(["exec", "-n", "demo"])
        .expect_error(
            125,
            "vault: error: running in an existing vault subshell\n\
             vault: hint: exit from the subshell, or unset AWS_VAULT to force\n",
        )
        .run();
    test.command(["exec", "-n", "demo", "true"]).expect_stderr("").run();
    test.command(["exec", "--json", "-n", "demo"]).expect_stderr("").run();
    test.command(["export", "-n", "demo"]).expect_stderr("").run();
}

#[test]
fn the_command_has_no_children_that_it_did_not_start() {
    let standin = standin();
    let test = everybody_looks(&standin, "true").env("AWS_VAULT_AGE_KEY", plugin_identity());
    // Builtins only: whatever has this shell for its parent was not started by it.
    let look = "for stat in /proc/[0-9]*/stat; do \
                    read -r line <$stat || continue; line=${line##*) }; set -- $line; \
                    [ $2 = $$ ] && echo \"$line\"; \
                done 2>/dev/null; true";
    for profile in ["demo", "process"] {
        let run = test.command(["exec", "-n", profile, "--", "sh", "-c", look]);
        run.expect_stdout("").expect_stderr("").run();
    }
}
