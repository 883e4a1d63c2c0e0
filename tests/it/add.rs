//! `vault add`: where the key comes from, and what is written into the AWS config.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::support::builder::Test;
use crate::support::scene::log;
use crate::support::standin::{StandIn, World};
use crate::support::{
    ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY,
};

const SOON: Duration = Duration::from_secs(30);
const ADDED: &str = "Added credentials to profile \"prod\" in vault\n";

/// An empty vault and its key.
fn vault() -> Test {
    let test = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.command(["init", "-r", AGE_RECIPIENT]).run();
    test
}

fn json() -> String {
    format!(
        r#"{{"AccessKey": {{"AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}}}"#
    )
}

/// Expects that the vault has this key for `prod`.
#[track_caller]
fn stored(test: &Test, id: &str, secret: &str) {
    let json =
        format!("{{\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{secret}\",\"Version\":1}}\n");
    let test = test.command(["exec", "-n", "--json", "prod"]);
    test.expect_stdout(json).expect_stderr("").run();
}

#[test]
fn the_key_comes_by_stdin_as_json_or_csv() {
    let (id, secret) = (ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    for text in [
        json(),
        format!("{{\"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\"}}\n"),
        format!("\u{feff}Access key ID,Secret access key\r\n{id},{secret}\r\n"),
        format!("User name,Access key ID,Secret access key\nci,{id},{secret}"),
    ] {
        let test = vault();
        let add = test.command(["add", "prod", "--stdin"]).stdin(&text);
        add.expect_stdout(ADDED).expect_stderr("").run();
        stored(&test, id, secret);
    }
}

#[test]
fn the_key_comes_by_the_environment() {
    let test = vault();
    let key = test
        .clone()
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    key.command(["add", "--env", "prod"]).expect_stdout(ADDED).expect_stderr("").run();
    stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);

    let add = ["add", "prod", "--env"];
    let missing = "vault: error: --env: AWS_SECRET_ACCESS_KEY is not set\n";
    key.clone().env("AWS_SECRET_ACCESS_KEY", "").command(add).expect_error(2, missing).run();
    let temporary = "vault: error: --env: these are temporary credentials (AWS_SESSION_TOKEN is set)\n\
         vault: hint: a vault keeps long-term access keys, and makes temporary ones from them\n";
    key.env("AWS_SESSION_TOKEN", "token").command(add).expect_error(2, temporary).run();
}

#[test]
fn the_key_is_asked_for_as_aws_vault_asks() {
    let test = vault();
    let mut pty = test.command(["add", "prod"]).pty();
    pty.expect("Enter Access Key ID: ", SOON);
    assert!(pty.echoes());
    pty.send(ACCESS_KEY_ID);
    pty.expect("Enter Secret Access Key: ", SOON);
    assert!(!pty.echoes());
    // As it is pasted: with a blank too many.
    pty.send(&format!("{SECRET_ACCESS_KEY} "));
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0);
    let expected =
        format!("Enter Access Key ID: {ACCESS_KEY_ID}\nEnter Secret Access Key: \n{ADDED}");
    assert_eq!(screen, expected);
    stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn a_key_that_was_not_given_whole_changes_nothing() {
    let test = vault();
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let mut pty = test.command(["add", "prod"]).pty();
    pty.expect("Enter Access Key ID: ", SOON);
    pty.press("\x04");
    pty.expect("vault: error: nothing was entered\n", SOON);
    assert_eq!(pty.end(SOON).0, 2);

    let nobody = "vault: error: no access key given, and there is no terminal to ask on\n\
        vault: hint: pipe the JSON of aws iam create-access-key into vault add PROFILE --stdin, or \
        use --env\n";
    test.command(["add", "prod"]).expect_error(2, nobody).run();
    let both = "vault: error: --stdin and -i - both want stdin\n";
    test.command(["add", "prod", "--stdin", "-i", "-"]).expect_error(2, both).run();
    let json = "vault: hint: give the JSON that aws iam create-access-key prints\n";
    let any = "vault: hint: give the JSON that aws iam create-access-key prints, or the CSV \
               file of the console\n";
    let id = "that is not an access key id: 1 to 128 printable characters without blanks, such as \
              AKIA…\n";
    for (text, what) in [
        ("".to_owned(), format!("stdin: it is empty\n{any}")),
        ("hello".to_owned(), format!("stdin: neither JSON nor the console's CSV\n{any}")),
        ("{".to_owned(), format!("stdin: not JSON (line 1)\n{json}")),
        ("{}".to_owned(), format!("stdin: no AccessKeyId in the JSON\n{json}")),
        (format!("a,b\n{ACCESS_KEY_ID},x"), format!("stdin: no column \"Access key ID\" in the CSV\n{any}")),
        ("Access key ID,Secret access key\na b,x".to_owned(), id.to_owned()),
        (
            format!("Access key ID,Secret access key\n{ACCESS_KEY_ID},a b"),
            "that is not a secret access key: printable characters without blanks, 40 of them in \
             AWS's\n"
                .to_owned(),
        ),
        (
            format!("Access key ID,Secret access key\nASIAIOSFODNN7EXAMPLE,{SECRET_ACCESS_KEY}"),
            "that is the id of temporary credentials (ASIA…)\nvault: hint: a vault keeps long-term \
             access keys (AKIA…), and makes temporary ones from them\n"
                .to_owned(),
        ),
        ("x".repeat(70_000), "stdin has more than 64 KiB: not a valid access key\n".to_owned()),
    ] {
        let add = test.command(["add", "prod", "--stdin"]).stdin(text);
        add.expect_error(2, &format!("vault: error: {what}")).run();
    }
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before);
    assert!(!test.home().join(".aws").exists());
}

const OTHER_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const OTHER_SECRET: &str = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";
const TWO_IDS: &str =
    "he vault has another key for profile \"prod\": AKIAI44QH8DHBEXAMPLE, not AKIAIOSFODNN7EXAMPLE";

#[test]
fn another_key_is_replaced_only_by_order() {
    let test = vault().stored("prod", OTHER_ID, OTHER_SECRET);
    let refused = format!(
        "vault: error: t{TWO_IDS}\nvault: hint: --overwrite replaces it; the old one is then lost\n"
    );
    let test = test
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    let stdin = test.command(["add", "prod", "--stdin"]).stdin(json());
    let env = test.command(["add", "prod", "--env"]);
    for add in [&stdin, &env] {
        add.clone().expect_error(6, &refused).run();
    }
    // Nor on a terminal: a job's may be there by chance.
    let (status, screen) = env.pty().end(SOON);
    assert_eq!((status, screen), (6, refused));
    assert!(!test.home().join(".aws").exists());
    stored(&test, OTHER_ID, OTHER_SECRET);

    for add in [stdin, env] {
        add.arg("--overwrite").expect_stdout(ADDED).expect_stderr("").run();
        stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        test.clone().stored("prod", OTHER_ID, OTHER_SECRET);
    }
    test.command(["list", "--credentials"]).expect_stdout("prod\n").run();
}

#[test]
fn the_same_key_again_is_no_question_and_its_other_secret_is_one() {
    let test = vault().stored("prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let add = test.command(["add", "prod", "--stdin"]);
    add.clone().stdin(json()).expect_stdout(ADDED).expect_stderr("").run();
    let other = json().replace(SECRET_ACCESS_KEY, OTHER_SECRET);
    let refused = format!(
        "vault: error: the vault has another secret for the key {ACCESS_KEY_ID} of profile \"prod\"\n\
         vault: hint: --overwrite replaces it; the old one is then lost\n"
    );
    add.stdin(other).expect_error(6, &refused).run();
    stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn on_a_terminal_a_person_is_asked_before_another_key_is_replaced() {
    let test = vault().stored("prod", OTHER_ID, OTHER_SECRET);
    for (answer, status, end) in [("", 1, "vault: error: nothing was changed\n"), ("y", 0, ADDED)] {
        let mut pty = test.command(["add", "prod"]).pty();
        pty.expect("Enter Access Key ID: ", SOON);
        pty.send(ACCESS_KEY_ID);
        pty.expect("Enter Secret Access Key: ", SOON);
        pty.send(SECRET_ACCESS_KEY);
        pty.expect("Replace it? (y|N) ", SOON);
        pty.send(answer);
        let (ended, screen) = pty.end(SOON);
        let expected = format!(
            "Enter Access Key ID: {ACCESS_KEY_ID}\nEnter Secret Access Key: \n\
             T{TWO_IDS}. Replace it? (y|N) {answer}\n{end}"
        );
        assert_eq!((ended, screen), (status, expected));
        let key = [(OTHER_ID, OTHER_SECRET), (ACCESS_KEY_ID, SECRET_ACCESS_KEY)];
        let (id, secret) = key[usize::from(status == 0)];
        stored(&test, id, secret);
    }
}

#[test]
fn a_key_that_another_process_stores_meanwhile_is_not_replaced() {
    let test = vault();
    let mut pty = test.command(["add", "prod"]).pty();
    pty.expect("Enter Access Key ID: ", SOON);
    let test = test.stored("prod", OTHER_ID, OTHER_SECRET);
    pty.send(ACCESS_KEY_ID);
    pty.expect("Enter Secret Access Key: ", SOON);
    pty.send(SECRET_ACCESS_KEY);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 6);
    assert!(screen.contains(&format!("vault: error: t{TWO_IDS}\n")), "{screen}");
    stored(&test, OTHER_ID, OTHER_SECRET);
}

#[test]
fn as_aws_vault_another_key_is_replaced_with_a_warning() {
    let test = vault().stored("prod", OTHER_ID, OTHER_SECRET).on_path("aws-vault");
    let add = test.command(["add", "prod", "--env"]).program("aws-vault");
    let said =
        format!("vault: warning: t{TWO_IDS}; replacing it without asking, as aws-vault does\n");
    add.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .expect_stdout(ADDED)
        .expect_stderr(said)
        .run();
    stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

/// LocalStack takes `test` as id and secret.
#[test]
fn a_key_that_does_not_look_like_aws_s_is_taken_with_a_warning() {
    let test = vault();
    let id = "the access key ID does not look like one of AWS's: AKIA and 16 letters and digits";
    for (given, secret, doubt) in [
        ("test", "test", id),
        ("AKID+/=", SECRET_ACCESS_KEY, id),
        (ACCESS_KEY_ID, "short", "the secret access key has 5 characters, and AWS's have 40"),
        (SECRET_ACCESS_KEY, "test", id),
    ] {
        let add = test.command(["add", "prod", "--env", "--overwrite"]);
        add.env("AWS_ACCESS_KEY_ID", given)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .expect_stdout(ADDED)
            .expect_stderr(format!("vault: warning: {doubt}\n"))
            .run();
        stored(&test, given, secret);
    }
    // What may be a secret in the wrong place is not shown.
    let output = test.command(["add", "prod", "--stdin"]).stdin(json()).expect_status(6).run();
    assert!(!output.stderr.contains(SECRET_ACCESS_KEY), "{}", output.stderr);
    assert!(output.stderr.contains("an ID that is not shown"), "{}", output.stderr);
}

#[test]
fn a_swapped_id_and_secret_are_refused_without_a_terminal() {
    let test = vault();
    let error = "vault: error: access key ID and secret access key are swapped\n";
    let add = test.command(["add", "prod", "--env"]);
    add.env("AWS_ACCESS_KEY_ID", SECRET_ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", ACCESS_KEY_ID)
        .expect_error(2, error)
        .run();
    let given = json()
        .replace(ACCESS_KEY_ID, "ID")
        .replace(SECRET_ACCESS_KEY, ACCESS_KEY_ID)
        .replace("\"ID\"", &format!("\"{SECRET_ACCESS_KEY}\""));
    test.command(["add", "prod", "--stdin"]).stdin(given).expect_error(2, error).run();
    test.command(["list", "--credentials"]).expect_stdout("").run();
}

#[test]
fn on_a_terminal_what_looks_swapped_is_a_warning() {
    let test = vault();
    let mut pty = test.command(["add", "prod"]).pty();
    pty.expect("Enter Access Key ID: ", SOON);
    pty.send(SECRET_ACCESS_KEY);
    pty.expect("Enter Secret Access Key: ", SOON);
    pty.send(ACCESS_KEY_ID);
    let (status, screen) = pty.end(SOON);
    let warning = "vault: warning: the secret access key looks like an access key ID: were the two \
                   swapped?\n";
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains(warning), "{screen}");
}

/// `vault add prod --stdin` and these flags; the config afterwards.
#[track_caller]
fn config_after(test: &Test, flags: &[&str]) -> String {
    let add = test.command(["add", "prod", "--stdin"]).args(flags).stdin(json());
    add.expect_stdout(ADDED).expect_stderr("").run();
    String::from_utf8(test.read(".aws/config")).expect("text")
}

#[test]
fn the_profile_is_added_to_the_aws_config_and_every_other_byte_kept() {
    let mfa = ["--mfa-serial", MFA_SERIAL];
    let serial = format!("mfa_serial = {MFA_SERIAL}\n");
    let test = vault();
    assert_eq!(config_after(&test, &[]), "[profile prod]\n");
    let config = test.home().join(".aws/config");
    assert_eq!(std::fs::metadata(config).expect("config").permissions().mode() & 0o777, 0o600);
    assert_eq!(config_after(&test, &mfa), format!("[profile prod]\n{serial}"));
    assert_eq!(config_after(&test, &mfa), format!("[profile prod]\n{serial}"));
    assert_eq!(config_after(&test, &[]), format!("[profile prod]\n{serial}"));

    let others = "; mine\r\n[default]\r\nregion=eu-west-1   ; near\r\n\r\n\r\n[profile x]\r\n";
    let test = vault().config(others);
    let section = format!("\r\n[profile prod]\r\n{}", serial.replace('\n', "\r\n"));
    assert_eq!(config_after(&test, &mfa), format!("{others}{section}"));

    let quoted = "[profile \"prod\"] mine\n  region: x\n";
    let test = vault().config(quoted);
    assert_eq!(config_after(&test, &mfa), format!("{quoted}  {serial}"));

    let test = vault().config("[profile prod]\nmfa_serial = old\nregion = x\n\n# end");
    assert_eq!(config_after(&test, &mfa), format!("[profile prod]\n{serial}region = x\n\n# end"));
}

#[test]
fn the_aws_config_is_left_alone_where_that_is_wanted_or_it_cannot_be_changed() {
    let test = vault();
    let add = test.command(["add", "prod", "--stdin", "--no-add-config"]).stdin(json());
    add.expect_stdout(ADDED).expect_stderr("").run();
    assert!(!test.home().join(".aws").exists());
    let error = "vault: error: --no-add-config and --mfa-serial <ARN> cannot be used together\n\
                 vault: hint: see vault add --help\n";
    let add = test.command(["add", "prod", "--no-add-config", "--mfa-serial", "x"]);
    add.expect_error(2, error).run();

    // What no config file could hold is said before anything is stored.
    let test = vault();
    let name = "vault: error: the AWS config cannot hold a profile of this name\n\
        vault: hint: letters, digits and _ - / . % @ : + make a name that all AWS tools take\n";
    test.command(["add", "my prod", "--stdin"]).stdin(json()).expect_error(2, name).run();
    // One that is there is no new one, and a command that is advised can be put into a shell.
    let there = vault().config("[profile \"my prod\"]\n");
    let nothing =
        "vault: error: no credentials for profile \"my prod\"\nvault: hint: vault add 'my prod'\n";
    there.command(["exec", "-n", "my prod", "--", "true"]).expect_error(125, nothing).run();
    there.command(["add", "my prod", "--stdin"]).stdin(json()).expect_stderr("").run();
    there.command(["list", "--credentials"]).expect_stdout("my prod\n").run();
    let user = "arn:aws:iam::123456789012:user/me";
    let add = test.command(["add", "prod", "--stdin", "--mfa-serial", user]).stdin(json());
    add.expect_error(
        2,
        &format!(
            "vault: error: --mfa-serial is not the ARN of an MFA device: {user}\n\
             vault: hint: it looks like arn:aws:iam::123456789012:mfa/NAME\n"
        ),
    )
    .run();
    for (serial, shown) in [("a\nb", "a ..."), ("foo", "foo")] {
        let error = format!(
            "vault: error: --mfa-serial is neither an ARN nor a serial number: {shown}\n\
             vault: hint: it looks like arn:aws:iam::123456789012:mfa/NAME\n"
        );
        let add = test.command(["add", "prod", "--stdin", "--mfa-serial", serial]).stdin(json());
        add.expect_error(2, &error).run();
    }
    test.command(["list", "--credentials"]).expect_stdout("").run();

    // A profile with a line that is not understood keeps its bytes, and the key is in the vault.
    let odd = "[profile prod\nregion = x\n";
    let test = vault().config(odd);
    let add = test.command(["add", "prod", "--stdin"]).stdin(json()).expect_stdout("");
    let output = add.expect_status(1).run();
    let said = "vault: error: the key is in the vault, but the AWS config was not changed: ";
    assert!(output.stderr.starts_with(said), "{}", output.stderr);
    assert_eq!(test.read(".aws/config"), odd.as_bytes());
    stored(&test.env("AWS_CONFIG_FILE", "/dev/null"), ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn the_aws_config_does_not_grow_over_what_can_be_read() {
    let full = format!("{}\n", "#".repeat(1024 * 1024 - 1));
    let test = vault().config(&full);
    let error = "vault: error: the key is in the vault, but the AWS config was not changed: \
                 [HOME]/.aws/config: it would be larger than 1 MiB\n";
    test.command(["add", "prod", "--stdin"]).stdin(json()).expect_error(1, error).run();
    assert_eq!(test.read(".aws/config"), full.as_bytes());
    stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn the_first_add_of_a_person_makes_a_vault() {
    let test = Test::new();
    let mut pty = test.command(["add", "prod"]).pty();
    for (question, answer) in [
        ("Enter new passphrase for the vault: ", PASSPHRASE),
        ("Enter it again: ", PASSPHRASE),
        ("Enter Access Key ID: ", ACCESS_KEY_ID),
        ("Enter Secret Access Key: ", SECRET_ACCESS_KEY),
    ] {
        pty.expect(question, SOON);
        pty.send(answer);
    }
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0);
    let expected = format!(
        "There is no vault yet; making [HOME]/.local/share/vault/vault.age\n\
         Enter new passphrase for the vault: \nEnter it again: \n\
         Enter Access Key ID: {ACCESS_KEY_ID}\nEnter Secret Access Key: \n{ADDED}"
    );
    assert_eq!(screen.replace(&test.home().display().to_string(), "[HOME]"), expected);
    stored(&test.clone().env("AWS_VAULT_PASSPHRASE", PASSPHRASE), ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn without_a_person_or_at_a_named_path_no_vault_is_made_on_the_way() {
    let error = |path: &str| {
        format!(
            "vault: error: no vault at {path}\n\
             vault: hint: make one: vault init --generate-identity \
                [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE\n"
        )
    };
    let test = Test::new();
    let add = test.command(["add", "prod", "--stdin"]).stdin(json());
    add.expect_error(3, &error("[HOME]/.local/share/vault/vault.age")).run();
    let (status, screen) = test.command(["--vault", "mine.age", "add", "prod"]).pty().end(SOON);
    let screen = test.placeholders(screen.as_bytes());
    assert_eq!((status, screen), (3, error("mine.age").replace("init", "init --vault mine.age")));
    let mut left = std::fs::read_dir(test.home()).expect("the home");
    assert!(left.next().is_none());
}

#[test]
fn with_verify_aws_says_whose_key_it_is_before_it_is_stored() {
    let standin = StandIn::demo();
    let test = vault().standin(&standin);
    let add = test.command(["add", "prod", "--stdin", "--verify"]).stdin(json());
    let knows = format!("The key {ACCESS_KEY_ID} belongs to arn:aws:iam::123456789012:user/demo\n");
    add.expect_stdout(ADDED).expect_stderr(&knows).run();
    stored(&test, ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    assert_eq!(log(&standin), "GetCallerIdentity by key: ok\n");
}

#[test]
fn a_key_that_aws_refuses_is_not_stored_with_verify() {
    let nobody = StandIn::start(World::empty());
    let test = vault().standin(&nobody);
    let before = test.read(test.vault_file());
    let add = |test: &Test| test.command(["add", "prod", "--stdin", "--verify"]).stdin(json());
    let refused = format!(
        "vault: error: AWS does not know the access key (key {ACCESS_KEY_ID}); nothing was stored\n\
         vault: hint: it was deleted, is inactive, belongs to another partition, or is only seconds \
         old\n"
    );
    add(&test).expect_error(9, &refused).run();
    let gone = test.clone().env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    let unreachable = format!(
        "vault: error: 127.0.0.1:1 refused the connection (key {ACCESS_KEY_ID}); nothing was stored\n"
    );
    add(&gone).expect_error(9, &unreachable).run();
    assert_eq!(test.read(test.vault_file()), before);
    assert!(!test.home().join(".aws/config").exists());
    // Nor is a vault made for it.
    let first = Test::new().standin(&nobody);
    add(&first).expect_status(3).run();
}
