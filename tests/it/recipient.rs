//! `vault recipient`: who may open the vault with a key, and what it means that one no longer may.

mod kinds;

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::{
    ACCESS_KEY_ID, AGE_RECIPIENT, MFA_SEED, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY,
};
use crate::vault_file::payload_of;

const SOON: Duration = Duration::from_secs(30);

/// The demo vault's key: another one than the tests' own.
pub const OTHER_KEY: &str = include_str!("../../fixtures/demo/key.txt");
pub const OTHER: &str = "age1w5eau5tv9nzkgth63rj5k577lkt3xhujtwlmah2tdsdv84gqq9lsaap5vu";

const LAST: &str = "vault: error: this is the last key or passphrase of the vault\n\
    vault: hint: add another key or a passphrase first: vault recipient add, or vault passphrase set\n";

/// A vault for [`AGE_KEY`], with the key of [`OTHER`] in the file `other`.
pub fn vault() -> Test {
    Test::new().vault_with("demo").file("other", OTHER_KEY, 0o600)
}

pub fn pin_of(test: &Test) -> String {
    payload_of(test.vault_file()).pin().to_string()
}

const LAST_PASSPHRASE: &str = "vault: error: this is the last key or passphrase of the vault\n\
    vault: hint: add a key first: vault recipient add\n";

/// The last line that is said of a vault whose keys were drawn anew.
pub fn new_fingerprint(test: &Test) -> String {
    let pin = pin_of(test);
    format!(
        "The fingerprint has changed: set AWS_VAULT_PIN to {pin}; on other machines run vault pin \
         --accept {pin}\n"
    )
}

/// True if this key opens the vault, nothing else at hand.
#[track_caller]
pub fn opens(test: &Test, flags: &[&str]) -> bool {
    let run = test.command(["list", "--credentials"]).args(flags).any_status().run();
    assert!([0, 4].contains(&run.status), "{}", run.stderr);
    run.status == 0
}

#[test]
fn one_more_opens_the_vault_and_writes_it() {
    let test = vault();
    let pin = pin_of(&test);
    assert!(!opens(&test, &["-i", "other"]));
    let add = test.command(["recipient", "add", OTHER, "--name", "laptop"]);
    add.expect_stdout("").expect_stderr(format!("laptop ({OTHER}) opens the vault now\n")).run();
    assert!(opens(&test, &["-i", "other"]));
    test.command(["recipient", "list"])
        .expect_stdout(format!("{AGE_RECIPIENT}\n{OTHER}  (laptop)\n"))
        .run();
    // Nobody left, so nothing of the vault's own changes.
    assert_eq!(pin_of(&test), pin);
    test.command(["-i", "other", "remove", "-f", "demo"]).run();
    assert!(opens(&test, &[]));
}

#[test]
fn one_that_is_there_is_left_as_it_is_or_gets_a_name() {
    let test = vault();
    let before = test.read(test.vault_file());
    test.command(["recipient", "add", AGE_RECIPIENT, AGE_RECIPIENT])
        .expect_stdout("")
        .expect_stderr("All of these recipients can open the vault already; nothing was changed\n")
        .run();
    assert_eq!(test.read(test.vault_file()), before);

    test.command(["recipient", "add", AGE_RECIPIENT, "--name", "mine"])
        .expect_stderr(format!("{AGE_RECIPIENT} is called mine now\n"))
        .run();
    test.command(["recipient", "list"]).expect_stdout(format!("{AGE_RECIPIENT}  (mine)\n")).run();
    test.command(["recipient", "add", OTHER, "--name", "mine"])
        .expect_error(
            6,
            "vault: error: another recipient is called \"mine\"\n\
             vault: hint: vault recipient list shows them; take another name\n",
        )
        .run();
    // Without a name none is taken away.
    test.command(["recipient", "add", OTHER, AGE_RECIPIENT]).run();
    test.command(["recipient", "list"])
        .expect_stdout(format!("{AGE_RECIPIENT}  (mine)\n{OTHER}\n"))
        .run();
}

#[test]
fn a_file_of_recipients_adds_all_of_them() {
    let ssh = include_str!("../../fixtures/ssh/test_ed25519.pub").trim();
    let test = vault().file("team.txt", format!("# us\n{OTHER}\n\n{ssh}\n"), 0o644);
    test.command(["recipient", "add", "-R", "team.txt"]).run();
    let list = test.command(["recipient", "list"]).run().stdout;
    assert_eq!(list.lines().count(), 3, "{list}");
    // Another way to hand it over.
    let piped = test.command(["recipient", "add", "-R", "-"]).stdin(format!("{OTHER}\n"));
    piped
        .expect_stderr("All of these recipients can open the vault already; nothing was changed\n")
        .run();
    let both = "vault: error: the recipients and what opens the vault are both wanted from stdin\n";
    test.command(["recipient", "add", "-R", "-", "-i", "-"]).expect_error(2, both).run();
    // An ssh key is the same whatever comment it carries, and is removed with or without.
    let commented = format!("{} somebody@else", ssh.rsplit_once(' ').map_or(ssh, |(key, _)| key));
    test.command(["recipient", "add", &commented])
        .expect_stderr("All of these recipients can open the vault already; nothing was changed\n")
        .run();
    test.command(["recipient", "remove", "-f", &commented]).run();
    let list = test.command(["recipient", "list"]).run().stdout;
    assert_eq!(list, format!("{AGE_RECIPIENT}\n{OTHER}\n"));
}

#[test]
fn what_is_no_recipient_is_refused_before_anything_is_opened() {
    let test = vault().env_remove("AWS_VAULT_AGE_KEY");
    let add = |words: &[&str], error: &str| {
        test.command(["recipient", "add"]).args(words).expect_error(2, error).run();
    };
    add(
        &[],
        "vault: error: no recipient is given\n\
         vault: hint: vault recipient add age1…, or an ssh public key, or -R FILE\n",
    );
    add(
        &["alice"],
        "vault: error: that is not a recipient\n\
         vault: hint: a recipient is age1…, ssh-ed25519 … or ssh-rsa …\n",
    );
    let mistyped = OTHER.replace('w', "x");
    add(&[&mistyped], &format!("vault: error: not a recipient, or mistyped: {mistyped}\n"));
    add(
        &[OTHER, AGE_RECIPIENT, "--name", "x"],
        "vault: error: --name is for one recipient, and these are several\n",
    );
    for name in ["", " x", "a\nb", "ci\u{202e}nimda"] {
        let error = "vault: error: --name: a name is one line, without blanks around it\n";
        add(&[OTHER, "--name", name], error);
    }
    add(
        &[OTHER, "--name", "age1b"],
        "vault: error: --name: a name must not look like a recipient\n",
    );
}

#[test]
fn a_removed_recipient_no_longer_opens_the_vault_and_the_rest_do() {
    let test = vault();
    let seed = test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED);
    seed.run();
    test.command(["recipient", "add", OTHER, "--name", "laptop"]).run();
    let before = payload_of(test.vault_file());
    let (pin, cache) = (before.pin().to_string(), before.cache_seed().1);

    let remove = test.command(["recipient", "remove", "-f", "laptop"]).run();
    let now = payload_of(test.vault_file());
    assert_ne!(now.pin().to_string(), pin);
    assert_ne!(now.cache_seed().1, cache);
    assert_eq!(now.cache_seed().0, before.cache_seed().0);
    assert_eq!(remove.stdout, format!("{}\n", now.pin()));
    assert_eq!(
        remove.stderr,
        format!(
            "Removed laptop ({OTHER}). It can still open old copies of the vault.\n\
             Replace these at AWS, since old copies of the vault contain them (keys: vault rotate --all):\n\
             \x20 demo: access key {ACCESS_KEY_ID}\n\
             \x20 MFA device {MFA_SERIAL}\n{}",
            new_fingerprint(&test)
        )
    );
    assert!(!opens(&test, &["-i", "other"]));
    // This machine knows the new fingerprint, and what was in the vault is in it.
    test.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
    assert_eq!(now.credential("demo").unwrap().secret_access_key.expose(), SECRET_ACCESS_KEY);

    let error = "vault: error: there is no such recipient in the vault\n\
                 vault: hint: vault recipient list shows them\n";
    for word in ["laptop", OTHER, "nobody"] {
        test.command(["recipient", "rm", "-f", word]).expect_error(3, error).run();
    }
}

#[test]
fn another_machine_refuses_the_new_fingerprint_until_it_is_accepted() {
    let test = vault();
    test.command(["recipient", "add", OTHER]).run();
    let known = pin_of(&test);
    let there = test.clone().env("XDG_STATE_HOME", test.home().join("there"));
    there.command(["list", "--credentials"]).expect_stdout("demo\n").run();
    let ci = there.clone().env("AWS_VAULT_PIN", &known);
    ci.command(["list"]).run();

    let new = test.command(["recipient", "remove", "-f", OTHER]).run().stdout;
    let new = new.trim();
    let vault = "[HOME]/.local/share/vault/vault.age";
    there
        .command(["list"])
        .expect_error(
            6,
            &format!(
                "vault: error: the vault {vault} is not the one that this machine remembers: its \
                 fingerprint is {new}, remembered is {known}\n\
                 vault: hint: if the change is meant: vault --vault {vault} pin --accept {new}\n"
            ),
        )
        .run();
    there.command(["pin", "--accept", new]).expect_stdout(format!("{new}\n")).run();
    there.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
    ci.command(["list"])
        .expect_error(
            6,
            &format!(
                "vault: error: the vault {vault} is not the pinned one: its fingerprint is {new}\n\
                 vault: hint: if you expect this change, pin the new fingerprint; if not, the \
                     file may be forged\n"
            ),
        )
        .run();
    ci.env("AWS_VAULT_PIN", format!("{known},{new}")).command(["list"]).expect_stderr("").run();
}

#[test]
fn the_last_way_in_cannot_be_removed() {
    let test = vault();
    let before = test.read(test.vault_file());
    test.command(["recipient", "remove", "-f", AGE_RECIPIENT]).expect_error(6, LAST).run();
    assert_eq!(test.read(test.vault_file()), before);
    // With a passphrase there is one more.
    let test = test.file("new", PASSPHRASE, 0o600);
    test.command(["passphrase", "set", "--new-passphrase-file", "new"]).run();
    test.command(["recipient", "remove", "-f", AGE_RECIPIENT]).run();
    let test = test.env_remove("AWS_VAULT_AGE_KEY").env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    test.command(["passphrase", "remove", "-f"]).expect_error(6, LAST_PASSPHRASE).run();
    test.command(["list", "--credentials"]).expect_stdout("demo\n").run();
}

#[test]
fn a_removal_wants_a_yes() {
    let test = vault();
    test.command(["recipient", "add", OTHER, "--name", "laptop"]).run();
    test.command(["recipient", "remove", "laptop"])
        .expect_error(
            2,
            "vault: error: removing needs a confirmation, and there is no terminal to ask on\n\
             vault: hint: confirm it by -f\n",
        )
        .run();
    let question = format!("Remove laptop ({OTHER})? (y|N) ");
    let mut pty = test.command(["recipient", "remove", "laptop"]).pty();
    pty.expect(&question, SOON);
    pty.send("n");
    let nothing = "vault: error: nothing was removed\n";
    assert_eq!(pty.end(SOON), (1, format!("{question}n\n{nothing}")));
    assert!(opens(&test, &["-i", "other"]));

    // It may be one's own key, but not unawares.
    let mut pty = test.command(["-i", "other", "recipient", "remove", "laptop"]).pty();
    pty.expect(
        &format!("Remove laptop ({OTHER}), whose key opened the vault just now? (y|N) "),
        SOON,
    );
    pty.send("n");
    assert_eq!(pty.end(SOON).0, 1);
    let forced = test.command(["-i", "other", "recipient", "remove", "-f", "laptop"]).run();
    let warning = "vault: warning: the key that opened the vault just now no longer opens it\n";
    assert!(forced.stderr.starts_with(warning), "{}", forced.stderr);
    assert!(!opens(&test, &["-i", "other"]));
    assert!(opens(&test, &[]));
}

#[test]
fn a_name_that_passes_to_another_meanwhile_removes_the_one_that_was_asked_about() {
    let test = vault();
    test.command(["recipient", "add", OTHER, "--name", "laptop"]).run();
    let mut pty = test.command(["recipient", "remove", "laptop"]).pty();
    pty.expect(&format!("Remove laptop ({OTHER})? (y|N) "), SOON);
    test.command(["recipient", "add", OTHER, "--name", "old"]).run();
    test.command(["recipient", "add", AGE_RECIPIENT, "--name", "laptop"]).run();
    pty.send("y");
    assert_eq!(pty.end(SOON).0, 0);
    test.command(["recipient", "list"]).expect_stdout(format!("{AGE_RECIPIENT}  (laptop)\n")).run();
}

#[test]
fn a_name_of_several_names_none() {
    let test = vault();
    test.command(["recipient", "add", OTHER, "--name", "laptop"]).run();
    // As another program may write it.
    let text = String::from_utf8(
        crate::vault_file::plaintext_of(&test.read(test.vault_file())).expect("a vault"),
    );
    let text = text.expect("text").replace(
        &format!("recipient = \"{AGE_RECIPIENT}\""),
        &format!("recipient = \"{AGE_RECIPIENT}\"\nname = \"laptop\""),
    );
    std::fs::write(test.vault_file(), crate::vault_file::seal(&text, false)).expect("the vault");
    test.command(["recipient", "remove", "-f", "laptop"])
        .expect_error(
            2,
            "vault: error: several recipients have this name\n\
             vault: hint: give the recipient (age1…, ssh-…) instead of the name: vault recipient list\n",
        )
        .run();
    test.command(["recipient", "remove", "-f", OTHER]).run();
}

#[test]
fn recipients_that_are_added_at_the_same_time_are_all_there() {
    let test = vault();
    let keys: Vec<String> = (0..12).map(|_| vault::sealed::generate_identity().1).collect();
    std::thread::scope(|scope| {
        for key in &keys {
            let add = test.command(["recipient", "add", key]);
            scope.spawn(move || add.run());
        }
    });
    let there = payload_of(test.vault_file()).recipients();
    assert_eq!(there.len(), 13);
    assert!(keys.iter().all(|key| there.iter().any(|entry| entry.recipient == *key)));
}

#[test]
fn a_post_quantum_recipient_cannot_stand_beside_others() {
    let test = vault();
    let before = test.read(test.vault_file());
    let pq = pq_recipient();
    test.command(["recipient", "add", &pq])
        .expect_error(
            6,
            "vault: error: post-quantum recipients cannot be combined with others\n\
             vault: hint: use only post-quantum recipients and no passphrase, or none of them\n",
        )
        .run();
    assert_eq!(test.read(test.vault_file()), before);
}

/// A tagged post-quantum recipient, which needs no program to be written for: a key of zeroes for
/// ML-KEM and the generator of P-256.
fn pq_recipient() -> String {
    let mut bytes = vec![0; 1184];
    bytes.push(4);
    for word in [
        0x6b17d1f2_e12c4247_f8bce6e5_63a440f2_u128,
        0x77037d81_2deb33a0_f4a13945_d898c296,
        0x4fe342e2_fe1a7f9b_8ee7eb4a_7c0f9e16,
        0x2bce3357_6b315ece_cbb64068_37bf51f5,
    ] {
        bytes.extend(word.to_be_bytes());
    }
    let hrp = bech32::Hrp::parse("age1tagpq").expect("a prefix");
    age_core::primitives::bech32_encode(hrp, &bytes)
}
