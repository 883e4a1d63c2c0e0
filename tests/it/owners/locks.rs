//! What stands in the place of a vault's lock, in a directory where everybody may make files.

use std::process::Command;

use super::*;
use crate::support::{MFA_SEED, MFA_SERIAL, scene};

const HINT: &str = "vault: hint: have it removed by its owner, the directory's owner or root, or use a \
                    directory that only you can write\n";

/// What another user may put there: how to make it, and what it is called.
const KINDS: [(&str, &str); 6] = [
    ("install -m 666 /dev/null", "lock file"),
    ("install -m 600 /dev/null", "lock file"),
    ("ln -s vault.age", "symbolic link"),
    ("ln -s nowhere", "symbolic link"),
    ("mkfifo -m 666", "named pipe"),
    ("mkdir", "directory"),
];

/// Makes it, and gives it to the stranger; who may open it holds the lock.
fn plant(how: &str, at: &Path) -> Option<std::fs::File> {
    let made = Command::new("sh").args(["-c", &format!("{how} \"$0\"")]).arg(at).status();
    assert!(made.unwrap().success(), "{how}");
    lchown(at, Some(STRANGER), Some(STRANGER)).unwrap();
    if !how.starts_with("install") {
        return None;
    }
    let held = std::fs::File::open(at).unwrap();
    held.lock().unwrap();
    Some(held)
}

fn refusal(what: &str) -> String {
    format!(
        "vault: error: the vault was not saved: the {what} [HOME]/team/vault.age.lock belongs to \
         another user (uid {STRANGER})\n{HINT}"
    )
}

#[test]
#[ignore = "needs root, to become other users"]
fn what_another_user_put_in_the_locks_place_is_named_and_not_waited_for() {
    for (how, what) in KINDS {
        for uid in [0, MEMBER] {
            let test = team(0, 0o1777);
            let held = plant(how, &lock(&test));
            by(uid, "4002", &test, &["init", "-r", AGE_RECIPIENT])
                .expect_error(6, &refusal(what))
                .run();
            assert_eq!(names(&test), ["vault.age.lock"]);
            drop(held);

            Command::new("rm").arg("-r").arg(lock(&test)).status().unwrap();
            by(uid, "4002", &test, &["init", "-r", AGE_RECIPIENT]).run();
            std::fs::remove_file(lock(&test)).unwrap();
            let _held = plant(how, &lock(&test));
            by(uid, "4002", &test, &ADD).stdin(CSV).expect_error(6, &refusal(what)).run();
            // Readers take no lock.
            by(uid, "4002", &test, &["list", "--credentials"]).expect_stderr("").run();
            assert!(profiles(&test).is_empty());
        }
    }
}

#[test]
#[ignore = "needs root, to become other users"]
fn another_name_of_one_s_own_file_is_no_lock() {
    let test = team(0, 0o1777);
    by(MEMBER, "4002", &test, &["init", "-r", AGE_RECIPIENT]).run();
    // As the stranger could do where fs.protected_hardlinks is 0, and hold it by reading it.
    std::fs::write(directory(&test).join("notes"), "").unwrap();
    std::fs::remove_file(lock(&test)).unwrap();
    std::fs::hard_link(directory(&test).join("notes"), lock(&test)).unwrap();
    by(MEMBER, "4002", &test, &ADD)
        .stdin(CSV)
        .expect_error(
            6,
            &format!(
                "vault: error: the vault was not saved: [HOME]/team/vault.age.lock is a hard link to \
                 a file of uid 0\n{HINT}"
            ),
        )
        .run();
}

#[test]
#[ignore = "needs root, to become other users"]
fn locks_of_those_who_share_the_vault_count() {
    // The directory's owner and mode, the vault's mode, the lock's owner and group; does it count?
    for (dir, dir_mode, mode, lock_owner, counts) in [
        (0, 0o1777, 0o600, (MEMBER, MEMBER), true),
        (0, 0o1777, 0o600, (0, 0), true),
        (STRANGER, 0o1777, 0o600, (STRANGER, STRANGER), true),
        (0, 0o1777, 0o660, (STRANGER, TEAM), true),
        (0, 0o1775, 0o660, (STRANGER, TEAM), true),
        (0, 0o3775, 0o660, (STRANGER, TEAM), true),
        (0, 0o1777, 0o660, (STRANGER, STRANGER), false),
        // The group proves nothing: one that may not write, and one that every file gets there.
        (0, 0o1777, 0o640, (STRANGER, TEAM), false),
        (0, 0o3777, 0o660, (STRANGER, TEAM), false),
        // Where files of others can be removed, the one who planted it gains nothing by that.
        (0, 0o2775, 0o660, (STRANGER, STRANGER), true),
    ] {
        let test = team(dir, dir_mode);
        by(MEMBER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).run();
        chown(vault(&test), None, Some(TEAM)).unwrap();
        set_mode(&vault(&test), mode);
        chown(lock(&test), Some(lock_owner.0), Some(lock_owner.1)).unwrap();
        set_mode(&lock(&test), 0o666);
        let add = by(MEMBER, "5000", &test, &ADD).stdin(CSV);
        match counts {
            true => add.expect_stdout(ADDED).expect_stderr("").run(),
            false => add.expect_error(6, &refusal("lock file")).run(),
        };
        assert_eq!(about(&lock(&test)).0, lock_owner.0, "it stays where it is");
    }
    // The vault owner's lock counts for whoever else writes.
    let test = team(0, 0o1777);
    by(MEMBER, "4002", &test, &["init", "-r", AGE_RECIPIENT]).run();
    assert_eq!(about(&lock(&test)), (MEMBER, MEMBER, 0o600));
    test.command(ADD).stdin(CSV).expect_stdout(ADDED).expect_stderr("").run();
    assert_eq!(about(&vault(&test)), (MEMBER, MEMBER, 0o600));
}

#[test]
#[ignore = "needs root, to become other users"]
fn a_planted_lock_of_the_aws_config_or_of_the_ledger_is_not_waited_for_either() {
    let test = team(0, 0o1777);
    let config = directory(&test).join("config");
    by(MEMBER, "4002", &test, &["init", "-r", AGE_RECIPIENT]).run();
    let _held = plant("install -m 666 /dev/null", &directory(&test).join("config.lock"));
    let add = by(MEMBER, "4002", &test.clone().env("AWS_CONFIG_FILE", &config), &ADD[..3]);
    add.stdin(CSV)
        .expect_error(
            1,
            &format!(
                "vault: error: the key is in the vault, but the AWS config was not changed: \
                 [HOME]/team/config: the lock file [HOME]/team/config.lock belongs to another user \
                 (uid {STRANGER})\n{HINT}"
            ),
        )
        .run();

    // A session that wants a code, in a cache that everybody can write.
    let (standin, test) = scene::usual();
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let run = |test: &Test| test.command(["exec", "--json", "mfa"]).any_status().run();
    let first = run(&test);
    assert_eq!(first.status, 0, "{}", first.stderr);
    let ledgers = test.home().join(".cache/vault/ledger");
    let find = |suffix: &str| {
        let entries = std::fs::read_dir(&ledgers).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.to_str().unwrap().ends_with(suffix)).unwrap()
    };
    let lock = find(".lock");
    std::fs::remove_file(&lock).unwrap();
    set_mode(&ledgers, 0o1777);
    let _held = plant("install -m 666 /dev/null", &lock);
    let calls = standin.calls().len();
    let refused = test.command(["exec", "--json", "--refresh", "mfa"]).any_status().run();
    assert_eq!((refused.status, refused.stdout.as_str()), (6, ""));
    assert!(refused.stderr.starts_with("vault: error: no MFA code is sent: the lock file "));
    assert_eq!(standin.calls().len(), calls, "no code was sent");
}

#[test]
#[ignore = "needs root, to become other users"]
fn doctor_names_what_another_user_put_there() {
    let test = team(0, 0o1777);
    by(MEMBER, "4002", &test, &["init", "-r", AGE_RECIPIENT]).run();
    std::fs::remove_file(lock(&test)).unwrap();
    let _held = plant("install -m 666 /dev/null", &lock(&test));
    let report = by(MEMBER, "4002", &test, &["doctor"]).any_status().run().stdout;
    let line = "the lock file [HOME]/team/vault.age.lock belongs to another user (uid 4711), so \
                nothing is written";
    assert!(report.contains(line), "{report}");
}
