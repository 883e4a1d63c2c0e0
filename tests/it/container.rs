//! A container from scratch: a root with the binary and a vault in it and nothing else, read-only,
//! for a user that nobody has heard of, without HOME. No /etc, no /proc, no /dev, no shell.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A file of the tree's demo vaults.
fn demo(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo").join(name);
    std::fs::read(path).expect("the demo vault")
}

fn demo_text(name: &str) -> String {
    String::from_utf8(demo(name)).expect("text")
}

/// A home in which `root` is the container's root.
fn image() -> Test {
    let test = Test::new();
    let test = test.binary("root/vault");
    let test = test.file("root/by-key.age", demo("by-key.age"), 0o644);
    let test = test.file("root/by-passphrase.age", demo("by-passphrase.age"), 0o644);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(test.home().join("root"), mode).expect("the root's mode");
    test
}

/// Runs `/vault WORDS…` in the container, with nothing but PATH and these variables.
fn in_container(image: &Test, vars: &[(&str, &str)], words: &[&str]) -> Test {
    // The mount is seen in a namespace of its own only, and goes with it.
    let script = "mount --bind root root && mount -o remount,bind,ro root && \
                  ! touch root/file 2>/dev/null && \
                  exec env -i PATH=/usr/sbin:/usr/bin \"$@\"";
    let chroot = ["chroot", "--userspec=54321:54321", "root", "/vault"];
    let vars = vars.iter().map(|(name, value)| format!("{name}={value}"));
    let run = image.command(["--mount", "sh", "-c", script, "sh"]).program("unshare");
    run.args(vars).args(chroot).args(words)
}

fn json() -> String {
    format!(
        "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\
         \"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
    )
}

#[test]
#[ignore = "needs root"]
fn the_bare_binary_gives_a_key_in_an_empty_root() {
    let image = image();
    let (key, passphrase) = (demo_text("key.txt"), demo_text("passphrase.txt"));
    for (file, variable, value) in [
        ("/by-key.age", "AWS_VAULT_AGE_KEY", &key),
        ("/by-passphrase.age", "AWS_VAULT_PASSPHRASE", &passphrase),
    ] {
        let vars = [("AWS_VAULT_FILE", file), (variable, value.as_str())];
        let words = ["exec", "--no-session", "--json", "demo"];
        in_container(&image, &vars, &words).expect_stdout(json()).expect_stderr("").run();
        let words = ["exec", "--no-session", "demo", "--", "/vault", "--version"];
        let version = concat!("vault ", env!("CARGO_PKG_VERSION"), "\n");
        in_container(&image, &vars, &words).expect_stdout(version).expect_stderr("").run();
    }
}

#[test]
#[ignore = "needs root"]
fn a_key_comes_into_an_empty_root_by_stdin() {
    let words = ["exec", "--vault", "/by-key.age", "-i", "-", "--no-session", "--json", "demo"];
    let run = in_container(&image(), &[], &words).stdin(demo("key.txt"));
    run.expect_stdout(json()).expect_stderr("").run();
}

#[test]
#[ignore = "needs root"]
fn a_key_comes_into_an_empty_root_by_file_and_by_descriptor() {
    let key = |mode: u32, owner: u32| {
        let image = image().file("root/key", demo("key.txt"), mode);
        std::os::unix::fs::chown(image.home().join("root/key"), Some(owner), Some(54_321))
            .expect("root");
        image
    };
    let exec = |from: &'static str| {
        ["exec", "--vault", "/by-key.age", "-i", from, "--no-session", "--json", "demo"]
    };
    for (owner, mode) in [(54_321, 0o600), (0, 0o640)] {
        let image = key(mode, owner);
        in_container(&image, &[], &exec("/key")).expect_stdout(json()).expect_stderr("").run();
    }
    for (owner, mode, what, remedy) in [
        (54_321, 0o640, "its group can read it", "chmod 600 /key"),
        (0, 0o644, "everybody can read it", "as root: chown 54321 /key; chmod 600 /key"),
        (65_534, 0o440, "it belongs to uid 65534", "as root: chown 54321 /key; chmod 600 /key"),
    ] {
        let error = format!(
            "vault: error: the key file /key is not private: {what} (mode {mode:04o})\n\
             vault: hint: {remedy}, or give it with -i - </key\n"
        );
        in_container(&key(mode, owner), &[], &exec("/key")).expect_error(6, &error).run();
    }

    // There is no /dev/fd and no /proc: the number is enough, and the command has it no more.
    let image = image().file("key", demo("key.txt"), 0o600);
    let again = ["/vault", "list", "--vault", "/by-key.age", "-i", "/dev/fd/9"];
    for from in ["/dev/fd/9", "/dev//fd/9", "/proc/thread-self/fd/9"] {
        let words = ["exec", "--vault", "/by-key.age", "-i", from, "--no-session", "demo", "--"];
        let inner = in_container(&image, &[], &[&words[..], &again].concat());
        let run = inner.under("sh", ["-c", "exec 9<key 8<&9; exec \"$@\"", "sh"]);
        let error = "vault: error: the key file /dev/fd/9 (--identity) does not exist\n\
                     vault: hint: correct the path, or leave --identity out\n";
        run.clone().expect_error(4, error).run();
    }
    // Nor is there /dev/null for a stdin that held a key.
    let words = ["exec", "--vault", "/by-key.age", "-i", "-", "--no-session", "demo", "--"];
    let again = ["/vault", "list", "--vault", "/by-key.age", "-i", "-"];
    let run = in_container(&image, &[], &[&words[..], &again].concat()).stdin(demo("key.txt"));
    run.expect_status(4).expect_stdout("").run();
}

#[test]
#[ignore = "needs root"]
fn doctor_looks_at_an_empty_root() {
    let key = demo_text("key.txt");
    for home in ["/", "/nonexistent"] {
        let vars = [
            ("HOME", home),
            ("AWS_VAULT_FILE", "/by-key.age"),
            ("AWS_VAULT_AGE_KEY", key.as_str()),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ];
        let run = in_container(&image(), &vars, &["doctor", "-v"])
            .expect_status(1)
            .expect_stderr("")
            .run();
        for line in [
            "ok       unlock  the vault opens, by AWS_VAULT_AGE_KEY\n",
            "problem  cache   there is no directory for sessions and MFA codes; ",
            "note     state   there is no directory to remember fingerprints; ",
        ] {
            assert!(run.stdout.contains(line), "{home}: {line}\n{}", run.stdout);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn what_an_empty_root_lacks_is_an_error() {
    let image = image();
    let json = ["exec", "--no-session", "--json", "demo"];
    in_container(&image, &[], &json)
        .expect_error(
            3,
            "vault: error: no home directory, so no default vault\n\
             vault: hint: name the vault with --vault or AWS_VAULT_FILE\n",
        )
        .run();
    let vault = ("AWS_VAULT_FILE", "/by-key.age");
    in_container(&image, &[vault], &json)
        .expect_error(
            4,
            "vault: error: no key to open the vault with\n\
             vault: hint: give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, \
             or put it into ~/.config/vault/identity.txt\n",
        )
        .run();
    let key = demo_text("key.txt");
    let key = ("AWS_VAULT_AGE_KEY", key.as_str());
    in_container(&image, &[vault, key], &["exec", "--no-session", "demo"])
        .expect_error(
            127,
            "Starting subshell /bin/sh, use `exit` to exit the subshell\n\
             vault: error: command not found: /bin/sh\n",
        )
        .run();
    // The roots of TLS are built in: it comes as far as the connection.
    let nobody = ("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:1");
    in_container(&image, &[vault, key, nobody], &["exec", "--json", "demo"])
        .expect_error(
            9,
            "vault: warning: there is no directory for the cache; continuing without it; name one with \
             --cache-dir\n\
             vault: error: 127.0.0.1:1 refused the connection\n",
        )
        .run();
}
