//! Keys under a passphrase of their own: ssh keys, and identity files as `age -p` makes them.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{OTHER_KEY, SOON, locked, vault};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, PASSPHRASE, SECRET_ACCESS_KEY};

pub const ED25519: &str = include_str!("../../../fixtures/ssh/test_ed25519_encrypted");
pub const ED25519_PUB: &str = include_str!("../../../fixtures/ssh/test_ed25519_encrypted.pub");
/// The passphrase of that key, and of the identity files here.
const WORD: &str = "test";
const KEY: &str = "Enter passphrase for the ssh key in key: ";
const FILE: &str = "Enter passphrase for the identity file key: ";
const AGAIN: &str = "Wrong passphrase, try again. ";

/// An identity file under a passphrase, at so much work.
pub fn identity_file(text: &str, word: &str, work: u8, armor: bool) -> Vec<u8> {
    use age::armor::{ArmoredWriter, Format};
    let mut recipient = age::scrypt::Recipient::new(word.to_owned().into());
    recipient.set_work_factor(work);
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let mut file = Vec::new();
    let format = if armor { Format::AsciiArmor } else { Format::Binary };
    let output = ArmoredWriter::wrap_output(&mut file, format).expect("armor");
    let mut writer = encryptor.expect("an encryptor").wrap_output(output).expect("a header");
    writer.write_all(text.as_bytes()).expect("the text");
    writer.finish().and_then(ArmoredWriter::finish).expect("an end");
    file
}

/// A vault that the ssh key in `key` opens, and the age key in `mine`.
fn for_ssh_key() -> Test {
    let test = Test::new().file("key", ED25519, 0o600).file("mine", AGE_KEY, 0o600);
    test.command(["init", "-r", ED25519_PUB, "-r", AGE_RECIPIENT]).run();
    let by_key = test.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    by_key.stored("demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY).env_remove("AWS_VAULT_AGE_KEY")
}

/// Runs `list` on a terminal, answers each question, and compares the screen.
#[track_caller]
fn asked(test: &Test, flags: &[&str], answers: &[(&str, &str)], status: i32, end: &str) {
    let mut pty = test.command(["list", "--credentials"]).args(flags).pty();
    let mut expected = String::new();
    for (question, answer) in answers {
        let question = question.replace("[HOME]", &test.home().display().to_string());
        pty.expect(&question, SOON);
        assert!(!pty.echoes());
        pty.send(answer);
        expected.push_str(&format!("{question}\n"));
    }
    assert_eq!(pty.end(SOON), (status, format!("{expected}{end}")));
}

#[test]
fn an_ssh_keys_passphrase_is_asked_for_on_a_terminal() {
    let test = for_ssh_key();
    asked(&test, &["-i", "key"], &[(KEY, WORD)], 0, "demo\n");
    let again = format!("{AGAIN}{KEY}");
    asked(&test, &["-i", "key"], &[(KEY, "wrong"), (&again, WORD)], 0, "demo\n");
    let refusal = "vault: error: the passphrase does not open the ssh key in key\n\
                   vault: hint: tried key\n";
    let wrong = [(KEY, "wrong"), (&again, "Test"), (&again, "test ")];
    asked(&test, &["-i", "key"], &wrong, 4, refusal);

    let by_variable = test.clone().env("AWS_VAULT_AGE_KEY", ED25519.trim_end().replace('\n', " "));
    let question = "Enter passphrase for the ssh key in AWS_VAULT_AGE_KEY: ";
    asked(&by_variable, &[], &[(question, WORD)], 0, "demo\n");
    let around = test.clone().file(".config/vault/identity.txt", ED25519, 0o600);
    let question = "Enter passphrase for the ssh key in [HOME]/.config/vault/identity.txt: ";
    asked(&around, &[], &[(question, WORD)], 0, "demo\n");
}

/// Without a terminal, and where none is wanted.
const ON_A_TERMINAL: &str = "vault: error: no key opens this vault: the ssh key in key has a \
    passphrase of its own\nvault: hint: a terminal prompts for it; elsewhere use a key without \
    a passphrase (ssh-keygen -p removes it from a copy)\n";

#[test]
fn no_prompt_without_a_terminal_or_in_vain() {
    let test = for_ssh_key();
    locked(&test, &["-i", "key"], ON_A_TERMINAL);
    asked(&test, &["--no-input", "-i", "key"], &[], 4, ON_A_TERMINAL);
    // No answer is none.
    asked(&test, &["-i", "key"], &[(KEY, "")], 4, ON_A_TERMINAL);
    // Another key opens it, before or after.
    asked(&test, &["-i", "key", "-i", "mine"], &[], 0, "demo\n");
    let both = test.clone().file("key", format!("{ED25519}{AGE_KEY}\n"), 0o600);
    asked(&both, &["-i", "key"], &[], 0, "demo\n");
    // The key is for another vault: no passphrase would help.
    let other = vault().file("key", ED25519, 0o600);
    let refusal = "vault: error: no key opens this vault\nvault: hint: tried key\n";
    asked(&other, &["-i", "key"], &[], 4, refusal);
}

#[test]
fn under_json_the_question_is_on_the_terminal_and_the_answer_on_stdout() {
    let test = for_ssh_key();
    let json = test
        .command(["exec", "--json", "-n", "demo", "-i", "key"])
        .stdin("not the passphrase\n")
        .expect_stdout(format!(
            "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\
             \"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
        ))
        .expect_stderr("");
    let (mut pty, pipes) = json.pty_with_pipes();
    pty.expect(KEY, SOON);
    pty.send(WORD);
    json.finish(pty, pipes);
}

#[test]
fn a_writer_is_asked_once() {
    let test = for_ssh_key();
    let mut pty = test.command(["recipient", "remove", "-f", AGE_RECIPIENT, "-i", "key"]).pty();
    pty.expect(KEY, SOON);
    pty.send(WORD);
    let (status, screen) = pty.end(SOON);
    assert_eq!((status, screen.matches("Enter passphrase").count()), (0, 1), "{screen}");
    locked(
        &test,
        &["-i", "mine"],
        "vault: error: no key opens this vault\nvault: hint: tried mine\n",
    );
    // Its own recipient is known, so who takes it out is told.
    test.command(["-i", "key", "recipient", "remove", "-f", ED25519_PUB.trim()])
        .expect_error(4, ON_A_TERMINAL)
        .run();
}

#[test]
fn the_passphrase_of_an_identity_file_is_asked_for_on_a_terminal() {
    let text = format!("# created: today\n{OTHER_KEY}\n{AGE_KEY}\n");
    let again = format!("{AGAIN}{FILE}");
    for armor in [false, true] {
        let file = identity_file(&text, WORD, 4, armor);
        let test = vault().file("key", &file, 0o600);
        asked(&test, &["-i", "key"], &[(FILE, "wrong"), (&again, WORD)], 0, "demo\n");
        let refusal = "vault: error: the passphrase does not open the identity file key\n\
                       vault: hint: tried key\n";
        let wrong = [(FILE, "wrong"), (&again, "Test"), (&again, "test ")];
        asked(&test, &["-i", "key"], &wrong, 4, refusal);
        let no_terminal = "vault: error: no key opens this vault: the identity file key has a \
                           passphrase of its own\nvault: hint: a terminal prompts for it; \
                           elsewhere use a key without a passphrase (age -d decrypts a copy)\n";
        locked(&test, &["-i", "key"], no_terminal);
        asked(&test, &["--no-input", "-i", "key"], &[], 4, no_terminal);

        let encoded = test.env("AWS_VAULT_AGE_KEY", STANDARD.encode(&file));
        let question = "Enter passphrase for the identity file AWS_VAULT_AGE_KEY: ";
        asked(&encoded, &[], &[(question, WORD)], 0, "demo\n");
    }
    let armored = identity_file(&text, WORD, 4, true);
    let flat = String::from_utf8(armored).expect("text").replace('\n', " ");
    let test = vault().env("SOPS_AGE_KEY", flat);
    let file = "Enter passphrase for the identity file SOPS_AGE_KEY: ";
    asked(&test, &[], &[(file, WORD)], 0, "demo\n");
    // A default source: no answer, and the prompt is for the vault's own passphrase.
    let own = "Enter passphrase for [HOME]/.local/share/vault/vault.age: ";
    asked(&test, &[], &[(file, ""), (own, PASSPHRASE)], 0, "demo\n");
    // What is in it opens another vault.
    let test = vault().file("key", identity_file(OTHER_KEY, WORD, 4, false), 0o600);
    let refusal = "vault: error: no key opens this vault\nvault: hint: tried key\n";
    asked(&test, &["-i", "key"], &[(FILE, WORD)], 4, refusal);
}

#[test]
fn an_age_file_that_is_no_identity_file_is_named_and_costs_nothing() {
    let good = identity_file(AGE_KEY, WORD, 4, false);
    let header = |from: &str, to: &str| {
        let text = String::from_utf8_lossy(&good[..60]).replacen(from, to, 1);
        [text.as_bytes(), &good[60..]].concat()
    };
    let damaged = "is an age file that is damaged";
    let mut flipped = good.clone();
    *flipped.last_mut().expect("a byte") ^= 1;
    for (file, what) in [
        (good[..good.len() - 80].to_vec(), damaged),
        (header(" 4\n", " 04\n"), damaged),
        (header(" 4\n", " -4\n"), damaged),
        (header(" 4\n", " 4 4\n"), damaged),
        (header(" 4\n", " 400\n"), damaged),
        (header(" 4\n", "\n"), damaged),
        (header("-> scrypt", "-> scrypt "), damaged),
        (
            header(" 4\n", " 23\n"),
            "has a work factor of 23 for its passphrase; age allows 22 at most",
        ),
        (header("org/v1", "org/v2"), "is an age file of another version, or damaged"),
    ] {
        let test = vault().file("key", &file, 0o600);
        asked(&test, &["-i", "key"], &[], 4, &format!("vault: error: key {what}\n"));
    }
    let test = vault().file("key", &flipped, 0o600);
    asked(&test, &["-i", "key"], &[(FILE, WORD)], 4, &format!("vault: error: key {damaged}\n"));
    // The vault itself.
    let test = vault();
    let own = test.read(test.vault_file());
    let test = test.file("key", &own, 0o600);
    let what = "is an age file that is not encrypted with a passphrase; an identity file holds AGE-SECRET-KEY-1…";
    asked(&test, &["-i", "key"], &[], 4, &format!("vault: error: key {what}\n"));
}
