//! `export --format github`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::Path;

use vault::export::github;

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, scene};

/// A step: the file is there, and `GITHUB_ENV` names it.
fn step(test: Test, before: &str) -> Test {
    let path = test.home().join("set_env");
    test.file("set_env", before, 0o644).env("GITHUB_ENV", path)
}

/// What the runner makes of the file: variables, and the delimiters that they stood between.
fn read(path: &Path) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(path).expect("the file");
    let mut lines = text.split('\n');
    let (mut variables, mut delimiters) = (BTreeMap::new(), BTreeSet::new());
    while let Some(line) = lines.next() {
        if let Some((name, end)) = line.split_once("<<") {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
            variables.insert(name.to_owned(), value.join("\n"));
            assert!(delimiters.insert(end.to_owned()), "used twice: {end}");
        } else if let Some((name, value)) = line.split_once('=') {
            variables.insert(name.to_owned(), value.to_owned());
        } else {
            assert_eq!(line, "", "no line of a variable");
        }
    }
    (variables, delimiters)
}

#[test]
fn masks_go_to_the_log_and_values_to_the_file() {
    let (standin, test) = scene::usual();
    let test = step(test, "BEFORE=1");
    let output = test.command(["export", "--format", "github", "role"]).expect_stderr("").run();
    let issued = standin.issued();
    assert_same(
        "stdout",
        "::add-mask::[ID 1]\n::add-mask::[SECRET 1]\n::add-mask::[TOKEN 1]\n",
        &output.hide(&issued),
    );
    let (variables, delimiters) = read(&test.home().join("set_env"));
    assert_eq!(delimiters.len(), 6);
    for delimiter in delimiters {
        assert_eq!(delimiter.len(), "vault_".len() + 32, "{delimiter}");
    }
    assert_eq!(variables.len(), 7);
    assert_eq!(variables["BEFORE"], "1");
    assert_eq!(variables["AWS_SECRET_ACCESS_KEY"], issued[0].secret_access_key);
    assert_eq!(variables["AWS_SESSION_TOKEN"], issued[0].session_token);
    assert_eq!(variables["AWS_DEFAULT_REGION"], "us-east-1");
}

#[test]
fn a_value_of_several_lines_is_one_variable() {
    let d = Test::new();
    let mut number = 0;
    let delimiter = || {
        number += 1;
        Ok::<_, ()>(format!("end{number}"))
    };
    let value = "50%\nPATH=/evil\nA<<B\n";
    let text = github(&[("SECRET", value.into()), ("AWS_REGION", "x".into())], delimiter);
    let text = text.expect("delimiters");
    assert_eq!(text.masks, "::add-mask::50%25%0APATH=/evil%0AA<<B%0A\n");
    let d = d.file("set_env", text.lines, 0o600);
    let (variables, _) = read(&d.home().join("set_env"));
    assert_eq!((variables["SECRET"].as_str(), variables.len()), (value, 2));
}

#[test]
fn without_masks_nothing_is_written() {
    let test = step(Test::new().vault_with("demo").on_path("vault"), "");
    let script = "vault export -n --format github demo >/dev/full";
    let error = "vault: error: cannot write to stdout: no space left on device\n";
    test.command(["-c", script]).program("sh").expect_error(1, error).run();
    assert_eq!(test.read("set_env"), b"");
}

#[test]
fn a_file_that_will_not_do_is_an_error_before_aws_is_asked() {
    let (standin, test) = scene::usual();
    let github = ["export", "--format", "github", "role"];
    test.command(github)
        .expect_error(
            2,
            "vault: error: --format github: GITHUB_ENV is not set, so this is not a GitHub Actions step\n\
             vault: hint: use another format elsewhere\n",
        )
        .run();
    let test = test.clone().env("GITHUB_ENV", test.home().join("set_env"));
    let error = |text: &str| format!("vault: error: {text}\n");
    test.command(github).expect_error(3, &error("no such file: [HOME]/set_env (GITHUB_ENV)")).run();
    assert!(!test.home().join("set_env").exists());
    let test = test.file("other", "", 0o644);
    symlink(test.home().join("other"), test.home().join("set_env")).expect("a link");
    let refused = error("[HOME]/set_env (GITHUB_ENV) is not a regular file");
    test.command(github).expect_error(6, &refused).run();
    let test = test.clone().env("GITHUB_ENV", test.home().join("other/set_env"));
    let failed = error("cannot open [HOME]/other/set_env (GITHUB_ENV): not a directory");
    test.command(github).expect_error(1, &failed).run();
    assert_eq!(standin.calls().len(), 0);
    assert_eq!(test.read("other"), b"");
}

#[test]
fn a_file_that_everybody_may_write_is_warned_of() {
    let test = step(Test::new().vault_with("demo"), "").file("set_env", "", 0o666);
    test.command(["export", "-n", "--format", "github", "demo"])
        .expect_stdout(format!("::add-mask::{ACCESS_KEY_ID}\n::add-mask::{SECRET_ACCESS_KEY}\n"))
        .expect_stderr("vault: warning: everybody may write [HOME]/set_env (GITHUB_ENV)\n")
        .run();
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_is_an_error() {
    let test =
        step(Test::new().vault_with("demo").on_path("vault"), "").env("GITHUB_ENV", "full/f");
    let script = "mkdir full && mount -t tmpfs -o size=4k none full && : >full/f && \
                  { head -c 4096 /dev/zero >full/rest || :; } 2>/dev/null && \
                  exec vault export -n --format github demo";
    test.command(["--mount", "sh", "-c", script])
        .program("unshare")
        .expect_status(1)
        .expect_stderr(
            "vault: error: cannot write to full/f (GITHUB_ENV): no space left on device\n",
        )
        .run();
}
