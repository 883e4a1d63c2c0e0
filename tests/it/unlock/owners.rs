//! Key files of other owners, and for other readers.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::vault;
use crate::support::AGE_KEY;
use crate::support::builder::Test;
use crate::support::place::TestHome;

/// Users that no machine here knows.
const US: u32 = 54_321;
const SOMEBODY: u32 = 12_345;
/// A group besides the user's own.
const OURS: u32 = 7_654;
const OTHERS: u32 = 7_655;

fn own(path: &Path, owner: u32, group: u32, mode: u32) {
    chown(path, Some(owner), Some(group)).expect("root");
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

/// The vault, which [`US`] may read, and a file `key` in a directory that everybody may enter.
fn shared() -> Test {
    let test = vault().file("key", AGE_KEY, 0o600);
    let script =
        "chmod 755 . .local .local/share .local/share/vault && chmod 644 $(find -name vault.age)";
    test.command(["-c", script]).program("sh").run();
    test
}

/// Runs `list --credentials WORDS…` as [`US`], with [`OURS`] as a supplementary group.
fn as_us(test: &Test, words: &[&str]) -> Test {
    let ids = [format!("--reuid={US}"), format!("--regid={US}"), format!("--groups={OURS}")];
    test.command(["list", "--credentials", "--cache-dir", "/nonexistent"]).args(words).under(
        "setpriv",
        ids.iter().map(String::as_str).chain(["--no-new-privs", "--bounding-set=-all"]),
    )
}

fn refused(what: &str, remedy: &str) -> String {
    format!(
        "vault: error: the key file key is not private: {what}\n\
         vault: hint: {remedy}, or give it with -i - <key\n"
    )
}

#[test]
#[ignore = "needs root"]
fn a_key_file_counts_by_its_owner_and_its_group() {
    let test = shared();
    let key = test.home().join("key");
    for (owner, group, mode) in
        [(US, US, 0o600), (US, OURS, 0o400), (0, OURS, 0o640), (0, OURS, 0o440), (0, US, 0o440)]
    {
        own(&key, owner, group, mode);
        as_us(&test, &["-i", "key"]).expect_stdout("demo\n").expect_stderr("").run();
    }
    let ours = "chmod 600 key";
    let roots = &format!("as root: chown {US} key; chmod 600 key");
    for (owner, group, mode, what, remedy) in [
        (US, US, 0o640, "its group can read it (mode 0640)", ours),
        (US, OTHERS, 0o440, "its group can read it (mode 0440)", ours),
        (US, US, 0o660, "its group can write it (mode 0660)", ours),
        (US, US, 0o604, "everybody can read it (mode 0604)", ours),
        (0, OURS, 0o660, "its group can write it (mode 0660)", roots),
        (0, OURS, 0o644, "everybody can read it (mode 0644)", roots),
        (SOMEBODY, OURS, 0o640, "it belongs to uid 12345 (mode 0640)", roots),
        (SOMEBODY, OTHERS, 0o604, "it belongs to uid 12345 (mode 0604)", roots),
        // The overflow uid is nobody in particular only in a user namespace.
        (65_534, OURS, 0o440, "it belongs to uid 65534 (mode 0440)", roots),
    ] {
        own(&key, owner, group, mode);
        as_us(&test, &["-i", "key"]).expect_error(6, &refused(what, remedy)).run();
        let by_variable = as_us(&test, &[]).env("AWS_VAULT_AGE_KEY_FILE", "key");
        by_variable.expect_error(6, &refused(what, remedy)).run();
        let warned = format!("vault: warning: the key file key is not private: {what}\n");
        let job = as_us(&test, &["-i", "key"]).env("CI", "true");
        job.expect_stdout("demo\n").expect_stderr(warned).run();
    }
}

#[test]
#[ignore = "needs root"]
fn an_access_list_that_names_others_is_refused() {
    let test = shared();
    let key = test.home().join("key");
    let list = |entry: &str| {
        test.command(["-bm", entry, "key"]).program("setfacl").run();
    };
    own(&key, US, US, 0o600);
    list(&format!("u:{SOMEBODY}:r"));
    let what = "its group can read it (mode 0640)";
    as_us(&test, &["-i", "key"]).expect_error(6, &refused(what, "chmod 600 key")).run();
    // What the hint says, ends it.
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("a mode");
    as_us(&test, &["-i", "key"]).expect_stdout("demo\n").expect_stderr("").run();
    // As systemd gives a unit's user its credentials.
    own(&key, 0, 0, 0o400);
    list(&format!("u:{US}:r"));
    as_us(&test, &["-i", "key"]).expect_stdout("demo\n").expect_stderr("").run();
    // Root's for a group that is not ours, and us beside it.
    own(&key, 0, OTHERS, 0o400);
    list(&format!("u:{US}:r"));
    let what = "its group can read it (mode 0440)";
    let remedy = format!("as root: chown {US} key; chmod 600 key");
    as_us(&test, &["-i", "key"]).expect_error(6, &refused(what, &remedy)).run();
}

#[test]
#[ignore = "needs root"]
fn root_uses_every_users_key_file_that_is_private() {
    let test = vault();
    let key = test.home().join("key");
    own(&key, SOMEBODY, SOMEBODY, 0o600);
    let list = test.command(["list", "--credentials", "-i", "key"]);
    list.clone().expect_stdout("demo\n").expect_stderr("").run();
    for owner in [SOMEBODY, 0] {
        own(&key, owner, 0, 0o640);
        let what = "its group can read it (mode 0640)";
        list.clone().expect_error(6, &refused(what, "chmod 600 key")).run();
    }
}

#[test]
#[ignore = "needs root"]
fn an_owner_whom_a_user_namespace_does_not_know_is_no_other_user() {
    let test = shared();
    let key = test.home().join("key");
    own(&key, SOMEBODY, OURS, 0o440);
    // Only this user is in there, as itself, and the file's owner is shown as 65534. The group is ours.
    let ids = ["--reuid=54321", "--regid=54321", "--groups=7654", "--no-new-privs"];
    let inside = |words: &[&str]| {
        let words = ["list", "--credentials", "--cache-dir", "/nonexistent"].iter().chain(words);
        test.command(words).under("unshare", ["--user", "--map-current-user"]).under("setpriv", ids)
    };
    let shown = test.command(["--user", "--map-current-user", "stat", "-c", "%u %g", "key"]);
    shown.program("unshare").under("setpriv", ids).expect_stdout("65534 65534\n").run();
    inside(&["-i", "key"]).expect_stdout("demo\n").expect_stderr("").run();
    own(&key, SOMEBODY, OURS, 0o444);
    inside(&["-i", "key"]).expect_status(6).expect_stdout("").run();
}

#[test]
#[ignore = "needs root"]
fn another_users_key_file_where_container_secrets_lie_is_only_warned_of() {
    let memory = TestHome::in_memory();
    std::fs::set_permissions(memory.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
    let path = memory.file("key", AGE_KEY.as_bytes(), 0o400);
    own(&path, SOMEBODY, OURS, 0o440);
    let shown = path.display().to_string();
    let warned = format!(
        "vault: warning: the key file {shown} is not private: it belongs to uid 12345 (mode 0440)\n"
    );
    as_us(&shared(), &["-i", &shown]).expect_stdout("demo\n").expect_stderr(warned).run();
}
