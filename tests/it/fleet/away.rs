//! Sessions and codes of hosts that share a store; what is said when it is away.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::{Bucket, Conditions, Test, join, scene};
use crate::support::standin::StandIn;
use crate::support::standin::bucket::Keep;
use crate::support::{AGE_KEY, MFA_SEED, MFA_SERIAL};
use crate::tls::TlsServer;

const WITHOUT: &str = "s3://fleet/vault refused GetObject: AccessDenied: AccessDenied";
const POLICY: &str = "allow s3:GetObject on arn:aws:s3:::fleet/vault/*, and s3:ListBucket on \
                      arn:aws:s3:::fleet: without that, AWS answers 403 for an object that is not there";

/// A host whose profile wants a code, in a fleet.
fn fleet(required: bool) -> (StandIn, Bucket, Test) {
    let standin = StandIn::demo();
    let (bucket, test) = scene(Conditions::Kept);
    let test = test.config(&format!("[profile demo]\nmfa_serial = {MFA_SERIAL}\n"));
    let test = test.standin(&standin).env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.command(["totp", "add", "demo", "--stdin"]).stdin(MFA_SEED).run();
    let join = join(&test, &bucket);
    if required {
        join.arg("--required").run()
    } else {
        join.run()
    };
    (standin, bucket, test)
}

/// Another host with a copy of this one's vault.
fn another(test: &Test, standin: &StandIn) -> Test {
    let bytes = test.read(test.vault_file());
    let config = format!("[profile demo]\nmfa_serial = {MFA_SERIAL}\n");
    let other = Test::new().config(&config).standin(standin).env("AWS_VAULT_AGE_KEY", AGE_KEY);
    other.file(".local/share/vault/vault.age", bytes, 0o600)
}

fn json(test: &Test) -> Test {
    test.command(["exec", "--json", "demo"])
}

#[test]
fn one_code_serves_two_hosts() {
    let (standin, _, test) = fleet(false);
    let first = json(&test).expect_stderr("").run();
    let second = json(&another(&test, &standin)).expect_stderr("").run();
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(standin.calls().len(), 1, "{}", standin.log());
}

#[test]
fn status_says_until_when_the_session_is_and_who_made_it() {
    let (_standin, _bucket, test) = fleet(false);
    let role =
        "[profile role]\nsource_profile = demo\nrole_arn = arn:aws:iam::123456789012:role/deploy\n";
    let test = test.config(&format!("[profile demo]\nmfa_serial = {MFA_SERIAL}\n{role}"));
    let status = |words: &[&str]| {
        let words = ["fleet", "status"].iter().chain(words);
        test.command(words).expect_stderr("").run().stdout
    };
    assert!(status(&[]).ends_with("\nsession      demo, role: none\n"), "{}", status(&[]));
    json(&test).run();
    let said = status(&[]);
    let (_, session) = said.split_once("\nsession      demo, role: until ").expect(&said);
    assert!(session.ends_with("Z, made with generation 5\n"), "{said}");
    let found: serde_json::Value = serde_json::from_str(&status(&["--json"])).unwrap();
    let mut session = found["sessions"][0].clone();
    assert!(session["ends"].take().is_string(), "{found}");
    assert_eq!(
        session,
        serde_json::json!({
            "profiles": ["demo", "role"], "ends": null, "generation": 5, "making": null, "damaged": false,
        })
    );
}

#[test]
fn a_code_that_one_host_prints_no_other_one_prints() {
    let (standin, bucket, test) = fleet(false);
    let hosts = [test.clone(), another(&test, &standin)];
    let print = |host: &Test| host.command(["totp", "code", "demo"]).expect_stderr("").run().stdout;
    let mut codes: Vec<_> = [0, 1, 0, 1].map(|host| print(&hosts[host])).into();
    let writes = bucket.log();
    let writes = writes.iter().filter(|it| it.starts_with("PUT vault/l/") && it.ends_with(": 200"));
    assert_eq!(writes.count(), 4);
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 4);
}

#[test]
fn without_the_store_a_host_goes_on_with_one_warning() {
    let (standin, bucket, test) = fleet(false);
    bucket.answer(403, "AccessDenied", "");
    let warning = format!(
        "vault: warning: going on without the fleet's store s3://fleet/vault: {WITHOUT}; {POLICY}\n"
    );
    let made = json(&test).expect_stderr(&warning).run();
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    assert_eq!(standin.calls().len(), 1, "{}", standin.log());
    // Nor does a session that is valid ask for the store.
    json(&test).expect_stdout(made.stdout).expect_stderr("").run();
    test.command(["totp", "code", "demo"]).expect_stderr(&warning).run();
}

#[test]
fn without_a_store_that_is_required_no_code_is_sent() {
    let (standin, bucket, test) = fleet(true);
    bucket.answer(403, "AccessDenied", "");
    let error = format!(
        "vault: error: no MFA code is sent without the fleet's store s3://fleet/vault: {WITHOUT}\n\
         vault: hint: {POLICY}\n"
    );
    json(&test).expect_error(9, &error).run();
    test.command(["totp", "code", "demo"]).expect_error(9, &error).run();
    assert_eq!(standin.calls().len(), 0, "{}", standin.log());
    bucket.answer_no_more();
    json(&test).expect_stderr("").run();
}

#[test]
fn a_store_that_never_answers_costs_three_seconds() {
    let (standin, _, test) = fleet(false);
    // Accepted by the system, and answered by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    let began = Instant::now();
    let made = json(&test)
        .env("AWS_VAULT_SHARED", "s3://fleet/silent")
        .env("AWS_ENDPOINT_URL_S3", format!("http://{place}"))
        .expect_stderr(format!(
            "vault: warning: going on without the fleet's store s3://fleet/silent: out of time: no answer \
             from {place}\n"
        ))
        .run();
    let took = began.elapsed();
    assert!((Duration::from_millis(2900)..Duration::from_millis(4500)).contains(&took), "{took:?}");
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    assert_eq!(standin.calls().len(), 1, "{}", standin.log());
}

#[test]
fn a_store_that_does_not_answer_the_new_session_costs_three_seconds_and_one_warning() {
    let (standin, bucket, test) = fleet(false);
    let place = bucket.endpoint();
    bucket.keep(4, Keep::AllFromThere);
    let (asked, began) = (bucket.log().len(), Instant::now());
    let warning = format!(
        "vault: warning: the new session is kept on this host only: it was not written to the \
         fleet's store s3://fleet/vault: out of time: no answer from {}\n",
        place.trim_start_matches("http://")
    );
    let made = json(&test).expect_stderr(warning).run();
    let took = began.elapsed();
    assert!((Duration::from_millis(2900)..Duration::from_millis(4500)).contains(&took), "{took:?}");
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    assert_eq!(standin.calls().len(), 1, "{}", standin.log());
    // Nor is it asked for a later vault then.
    let methods: Vec<_> = bucket.log()[asked..].iter().map(|line| line[..11].to_owned()).collect();
    assert_eq!(methods, ["GET vault/s", "PUT vault/s", "GET vault/l", "PUT vault/l"]);
    bucket.let_go();
}

/// A runner whose vault lies in the store, with a copy of it already.
fn runner(test: &Test, standin: &StandIn, bucket: &Bucket) -> Test {
    let pin = test.command(["pin"]).run().stdout.trim().to_owned();
    let runner = another(test, standin)
        .env("AWS_VAULT_FILE", "s3://fleet/vault")
        .env("AWS_VAULT_PIN", pin)
        .env("AWS_ACCESS_KEY_ID", crate::support::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", crate::support::SECRET_ACCESS_KEY)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL_S3", bucket.endpoint());
    runner.command(["list"]).expect_stderr("").run();
    runner
}

/// STS and the store are in two regions.
fn json_of(runner: &Test) -> Test {
    runner.command(["exec", "--json", "--region", "us-east-1", "demo"])
}

/// How often TOTP claims were written.
fn claim_writes(bucket: &Bucket) -> usize {
    let log = bucket.log();
    log.iter().filter(|it| it.starts_with("PUT vault/l/") && it.ends_with(": 200")).count()
}

#[test]
fn a_vault_that_is_not_in_its_store_leaves_the_store_in_use() {
    let (standin, bucket, test) = fleet(true);
    let runner = runner(&test, &standin, &bucket);
    bucket.remove("vault/vault.age");
    let warning = "vault: warning: no vault in s3://fleet/vault; its copy on this host is used\n";
    let made = json_of(&runner).expect_stderr(warning).run();
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    assert_eq!(claim_writes(&bucket), 1);
}

#[test]
fn a_vault_in_a_store_that_never_answers_costs_three_seconds_and_one_warning() {
    let (standin, bucket, test) = fleet(false);
    let runner = runner(&test, &standin, &bucket);
    bucket.keep(0, Keep::Undone);
    let place = bucket.endpoint();
    let place = place.trim_start_matches("http://");
    let warning = format!(
        "vault: warning: the store s3://fleet/vault: out of time: no answer from {place}; its copy on \
         this host is used\n"
    );
    let began = Instant::now();
    let made = json_of(&runner).expect_stderr(&warning).run();
    let took = began.elapsed();
    assert!((Duration::from_millis(2900)..Duration::from_millis(4500)).contains(&took), "{took:?}");
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    // What it answers after that is used.
    assert_eq!((standin.calls().len(), claim_writes(&bucket)), (1, 1), "{}", standin.log());
    bucket.let_go();
    // Nor is it waited for twice by a change, which it does not take.
    bucket.keep(0, Keep::Undone);
    let began = Instant::now();
    let refused =
        format!("{warning}vault: error: the store s3://fleet/vault gave no answer just now\n");
    runner.command(["remove", "-f", "store"]).expect_error(9, &refused).run();
    assert!(began.elapsed() < Duration::from_millis(4500), "{:?}", began.elapsed());
    bucket.let_go();
    // Who keeps out of it does not wait for it at all.
    bucket.keep(0, Keep::Undone);
    let off = json_of(&runner).env("AWS_VAULT_SHARED", "off").arg("--refresh");
    let (off, began) = (off.expect_stderr(""), Instant::now());
    assert!(off.run().stdout.contains("\"SessionToken\""));
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    assert!(!bucket.is_kept());
}

/// The host's own credentials for the store come from a service that hangs.
#[test]
fn a_metadata_service_that_never_answers_costs_no_more() {
    let (standin, _, test) = fleet(false);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    test.command(["fleet", "leave"]).run();
    let bucket = Bucket::start(Conditions::Kept);
    let words = ["fleet", "join", "s3://fleet/vault", "--credentials", "ambient", "--endpoint"];
    test.command(words)
        .arg(bucket.endpoint())
        .env("AWS_ACCESS_KEY_ID", crate::support::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", crate::support::SECRET_ACCESS_KEY)
        .env("AWS_REGION", "eu-central-1")
        .run();
    let began = Instant::now();
    let made = json(&test)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{place}"))
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .run();
    let took = began.elapsed();
    assert!(took < Duration::from_millis(4500), "{took:?}");
    let warning = "vault: warning: going on without the fleet's store s3://fleet/vault: ";
    assert!(made.stderr.starts_with(warning), "{}", made.stderr);
    assert_eq!(made.stderr.lines().count(), 1, "{}", made.stderr);
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    assert_eq!(standin.calls().len(), 1, "{}", standin.log());
}

#[test]
#[ignore = "needs python3 and openssl"]
fn a_store_whose_tls_is_intercepted_is_left_with_a_warning() {
    let (_standin, bucket, test) = fleet(false);
    let port = bucket.endpoint().rsplit(':').next().expect("a port").parse().expect("a number");
    let server = TlsServer::before_port(port, false);
    let test = test.env("AWS_VAULT_SHARED", "s3://fleet/other");
    let test = test.env("AWS_ENDPOINT_URL_S3", server.url("localhost"));
    let asked = bucket.log().len();
    let made = json(&test).run();
    let warning = format!(
        "vault: warning: going on without the fleet's store s3://fleet/other: the certificate of \
         localhost:{} is signed by none of the roots in ",
        server.port
    );
    assert!(made.stderr.starts_with(&warning), "{}", made.stderr);
    assert_eq!(made.stderr.lines().count(), 1, "{}", made.stderr);
    assert!(made.stdout.contains("\"SessionToken\""), "{}", made.stdout);
    assert_eq!(bucket.log().len(), asked);
}
