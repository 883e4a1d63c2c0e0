//! POSIX access control lists (setfacl and getfacl of Debian's `acl`).

use std::process::Command;

use super::*;

fn setfacl(words: &[&str], path: &Path) {
    let done = Command::new("setfacl").args(words).arg(path).status();
    assert!(done.expect("setfacl").success(), "setfacl {words:?}");
}

fn getfacl(path: &Path) -> String {
    let output = Command::new("getfacl").args(["-n", "-p"]).arg(path).output().expect("getfacl");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A vault, an AWS config and a credentials file in a directory of root's, each with this list.
fn listed(words: &[&str]) -> (Test, [PathBuf; 3]) {
    let test = team(0, 0o755).file("team/config", "[default]\n", 0o640).file(
        "team/credentials",
        "[second]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
         aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
        0o640,
    );
    let files = ["vault.age", "config", "credentials"].map(|name| directory(&test).join(name));
    let test = test.env("AWS_CONFIG_FILE", &files[1]).env("AWS_SHARED_CREDENTIALS_FILE", &files[2]);
    test.command(["init", "-r", AGE_RECIPIENT]).run();
    for file in &files {
        setfacl(words, file);
    }
    (test, files)
}

/// Writes all three.
fn write_all(test: &Test) {
    test.command(["add", "third", "--stdin"]).stdin(CSV).expect_stderr("").run();
    let import = ["import", "--from", "credentials", "--remove-source"];
    test.command(import).run();
}

#[test]
#[ignore = "needs setfacl (see .ci/run)"]
fn access_control_lists_are_kept() {
    for words in [
        ["-m", "u:4711:r,g:4712:rw"].as_slice(),
        // A mask that leaves less than the entries say, and one that leaves nothing.
        &["-m", "u:4711:rw,g:4712:rwx,m::r"],
        &["-m", "u:4711:rw,m::-"],
        &["-m", "u:4711:-,o::r"],
        // No list, and a mode that is not the usual one.
        &["-m", "g::r"],
    ] {
        let (test, files) = listed(words);
        let state = || files.each_ref().map(|file| (getfacl(file), test.read(file)));
        let before = state();
        write_all(&test);
        for (before, after) in before.iter().zip(state()) {
            assert_eq!(before.0, after.0, "{words:?}");
            assert_ne!(before.1, after.1, "it was written");
        }
    }
}

#[test]
#[ignore = "needs setfacl (see .ci/run)"]
fn a_directory_s_default_list_is_added_to_nothing() {
    let (test, files) = listed(&["-m", "g::r"]);
    setfacl(&["-d", "-m", "u:4711:rwx,g:4712:rwx"], &directory(&test));
    let state = || files.each_ref().map(|file| getfacl(file));
    let before = state();
    write_all(&test);
    assert_eq!(before, state());
    // What is new is for nobody else either.
    let (new, key) = (directory(&test).join("new.age"), directory(&test).join("identity.txt"));
    let init = ["init", "--vault"].map(Path::new).into_iter().chain([new.as_path()]);
    let flag = Path::new("--generate-identity");
    test.command(init.chain([flag, &key])).run();
    for made in [new, key] {
        let list = getfacl(&made);
        assert!(list.ends_with("user::rw-\ngroup::---\nother::---\n\n"), "{list}");
    }
}

#[test]
#[ignore = "needs setfacl (see .ci/run)"]
fn a_list_that_cannot_be_kept_is_a_file_that_is_not_written() {
    let (test, files) = listed(&["-m", "u:4711:r"]);
    let before = (getfacl(&files[0]), test.read(&files[0]));
    for (call, what) in [
        (libc::SYS_fsetxattr, "the access control list of the old file cannot be kept"),
        (libc::SYS_lgetxattr, "the access control list of the old file cannot be read"),
    ] {
        let stderr = format!(
            "vault: error: the vault [HOME]/team/vault.age was not saved: {what}: operation not permitted\n"
        );
        let add = test.command(ADD).stdin(CSV).refuse(&[call], libc::EPERM);
        add.expect_error(7, &stderr).run();
        assert_eq!(before, (getfacl(&files[0]), test.read(&files[0])));
    }
    let left = ["config", "credentials", "vault.age", "vault.age.lock"];
    assert_eq!(names(&test), left);
}

#[test]
fn a_file_system_without_lists_is_as_good() {
    for errno in [libc::ENOTSUP, libc::ENOSYS] {
        let test = Test::new().vault_with("demo");
        let calls = [libc::SYS_lgetxattr, libc::SYS_fsetxattr, libc::SYS_fremovexattr];
        let add = test.command(ADD).stdin(CSV).refuse(&calls, errno);
        add.expect_stdout(ADDED).expect_stderr("").run();
    }
}

#[test]
#[ignore = "needs root and setfacl (see .ci/run)"]
fn users_who_may_write_by_a_list_may_lock_and_readers_may_not() {
    let test = team(OWNER, 0o2775);
    setfacl(&["-m", "u:4711:rwx"], &directory(&test));
    by(OWNER, "5000", &test, &["init", "-r", AGE_RECIPIENT]).run();
    setfacl(&["-m", "u:4711:rw,u:4712:r,g::r"], &vault(&test));
    // The owner's next write lets the lock follow.
    let add = ["add", "first", "--stdin", "--no-add-config"];
    by(OWNER, "5000", &test, &add).stdin(CSV).expect_stderr("").run();
    let locked = |uid: u32| {
        let mut flock = Command::new("setpriv");
        let ids = [format!("--reuid={uid}"), format!("--regid={uid}"), "--groups=5000".into()];
        flock.args(ids).args(["flock", "-n"]).arg(lock(&test)).arg("true");
        flock.stderr(std::process::Stdio::null()).status().unwrap().success()
    };
    assert!(locked(OWNER) && locked(STRANGER));
    assert!(!locked(4712) && !locked(MEMBER), "they may read only: {}", getfacl(&lock(&test)));
    // The owner, who is in the group, could not write it any more.
    let before = (getfacl(&vault(&test)), test.read(vault(&test)));
    let add = by(STRANGER, "4711", &test, &ADD).stdin(CSV);
    add.clone()
        .expect_error(
            7,
            "vault: error: the vault [HOME]/team/vault.age was not saved: owner and group of the old file cannot be kept: \
             operation not permitted\n",
        )
        .run();
    assert_eq!((getfacl(&vault(&test)), test.read(vault(&test))), before);
    setfacl(&["-m", "g::rw"], &vault(&test));
    let before = getfacl(&vault(&test));
    add.expect_stderr("").run();
    let owned = |uid: u32| format!("# owner: {uid}\n");
    assert_eq!(getfacl(&vault(&test)), before.replace(&owned(OWNER), &owned(STRANGER)));
    by(OWNER, "5000", &test, &["remove", "-f", "second"]).expect_stderr("").run();
}
