//! What a key can be: age, ssh, a plugin's, alone or in a file with others, plain or in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{OTHER_KEY, locked, opened_by, vault};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, SECRET_ACCESS_KEY};

pub const ED25519: &str = include_str!("../../../fixtures/ssh/test_ed25519");
pub const ED25519_PUB: &str = include_str!("../../../fixtures/ssh/test_ed25519.pub");
pub const RSA: &str = include_str!("../../../fixtures/ssh/test_rsa");
pub const RSA_PUB: &str = include_str!("../../../fixtures/ssh/test_rsa.pub");

#[test]
fn a_key_is_read_as_an_identity_file_or_as_the_base64_of_one_in_a_single_line() {
    let with_comments = format!("# created: today\n\n{OTHER_KEY}\n  # mine\n{AGE_KEY}");
    for text in [
        AGE_KEY.to_owned(),
        format!("{AGE_KEY}\n"),
        format!("# a comment\r\n{AGE_KEY}\r\n"),
        format!("\u{feff}{AGE_KEY}"),
        with_comments.clone(),
        with_comments.replace('\n', "\r\n"),
        STANDARD.encode(AGE_KEY),
        STANDARD.encode(&with_comments),
        format!("{}\n", STANDARD.encode(&with_comments).trim_end_matches('=')),
    ] {
        opened_by(&vault().env("AWS_VAULT_AGE_KEY", &text), &[], "AWS_VAULT_AGE_KEY");
        opened_by(&vault().file("typed", &text, 0o600), &["-i", "typed"], "typed");
    }
}

/// The base64 of a text, wrapped as GNU base64 wraps it.
fn wrapped(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_carried_a_key_as_text_does_not_matter() {
    let file = format!(
        "# created: 2026-01-31T12:00:00Z\n# public key: {AGE_RECIPIENT}\n{AGE_KEY}\n# the other\n{OTHER_KEY}\n"
    );
    for text in [
        wrapped(&file),
        wrapped(&file).replace('\n', " "),
        wrapped(&file).replace('\n', "\r\n"),
        file.replace('\n', " "),
        file.replace('\n', "\\n"),
        format!("\"{}\"", file.replace('\n', "\\n")),
        format!("{OTHER_KEY} {AGE_KEY}"),
        format!("\u{feff}{file}").replace('\n', "\r\n"),
        AGE_KEY.to_lowercase(),
        STANDARD.encode(&file).replace('+', "-").replace('/', "_"),
    ] {
        opened_by(&vault().env("AWS_VAULT_AGE_KEY", &text), &[], "AWS_VAULT_AGE_KEY");
        opened_by(&vault().env("SOPS_AGE_KEY", &text), &[], "SOPS_AGE_KEY");
        opened_by(&vault().file("typed", &text, 0o600), &["-i", "typed"], "typed");
    }
    // As Windows PowerShell's `>` writes it.
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for text in [wide(&format!("\u{feff}{file}")), wide(AGE_KEY)] {
        opened_by(&vault().file("typed", text, 0o600), &["-i", "typed"], "typed");
    }
}

#[test]
fn an_entry_that_is_not_supported_is_named_only_if_nothing_else_opens() {
    const ECDSA: &str = include_str!("../../../fixtures/ssh/test_ecdsa");
    let pkcs8 =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
    for (entry, why) in [
        (
            "AGE-SECRET-KEY-PQ-1QQQ\n",
            "the identity in keys is post-quantum, which is not supported yet\n\
             vault: hint: tried keys\n",
        ),
        (
            ECDSA,
            "of ssh keys, age supports only ssh-ed25519 and ssh-rsa, and the one in keys is neither\n\
             vault: hint: tried keys\n",
        ),
        (
            pkcs8,
            "the private key in keys is not in OpenSSH's format, which age requires\n\
             vault: hint: ssh-keygen -p -f FILE converts it; for PuTTY's, puttygen -O \
             private-openssh-new\n",
        ),
    ] {
        for text in [format!("{entry}{AGE_KEY}\n"), format!("{AGE_KEY}\n{entry}")] {
            opened_by(&vault().file("keys", &text, 0o600), &["-i", "keys"], "keys");
            opened_by(&vault().env("AWS_VAULT_AGE_KEY", &text), &[], "AWS_VAULT_AGE_KEY");
        }
        for text in [entry.to_owned(), format!("{OTHER_KEY}\n{entry}")] {
            let test = vault().file("keys", &text, 0o600);
            let error = format!("vault: error: no key opens this vault: {why}");
            locked(&test, &["-i", "keys"], &error);
        }
    }
}

#[test]
fn a_file_of_a_public_key_need_not_be_private_and_is_no_key() {
    let test = Test::new().vault_with("demo");
    let hardware = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t me\n";
    for (text, what) in [
        (hardware, "is the public key of a hardware key of ssh, and age supports none of them"),
        (ED25519_PUB, "is an ssh public key: name the file of the private key, which has no .pub"),
        (AGE_RECIPIENT, "is a recipient, which is public: the identity is the secret half"),
    ] {
        let test = test.clone().file("key.pub", text, 0o644);
        test.command(["list", "-i", "key.pub"])
            .expect_error(4, &format!("vault: error: key.pub: line 1 {what}\n"))
            .run();
    }
    // With a secret key beside it, it is one.
    let both = test.file("key.pub", format!("{AGE_RECIPIENT}\n{AGE_KEY}\n"), 0o644);
    both.command(["list", "-i", "key.pub"])
        .expect_error(
            6,
            "vault: error: the key file key.pub is not private: everybody can read it (mode 0644)\n\
             vault: hint: chmod 600 key.pub, or give it with -i - <key.pub\n",
        )
        .run();
}

#[test]
fn what_is_no_key_is_named_by_its_line_and_not_echoed() {
    let give = "\nvault: hint: give a key, such as AGE-SECRET-KEY-1…, or name its file by -i or \
                AWS_VAULT_AGE_KEY_FILE, or give a passphrase by AWS_VAULT_PASSPHRASE";
    let copy = "\nvault: hint: copy the whole line again";
    for (text, error, hint) in [
        ("open sesame".to_owned(), "AWS_VAULT_AGE_KEY: line 1 is not an age identity", give),
        (
            format!("# one\n{}", &AGE_KEY[..60]),
            "AWS_VAULT_AGE_KEY: line 2 is not a whole age identity",
            copy,
        ),
        (
            STANDARD.encode(format!("# one\n{}", &AGE_KEY[..60])),
            "AWS_VAULT_AGE_KEY: line 2 of its decoded base64 is not a whole age identity",
            copy,
        ),
        (
            AGE_RECIPIENT.to_owned(),
            "AWS_VAULT_AGE_KEY: line 1 is a recipient, which is public: the identity is the \
             secret half",
            "",
        ),
        ("# nothing\n".to_owned(), "AWS_VAULT_AGE_KEY holds no identity", give),
        (
            format!("# {AGE_KEY}\n"),
            "AWS_VAULT_AGE_KEY holds no identity",
            "\nvault: hint: the key in it is commented out with a #",
        ),
        (
            format!("{}{}", &AGE_KEY[..40], AGE_KEY[40..].to_lowercase()),
            "AWS_VAULT_AGE_KEY: line 1 is an age identity in mixed case: it is \
             written in capitals",
            "",
        ),
        (" ".to_owned(), "AWS_VAULT_AGE_KEY holds no identity", give),
        (
            ED25519[..200].to_owned(),
            "AWS_VAULT_AGE_KEY: line 1 begins a private key that does not end",
            "",
        ),
    ] {
        let test = vault().env("AWS_VAULT_AGE_KEY", &text);
        locked(&test, &[], &format!("vault: error: {error}{hint}\n"));
    }
    let test = vault().file("typed", [0xff, 0xfe, 0], 0o600);
    locked(&test, &["-i", "typed"], "vault: error: typed is not text, so it holds no key\n");
    let test = vault().file("typed", "#".repeat(65 * 1024), 0o600);
    let error = "vault: error: cannot read the key file typed: larger than 64 KiB\n";
    locked(&test, &["-i", "typed"], error);
}

/// A vault for this recipient, with the key that opens it in `key`.
fn vault_for(recipient: &str, key: &str) -> Test {
    let test = Test::new().file("key", key, 0o600);
    test.command(["init", "-r", recipient]).run();
    let json = format!(
        r#"{{"AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}"#
    );
    test.command(["-i", "key", "add", "demo", "--stdin", "--no-add-config"]).stdin(json).run();
    test
}

#[test]
fn ssh_keys_open_the_vault() {
    for (public, private) in [(ED25519_PUB, ED25519), (RSA_PUB, RSA)] {
        let test = vault_for(public, private);
        opened_by(&test, &["-i", "key"], "key");
        let crlf = private.replace('\n', "\r\n");
        for text in [private.to_owned(), crlf, STANDARD.encode(private)] {
            let test = test.clone().env("AWS_VAULT_AGE_KEY", text);
            opened_by(&test, &[], "AWS_VAULT_AGE_KEY");
        }
        let other = test.file("other", OTHER_KEY, 0o600);
        opened_by(&other, &["-i", "other", "-i", "key"], "key");
        let wrong = "vault: error: no key opens this vault\nvault: hint: tried other\n";
        locked(&other, &["-i", "other"], wrong);
    }
}

/// A plugin that wraps the file key in nothing at all, and writes down what it is asked for.
const PLUGIN: &str = r#"#!/bin/sh
wrapped= body=
while read -r line; do
    case "$line" in
        "-> done") read -r _; break ;;
        "-> wrap-file-key") read -r body ;;
        "-> recipient-stanza 0 plain") read -r body ;;
    esac
done
env >"$HOME/seen-by-the-plugin"
[ -z "$body" ] || printf '%s\n' "${1#--age-plugin=}" >>"$HOME/asked-of-the-plugin"
reply() { printf '%s\n' "$@"; read -r _; read -r _; }
case "$1" in
    --age-plugin=recipient-v1) reply "-> recipient-stanza 0 plain" "$body" ;;
    --age-plugin=identity-v1) [ -z "$body" ] || reply "-> file-key 0" "$body" ;;
esac
printf -- '-> done\n\n'
"#;

/// A recipient of the plugin `plain`, and its identity.
pub fn plugin() -> (String, String) {
    let hrp = |text| bech32::Hrp::parse(text).expect("a prefix");
    let recipient = bech32::encode_lower::<bech32::Bech32>(hrp("age1plain"), &[7; 8]);
    let identity = bech32::encode_upper::<bech32::Bech32>(hrp("age-plugin-plain-"), &[7; 8]);
    (recipient.expect("a recipient"), identity.expect("an identity"))
}

/// With the plugin's program in the PATH.
pub fn with_plugin(test: Test) -> Test {
    let path = format!("{}:/usr/bin:/bin", test.home().join("plugins").display());
    test.file("plugins/age-plugin-plain", PLUGIN, 0o755).env("PATH", path)
}

/// How often the plugin has opened something since this was asked last: so many touches of a token.
pub fn touches(test: &Test) -> usize {
    let path = test.home().join("asked-of-the-plugin");
    let asked = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    asked.lines().filter(|what| *what == "identity-v1").count()
}

#[test]
fn a_plugin_opens_and_writes_the_vault_and_sees_no_unlock_variable() {
    let (recipient, identity) = plugin();
    let test = with_plugin(Test::new()).env("AWS_VAULT_AGE_KEY", identity);
    test.command(["init", "-r", &recipient, "-r", AGE_RECIPIENT]).run();
    let test = test.stored("demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    opened_by(&test, &[], "AWS_VAULT_AGE_KEY");
    let seen = String::from_utf8(test.read("seen-by-the-plugin")).expect("text");
    assert!(seen.contains("PATH=") && !seen.contains("AWS_VAULT"), "{seen}");
}

#[test]
fn a_plugin_whose_program_is_missing_is_named_at_writing_and_reading() {
    let (recipient, identity) = plugin();
    let test = Test::new().file("key", &identity, 0o600);
    let missing = format!(
        "vault: error: the program age-plugin-plain is missing; it is needed for {recipient}\n\
         vault: hint: install it in a directory of PATH, or remove the recipient\n"
    );
    test.command(["init", "-r", &recipient]).expect_error(7, &missing).run();
    assert!(!test.vault_file().exists());

    let installed = with_plugin(test.clone());
    installed.command(["init", "-r", &recipient, "-r", AGE_RECIPIENT]).run();
    let error = "vault: error: no key opens this vault: the program age-plugin-plain is missing\n\
                 vault: hint: tried key\n";
    locked(&test, &["-i", "key"], error);
    // Another key opens it, but nobody writes it without the program, and nothing is lost.
    let test = test.env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let add = ["add", "demo", "--env", "--no-add-config"];
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)];
    let test = keys.iter().fold(test, |test, (name, value)| test.env(name, value));
    test.command(add).expect_error(7, &missing).run();
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before);
}
