//! Where the cache lies, and what happens where it cannot lie.

use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::{CACHE, json, only_session, quiet, sessions};
use crate::support::builder::Test;
use crate::support::place::TestHome;
use crate::support::scene::{self, log};

#[test]
fn the_cache_is_in_the_named_directory() {
    let (standin, test) = scene::usual();
    let home = test.home().to_path_buf();
    let all = test
        .clone()
        .env("XDG_CACHE_HOME", home.join("xdg"))
        .env("CACHE_DIRECTORY", format!("{}:/nowhere", home.join("systemd").display()))
        .env("AWS_VAULT_CACHE_DIR", home.join("variable"));
    let runs = [
        ("flag", all.clone(), true),
        ("variable", all.clone(), false),
        ("systemd", all.clone().env_remove("AWS_VAULT_CACHE_DIR"), false),
        (
            "xdg/vault",
            all.clone().env_remove("AWS_VAULT_CACHE_DIR").env_remove("CACHE_DIRECTORY"),
            false,
        ),
        (CACHE, test.clone().env("XDG_CACHE_HOME", "relative"), false),
    ];
    for (at, (place, run, flag)) in runs.into_iter().enumerate() {
        let run = json(&run, "role").expect_stderr("");
        let run = if flag { run.args(["--cache-dir", "flag"]) } else { run };
        for _ in 0..2 {
            run.run();
            assert_eq!(standin.calls().len(), at + 1, "{place}");
        }
        assert_eq!(sessions(&test, place).len(), 1, "{place}");
        let mode = home.join(place).metadata().expect(place).permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{place}");
    }
    json(&test.env("AWS_VAULT_CACHE_DIR", ""), "role")
        .expect_error(
            2,
            "vault: error: AWS_VAULT_CACHE_DIR is set but empty\n\
             vault: hint: give it the directory of the cache, or unset it\n",
        )
        .run();
}

/// Goes on without a cache, says so once, and makes a session for each who asks.
#[track_caller]
fn goes_on_without(test: &Test, place: &str, why: &str) {
    let said =
        format!("vault: warning: cannot use the cache in {place}: {why}; continuing without it\n");
    json(test, "hops").expect_stderr(said).run();
}

#[test]
fn an_unusable_cache_directory_is_reported_once() {
    let (standin, test) = scene::usual();
    let test = test.file("file", "", 0o600);
    let place = |path: &str| test.clone().env("AWS_VAULT_CACHE_DIR", path);
    // A chain has two sessions, each with a lock and a file.
    for (at, (path, why)) in [
        ("file", "not a directory"),
        ("file/below", "not a directory"),
        ("/proc/nowhere/vault", "no such file or directory"),
    ]
    .into_iter()
    .enumerate()
    {
        goes_on_without(&place(path), path, why);
        assert_eq!(standin.calls().len(), 2 * (at + 1), "{path}: {}", log(&standin));
    }
    // Nor does it keep `list` and `clear` from their work.
    let test = place("file");
    assert_eq!(test.command(["list", "--sessions"]).run().stdout, "");
    test.command(["clear"]).expect_stdout("Cleared 0 sessions.\n").expect_stderr("").run();
    test.command(["clear", "role"]).expect_stdout("Cleared 0 sessions.\n").run();
}

#[test]
fn sessions_are_not_reported_as_cleared_where_no_cache_was_read() {
    let cleared = |test: &Test, words: &[&str], code, why: &str| {
        test.command(["clear", "role"]).args(words).expect_error(code, why).run();
    };
    let test = Test::new();
    let nowhere = test.clone().env("HOME", "/dev/null").env("XDG_RUNTIME_DIR", test.home());
    cleared(
        &nowhere,
        &[],
        3,
        "vault: error: no vault at /dev/null/.local/share/vault/vault.age: no permission to enter /dev/null\n\
         vault: hint: set HOME to a directory of this user's own, or name the vault with --vault or \
         AWS_VAULT_FILE\n",
    );
    cleared(
        &test.clone().env("HOME", "/nonexistent"),
        &["--vault", "/nonexistent.age", "--cache-dir", "/nonexistent/cache"],
        3,
        "vault: error: /nonexistent/cache is not made: the home directory /nonexistent does not exist\n\
         vault: hint: make it, or set HOME to a directory of this user's own\n",
    );
    let in_a_store = test
        .clone()
        .env("AWS_VAULT_PIN", format!("SHA256:{}", "A".repeat(43)))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "us-east-1");
    cleared(
        &in_a_store,
        &["--vault", "s3://bucket/prefix"],
        3,
        "vault: error: this host has no credentials of its own for the store\n\
         vault: hint: a web identity, a container's or an instance's role, or AWS_ACCESS_KEY_ID\n",
    );
    // There is no vault, so there is no session.
    test.command(["clear", "role"]).expect_stdout("Cleared 0 sessions.\n").expect_stderr("").run();
}

#[test]
#[ignore = "needs root"]
fn a_cache_on_a_read_only_disk_is_read() {
    let (standin, test) = scene::usual();
    // Named, since another place is found for a default one.
    let test = test.env("AWS_VAULT_CACHE_DIR", CACHE);
    let first = quiet(&test, "role");
    let words = [
        "--mount",
        "sh",
        "-c",
        "mount --bind .cache .cache && mount -o remount,bind,ro .cache && exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_vault"),
        "exec",
        "--json",
    ];
    let on_it = |profile: &str| test.command(words).program("unshare").arg(profile);
    assert_eq!(on_it("role").expect_stderr("").run().raw_stdout, first.raw_stdout);
    assert_eq!(standin.calls().len(), 1);
    on_it("demo")
        .expect_stderr(
            "vault: warning: cannot use the cache in .cache/vault: read-only file system; \
             continuing without it\n",
        )
        .run();
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn a_full_disk_is_reported_once() {
    let (standin, test) = scene::usual();
    let vault = env!("CARGO_BIN_EXE_vault");
    let script = "ulimit -f 0; exec \"$@\"";
    let full = test.command(["-c", script, "sh", vault, "exec", "--json", "hops"]).program("sh");
    for calls in [2, 4] {
        let output = full.run();
        assert_eq!(
            output.stderr,
            "vault: warning: cannot use the cache in [HOME]/.cache/vault: file too large; continuing \
             without it\n"
        );
        assert_eq!(standin.calls().len(), calls);
    }
    assert!(sessions(&test, CACHE).is_empty());
    // With room again all is well, whatever was left behind.
    quiet(&test, "hops");
    quiet(&test, "hops");
    assert_eq!(standin.calls().len(), 6);
}

/// A home that is none, with the vault named, and this runtime directory.
fn homeless(test: &Test, runtime: &str) -> Test {
    test.clone()
        .env("HOME", "/nonexistent")
        .env("AWS_VAULT_FILE", test.vault_file())
        .env("AWS_CONFIG_FILE", test.home().join(".aws/config"))
        .env("XDG_STATE_HOME", test.home().join("state"))
        .env("XDG_RUNTIME_DIR", test.home().join(runtime))
}

#[test]
fn without_a_home_the_runtime_directory_serves_if_it_is_ours_alone() {
    let (standin, test) = scene::usual();
    let directory = |path: &str, mode: u32| {
        let path = test.home().join(path);
        std::fs::create_dir_all(&path).expect("a directory");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("its mode");
        path
    };
    directory("good", 0o700);
    for _ in 0..2 {
        quiet(&homeless(&test, "good"), "role");
    }
    assert_eq!(sessions(&test, "good/vault").len(), 1);
    assert_eq!(standin.calls().len(), 1);

    // The same session lies in places that are not ours alone, and is not seen there.
    let good = only_session(&test, "good/vault");
    let bytes = std::fs::read(&good).expect("the session");
    let name = good.file_name().and_then(|name| name.to_str()).expect("a name");
    let listed = |runtime: &str| {
        let list = homeless(&test, runtime).command(["list", "--sessions"]);
        list.expect_stderr("").run().stdout.lines().count()
    };
    assert_eq!(listed("good"), 1);
    for place in ["wide/vault", "elsewhere", "open/vault", "foreign/vault"] {
        directory(place, 0o700);
        test.clone().file(&format!("{place}/sessions/{name}"), &bytes, 0o600);
    }
    for runtime in ["wide", "open", "foreign"] {
        assert_eq!(listed(runtime), 1, "{runtime}");
    }
    directory("wide/vault", 0o755);
    directory("link", 0o700);
    symlink(test.home().join("elsewhere"), test.home().join("link/vault")).expect("a symlink");
    directory("open", 0o777);
    let mut refused = vec!["wide", "link", "open"];
    if chown(test.home().join("foreign/vault"), Some(54_321), None).is_ok() {
        refused.push("foreign");
    }
    for runtime in refused {
        assert_eq!(listed(runtime), 0, "{runtime}");
    }
}

#[test]
fn a_cache_in_memory_is_as_good() {
    let (standin, test) = scene::usual();
    let memory = TestHome::in_memory();
    let test = test.env("AWS_VAULT_CACHE_DIR", memory.path().join("cache"));
    for _ in 0..2 {
        quiet(&test, "hops");
    }
    assert_eq!(standin.calls().len(), 2);
}

#[test]
#[ignore = "needs root"]
fn without_any_cache_directory_one_warning_says_so() {
    let (standin, test) = scene::usual();
    // A root with the binary, the vault and the config in it, read-only, for a user without a home.
    let vault = std::fs::read(test.vault_file()).expect("the vault");
    let test = test.binary("root/vault").file("root/vault.age", vault, 0o644);
    let test = test.file("root/config", scene::PROFILES, 0o644);
    let process = "[profile hops]\ncredential_process = true\n";
    let test = test.file("root/process", process, 0o644);
    let mode = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(test.home().join("root"), mode).expect("the root's mode");
    let script = "mount --bind root root && mount -o remount,bind,ro root && \
                  exec chroot --userspec=54321:54321 root /vault exec --json hops";
    let run = test
        .env("HOME", "/nonexistent")
        .env("AWS_VAULT_FILE", "/vault.age")
        .env("AWS_CONFIG_FILE", "/config")
        .command(["--mount", "sh", "-c", script])
        .program("unshare")
        .expect_stderr(
            "vault: warning: there is no directory for the cache; continuing without it; name one with \
             --cache-dir\n",
        );
    for calls in [2, 4] {
        run.run();
        assert_eq!(standin.calls().len(), calls, "{}", log(&standin));
    }
    // A store that is named is not left out, although its vault's copy has no place.
    run.env("AWS_VAULT_FILE", "s3://fleet/vault")
        .env("AWS_CONFIG_FILE", "/process")
        .expect_error(
            3,
            "vault: error: no place for a copy of s3://fleet/vault\n\
             vault: hint: name a directory with --cache-dir or AWS_VAULT_CACHE_DIR\n",
        )
        .run();
}
