//! aws-vault's file backend, as another program wrote it (fixtures/make_aws_vault.py).

use std::path::PathBuf;

use super::{SECOND_ID, SECOND_SECRET, SOON, holds, stored, vault};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, PASSPHRASE, SECRET_ACCESS_KEY};

pub const THEIRS: &str = "a demo passphrase that everybody knows";
const OTHER: &str = "another passphrase that everybody knows";
const PROFILES: [&str; 5] = ["prod", "team/ci", "100%", "of-2020", "elsewhere"];
const LEFT_OUT: &str = "Left out, since they expire: 2 sessions and tokens of aws-vault's\n";
const LINK: &str = "For aws-vault's command lines: ln -s vault aws-vault, in the directory of vault\n\
     aws-vault's own copies are as they were. When all works, make new keys \
     (vault rotate PROFILE) and remove them\n";

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws-vault/keys").join(name)
}

/// The fixture's files in the home's `.awsvault/keys`.
pub fn with_keys(test: Test) -> Test {
    std::fs::read_dir(fixture("")).expect("the fixture").map(Result::unwrap).fold(
        test,
        |test, entry| {
            let path = format!(".awsvault/keys/{}", entry.file_name().to_str().expect("a name"));
            test.file(&path, std::fs::read(entry.path()).expect("a file"), 0o600)
        },
    )
}

fn table(elsewhere: &str) -> String {
    format!(
        "100%       AKIAI44QH8DHBEXAMPLE  new\n\
         elsewhere  {elsewhere}\n\
         of-2020    AKIAI44QH8DHBEXAMPLE  new\n\
         prod       AKIAIOSFODNN7EXAMPLE  new\n\
         team/ci    AKIAI44QH8DHBEXAMPLE  new\n"
    )
}

fn table_without_the_other() -> String {
    table("-                     failed: it has another passphrase")
}

const ONE_FAILED: &str = "vault: error: 1 of 5 items could not be imported\n\
    vault: hint: try again with the passphrase of elsewhere: the vault keeps what was imported\n";

/// What was imported by the one passphrase.
#[track_caller]
fn four_are_there(test: &Test) {
    holds(test, "100%\nof-2020\nprod\nteam/ci\n");
    stored(test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    for profile in ["team/ci", "100%", "of-2020"] {
        stored(test, profile, SECOND_ID, SECOND_SECRET);
    }
}

#[test]
fn what_another_library_encrypted_is_imported_and_another_passphrase_reported() {
    let test = with_keys(vault(&PROFILES)).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let said = format!("{LEFT_OUT}{LINK}{ONE_FAILED}");
    let import = test.command(["import", "--from", "aws-vault"]).expect_status(4);
    import.expect_stdout(table_without_the_other()).expect_stderr(&said).run();
    four_are_there(&test);

    // The one that is left, by its own passphrase.
    let test = test.env_remove("AWS_VAULT_FILE_PASSPHRASE").file("theirs", OTHER, 0o600);
    let words =
        ["import", "--from", "aws-vault", "--source-passphrase-file", "theirs", "elsewhere"];
    let import = test.command(words).expect_stderr(format!("{LEFT_OUT}{LINK}"));
    import.expect_stdout("elsewhere  AKIAI44QH8DHBEXAMPLE  new\n").run();
    stored(&test, "elsewhere", SECOND_ID, SECOND_SECRET);
}

#[test]
fn a_package_has_the_link_whatever_its_program_is_called() {
    let test = with_keys(vault(&PROFILES)).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let test = test.binary("aws-age-vault");
    let (packaged, link) = (test.home().join("aws-age-vault"), test.home().join("vault"));
    std::os::unix::fs::symlink(&packaged, &link).expect("a link");
    let there = "aws-vault is in /usr/lib/aws-age-vault/bin";
    let said = LINK.replace("ln -s vault aws-vault, in the directory of vault", there);
    let rotate = said.replace("(vault rotate", "(aws-age-vault rotate");
    for (program, profile, id, said) in
        [(packaged, "prod", ACCESS_KEY_ID, rotate), (link, "team/ci", SECOND_ID, said)]
    {
        let import = test.command(["import", "--from", "aws-vault", profile]).program(program);
        let import = import.expect_stdout(format!("{profile}  {id}  new\n"));
        import.expect_stderr(format!("{LEFT_OUT}{said}")).run();
    }
}

#[test]
fn a_dry_run_changes_nothing_and_ends_as_the_run_would() {
    let test = with_keys(vault(&PROFILES)).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let said = format!("{LEFT_OUT}Nothing was changed\n{ONE_FAILED}");
    let import = test.command(["import", "--from", "aws-vault", "--dry-run"]).expect_status(4);
    import.expect_stdout(table_without_the_other()).expect_stderr(&said).run();
    holds(&test, "");
}

#[test]
fn the_directory_is_named_as_aws_vault_names_it() {
    let keys = fixture("").display().to_string();
    let keys = keys.trim_end_matches('/');
    let table = "prod  AKIAIOSFODNN7EXAMPLE  new\n";
    let test = vault(&PROFILES).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let import = ["import", "--from", "aws-vault", "--dry-run", "prod"];
    for flags in [["--dir", keys], ["--file-dir", keys]] {
        test.command(import).args(flags).expect_stdout(table).run();
    }
    test.clone().env("AWS_VAULT_FILE_DIR", keys).command(import).expect_stdout(table).run();
    let tilde = with_keys(test).env("AWS_VAULT_FILE_DIR", "~/.awsvault/keys");
    tilde.command(import).expect_stdout(table).run();
}

#[test]
fn a_person_is_asked_for_as_many_passphrases_as_there_are() {
    let test = with_keys(vault(&PROFILES));
    let mut pty = test.command(["import", "--from", "aws-vault"]).pty();
    for (question, answer) in [
        ("Enter aws-vault's passphrase for ", "wrong"),
        ("Wrong passphrase, try again. Enter aws-vault's passphrase for ", THEIRS),
        ("Enter the passphrase of elsewhere, or nothing to leave it: ", "wrong"),
        (
            "Wrong passphrase, try again. Enter the passphrase of elsewhere, or nothing to leave it: ",
            OTHER,
        ),
    ] {
        pty.expect(question, SOON);
        assert!(!pty.echoes());
        pty.send(answer);
    }
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains(&table("AKIAI44QH8DHBEXAMPLE  new")), "{screen}");
    stored(&test, "elsewhere", SECOND_ID, SECOND_SECRET);
}

#[test]
fn a_person_may_leave_the_rest_and_is_not_asked_for_ever() {
    let test = with_keys(vault(&PROFILES));
    let mut pty = test.command(["import", "--from", "aws-vault"]).pty();
    pty.expect("Enter aws-vault's passphrase for ", SOON);
    pty.send(THEIRS);
    pty.expect("nothing to leave it: ", SOON);
    pty.send("");
    assert_eq!(pty.end(SOON).0, 4);
    four_are_there(&test);

    let test = with_keys(vault(&PROFILES));
    let mut pty = test.command(["import", "--from", "aws-vault"]).pty();
    for _ in 0..3 {
        pty.expect("Enter aws-vault's passphrase for ", SOON);
        pty.send("wrong");
    }
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 4, "{screen}");
    let said = "vault: error: 5 of 5 items could not be imported\n\
                vault: hint: try again with the passphrase of 100%, elsewhere, of-2020, prod, team/ci: \
                the vault keeps what was imported\n";
    assert!(screen.contains(said), "{screen}");
    holds(&test, "");
}

#[test]
fn without_a_passphrase_and_a_terminal_it_is_one_error_at_once() {
    let test = with_keys(vault(&PROFILES));
    let error = "vault: error: no passphrase for aws-vault's files in [HOME]/.awsvault/keys\n\
        vault: hint: give it with --source-passphrase-file FILE or AWS_VAULT_FILE_PASSPHRASE, or run \
        this on a terminal\n";
    for test in [test.clone(), test.clone().env("AWS_VAULT_FILE_PASSPHRASE", "")] {
        let import = test.command(["import", "--from", "aws-vault"]);
        import.expect_error(4, &format!("{LEFT_OUT}{error}")).run();
    }
    let import = ["import", "--from", "aws-vault", "--source-passphrase-file"];
    let missing = format!(
        "{LEFT_OUT}vault: error: the passphrase file none (--source-passphrase-file) does not exist\n\
         vault: hint: correct the path, or leave --source-passphrase-file out\n"
    );
    test.command(import).arg("none").expect_error(2, &missing).run();
    let loose = test.file("loose", THEIRS, 0o644);
    let error = format!(
        "{LEFT_OUT}vault: error: the passphrase file loose is not private: everybody can read it (mode 0644)\n\
         vault: hint: chmod 600 loose, or give it with --source-passphrase-file - <loose\n"
    );
    loose.command(import).arg("loose").expect_error(6, &error).run();
    let piped = loose.command(import).args(["-", "prod"]).stdin(THEIRS);
    piped.expect_stdout("prod  AKIAIOSFODNN7EXAMPLE  new\n").run();
}

#[test]
fn one_variable_may_open_both_or_each_has_its_own() {
    // A vault with the passphrase that aws-vault had.
    let test = Test::new().config("[profile prod]\n").file("passphrase", THEIRS, 0o600);
    test.command(["init", "--passphrase", "--passphrase-file", "passphrase"]).run();
    let test = with_keys(test);
    let import = ["import", "--from", "aws-vault", "prod"];
    let table = "prod  AKIAIOSFODNN7EXAMPLE  new\n";
    let both = test.clone().env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    both.command(import).expect_stdout(table).run();

    let test = Test::new().config("[profile prod]\n").file("passphrase", PASSPHRASE, 0o600);
    test.command(["init", "--passphrase", "--passphrase-file", "passphrase"]).run();
    let test = with_keys(test).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let own = test.clone().env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    own.command(import).args(["--dry-run"]).expect_stdout(table).run();
    let flag = ["--passphrase-file", "passphrase"];
    test.command(import).args(flag).expect_stdout(table).run();
}

#[test]
fn no_secret_is_printed_and_none_reaches_the_disk_unencrypted() {
    let test = with_keys(vault(&PROFILES)).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let output = test.command(["import", "--from", "aws-vault", "--debug"]).any_status().run();
    let said = format!("{}{}", output.stdout, output.stderr);
    for secret in [SECRET_ACCESS_KEY, SECOND_SECRET, THEIRS, &SECRET_ACCESS_KEY[..12]] {
        assert!(!said.contains(secret), "{said}");
    }
    let grep = test.command(["-rlF", SECRET_ACCESS_KEY, "."]).program("grep");
    grep.expect_status(1).expect_stdout("").run();
}
