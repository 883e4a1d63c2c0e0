//! What opens a vault: every source, in its order, and what is said if none does.

mod asking;
mod files;
pub mod kinds;
pub mod own;
mod owners;

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, PASSPHRASE, SECRET_ACCESS_KEY};

/// An age key that opens no vault of these tests: the demo vault's.
const OTHER_KEY: &str = include_str!("../../fixtures/demo/key.txt");
const SOON: Duration = Duration::from_secs(30);
pub const WAYS: &str = "vault: hint: give a key by -i FILE, AWS_VAULT_AGE_KEY or \
    AWS_VAULT_AGE_KEY_FILE, a passphrase by --passphrase-file FILE, AWS_VAULT_PASSPHRASE or \
    AWS_VAULT_PASSPHRASE_FILE, put the key into ~/.config/vault/identity.txt, run vault unlock \
    first, or run this on a terminal\n";

/// A vault that the key and the passphrase open, and nothing in the environment that does.
/// `key`, `passphrase` and `other` are files with them.
pub fn vault() -> Test {
    let test = Test::new().file("key", AGE_KEY, 0o600).file("other", OTHER_KEY, 0o600).file(
        "passphrase",
        format!("{PASSPHRASE}\n"),
        0o600,
    );
    test.command(["init", "-r", AGE_RECIPIENT, "--passphrase", "--passphrase-file", "passphrase"])
        .run();
    let test = test.env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.stored("demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY).env_remove("AWS_VAULT_AGE_KEY")
}

/// Runs `list`, and expects that this source opened the vault.
#[track_caller]
fn opened_by(test: &Test, flags: &[&str], source: &str) {
    let said = format!("vault: debug: [HOME]/.local/share/vault/vault.age opened by {source}\n");
    let test = test.command(["--debug", "list", "--credentials"]).args(flags);
    let output = test.expect_stdout("demo\n").run();
    let last = output.stderr.lines().last().map(|line| format!("{line}\n"));
    assert_eq!(last.as_deref(), Some(&*said), "{}", output.stderr);
}

/// Runs `list`, and expects that it cannot unlock.
#[track_caller]
fn locked(test: &Test, flags: &[&str], stderr: &str) {
    test.command(["list"]).args(flags).expect_error(4, stderr).run();
}

/// Something that gives a key: flags, or a change of the environment and the home.
struct Source {
    /// Its name in `--debug`.
    name: &'static str,
    flags: &'static [&'static str],
    /// Puts a key there: the right one, or another.
    give: fn(Test, bool) -> Test,
}

fn key(right: bool) -> &'static str {
    if right { AGE_KEY } else { OTHER_KEY }
}

fn passphrase(right: bool) -> &'static str {
    if right { PASSPHRASE } else { "another passphrase" }
}

/// What is named: the first of these lines with anything in it is used, all of it.
const NAMED: [&[Source]; 3] = [
    &[
        Source {
            name: "key-by-flag",
            flags: &["-i", "key-by-flag"],
            give: |test, right| test.file("key-by-flag", key(right), 0o600),
        },
        Source {
            name: "passphrase-by-flag",
            flags: &["--passphrase-file", "passphrase-by-flag"],
            give: |test, right| test.file("passphrase-by-flag", passphrase(right), 0o600),
        },
    ],
    &[
        Source {
            name: "AWS_VAULT_AGE_KEY",
            flags: &[],
            give: |test, right| test.env("AWS_VAULT_AGE_KEY", key(right)),
        },
        Source {
            name: "key-by-variable",
            flags: &[],
            give: |test, right| {
                let test = test.file("key-by-variable", key(right), 0o600);
                test.env("AWS_VAULT_AGE_KEY_FILE", "key-by-variable")
            },
        },
    ],
    &[
        Source {
            name: "passphrase-by-variable",
            flags: &[],
            give: |test, right| {
                let test = test.file("passphrase-by-variable", passphrase(right), 0o600);
                test.env("AWS_VAULT_PASSPHRASE_FILE", "passphrase-by-variable")
            },
        },
        Source {
            name: "AWS_VAULT_PASSPHRASE",
            flags: &[],
            give: |test, right| test.env("AWS_VAULT_PASSPHRASE", passphrase(right)),
        },
        Source {
            name: "AWS_VAULT_FILE_PASSPHRASE",
            flags: &[],
            give: |test, right| test.env("AWS_VAULT_FILE_PASSPHRASE", passphrase(right)),
        },
    ],
];

/// Default sources: all of them are tried, in this order. (/run/secrets has a test of its own.)
const AROUND: [Source; 5] = [
    Source {
        name: "[HOME]/credentials/vault.age-key",
        flags: &[],
        give: |test, right| {
            let dir = test.home().join("credentials");
            test.file("credentials/vault.age-key", key(right), 0o400)
                .env("CREDENTIALS_DIRECTORY", dir)
        },
    },
    Source {
        name: "[HOME]/credentials/vault.passphrase",
        flags: &[],
        give: |test, right| {
            let dir = test.home().join("credentials");
            test.file("credentials/vault.passphrase", passphrase(right), 0o400)
                .env("CREDENTIALS_DIRECTORY", dir)
        },
    },
    Source {
        name: "SOPS_AGE_KEY",
        flags: &[],
        give: |test, right| test.env("SOPS_AGE_KEY", key(right)),
    },
    Source {
        name: "[HOME]/sops.txt",
        flags: &[],
        give: |test, right| {
            let path = test.home().join("sops.txt");
            test.file("sops.txt", key(right), 0o600).env("SOPS_AGE_KEY_FILE", path)
        },
    },
    Source {
        name: "[HOME]/.config/vault/identity.txt",
        flags: &[],
        give: |test, right| test.file(".config/vault/identity.txt", key(right), 0o600),
    },
];

#[test]
fn each_source_opens_the_vault_by_itself() {
    for source in NAMED.into_iter().flatten().chain(&AROUND) {
        opened_by(&(source.give)(vault(), true), source.flags, source.name);
    }
}

#[test]
fn of_what_is_named_the_first_line_counts_and_nothing_else_is_tried() {
    for first in 0..NAMED.len() {
        let mut test = vault();
        for source in AROUND.iter().chain(NAMED[first + 1..].iter().copied().flatten()) {
            test = (source.give)(test, true);
        }
        for source in NAMED[first] {
            let flags: &[&str] = source.flags;
            let why = match source.name {
                name if name.contains("key") || name.contains("KEY") => "no key opens this vault",
                _ => "the passphrase does not open this vault",
            };
            let and = match source.name {
                "AWS_VAULT_FILE_PASSPHRASE" => "; unset it, if it is aws-vault's",
                _ => "",
            };
            let why = format!("vault: error: {why}\nvault: hint: tried {}{and}\n", source.name);
            locked(&(source.give)(test.clone(), false), flags, &why);
            opened_by(&(source.give)(test.clone(), true), flags, source.name);
        }
    }
}

#[test]
fn all_of_a_line_is_tried() {
    for line in NAMED {
        let mut test = vault();
        let mut flags = Vec::new();
        for source in line {
            test = (source.give)(test, false);
            flags.extend(source.flags);
        }
        for source in line {
            opened_by(&(source.give)(test.clone(), true), &flags, source.name);
            (source.give)(test.clone(), false);
        }
    }
}

#[test]
fn all_default_sources_are_tried_in_order() {
    let test = AROUND.iter().fold(vault(), |test, source| (source.give)(test, false));
    let names: Vec<_> = AROUND.iter().map(|source| source.name).collect();
    let why =
        format!("vault: error: no key opens this vault\nvault: hint: tried {}\n", names.join(", "));
    locked(&test, &[], &why);
    let mut test = test;
    for source in AROUND.iter().rev() {
        test = (source.give)(test, true);
        opened_by(&test, &[], source.name);
    }
}

#[test]
fn the_identity_file_is_in_the_config_directory_that_xdg_names() {
    let test = vault().file("etc/vault/identity.txt", AGE_KEY, 0o600);
    let dir = test.home().join("etc");
    opened_by(&test.clone().env("XDG_CONFIG_HOME", dir), &[], "[HOME]/etc/vault/identity.txt");
    // Relative values count as unset.
    let relative = test.file(".config/vault/identity.txt", AGE_KEY, 0o600);
    let relative = relative.env("XDG_CONFIG_HOME", "etc");
    opened_by(&relative, &[], "[HOME]/.config/vault/identity.txt");
}

#[test]
fn keys_come_by_stdin_and_by_descriptor() {
    let test = vault().on_path("vault").program("sh");
    for (line, label) in [
        ("vault --debug -i - list --credentials <key", "stdin"),
        ("cat key | vault --debug -i - list --credentials", "stdin"),
        ("vault --debug list --identity=- --credentials <key", "stdin"),
        ("vault --debug -i /dev/stdin list --credentials <key", "stdin"),
        ("vault --debug -i /dev/fd/3 list --credentials 3<key", "/dev/fd/3"),
        ("cat key | vault --debug -i /dev/fd/4 list --credentials 4<&0", "/dev/fd/4"),
        ("vault --debug --passphrase-file - list --credentials <passphrase", "stdin"),
        ("AWS_VAULT_AGE_KEY_FILE=/dev/fd/3 vault --debug list --credentials 3<key", "/dev/fd/3"),
        ("vault --debug -i other -i /dev/fd/3 list --credentials 3<key", "/dev/fd/3"),
    ] {
        let said = format!("vault.age opened by {label}\n");
        let output = test.command(["-c", line]).expect_stdout("demo\n").run();
        assert!(output.stderr.ends_with(&said), "{line}: {}", output.stderr);
    }
    // A named pipe is waited for until its writer is done.
    let line = "mkfifo -m 600 pipe; (cat key >pipe &) ; vault -i pipe list --credentials";
    test.command(["-c", line]).expect_stdout("demo\n").expect_stderr("").run();
}

#[test]
fn a_descriptor_that_held_a_key_does_not_reach_the_command() {
    let test = vault().on_path("vault").program("sh");
    let open = "-- sh -c 'test -e /proc/$$/fd/3 && echo open || echo closed'";
    for (line, shown) in [
        ("vault -i - exec -n demo -- sh -c 'cat; readlink /proc/self/fd/0' <key", "/dev/null\n"),
        (&format!("vault -i /dev/fd/3 exec -n demo {open} 3<key"), "closed\n"),
        (&format!("vault -i key exec -n demo {open} 3<other"), "open\n"),
    ] {
        test.command(["-c", line]).expect_stdout(shown).expect_stderr("").run();
    }
}

#[test]
fn no_source_of_a_key_reaches_the_command() {
    let show = ["exec", "-n", "demo", "--", "sh", "-c", "env; tr '\\0' '\\n' </proc/$$/environ"];
    for source in NAMED.into_iter().flatten().chain(&AROUND) {
        let test = (source.give)(vault(), true).env("SOPS_KEPT", "kept");
        let mut flags = source.flags.to_vec();
        flags.extend(show);
        let output = test.command(&flags).expect_stderr("").run();
        for word in ["AGE_KEY", "PASSPHRASE", AGE_KEY, PASSPHRASE] {
            assert!(!output.stdout.contains(word), "{}: {}", source.name, output.stdout);
        }
        assert!(output.stdout.contains("SOPS_KEPT=kept"), "{}", output.stdout);
    }
    // sops's key stays where it did not open the vault: the command may be sops.
    let test = vault().env("SOPS_AGE_KEY", AGE_KEY).env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let kept = ["exec", "-n", "demo", "--", "printenv", "SOPS_AGE_KEY"];
    test.command(kept).expect_stdout(format!("{AGE_KEY}\n")).expect_stderr("").run();
}

#[test]
#[ignore = "needs unshare and the right to mount"]
fn container_secrets_are_found_under_run_secrets() {
    let test = vault().on_path("vault").program("unshare");
    for (secret, what, name) in [
        (AGE_KEY, "key file", "vault.age-key"),
        (PASSPHRASE, "passphrase file", "vault.passphrase"),
    ] {
        let test = test.clone().file("secret", secret, 0o600);
        let script = format!(
            "mount -t tmpfs tmpfs /run && mkdir /run/secrets && \
             install -m 0444 secret /run/secrets/{name} && vault --debug list --credentials"
        );
        let output = test
            .command(["--mount", "--map-root-user", "sh", "-c", &script])
            .expect_stdout("demo\n")
            .run();
        assert_eq!(
            output.stderr,
            format!(
                "vault: warning: the {what} /run/secrets/{name} is not private: everybody can \
                 read it (mode 0444)\n\
                 vault: debug: [HOME]/.local/share/vault/vault.age opened by /run/secrets/{name}\n"
            )
        );
    }
}

#[test]
fn no_key_and_no_terminal_is_one_error_at_once() {
    let error = "vault: error: no key to open the vault with\n";
    let test = vault();
    locked(&test, &[], &format!("{error}{WAYS}"));
    test.command(["exec", "--json", "demo"]).expect_error(4, &format!("{error}{WAYS}")).run();
    test.command(["exec", "demo", "true"]).expect_error(125, &format!("{error}{WAYS}")).run();

    // A vault without a passphrase speaks of none.
    let test = Test::new().vault_with("demo").env_remove("AWS_VAULT_AGE_KEY");
    let ways = "vault: hint: give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, \
                or put it into ~/.config/vault/identity.txt\n";
    locked(&test, &[], &format!("{error}{ways}"));
}

#[test]
fn inside_a_vault_subshell_the_hint_says_that_variables_do_not_pass() {
    let hint = "vault: error: no key to open the vault with\n\
                vault: hint: unlock variables are not passed to a vault subshell; use -i FILE, \
                --passphrase-file FILE, ~/.config/vault/identity.txt or vault unlock\n";
    locked(&vault().env("AWS_VAULT", "demo"), &[], hint);
    let test = vault().on_path("vault").env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.command(["exec", "-n", "demo", "--", "vault", "list"]).expect_error(4, hint).run();
}

#[test]
fn an_unlock_variable_that_is_set_but_empty_is_an_error() {
    let hint = "vault: hint: a CI variable that is protected or not defined is empty; unset \
                it if it is not needed\n";
    let test = vault().file(".config/vault/identity.txt", AGE_KEY, 0o600);
    for name in [
        "AWS_VAULT_AGE_KEY",
        "AWS_VAULT_AGE_KEY_FILE",
        "AWS_VAULT_PASSPHRASE_FILE",
        "AWS_VAULT_PASSPHRASE",
    ] {
        let error = format!("vault: error: {name} is set but empty\n{hint}");
        locked(&test.clone().env(name, ""), &[], &error);
    }
    // Those that are not ours mean nothing when they are empty.
    let theirs = ["AWS_VAULT_FILE_PASSPHRASE", "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"];
    for name in theirs.into_iter().chain(["CREDENTIALS_DIRECTORY", "XDG_CONFIG_HOME"]) {
        let test = test.clone().env(name, "");
        opened_by(&test, &[], "[HOME]/.config/vault/identity.txt");
    }
}

#[test]
fn aws_vaults_passphrase_means_nothing_to_a_vault_without_a_passphrase() {
    let test = Test::new().vault_with("demo").env_remove("AWS_VAULT_AGE_KEY");
    let test = test.env("AWS_VAULT_FILE_PASSPHRASE", PASSPHRASE).file(
        ".config/vault/identity.txt",
        AGE_KEY,
        0o600,
    );
    opened_by(&test, &[], "[HOME]/.config/vault/identity.txt");
    // One that is meant for us is an error.
    let test = test.env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    let why = "vault: error: this vault has no passphrase; only keys open it\n\
               vault: hint: tried AWS_VAULT_PASSPHRASE\n";
    locked(&test, &[], why);
}
