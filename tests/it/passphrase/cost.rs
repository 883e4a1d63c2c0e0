//! A passphrase that costs more than is accepted unasked: where it opens the vault all the same.

use std::time::Duration;

use vault::sealed::{self, Cost, DerivationQueue, Slot};
use vault::secret::Secret;

use crate::support::builder::Test;
use crate::support::{AGE_KEY, AGE_RECIPIENT, PASSPHRASE};
use crate::unlock_once::keyring_is_here;
use crate::vault_file::{payload_of, plaintext_of};

const SOON: Duration = Duration::from_secs(30);
const LIST: [&str; 2] = ["list", "--credentials"];
const COSTS: &str = "vault: warning: each unlocking by passphrase takes 257 MiB: a container with less \
    memory is killed while it tries\n\
    vault: warning: more than 256 MiB are not accepted unasked: other machines open the vault by this \
    passphrase with --max-passphrase-memory 257 or AWS_VAULT_MAX_PASSPHRASE_MEMORY=257, the first time \
    at least\n";
const REFUSED: &str = "vault: error: the cost of the vault's passphrase is over the limit: 257 MiB, and \
    771 MiB times passes in all, instead of 256 and 1024\n\
    vault: hint: if the vault was created with it, give --max-passphrase-memory 257 or \
    AWS_VAULT_MAX_PASSPHRASE_MEMORY=257; if not, its header is forged\n";

/// A vault with `demo` for a passphrase of 257 MiB, which is given, and for [`AGE_KEY`], which is not.
fn strong() -> Test {
    let test = Test::new().file("word", PASSPHRASE, 0o600);
    let words = ["init", "--passphrase", "--passphrase-memory", "257", "--passphrase-file", "word"];
    let init = test.command(words).args(["-r", AGE_RECIPIENT]);
    let stderr = init.run().stderr;
    assert!(stderr.starts_with(COSTS), "{stderr}");
    test.vault_with("demo").env_remove("AWS_VAULT_AGE_KEY").env("AWS_VAULT_PASSPHRASE", PASSPHRASE)
}

/// The same on a machine that has not seen it yet.
fn elsewhere(test: &Test, machine: &str) -> Test {
    test.clone().env("XDG_STATE_HOME", test.home().join(machine))
}

#[track_caller]
fn opens(test: &Test, flags: &[&str]) {
    test.command(LIST).args(flags).expect_stdout("demo\n").expect_stderr("").run();
}

#[track_caller]
fn refuses(test: &Test, flags: &[&str]) {
    test.command(LIST).args(flags).expect_error(6, REFUSED).run();
}

#[test]
fn it_opens_where_it_was_made_and_elsewhere_once_it_was_accepted() {
    let test = strong();
    opens(&test, &[]);
    let second = elsewhere(&test, "second");
    refuses(&second, &[]);
    refuses(&second, &["--max-passphrase-memory", "256"]);
    opens(&second, &["--max-passphrase-memory", "256", "--max-passphrase-memory", "257"]);
    opens(&second, &[]);
    // What it opened before is accepted, whatever it costs.
    opens(&second, &["--max-passphrase-memory", "64"]);
    let third = elsewhere(&test, "third");
    opens(&third.clone().env("AWS_VAULT_MAX_PASSPHRASE_MEMORY", "1024"), &[]);
    opens(&third, &[]);
}

#[test]
fn a_key_opens_the_vault_beside_it_everywhere() {
    let test = elsewhere(&strong(), "elsewhere").file("key", AGE_KEY, 0o600);
    opens(&test, &["-i", "key"]);
    refuses(&test, &[]);
    // Default sources are tried in their order: one that is refused stops no other.
    let around = test.clone().file("around/vault.passphrase", PASSPHRASE, 0o600);
    let around = around.env_remove("AWS_VAULT_PASSPHRASE");
    let around = around.env("CREDENTIALS_DIRECTORY", test.home().join("around"));
    refuses(&around, &[]);
    opens(&around.file(".config/vault/identity.txt", AGE_KEY, 0o600), &[]);
}

#[test]
fn without_a_place_to_remember_it_is_accepted_each_time() {
    let test = strong().env("XDG_STATE_HOME", "/dev/null/state");
    let warnings = ["the vault's fingerprint", "the passphrase's cost"].map(|what| {
        format!(
            "vault: warning: {what} cannot be remembered in /dev/null/state/vault: not a directory\n"
        )
    });
    for _ in 0..2 {
        refuses(&test, &[]);
        let accepted = test.command(LIST).env("AWS_VAULT_MAX_PASSPHRASE_MEMORY", "257");
        accepted.expect_stdout("demo\n").expect_stderr(warnings.concat()).run();
    }
}

#[test]
fn the_same_slot_stays_accepted_with_any_writer_of_the_vault() {
    let test = strong();
    let other = elsewhere(&test, "other");
    opens(&other, &["--max-passphrase-memory", "257"]);
    // By a key, and the first machine writes it as well.
    let by_key = test.clone().env_remove("AWS_VAULT_PASSPHRASE").env("AWS_VAULT_AGE_KEY", AGE_KEY);
    by_key.command(["rekey"]).run();
    test.command(["recipient", "add", crate::recipient::OTHER]).run();
    let pin = payload_of(test.vault_file()).pin().to_string();
    let other = other.env("AWS_VAULT_PIN", &pin);
    opens(&other, &[]);
    std::fs::rename(test.vault_file(), test.home().join("moved.age")).unwrap();
    opens(&other, &["--vault", "moved.age"]);
    std::fs::rename(test.home().join("moved.age"), test.vault_file()).unwrap();

    // The same passphrase anew is another slot.
    let set = ["passphrase", "set", "--new-passphrase-file", "word", "--passphrase-memory", "257"];
    let said = by_key.command(set).run().stderr;
    assert!(said.starts_with(COSTS), "{said}");
    opens(&test, &[]);
    let pin = payload_of(test.vault_file()).pin().to_string();
    refuses(&other.env("AWS_VAULT_PIN", pin), &[]);
}

#[test]
fn what_did_not_prove_genuine_is_not_remembered() {
    let test = elsewhere(&strong(), "elsewhere");
    let genuine = test.read(test.vault_file());
    let mac = genuine.windows(5).position(|at| at == b"\n--- ").expect("a header") + 5;
    let mut header = genuine.clone();
    header[mac] = if header[mac] == b'A' { b'B' } else { b'A' };
    let mut content = genuine.clone();
    *content.last_mut().unwrap() ^= 1;
    for (file, what) in [
        (header, "the vault's header is damaged: it is not authentic"),
        (content, "the vault's content is damaged or cut short"),
    ] {
        std::fs::write(test.vault_file(), file).unwrap();
        let list = test.command(LIST).args(["--max-passphrase-memory", "257"]);
        let hint = "that is [HOME]/.local/share/vault/vault.age: put a backup in its place, or name \
                    another file with --vault";
        list.expect_error(5, &format!("vault: error: {what}\nvault: hint: {hint}\n")).run();
    }
    // Neither is one that another passphrase was tried on, nor one that is not the pinned vault.
    std::fs::write(test.vault_file(), &genuine).unwrap();
    let list = test.command(LIST).args(["--max-passphrase-memory", "257"]);
    list.clone().env("AWS_VAULT_PASSPHRASE", "another").expect_status(4).run();
    list.args(["--pin", &format!("SHA256:{}", "A".repeat(43))]).expect_status(6).run();
    refuses(&test, &[]);
}

#[test]
fn no_prompt_asks_for_what_would_be_refused() {
    let test = elsewhere(&strong(), "elsewhere").env_remove("AWS_VAULT_PASSPHRASE");
    let (status, screen) = test.command(LIST).pty().end(SOON);
    assert_eq!((status, screen.replace("\r\n", "\n").as_str()), (6, REFUSED));
    let mut pty = test.command(LIST).args(["--max-passphrase-memory", "257"]).pty();
    pty.expect("Enter passphrase for ", SOON);
    pty.send(PASSPHRASE);
    assert_eq!(pty.end(SOON).0, 0);
    // From now on it is asked for without.
    let mut pty = test.command(LIST).pty();
    pty.expect("Enter passphrase for ", SOON);
    pty.send("a wrong one");
    pty.expect("Wrong passphrase, try again. ", SOON);
    pty.send(PASSPHRASE);
    assert_eq!(pty.end(SOON).0, 0);
}

#[test]
fn doctor_says_what_a_passphrase_would_cost() {
    let test = elsewhere(&strong(), "elsewhere");
    let error = REFUSED.lines().next().unwrap().trim_start_matches("vault: error: ");
    let doctor = |flags: &[&str]| {
        let run = test.command(["doctor", "--json"]).args(flags).any_status().run();
        run.stdout.contains(error)
    };
    assert!(doctor(&[]));
    assert!(!doctor(&["--max-passphrase-memory", "257"]));
    // It has only looked.
    assert!(doctor(&[]));
    opens(&test, &["--max-passphrase-memory", "257"]);
    assert!(!doctor(&[]));
}

#[test]
fn to_unlock_for_a_time_costs_the_same_and_what_is_unlocked_nothing() {
    if !keyring_is_here() {
        return;
    }
    let test = elsewhere(&strong(), "elsewhere");
    test.command(["unlock"]).expect_error(6, REFUSED).run();
    test.command(["unlock", "--max-passphrase-memory", "257"]).expect_stderr("").run();
    let third = elsewhere(&test, "third").env_remove("AWS_VAULT_PASSPHRASE");
    opens(&third, &[]);
    test.command(["lock"]).run();
}

#[test]
fn a_value_that_is_none_is_an_error() {
    let test = Test::new().vault_with("demo");
    let bad = "vault: error: AWS_VAULT_MAX_PASSPHRASE_MEMORY is not a number from 64 to 1024\n\
               vault: hint: give it the MiB that the passphrase may cost, or unset it\n";
    let flag = |value: &str| {
        let shown = match value {
            "1GiB" | " 256" => "has a value that it cannot take".to_owned(),
            plain => format!("cannot take the value \"{plain}\""),
        };
        let what = "--max-passphrase-memory <MIB>";
        format!("vault: error: {what} {shown}\nvault: hint: see vault list --help\n")
    };
    for value in ["", "x", "1GiB", "-1", "63", "1025", "4294967296", "256.0", " 256"] {
        let list = test.command(LIST).env("AWS_VAULT_MAX_PASSPHRASE_MEMORY", value);
        list.expect_error(2, bad).run();
        // The flag outranks it.
        opens(
            &test.clone().env("AWS_VAULT_MAX_PASSPHRASE_MEMORY", value),
            &["--max-passphrase-memory", "256"],
        );
        if !value.is_empty() {
            let flagged = test.command(LIST).arg(format!("--max-passphrase-memory={value}"));
            flagged.expect_error(2, &flag(value)).run();
        }
    }
}

/// A vault with `demo`, for [`AGE_KEY`], and so many slots of the default cost, of which the last is
/// the passphrase's.
fn of_slots(count: u8) -> Test {
    let test = Test::new().vault_with("demo");
    let plaintext = plaintext_of(&test.read(test.vault_file())).unwrap();
    let word = Secret::new(PASSPHRASE.to_owned());
    let (last, public) = Slot::create(&word, Cost::default(), &DerivationQueue::none()).unwrap();
    let public = sealed::parse_recipient(&public).unwrap();
    let mut slots = Vec::new();
    for letter in b'B'..b'B' + count - 1 {
        let salt = char::from(letter).to_string().repeat(21) + "A";
        let other = last.to_text().replace(&last.name(), &salt);
        slots.push((public.clone(), Slot::parse(&other).unwrap()));
    }
    slots.push((public, last));
    let recipient = sealed::parse_recipient(AGE_RECIPIENT).unwrap();
    let file = sealed::seal(&plaintext, &[recipient], &slots, false).unwrap().bytes;
    std::fs::write(test.vault_file(), file).unwrap();
    test.env_remove("AWS_VAULT_AGE_KEY").env("AWS_VAULT_PASSPHRASE", PASSPHRASE)
}

#[test]
fn five_slots_of_the_default_cost_are_accepted_and_six_when_one_was_opened() {
    opens(&elsewhere(&of_slots(5), "elsewhere"), &[]);
    let test = elsewhere(&of_slots(6), "elsewhere");
    let refused = test.command(LIST).expect_status(6).expect_stdout("").run();
    assert!(refused.stderr.contains("--max-passphrase-memory 288 or"), "{}", refused.stderr);
    opens(&test, &["--max-passphrase-memory", "288"]);
    opens(&test, &[]);
    // The five that were not opened are tried after it, since together they are accepted.
    test.command(LIST).env("AWS_VAULT_PASSPHRASE", "another").expect_status(4).run();
}
