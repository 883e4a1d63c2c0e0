//! The write protocol: the old vault stands until the new one is on the disk, and nobody's change is
//! lost.
//!
//! A limit on file sizes stands for a disk that fills up, and a system call that is forbidden for a kill
//! in the middle of a write; where strace is there, single system calls fail. All of them: `faults.rs`.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use vault::clock::Timestamp;
use vault::env::Env;
use vault::error::Class;
use vault::prompt::Prompt;
use vault::vault::{Payload, Vault};

use crate::pin::while_it_asks;
use crate::recipient::OTHER;
use crate::support::builder::Test;
use crate::support::inside;
use crate::support::{AGE_KEY, AGE_RECIPIENT};
use crate::vault_file::payload_of;

const CSV: &str = "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
const ADDED: &str = "Added credentials to profile \"second\" in vault\n";

/// The words that add a profile, with the key on stdin.
fn adding(profile: &str) -> [&str; 4] {
    ["add", profile, "--stdin", "--no-add-config"]
}

/// Adds the profile `second` in a shell that prepares something first.
fn add_after(test: &Test, preparation: &str) -> Test {
    let script = format!("{preparation}; exec \"$0\" add second --stdin --no-add-config");
    let vault = env!("CARGO_BIN_EXE_vault");
    test.clone().program("sh").command(["-c", script.as_str(), vault]).stdin(CSV)
}

/// Adds the profile `second` under strace, which injects something.
fn add_under_strace(test: &Test, inject: &str) -> Test {
    let inject = format!("inject={inject}");
    let words = ["-qq", "-o", "strace.log", "-e", inject.as_str(), env!("CARGO_BIN_EXE_vault")];
    let words = words.into_iter().chain(adding("second"));
    test.clone().program("strace").command(words).stdin(CSV)
}

/// A run without root's right to read and write everything.
pub fn unprivileged(test: &Test, words: &[&str]) -> Test {
    // SAFETY: no pointers, always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        return test.command(words);
    }
    let test = test.clone().program("setpriv");
    test.command(["--bounding-set=-all", env!("CARGO_BIN_EXE_vault")]).args(words)
}

fn profiles(test: &Test) -> Vec<String> {
    payload_of(test.vault_file()).credential_names().map(str::to_owned).collect()
}

fn generation(test: &Test) -> u64 {
    payload_of(test.vault_file()).generation()
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("metadata").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
}

fn directory(test: &Test) -> PathBuf {
    test.home().join(".local/share/vault")
}

/// The names in the vault's directory.
fn names(test: &Test) -> Vec<String> {
    let entries = std::fs::read_dir(directory(test)).expect("directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn both() -> Vec<String> {
    vec!["demo".to_owned(), "second".to_owned()]
}

/// After anything that went wrong, the next writer finds all in order and leaves nothing lying about.
#[track_caller]
fn the_next_write_works(test: &Test) {
    test.command(adding("second")).stdin(CSV).expect_stdout(ADDED).expect_stderr("").run();
    assert_eq!(profiles(test), both());
    assert_eq!(names(test), ["vault.age", "vault.age.lock"]);
}

#[test]
fn every_write_counts() {
    let test = Test::new();
    test.command(["init", "-r", AGE_RECIPIENT]).run();
    assert_eq!(generation(&test), 1);
    let test = test.vault_with("demo");
    assert_eq!(generation(&test), 2);
    test.command(["remove", "-f", "demo"]).run();
    assert_eq!(generation(&test), 3);
    test.command(["remove", "-f", "demo"]).expect_status(3).run();
    test.command(["list"]).run();
    assert_eq!(generation(&test), 3);
}

#[test]
fn a_killed_writer_leaves_the_old_vault() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    // When the temporary file is written, before it is synced, and after.
    for call in [libc::SYS_fchmod, libc::SYS_fsync, libc::SYS_rename] {
        let killing = test.command(adding("second")).stdin(CSV).kill_at(&[call]);
        let killed = 128 + libc::SIGSYS;
        killing.expect_status(killed).expect_stdout("").expect_stderr("").run();
        assert_eq!(test.read(test.vault_file()), old);
        assert_eq!(names(&test).len(), 3, "a temporary file is left: {:?}", names(&test));
    }
    the_next_write_works(&test);
}

#[test]
fn a_full_disk_leaves_the_old_vault() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    // Whether the limit's signal is ignored or would end the process.
    for (blocks, trap) in [0, 1, 4, 8].into_iter().flat_map(|n| [(n, "true"), (n, "trap '' XFSZ")])
    {
        add_after(&test, &format!("{trap}; ulimit -f {blocks}"))
            .expect_error(
                7,
                "vault: error: the vault [HOME]/.local/share/vault/vault.age was not saved: writing failed: file too large\n",
            )
            .run();
        assert_eq!(test.read(test.vault_file()), old);
        assert_eq!(names(&test), ["vault.age", "vault.age.lock"]);
    }
    the_next_write_works(&test);
}

#[test]
#[ignore = "needs strace"]
fn whatever_fails_before_the_rename_leaves_the_old_vault() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    let mount = "vault: hint: mount the directory, not the file\n";
    let read_only =
        "vault: hint: the file system of its directory is read-only: mount that one writable\n";
    for (inject, what, hint) in [
        ("write:error=ENOSPC:when=1", "writing failed: no space left on device", ""),
        ("write:error=EDQUOT:when=1", "writing failed: disk quota exceeded", ""),
        ("fchmod:error=EPERM", "the mode of the file cannot be set: operation not permitted", ""),
        ("fsync:error=EIO:when=1", "the disk did not store it: input/output error", ""),
        (
            "rename,renameat,renameat2:error=EBUSY",
            "renaming failed: device or resource busy",
            mount,
        ),
        (
            "rename,renameat,renameat2:error=EROFS",
            "renaming failed: read-only file system",
            read_only,
        ),
    ] {
        let stderr = format!(
            "vault: error: the vault [HOME]/.local/share/vault/vault.age was not saved: {what}\n{hint}"
        );
        add_under_strace(&test, inject).expect_error(7, &stderr).run();
        assert_eq!(test.read(test.vault_file()), old, "{inject}");
        assert_eq!(names(&test), ["vault.age", "vault.age.lock"], "{inject}");
    }
    the_next_write_works(&test);
}

#[test]
#[ignore = "needs strace"]
fn a_failed_fsync_of_the_directory_is_reported_and_not_tried_again() {
    let test = Test::new().vault_with("demo");
    add_under_strace(&test, "fsync:error=EIO:when=2")
        .expect_error(
            10,
            "vault: error: the vault [HOME]/.local/share/vault/vault.age was saved, but the disk has not confirmed it: input/output error\n",
        )
        .run();
    assert_eq!(profiles(&test), ["demo", "second"]);
}

#[test]
fn parallel_writers_lose_no_update() {
    let test = Test::new().vault_with("demo");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let test = test.clone();
            scope.spawn(move || {
                for n in 0..10 {
                    let profile = format!("writer-{writer}-{n}");
                    let add = test.command(adding(&profile)).stdin(CSV);
                    add.expect_stderr("").run();
                    // A reader at any moment finds a whole vault, with what it wrote itself.
                    let json = test.command(["exec", "--json", "-n", &profile]);
                    json.expect_stderr("").run();
                }
            });
        }
    });
    let mut expected: Vec<_> =
        (0..80).map(|n| format!("writer-{}-{}", n / 10, n % 10)).chain(["demo".into()]).collect();
    expected.sort();
    assert_eq!(profiles(&test), expected);
    assert_eq!(generation(&test), 2 + 80);
    assert_eq!(names(&test), ["vault.age", "vault.age.lock"]);
}

#[test]
fn an_unreadable_vault_is_not_replaced() {
    let path = "[HOME]/.local/share/vault/vault.age";
    let loops = |test: &Test| symlink("vault.age", test.vault_file()).unwrap();
    let is_directory = |test: &Test| std::fs::create_dir(test.vault_file()).unwrap();
    let under_a_file = |test: &Test| {
        std::fs::remove_dir(directory(test)).unwrap();
        std::fs::write(directory(test), "").unwrap();
    };
    for (make, status, what) in [
        (
            &loops as &dyn Fn(&Test),
            6,
            format!("cannot read the vault {path}: too many levels of symbolic links"),
        ),
        (&is_directory, 6, format!("{path} is not a regular file, so not a vault")),
        (&under_a_file, 1, format!("cannot read the vault {path}: not a directory")),
    ] {
        let test = Test::new();
        std::fs::create_dir_all(directory(&test)).unwrap();
        make(&test);
        let before = std::fs::symlink_metadata(directory(&test)).unwrap().ino();
        let stderr = format!("vault: error: {what}\n");
        test.command(["list"]).expect_error(status, &stderr).run();
        test.command(adding("second")).stdin(CSV).expect_error(status, &stderr).run();
        // On a terminal, where `add` makes a vault if there is none, nothing is asked.
        let pty = test.command(["add", "second"]).pty();
        let (ended, screen) = pty.end(std::time::Duration::from_secs(20));
        assert_eq!((ended, screen.contains("Enter")), (status, false), "{screen}");
        let init = test.command(["init", "-r", AGE_RECIPIENT]).expect_stdout("");
        let refused = init.try_run();
        assert!(matches!(refused.status, 6 | 7), "{}", refused.stderr);
        assert_eq!(std::fs::symlink_metadata(directory(&test)).unwrap().ino(), before);
    }
}

#[test]
fn a_vault_that_may_not_be_read_is_not_replaced() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    set_mode(&test.vault_file(), 0);
    for words in [["list"].as_slice(), &adding("second")] {
        unprivileged(&test, words)
            .stdin(CSV)
            .expect_error(
                1,
                "vault: error: cannot read the vault [HOME]/.local/share/vault/vault.age: \
                 permission denied\n\
                 vault: hint: [HOME]/.local/share/vault/vault.age belongs to uid 0, mode 0000; this is \
                 uid 0\n",
            )
            .run();
    }
    set_mode(&test.vault_file(), 0o600);
    assert_eq!(test.read(test.vault_file()), old);
}

#[test]
fn a_link_to_the_vault_stays_a_link() {
    let test = Test::new().vault_with("demo");
    let real = test.home().join("shared");
    std::fs::create_dir(&real).unwrap();
    std::fs::rename(test.vault_file(), real.join("team.age")).unwrap();
    symlink("../../../shared/team.age", test.vault_file()).unwrap();

    test.command(adding("second")).stdin(CSV).expect_stdout(ADDED).run();
    assert!(test.vault_file().symlink_metadata().unwrap().is_symlink());
    assert_eq!(profiles(&test), ["demo", "second"]);
    // The lock lies beside the file itself, where all who write it look for it.
    assert!(real.join("team.age.lock").exists());
}

#[test]
fn a_mode_that_was_changed_after_it_was_read_is_kept() {
    let test = Test::new().vault_with("demo");
    test.command(["recipient", "add", OTHER]).run();
    let (status, screen) = while_it_asks(&test, || set_mode(&test.vault_file(), 0o640));
    assert_eq!(status, 0, "{screen}");
    assert_eq!(mode(&test.vault_file()), 0o640);
}

#[test]
fn mode_owner_and_group_are_kept() {
    let test = Test::new().vault_with("demo");
    set_mode(&test.vault_file(), 0o640);
    // SAFETY: no pointers, always succeeds.
    let root = unsafe { libc::geteuid() } == 0;
    if root {
        std::os::unix::fs::chown(test.vault_file(), Some(12345), Some(54321)).unwrap();
    }
    let about = || {
        let about = test.vault_file().metadata().unwrap();
        (about.permissions().mode(), about.uid(), about.gid(), about.ino())
    };
    let before = about();
    test.command(adding("second")).stdin(CSV).expect_stdout(ADDED).expect_stderr("").run();
    let after = about();
    assert_eq!((before.0, before.1, before.2), (after.0, after.1, after.2));
    assert_ne!(before.3, after.3, "it was replaced");
    if root {
        // Without the right to give files away they cannot be kept: then nothing is written.
        set_mode(&test.vault_file(), 0o666);
        let refused = unprivileged(&test, &adding("third")).args(["--quiet"]).stdin(CSV);
        set_mode(&directory(&test).join("vault.age.lock"), 0o666);
        refused
            .expect_error(
                7,
                "vault: error: the vault [HOME]/.local/share/vault/vault.age was not saved: owner and group of the old file cannot be \
                 kept: operation not permitted\n",
            )
            .run();
        assert_eq!(profiles(&test), ["demo", "second"]);
    }
}

#[test]
fn a_world_writable_directory_is_warned_of_on_reading_and_refused_on_writing() {
    let test = Test::new().vault_with("demo");
    let warning = "vault: warning: everybody can replace the vault: the directory \
                   [HOME]/.local/share/vault is world-writable without the sticky bit\n";
    set_mode(&directory(&test), 0o777);
    let list = test.command(["list", "--credentials"]);
    list.expect_stdout("demo\n").expect_stderr(warning).run();
    let refusal = "vault: error: everybody can write the directory of \
                   [HOME]/.local/share/vault/vault.age (no sticky bit), so nothing is written there\n\
                   vault: hint: chmod o-w the directory\n";
    test.command(adding("second")).stdin(CSV).expect_error(6, &format!("{warning}{refusal}")).run();
    assert_eq!(profiles(&test), ["demo"]);

    set_mode(&directory(&test), 0o1777);
    the_next_write_works(&test);
}

#[test]
fn a_world_writable_vault_is_warned_of() {
    let test = Test::new().vault_with("demo");
    set_mode(&test.vault_file(), 0o666);
    test.command(["list", "--credentials"])
        .expect_stdout("demo\n")
        .expect_stderr(
            "vault: warning: everybody can write the vault \
             [HOME]/.local/share/vault/vault.age (mode 0666)\n",
        )
        .run();
}

#[test]
fn a_read_only_directory_is_enough_for_reading() {
    for lock_is_there in [true, false] {
        let test = Test::new().vault_with("demo");
        let lock = directory(&test).join("vault.age.lock");
        if !lock_is_there {
            std::fs::remove_file(&lock).unwrap();
        }
        set_mode(&directory(&test), 0o555);
        let run = |words: &[&str]| unprivileged(&test, words).stdin(CSV);
        run(&["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
        run(&["exec", "-n", "demo", "true"]).expect_stderr("").run();
        let what = match lock_is_there {
            true => {
                "[HOME]/.local/share/vault/vault.age was not saved: a temporary file beside it cannot be \
                 made: permission denied"
            }
            false => {
                "was not saved: cannot lock [HOME]/.local/share/vault/vault.age.lock: permission denied"
            }
        };
        let stderr = format!(
            "vault: error: the vault {what}\n\
             vault: hint: the directory must be writable: the file is not overwritten but replaced by \
             a new one\n"
        );
        run(&adding("second")).expect_error(7, &stderr).run();
        assert_eq!(profiles(&test), ["demo"]);
    }
}

#[test]
#[ignore = "needs strace"]
fn a_read_only_mount_is_enough_for_reading() {
    let test = Test::new().vault_with("demo");
    let lock = directory(&test).join("vault.age.lock");
    let inject = |path: &Path, what: &str| {
        let (inject, path) = (format!("inject={what}"), path.display().to_string());
        let words = ["-qq", "-o", "strace.log", "-P", &path, "-e", &inject];
        let words = [words.as_slice(), &[env!("CARGO_BIN_EXE_vault")], &adding("second")].concat();
        test.clone().program("strace").command(words).stdin(CSV)
    };
    inject(&lock, "open,openat:error=EROFS")
        .expect_error(
            7,
            "vault: error: the vault was not saved: cannot lock \
             [HOME]/.local/share/vault/vault.age.lock: read-only file system\n\
             vault: hint: the file system of its directory is read-only: mount that one writable\n",
        )
        .run();
    // EIO at the vault itself is not "no vault".
    inject(&test.vault_file(), "open,openat:error=EIO")
        .expect_error(
            1,
            "vault: error: cannot read the vault [HOME]/.local/share/vault/vault.age: input/output error\n",
        )
        .run();
    assert_eq!(profiles(&test), ["demo"]);
}

#[test]
fn what_killed_writers_left_is_removed_and_nothing_else() {
    let test = Test::new()
        .vault_with("demo")
        .file(".local/share/vault/.vault.age.tmp-4711-00112233aabbccdd", "torn", 0o600)
        .file(".local/share/vault/.vault.age.tmp-my-notes", "mine", 0o600)
        .file(".local/share/vault/.other.age.tmp-4711-00112233aabbccdd", "another's", 0o600);
    test.command(["list"]).run();
    assert_eq!(names(&test).len(), 5, "a reader removes nothing");
    test.command(adding("second")).stdin(CSV).expect_stdout(ADDED).run();
    let left = [
        ".other.age.tmp-4711-00112233aabbccdd",
        ".vault.age.tmp-my-notes",
        "vault.age",
        "vault.age.lock",
    ];
    assert_eq!(names(&test), left);
}

#[test]
#[ignore = "takes 45 s"]
fn a_writer_does_not_wait_for_ever() {
    let test = Test::new().vault_with("demo");
    let lock = std::fs::File::options()
        .write(true)
        .open(directory(&test).join("vault.age.lock"))
        .expect("the lock");
    lock.lock().expect("the lock");
    // Readers do not care.
    test.command(["list", "--credentials"]).expect_stdout("demo\n").run();
    test.command(adding("second"))
        .stdin(CSV)
        .expect_error(8, "vault: error: another process is writing the vault, waited 45 s\n")
        .run();
    assert_eq!(profiles(&test), ["demo"]);
}

#[test]
fn a_second_init_changes_nothing() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    test.command(["init", "-r", AGE_RECIPIENT]).expect_status(6).expect_stdout("").run();
    assert_eq!(test.read(test.vault_file()), old);
    assert_eq!(mode(&test.vault_file()), 0o600);
}

#[test]
fn a_change_that_was_not_saved_is_not_in_memory_either() {
    let test = Test::new().vault_with("demo");
    let env = Env::of(&[("AWS_VAULT_AGE_KEY", AGE_KEY)]);
    let access = inside::access(test.vault_file(), &env, Prompt::new(true, None));
    let mut vault = Vault::open(&access).unwrap();
    let key = vault.payload().credential("demo").unwrap();
    let dir = test.vault_file().parent().unwrap().to_owned();
    let mode = |mode| std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o777);
    let add = |payload: &mut Payload| {
        payload.set_credential("other", &key, Timestamp(0));
        Ok(())
    };
    assert_eq!(vault.change(add).unwrap_err().class, Class::Refused);
    mode(0o700);
    assert!(vault.payload().access_key_id("other").is_none());
    assert!(vault.change(|payload| Ok(payload.remove_credential("demo"))).unwrap());
    let payload = payload_of(test.vault_file());
    assert_eq!((payload.credential_names().count(), payload.generation()), (0, 3));
}
