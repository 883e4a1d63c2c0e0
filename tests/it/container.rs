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
    let binary = std::fs::read(env!("CARGO_BIN_EXE_vault")).expect("the binary");
    let test = test.file("root/vault", binary, 0o755);
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
fn what_is_missing_in_an_empty_root_is_said() {
    let image = image();
    let json = ["exec", "--no-session", "--json", "demo"];
    in_container(&image, &[], &json)
        .expect_error(
            3,
            "vault: error: no home directory, so no default vault\n\
             vault: hint: name the vault by --vault or AWS_VAULT_FILE\n",
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
            "vault: warning: there is no place for the cache; going on without it; name one by \
             --cache-dir\n\
             vault: error: 127.0.0.1:1 refused the connection\n",
        )
        .run();
}
