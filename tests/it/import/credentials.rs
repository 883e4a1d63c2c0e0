//! `~/.aws/credentials`: the keys that stand there in the clear, and the file without them.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::{SECOND_ID, SECOND_SECRET, SOON, holds, stored, vault};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, PASSPHRASE, SECRET_ACCESS_KEY};

const SAID: &str = concat!(
    "The AWS CLI and SDKs get them by this line in the profile's section of the AWS config (--write-config \
     writes it): credential_process = ",
    env!("CARGO_BIN_EXE_vault"),
    " exec --json PROFILE\nCopies of that file (backups, snapshots, what the disk keeps of it) and a shell's \
     history may still have them: make new keys (vault rotate PROFILE)\n"
);

fn section(name: &str, id: &str, secret: &str) -> String {
    format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

/// Two keys, a session, half a key, and what is none of ours.
fn mixed() -> String {
    format!(
        "; mine\n{}region = eu-west-1   ; near\n\n# another\n{}\n[tmp]\naws_access_key_id = ASIAIOSFODNN7EXAMPLE\n\
         aws_secret_access_key = {SECRET_ACCESS_KEY}\naws_session_token = x\n\n[half]\naws_access_key_id = \
         {ACCESS_KEY_ID}\n\n[none]\nregion = x",
        section("default", ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        section("ci", SECOND_ID, SECOND_SECRET),
    )
}

const TABLE: &str = "\
ci       AKIAI44QH8DHBEXAMPLE  WORD
default  AKIAIOSFODNN7EXAMPLE  WORD
half     -                     skipped: half a key: aws_access_key_id and aws_secret_access_key belong together
tmp      -                     skipped: these are temporary credentials
";

#[test]
fn whole_keys_are_imported_and_the_plaintext_goes_when_asked() {
    let test = vault(&[]).aws_credentials(&mixed());
    let import = test.command(["import", "--from", "credentials"]);
    let still =
        "The keys are still unencrypted in [HOME]/.aws/credentials: --remove-source removes them\n";
    import.expect_stdout(TABLE.replace("WORD", "new")).expect_stderr(still).run();
    assert_eq!(test.read(".aws/credentials"), mixed().as_bytes());
    stored(&test, "default", ACCESS_KEY_ID, SECRET_ACCESS_KEY);

    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    let said = format!("Removed the keys of ci, default from [HOME]/.aws/credentials\n{SAID}");
    import.expect_stdout(TABLE.replace("WORD", "same")).expect_stderr(&said).run();
    let mut left = mixed();
    for line in [
        section("default", ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        section("ci", SECOND_ID, SECOND_SECRET),
    ] {
        let (header, key) = line.split_once('\n').expect("a header");
        left = left.replace(&format!("{header}\n{key}"), &format!("{header}\n"));
    }
    assert_eq!(String::from_utf8(test.read(".aws/credentials")).expect("text"), left);
    for (profile, id, secret) in
        [("default", ACCESS_KEY_ID, SECRET_ACCESS_KEY), ("ci", SECOND_ID, SECOND_SECRET)]
    {
        stored(&test, profile, id, secret);
    }
}

#[test]
fn mode_and_symlink_of_the_file_stay() {
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY).replace('\n', "\r\n");
    let test = vault(&["prod"]).file("real", text, 0o640);
    let link = test.home().join(".aws/credentials");
    symlink("../real", &link).expect("a symlink");
    test.command(["import", "--from", "credentials", "--remove-source"]).run();
    assert_eq!(test.read("real"), b"[prod]\r\n");
    assert!(link.symlink_metadata().expect("a link").is_symlink());
    let about = test.home().join("real").metadata().expect("a file");
    assert_eq!((about.permissions().mode() & 0o7777, about.nlink()), (0o640, 1));
}

#[test]
fn only_what_the_vault_holds_is_taken_out() {
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        + &section("ci", SECOND_ID, SECOND_SECRET);
    // The vault has another key for prod, which stays there; so the one in the file does, too.
    let test = vault(&[]).stored("prod", SECOND_ID, SECOND_SECRET).aws_credentials(&text);
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    let table = "ci    AKIAI44QH8DHBEXAMPLE  new\nprod  AKIAIOSFODNN7EXAMPLE  kept: the vault has \
                 another key, maybe a newer one (--overwrite replaces it)\n";
    let stays = "vault: warning: the vault has other keys, so these stay in [HOME]/.aws/credentials: prod\n";
    let said = format!("{stays}Removed the keys of ci from [HOME]/.aws/credentials\n{SAID}");
    import.expect_stdout(table).expect_stderr(&said).run();
    let left = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY) + "[ci]\n";
    assert_eq!(test.read(".aws/credentials"), left.as_bytes());

    // The same id with another secret is another key.
    let test = vault(&[]).stored("prod", ACCESS_KEY_ID, SECOND_SECRET).aws_credentials(&text);
    test.command(["import", "--from", "credentials", "--remove-source", "prod"]).run();
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());
    // Only the profile that was asked for.
    test.command(["import", "--from", "credentials", "--remove-source", "ci"]).run();
    holds(&test, "ci\nprod\n");
    assert_eq!(test.read(".aws/credentials"), left.as_bytes());
}

#[test]
fn a_key_that_is_not_plainly_one_is_left_with_a_warning() {
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let twice = format!("{text}{}", section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let lent = section("DEFAULT", ACCESS_KEY_ID, SECRET_ACCESS_KEY) + "[prod]\n";
    for text in [twice, lent] {
        let test = vault(&[]).aws_credentials(&text);
        let said = "vault: warning: the key of prod is in [HOME]/.aws/credentials more than once, \
                    or in [DEFAULT], and was left there: remove it in an editor\n";
        let import = test.command(["import", "--from", "credentials", "--remove-source"]);
        import.expect_stdout("prod  AKIAIOSFODNN7EXAMPLE  new\n").expect_stderr(said).run();
        assert_eq!(test.read(".aws/credentials"), text.as_bytes());
    }
}

/// Without its own key each profile of the file would have the lent one.
#[test]
fn keys_that_default_would_replace_are_left_and_the_import_succeeds() {
    let text = section("DEFAULT", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        + &section("ci", SECOND_ID, SECOND_SECRET)
        + "[prod]\n";
    let test = vault(&[]).aws_credentials(&text);
    let warning = |profile| {
        format!(
            "vault: warning: the key of {profile} is in [HOME]/.aws/credentials more than once, \
             or in [DEFAULT], and was left there: remove it in an editor\n"
        )
    };
    let table = format!("ci    {SECOND_ID}  new\nprod  {ACCESS_KEY_ID}  new\n");
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    import.expect_stdout(table).expect_stderr(warning("ci") + &warning("prod")).run();
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());
    holds(&test, "ci\nprod\n");
}

#[test]
fn a_profile_that_means_something_else_afterwards_is_named() {
    let config = "\
[profile prod]
role_arn = arn:aws:iam::123456789012:role/prod
[profile deploy]
role_arn = arn:aws:iam::123456789012:role/deploy
source_profile = prod
";
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let test = vault(&[]).aws_credentials(&text).config(config);
    let steps = || {
        let run = test.command(["explain", "deploy"]).run();
        run.stdout.lines().filter(|line| line.contains("AssumeRole")).count()
    };
    assert_eq!(steps(), 1);
    let said = format!(
        "The key of prod in the vault assumes its role_arn first for what sources prod, and the key in the file \
         did not: deploy\n{}",
        "The keys are still unencrypted in [HOME]/.aws/credentials: --remove-source removes them\n"
    );
    test.command(["import", "--from", "credentials"]).expect_stderr(&said).run();
    assert_eq!(steps(), 2);
}

#[test]
fn temporary_credentials_are_told_by_their_token_under_either_name() {
    for name in ["aws_session_token", "AWS_SECURITY_TOKEN"] {
        let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY) + name + " = x\n";
        let test = vault(&[]).aws_credentials(&text);
        let table = "prod  -  skipped: these are temporary credentials\n";
        let import = test.command(["import", "--from", "credentials", "--remove-source"]);
        import.expect_stdout(table).expect_stderr("").run();
        assert_eq!(test.read(".aws/credentials"), text.as_bytes());
        holds(&test, "");
    }
}

#[test]
fn of_two_spellings_of_one_profile_neither_is_taken_by_chance() {
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        + &section(" prod ", SECOND_ID, SECOND_SECRET);
    let test = vault(&[]).aws_credentials(&text);
    let table = "prod  -  failed: it has two sections with different spellings: make them one\n";
    let error = "vault: error: 1 of 1 items could not be imported\n";
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    import.expect_status(2).expect_stdout(table).expect_stderr(error).run();
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());
    holds(&test, "");
}

#[test]
fn a_key_whose_halves_may_be_of_two_keys_is_not_taken() {
    let second = format!("aws_access_key_id = {SECOND_ID}\n");
    let text = section("dev", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        + &second
        + &section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        + &section("ci", SECOND_ID, SECOND_SECRET)
        + &format!("[prod]\n{second}");
    let test = vault(&[]).aws_credentials(&text);
    let why = "its ID and secret may be of two keys: leave one of each, in one section";
    let table = format!(
        "ci    {SECOND_ID}  new\n\
         dev   -                     failed: {why}\n\
         prod  -                     failed: {why}\n"
    );
    let error = "vault: error: 2 of 3 items could not be imported\n";
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    let output = import.expect_status(2).expect_stdout(table).run();
    assert!(output.stderr.ends_with(error), "{}", output.stderr);
    let left = text.replace(&section("ci", SECOND_ID, SECOND_SECRET), "[ci]\n");
    assert_eq!(String::from_utf8(test.read(".aws/credentials")).expect("text"), left);
    holds(&test, "ci\n");
}

#[test]
fn a_file_that_cannot_be_read_or_changed_is_an_error_and_the_keys_are_nowhere_lost() {
    // A line that is not understood spoils its own profile, and its text is shown nowhere.
    let odd = section("odd", ACCESS_KEY_ID, SECRET_ACCESS_KEY) + "wJalrXUtnFEMI\n";
    let text = odd.clone() + &section("my key", SECOND_ID, SECOND_SECRET);
    let test = vault(&[]).aws_credentials(&text);
    let table = format!(
        "my key  {SECOND_ID}  new\n\
         odd     -                     failed: [HOME]/.aws/credentials line 4, of profile \"odd\", is not understood\n"
    );
    let error = "vault: error: 1 of 2 items could not be imported\n";
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    let output = import.expect_status(1).expect_stdout(table).run();
    assert!(output.stderr.ends_with(error), "{}", output.stderr);
    assert_eq!(test.read(".aws/credentials"), (odd + "[my key]\n").as_bytes());
    let error = "vault: error: cannot read [HOME]/.aws/credentials: it is not UTF-8\n";
    let test = vault(&[]).file(".aws/credentials", b"[a]\n\xff\n", 0o600);
    test.command(["import", "--from", "credentials"]).expect_error(1, error).run();
    let error = "vault: error: there is no key to import\n";
    let test = vault(&[]).aws_credentials("[a]\nregion = x\n");
    test.command(["import", "--from", "credentials"]).expect_error(3, error).run();
    let error = "vault: error: cannot read [HOME]/.aws/credentials: larger than 1 MiB\n";
    let test = vault(&[]).aws_credentials(&"#".repeat(1024 * 1024 + 1));
    test.command(["import", "--from", "credentials"]).expect_error(1, error).run();

    // A directory in which nothing may be put in another's place: the key is in the vault, and the file
    // is as it was.
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let test = vault(&[]).aws_credentials(&text);
    let aws = test.home().join(".aws");
    std::fs::set_permissions(&aws, PermissionsExt::from_mode(0o777)).expect("chmod");
    let error = "vault: error: the keys are in the vault, but they were not taken out: everybody can write the \
                 directory of [HOME]/.aws/credentials\n";
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    import.expect_error(1, error).run();
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());
    stored(&test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn nothing_is_taken_out_on_the_word_of_an_older_copy() {
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let test = vault(&[]).aws_credentials(&text);
    test.command(["import", "--from", "credentials"]).run();
    let older = std::fs::read(test.vault_file()).expect("the vault");
    let test = test.stored("ci", SECOND_ID, SECOND_SECRET);
    std::fs::write(test.vault_file(), older).expect("put back");
    let import = test.command(["import", "--from", "credentials", "--remove-source"]);
    let output = import.expect_status(1).expect_stdout("").run();
    let said = "vault: error: the keys are in the vault, but they were not taken out: \
                [HOME]/.local/share/vault/vault.age is older than this machine has seen it, and what it \
                holds may not last\n";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());
}

#[test]
fn a_dry_run_takes_nothing_out() {
    let text = section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let test: Test = vault(&[]).aws_credentials(&text);
    let import = test.command(["import", "--from", "credentials", "--remove-source", "--dry-run"]);
    import.expect_stderr("Nothing was changed\n").run();
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());
    holds(&test, "");
}

#[test]
fn what_was_changed_after_it_was_read_is_not_taken_out() {
    let text = section("ci", SECOND_ID, SECOND_SECRET)
        + &section("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let test = Test::new().config("[profile ci]\n[profile prod]\n").aws_credentials(&text);
    let mut pty = test.command(["import", "--from", "credentials", "--remove-source"]).pty();
    // The file was read before the first question.
    pty.expect("Enter new passphrase for the vault: ", SOON);
    let changed = section("ci", SECOND_ID, SECOND_SECRET)
        + &section("late", SECOND_ID, SECOND_SECRET)
        + &section("prod", ACCESS_KEY_ID, SECOND_SECRET);
    let test = test.aws_credentials(&changed);
    pty.send(PASSPHRASE);
    pty.expect("Enter it again: ", SOON);
    pty.send(PASSPHRASE);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
    let left = changed.replacen(&section("ci", SECOND_ID, SECOND_SECRET), "[ci]\n", 1);
    assert_eq!(String::from_utf8(test.read(".aws/credentials")).expect("text"), left);
    holds(&test.env("AWS_VAULT_PASSPHRASE", PASSPHRASE), "ci\nprod\n");
}
