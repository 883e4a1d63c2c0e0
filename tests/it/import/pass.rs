//! aws-vault's items in the password store `pass`.

use super::{SECOND_ID, SECOND_SECRET, holds, stored, vault};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Stands for `pass`: `show -- NAME` prints the file of that name, as the real one decrypts it, and
/// whatever else it sees is noted.
const PASS: &str = r#"#!/bin/sh
echo "$* $PASSWORD_STORE_DIR ${AWS_VAULT_AGE_KEY-}${AWS_VAULT_FILE_PASSPHRASE-}${SOPS_AGE_KEY-}" >>"$HOME/seen"
[ "$#" = 3 ] && [ "$1 $2" = "show --" ] || exit 64
case $3 in *locked) echo "gpg: decryption failed: No secret key" >&2; exit 2 ;; esac
cat "$PASSWORD_STORE_DIR/$3.gpg"
"#;

fn item(name: &str, id: &str, secret: &str) -> String {
    let data = format!("{{\"AccessKeyID\":\"{id}\",\"SecretAccessKey\":\"{secret}\"}}");
    format!(
        "{{\"Key\":\"{name}\",\"Data\":\"{}\",\"Label\":\"aws-vault ({name})\"}}",
        STANDARD.encode(data)
    )
}

/// A store with a prefix, and beside it what is nobody's business.
fn store(test: Test) -> Test {
    let items = [
        ("aws/prod", item("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY)),
        ("aws/team/ci", item("team/ci", SECOND_ID, SECOND_SECRET)),
        ("aws/sts.GetSessionToken,cHJvZA,,1767225600", String::new()),
        ("bank", "my password\n".to_owned()),
        ("prod", item("prod", SECOND_ID, SECOND_SECRET)),
        (".git/x", String::new()),
    ];
    let test = test.file("bin/pass", PASS, 0o755);
    let bin = format!("{}/bin:/usr/bin:/bin", test.home().display());
    let test = items.iter().fold(test.env("PATH", bin), |test, (name, text)| {
        test.file(&format!(".password-store/{name}.gpg"), text, 0o600)
    });
    test.env("AWS_VAULT_FILE_PASSPHRASE", "theirs").env("SOPS_AGE_KEY", "theirs")
}

fn seen(test: &Test) -> String {
    test.placeholders(&test.read("seen"))
}

const LINK: &str = "For aws-vault's command lines: ln -s vault aws-vault, in the directory of vault\n\
     aws-vault's own copies are as they were. When all works, make new keys \
     (vault rotate PROFILE) and remove them\n";

#[test]
fn entries_below_the_prefix_are_read_by_pass_itself() {
    let test = store(vault(&["prod", "team/ci"])).env("AWS_VAULT_PASS_PREFIX", "aws");
    let table = "prod     AKIAIOSFODNN7EXAMPLE  new\nteam/ci  AKIAI44QH8DHBEXAMPLE  new\n";
    test.command(["import", "--from", "pass"]).expect_stdout(table).expect_stderr(LINK).run();
    stored(&test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    stored(&test, "team/ci", SECOND_ID, SECOND_SECRET);
    // No shell, no session, nothing that opens the vault.
    let calls =
        "show -- aws/prod [HOME]/.password-store \nshow -- aws/team/ci [HOME]/.password-store \n";
    assert_eq!(seen(&test), calls);
}

#[test]
fn without_a_prefix_no_password_is_opened_that_is_no_profile() {
    let test = store(vault(&["prod"]));
    let left_out = "Left out, since no profile in the AWS config is called so: 3 entries\n";
    let import = test.command(["import", "--from", "pass"]);
    let import = import.expect_stderr(format!("{left_out}{LINK}"));
    import.expect_stdout("prod  AKIAI44QH8DHBEXAMPLE  new\n").run();
    assert_eq!(seen(&test), "show -- prod [HOME]/.password-store \n");
    holds(&test, "prod\n");
}

#[test]
fn the_store_and_the_program_are_named_as_aws_vault_names_them() {
    let test = store(vault(&["prod"]));
    let program = test.home().join("bin/pass");
    std::fs::rename(test.home().join(".password-store"), test.home().join("store")).expect("moved");
    std::fs::rename(program, test.home().join("bin/gopass")).expect("moved");
    let table = "prod  AKIAIOSFODNN7EXAMPLE  new\n";
    let import = ["import", "--from", "pass", "--dry-run", "prod"];
    let prefix = ["--pass-cmd", "gopass", "--pass-prefix", "aws/"];
    let dir = test.home().join("store");
    test.command(import).args(prefix).arg("--dir").arg(&dir).expect_stdout(table).run();
    test.command(import).args(prefix).arg("--pass-dir").arg(&dir).expect_stdout(table).run();
    let own = test.clone().env("PASSWORD_STORE_DIR", &dir);
    own.command(import).args(prefix).expect_stdout(table).run();
    let theirs = test.env("AWS_VAULT_PASS_PASSWORD_STORE_DIR", &dir).env("PASSWORD_STORE_DIR", "x");
    let theirs = theirs.env("AWS_VAULT_PASS_CMD", "gopass").env("AWS_VAULT_PASS_PREFIX", "aws");
    theirs.command(import).expect_stdout(table).run();
}

#[test]
fn what_pass_cannot_show_is_reported_and_the_rest_imported() {
    let test = store(vault(&["prod"])).env("AWS_VAULT_PASS_PREFIX", "aws");
    let test = test.file(".password-store/aws/locked.gpg", "", 0o600).file(
        ".password-store/aws/note.gpg",
        "my password\n",
        0o600,
    );
    let table = "locked   -                     failed: pass could not show it (exit status 2)\n\
                 note     -                     failed: it is not an item of aws-vault\n\
                 prod     AKIAIOSFODNN7EXAMPLE  new\n\
                 team/ci  AKIAI44QH8DHBEXAMPLE  new\n";
    let import = test.command(["import", "--from", "pass"]).expect_status(5);
    let output = import.expect_stdout(table).run();
    assert!(output.stderr.contains("gpg: decryption failed: No secret key\n"), "{}", output.stderr);
    assert!(!output.stderr.contains("my password"), "{}", output.stderr);
    std::fs::remove_file(test.home().join(".password-store/aws/note.gpg")).expect("removed");
    let output = test.command(["import", "--from", "pass"]).expect_status(4).run();
    let said = "vault: error: 1 of 3 items could not be imported\n\
                vault: hint: try again: the vault keeps what was imported\n";
    assert!(output.stderr.ends_with(said), "{}", output.stderr);
}

#[test]
fn without_pass_it_says_so() {
    let test = store(vault(&["prod"])).env("AWS_VAULT_PASS_CMD", "no-such-pass");
    let error = "vault: error: cannot start no-such-pass: no such file or directory\n\
                 vault: hint: name the program by AWS_VAULT_PASS_CMD\n";
    test.command(["import", "--from", "pass", "prod"]).expect_error(3, error).run();
}

/// With the real program and a key of gpg's that has no passphrase.
#[test]
#[ignore = "needs pass and gpg"]
fn the_real_pass_shows_what_aws_vault_put_there() {
    let test = vault(&["prod"]).env("AWS_VAULT_PASS_PREFIX", "aws");
    let script = format!(
        "export GNUPGHOME=$HOME/gnupg; mkdir -m 700 $GNUPGHOME
         gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key demo@example.com default default never
         pass init demo@example.com >/dev/null
         printf '%s' '{}' | pass insert -m -f aws/prod >/dev/null",
        item("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    );
    test.command(["-euc", &script]).program("sh").run();
    let test = test.clone().env("GNUPGHOME", test.home().join("gnupg"));
    let import = test.command(["import", "--from", "pass"]);
    let output = import.expect_stdout("prod  AKIAIOSFODNN7EXAMPLE  new\n").run();
    stored(&test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    test.command(["--kill", "all"]).program("gpgconf").run();
    assert!(!output.stderr.contains(SECRET_ACCESS_KEY));
}

/// Prints what is not for eyes, as a store from elsewhere may have it.
const HOSTILE: &str = r#"#!/bin/sh
case $3 in
    endless) exec cat /dev/zero ;;
    deep) printf '%060000d' 0 | tr 0 '[' ;;
    bytes) printf '\\377\\376\\000' ;;
    terminal) printf '{"Key":"terminal","Data":"\\033]0;x\\007"}' ;;
    silent) ;;
    other) printf '{"Key":"prod","Data":"e30="}' ;;
    half) printf '{"Key":"half","Data":"e30="}' ;;
    *) printf '{"Key":"none","Data":7}' ;;
esac
"#;

#[test]
fn whatever_pass_prints_is_an_item_or_none_and_is_not_repeated() {
    let names = ["bytes", "deep", "endless", "half", "none", "other", "silent", "terminal"];
    let test = vault(&names).file("bin/pass", HOSTILE, 0o755);
    let bin = format!("{}/bin:/usr/bin:/bin", test.home().display());
    let test = names.iter().fold(test.env("PATH", bin), |test, name| {
        test.file(&format!(".password-store/{name}.gpg"), "", 0o600)
    });
    let whys = [
        "it is not an item of aws-vault",
        "it is not an item of aws-vault",
        "it is over 64 KiB",
        "it has no access key",
        "it has no access key",
        "it is an item of another name",
        "it is not an item of aws-vault",
        "it is not an item of aws-vault",
    ];
    let table: String =
        names.iter().zip(whys).map(|(name, why)| format!("{name:8}  -  failed: {why}\n")).collect();
    let error = "vault: error: 8 of 8 items could not be imported\n";
    let import = test.command(["import", "--from", "pass"]).expect_status(5);
    import.expect_stdout(table).expect_stderr(error).run();
}
