//! `vault doctor`: what is wrong on this host.

mod fleet;
mod profiles;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene;
use crate::support::standin::{Fault, StandIn};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, MFA_SEED, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY};

/// What was found: of one check, mark and text each, and the advice where there is any.
struct Findings(Value);

impl Findings {
    #[track_caller]
    fn of(&self, check: &str) -> Vec<(String, String)> {
        let all = self.0["findings"].as_array().expect("findings");
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("").to_owned();
        let shown = |finding: &Value| match text(finding, "advice") {
            advice if advice.is_empty() => text(finding, "text"),
            advice => format!("{}; {advice}", text(finding, "text")),
        };
        let own = all.iter().filter(|finding| finding["check"] == check);
        own.map(|finding| (text(finding, "mark"), shown(finding))).collect()
    }

    /// The only finding of this check has this mark and begins so.
    #[track_caller]
    fn has(&self, check: &str, mark: &str, beginning: &str) {
        let found = self.of(check);
        let [(own, text)] = &found[..] else { panic!("{check}: {found:?}") };
        assert_eq!(own, mark, "{check}: {text}");
        assert!(text.starts_with(beginning), "{check}: {text}");
    }

    /// The only finding of this check has this mark and is this.
    #[track_caller]
    fn is(&self, check: &str, mark: &str, text: &str) {
        assert_eq!(self.of(check), [(mark.to_owned(), text.to_owned())], "{check}");
    }

    /// Among the sources there is this line.
    #[track_caller]
    fn has_source(&self, mark: &str, text: &str) {
        let found = self.of("unlock.source");
        let there = found.iter().any(|(own, found)| own == mark && found.starts_with(text));
        assert!(there, "{mark} {text}: {found:?}");
    }
}

/// Runs it; status and `well` agree with the marks, and nothing is said elsewhere.
#[track_caller]
fn doctor(test: &Test) -> Findings {
    let output = test.command(["doctor", "--json"]).any_status().expect_stderr("").run();
    let found: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let all = found["findings"].as_array().expect("findings");
    let problem = all.iter().any(|finding| finding["mark"] == "problem");
    assert_eq!(output.status, i32::from(problem), "{}", output.stdout);
    assert_eq!(found["well"], !problem);
    assert_eq!(found["version"], 1);
    Findings(found)
}

fn usual() -> (StandIn, Test) {
    let standin = scene::sts();
    let test = scene::with(&standin, "[profile demo]\nregion = us-east-1\n");
    (standin, test)
}

/// Lengths and fingerprints differ from vault to vault.
fn settled(text: &str) -> String {
    let words = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let shown = words.iter().enumerate().map(|(at, word)| match words.get(at + 1) {
            Some(next) if ["bytes,", "MiB", "checks"].contains(next) && *word != "passphrase," => {
                "[N]".to_owned()
            }
            _ if word.starts_with("SHA256:") => "[PIN],".to_owned(),
            _ => (*word).to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ") + "\n"
    };
    text.lines().map(words).collect()
}

#[test]
fn a_healthy_host_has_nothing_to_mend() {
    let (_standin, test) = usual();
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let expected = "ok       [N] checks found nothing wrong (-v lists them)\n";
    let output = test.command(["doctor"]).expect_stderr("").run();
    assert_same("report", expected, &settled(&output.stdout));
    let output = test.command(["doctor", "-v"]).expect_stderr("").run();
    assert_same(
        "report",
        "ok       vault   [HOME]/.local/share/vault/vault.age (the default), [N] bytes, mode 0600\n\
         ok       vault   an age v1 file, binary, 2 of 32 stanzas\n\
         ok       unlock  2 AWS_VAULT_AGE_KEY: used\n\
         ok       unlock  2 AWS_VAULT_AGE_KEY_FILE: absent\n\
         ok       unlock  3 AWS_VAULT_PASSPHRASE_FILE: absent\n\
         ok       unlock  3 AWS_VAULT_PASSPHRASE: absent\n\
         ok       unlock  3 AWS_VAULT_FILE_PASSPHRASE: absent\n\
         ok       unlock  5 /run/secrets/vault.age-key: absent\n\
         ok       unlock  5 /run/secrets/vault.passphrase: absent\n\
         ok       unlock  6 SOPS_AGE_KEY: absent\n\
         ok       unlock  6 SOPS_AGE_KEY_FILE: absent\n\
         ok       unlock  7 [HOME]/.config/vault/identity.txt: absent\n\
         ok       unlock  8 the kernel's keyring: absent\n\
         ok       unlock  the vault opens, by AWS_VAULT_AGE_KEY\n\
         ok       vault   fingerprint [PIN], generation 3, as remembered\n\
         ok       cache   [HOME]/.cache/vault (the default), not created yet\n\
         ok       cache   [HOME]/.cache/vault: [N] MiB free on its file system\n\
         ok       state   [HOME]/.local/state/vault (the default)\n\
         ok       state   [HOME]/.local/state/vault: [N] MiB free on its file system\n\
         ok       vault   [HOME]/.local/share/vault: [N] MiB free on its file system\n\
         ok       aws     [HOME]/.aws/config: 1 profile, the credentials file's included\n\
         ok       environ vault's own environment shows no key and no passphrase\n\
         ok       process no other process of this user can read vault's memory, and no core file \
         has it\n\
         ok       clock   this machine's clock agrees with AWS's\n\
         ok       mfa     arn:aws:iam::123456789012:mfa/demo: 6 of 6 codes left in these three \
         minutes\n",
        &settled(&output.stdout),
    );
}

#[test]
fn nothing_is_changed() {
    let (standin, test) = usual();
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let elsewhere = test.home().join("elsewhere");
    let test = test.env("XDG_STATE_HOME", elsewhere);
    let before = everything(test.home());
    doctor(&test).has("vault.memory", "note", "fingerprint SHA256:");
    assert_eq!(everything(test.home()), before);
    // One request, that asks for nothing: no key signs it.
    assert_eq!((standin.connections(), standin.calls().len()), (1, 1));
    assert!(!standin.log().contains(ACCESS_KEY_ID), "{}", standin.log());
    assert!(standin.issued().is_empty());
}

fn everything(dir: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("one")) {
        let about = entry.metadata().expect("a file");
        found.push((entry.path(), about.modified().expect("a time")));
        if about.is_dir() {
            found.extend(everything(&entry.path()));
        }
    }
    found.sort();
    found
}

// The vault.

#[test]
fn without_a_vault_it_says_so_and_looks_at_the_rest() {
    let test = Test::new().env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let found = doctor(&test);
    found.has("vault.file", "problem", "no vault at ");
    found.has("clock.offset", "note", "unknown: 127.0.0.1:1 refused the connection");
    found.has_source("ok", "7 ");
    assert_eq!(found.of("unlock.open"), []);
    // Nor without a home.
    let homeless = test.env("HOME", "/nonexistent").env("AWS_CONFIG_FILE", "/dev/null");
    doctor(&homeless).has("vault.file", "problem", "no vault at ");
    let empty = Test::new().env("AWS_VAULT_FILE", "");
    doctor(&empty).has("vault.file", "problem", "AWS_VAULT_FILE is set but empty");
}

#[test]
fn a_damaged_vault_is_reported() {
    let (_standin, test) = usual();
    let whole = std::fs::read(test.vault_file()).expect("the vault");
    std::fs::write(test.vault_file(), &whole[..200]).expect("half of it");
    doctor(&test).has("vault.header", "problem", "the vault file ");
    let flipped = whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at + 9 == whole.len()));
    std::fs::write(test.vault_file(), flipped.collect::<Vec<_>>()).expect("a changed one");
    doctor(&test).has("unlock.open", "problem", "");
    std::fs::remove_file(test.vault_file()).expect("no vault");
    std::fs::create_dir(test.vault_file()).expect("a directory");
    doctor(&test).has("vault.file", "problem", "cannot read ");
}

#[test]
fn loose_modes_of_the_vault_are_reported() {
    let (_standin, test) = usual();
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    };
    mode(&test.vault_file(), 0o660);
    doctor(&test).has("vault.mode", "note", "its group can write the vault");
    mode(&test.vault_file(), 0o666);
    doctor(&test).has("vault.mode", "problem", "everybody can write the vault");
    mode(&test.vault_file(), 0o600);
    mode(test.vault_file().parent().expect("a directory"), 0o777);
    doctor(&test).has("vault.directory", "problem", "everybody can replace files in ");
}

#[test]
fn another_vault_and_an_older_one_are_reported() {
    let (_standin, test) = usual();
    let first = std::fs::read(test.vault_file()).expect("the vault");
    let test = test.stored("other", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    std::fs::write(test.vault_file(), first).expect("the old one");
    let text = doctor(&test).of("vault.memory").remove(0).1;
    assert!(text.contains(", generation 2; generation 3 was seen before"), "{text}");

    let (_standin, another) = usual();
    std::fs::copy(another.vault_file(), test.vault_file()).expect("another one");
    let found = doctor(&test);
    let (mark, text) = found.of("vault.memory").remove(0);
    assert!(mark == "problem" && text.contains("; remembered is SHA256:"), "{text}");
    let pinned = test.env("AWS_VAULT_PIN", format!("SHA256:{}", "A".repeat(43)));
    doctor(&pinned).has("unlock.open", "problem", "the vault ");
    doctor(&pinned.env("AWS_VAULT_PIN", "x")).of("vault.pins").remove(0);
}

#[test]
fn what_is_remembered_of_a_name_and_of_the_real_path_is_reported() {
    let (_standin, test) = usual();
    let (real, pin) = (test.home().join("real.age"), crate::recipient::pin_of(&test));
    std::fs::copy(test.vault_file(), &real).expect("a copy");
    std::fs::remove_file(test.vault_file()).expect("no vault");
    std::os::unix::fs::symlink(&real, test.vault_file()).expect("a link");
    let (shown, named) = ("[HOME]/real.age", "[HOME]/.local/share/vault/vault.age");
    let known = format!("fingerprint {pin}, generation 2");
    let found = doctor(&test);
    found.has("vault.memory", "note", &format!("{known}; this machine remembers none of {shown}"));
    found.has("vault.name", "ok", &format!("{known}, as remembered of {named}"));
    test.command(["list"]).run();
    let found = doctor(&test);
    found.has("vault.memory", "ok", &format!("{known}, as remembered of {shown}"));
    found.has("vault.name", "ok", &format!("{known}, as remembered of {named}"));

    let (_standin, another) = usual();
    let forged = crate::recipient::pin_of(&another);
    let planted = test.home().join("planted.age");
    std::fs::copy(another.vault_file(), &planted).expect("another one");
    std::fs::remove_file(test.vault_file()).expect("no link");
    std::os::unix::fs::symlink(&planted, test.vault_file()).expect("a link");
    let (known, shown) = (format!("fingerprint {forged}, generation 2"), "[HOME]/planted.age");
    let found = doctor(&test);
    found.has("vault.memory", "note", &format!("{known}; this machine remembers none of {shown}"));
    found.has(
        "vault.name",
        "problem",
        &format!(
            "{known}; remembered of {named} is {pin}; if you expect this change, run vault pin "
        ),
    );
}

#[test]
fn a_passphrase_slot_is_shown_with_its_cost() {
    let test = Test::new().vault_with_passphrase("demo");
    let found = doctor(&test);
    found.has("vault.slot", "ok", "a passphrase, 64 MiB, 3 passes, 4 lanes");
    found.has("unlock.open", "ok", "the vault opens, by AWS_VAULT_PASSPHRASE");
    // Without it, nobody is asked, here nor on a terminal.
    let test = test.env_remove("AWS_VAULT_PASSPHRASE");
    doctor(&test).has("unlock.open", "problem", "no key to open the vault with");
    let (pty, pipes) = test.command(["doctor"]).any_status().pty_with_pipes();
    let screen = pty.screen();
    let output = test.command(["doctor"]).any_status().finish(pty, pipes);
    assert_eq!(screen, "");
    assert!(output.stdout.contains("the terminal will prompt for a passphrase"));
}

// What opens it.

#[test]
fn a_key_under_a_passphrase_is_a_note_where_a_terminal_is_there_to_ask_on() {
    use crate::unlock::own::{ED25519, ED25519_PUB};
    let test = Test::new().file("key", ED25519, 0o600);
    test.command(["init", "-r", ED25519_PUB]).run();
    let test = test.env("AWS_VAULT_AGE_KEY_FILE", "key");
    let what = "no key opens this vault: the ssh key in key has a passphrase of its own";
    doctor(&test).has("unlock.open", "problem", what);
    let (pty, pipes) = test.command(["doctor"]).any_status().pty_with_pipes();
    let screen = pty.screen();
    let output = test.command(["doctor"]).any_status().finish(pty, pipes);
    assert_eq!(screen, "");
    assert!(output.stdout.contains(&format!("{what}, which a terminal prompts for; not tried")));
}

#[test]
fn the_first_line_with_anything_in_it_wins() {
    let (_standin, test) = usual();
    let test = test.env("AWS_VAULT_PASSPHRASE", PASSPHRASE).env("SOPS_AGE_KEY", AGE_KEY);
    let found = doctor(&test);
    found.has_source("ok", "2 AWS_VAULT_AGE_KEY: used");
    found.has_source("note", "3 AWS_VAULT_PASSPHRASE: present, not tried");
    found.has_source("note", "6 SOPS_AGE_KEY: present, not tried");
    let found = doctor(&test.clone().env_remove("AWS_VAULT_AGE_KEY"));
    found.has_source("note", "3 AWS_VAULT_PASSPHRASE: present, did not open");
    found.has("unlock.open", "problem", "");
    let test = test.env_remove("AWS_VAULT_AGE_KEY").env_remove("AWS_VAULT_PASSPHRASE");
    let found = doctor(&test);
    found.has_source("ok", "6 SOPS_AGE_KEY: used");
    found.has("unlock.open", "ok", "the vault opens, by SOPS_AGE_KEY");
}

#[test]
fn sources_that_cannot_be_used_are_reported() {
    let (_standin, test) = usual();
    let found = doctor(&test.clone().env("AWS_VAULT_AGE_KEY", ""));
    found.has_source("problem", "2 AWS_VAULT_AGE_KEY: cannot be used: ");
    let bare = test.env_remove("AWS_VAULT_AGE_KEY");
    let found = doctor(&bare.clone().env("AWS_VAULT_AGE_KEY_FILE", "nowhere"));
    found.has_source("problem", "2 AWS_VAULT_AGE_KEY_FILE: cannot be used: ");
    // A key file that everybody can read.
    let loose = bare.clone().file(".config/vault/identity.txt", AGE_KEY, 0o644);
    let found = doctor(&loose);
    found.has_source("problem", "7 [HOME]/.config/vault/identity.txt: cannot be used: ");
    found.has("unlock.open", "problem", "the key file ");
    // People are told once.
    let text = loose.command(["doctor"]).any_status().run().stdout;
    assert_eq!(text.matches("is not private").count(), 1, "{text}");
    assert_eq!(text.matches("chmod 600").count(), 1, "{text}");
    let found = doctor(&bare.file(".config/vault/identity.txt", AGE_KEY, 0o600));
    found.has("unlock.open", "ok", "the vault opens, by ");
}

#[test]
fn pipes_are_not_read() {
    let (_standin, test) = usual();
    let fifo = test.home().join("fifo");
    test.command([&fifo]).program("mkfifo").run();
    let bare = test.env_remove("AWS_VAULT_AGE_KEY");
    let start = Instant::now();
    let found = doctor(&bare.clone().env("AWS_VAULT_AGE_KEY_FILE", &fifo));
    found.has_source("note", "2 AWS_VAULT_AGE_KEY_FILE: a pipe, not read");
    found.has("unlock.open", "note", "not tried");
    let output = bare.command(["doctor", "-i", "-"]).run();
    assert!(output.stdout.contains("1 --identity: a pipe, not read"), "{}", output.stdout);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_cannot_be_hardened_is_reported() {
    let dumpable =
        ("prctl(PR_SET_DUMPABLE)", "other processes of this user can read vault's memory");
    let core = ("setrlimit(RLIMIT_CORE)", "a crash may leave vault's memory in a core file");
    let limits = [libc::SYS_prlimit64, libc::SYS_setrlimit];
    let both = [libc::SYS_prctl, libc::SYS_prlimit64, libc::SYS_setrlimit];
    let test = Test::new().vault_with("demo").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    for (calls, refused) in
        [(&[libc::SYS_prctl][..], &[dumpable][..]), (&limits, &[core]), (&both, &[core, dumpable])]
    {
        let test = test.clone().refuse(calls, libc::EPERM);
        let found = doctor(&test).of("process.memory");
        let expected: Vec<_> = refused
            .iter()
            .map(|(call, effect)| {
                let advice = "allow the call, in a container by its seccomp profile";
                let text = format!("{effect}: {call} failed: operation not permitted; {advice}");
                ("problem".to_owned(), text)
            })
            .collect();
        assert_eq!(found, expected);
        // It is no reason to fail, and without --debug nothing is said of it.
        test.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
        let said = test.command(["--debug", "list", "--credentials"]).expect_stdout("demo\n").run();
        let lines: String = refused
            .iter()
            .map(|(call, effect)| {
                format!("vault: debug: {call} failed: operation not permitted; {effect}\n")
            })
            .collect();
        assert!(said.stderr.starts_with(&lines), "{}", said.stderr);
    }
}

// Places and locks.

#[test]
fn directories_that_cannot_be_used_are_reported() {
    let (_standin, test) = usual();
    let test = test.file("file", "", 0o600);
    for (variable, check) in
        [("AWS_VAULT_CACHE_DIR", "cache.directory"), ("STATE_DIRECTORY", "state.directory")]
    {
        let path = test.home().join("file/below");
        let found = doctor(&test.clone().env(variable, &path));
        let text = format!("{} ({variable}) cannot be used: not a directory", path.display());
        found.has(check, "problem", &text.replace(&test.home().display().to_string(), "[HOME]"));
    }
    doctor(&test.clone().env("AWS_VAULT_CACHE_DIR", "")).has(
        "cache.directory",
        "problem",
        "AWS_VAULT_CACHE_DIR is set but empty",
    );
    let cache = test.home().join(".cache/vault");
    std::fs::create_dir_all(&cache).expect("a cache");
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o777)).expect("its mode");
    let found = doctor(&test);
    found.has("cache.directory", "problem", "[HOME]/.cache/vault (the default) can be written by");
}

#[test]
fn the_holder_of_a_lock_is_reported() {
    let (standin, test) = usual();
    let mut name = test.vault_file().into_os_string();
    name.push(".lock");
    let mut lock = File::options().write(true).truncate(true).open(name).expect("the lock file");
    lock.write_all(b"4711\n").expect("a pid");
    lock.lock().expect("the lock");
    doctor(&test).has("vault.lock", "note", "process 4711 is writing the vault");
    lock.unlock().expect("no lock");
    assert_eq!(doctor(&test).of("vault.lock"), []);

    standin.fail_next(Fault::HangForever);
    let mut holder = test.command(["exec", "--json", "demo"]).start();
    let deadline = Instant::now() + Duration::from_secs(30);
    while standin.log().matches("GetSessionToken").count() < 1 {
        assert!(Instant::now() < deadline, "no call");
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = format!("process {} holds the lock of a session", holder.id());
    doctor(&test).has("cache.lock", "note", &text);
    holder.kill().and_then(|()| holder.wait()).expect("its end");
    assert_eq!(doctor(&test).of("cache.lock"), []);
}

// AWS.

#[test]
fn a_clock_that_is_off_is_reported() {
    let (standin, test) = usual();
    standin.move_clock(95);
    let (mark, text) = doctor(&test).of("clock.offset").remove(0);
    assert_eq!(mark, "problem");
    assert!(text.contains(" s behind AWS's; set it"), "{text}");
    standin.move_clock(-190);
    let (_, text) = doctor(&test).of("clock.offset").remove(0);
    assert!(text.contains(" s ahead of AWS's; set it"), "{text}");
}

#[test]
fn an_aws_that_does_not_answer_is_not_waited_for() {
    let (standin, test) = usual();
    standin.fail_always(Some(Fault::HangForever));
    let start = Instant::now();
    doctor(&test).has("clock.offset", "note", "unknown: ");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn mistakes_in_the_aws_files_are_reported() {
    let (_standin, test) = usual();
    let found = doctor(&test.clone().config("[demo]\n[profile my profile]\n"));
    assert_eq!(found.of("aws.section").len(), 2, "{:?}", found.of("aws.section"));
    let odd = "[profile x]\nregion = a # b\n[profile x]\nregion = a\nodd\n";
    let found = doctor(&test.clone().config(odd));
    let said = ["aws.cli", "aws.comment"].map(|check| found.of(check)).concat();
    let said: Vec<_> = said.iter().map(|(mark, text)| format!("{mark} {text}")).collect();
    assert_eq!(
        said,
        [
            "problem [HOME]/.aws/config line 3: [profile x] is repeated; the AWS CLI refuses the file",
            "problem [HOME]/.aws/config line 4: region is repeated; the AWS CLI refuses the file",
            "problem [HOME]/.aws/config line 5: is not understood, and the AWS CLI refuses the file",
            "note [HOME]/.aws/config line 2: behind region, the AWS CLI reads the comment as part \
             of the value",
        ]
    );
    doctor(&test.clone().file(".aws/config", b"[profile x]\n\xff\n", 0o600)).has(
        "aws.config",
        "problem",
        "cannot read [HOME]/.aws/config: line 2 is not UTF-8",
    );
    let test = test.file(".aws/config", "[profile demo]\n", 0o622);
    doctor(&test).has("aws.mode", "problem", "others can write ");
    let test = test.file(".aws/config", "[profile demo]\n", 0o644);
    let test = test.file(".aws/credentials", "[plain]\n", 0o644);
    doctor(&test).has("aws.mode", "note", "others can read ");
}

#[test]
fn what_is_left_of_a_device_is_reported_and_not_used() {
    let (_standin, test) = usual();
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let left = || {
        let found = doctor(&test).0;
        let all = found["findings"].as_array().expect("findings").clone();
        let own = all.iter().find(|finding| finding["check"] == "mfa.budget").expect("a device");
        own["facts"]["left"].as_u64().expect("a number")
    };
    assert_eq!(left(), 6);
    for _ in 0..2 {
        test.command(["totp", "code", MFA_SERIAL]).run();
    }
    // A window of three minutes may have ended meanwhile.
    let after = left();
    assert!((4..=6).contains(&after), "{after}");
    assert!(left() >= after);
}

// Secrets.

#[test]
fn variables_that_others_can_read_are_reported_and_not_their_values() {
    let (_standin, test) = usual();
    let vault = env!("CARGO_BIN_EXE_vault");
    let script = "echo $$; \"$0\" doctor --json; exit";
    let output = test.command(["-c", script, vault]).program("sh").run();
    let (pid, json) = output.stdout.split_once('\n').expect("a line");
    let found = Findings(serde_json::from_str(json).expect("JSON"));
    let text = format!("AWS_VAULT_AGE_KEY is in the environment of process {pid} (sh)");
    found.has("environ.ancestor", "note", &text);
    found.has("environ.own", "ok", "");
    assert!(!output.stdout.contains(AGE_KEY));
}

#[test]
fn no_secret_is_in_any_report() {
    let (_standin, test) = usual();
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let mistaken = test
        .clone()
        .env("AWS_VAULT_AGE_KEY_FILE", AGE_KEY)
        .env("AWS_VAULT_PASSPHRASE", PASSPHRASE)
        .aws_credentials(&format!("[plain]\naws_secret_access_key = {SECRET_ACCESS_KEY}\n[x\n"));
    let locked = mistaken.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY.replace("Q9", "9Q"));
    for test in [&test, &mistaken, &locked, &locked.clone().env_remove("AWS_VAULT_AGE_KEY")] {
        for flags in [&["doctor", "--debug"][..], &["doctor", "--json", "--debug"]] {
            let output = test.command(flags).any_status().run();
            for secret in [AGE_KEY, &AGE_KEY[20..40], PASSPHRASE, MFA_SEED, SECRET_ACCESS_KEY] {
                let text = format!("{}{}", output.stdout, output.stderr);
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
    }
}

#[test]
fn what_the_environment_offers_is_shown_without_what_is_secret_in_it() {
    let (_standin, test) = usual();
    let found = doctor(&test);
    assert_eq!((found.of("aws.identity").len(), found.of("aws.container").len()), (0, 0));
    let token = test.home().join("token");
    let test = test.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    let without = "AWS_WEB_IDENTITY_TOKEN_FILE has no effect without AWS_ROLE_ARN";
    doctor(&test).has("aws.identity", "note", without);
    let test = test.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy");
    let none = "no web identity token in [HOME]/token (AWS_WEB_IDENTITY_TOKEN_FILE): no such file";
    doctor(&test).has("aws.identity", "problem", none);
    let test = test.file("token", "a.b.c", 0o600);
    doctor(&test).has("aws.identity", "ok", "a web identity token in [HOME]/token, for profiles");
    let test = test.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/secret");
    let found = doctor(&test);
    found.has("aws.container", "ok", "a container's agent at http://169.254.170.2, for");
    assert!(!found.0.to_string().contains("v2/credentials"), "{}", found.0);
    let test = test.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "secret");
    doctor(&test).has(
        "aws.container",
        "problem",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: not a path",
    );
}

#[test]
fn a_profile_that_needs_no_vault_makes_none_a_note() {
    let standin = scene::sts();
    let test = Test::new()
        .standin(&standin)
        .file("token", "a.b.c", 0o600)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy");
    let found = doctor(&test);
    assert_eq!(found.0["well"], true, "{}", found.0);
    found.has("vault.file", "note", "no vault at [HOME]/.local/share/vault/vault.age, and the");
    found.has("aws.source", "ok", "profile default: credentials from a web identity's token");
    // But one that was named has to be there, and what was named has to open it.
    let named = test.clone().env("AWS_VAULT_FILE", "/nonexistent/vault.age");
    doctor(&named).has("vault.file", "problem", "no vault at /nonexistent/vault.age");
    let open = test.vault_with("default");
    let source = "profile default: credentials from the vault";
    doctor(&open).has("aws.source", "ok", source);
    let shut = open.clone().env_remove("AWS_VAULT_AGE_KEY");
    doctor(&shut).has(
        "unlock.open",
        "note",
        "no key to open the vault with, and the profile needs",
    );
    doctor(&open.env("AWS_VAULT_AGE_KEY", "")).has("unlock.open", "problem", "AWS_VAULT_AGE_KEY");
}
