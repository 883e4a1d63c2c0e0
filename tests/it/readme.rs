//! The commands in README.md and docs/ do what is said of them: they are run as they stand there, by the
//! built program.

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::documents;
use crate::support::standin::bucket::{Bucket, Conditions};
use crate::support::standin::identity::Provider;
use crate::support::standin::{Role, StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SOON: Duration = Duration::from_secs(30);

/// The one block of shell commands with this in it.
fn block(part: &str) -> String {
    documents::block("sh", part)
}

/// A shell with the program as `vault` in its PATH.
fn shell(home: &Test, script: &str) -> Test {
    home.command(["-euc", script]).program("sh")
}

/// Each block, by a part that no other has, and the test that runs it.
pub const PLAYED: &[(&str, &str)] = &[
    ("exec --vault fixtures/demo/by-key.age", "readme::the_first_command_prints_the_demo_key"),
    ("# makes a key and a vault", "readme::the_start_with_ones_own_key_works_line_by_line"),
    ("vault clear prod", "readme::sessions_are_listed_renewed_and_cleared"),
    ("vault doctor", "readme::the_doctor_is_asked"),
    ("--generate-identity ci-key.txt", "readme::a_ci_job_pins_the_vault_in_its_repository"),
    ("AWS_VAULT_PIN=SHA256", "readme::a_ci_job_pins_the_vault_in_its_repository"),
    ("vault unlock --for 8h", "readme::a_vault_is_unlocked_once_and_locked_again"),
    ("vault recipient add", "readme::a_recipient_may_open_it_and_then_no_longer"),
    ("vault mfa enroll ci", "readme::a_service_account_gets_a_device_without_a_prompt"),
    ("vault fleet join s3://fleet/vault", "readme::hosts_share_a_store"),
    ("vault totp add ci", "readme::a_seed_is_added_listed_used_and_removed"),
    ("vault rotate prod", "readme::keys_are_rotated"),
    ("vault exec --server prod", "readme::a_job_of_hours_gets_a_server_instead_of_keys"),
    (
        "vault exec --server --token-by file",
        "readme::a_job_that_reads_its_token_from_a_file_gets_one",
    ),
    (
        "vault serve --profile prod --token-file",
        "readme::a_container_s_server_says_whether_it_is_ready",
    ),
    (
        "vault serve --profile prod --imds",
        "readme::a_client_of_an_instance_s_metadata_gets_credentials",
    ),
    ("vault sso login dev", "readme::a_person_logs_in_and_out"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE=token", "readme::a_job_with_a_token_needs_no_key_and_no_vault"),
    ("vault import --from aws-vault", "migration::moving_from_aws_vaults_files_takes_five_lines"),
    ("vault import --from credentials", "migration::moving_from_plaintext_keys_takes_three_lines"),
    ("age -d -i identity.txt vault.age", "readme::age_reads_a_vault_without_vault"),
    ("python3 fixtures/open_vault.py", "readme::python_reads_a_vault_without_vault"),
    ("sudo apt install ./aws-age-vault", "installed::readme_and_docs_hold_for_the_package"),
];

/// The blocks that no test runs as they stand, and why.
pub const NOT_PLAYED: &[(&str, &str)] = &[
    ("cargo build --release --locked", "what every test here has done, and this very test"),
    (
        "docker build -f docker/Dockerfile",
        "docker/images builds them, and tests/it/images.rs runs them",
    ),
];

#[test]
fn every_block_of_commands_is_run_by_a_test_or_has_its_reason() {
    let pages = documents::pages();
    let blocks: Vec<_> =
        pages.iter().flat_map(|page| documents::blocks(&page.text, "sh")).collect();
    let parts = || PLAYED.iter().chain(NOT_PLAYED).map(|(part, _)| part);
    for block in &blocks {
        let known = parts().filter(|part| block.contains(**part)).count();
        assert_eq!(known, 1, "entries for\n{block}");
    }
    for part in parts() {
        let there = blocks.iter().filter(|block| block.contains(part)).count();
        assert_eq!(there, 1, "blocks for {part}");
    }
    for (_, test) in PLAYED {
        let (file, name) = test.split_once("::").expect("a module");
        let source = documents::page(&format!("tests/it/{file}.rs"));
        assert!(source.contains(&format!("\nfn {name}()")), "no test {test}");
    }
}

#[test]
fn the_first_command_prints_the_demo_key() {
    let script = block("exec --vault fixtures/demo/by-key.age");
    let script = script.replace("cargo run --locked --", "vault");
    let json = format!(
        "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
    );
    let home = Test::new().on_path("vault");
    shell(&home, &script).in_dir(ROOT).expect_stdout(json).expect_stderr("").run();
}

/// Gives `vault add` the key that it asks for.
fn answers(test: &Test) {
    let mut pty = test.pty();
    pty.expect("Enter Access Key ID: ", SOON);
    pty.send(ACCESS_KEY_ID);
    pty.expect("Enter Secret Access Key: ", SOON);
    pty.send(SECRET_ACCESS_KEY);
    assert_eq!(pty.end(SOON).0, 0);
}

#[test]
fn the_start_with_ones_own_key_works_line_by_line() {
    let script = block("# makes a key and a vault");
    let home = Test::new().on_path("vault");
    // No network: aws is a program that shows what it was given.
    let aws = "#!/bin/sh\necho \"$AWS_VAULT $AWS_ACCESS_KEY_ID $*\"\n";
    let home = home.file("bin/aws", aws, 0o755);
    let mut ran = 0;
    for line in script.lines() {
        let line = line.split("   #").next().unwrap_or_default().trim_end();
        ran += 1;
        // The key itself, since a session is AWS's to give.
        let line = line.replace("vault exec ", "vault exec --no-session ");
        let test = shell(&home, &line);
        if line.starts_with("vault add") {
            answers(&test);
        } else if line.ends_with("exec --no-session prod") {
            let test = test.stdin("echo $AWS_VAULT $AWS_ACCESS_KEY_ID\n");
            test.expect_stdout(format!("prod {ACCESS_KEY_ID}\n")).run();
        } else if line.contains("-- aws") {
            let called = format!("prod {ACCESS_KEY_ID} sts get-caller-identity\n");
            test.expect_stdout(called).expect_stderr("").run();
        } else {
            test.run();
        }
    }
    assert_eq!(ran, 5);
}

#[test]
fn a_ci_job_pins_the_vault_in_its_repository() {
    let home = Test::new().on_path("vault");
    let (mut pin, mut key) = (String::new(), String::new());
    for line in block("--generate-identity ci-key.txt").lines() {
        let test = shell(&home, line);
        if line.starts_with("vault add") {
            answers(&test);
            continue;
        }
        let output = test.run();
        if let Some((_, printed)) = output.stderr.split_once("fingerprint ") {
            pin = printed.lines().next().expect("a line").to_owned();
        }
        key = output.stdout;
    }
    let home = home.env("AWS_VAULT_AGE_KEY", key);
    let home = home.file("bin/terraform", "#!/bin/sh\necho \"$AWS_VAULT $*\"\n", 0o755);
    let script = block("AWS_VAULT_PIN=SHA256");
    let line = script.replace("SHA256:…", &pin);
    let line = line.replace("vault exec prod", "vault exec --no-session prod");
    shell(&home, &line).expect_stdout("prod apply\n").expect_stderr("").run();
}

#[test]
fn the_sentence_on_several_ways_in_holds() {
    let line = "vault init -r age1… -r \"$(cat ~/.ssh/id_ed25519.pub)\" --passphrase";
    assert!(documents::page("README.md").contains(line));
    let public = std::fs::read(format!("{ROOT}/fixtures/ssh/test_ed25519.pub")).expect("a key");
    let home = Test::new().on_path("vault").file(".ssh/id_ed25519.pub", public, 0o644);
    let home = home.env("AWS_VAULT_PASSPHRASE", "several ways");
    shell(&home, &line.replace("age1…", crate::support::AGE_RECIPIENT)).run();
    let ways = home.command(["recipient", "list"]).run().stdout;
    assert_eq!(ways.lines().count(), 3, "{ways}");
}

#[test]
fn a_recipient_may_open_it_and_then_no_longer() {
    let home = Test::new().on_path("vault").vault_with("prod");
    let script = block("vault recipient add");
    let [add, list, remove] = script.lines().collect::<Vec<_>>()[..] else { panic!("{script}") };
    shell(&home, add).expect_stdout("").run();
    let listed = shell(&home, list).run().stdout;
    assert!(listed.ends_with("  (laptop)\n"), "{listed}");
    let pin = shell(&home, remove).run().stdout;
    home.command(["pin"]).expect_stdout(pin).expect_stderr("").run();
}

#[test]
fn sessions_are_listed_renewed_and_cleared() {
    let standin = StandIn::demo();
    let home = Test::new().on_path("vault").vault_with("prod").standin(&standin);
    home.command(["exec", "--json", "prod"]).run();
    let script = block("vault clear prod");
    let [list, refresh, clear] = script.lines().collect::<Vec<_>>()[..] else { panic!("{script}") };
    let listed = shell(&home, list).run().stdout;
    assert!(listed.contains(" session:"), "{listed}");
    assert_eq!(standin.calls().len(), 1);
    shell(&home, refresh).expect_stdout("").run();
    assert_eq!(standin.calls().len(), 2);
    shell(&home, clear).expect_stdout("Cleared 1 sessions.\n").run();
}

#[test]
fn a_vault_is_unlocked_once_and_locked_again() {
    if vault::os::keyring::find("vault-test:probe", 1).is_err() {
        return eprintln!("not tested: no keyring here");
    }
    let home = Test::new().on_path("vault").vault_with_passphrase("prod");
    let home = home.env_remove("AWS_VAULT_PASSPHRASE");
    let mut pty = shell(&home, &block("vault unlock --for 8h")).pty();
    pty.expect("Enter passphrase for ", SOON);
    pty.send(PASSPHRASE);
    pty.expect("Unlocked for 8h, until ", SOON);
    pty.expect("Locked", SOON);
    assert_eq!(pty.end(SOON).0, 0);
}

#[test]
fn the_doctor_is_asked() {
    let standin = StandIn::demo();
    let home = Test::new().on_path("vault").vault_with("prod").standin(&standin);
    let script = block("vault doctor");
    let [text, profile, json] = script.lines().collect::<Vec<_>>()[..] else { panic!("{script}") };
    for line in [text, profile] {
        let found = shell(&home, line).expect_stderr("").run().stdout;
        assert!(found.contains("checks found nothing wrong"), "{found}");
    }
    assert!(shell(&home, json).expect_stderr("").run().stdout.starts_with("{\"findings\":[{"));
}

#[test]
fn a_service_account_gets_a_device_without_a_prompt() {
    let user = User::new("ci").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let standin = StandIn::start(World::empty().user(user));
    let aws = "#!/bin/sh\necho \"$AWS_VAULT ${AWS_SESSION_TOKEN:+with a session} $*\"\n";
    let home = Test::new().on_path("vault").file("bin/aws", aws, 0o755);
    let home = home.config("[profile ci]\n").vault_with("ci").standin(&standin);
    let home = home.env("AWS_ENDPOINT_URL_IAM", standin.endpoint());
    let script = block("vault mfa enroll ci");
    let [enroll, exec] = script.lines().collect::<Vec<_>>()[..] else { panic!("{script}") };
    shell(&home, enroll).expect_stdout("arn:aws:iam::123456789012:mfa/ci\n").run();
    shell(&home, exec).expect_stdout("ci with a session s3 ls\n").expect_stderr("").run();
    assert!(standin.calls().last().is_some_and(|call| call.step.is_some()), "{}", standin.log());
}

#[test]
fn keys_are_rotated() {
    let user = User::new("ci").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let standin = StandIn::start(World::empty().user(user));
    let home = Test::new().on_path("vault").config("[profile prod]\n").vault_with("prod");
    let home = home.standin(&standin).env("AWS_ENDPOINT_URL_IAM", standin.endpoint());
    let output = shell(&home, &block("vault rotate prod")).expect_stderr("").run();
    let lines: Vec<_> = output.stdout.lines().collect();
    let [first, would, second, nothing] = lines[..] else { panic!("{}", output.stdout) };
    assert!(first.starts_with(&format!("prod: {ACCESS_KEY_ID} is replaced by AKIA")), "{first}");
    assert!(would.starts_with("prod: would replace AKIA"), "{would}");
    assert!(second.starts_with("prod: AKIA"), "{second}");
    assert_eq!(nothing, "Nothing to finish.");
    assert_eq!((standin.keys().len(), standin.deleted_keys().len()), (1, 2));
}

#[test]
fn a_seed_is_added_listed_used_and_removed() {
    let standin = StandIn::demo();
    let home =
        Test::new().on_path("vault").config(&format!("[profile ci]\nmfa_serial = {MFA_SERIAL}\n"));
    let home = home.vault_with("ci").standin(&standin);
    let script = block("vault totp add ci");
    let [add, list, code, remove] = script.lines().collect::<Vec<_>>()[..] else {
        panic!("{script}")
    };
    let mut pty = shell(&home, add).pty();
    pty.expect("Enter the secret key (seed) of", SOON);
    pty.send(MFA_SEED);
    assert_eq!(pty.end(SOON).0, 0);
    assert_eq!(standin.calls().last().map(|call| call.outcome.as_str()), Some("ok"));
    shell(&home, list).expect_stdout(format!("{MFA_SERIAL}  (ci)\n")).run();
    let printed = shell(&home, code).run().stdout;
    assert!(printed.len() == 7 && printed.trim().bytes().all(|b| b.is_ascii_digit()), "{printed}");
    let mut pty = shell(&home, remove).pty();
    pty.expect("Delete the seed of", SOON);
    pty.send("y");
    assert_eq!(pty.end(SOON).0, 0);
    shell(&home, list).expect_stdout("").run();
}

/// What docs/containers.md says: a cache that is named, a root that is not to be written, and
/// no home.
#[test]
fn without_a_home_sessions_lie_in_the_cache_that_is_named() {
    let standin = StandIn::demo();
    let home = Test::new().vault_with("prod").standin(&standin);
    let (vault, cache) = (home.vault_file(), home.home().join("cache"));
    // Who runs the tests may be root, who may write to /.
    let state = home.home().join("state");
    let home = home.env("HOME", "/").env("XDG_STATE_HOME", &state);
    let home = home.env("AWS_VAULT_FILE", vault).env("AWS_VAULT_CACHE_DIR", &cache);
    for _ in 0..2 {
        home.command(["exec", "--json", "prod"]).expect_stderr("").run();
    }
    assert_eq!(standin.calls().len(), 1);
    assert!(cache.join("sessions").is_dir());
}

#[test]
fn a_job_of_hours_gets_a_server_instead_of_keys() {
    let standin = StandIn::demo();
    let home = Test::new().vault_with("prod").standin(&standin).on_path("vault");
    let job =
        "#!/bin/sh\necho \"${AWS_CONTAINER_CREDENTIALS_FULL_URI##*/}${AWS_ACCESS_KEY_ID-}\"\n";
    let home = home.file("nightly-job", job, 0o755);
    let script = block("vault exec --server prod");
    shell(&home, &script).expect_stdout("prod\n").expect_stderr("").run();
}

#[test]
fn a_job_that_reads_its_token_from_a_file_gets_one() {
    let standin = StandIn::demo();
    let home = Test::new().vault_with("prod").standin(&standin).on_path("vault");
    let python = "#!/bin/sh\nwc -c <\"$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE\"; \
                  echo \"$*${AWS_CONTAINER_AUTHORIZATION_TOKEN-}\"\n";
    let home = home.file("bin/python3", python, 0o755);
    let script = block("vault exec --server --token-by file prod");
    shell(&home, &script).expect_stdout("43\npolars-job.py\n").expect_stderr("").run();
}

#[test]
fn a_container_s_server_says_whether_it_is_ready() {
    let standin = StandIn::demo();
    let home = Test::new().vault_with("prod").standin(&standin).on_path("vault");
    let script = block("vault serve --profile prod --token-file");
    let [serve, check] = script.lines().collect::<Vec<_>>()[..] else { panic!("{script}") };
    let serve = serve.replace("/run/vault/token", "token");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = home.env("AWS_VAULT_LISTEN", format!("127.0.0.1:{port}"));
    let script = format!(
        "{serve} 2>said & while [ ! -e token ]; do sleep 0.02; done\n{check}\nkill $!; wait $!; cat said"
    );
    let said = format!("vault: serving prod at http://127.0.0.1:{port}/credentials/prod\n");
    shell(&home, &script).expect_stdout(said).expect_stderr("").run();
    assert!(!home.home().join("token").exists());
}

#[test]
fn a_client_of_an_instance_s_metadata_gets_credentials() {
    let standin = StandIn::demo();
    let home = Test::new().vault_with("prod").standin(&standin).on_path("vault");
    let serve = block("vault serve --profile prod --imds");
    let serve = serve.trim().replace(":9912", ":0");
    // Where this runs there may be a real one.
    let none = "http://127.0.0.1:1";
    let home = home.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", none);
    let home = home.env("AWS_VAULT_LISTEN", "127.0.0.1:0");
    let client = "[profile here]\ncredential_source = Ec2InstanceMetadata\n";
    let home = home.file("client", client, 0o600);
    let script = format!(
        "{serve} 2>said & while ! grep -qs serving said; do sleep 0.02; done\n\
         export AWS_EC2_METADATA_SERVICE_ENDPOINT=$(grep -o 'http://[^ ]*' said | head -n 1)\n\
         AWS_CONFIG_FILE=client vault exec here -- sh -c 'echo $AWS_VAULT ${{AWS_SESSION_TOKEN:+yes}}'\n\
         kill $!; wait $!"
    );
    shell(&home, &script).expect_stdout("here yes\n").expect_stderr("").run();
}

#[test]
fn a_person_logs_in_and_out() {
    let standin = StandIn::demo();
    let config = documents::block("ini", "[sso-session corp]");
    let home = Test::new().on_path("vault").vault_with("key").config(&config).standin(&standin);
    let home = home
        .env("AWS_ENDPOINT_URL_SSO", standin.endpoint())
        .env("AWS_ENDPOINT_URL_SSO_OIDC", standin.endpoint());
    let home = home.file("bin/aws", "#!/bin/sh\necho \"$AWS_VAULT $*\"\n", 0o755);
    let script = block("vault sso login dev");
    let [login, exec, logout] = script.lines().collect::<Vec<_>>()[..] else { panic!("{script}") };
    shell(&home, login).expect_stdout("").run();
    shell(&home, exec).expect_stdout("dev s3 ls\n").expect_stderr("").run();
    shell(&home, logout).expect_stdout("Logged out.\n").expect_stderr("").run();
}

#[test]
fn a_job_with_a_token_needs_no_key_and_no_vault() {
    let role = Role::new("deploy").subject("repo:example/shop:ref:refs/heads/main");
    let standin = StandIn::start(World::empty().provider(Provider::github()).role(role));
    let token =
        Provider::github().token("repo:example/shop:ref:refs/heads/main", standin.now() + 300);
    let home = Test::new().on_path("vault").standin(&standin).file("token", token, 0o600);
    let terraform = "#!/bin/sh\necho \"$AWS_VAULT ${AWS_SESSION_TOKEN:+session} $*\"\n";
    let home = home.file("bin/terraform", terraform, 0o755);
    let script = block("AWS_WEB_IDENTITY_TOKEN_FILE=token");
    let shown = shell(&home, &script).expect_stderr("").run().stdout;
    assert!(shown.starts_with("default session apply\nprofile   default\n"), "{shown}");
    assert!(shown.contains("\nfrom      web identity token in token ("), "{shown}");
}

#[test]
#[ignore = "needs age (see .ci/run)"]
fn age_reads_a_vault_without_vault() {
    let home = Test::new().command(["init", "--vault", "vault.age", "--generate-identity"]);
    home.clone().arg("identity.txt").run();
    let shown = shell(&home, &block("age -d -i identity.txt")).expect_stderr("").run().stdout;
    assert!(shown.contains("version = 1\n"), "{shown}");
}

#[test]
#[ignore = "needs python3 with cryptography (see .ci/run)"]
fn python_reads_a_vault_without_vault() {
    let home = Test::new().env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    home.command(["init", "--vault", "vault.age", "--passphrase"]).run();
    let script = block("python3 fixtures/open_vault.py");
    let vault = home.home().join("vault.age");
    for (line, shown) in script.lines().zip(["version = 1", "AGE-SECRET-KEY-1"]) {
        let line = line.replace("vault.age ", &format!("{} ", vault.display()));
        let mut pty = shell(&home, &line).in_dir(ROOT).pty();
        pty.expect("assphrase", SOON);
        pty.send(PASSPHRASE);
        pty.expect(shown, SOON);
        assert_eq!(pty.end(SOON).0, 0);
    }
}

#[test]
fn hosts_share_a_store() {
    let bucket = Bucket::start(Conditions::Kept);
    let home = Test::new().on_path("vault").vault_with("store");
    let home = home.env("AWS_ENDPOINT_URL_S3", bucket.endpoint());
    let shown = shell(&home, &block("vault fleet join s3://fleet/vault")).expect_stderr("").run();
    assert!(shown.stdout.starts_with("Joined s3://fleet/vault at http://"), "{}", shown.stdout);
    assert!(shown.stdout.contains("\ngood  If-Match replaces no other version\n"));
    assert!(shown.stdout.contains("\ncopy         generation 3, of 20"), "{}", shown.stdout);
}

/// The paths and the rooms of tests that CONTRIBUTING.md names.
#[test]
fn what_contributing_names_is_there() {
    let text = include_str!("../../CONTRIBUTING.md");
    let tops = ["src/", "tests/", "docker/", "fixtures/", "fuzz/", ".ci/"];
    let quoted = text.split('`').filter(|part| tops.iter().any(|top| part.starts_with(top)));
    let paths: Vec<_> = quoted
        .filter_map(|part| part.split_whitespace().next())
        .filter(|path| !path.contains(['*', 'N']))
        .collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        assert!(std::path::Path::new(ROOT).join(path).exists(), "{path}");
    }
    let rooms = text.split_whitespace().filter_map(|word| word.strip_suffix("::"));
    for room in rooms {
        let places = [format!("tests/it/{room}.rs"), format!("src/{room}/mod.rs")];
        assert!(
            places.iter().any(|place| std::path::Path::new(ROOT).join(place).exists()),
            "{room}"
        );
    }
}
