//! The real world: the AWS CLI and boto3 as callers, moto as a second STS, and age, pyrage and a
//! reader in Python on the file. `.ci/run` installs them, pinned, and puts them first in PATH.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::builder::Test;
use crate::support::moto::Moto;
use crate::support::served::Served;
use crate::support::standin::{Role, StandIn, World};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, PASSPHRASE, SECRET_ACCESS_KEY};

const CALLER: [&str; 5] = ["sts", "get-caller-identity", "--query", "Arn", "--output=text"];
const USER: &str = "arn:aws:iam::123456789012:user/demo\n";

/// A home with a vault, and an AWS config in which `[profile caller]` runs it.
fn place(standin: &StandIn, asked: &str) -> Test {
    let vault = env!("CARGO_BIN_EXE_vault");
    Test::new().standin(standin).env("AWS_DEFAULT_REGION", "us-east-1").vault_with("demo").config(
        &format!(
            "[profile caller]\n\
             credential_process = {vault} exec --json {asked}\n\
             [profile deploy]\n\
             role_arn = arn:aws:iam::123456789012:role/deploy\n\
             role_session_name = peers\n\
             source_profile = demo\n"
        ),
    )
}

fn standin_with_role() -> StandIn {
    StandIn::start(World::demo().role(Role::new("deploy")))
}

const ASSUMED: &str = "arn:aws:sts::123456789012:assumed-role/deploy/peers\n";

/// Prints who it is, by the profile in AWS_PROFILE or by what the environment holds.
const BOTO3: &str = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])";

fn actions(standin: &StandIn) -> Vec<String> {
    standin.calls().into_iter().map(|call| format!("{} {}", call.action, call.outcome)).collect()
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn the_aws_cli_takes_a_key_by_credential_process() {
    let standin = StandIn::demo();
    let test = place(&standin, "--no-session demo").program("aws").env("AWS_PROFILE", "caller");
    test.command(CALLER).expect_stdout(USER).expect_stderr("").run();
    assert_eq!(actions(&standin), ["GetCallerIdentity ok"]);
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn the_aws_cli_takes_a_role_by_credential_process() {
    let standin = standin_with_role();
    let test = place(&standin, "deploy").program("aws").env("AWS_PROFILE", "caller");
    test.command(CALLER).expect_stdout(ASSUMED).expect_stderr("").run();
    assert_eq!(actions(&standin), ["AssumeRole ok", "GetCallerIdentity ok"]);
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn the_aws_cli_runs_under_exec() {
    let standin = standin_with_role();
    let test = place(&standin, "deploy");
    let words = |profile| ["exec", profile, "--", "aws"].into_iter().chain(CALLER);
    test.command(words("deploy")).expect_stdout(ASSUMED).run();
    test.command(["exec", "--no-session", "demo", "--", "aws"].into_iter().chain(CALLER))
        .expect_stdout(USER)
        .run();
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn a_failure_shows_the_aws_cli_our_error_and_no_secret() {
    let standin = StandIn::demo();
    let test = place(&standin, "--no-session nobody").program("aws").env("AWS_PROFILE", "caller");
    let output = test.command(CALLER).expect_status(255).expect_stdout("").run();
    assert!(output.stderr.contains("vault: error: "), "{}", output.stderr);
    for secret in [AGE_KEY, SECRET_ACCESS_KEY] {
        assert!(!output.stderr.contains(secret), "{}", output.stderr);
    }
    assert_eq!(actions(&standin), [""; 0]);
}

#[test]
#[ignore = "needs python3 with boto3 (see .ci/run)"]
fn boto3_takes_a_role_by_credential_process() {
    let standin = standin_with_role();
    let test = place(&standin, "deploy").program("python3").env("AWS_PROFILE", "caller");
    test.command(["-c", BOTO3]).expect_stdout(ASSUMED).expect_stderr("").run();
    assert_eq!(actions(&standin), ["AssumeRole ok", "GetCallerIdentity ok"]);
}

#[test]
#[ignore = "needs python3 with boto3 (see .ci/run)"]
fn boto3_runs_under_exec() {
    let standin = standin_with_role();
    let test = place(&standin, "deploy");
    test.command(["exec", "deploy", "--", "python3", "-c", BOTO3]).expect_stdout(ASSUMED).run();
}

#[test]
#[ignore = "needs moto's server and the AWS CLI (see .ci/run)"]
fn moto_is_a_second_sts() {
    let standin = StandIn::demo();
    let test = place(&standin, "deploy");
    let moto = Moto::start(test.home());
    let test =
        test.env("AWS_ENDPOINT_URL_STS", &moto.endpoint).env("AWS_ENDPOINT_URL_S3", &moto.endpoint);
    for profile in ["demo", "deploy"] {
        let output = test.command(["exec", "--json", profile]).run();
        let given: serde_json::Value = serde_json::from_slice(&output.raw_stdout).expect("JSON");
        assert_eq!(given["Version"], 1, "{profile}");
        for field in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            assert!(given[field].is_string(), "{profile}: {field}");
        }
    }
    let aws = |words: &[&str]| {
        test.command(["exec", "deploy", "--", "aws"].iter().chain(words)).run().stdout
    };
    assert_eq!(aws(&["s3", "mb", "s3://peers"]), "make_bucket: peers\n");
    assert!(aws(&["s3", "ls"]).ends_with(" peers\n"));
    assert_eq!(actions(&standin), [""; 0]);
}

#[test]
#[ignore = "needs moto's server and the AWS CLI (see .ci/run)"]
fn moto_is_a_second_iam() {
    let test = Test::new().config("[profile ci]\n").vault_with("ci");
    let moto = Moto::start(test.home());
    let test = test.env("AWS_ENDPOINT_URL", &moto.endpoint);
    let test = test.env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
    // moto takes any key.
    let admin = test.clone().env("AWS_ACCESS_KEY_ID", "admin").env("AWS_SECRET_ACCESS_KEY", "x");
    let iam = |words: &str| {
        let words = ["iam"].into_iter().chain(words.split(' '));
        admin.command(words).program("aws").run().stdout
    };
    let keys = || {
        let listed = iam("list-access-keys --user-name ci --output json");
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let keys = listed["AccessKeyMetadata"].as_array().expect("keys").clone();
        keys.iter().map(|key| key["AccessKeyId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    iam("create-user --user-name ci");
    let first = iam("create-access-key --user-name ci --output json");
    test.command(["add", "ci", "--stdin", "--overwrite", "--no-add-config"]).stdin(first).run();
    let old = keys().remove(0);
    let output = test.command(["rotate", "ci"]).expect_stderr("").run();
    let [new] = &keys()[..] else { panic!("{:?}", keys()) };
    let line = format!("ci: {old} is replaced by {new}, for the user ci\n");
    assert_eq!(output.stdout, line);
    // A second one is in the way.
    iam("create-access-key --user-name ci");
    let output = test.command(["rotate", "ci"]).expect_status(6).run();
    assert!(output.stderr.contains("the user ci has two access keys"), "{}", output.stderr);
    test.command(["rotate", "ci", "--delete-other"]).run();
    assert_eq!(keys().len(), 1);
    assert_ne!(keys()[0], *new);
}

/// What every reader has to find in the plaintext.
#[track_caller]
fn assert_plaintext(plaintext: &str) {
    let document: toml::Table = plaintext.parse().expect("TOML");
    assert_eq!(document["version"].as_integer(), Some(1));
    let demo = &document["credentials"]["demo"];
    assert_eq!(demo["access_key_id"].as_str(), Some(ACCESS_KEY_ID));
    assert_eq!(demo["secret_access_key"].as_str(), Some(SECRET_ACCESS_KEY));
    assert_eq!(plaintext.len() % 4096, 0, "padding");
}

/// A vault made by `init` with these flags, opened by the identity in `key`.
fn vault_for(test: Test, flags: &[&str]) -> Test {
    test.command(["init"].iter().chain(flags)).run();
    test.env("AWS_VAULT_AGE_KEY_FILE", "key").stored("demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
}

fn age(test: &Test, identity: &str) -> String {
    let vault = test.vault_file();
    test.command(["-d", "-i", identity]).program("age").arg(vault).run().stdout
}

#[test]
#[ignore = "needs age (see .ci/run)"]
fn age_opens_what_vault_writes() {
    for form in [&["--generate-identity", "key"][..], &["--generate-identity", "key", "--armor"]] {
        assert_plaintext(&age(&vault_for(Test::new(), form), "key"));
    }
}

/// The vectors of armor: `age -d` opens those that a vault opens, and no other.
#[test]
#[ignore = "needs age (see .ci/run)"]
fn age_takes_the_armor_that_vault_takes() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vectors");
    let test = Test::new();
    let mut opened = [0, 0];
    for entry in std::fs::read_dir(vectors).expect("vectors").map(|entry| entry.expect("an entry"))
    {
        let name = entry.file_name().into_string().expect("a name");
        if name != "armor" && !name.starts_with("armor_") {
            continue;
        }
        let vector = std::fs::read(entry.path()).expect("a vector");
        let end = vector.windows(2).position(|pair| pair == b"\n\n").expect("an empty line");
        let fields = std::str::from_utf8(&vector[..end]).expect("text");
        let key = fields.lines().find_map(|line| line.strip_prefix("identity: ")).expect("a key");
        let test = test.clone().file("key", key, 0o600).file("armored", &vector[end + 2..], 0o600);
        let success = fields.starts_with("expect: success\n");
        let status = i32::from(!success);
        test.command(["-d", "-i", "key", "armored"]).program("age").expect_status(status).run();
        opened[usize::from(success)] += 1;
    }
    assert!(opened[0] >= 16 && opened[1] >= 9, "{opened:?}");
}

#[test]
#[ignore = "needs age and ssh-keygen (see .ci/run)"]
fn age_opens_a_vault_for_an_ssh_key() {
    for kind in ["ed25519", "rsa"] {
        let test = Test::new();
        test.command(["-q", "-N", "", "-t", kind, "-f", "key"]).program("ssh-keygen").run();
        let public = String::from_utf8(test.read("key.pub")).expect("a public key");
        assert_plaintext(&age(&vault_for(test, &["-r", public.trim()]), "key"));
    }
}

#[test]
#[ignore = "needs age and ssh-keygen (see .ci/run)"]
fn the_passphrases_of_age_and_ssh_keygen_open_a_vault() {
    let soon = Duration::from_secs(60);
    let word = "correct horse";
    let test = vault_for(Test::new(), &["--generate-identity", "key"]);
    for flags in [&["-p", "-o", "own", "key"][..], &["-p", "-a", "-o", "own", "key"]] {
        let mut pty = test.command(flags).program("age").pty();
        for question in ["Enter passphrase", "Confirm passphrase"] {
            pty.expect(question, soon);
            pty.send(word);
        }
        assert_eq!(pty.end(soon).0, 0);
        let test = test.clone().file("own", test.read("own"), 0o600);
        let mut pty = test.command(["-i", "own", "list", "--credentials"]).pty();
        pty.expect("Enter passphrase for the identity file own: ", soon);
        pty.send(word);
        let (status, screen) = pty.end(soon);
        assert!(status == 0 && screen.ends_with("\ndemo\n"), "{status}: {screen}");
        std::fs::remove_file(test.home().join("own")).expect("to remove the file");
    }
    // What ssh-keygen writes where nothing is said, and the ciphers that it can be told to use.
    let ciphers =
        ["", "aes256-ctr", "aes128-ctr", "aes192-ctr", "aes256-cbc", "aes256-gcm@openssh.com"];
    for (kind, cipher) in ciphers.iter().map(|cipher| ("ed25519", *cipher)).chain([("rsa", "")]) {
        let test = Test::new();
        let keygen =
            test.command(["-q", "-t", kind, "-f", "key", "-N", word]).program("ssh-keygen");
        if cipher.is_empty() { keygen } else { keygen.args(["-Z", cipher]) }.run();
        let public = String::from_utf8(test.read("key.pub")).expect("a public key");
        test.command(["init", "-r", public.trim()]).run();
        let mut pty = test.command(["-i", "key", "pin"]).pty();
        pty.expect("Enter passphrase for the ssh key in key: ", soon);
        pty.send(word);
        let (status, screen) = pty.end(soon);
        assert!(status == 0 && screen.contains("\nSHA256:"), "{kind}, {cipher}: {screen}");
    }
}

#[test]
#[ignore = "needs python3 with pyrage (see .ci/run)"]
fn pyrage_opens_what_vault_writes() {
    let script = "import pyrage, sys\n\
                  key = pyrage.x25519.Identity.from_str(open('key').read().split()[-1])\n\
                  file = open(sys.argv[1], 'rb').read()\n\
                  sys.stdout.buffer.write(pyrage.decrypt(file, [key]))";
    let test = vault_for(Test::new(), &["--generate-identity", "key"]);
    let python = test.command(["-c", script]).program("python3").arg(test.vault_file());
    assert_plaintext(&python.run().stdout);
}

/// `fixtures/open_vault.py`
fn reader() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/open_vault.py")
}

#[test]
#[ignore = "needs python3 with cryptography, and age (see .ci/run)"]
fn the_python_reader_opens_a_passphrase_vault() {
    let test = Test::new().vault_with_passphrase("demo").file("word", PASSPHRASE, 0o600);
    let vault = test.vault_file();
    let python = |flags: &[&str]| {
        let command = test.command([reader()]).program("python3").args(flags);
        command.args(["--passphrase-file", "word"]).arg(&vault).expect_stderr("").run().stdout
    };
    assert_plaintext(&python(&[]));
    // The slot's own key opens it for age, and goes on to after the next write.
    let test = test.clone().file("key", python(&["--identity"]), 0o600);
    assert_plaintext(&age(&test, "key"));
    let test = test.stored("other", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    assert_plaintext(&age(&test, "key"));
}

#[test]
#[ignore = "needs python3 with cryptography (see .ci/run)"]
fn the_python_reader_opens_a_vault_for_a_key() {
    let test = vault_for(Test::new(), &["--generate-identity", "key", "--armor"]);
    let python = test.command([reader()]).program("python3").args(["-i", "key"]);
    assert_plaintext(&python.arg(test.vault_file()).expect_stderr("").run().stdout);
}

/// Asks who it is for longer than three sessions last, each time as a new client; and shows how many
/// access keys that took.
const FOR_LONG: &str = r"
import boto3, os, time
seen, start = [], time.time()
session = boto3.Session()
while time.time() - start < 14:
    credentials = session.get_credentials().get_frozen_credentials()
    session.client('sts').get_caller_identity()
    if credentials.access_key not in seen:
        seen.append(credentials.access_key)
    time.sleep(0.2)
    session = boto3.Session()
assert not [name for name in os.environ if name.endswith('ACCESS_KEY')]
print(len(seen) >= 3 or seen)";

#[test]
#[ignore = "needs python3 with boto3 (see .ci/run)"]
fn boto3_outlives_its_sessions_under_a_server() {
    let standin = standin_with_role();
    standin.change(|world| world.session_limit = Some(6));
    let test = place(&standin, "deploy");
    let words = ["exec", "--server", "deploy", "--", "python3", "-c", FOR_LONG];
    test.command(words).expect_stdout("True\n").expect_stderr("").run();
    assert!(actions(&standin).iter().all(|action| action.ends_with(" ok")), "{}", standin.log());
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn the_aws_cli_has_fresh_credentials_under_a_server_for_as_long_as_the_job_takes() {
    let standin = standin_with_role();
    standin.change(|world| world.session_limit = Some(6));
    let test = place(&standin, "deploy");
    let calls = format!("for n in 1 2 3; do aws {}; sleep 6; done", CALLER.join(" "));
    let words = ["exec", "--server", "deploy", "--", "sh", "-c", &calls];
    test.command(words).expect_stdout(ASSUMED.repeat(3)).expect_stderr("").run();
    let done = actions(&standin);
    assert!(done.iter().all(|action| action.ends_with(" ok")), "{}", standin.log());
    assert!(done.iter().filter(|action| *action == "AssumeRole ok").count() >= 3, "{done:?}");
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn the_aws_cli_asks_a_server() {
    let standin = standin_with_role();
    let test = place(&standin, "deploy");
    let words = |profile| ["exec", "--server", profile, "--", "aws"].into_iter().chain(CALLER);
    test.command(words("deploy")).expect_stdout(ASSUMED).expect_stderr("").run();
    // A default profile with keys would come first, so it is out of sight.
    let keys = format!(
        "[default]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let test = test.aws_credentials(&keys);
    test.command(words("deploy")).expect_stdout(ASSUMED).run();
}

#[test]
#[ignore = "needs python3 with boto3 (see .ci/run)"]
fn boto3_asks_a_server_beside_it() {
    let standin = standin_with_role();
    let test = place(&standin, "deploy");
    let served = Served::start(&test, &["--profile", "deploy"]);
    let url = format!("http://127.0.0.1:{}/credentials/deploy", served.port);
    let token = test.home().join("token");
    let test = test
        .config("")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token);
    let test = test.program("python3");
    test.command(["-c", BOTO3]).expect_stdout(ASSUMED).expect_stderr("").run();
}
