//! Files with keys and passphrases: what is in them, and who else can read them.

use std::os::unix::fs::PermissionsExt;

use super::{locked, opened_by, vault};
use crate::support::place::TestHome;
use crate::support::{AGE_KEY, PASSPHRASE};

#[test]
fn of_a_passphrase_one_newline_and_a_byte_order_mark_are_dropped_and_an_empty_one_is_refused() {
    for (before, after) in
        [("", ""), ("", "\n"), ("", "\r\n"), ("\u{feff}", ""), ("\u{feff}", "\r\n")]
    {
        let text = format!("{before}{PASSPHRASE}{after}");
        let test = vault().file("typed", text, 0o600);
        opened_by(&test, &["--passphrase-file", "typed"], "typed");
    }
    let test = vault().file("typed", format!("{PASSPHRASE}\n\n"), 0o600);
    let wrong = "vault: error: the passphrase does not open this vault\nvault: hint: tried typed\n";
    locked(&test, &["--passphrase-file", "typed"], wrong);
    for text in ["", "\n", "\r\n", "\u{feff}", "\u{feff}\n"] {
        let test = vault().file("typed", text, 0o600);
        let empty = "vault: error: the passphrase in typed is empty\n";
        locked(&test, &["--passphrase-file", "typed"], empty);
    }
}

#[test]
fn a_missing_named_file_is_an_error_that_says_what_named_it() {
    let test = vault().file(".config/vault/identity.txt", AGE_KEY, 0o600);
    let missing = |what: &str, by: &str| {
        format!(
            "vault: error: the {what} nowhere ({by}) does not exist\n\
             vault: hint: correct the path, or leave {by} out\n"
        )
    };
    locked(&test, &["-i", "nowhere"], &missing("key file", "--identity"));
    let flag = "--passphrase-file";
    locked(&test, &[flag, "nowhere"], &missing("passphrase file", flag));
    for (name, what) in
        [("AWS_VAULT_AGE_KEY_FILE", "key file"), ("AWS_VAULT_PASSPHRASE_FILE", "passphrase file")]
    {
        locked(&test.clone().env(name, "nowhere"), &[], &missing(what, name));
    }
    let error = "vault: error: cannot read the key file .config: not a regular file\n";
    locked(&test, &["-i", ".config"], error);
}

/// What is said of a loose file.
fn loose(what: &str, path: &str, who: &str, mode: u32) -> String {
    format!("the {what} {path} is not private: {who} (mode {mode:04o})\n")
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    for (mode, who) in [
        (0o644, "everybody can read it"),
        (0o604, "everybody can read it"),
        (0o660, "its group can write it"),
        (0o620, "its group can write it"),
        (0o666, "everybody can write it"),
        (0o602, "everybody can write it"),
        (0o640, "its group can read it"),
        (0o440, "its group can read it"),
    ] {
        for (flag, what, file) in
            [("-i", "key file", "key"), ("--passphrase-file", "passphrase file", "passphrase")]
        {
            let test = vault();
            let path = test.home().join(file);
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
            let what = loose(what, file, who, mode);
            let hint = format!("vault: hint: chmod 600 {file}, or give it with {flag} - <{file}\n");
            let refused = format!("vault: error: {what}{hint}");
            test.command(["list", flag, file]).expect_error(6, &refused).run();
            // GitLab writes file variables 0666.
            let warned = format!("vault: warning: {what}");
            let ci = test.clone().env("CI", "true").command(["list", "--credentials", flag, file]);
            ci.expect_stdout("demo\n").expect_stderr(warned).run();
            // What the hint says, works.
            let line = format!("vault list --credentials {flag} - <{file}");
            let test = test.on_path("vault").program("sh").command(["-c", &line]);
            test.expect_stdout("demo\n").expect_stderr("").run();
        }
    }
    for mode in [0o400, 0o600, 0o700, 0o711] {
        let test = vault();
        let path = test.home().join("key");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
        opened_by(&test, &["-i", "key"], "key");
    }
}

#[test]
fn a_ci_job_is_known_by_the_variables_of_its_system() {
    let test = vault().file("key", AGE_KEY, 0o644);
    let list = test.command(["list", "--credentials", "-i", "key"]);
    let what = loose("key file", "key", "everybody can read it", 0o644);
    for (name, value) in [
        ("CI", "true"),
        ("CI", "1"),
        ("TF_BUILD", "True"),
        ("CODEBUILD_BUILD_ID", "demo:1"),
        ("TEAMCITY_VERSION", "2026.1"),
        ("JENKINS_URL", "https://jenkins.example/"),
        ("GITLAB_CI", "true"),
    ] {
        let job = list.clone().env(name, value);
        job.expect_stdout("demo\n").expect_stderr(format!("vault: warning: {what}")).run();
    }
    let refused =
        format!("vault: error: {what}vault: hint: chmod 600 key, or give it with -i - <key\n");
    for vars in [
        &[("CI", "")][..],
        &[("CI", "false")],
        &[("CI", "0")],
        &[("CI", "false"), ("TF_BUILD", "True")],
        &[("TF_BUILD", "")],
        &[("BUILD_NUMBER", "1")],
    ] {
        let list = vars.iter().fold(list.clone(), |test, (name, value)| test.env(name, value));
        list.expect_error(6, &refused).run();
    }
}

/// What fstatfs(2) says: the type, nothing of sizes, and at last the flags (ST_VALID and what is given).
fn statfs(kind: u64, flags: u64) -> String {
    let mut words = [0_u64; 15];
    (words[0], words[10]) = (kind, 0x20 | flags);
    words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

#[test]
#[ignore = "needs strace"]
fn a_loose_key_file_on_a_read_only_9p_mount_is_only_warned_of() {
    const V9FS: u64 = 0x0102_1997;
    const FUSE: u64 = 0x6573_5546;
    const RDONLY: u64 = 1;
    let test = vault().file("key", AGE_KEY, 0o644);
    let list = test.command(["list", "--credentials", "-i", "key"]);
    for (kind, flags, status) in [(V9FS, RDONLY, 0), (V9FS, 0, 6), (FUSE, RDONLY, 6), (FUSE, 0, 6)]
    {
        let inject = format!("inject=fstatfs:poke_exit=@arg2={}", statfs(kind, flags));
        let words = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fstatfs", "-e", &inject];
        let run = list.clone().under("strace", words).expect_status(status).run();
        assert!(run.stderr.contains("the key file key is not private"), "{}", run.stderr);
    }
}

#[test]
fn a_loose_key_file_in_memory_is_only_warned_of() {
    let memory = TestHome::in_memory();
    let path = memory.file("key", AGE_KEY.as_bytes(), 0o444);
    let shown = path.display().to_string();
    let warned =
        format!("vault: warning: {}", loose("key file", &shown, "everybody can read it", 0o444));
    let test = vault().command(["list", "--credentials", "-i", &shown]);
    test.clone().expect_stdout("demo\n").expect_stderr(warned).run();
    test.arg("--quiet").expect_stdout("demo\n").expect_stderr("").run();
}

#[test]
fn a_symlink_is_followed_to_the_mode_of_its_file() {
    let test = vault().file("loose", AGE_KEY, 0o644);
    for (target, status) in [("key", 0), ("loose", 6)] {
        let link = test.home().join("link");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, link).expect("symlink");
        test.command(["list", "-i", "link"]).expect_status(status).run();
    }
}

#[test]
fn a_default_key_file_with_a_loose_mode_stops_no_other_and_is_the_reason_if_none_opens() {
    let test = vault().file(".config/vault/identity.txt", AGE_KEY, 0o644);
    let path = "[HOME]/.config/vault/identity.txt";
    let what = loose("key file", path, "everybody can read it", 0o644);
    let refused = format!(
        "vault: error: {what}vault: hint: chmod 600 {path}, or give it with -i - <{path}\n"
    );
    test.command(["list"]).expect_error(6, &refused).run();
    opened_by(&test.env("SOPS_AGE_KEY", AGE_KEY), &[], "SOPS_AGE_KEY");
}

#[test]
fn a_default_source_that_is_no_file_is_not_waited_for() {
    let test = vault();
    for path in [".config/vault/identity.txt", "secrets/vault.age-key", "secrets/vault.passphrase"]
    {
        let test = test.clone().env("CREDENTIALS_DIRECTORY", test.home().join("secrets"));
        let make = format!("mkdir -p $(dirname {path}); mkfifo {path}");
        test.command(["-c", &make]).program("sh").run();
        let output = test.command(["list"]).any_status().run();
        assert_eq!(output.status, 4, "{}", output.stderr);
        assert!(
            output.stderr.contains(&format!("{path}: not a regular file")),
            "{}",
            output.stderr
        );
        std::fs::remove_file(test.home().join(path)).unwrap();
    }
}
