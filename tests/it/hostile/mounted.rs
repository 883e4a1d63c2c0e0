//! A vault that cannot be replaced, or not with its owner and mode: an error, and nothing is written.

use std::os::unix::fs::{MetadataExt, chown};

use crate::support::builder::Test;
use crate::vault_file::payload_of;
use crate::write::unprivileged;

const CSV: &str = "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
const ADD: [&str; 4] = ["add", "second", "--stdin", "--no-add-config"];

/// As `docker run -v vault.age:/…/vault.age` and a Kubernetes subPath do it.
#[test]
#[ignore = "needs root"]
fn a_vault_mounted_as_a_single_file_says_so() {
    let test = Test::new().vault_with("demo");
    let vault = test.vault_file();
    std::fs::rename(&vault, test.home().join("team.age")).unwrap();
    std::fs::write(&vault, "").unwrap();
    let before = test.read("team.age");
    let mount = "mount --bind team.age .local/share/vault/vault.age";
    let mounted = |script: String, words: &[&str]| {
        // The mount is seen in a namespace of its own only, and goes with it.
        let run = test.clone().program("unshare");
        let run =
            run.command(["--mount", "sh", "-c", script.as_str(), env!("CARGO_BIN_EXE_vault")]);
        run.args(words).stdin(CSV)
    };
    let exec = "exec \"$0\" \"$@\"";
    for script in [
        format!("{mount} && {exec}"),
        format!("{mount} && mount -o remount,bind,ro .local/share/vault/vault.age && {exec}"),
    ] {
        let list = mounted(script.clone(), &["list", "--credentials"]);
        list.expect_stdout("demo\n").expect_stderr("").run();
        mounted(script, &ADD)
            .expect_error(
                7,
                "vault: error: the vault [HOME]/.local/share/vault/vault.age was not saved: renaming failed: device or resource busy\n\
                 vault: hint: mount the directory, not the file\n",
            )
            .run();
        assert_eq!(test.read("team.age"), before);
        let mut names: Vec<_> = std::fs::read_dir(vault.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["vault.age", "vault.age.lock"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_group_that_cannot_be_kept_is_a_vault_that_is_not_written() {
    let test = Test::new().vault_with("demo");
    chown(test.vault_file(), None, Some(54321)).unwrap();
    // The owner, but neither root's rights nor the group.
    unprivileged(&test, &ADD)
        .stdin(CSV)
        .expect_error(
            7,
            "vault: error: the vault [HOME]/.local/share/vault/vault.age was not saved: owner and group of the old file cannot be kept: \
             operation not permitted\n",
        )
        .run();
    assert_eq!(payload_of(test.vault_file()).credential_names().collect::<Vec<_>>(), ["demo"]);
    test.command(ADD).stdin(CSV).run();
    assert_eq!(test.vault_file().metadata().unwrap().gid(), 54321);
    assert_eq!(payload_of(test.vault_file()).credential_names().count(), 2);
}
