//! `vault unlock` and `vault lock`: a vault with a passphrase opens without it for a time, out of the
//! kernel's keyring.
//!
//! All tests share the user's keyring. A slot's salt is in the name of what is kept there, so that
//! each has its own. Where there is no keyring, as in a container, only those run that need none.

use std::time::{Duration, Instant};

use serde_json::Value;
use vault::clock::{Clock, Timestamp};
use vault::os::keyring;

use crate::faults::inject;
use crate::support::builder::Test;
use crate::support::scene;
use crate::support::{AGE_KEY, AGE_RECIPIENT, PASSPHRASE};
use crate::unlock::{WAYS, vault};

const SOON: Duration = Duration::from_secs(30);
const BY_FILE: [&str; 2] = ["--passphrase-file", "passphrase"];
const NOTHING: &str = "vault: error: no key to open the vault with\n";

/// True if the kernel lets tests at its keyring; else what needs it is not tested.
pub fn keyring_is_here() -> bool {
    let found = keyring::find("vault-test:probe", 1);
    if let Err(why) = &found {
        eprintln!("not tested: {why:?}");
    }
    found.is_ok()
}

/// What is kept of the vault's passphrase, as /proc/keys shows it.
#[derive(Debug, PartialEq)]
struct Kept {
    serial: String,
    left: String,
    permissions: String,
}

fn kept(test: &Test) -> Option<Kept> {
    let slots = vault::vault::slot_names(&test.vault_file()).expect("a vault");
    let [slot] = &slots[..] else { panic!("one slot") };
    let keys = std::fs::read_to_string("/proc/keys").expect("/proc/keys");
    keys.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [serial, flags, _links, left, permissions, ..] = words[..] else { return None };
        // What was wiped (i) or has ended is listed until the kernel's collector comes.
        let is_over = flags.contains('i') || left == "expd";
        let is_it = line.contains(&format!(" vault:{slot}: ")) && !is_over;
        let [serial, left, permissions] = [serial, left, permissions].map(str::to_owned);
        is_it.then_some(Kept { serial, left, permissions })
    })
}

#[track_caller]
fn unlock(test: &Test) {
    let output = test.command(["unlock"]).args(BY_FILE).expect_stderr("").run();
    assert!(output.stdout.starts_with("Unlocked for 1h, until "), "{}", output.stdout);
}

/// Nothing is at hand that opens it, and it opens.
#[track_caller]
fn is_unlocked(test: &Test) {
    let said = "vault: debug: [HOME]/.local/share/vault/vault.age opened by the kernel's keyring\n";
    let list = test.command(["--debug", "list", "--credentials"]);
    list.expect_stdout("demo\n").expect_stderr(said).run();
}

#[track_caller]
fn is_locked(test: &Test) {
    test.command(["list"]).expect_error(4, &format!("{NOTHING}{WAYS}")).run();
}

#[test]
fn it_opens_without_its_passphrase_until_it_is_locked() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    is_locked(&test);
    test.command(["lock"]).expect_stdout("It was not unlocked\n").expect_stderr("").run();
    let before = Clock::system().now();
    let output = test.command(["unlock", "--for", "90m"]).args(BY_FILE).expect_stderr("").run();
    let until = output.stdout.strip_prefix("Unlocked for 1h30m, until ").map(str::trim_end);
    let until = until.and_then(Timestamp::parse).expect(&output.stdout);
    assert!((5400..5430).contains(&until.seconds_since(before)), "{}", output.stdout);
    is_unlocked(&test);
    // As cron starts it: no terminal, another session. It can be written, too.
    let json = test.command(["exec", "--no-session", "--json", "demo"]).expect_stderr("").run();
    assert!(json.stdout.contains("AKIAIOSFODNN7EXAMPLE"), "{}", json.stdout);
    test.clone().stored(
        "second",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    );
    test.command(["list", "--credentials"]).expect_stdout("demo\nsecond\n").expect_stderr("").run();

    // Nobody needs a key to lock it.
    test.command(["lock"]).expect_stdout("Locked\n").expect_stderr("").run();
    is_locked(&test);
    assert_eq!(kept(&test), None);
    test.command(["lock"]).expect_stdout("It was not unlocked\n").expect_stderr("").run();
}

#[test]
fn cached_sessions_are_served_to_sdks() {
    if !keyring_is_here() {
        return;
    }
    let standin = scene::sts();
    let test = vault().config(scene::PROFILES).standin(&standin);
    unlock(&test);
    let run = test.command(["exec", "--json", "role"]).expect_stderr("");
    let first = run.run();
    assert_eq!(run.run().raw_stdout, first.raw_stdout);
    assert_eq!(standin.calls().len(), 1, "{}", standin.log());
    test.command(["lock"]).run();
    run.command(["exec", "--json", "role"]).expect_error(4, &format!("{NOTHING}{WAYS}")).run();
}

#[test]
fn it_ends_at_its_time() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    test.command(["unlock", "--for", "1s"]).args(BY_FILE).run();
    let deadline = Instant::now() + SOON;
    while test.command(["list"]).any_status().run().status != 4 {
        assert!(Instant::now() < deadline, "it does not end");
    }
    is_locked(&test);
    assert_eq!(kept(&test), None);
    test.command(["lock"]).expect_stdout("It was not unlocked\n").run();
}

#[test]
fn a_person_types_the_passphrase_even_beside_a_default_key() {
    if !keyring_is_here() {
        return;
    }
    let test = vault().file(".config/vault/identity.txt", AGE_KEY, 0o600);
    let mut pty = test.command(["unlock", "--for", "2h"]).pty();
    pty.expect("Enter passphrase for ", SOON);
    pty.send("wrong");
    pty.expect("Wrong passphrase, try again.", SOON);
    pty.send(PASSPHRASE);
    pty.expect("Unlocked for 2h, until ", SOON);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
    assert!(!screen.contains(PASSPHRASE), "{screen}");
    // The key comes first, as a default source; then what was unlocked; then the prompt.
    let said = |by| format!("vault: debug: [HOME]/.local/share/vault/vault.age opened by {by}\n");
    let list = test.command(["--debug", "list", "--credentials"]);
    let by_file = said("[HOME]/.config/vault/identity.txt");
    list.clone().expect_stderr(by_file).run();
    std::fs::remove_file(test.home().join(".config/vault/identity.txt")).expect("the key");
    let screen = format!("{}demo\n", said("the kernel's keyring"));
    let shown = test.placeholders(list.pty().end(SOON).1.as_bytes());
    assert_eq!(shown, screen);
    test.command(["lock"]).run();
}

#[test]
fn the_passphrase_comes_from_wherever_it_opens_the_vault() {
    if !keyring_is_here() {
        return;
    }
    let test = vault().file("credentials/vault.passphrase", PASSPHRASE, 0o400);
    let directory = test.home().join("credentials");
    for (name, value) in [
        ("AWS_VAULT_PASSPHRASE", PASSPHRASE.as_ref()),
        ("AWS_VAULT_PASSPHRASE_FILE", "passphrase".as_ref()),
        ("AWS_VAULT_FILE_PASSPHRASE", PASSPHRASE.as_ref()),
        ("CREDENTIALS_DIRECTORY", directory.as_os_str()),
    ] {
        test.command(["unlock"]).env(name, value).expect_stderr("").run();
        is_unlocked(&test);
        test.command(["lock"]).expect_stdout("Locked\n").run();
    }
    let wrong = "vault: error: the passphrase does not open this vault\n\
                 vault: hint: tried AWS_VAULT_PASSPHRASE\n";
    let run = test.command(["unlock"]).env("AWS_VAULT_PASSPHRASE", "wrong");
    run.expect_error(4, wrong).run();
    assert_eq!(kept(&test), None);
}

#[test]
fn unlocking_again_asks_for_the_passphrase_again_and_sets_another_end() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    unlock(&test);
    let first = kept(&test).expect("a key");
    let none = "vault: error: no passphrase to unlock the vault with\n\
                vault: hint: give it with --passphrase-file FILE, AWS_VAULT_PASSPHRASE or \
                AWS_VAULT_PASSPHRASE_FILE, or run this on a terminal\n";
    // Else a job could put the end off for ever, whoever was there once.
    test.command(["unlock", "--for", "24h"]).expect_error(4, none).run();
    // What is left is told in whole minutes, hours or days.
    let still = kept(&test).expect("a key");
    assert_eq!(still.serial, first.serial);
    assert!(["1h", "59m"].contains(&&*still.left), "{still:?}");
    let args = ["unlock", "--for", "24h"];
    test.command(args).args(BY_FILE).expect_stderr("").run();
    is_unlocked(&test);
    // The old one is listed until the kernel's collector comes.
    let deadline = Instant::now() + SOON;
    while !["1d", "23h"].contains(&&*kept(&test).expect("a key").left) {
        assert!(Instant::now() < deadline, "{:?}", kept(&test));
    }
    test.command(["lock"]).run();
}

#[test]
fn a_vault_that_cannot_be_unlocked_is_an_error() {
    let test = vault();
    let usage = |words: &[&str], error: &str| {
        test.command(["unlock"]).args(words).expect_error(2, error).run();
    };
    usage(
        &["--for", "25h"],
        "vault: error: --for: 24h at most\n\
         vault: hint: for longer, give it a key: vault recipient add\n",
    );
    for bad in ["1", "0s", "-5m", "soon"] {
        usage(
            &["--for", bad],
            "vault: error: --for: not a duration\n\
             vault: hint: give a number with its unit, such as 30m, 12h or 1h30m\n",
        );
    }
    if !keyring_is_here() {
        return;
    }
    let hint = "vault: hint: a key from a flag or variable outranks an unlocked vault: leave out \
        the flag or unset the variable\n";
    let error = "vault: error: vault unlock needs the passphrase, but key is a key\n";
    usage(&["-i", "key"], &format!("{error}{hint}"));
    let error = "vault: error: vault unlock needs the passphrase, but AWS_VAULT_AGE_KEY is a key\n";
    let run = test.command(["unlock"]).env("AWS_VAULT_AGE_KEY", AGE_KEY);
    run.expect_error(2, &format!("{error}{hint}")).run();

    let by_key = Test::new().vault_with("demo").env_remove("AWS_VAULT_AGE_KEY");
    let none = "vault: error: the vault has no passphrase\n\
                vault: hint: only keys open it, so there is nothing to unlock\n";
    by_key.command(["unlock"]).expect_error(3, none).run();
    by_key.command(["lock"]).expect_stdout("It was not unlocked\n").expect_stderr("").run();
    let none = "vault: error: no vault at [HOME]/nowhere\n\
                vault: hint: make one with vault init, or name it with --vault or AWS_VAULT_FILE\n";
    let none = none.replace("[HOME]/", "");
    let with = "make one: vault init --vault nowhere --generate-identity \
                [HOME]/.config/vault/identity.txt; or";
    let unlock = none.replace("make one with vault init, or", with);
    test.command(["--vault", "nowhere", "unlock"]).expect_error(3, &unlock).run();
    test.command(["--vault", "nowhere", "lock"]).expect_error(3, &none).run();
}

#[test]
fn what_is_named_comes_first_and_nothing_else_is_tried() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    unlock(&test);
    let wrong = test.command(["list"]).env("AWS_VAULT_PASSPHRASE", "wrong");
    let error = "vault: error: the passphrase does not open this vault\n\
                 vault: hint: tried AWS_VAULT_PASSPHRASE\n";
    wrong.expect_error(4, error).run();
    let error = "vault: error: no key opens this vault\nvault: hint: tried other\n";
    test.command(["-i", "other", "list"]).expect_error(4, error).run();
    is_unlocked(&test);
    test.command(["lock"]).run();
}

#[test]
fn another_vault_with_the_same_passphrase_is_not_unlocked() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    unlock(&test);
    let flags = ["--vault", "second.age"];
    let init = ["init", "-r", AGE_RECIPIENT, "--passphrase"];
    test.command(flags).args(init).args(BY_FILE).run();
    let list = test.command(flags).arg("list");
    list.expect_error(4, &format!("{NOTHING}{WAYS}")).run();
    // A copy of the same vault is the same vault.
    std::fs::copy(test.vault_file(), test.home().join("copy.age")).expect("a copy");
    test.command(["--vault", "copy.age", "list", "--credentials"]).expect_stdout("demo\n").run();
    test.command(["--vault", "copy.age", "lock"]).expect_stdout("Locked\n").run();
    is_locked(&test);
}

#[test]
fn another_passphrase_and_none_end_it_for_old_copies_too() {
    if !keyring_is_here() {
        return;
    }
    for change in
        [&["passphrase", "set", "--new-passphrase-file", "new"][..], &["passphrase", "rm", "-f"]]
    {
        let test = vault().file("new", "a new passphrase", 0o600);
        std::fs::copy(test.vault_file(), test.home().join("old.age")).expect("a copy");
        unlock(&test);
        // What was unlocked is enough to change the passphrase, as any way in is.
        test.command(change).run();
        let run = test.command(["list"]).any_status().run();
        assert_eq!((run.status, run.stderr.starts_with(NOTHING)), (4, true), "{}", run.stderr);
        let old = test.command(["--vault", "old.age", "--no-input", "list"]);
        old.expect_error(4, &format!("{NOTHING}{WAYS}")).run();
    }
    // The vault's own keys anew: whoever could open it still can.
    let test = vault();
    unlock(&test);
    test.command(["rekey"]).run();
    is_unlocked(&test);
    test.command(["lock"]).run();
}

#[test]
fn it_is_off_unless_asked_for() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    test.command(BY_FILE).args(["exec", "-n", "demo", "true"]).run();
    test.command(["list"]).env("AWS_VAULT_PASSPHRASE", PASSPHRASE).run();
    assert_eq!(kept(&test), None);
    is_locked(&test);
}

#[test]
fn a_vault_with_another_fingerprint_is_neither_unlocked_nor_opened() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    let pin = format!("SHA256:{}", "A".repeat(43));
    let refused = |words: &[&str]| {
        let run = test.command(["--pin", &pin]).args(words).any_status().run();
        assert_eq!((run.status, &*run.stdout), (6, ""), "{}", run.stderr);
    };
    refused(&["unlock", "--passphrase-file", "passphrase"]);
    assert_eq!(kept(&test), None);
    unlock(&test);
    refused(&["list"]);
    test.command(["lock"]).run();
}

#[test]
fn what_does_not_belong_there_opens_nothing() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    let [slot] = &vault::vault::slot_names(&test.vault_file()).unwrap()[..] else { panic!() };
    let name = format!("vault:{slot}");
    // Not of that form: as if it were not there.
    for length in [1, 39, 41, 4096] {
        keyring::keep(&name, &vec![7; length], 60).unwrap();
        is_locked(&test);
    }
    // A slot's key that no stanza of the header is for.
    keyring::keep(&name, &[7; 40], 60).unwrap();
    let error = "vault: error: the passphrase opens its slot, but the vault's header has no stanza \
                 for it\n\
                 vault: hint: that is [HOME]/.local/share/vault/vault.age: put a backup in its place, or \
                 name another file with --vault\n";
    test.command(["list"]).expect_error(5, error).run();
    test.command(["lock"]).expect_stdout("Locked\n").run();
}

#[test]
fn doctor_shows_until_when() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    let source = |test: &Test| {
        let output = test.command(["doctor", "--json"]).any_status().run();
        let all: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let own = |finding: &&Value| finding["facts"]["line"] == 8;
        all["findings"].as_array().and_then(|all| all.iter().find(own)).expect("line 8").clone()
    };
    assert_eq!(source(&test)["text"], "8 the kernel's keyring: absent");
    unlock(&test);
    let used = source(&test);
    let until = used["facts"]["until"].as_str().expect("a time");
    assert!(Timestamp::parse(until).is_some_and(|until| until > Clock::system().now()), "{until}");
    assert_eq!(used["text"], format!("8 the kernel's keyring: used, until {until}"));
    assert_eq!((&used["mark"], &used["facts"]["state"]), (&"ok".into(), &"used".into()));
    let found = source(&test.clone().file(".config/vault/identity.txt", AGE_KEY, 0o600));
    let text = "8 the kernel's keyring: present, not needed: an earlier one opens it, until ";
    assert!(found["text"].as_str().is_some_and(|found| found.starts_with(text)), "{found}");
    std::fs::remove_file(test.home().join(".config/vault/identity.txt")).expect("the key");
    let named = source(&test.clone().env("AWS_VAULT_PASSPHRASE", PASSPHRASE));
    let text = "8 the kernel's keyring: present, not tried: a source with a lower line number is \
        used, until ";
    assert!(named["text"].as_str().is_some_and(|found| found.starts_with(text)), "{named}");
    test.command(["lock"]).run();
}

const CALLS: [libc::c_long; 3] = [libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key];

#[test]
fn where_the_keyring_is_forbidden_it_says_so_and_the_rest_works() {
    // As Docker's default profile has it, and as a kernel without keyrings.
    for (errno, why) in
        [(libc::EPERM, "operation not permitted"), (libc::ENOSYS, "function not implemented")]
    {
        let test = vault().refuse(&CALLS, errno);
        let error = format!(
            "vault: error: the kernel's keyring is not available: {why}\n\
             vault: hint: seccomp profiles of containers forbid it; give the key or the passphrase to \
             each run\n"
        );
        for words in [&["unlock", "--passphrase-file", "passphrase"][..], &["lock"]] {
            test.command(words).expect_error(6, &error).run();
        }
        // Said before anybody is asked.
        let (status, screen) = test.command(["unlock"]).pty().end(SOON);
        assert_eq!((status, screen), (6, error));
        // What does not need it says nothing of it.
        let list = ["list", "--credentials"];
        test.command(list).args(BY_FILE).expect_stdout("demo\n").expect_stderr("").run();
        let around = test.clone().file(".config/vault/identity.txt", AGE_KEY, 0o600);
        around.command(list).expect_stdout("demo\n").expect_stderr("").run();
        std::fs::remove_file(test.home().join(".config/vault/identity.txt")).expect("the key");
        is_locked(&test);
        let mut pty = test.command(list).pty();
        pty.expect("Enter passphrase for ", SOON);
        pty.send(PASSPHRASE);
        pty.expect("demo\n", SOON);
        assert_eq!(pty.end(SOON).0, 0);
        let said = format!("vault: debug: the kernel's keyring is not available: {why}\n");
        let run = test.command(["--debug", "list"]);
        run.expect_error(4, &format!("{said}{NOTHING}{WAYS}")).run();
        let line = format!("ok       unlock  8 the kernel's keyring: not available: {why}\n");
        let output = test.command(["doctor", "-v"]).any_status().run();
        assert!(output.stdout.contains(&line), "{}", output.stdout);
    }
}

#[test]
fn a_full_keyring_is_an_error() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    let full = "vault: error: the kernel's keyring has no room left for this user\n\
                vault: hint: keyctl show @u lists what is in it; its limits are in \
                /proc/sys/kernel/keys\n";
    let run = test.clone().refuse(&[libc::SYS_add_key], libc::EDQUOT);
    run.command(["unlock"]).args(BY_FILE).expect_error(6, full).run();
    assert_eq!(kept(&test), None);
}

#[test]
#[ignore = "needs strace"]
fn killed_or_failing_at_any_call_it_leaves_no_key_without_its_end() {
    if !keyring_is_here() {
        return;
    }
    let test = vault();
    let run = test.command(["unlock"]).args(BY_FILE);
    // The search for what is there; the key's making, end, permissions, link and unlink.
    let calls =
        [("keyctl", 1), ("add_key", 1), ("keyctl", 2), ("keyctl", 3), ("keyctl", 4), ("keyctl", 5)];
    for (name, nth) in calls {
        for how in ["signal=KILL", "error=ENOMEM", "error=EACCES"] {
            let what = format!("{name}:{how}:when={nth}");
            let output = inject::inject(&run, &what);
            // Once it is linked, it is kept.
            let kept_by_then = nth == 5 && !how.starts_with("signal");
            assert_eq!(output.status == 0, kept_by_then, "{what}: {}", output.stderr);
            // It is whole or not there. The keyring of a dead thread goes with the kernel's collector.
            let deadline = Instant::now() + SOON;
            let whole = |key: &Kept| {
                ["1h", "59m"].contains(&key.left.as_str()) && key.permissions == "001b0000"
            };
            while let Some(key) = kept(&test).filter(|key| !whole(key)) {
                assert!(Instant::now() < deadline, "{what}: {key:?}");
            }
            match output.status {
                0 => is_unlocked(&test),
                _ if kept(&test).is_none() => is_locked(&test),
                _ => {}
            }
            test.command(["lock"]).run();
        }
    }
    // And there are no more calls than these.
    let (_, all) = inject::record(&run);
    let ours = all.iter().filter(|call| ["keyctl", "add_key"].contains(&&*call.name)).count();
    assert_eq!(ours, calls.len());
    test.command(["lock"]).run();
}
