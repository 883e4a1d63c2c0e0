//! `vault import`: keys from elsewhere, in one write, and what becomes of what was there.

pub mod aws_vault;
mod credentials;
mod hostile;
mod pass;
mod write_config;

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, PASSPHRASE, SECRET_ACCESS_KEY};

const SOON: Duration = Duration::from_secs(30);
const SECOND_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const SECOND_SECRET: &str = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";
/// What is said at the end where stdin was the source.
const FILE: &str = "If the input came from a file, remove the file: its keys are not encrypted\n";

/// An empty vault and its key, and a config that knows these profiles.
fn vault(profiles: &[&str]) -> Test {
    let config: String = profiles.iter().map(|name| format!("[profile {name}]\n")).collect();
    let test = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY).config(&config);
    test.command(["init", "-r", AGE_RECIPIENT]).run();
    test
}

/// Expects that the vault has this key for the profile.
#[track_caller]
fn stored(test: &Test, profile: &str, id: &str, secret: &str) {
    let json =
        format!("{{\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{secret}\",\"Version\":1}}\n");
    let test = test.command(["exec", "-n", "--json", profile]);
    test.expect_stdout(json).expect_stderr("").run();
}

/// Expects that the vault has keys for these profiles, one a line, and no others.
#[track_caller]
fn holds(test: &Test, profiles: &str) {
    test.command(["list", "--credentials"]).expect_stdout(profiles).run();
}

fn csv() -> String {
    format!("\u{feff}Access key ID,Secret access key\r\n{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}\r\n")
}

#[test]
fn one_key_of_csv_or_json_becomes_the_profile_that_is_named() {
    let json = format!(
        r#"{{"AccessKey": {{"UserName": "ci", "AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}}}"#
    );
    for (from, text) in [("csv", csv()), ("json", json)] {
        let test = vault(&["prod"]);
        let import = test.command(["import", "--from", from, "prod"]).stdin(text);
        import.expect_stdout("prod  AKIAIOSFODNN7EXAMPLE  new\n").expect_stderr(FILE).run();
        stored(&test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    }
}

#[test]
fn several_keys_have_the_names_in_the_source() {
    let text = format!(
        "User name,Access key ID,Secret access key\na,{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}\n\
         b,{SECOND_ID},{SECOND_SECRET}\n"
    );
    let test = vault(&["a", "b"]);
    let import = test.command(["import", "--from", "csv"]).stdin(&text);
    let table = "a  AKIAIOSFODNN7EXAMPLE  new\nb  AKIAI44QH8DHBEXAMPLE  new\n";
    import.expect_stdout(table).expect_stderr(FILE).run();
    stored(&test, "b", SECOND_ID, SECOND_SECRET);

    let test = vault(&["b"]);
    let import = test.command(["import", "--from", "csv", "b"]).stdin(&text);
    import.expect_stdout("b  AKIAI44QH8DHBEXAMPLE  new\n").run();
    holds(&test, "b\n");

    let test = vault(&["a", "b"]);
    let text = format!(
        r#"{{"a": {{"AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}},
            "b": {{"AccessKeyId": "{SECOND_ID}", "SecretAccessKey": "{SECOND_SECRET}"}}}}"#
    );
    let import = test.command(["import", "--from", "json"]).stdin(text);
    import.expect_stdout(table).expect_stderr(FILE).run();
    holds(&test, "a\nb\n");
}

#[test]
fn a_key_that_is_there_is_kept_unless_told_otherwise() {
    let test = vault(&["prod"]).stored("prod", SECOND_ID, SECOND_SECRET);
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let import =
        |flags: &[&str]| test.command(["import", "--from", "csv", "prod"]).args(flags).stdin(csv());
    let kept = "prod  AKIAIOSFODNN7EXAMPLE  kept: the vault has another key, maybe a newer one (--overwrite replaces it)\n";
    import(&[]).expect_stdout(kept).expect_stderr("").run();
    let replaced = "prod  AKIAIOSFODNN7EXAMPLE  replaced\n";
    let nothing = "Nothing was changed\n";
    import(&["--overwrite", "--dry-run"]).expect_stdout(replaced).expect_stderr(nothing).run();
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before);
    import(&["--overwrite"]).expect_stdout(replaced).expect_stderr(FILE).run();
    stored(&test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let same = "prod  AKIAIOSFODNN7EXAMPLE  same\n";
    import(&["--overwrite"]).expect_stdout(same).expect_stderr(FILE).run();
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before, "nothing to write");
}

#[test]
fn what_the_aws_config_lacks_is_reported() {
    let test = vault(&[]);
    let said = format!(
        "Add to [HOME]/.aws/config, each with its region, or by --write-config:\n  [profile prod]\n{FILE}"
    );
    let import = test.command(["import", "--from", "csv", "prod"]).stdin(csv());
    import.expect_stderr(&said).run();
}

#[test]
fn all_are_saved_in_one_write() {
    let test = vault(&["a", "b"]);
    let text = format!(
        "User name,Access key ID,Secret access key\na,{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}\n\
         b,{SECOND_ID},{SECOND_SECRET}\n"
    );
    test.command(["import", "--from", "csv"]).stdin(text).run();
    let pin = test.command(["pin", "--json"]).run().stdout;
    assert!(pin.contains("\"generation\":2"), "{pin}");
}

#[test]
fn what_cannot_be_right_changes_nothing_and_is_one_error() {
    let test = vault(&["prod"]);
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let see = "vault: hint: see vault import --help\n";
    let json = "vault: hint: give the JSON that aws iam create-access-key prints\n";
    let any = "vault: hint: give the JSON that aws iam create-access-key prints, or the CSV \
               file of the console\n";
    let nameless = "stdin: a key has no name\nvault: hint: name its profile after --from \
                    csv or --from json\n";
    for (line, stdin, status, error) in [
        ("import", "", 2, format!("--from <SOURCE> is missing\n{see}")),
        (
            "import --from x",
            "",
            2,
            format!("--from <SOURCE> takes one of: aws-vault, pass, credentials, csv, json, not \"x\"\n{see}"),
        ),
        (
            "import --from csv --remove-source",
            "",
            2,
            format!("--remove-source goes with --from credentials only\n{see}"),
        ),
        (
            "import --from pass --source-passphrase-file x",
            "",
            2,
            format!("--source-passphrase-file goes with --from aws-vault only\n{see}"),
        ),
        (
            "import --from credentials --dir x",
            "",
            2,
            format!("--dir goes with --from aws-vault and --from pass only\n{see}"),
        ),
        (
            "import --from csv -i - prod",
            "",
            2,
            "what is imported and what opens the vault are both wanted from stdin\n".to_owned(),
        ),
        (
            "import --from csv a[b",
            "",
            2,
            "the profile name has characters that a profile cannot have\n".to_owned(),
        ),
        ("import --from csv prod", "", 2, format!("stdin: it is empty\n{any}")),
        ("import --from csv", &csv(), 2, nameless.to_owned()),
        ("import --from json", "{", 2, format!("stdin: not JSON (line 1)\n{json}")),
        ("import --from json prod", "{}", 2, format!("stdin: no AccessKeyId in the JSON\n{json}")),
        (
            "import --from json prod",
            "[]",
            3,
            "there is no key for profile \"prod\" to import\n".into(),
        ),
        ("import --from json", "[]", 3, "there is no key to import\n".into()),
        (
            "import --from aws-vault",
            "",
            3,
            "no directory [HOME]/.awsvault/keys\nvault: hint: name aws-vault's files with --dir; from its \
             other backends: aws-vault exec -n PROFILE -- vault add --env PROFILE\n"
                .into(),
        ),
        (
            "import --from credentials",
            "",
            3,
            "there is no credentials file [HOME]/.aws/credentials\n".into(),
        ),
        (
            "import --from pass",
            "",
            3,
            "no password store [HOME]/.password-store\nvault: hint: name it with --dir, and \
             aws-vault's prefix in it by AWS_VAULT_PASS_PREFIX\n"
                .into(),
        ),
    ] {
        let run = test.command(line.split(' ')).stdin(stdin);
        run.expect_error(status, &format!("vault: error: {error}")).run();
    }
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before);
}

#[test]
fn without_a_vault_it_says_so_and_a_dry_run_shows_what_would_be() {
    let test = Test::new();
    let error = "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
                 vault: hint: make one: vault init --generate-identity \
                [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE\n";
    let import = test.command(["import", "--from", "csv", "prod"]).stdin(csv());
    import.expect_error(3, error).run();
    let import = test.command(["import", "--from", "csv", "prod", "--dry-run"]).stdin(csv());
    let import = import.expect_stdout("prod  AKIAIOSFODNN7EXAMPLE  new\n");
    import.expect_stderr("Nothing was changed\n").run();
    assert!(!test.vault_file().exists());
}

#[test]
fn a_person_without_a_vault_gets_one_on_the_way() {
    let test = Test::new().config("[default]\n").aws_credentials(&format!(
        "[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    ));
    let mut pty = test.command(["import", "--from", "credentials", "--remove-source"]).pty();
    for question in ["Enter new passphrase for the vault: ", "Enter it again: "] {
        pty.expect(question, SOON);
        pty.send(PASSPHRASE);
    }
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
    assert_eq!(test.read(".aws/credentials"), b"[default]\n");
    let test = test.env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    stored(&test, "default", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let pin = test.command(["pin", "--json"]).run().stdout;
    assert!(pin.contains("\"generation\":1"), "the key is there from the first write on: {pin}");
}
