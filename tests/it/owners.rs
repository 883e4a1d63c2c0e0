//! Files that are shared between users: who owns what was written, who may lock it, and what stays of
//! modes and access control lists.

mod homes;
mod lists;
mod locks;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};

use crate::support::builder::Test;
use crate::support::{AGE_KEY, AGE_RECIPIENT};
use crate::vault_file::payload_of;

const CSV: &str = "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
const ADDED: &str = "Added credentials to profile \"second\" in vault\n";
const ADD: [&str; 4] = ["add", "second", "--stdin", "--no-add-config"];

/// Users and a group that the system has never heard of.
const OWNER: u32 = 4001;
const MEMBER: u32 = 4002;
const STRANGER: u32 = 4711;
const TEAM: u32 = 5000;

/// A test whose vault belongs into the directory `team`, which has this owner, group and mode.
fn team(uid: u32, mode: u32) -> Test {
    let test = Test::new();
    let directory = test.home().join("team");
    std::fs::create_dir(&directory).unwrap();
    chown(&directory, Some(uid), Some(TEAM)).expect("only root gives files away");
    set_mode(&directory, mode);
    set_mode(test.home(), 0o711);
    test.env("AWS_VAULT_AGE_KEY", AGE_KEY).env("AWS_VAULT_FILE", directory.join("vault.age"))
}

fn directory(test: &Test) -> PathBuf {
    test.home().join("team")
}

fn vault(test: &Test) -> PathBuf {
    directory(test).join("vault.age")
}

fn lock(test: &Test) -> PathBuf {
    directory(test).join("vault.age.lock")
}

/// The run of a user, who is in the team or is not.
fn by(uid: u32, groups: &str, test: &Test, words: &[&str]) -> Test {
    let ids = [format!("--reuid={uid}"), format!("--regid={uid}"), format!("--groups={groups}")];
    test.clone().program("setpriv").command(ids).arg(env!("CARGO_BIN_EXE_vault")).args(words)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Owner, group and mode.
fn about(path: &Path) -> (u32, u32, u32) {
    let about = path.symlink_metadata().unwrap();
    (about.uid(), about.gid(), about.mode() & 0o7777)
}

fn profiles(test: &Test) -> Vec<String> {
    payload_of(vault(test)).credential_names().map(str::to_owned).collect()
}

fn names(test: &Test) -> Vec<String> {
    let entries = std::fs::read_dir(directory(test)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
#[ignore = "needs root, to become other users"]
fn a_writer_of_the_group_becomes_the_owner() {
    let test = team(OWNER, 0o2775);
    by(OWNER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).expect_stdout("").run();
    set_mode(&vault(&test), 0o660);
    for (uid, profile) in [(MEMBER, "second"), (OWNER, "third"), (MEMBER, "fourth")] {
        let add = ["add", profile, "--stdin", "--no-add-config"];
        by(uid, "5000", &test, &add).stdin(CSV).expect_stderr("").run();
        assert_eq!(about(&vault(&test)), (uid, TEAM, 0o660));
        assert_eq!(names(&test), ["vault.age", "vault.age.lock"]);
    }
    assert_eq!(profiles(&test), ["fourth", "second", "third"]);
    // Root keeps the owner as well.
    test.command(ADD).stdin(CSV).expect_stderr("").run();
    assert_eq!(about(&vault(&test)), (MEMBER, TEAM, 0o660));
}

#[test]
#[ignore = "needs root, to become other users"]
fn so_does_one_whose_user_namespace_does_not_know_the_owner() {
    let test = team(OWNER, 0o2775);
    by(OWNER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).run();
    set_mode(&vault(&test), 0o660);
    // Nobody but this user and this group is in there.
    let ids = [format!("--reuid={MEMBER}"), format!("--regid={TEAM}"), "--clear-groups".to_owned()];
    for map in ["--map-current-user", "--map-root-user"] {
        chown(vault(&test), Some(OWNER), None).unwrap();
        let add = test.command(["add", map.trim_start_matches('-'), "--stdin", "--no-add-config"]);
        let inside = add.under("unshare", ["--user", map]);
        inside.under("setpriv", ids.iter().map(String::as_str)).stdin(CSV).expect_stderr("").run();
        assert_eq!(about(&vault(&test)), (MEMBER, TEAM, 0o660));
    }
}

#[test]
#[ignore = "needs root, to become other users"]
fn a_lock_from_before_the_vault_was_shared_is_taken_over() {
    let test = team(OWNER, 0o755);
    by(OWNER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).run();
    assert_eq!(about(&lock(&test)).2, 0o600);
    set_mode(&directory(&test), 0o2775);
    let denied = format!(
        "vault: error: the vault was not saved: cannot lock [HOME]/team/vault.age.lock: permission \
         denied\nvault: hint: the lock file belongs to uid {OWNER}: have that user or root remove it, \
         or make [HOME]/team/vault.age writable for you\n"
    );
    let refused = by(MEMBER, "5000", &test, &ADD).stdin(CSV).expect_error(7, &denied);
    // A vault that the member may read only; and something else that has the lock's name.
    chown(vault(&test), None, Some(TEAM)).unwrap();
    set_mode(&vault(&test), 0o640);
    refused.run();
    set_mode(&vault(&test), 0o660);
    std::fs::write(lock(&test), "a diary of the owner's").unwrap();
    refused.run();
    std::fs::write(lock(&test), "4711\n").unwrap();
    for (uid, profile) in [(MEMBER, "second"), (OWNER, "third")] {
        let add = ["add", profile, "--stdin", "--no-add-config"];
        by(uid, "5000", &test, &add).stdin(CSV).expect_stderr("").run();
        assert_eq!(about(&lock(&test)), (MEMBER, TEAM, 0o660));
        assert_eq!(about(&vault(&test)), (uid, TEAM, 0o660));
    }
    assert_eq!(profiles(&test), ["second", "third"]);
}

#[test]
#[ignore = "needs root, to become other users"]
fn a_user_who_may_not_write_the_old_file_or_keep_its_group_writes_nothing() {
    // The directory alone would let them replace it.
    for (mode, groups, directory_mode) in [(0o640, "5000", 0o2775), (0o666, "4711", 0o1777)] {
        let test = team(OWNER, directory_mode);
        by(OWNER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).run();
        chown(vault(&test), None, Some(TEAM)).unwrap();
        set_mode(&vault(&test), mode);
        set_mode(&lock(&test), 0o666);
        let (bytes, before) = (test.read(vault(&test)), about(&vault(&test)));
        by(MEMBER, groups, &test, &[&["--quiet"], ADD.as_slice()].concat())
            .stdin(CSV)
            .expect_error(
                7,
                "vault: error: the vault [HOME]/team/vault.age was not saved: owner and group of the old file cannot be \
                 kept: operation not permitted\n",
            )
            .run();
        assert_eq!((test.read(vault(&test)), about(&vault(&test))), (bytes, before));
        assert_eq!(names(&test), ["vault.age", "vault.age.lock"]);
    }
}

#[test]
#[ignore = "needs root, to become other users"]
fn the_aws_config_keeps_its_group_and_mode_too() {
    let test = team(OWNER, 0o2775);
    let config = directory(&test).join("config");
    by(OWNER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).run();
    std::fs::write(&config, "[default]\nregion = eu-west-1\n").unwrap();
    chown(&config, Some(OWNER), Some(TEAM)).unwrap();
    set_mode(&config, 0o664);
    set_mode(&vault(&test), 0o660);
    let test = test.env("AWS_CONFIG_FILE", &config);
    by(MEMBER, "5000", &test, &ADD[..3]).stdin(CSV).expect_stdout(ADDED).expect_stderr("").run();
    assert_eq!(test.read(&config), b"[default]\nregion = eu-west-1\n\n[profile second]\n");
    assert_eq!(about(&config), (MEMBER, TEAM, 0o664));
    assert_eq!(about(&directory(&test).join("config.lock")), (MEMBER, TEAM, 0o660));
}
