//! `vault init`: what it makes, and what it leaves alone.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::support::builder::Test;
use crate::support::pty::Pty;
use crate::support::{AGE_KEY, AGE_RECIPIENT, PASSPHRASE};

const OTHER: &str = include_str!("../../fixtures/demo/recipient.txt");
const ED25519: &str = include_str!("../../fixtures/ssh/test_ed25519.pub");
const SOON: Duration = Duration::from_secs(30);

/// What `recipient list` says.
#[track_caller]
fn recipients(test: &Test, expected: &str) {
    test.command(["recipient", "list"]).expect_stdout(expected).expect_stderr("").run();
}

fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn a_vault_is_made_for_recipients_by_flag_and_by_file_each_once() {
    let test = Test::new().file(
        "recipients",
        format!("# ours\n\n{}\n{AGE_RECIPIENT}\r\n", OTHER.trim()),
        0o644,
    );
    let made =
        test.command(["init", "-r", AGE_RECIPIENT, "-R", "recipients", "--recipient", ED25519]);
    let output = made.args(["-r", AGE_RECIPIENT]).expect_stdout("").run();
    let test = test.env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let pin = test.command(["pin"]).run().stdout;
    let said = format!("Made the vault [HOME]/.local/share/vault/vault.age, fingerprint {pin}");
    assert_eq!(output.stderr, said);
    // The comment of an ssh key is not kept.
    let ssh = ED25519.split(' ').take(2).collect::<Vec<_>>().join(" ");
    recipients(&test, &format!("{AGE_RECIPIENT}\n{ssh}\n{OTHER}"));
    test.command(["list", "--credentials"]).expect_stdout("").expect_stderr("").run();
}

#[test]
fn an_identity_is_generated_and_its_public_key_printed() {
    let test = Test::new();
    let file = ".config/vault/identity.txt";
    let output = test.command(["init", "--generate-identity", file]).run();
    let text = String::from_utf8(test.read(file)).expect("text");
    let [created, public, secret] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(created.starts_with("# created: 2") && secret.starts_with("AGE-SECRET-KEY-1"));
    assert_eq!(Some(output.stdout.trim_end()), public.strip_prefix("# public key: "));
    // It lies where it is looked for, so it opens the vault.
    recipients(&test, &output.stdout);
}

#[test]
fn what_init_makes_is_private() {
    let test = Test::new().program("sh").on_path("vault");
    let line = "umask 0; vault init --generate-identity keys/of/mine/identity.txt";
    test.command(["-c", line]).run();
    for (path, expected) in [
        ("keys", 0o700),
        ("keys/of/mine", 0o700),
        ("keys/of/mine/identity.txt", 0o600),
        (".local/share", 0o700),
        (".local/share/vault", 0o700),
        (".local/share/vault/vault.age", 0o600),
        (".local/share/vault/vault.age.lock", 0o600),
        (".local/state/vault/pins", 0o700),
    ] {
        assert_eq!(mode(test.home().join(path)), expected, "{path}");
    }
    let pins = std::fs::read_dir(test.home().join(".local/state/vault/pins")).expect("pins");
    for pin in pins.flatten() {
        assert_eq!(mode(pin.path()), 0o600);
    }
}

#[test]
fn an_armored_vault_is_text_and_stays_text() {
    let test = Test::new();
    test.command(["init", "-r", AGE_RECIPIENT, "--armor"]).run();
    let armored = || std::fs::read(test.vault_file()).expect("the vault");
    assert!(armored().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let before = armored();
    let test = test.clone().vault_with("demo");
    assert!(armored().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n") && armored() != before);
    test.command(["list", "--credentials"]).expect_stdout("demo\n").run();
}

#[test]
fn over_an_existing_vault_or_key_file_nothing_is_touched() {
    let test = Test::new().vault_with("demo").file("key", "precious", 0o600);
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let there =
        "vault: error: [HOME]/.local/share/vault/vault.age is there already; nothing was changed\n";
    for words in [&["init", "-r", AGE_RECIPIENT][..], &["init", "--generate-identity", "new-key"]] {
        test.command(words).expect_error(6, there).run();
    }
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before);
    assert!(!test.home().join("new-key").exists());

    let words = ["--vault", "new.age", "init", "--generate-identity", "key"];
    let there = "vault: error: key is there already, and a key is never overwritten; nothing was changed\n\
         vault: hint: a vault for the key in it: vault init -r and its public key, age1…, which is in the file\n";
    test.command(words).expect_error(6, there).run();
    assert_eq!(test.read("key"), b"precious");
    assert!(!test.home().join("new.age").exists());

    // What is no vault, and a link to nowhere, are there as well.
    std::os::unix::fs::symlink("nowhere", test.home().join("link.age")).expect("symlink");
    let test = test.file("empty.age", "", 0o600);
    for file in ["link.age", "empty.age", "."] {
        let error = format!("vault: error: {file} is there already; nothing was changed\n");
        test.command(["--vault", file, "init", "-r", AGE_RECIPIENT]).expect_error(6, &error).run();
    }
    assert!(!test.home().join("nowhere").exists());
}

#[test]
fn a_key_beside_the_vault_in_its_locks_place_is_not_overwritten() {
    let test = Test::new();
    test.command(["--vault", "v", "init", "--generate-identity", "v.lock"]).run();
    test.command(["--vault", "v", "-i", "v.lock", "list", "--credentials"]).run();
}

#[test]
fn a_key_does_not_go_to_stdout() {
    let error = "vault: error: --generate-identity needs the name of a file\n\
                 vault: hint: vault init --generate-identity ~/.config/vault/identity.txt\n";
    let test = Test::new().command(["init", "--generate-identity", "-"]).expect_error(2, error);
    test.run();
    assert!(!test.home().join("-").exists());
}

#[test]
fn a_key_for_a_vault_that_could_not_be_made_is_not_left_behind() {
    let test = Test::new().file("file", "", 0o600);
    let words = ["--vault", "file/new.age", "init", "--generate-identity", "key"];
    let error = "vault: error: cannot make file/new.age: not a directory\n";
    test.command(words).expect_error(7, error).run();
    assert!(!test.home().join("key").exists());
}

#[test]
fn a_passphrase_comes_by_file_or_variable() {
    let test = Test::new().file("word", format!("{PASSPHRASE}\n"), 0o600);
    let only = "Only a passphrase opens the vault; age -d cannot read it, fixtures/open_vault.py \
        can. To add a key: vault recipient add age1…";
    for (number, test) in [
        test.command(["init", "--passphrase", "--passphrase-file", "word"]),
        test.command(["init", "--passphrase"]).env("AWS_VAULT_PASSPHRASE_FILE", "word"),
        test.command(["init", "--passphrase"]).env("AWS_VAULT_PASSPHRASE", PASSPHRASE),
    ]
    .into_iter()
    .enumerate()
    {
        let vault = format!("{number}.age");
        let output = test.clone().args(["--vault", &vault]).expect_stdout("").run();
        let test = test.env("AWS_VAULT_PASSPHRASE", PASSPHRASE).env("AWS_VAULT_FILE", &vault);
        let pin = test.command(["pin"]).run().stdout;
        assert_eq!(
            output.stderr,
            format!("Made the vault {vault}, fingerprint {pin}{only} --vault {vault}\n")
        );
        recipients(&test, "passphrase (argon2id, 64 MiB, 3 passes, 4 lanes)\n");
    }
}

#[test]
fn a_short_passphrase_is_named_as_weak() {
    let warning = "vault: warning: the passphrase is weak, since it has fewer than 12 characters: \
                   anyone who gets a copy of the vault can guess it. Choose another: vault \
                   passphrase set\n";
    for (number, (word, weak)) in
        [("a", true), ("elevenchars", true), ("zwölfzeichen", false)].into_iter().enumerate()
    {
        let vault = format!("{number}.age");
        let test = Test::new().env("AWS_VAULT_PASSPHRASE", word).env("AWS_VAULT_FILE", &vault);
        let said = test.command(["init", "--passphrase"]).run().stderr;
        assert_eq!(said.starts_with(warning), weak, "{said}");
        // Another one for the same vault, from a file.
        let test = test.file("next", format!("{word}\n"), 0o600);
        let said =
            test.command(["passphrase", "set", "--new-passphrase-file", "next"]).run().stderr;
        assert_eq!(said.contains(warning), weak, "{said}");
        let quiet = test.command(["--quiet", "passphrase", "set", "--new-passphrase-file", "next"]);
        quiet.expect_stderr("").run();
    }
}

#[test]
fn in_a_git_work_tree_the_lines_of_gitignore_are_named() {
    let test =
        Test::new().file("shop/.git", "gitdir: elsewhere\n", 0o644).file("shop/ci/x", "", 0o644);
    let init =
        test.command(["init", "--vault", "ci/vault.age", "--generate-identity", "ci-key.txt"]);
    let said = init.in_dir("shop").run().stderr;
    let lines = "\nIn this git work tree, .gitignore should have vault.age.lock and ci-key.txt\n";
    assert!(said.ends_with(lines), "{said}");
    // The key lies elsewhere.
    let init = test.command(["init", "--vault", "shop/other.age", "--generate-identity", "key"]);
    let said = init.run().stderr;
    let line = "\nIn this git work tree, .gitignore should have other.age.lock\n";
    assert!(said.ends_with(line), "{said}");
    // The first vault of a person, which add makes.
    let add = test.command(["add", "prod"]).env("XDG_DATA_HOME", test.home().join("shop"));
    let mut pty = add.pty();
    pty.expect("In this git work tree, .gitignore should have vault.age.lock", SOON);
    pty.expect("Enter new passphrase for the vault: ", SOON);
    drop(pty);
    let said = test.command(["init", "--generate-identity", "mine"]).run().stderr;
    assert!(!said.contains(".gitignore"), "{said}");
}

#[test]
fn a_passphrase_may_cost_more_which_is_warned_of() {
    let test = Test::new().env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    let words = ["init", "--passphrase", "-r", AGE_RECIPIENT, "--passphrase-memory", "72"];
    let output = test.command(words).run();
    let warning = "vault: warning: each unlocking by passphrase takes 72 MiB: a container with \
                   less memory is killed while it tries\n";
    assert!(output.stderr.starts_with(warning), "{}", output.stderr);
    let cost = "passphrase (argon2id, 72 MiB, 3 passes, 4 lanes)\n";
    recipients(&test, &format!("{AGE_RECIPIENT}\n{cost}"));
}

#[test]
fn init_refuses_a_vault_that_no_key_could_open() {
    let test = Test::new()
        .file("none", "# nobody\n", 0o600)
        .file("bad", format!("{AGE_RECIPIENT}\nbad\n"), 0o600)
        .file("binary", [0xff], 0o600);
    let kinds = "vault: hint: a recipient is age1…, ssh-ed25519 … or ssh-rsa …\n";
    for (words, what) in [
        (
            &["init"][..],
            "nothing could open this vault: it has no recipient and no passphrase\nvault: hint: \
             vault init \
             --generate-identity ~/.config/vault/identity.txt, or -r age1…, or --passphrase\n",
        ),
        (&["init", "-r", ""], "the recipient is empty\n"),
        (&["init", "-r", "bob"], &format!("that is not a recipient\n{kinds}")),
        (&["init", "-r", "age1bob"], "not a recipient, or mistyped: age1bob\n"),
        (&["init", "-r", "ssh-rsa AAAA"], "not an ssh public key, or mistyped\n"),
        (
            &["init", "-r", "ecdsa-sha2-nistp256 AAAA"],
            "of ssh keys, age supports only ssh-ed25519 and ssh-rsa\n",
        ),
        (&["init", "-R", "none"], "the recipients file holds no recipient\n"),
        (
            &["init", "-R", "bad"],
            &format!("line 2 of the recipients file: that is not a recipient\n{kinds}"),
        ),
        (&["init", "-R", "binary"], "the recipients file binary is not text\n"),
        (
            &["init", "-R", "nowhere"],
            "cannot read the recipients file nowhere: no such file or directory\n",
        ),
        (&["init", "-R", "."], "cannot read the recipients file .: not a regular file\n"),
        (
            &["init", "--passphrase"],
            "a new passphrase is needed, and there is no terminal to ask on\n\
             vault: hint: give it with --passphrase-file FILE or AWS_VAULT_PASSPHRASE\n",
        ),
    ] {
        test.command(words).expect_error(2, &format!("vault: error: {what}")).run();
    }
    let empty = "vault: error: AWS_VAULT_PASSPHRASE is set but empty\nvault: hint: a CI variable \
                 that is protected or not defined is empty; unset it if it is not needed\n";
    let with_empty = test.clone().env("AWS_VAULT_PASSPHRASE", "");
    with_empty.command(["init", "--passphrase"]).expect_error(4, empty).run();
    assert!(!test.vault_file().exists());
}

#[test]
fn a_recipient_of_a_kind_that_is_not_supported_is_left_out_with_a_warning() {
    const ECDSA: &str = include_str!("../../fixtures/ssh/test_ecdsa.pub");
    let file = |name: &str, text: String| Test::new().file(name, text, 0o600);
    let warning = |line| {
        format!(
            "vault: warning: line {line} of the recipients file team is left out: of ssh keys, age \
             supports only ssh-ed25519 and ssh-rsa\n"
        )
    };
    let test = file("team", format!("# team\n{ECDSA}{AGE_RECIPIENT}\n{ECDSA}"));
    let made = test.command(["init", "-R", "team"]).expect_stdout("").run();
    let both = warning(2) + &warning(4);
    assert!(made.stderr.starts_with(&format!("{both}Made the vault ")), "{}", made.stderr);
    let test = test.env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let there = format!("{AGE_RECIPIENT}\n");
    test.command(["recipient", "list"]).expect_stdout(there).expect_stderr("").run();
    let known = "All of these recipients can open the vault already; nothing was changed\n";
    let add = test.command(["recipient", "add", "-R", "team"]);
    add.expect_stdout("").expect_stderr(format!("{both}{known}")).run();

    let test = file("team", ECDSA.to_owned());
    let none = "vault: error: the recipients file holds no recipient of a supported kind\n";
    let init = test.command(["init", "-R", "team"]);
    init.expect_error(2, &format!("{}{none}", warning(1))).run();
    let cut = &ECDSA[..60];
    let test = file("team", format!("{AGE_RECIPIENT}\n{cut}\n"));
    let malformed = "vault: error: line 2 of the recipients file: of ssh keys, age supports only \
                     ssh-ed25519 and ssh-rsa\n";
    test.command(["init", "-R", "team"]).expect_error(2, malformed).run();
    assert!(!test.vault_file().exists());
}

/// Answers the two questions for a new passphrase.
fn answer(test: &Test, first: &str, again: Option<&str>) -> Pty {
    let mut pty = test.command(["init", "--passphrase"]).pty();
    pty.expect("Enter new passphrase for the vault: ", SOON);
    assert!(!pty.echoes());
    pty.send(first);
    if let Some(again) = again {
        pty.expect("Enter it again: ", SOON);
        assert!(!pty.echoes());
        pty.send(again);
    }
    pty
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let test = Test::new();
    for (first, again, error) in [
        (
            "one",
            Some("two"),
            "vault: error: the two passphrases differ\nvault: hint: nothing was changed; run the same command again\n",
        ),
        ("", None, "vault: error: the passphrase is empty\n"),
    ] {
        let mut pty = answer(&test, first, again);
        pty.expect(error, SOON);
        assert_eq!(pty.end(SOON).0, 2);
        assert!(!test.vault_file().exists());
    }
    let (status, screen) = answer(&test, PASSPHRASE, Some(PASSPHRASE)).end(SOON);
    assert_eq!(status, 0);
    assert!(!screen.contains(PASSPHRASE), "{screen}");
    let test = test.env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    recipients(&test, "passphrase (argon2id, 64 MiB, 3 passes, 4 lanes)\n");
}

#[test]
fn init_says_where_the_new_key_is_and_that_it_is_the_only_one() {
    let test = Test::new();
    let only = test.command(["init", "--generate-identity", "key.txt"]).run();
    let made = "Made the vault [HOME]/.local/share/vault/vault.age, fingerprint SHA256:";
    let said = "\nThe only key that opens the vault is in key.txt: keep a copy of that file \
                elsewhere; without it the vault cannot be opened\n";
    assert!(only.stderr.starts_with(made) && only.stderr.ends_with(said), "{}", only.stderr);
    let words = ["--vault", "b.age", "init", "-r", AGE_RECIPIENT, "--generate-identity", "b.txt"];
    let one_of_two = Test::new().command(words).run();
    let said = "\nThe new key is in b.txt: keep a copy of that file elsewhere\n";
    assert!(one_of_two.stderr.starts_with("Made the vault b.age"), "{}", one_of_two.stderr);
    assert!(one_of_two.stderr.ends_with(said), "{}", one_of_two.stderr);
}
