//! What is served from the cache, listed and cleared.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{CACHE, json, quiet, sessions};
use crate::support::scene::{self, code, log};
use crate::support::{ACCESS_KEY_ID, ACCOUNT, MFA_SEED, SECRET_ACCESS_KEY};

#[test]
fn a_cached_session_makes_no_call() {
    let (standin, test) = scene::usual();
    for profile in ["demo", "role", "hops"] {
        let first = quiet(&test, profile);
        let connections = standin.connections();
        for _ in 0..2 {
            assert_eq!(quiet(&test, profile).raw_stdout, first.raw_stdout, "{profile}");
        }
        assert_eq!(standin.connections(), connections, "{profile}");
    }
    // The chain took the first role out of the cache, though another profile had it made.
    assert_eq!(
        log(&standin),
        "GetSessionToken by key duration=3600: ok\n\
         AssumeRole by key role=role/deploy name=vault-role duration=3600: ok\n\
         AssumeRole by session 2 role=role/audit name=vault-hops duration=3600: ok\n"
    );
    // Other commands get the same.
    test.command(["exec", "role", "--", "sh", "-c", "printf %s $AWS_ACCESS_KEY_ID"])
        .expect_stdout(standin.issued()[1].access_key_id.clone())
        .run();
    assert!(
        test.command(["export", "role"]).run().stdout.contains(&standin.issued()[1].session_token)
    );
    assert_eq!(standin.calls().len(), 3);
}

#[test]
fn refresh_takes_nothing_from_the_cache_and_leaves_what_it_got_in_it() {
    let (standin, test) = scene::usual();
    let first = quiet(&test, "hops");
    let fresh = test.command(["exec", "--json", "--refresh", "hops"]).expect_stderr("").run();
    assert_ne!(fresh.raw_stdout, first.raw_stdout);
    assert_eq!(quiet(&test, "hops").raw_stdout, fresh.raw_stdout);
    assert_eq!(standin.calls().len(), 4, "the whole chain is made anew:\n{}", log(&standin));
    assert_eq!(sessions(&test, CACHE).len(), 2);
}

#[test]
fn aws_min_ttl_asks_for_more_than_is_left() {
    let (standin, test) = scene::usual();
    let first = quiet(&test, "role");
    for enough in ["1s", "59m"] {
        let served = quiet(&test.clone().env("AWS_MIN_TTL", enough), "role");
        assert_eq!(served.raw_stdout, first.raw_stdout);
    }
    let longer = quiet(&test.clone().env("AWS_MIN_TTL", "61m"), "role");
    assert_ne!(longer.raw_stdout, first.raw_stdout);
    assert_eq!(standin.calls().len(), 2);
    for bad in ["soon", "0", "-5m", "30"] {
        let run = json(&test.clone().env("AWS_MIN_TTL", bad), "role").expect_status(2);
        let stderr = run.expect_stdout("").run().stderr;
        assert!(stderr.starts_with("vault: error: AWS_MIN_TTL"), "{bad}: {stderr}");
    }
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn one_mfa_session_serves_many_roles() {
    let standin = scene::sts();
    let mfa = "source_profile = demo\nmfa_serial = arn:aws:iam::123456789012:mfa/demo\n";
    let role = "role_arn = arn:aws:iam::123456789012:role";
    let test = scene::with(
        &standin,
        &format!(
            "[profile one]\n{mfa}{role}/deploy\n[profile two]\n{mfa}{role}/audit\n\
             [profile base]\n{mfa}"
        ),
    );
    json(&test, "one").args(["-t", &code(&standin)]).expect_stderr("").run();
    // Nobody is asked again.
    quiet(&test, "two");
    quiet(&test, "base");
    assert_eq!(
        log(&standin),
        "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
         AssumeRole by session 1 role=role/deploy name=vault-one duration=3600: ok\n\
         AssumeRole by session 1 role=role/audit name=vault-two duration=3600: ok\n"
    );
}

/// What is left of a session, which depends on the moment.
fn without_times(text: &str) -> String {
    let cut = |word: &str| match word.split_once(':') {
        Some((kind, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{kind}:[LEFT]{}", if rest.ends_with(',') { "," } else { "" })
        }
        _ => word.to_owned(),
    };
    let lines = text.lines().map(|line| line.split(' ').map(cut).collect::<Vec<_>>().join(" "));
    lines.map(|line| line + "\n").collect()
}

#[test]
fn sessions_are_listed_with_the_profile_that_made_them() {
    let (standin, test) = scene::usual();
    json(&test, "mfa-role").args(["-t", &code(&standin)]).run();
    quiet(&test, "role");
    let table = test.command(["list"]).expect_stderr("").run().stdout;
    assert_eq!(
        without_times(&table),
        "Profile                  Credentials              Sessions\n\
         =======                  ===========              ========\n\
         demo                     demo                     -\n\
         hops                     -                        -\n\
         long                     -                        -\n\
         mfa                      -                        -\n\
         mfa-hops                 -                        -\n\
         mfa-role                 -                        session:[LEFT], role:[LEFT]\n\
         role                     -                        role:[LEFT]\n"
    );
    let names = test.command(["list", "--sessions"]).expect_stderr("").run().stdout;
    assert_eq!(
        without_times(&names),
        "mfa-role session:[LEFT]\nmfa-role role:[LEFT]\nrole role:[LEFT]\n"
    );
    let list = test.command(["list", "--json"]).expect_stderr("").run();
    let list: serde_json::Value = serde_json::from_slice(&list.raw_stdout).expect("JSON");
    let ends = |at: usize| {
        let given = standin.issued()[at].expiration;
        crate::support::standin::time::rfc3339(given)
    };
    let of = |profile: &str| {
        let all = list["profiles"].as_array().expect("profiles");
        all.iter().find(|entry| entry["profile"] == profile).expect(profile)["sessions"].clone()
    };
    assert_eq!(
        of("mfa-role"),
        serde_json::json!([
            { "kind": "session", "expiration": ends(0) },
            { "kind": "role", "expiration": ends(1) },
        ])
    );
    assert_eq!(of("role"), serde_json::json!([{ "kind": "role", "expiration": ends(2) }]));
    assert_eq!(of("demo"), serde_json::json!([]));
}

#[test]
fn clear_counts_what_it_removes() {
    let (standin, test) = scene::usual();
    let cleared = |words: &[&str], count: usize| {
        let text = format!("Cleared {count} sessions.\n");
        test.command(words).expect_stdout(text).expect_stderr("").run();
    };
    quiet(&test, "demo");
    quiet(&test, "role");
    json(&test, "mfa-role").args(["-t", &code(&standin)]).run();
    cleared(&["clear", "role"], 1);
    cleared(&["clear", "role"], 0);
    let nobody = "vault: error: no profile \"nobody\"\nvault: hint: looked in [HOME]/.aws/config, \
                  [HOME]/.aws/credentials and the vault\n";
    test.command(["clear", "nobody"]).expect_error(3, nobody).run();
    let near = "vault: error: no profile \"rloe\"\nvault: hint: did you mean \"role\"?\n";
    test.command(["clear", "rloe"]).expect_error(3, near).run();
    quiet(&test, "demo");
    let calls = standin.calls().len();
    quiet(&test, "role");
    assert_eq!(standin.calls().len(), calls + 1);
    cleared(&["clear", "mfa-role"], 2);
    // Without a key, and without a vault.
    let keyless = test.clone().env_remove("AWS_VAULT_AGE_KEY");
    keyless.command(["clear"]).expect_stdout("Cleared 2 sessions.\n").expect_stderr("").run();
    cleared(&["clear"], 0);
    assert!(sessions(&test, CACHE).is_empty());
    quiet(&test, "role");
    assert_eq!(standin.calls().len(), calls + 2);
}

#[test]
fn clear_says_what_it_could_not_remove() {
    let (_standin, test) = scene::usual();
    quiet(&test, "role");
    let folder = test.home().join(CACHE).join("sessions");
    std::fs::create_dir(folder.join("0".repeat(64))).expect("a directory");
    let why = "could not be removed: is a directory\n";
    let said = |counts: &str| format!("vault: error: {counts} sessions in [HOME]/{CACHE} {why}");
    test.command(["clear"]).expect_error(7, &said("1 of 2")).run();
    test.command(["clear"]).expect_error(7, &said("1 of 1")).run();
    // It is not the profile's.
    test.command(["clear", "role"]).expect_stdout("Cleared 0 sessions.\n").run();
}

#[test]
#[ignore = "needs root"]
fn clear_of_a_profile_says_what_it_could_not_remove() {
    let (_standin, test) = scene::usual();
    quiet(&test, "role");
    let script = "mount --bind .cache .cache && mount -o remount,bind,ro .cache && exec \"$@\"";
    let vault = env!("CARGO_BIN_EXE_vault");
    test.command(["--mount", "sh", "-c", script, "sh", vault, "clear", "role"])
        .program("unshare")
        // Named, since another place is found for a default one.
        .env("AWS_VAULT_CACHE_DIR", CACHE)
        .expect_error(
            7,
            "vault: error: 1 of 1 sessions in .cache/vault could not be removed: read-only file \
             system\n",
        )
        .run();
}

fn walk(path: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, all);
        }
        all.push(path);
    }
}

#[test]
fn names_and_contents_of_the_cache_tell_nothing() {
    let (standin, test) = scene::usual();
    test.command(["totp", "add", "mfa", "--stdin"]).stdin(MFA_SEED).run();
    json(&test, "mfa-hops").run();
    quiet(&test, "role");
    let cache = test.home().join(CACHE);
    let mut paths = vec![cache.clone()];
    walk(&cache, &mut paths);
    let mut told = vec![
        ACCESS_KEY_ID.to_owned(),
        SECRET_ACCESS_KEY.to_owned(),
        ACCOUNT.to_owned(),
        "127.0.0.1".to_owned(),
        "us-east-1".to_owned(),
    ];
    told.extend(["demo", "role", "hops", "deploy", "audit", "arn:", "AWS", "ASIA"].map(Into::into));
    for given in standin.issued() {
        told.extend([given.access_key_id, given.secret_access_key, given.session_token]);
    }
    let (mut files, mut lengths) = (0, Vec::new());
    for path in paths {
        let mode = path.metadata().expect("a file").permissions().mode() & 0o7777;
        let name = path.file_name().unwrap().to_str().expect("a name");
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            assert!(["vault", "sessions", "ledger"].contains(&name), "{name}");
            continue;
        }
        files += 1;
        assert_eq!(mode, 0o600, "{}", path.display());
        let stem = name.strip_suffix(".lock").unwrap_or(name);
        assert!(stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        let bytes = std::fs::read(&path).expect("a file");
        for word in &told {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} in {}", path.display());
        }
        if name.ends_with(".lock") {
            assert!(bytes.iter().all(|b| b.is_ascii_digit() || *b == b'\n'), "{bytes:?}");
        } else if path.parent().is_some_and(|dir| dir.ends_with("sessions")) {
            lengths.push(bytes.len());
        }
    }
    assert_eq!(lengths.len(), 4);
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    assert_eq!(files, 2 * (4 + 1), "four sessions and a ledger, each with its lock");
}
