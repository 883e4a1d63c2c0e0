//! The tutorial of somebody who comes from aws-vault, word for word on a real terminal: the config
//! file and the commands of Caktus Group's page on MFA, with our program called `aws-vault`.

use std::time::Duration;

use crate::support::builder::{Test, hide};
use crate::support::diff::assert_same;
use crate::support::moto::Moto;
use crate::support::pty::Pty;
use crate::support::standin::{Role, StandIn, World};
use crate::support::{
    ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, MFA_SEED, PASSPHRASE, SECRET_ACCESS_KEY,
};

/// The AWS CLI on a slow machine.
const SOON: Duration = Duration::from_secs(50);

const CONFIG: &str = "; Caktus Managed AWS
[profile caktus]
credential_process=aws-vault exec --no-session --json caktus

[profile caktus-mfa]
mfa_serial=arn:aws:iam::123456789012:mfa/demo
source_profile=caktus
region=us-east-1
output=json

; Assume Role setup
[profile saguaro-cluster]
mfa_serial=arn:aws:iam::123456789012:mfa/demo
role_arn=arn:aws:iam::210987654321:role/CaktusAccountAccessRole-Admins
source_profile=caktus
region=us-east-1
";

const ROLE: &str = "arn:aws:iam::210987654321:role/CaktusAccountAccessRole-Admins";

/// A reader of the tutorial: a home without a vault, an account with an MFA device, and a shell.
struct Reader {
    test: Test,
    standin: StandIn,
    shell: Pty,
    /// The way of the key that is in identity.txt, else of the passphrase that is asked for.
    by_key: bool,
}

impl Reader {
    fn sits_down(by_key: bool, moto: Option<&Moto>) -> Self {
        let standin = StandIn::start(World::demo().role(Role::new(ROLE).requires_mfa()));
        // Half a step off on either side when the two codes are asked for.
        standin.move_clock(-15);
        let mut test = Test::new().standin(&standin).env_remove("AWS_REGION").config(CONFIG);
        test = test.on_path("aws-vault").env("SHELL", "/bin/sh").env("PS1", "$ ");
        if by_key {
            test = test.file(".config/vault/identity.txt", format!("{AGE_KEY}\n"), 0o600);
        }
        if let Some(moto) = moto {
            test = test.env("AWS_ENDPOINT_URL_S3", &moto.endpoint);
        }
        let mut shell = test.command(["-i"]).program("sh").pty();
        shell.expect("$ ", SOON);
        Self { test, standin, shell, by_key }
    }

    /// Types a command, answers its questions, and gives what it showed until the shell was back.
    #[track_caller]
    fn types(&mut self, command: &str, answers: &[(&str, &str)]) -> String {
        let before = self.shell.screen().len();
        self.shell.send(command);
        for (question, answer) in answers {
            self.shell.expect(question, SOON);
            self.shell.send(answer);
        }
        self.shell.expect("$ ", SOON);
        let shown = self.shell.screen().split_off(before);
        let shown = shown.strip_prefix(&format!("{command}\n")).expect("the echo");
        let shown =
            self.test.placeholders(shown.strip_suffix("$ ").expect("the prompt").as_bytes());
        hide(&shown, &self.standin.issued())
    }

    /// The same for a command that opens the vault: by passphrase that is the first question.
    #[track_caller]
    fn unlocks(&mut self, command: &str, answers: &[(&str, &str)]) -> String {
        const PROMPT: &str = "Enter passphrase for [HOME]/.local/share/vault/vault.age: ";
        if self.by_key {
            return self.types(command, answers);
        }
        let prompt = PROMPT.replace("[HOME]", &self.test.home().display().to_string());
        let answers = [&[(prompt.as_str(), PASSPHRASE)], answers].concat();
        let shown = self.types(command, &answers);
        shown.strip_prefix(&format!("{PROMPT}\n")).expect("the passphrase's prompt").to_owned()
    }

    /// `aws-vault exec PROFILE`, with the code that the device shows.
    #[track_caller]
    fn executes(&mut self, profile: &str) {
        let prompt = "Enter MFA code for arn:aws:iam::123456789012:mfa/demo: ";
        let code = self.standin.totp_now(MFA_SEED);
        let shown = self.unlocks(&format!("aws-vault exec {profile}"), &[(prompt, &code)]);
        let subshell = "Starting subshell /bin/sh, use `exit` to exit the subshell";
        assert_same("exec", &format!("{prompt}{code}\n{subshell}\n"), &shown);
        // The device shows its next code.
        self.standin.move_clock(30);
    }

    /// `env | grep AWS`, without the endpoints of this test, in the order of the names.
    #[track_caller]
    fn environment(&mut self) -> Vec<String> {
        let shown = self.types("env | grep AWS", &[]);
        let lines = shown.lines().filter(|line| !line.starts_with("AWS_ENDPOINT_URL_"));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The first half, up to the subshell of `caktus-mfa`.
    #[track_caller]
    fn plays_the_first_half(&mut self) {
        let shown = self.types(
            "aws-vault add caktus",
            &[
                ("Enter new passphrase for the vault: ", PASSPHRASE),
                ("Enter it again: ", PASSPHRASE),
                ("Enter Access Key ID: ", ACCESS_KEY_ID),
                ("Enter Secret Access Key: ", SECRET_ACCESS_KEY),
            ],
        );
        assert_same(
            "add",
            "There is no vault yet; making [HOME]/.local/share/vault/vault.age\n\
             Enter new passphrase for the vault: \n\
             Enter it again: \n\
             Enter Access Key ID: AKIAIOSFODNN7EXAMPLE\n\
             Enter Secret Access Key: \n\
             Added credentials to profile \"caktus\" in vault\n",
            &shown,
        );
        assert_eq!(self.test.read(".aws/config"), CONFIG.as_bytes(), "the profile was there");
        let slot = "passphrase (argon2id, 64 MiB, 3 passes, 4 lanes)\n";
        let key = if self.by_key { format!("{AGE_RECIPIENT}\n") } else { String::new() };
        assert_eq!(self.unlocks("aws-vault recipient list", &[]), key + slot);
        self.executes("caktus-mfa");
        assert_eq!(self.environment(), session("caktus-mfa", 1));
        assert_eq!(
            self.types("aws-vault exec saguaro-cluster", &[]),
            "vault: error: running in an existing vault subshell\n\
             vault: hint: exit from the subshell, or unset AWS_VAULT to force\n"
        );
    }

    /// The second half, in the subshell of the first.
    #[track_caller]
    fn goes_on_to_the_role(&mut self) {
        assert_eq!(self.types("unset AWS_VAULT", &[]), "");
        assert_eq!(self.types("aws-vault clear", &[]), "Cleared 1 sessions.\n");
        self.executes("saguaro-cluster");
        let mut expected = session("saguaro-cluster", 3);
        // The role is another account's.
        expected.insert(1, "AWS_ACCOUNT_ID=210987654321".to_owned());
        assert_eq!(self.environment(), expected);
    }

    #[track_caller]
    fn leaves_the_subshells(&mut self) {
        assert_eq!(self.types("exit", &[]), "");
        assert_eq!(self.types("exit", &[]), "");
        assert_eq!(self.environment(), [""; 0], "nothing is left behind");
    }

    /// Leaves the shell too.
    #[track_caller]
    fn goes_home(mut self) -> StandIn {
        self.shell.send("exit 7");
        assert_eq!(self.shell.end(SOON).0, 7);
        self.standin
    }
}

/// What a subshell has of AWS: the profile and the session that was given as this number.
fn session(profile: &str, number: usize) -> Vec<String> {
    vec![
        format!("AWS_ACCESS_KEY_ID=[ID {number}]"),
        format!("AWS_CREDENTIAL_EXPIRATION=[EXPIRATION {number}]"),
        "AWS_DEFAULT_REGION=us-east-1".to_owned(),
        "AWS_REGION=us-east-1".to_owned(),
        format!("AWS_SECRET_ACCESS_KEY=[SECRET {number}]"),
        format!("AWS_SESSION_TOKEN=[TOKEN {number}]"),
        format!("AWS_VAULT={profile}"),
    ]
}

/// The calls to STS, without what differs from run to run.
fn calls(standin: &StandIn) -> Vec<String> {
    let calls = standin.calls().into_iter();
    calls.map(|call| format!("{} {}", call.action, call.outcome)).collect()
}

const CALLS: [&str; 3] = ["GetSessionToken ok", "GetSessionToken ok", "AssumeRole ok"];

#[track_caller]
fn without_the_aws_cli(by_key: bool) {
    let mut reader = Reader::sits_down(by_key, None);
    reader.plays_the_first_half();
    reader.goes_on_to_the_role();
    // What `AWS_PROFILE=caktus aws …` would start.
    let process = "aws-vault exec --no-session --json caktus";
    assert_eq!(
        reader.unlocks(process, &[]),
        "{\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\
         \"SecretAccessKey\":\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\",\"Version\":1}\n"
    );
    reader.leaves_the_subshells();
    assert_eq!(calls(&reader.goes_home()), CALLS);
}

#[test]
fn the_tutorial_is_played_with_a_key_in_identity_txt() {
    without_the_aws_cli(true);
}

#[test]
fn the_tutorial_is_played_by_passphrase_prompt() {
    without_the_aws_cli(false);
}

#[track_caller]
fn with_the_aws_cli(by_key: bool) {
    const IDENTITY: &str = "sts get-caller-identity --query Arn --output text";
    const USER: &str = "arn:aws:iam::123456789012:user/demo\n";
    const ASSUMED: &str = "arn:aws:sts::210987654321:assumed-role/CaktusAccountAccessRole-Admins/";
    let home = Test::new();
    let moto = Moto::start(home.home());
    let mut reader = Reader::sits_down(by_key, Some(&moto));
    reader.plays_the_first_half();
    assert_eq!(reader.types(&format!("aws {IDENTITY}"), &[]), USER);
    reader.goes_on_to_the_role();
    assert_eq!(reader.types("aws s3 mb s3://saguaro", &[]), "make_bucket: saguaro\n");
    assert!(reader.types("aws s3 ls", &[]).ends_with(" saguaro\n"));
    // The variables of the subshell outrank AWS_PROFILE, but not --profile: so is the AWS CLI.
    assert!(reader.types(&format!("AWS_PROFILE=caktus aws {IDENTITY}"), &[]).starts_with(ASSUMED));
    assert_eq!(reader.unlocks(&format!("aws --profile caktus {IDENTITY}"), &[]), USER);
    let without = "env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN";
    let command = format!("{without} AWS_PROFILE=caktus aws {IDENTITY}");
    assert_eq!(reader.unlocks(&command, &[]), USER);
    reader.leaves_the_subshells();
    // The page's [profile caktus] has no region, and the AWS CLI wants one.
    let command = format!("AWS_PROFILE=caktus aws --region us-east-1 {IDENTITY}");
    assert_eq!(reader.unlocks(&command, &[]), USER);
    let who = "GetCallerIdentity ok";
    assert_eq!(calls(&reader.goes_home()), [CALLS[0], who, CALLS[1], CALLS[2], who, who, who, who]);
}

#[test]
#[ignore = "needs the AWS CLI and moto's server (see .ci/run)"]
fn the_tutorial_is_played_with_the_aws_cli_and_a_key_in_identity_txt() {
    with_the_aws_cli(true);
}

#[test]
#[ignore = "needs the AWS CLI and moto's server (see .ci/run)"]
fn the_tutorial_is_played_with_the_aws_cli_by_passphrase_prompt() {
    with_the_aws_cli(false);
}

#[test]
fn add_writes_the_profile_that_the_tutorial_then_completes() {
    let commented_out = "; [profile caktus]\n; region=us-east-1\n";
    let test = Test::new().vault_with("other").config(commented_out);
    let json = format!(
        r#"{{"AccessKey": {{"AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}}}"#
    );
    let add = test.command(["add", "caktus", "--stdin"]).stdin(json).expect_stderr("");
    add.expect_stdout("Added credentials to profile \"caktus\" in vault\n").run();
    let written = String::from_utf8(test.read(".aws/config")).expect("text");
    assert_same("config", &format!("{commented_out}\n[profile caktus]\n"), &written);
}

#[test]
fn a_role_sourced_from_the_mfa_profile_is_reached_by_the_same_calls() {
    // An older edition of the page: no mfa_serial with the role, but caktus-mfa as its source.
    let older =
        CONFIG.replace("mfa_serial=arn:aws:iam::123456789012:mfa/demo\nrole_arn", "role_arn");
    let (head, role) = older.split_once("; Assume").expect("the role");
    let older = format!("{head}; Assume{}", role.replace("=caktus\n", "=caktus-mfa\n"));
    let log = |config: &str| {
        let standin = StandIn::start(World::demo().role(Role::new(ROLE).requires_mfa()));
        let test = Test::new().standin(&standin).vault_with("caktus").config(config);
        let code = standin.totp_now(MFA_SEED);
        test.command(["exec", "-t", &code, "saguaro-cluster", "true"]).expect_stderr("").run();
        standin.log()
    };
    assert_ne!(older, CONFIG);
    assert_same("calls", &log(CONFIG), &log(&older));
}
