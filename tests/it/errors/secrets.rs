//! No message holds a secret, whatever goes wrong; and what fails leaves stdout empty.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::builder::Test;
use crate::support::{AGE_KEY, AGE_RECIPIENT};

/// A word that stands in every secret given here, and nowhere else.
const CANARY: &str = "CANARYcanary0123";
/// The id of the access key; it is public, but not in an error either.
const ID: &str = "AKIACANARY7EXAMPLE01";

/// A vault with the canary as its secret access key and as its passphrase.
fn vault() -> Test {
    let secret = format!("secretAccessKey/{CANARY}/0123456789");
    let test = Test::new().file("passphrase", format!("open {CANARY}"), 0o600);
    test.command(["init", "-r", AGE_RECIPIENT, "--passphrase", "--passphrase-file", "passphrase"])
        .run();
    test.env("AWS_VAULT_AGE_KEY", AGE_KEY)
        .stored("demo", ID, &secret)
        .env_remove("AWS_VAULT_AGE_KEY")
}

#[track_caller]
fn says_nothing_of_it(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let base64 = STANDARD.encode(CANARY);
    for word in [CANARY, &base64[..20], &AGE_KEY[20..40]] {
        assert!(!text.to_lowercase().contains(&word.to_lowercase()), "{what}: {text}");
    }
}

/// Every way to hand something over wrongly: an environment, files, stdin, and a command line.
fn wrong_ways(vault: &Test) -> Vec<(Test, Vec<String>)> {
    let near_key = format!("AGE-SECRET-KEY-1{CANARY}");
    let pem = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n"
    );
    let wrong = [
        CANARY.to_owned(),
        format!("{CANARY}\n{CANARY}\n"),
        near_key.clone(),
        format!("# {CANARY}\n{near_key}\n"),
        format!("AGE-PLUGIN-{CANARY}-1QQQ"),
        STANDARD.encode(&near_key),
        STANDARD.encode(CANARY),
        pem.clone(),
        STANDARD.encode(pem),
        format!("ssh-ed25519 {CANARY}"),
    ];
    let mut ways = Vec::new();
    let mut way = |test: Test, line: &str| {
        ways.push((test, line.split(' ').map(str::to_owned).collect::<Vec<_>>()));
    };
    for (number, text) in wrong.iter().enumerate() {
        for name in ["AWS_VAULT_AGE_KEY", "AWS_VAULT_PASSPHRASE", "AWS_VAULT_FILE_PASSPHRASE"] {
            way(vault.clone().env(name, text), "list");
        }
        way(vault.clone().env("SOPS_AGE_KEY", text), "exec demo env");
        let name = format!("typed-{number}");
        let test = vault.clone().file(&name, text, 0o600);
        way(test.clone(), &format!("list -i {name}"));
        way(test.clone(), &format!("export demo --passphrase-file {name}"));
        way(test.clone(), &format!("--vault new.age init -R {name}"));
        way(test.clone(), &format!("--vault {name} list"));
        let open = test.env("AWS_VAULT_AGE_KEY", AGE_KEY).stdin(text);
        way(open.clone(), "add other --stdin");
        way(open.clone(), "import --from csv other");
        way(open.clone(), "import --from json other");
        way(vault.clone().stdin(text), "exec --json demo -i -");
        way(
            open.clone()
                .env("AWS_ACCESS_KEY_ID", format!("{text} !"))
                .env("AWS_SECRET_ACCESS_KEY", text),
            "add other --env",
        );
        way(
            open.clone().env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", "x y"),
            "add other --env",
        );
        // The AWS files hold secrets, and may be anything.
        let name = format!("config-{number}");
        let broken =
            open.clone().file(&name, format!("[profile x]\naws_secret_access_key {text}"), 0o600);
        let path = broken.home().join(&name);
        way(broken.clone().env("AWS_CONFIG_FILE", &path), "list");
        let plain = broken.clone().env("AWS_SHARED_CREDENTIALS_FILE", &path);
        way(plain, "import --from credentials");
        way(broken.clone().env("AWS_SHARED_CREDENTIALS_FILE", &path), "exec --json x");
        let name = format!("credentials-{number}");
        let half = format!("[x]\naws_secret_access_key = {}\n", text.replace('\n', ""));
        let half = open.clone().file(&name, half, 0o600);
        let path = half.home().join(&name);
        let half = half.env("AWS_SHARED_CREDENTIALS_FILE", path);
        way(half.clone(), "exec --json x");
        way(half, "import --from credentials --remove-source");
        // A helper that prints a secret, but not as it should.
        let script =
            format!("printf '%s' '{text}'; printf '{{\"Version\": 1, \"SecretAccessKey\"'");
        let name = format!("helper-{number}");
        let helper = open.file(&name, format!("#!/bin/sh\n{script}\n"), 0o755);
        let config =
            format!("[profile h]\ncredential_process = {}/{name}\n", helper.home().display());
        let helper = helper.file(&format!("h-{number}"), config, 0o600);
        let path = helper.home().join(format!("h-{number}"));
        way(helper.env("AWS_CONFIG_FILE", path), "exec --json h");
    }
    for json in [
        format!("{{\"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{CANARY}"),
        format!("{{\"AccessKeyId\": 7, \"SecretAccessKey\": \"{CANARY}{CANARY}\"}}"),
        format!("{{\"SecretAccessKey\": \"{CANARY}{CANARY}\"}}"),
        format!("{{\"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{CANARY} {CANARY}\"}}"),
        format!("Access key ID,Secret access key\n{CANARY}"),
        format!("Access key ID,Secret access key\n{CANARY}{CANARY},{ID}"),
        format!("a,b\n{ID},{CANARY}"),
    ] {
        way(vault.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY).stdin(json), "add other --stdin");
    }
    let open = vault.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    for flag in
        ["--", "-", "--secret=", "--mfa-token=", "--passphrase=", "--format=", "--duration="]
    {
        way(open.clone(), &format!("export demo {flag}{CANARY}"));
        way(open.clone(), &format!("exec --json demo {flag}{CANARY}"));
    }
    way(open.clone(), &format!("add demo {ID} {CANARY}"));
    way(open.clone(), &format!("exec --json -n -t {CANARY} demo extra"));
    way(open, &format!("exec -n demo -- ./nowhere --password={CANARY}"));
    ways
}

#[test]
fn no_message_holds_a_secret() {
    for (test, line) in wrong_ways(&vault()) {
        // `command` would take stdin away.
        let output = test.arg("--debug").args(&line).any_status().run();
        let shown = line.join(" ").replace(CANARY, "CANARY");
        says_nothing_of_it(&shown, &output.raw_stderr);
        says_nothing_of_it(&shown, &output.raw_stdout);
    }
}

#[test]
fn stdout_is_empty_on_failure() {
    let (vault, mut failed) = (vault(), 0);
    for (test, line) in wrong_ways(&vault) {
        let output = test.args(&line).any_status().run();
        if output.status == 0 {
            continue;
        }
        failed += 1;
        let shown = line.join(" ");
        // The table of an import is its result: each item, and what became of it.
        let table = output.stdout.lines().all(|row| row.contains("  failed: "));
        assert!(output.stdout.is_empty() || line[0] == "import" && table, "{}", output.stdout);
        let begin = |start: &str| output.stderr.lines().filter(|l| l.starts_with(start)).count();
        let said = (begin("vault: error: "), begin("vault: hint: "));
        assert!(said.0 == 1 && said.1 <= 1, "{shown}: {}", output.stderr);
    }
    // A few of the ways turn out to be right.
    assert!(failed > 150, "{failed}");
}

#[test]
fn what_succeeds_says_no_secret_on_stderr_even_with_debug() {
    let test = vault().env("AWS_VAULT_AGE_KEY", AGE_KEY).env("AGEDEBUG", "plugin");
    for line in [
        "list",
        "list --json",
        "recipient list",
        "pin",
        "explain demo",
        "exec -n --json demo",
        "export -n demo",
        "exec -n demo true",
        "add other --stdin --no-add-config",
        "remove -f demo",
    ] {
        let key =
            format!("{{\"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{CANARY}{CANARY}\"}}");
        let output = test.command(["--debug"]).args(line.split(' ')).stdin(key).run();
        says_nothing_of_it(line, &output.raw_stderr);
        if !line.contains("-n") {
            says_nothing_of_it(line, &output.raw_stdout);
        }
    }
}
