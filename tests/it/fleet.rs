//! `vault fleet`: the store that hosts share. The bucket verifies signatures, and its log is the witness.

mod away;
mod engines;
mod hosts;
mod killed;

use serde_json::{Value, json};

use crate::support::builder::Test;
use crate::support::standin::bucket::{Bucket, Conditions};
use crate::support::standin::{StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

const PLACE: &str = "s3://fleet/vault at http://127.0.0.1:[STORE]";

/// A vault with the bucket's key as that of the profile `store`.
fn scene(conditions: Conditions) -> (Bucket, Test) {
    let bucket = Bucket::start(conditions);
    (bucket, Test::new().vault_with("demo").stored("store", ACCESS_KEY_ID, SECRET_ACCESS_KEY))
}

fn join(test: &Test, bucket: &Bucket) -> Test {
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store", "--region"];
    test.command(words).args(["eu-central-1", "--endpoint", &bucket.endpoint()])
}

/// The bucket's place in what is expected.
fn at(text: &str, bucket: &Bucket) -> String {
    text.replace("http://127.0.0.1:[STORE]", &bucket.endpoint())
}

/// A vault whose hosts share a store.
pub fn joined() -> (Bucket, Test) {
    let (bucket, test) = scene(Conditions::Kept);
    join(&test, &bucket).run();
    (bucket, test)
}

#[test]
fn join_checks_the_store_and_writes_it_into_the_vault() {
    let (bucket, test) = scene(Conditions::Kept);
    let before = payload_of(test.vault_file()).generation();
    let said = at(&format!("Joined {PLACE}\n"), &bucket);
    join(&test, &bucket).arg("--required").expect_stdout(said).expect_stderr("").run();
    let payload = payload_of(test.vault_file());
    let fleet = payload.fleet().expect("a fleet");
    assert_eq!(fleet.store.to_string(), "s3://fleet/vault");
    assert_eq!((fleet.region.as_str(), fleet.endpoint), ("eu-central-1", Some(bucket.endpoint())));
    assert_eq!((fleet.profile.as_deref(), fleet.required), (Some("store"), true));
    assert_eq!(payload.generation(), before + 1);
    let (copy, names): (Vec<_>, Vec<_>) =
        bucket.names().into_iter().partition(|name| name == "vault/vault.age");
    assert_eq!((copy.len(), names.len()), (1, 10), "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("vault/c/")), "{names:?}");
    for name in names {
        assert!(!name.contains("demo") && !name.contains("store"), "{name}");
    }
}

#[test]
fn joining_a_store_that_another_host_uses_says_to_take_its_file() {
    let (bucket, test) = scene(Conditions::Kept);
    let before = test.read(test.vault_file());
    join(&test, &bucket).run();
    let other = Test::new().file(".local/share/vault/vault.age", &before, 0o600);
    let other = other.env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let since = bucket.log().len();
    join(&other, &bucket)
        .expect_error(
            6,
            "vault: error: s3://fleet/vault has a vault already, which is not \
             [HOME]/.local/share/vault/vault.age; nothing was changed\n\
             vault: hint: if another host of this vault has joined, copy its file to \
             [HOME]/.local/share/vault/vault.age: then this host shares the store, too; else name \
             another prefix\n",
        )
        .run();
    assert_eq!(other.read(other.vault_file()), before);
    assert_eq!(bucket.log()[since..], ["GET vault/vault.age: 200"]);
    // Who has joined may say it again, and otherwise.
    join(&test, &bucket).arg("--required").expect_stderr("").run();
    assert!(payload_of(test.vault_file()).fleet().expect("a fleet").required);
}

#[test]
fn a_store_that_ignores_conditions_is_refused_and_nothing_is_written() {
    let (bucket, test) = scene(Conditions::Ignored);
    let before = test.read(test.vault_file());
    join(&test, &bucket)
        .expect_error(
            6,
            "vault: error: s3://fleet/vault does not support conditional writes: If-None-Match: * \
             replaces no object, but it did\n\
             vault: hint: hosts that share it would send codes twice: use another store, or a later \
             version\n",
        )
        .run();
    assert_eq!(test.read(test.vault_file()), before);
}

#[test]
fn a_store_that_checks_without_a_lock_is_refused_by_a_race() {
    let (bucket, test) = scene(Conditions::Raced);
    let output = join(&test, &bucket).expect_status(6).expect_stdout("").run();
    let fault = "does not support conditional writes: of many that create one object at once, one does, but it told ";
    assert!(output.stderr.contains(fault), "{}", output.stderr);
}

#[test]
fn check_says_what_was_tried() {
    let (bucket, test) = joined();
    let good = at(
        &format!(
            "{PLACE}\n\
             good  If-None-Match: * replaces no object\n\
             good  If-Match replaces no other version\n\
             good  If-Match creates no object\n\
             good  a read gives what was written last\n\
             good  of many that create one object at once, one does\n\
             good  of many that replace one version at once, one does\n"
        ),
        &bucket,
    );
    let output = test.command(["fleet", "check"]).expect_stderr("").run();
    let (said, clock) = output.stdout.split_at(good.len());
    assert_eq!(said, good);
    assert!(clock.starts_with("clock the store's clock is "), "{clock}");
    let output = test.command(["fleet", "check", "--json"]).expect_stderr("").run();
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&json["good"], &json["store"]), (&json!(true), &json!("s3://fleet/vault")));
    assert_eq!(json["findings"].as_array().unwrap().len(), 6);
    let first = json!({ "tried": "create-existing", "good": true, "fault": null });
    assert_eq!(json["findings"][0], first);
}

#[test]
fn a_clock_that_is_off_is_reported_and_the_request_signed_again() {
    let (bucket, test) = joined();
    bucket.move_clock(7200);
    let output = test.command(["fleet", "check"]).run();
    let warning = "vault: warning: the store's clock is 7";
    assert!(output.stderr.starts_with(warning), "{}", output.stderr);
    assert!(output.stderr.ends_with(" s ahead of this host's; claims are judged by the store's\n"));
    assert!(bucket.log().iter().any(|line| line.ends_with(": 403")), "signed once more");
}

#[test]
fn status_says_where_by_whose_key_and_what_is_there() {
    let (bucket, test) = joined();
    let said = format!(
        "store        {PLACE}\n\
         credentials  the vault's key for profile \"store\"\n\
         required     no\n\
         generation   4 here\n\
         copy         generation 4, of "
    );
    let output = test.command(["fleet", "status"]).expect_stderr("").run();
    assert!(output.stdout.starts_with(&at(&said, &bucket)), "{}", output.stdout);
    let output = test.command(["fleet", "status", "--json"]).run();
    let mut json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(json["copy"]["modified"].take().is_string());
    assert_eq!(
        json,
        json!({
            "store": "s3://fleet/vault", "region": "eu-central-1", "endpoint": bucket.endpoint(),
            "profile": "store", "required": false, "generation": 4,
            "copy": { "modified": null, "generation": 4, "fault": null }, "sessions": [],
        })
    );
}

#[test]
fn status_says_which_copy_is_the_later_one_or_that_none_takes_the_stores() {
    let (bucket, test) = joined();
    let copy = |test: &Test| {
        let output = test.command(["fleet", "status"]).expect_status(0).run();
        let line = output.stdout.lines().find(|line| line.starts_with("copy")).expect("a line");
        let (before, rest) = line.split_once(", of ").expect(line);
        (before.to_owned(), rest[20..].to_owned(), output.stderr)
    };
    let here = test.read(test.vault_file());
    test.command(["remove", "-f", "demo"]).run();
    let other = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let other = other.file(".local/share/vault/vault.age", here, 0o600);
    let later = ("copy         generation 5".to_owned(), String::new(), String::new());
    assert_eq!(copy(&other), later);
    bucket.put_back("vault/vault.age", b"no vault");
    let (before, fault, note) = copy(&other);
    assert_eq!(before, "copy         not taken");
    assert!(fault.starts_with(": the vault's copy in s3://fleet/vault: "), "{fault}");
    assert!(note.contains("remove s3://fleet/vault/vault.age: then vault fleet pull"), "{note}");
}

#[test]
fn replacing_the_stores_key_by_join_reports_nothing_of_the_old_one() {
    let (bucket, test) = joined();
    let test = test.stored("store", ACCESS_KEY_ID, "0000000000000000000000000000000000000000");
    let output = test.command(["fleet", "status"]).expect_status(9).run();
    assert!(output.stderr.contains("refused the signature"), "{}", output.stderr);
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "demo", "--region"];
    let join = test.command(words).args(["eu-central-1", "--endpoint", &bucket.endpoint()]);
    join.expect_stderr("").run();
}

#[test]
fn leave_takes_it_out_of_the_vault() {
    let (bucket, test) = joined();
    let said = at(&format!("Left {PLACE}\n"), &bucket);
    test.command(["fleet", "leave"]).expect_stdout(said).expect_stderr("").run();
    assert_eq!(payload_of(test.vault_file()).fleet(), None);
    let none = "vault: error: this vault has no shared store\n\
                vault: hint: vault fleet join s3://BUCKET/PREFIX\n";
    for word in ["leave", "status", "check"] {
        test.command(["fleet", word]).expect_error(3, none).run();
    }
}

#[test]
fn leaving_without_the_store_warns_that_the_others_do_not() {
    let (bucket, test) = joined();
    bucket.answer(403, "AccessDenied", "");
    let warning = "vault: warning: the store s3://fleet/vault: s3://fleet/vault refused GetObject: \
                   AccessDenied: AccessDenied; the vault is saved on this host only, and the other hosts \
                   share the store until they have this file\n";
    test.command(["fleet", "leave"]).expect_stderr(warning).run();
}

#[test]
fn joining_another_store_without_the_old_one_warns_that_the_others_do_not() {
    let (old, test) = joined();
    old.answer(403, "AccessDenied", "");
    let new = Bucket::start(Conditions::Kept);
    let warning = "vault: warning: the store s3://fleet/vault: s3://fleet/vault refused GetObject: \
                   AccessDenied: AccessDenied; the other hosts share that store until they have this \
                   file\n";
    join(&test, &new)
        .expect_stdout(at(&format!("Joined {PLACE}\n"), &new))
        .expect_stderr(warning)
        .run();
    assert_eq!(new.read("vault/vault.age"), test.read(".local/share/vault/vault.age"));
    // By the same name, it may also have another vault already.
    let other = Bucket::start(Conditions::Kept);
    other.put_back("vault/vault.age", b"another");
    let refused = "vault: error: s3://fleet/vault has a vault already, which is not \
                   [HOME]/.local/share/vault/vault.age; nothing was changed\n\
                   vault: hint: if another host of this vault has joined, copy its file to \
                   [HOME]/.local/share/vault/vault.age: then this host shares the store, too; else name \
                   another prefix\n";
    let before = test.read(".local/share/vault/vault.age");
    join(&test, &other).expect_error(6, refused).run();
    assert_eq!(test.read(".local/share/vault/vault.age"), before);
}

#[test]
fn one_host_stays_out_or_goes_elsewhere_by_a_variable() {
    let (_, test) = joined();
    let status = |value: &str| test.command(["fleet", "status"]).env("AWS_VAULT_SHARED", value);
    status("off")
        .expect_error(3, "vault: error: this host shares nothing: AWS_VAULT_SHARED is off\n")
        .run();
    for value in ["", "on", "https://fleet"] {
        let bad = "vault: error: AWS_VAULT_SHARED is neither off nor s3://BUCKET/PREFIX\n\
                   vault: hint: unset it to share the store that the vault names, or say off\n";
        status(value).expect_error(2, bad).run();
    }
    let other = Bucket::start(Conditions::Kept);
    let output = status("s3://fleet/other")
        .env("AWS_ENDPOINT_URL_S3", other.endpoint())
        .env("AWS_REGION", "eu-central-1")
        .run();
    assert!(
        output
            .stdout
            .starts_with(&format!("store        s3://fleet/other at {}\n", other.endpoint()))
    );
    assert_eq!(other.log(), ["GET other/vault.age: 404"]);
}

#[test]
fn what_join_is_given_is_looked_at_first() {
    let (bucket, test) = scene(Conditions::Kept);
    for url in ["fleet", "s3://FLEET", "https://fleet"] {
        let bad = "vault: error: the store is not an S3 URL\n\
                   vault: hint: it looks like s3://BUCKET/PREFIX: a bucket has 3 to 63 characters of a-z, \
                   0-9, . and -, a prefix letters, digits and ._-/ only\n";
        test.command(["fleet", "join", url]).expect_error(2, bad).run();
    }
    test.command(["fleet", "join", "s3://fleet/vault", "--profile", "nobody"])
        .expect_error(
            3,
            "vault: error: no key for profile \"nobody\", the store's, in the vault\n\
             vault: hint: vault add nobody\n",
        )
        .run();
    test.command([
        "fleet",
        "join",
        "s3://fleet/vault",
        "--profile",
        "store",
        "--endpoint",
        "ceph:80",
    ])
    .expect_error(
        2,
        "vault: error: the endpoint URL for S3 is not an http or https URL: ceph:80\n\
             vault: hint: it looks like https://s3.eu-central-1.amazonaws.com\n",
    )
    .run();
    test.command(["fleet", "join", "s3://fleet/vault", "--profile", "store"])
        .args(["--endpoint", "http://127.0.0.1:1/x?y"])
        .expect_error(
            2,
            "vault: error: the endpoint URL for S3 has a query or a fragment\n\
             vault: hint: name the server only: bucket and prefix are in the s3:// URL\n",
        )
        .run();
    test.command(["fleet", "join", "s3://fleet/vault"])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .expect_error(
            3,
            "vault: error: this host has no credentials of its own for the store\n\
             vault: hint: a web identity, a container's or an instance's role, or AWS_ACCESS_KEY_ID\n",
        )
        .run();
    assert!(bucket.log().is_empty());
}

#[test]
fn a_refusal_of_the_store_is_an_error_with_what_to_do() {
    let (bucket, test) = scene(Conditions::Kept);
    bucket.answer(403, "AccessDenied", "");
    join(&test, &bucket)
        .expect_error(
            9,
            "vault: error: s3://fleet/vault refused GetObject: AccessDenied: AccessDenied\n\
             vault: hint: allow s3:GetObject on arn:aws:s3:::fleet/vault/*, and s3:ListBucket on \
             arn:aws:s3:::fleet: without that, AWS answers 403 for an object that is not there\n",
        )
        .run();
    bucket.answer(301, "PermanentRedirect", "x-amz-bucket-region: us-west-2\r\n");
    join(&test, &bucket)
        .expect_error(
            9,
            "vault: error: the bucket fleet is in the region us-west-2, not in eu-central-1\n\
             vault: hint: join again with --region us-west-2\n",
        )
        .run();
    bucket.answer(503, "SlowDown", "");
    join(&test, &bucket)
        .expect_error(
            9,
            "vault: error: s3://fleet/vault failed (HTTP 503, SlowDown)\n\
             vault: hint: try again later\n",
        )
        .run();
}

#[test]
fn a_missing_store_is_an_error() {
    let (_, test) = scene(Conditions::Kept);
    let join = |endpoint: &str| {
        let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store", "--endpoint"];
        test.command(words).arg(endpoint)
    };
    join("http://127.0.0.1:1")
        .expect_error(9, "vault: error: 127.0.0.1:1 refused the connection\n")
        .run();
    join("https://store.invalid")
        .expect_error(
            9,
            "vault: error: no address found for store.invalid\n\
             vault: hint: check region, endpoint_url and this host's DNS\n",
        )
        .run();
    assert_eq!(payload_of(test.vault_file()).fleet(), None);
}

#[test]
fn a_host_s_own_credentials_reach_the_store() {
    let (bucket, test) = scene(Conditions::Kept);
    let test = test
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_ENDPOINT_URL_S3", bucket.endpoint())
        .env("AWS_REGION", "eu-central-1");
    let said = at(&format!("Joined {PLACE}\n"), &bucket);
    test.command(["fleet", "join", "s3://fleet/vault", "--credentials", "ambient"])
        .expect_stdout(said)
        .run();
    let fleet = payload_of(test.vault_file()).fleet().unwrap();
    assert_eq!(fleet.profile, None);
    let output = test.command(["fleet", "status"]).run();
    assert!(output.stdout.contains("\ncredentials  each host's own\n"), "{}", output.stdout);
}

#[test]
fn the_store_s_key_reaches_no_child_and_no_log() {
    const ID: &str = "AKIAI44QH8DHBEXAMPLE";
    const SECRET: &str = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";
    let standin = StandIn::start(World::empty().user(User::new("demo").key(ID, SECRET)));
    let (bucket, test) = scene(Conditions::Kept);
    let test = test.stored("demo", ID, SECRET).standin(&standin);
    join(&test, &bucket).run();
    let words = ["exec", "--debug", "demo", "--", "/usr/bin/env"];
    let output = test.command(words).run();
    assert!(output.stdout.contains("AWS_ACCESS_KEY_ID="), "{}", output.stdout);
    let debug = test.command(["fleet", "status", "--debug"]).run();
    assert!(debug.stderr.contains("GetObject vault.age at 127.0.0.1:"), "{}", debug.stderr);
    for text in [output.stdout, output.stderr, debug.stdout, debug.stderr] {
        assert!(!text.contains(SECRET_ACCESS_KEY) && !text.contains(ACCESS_KEY_ID), "{text}");
    }
    // Nor does a key of the host's own, by which it reaches a store, reach a program that gives credentials.
    let script = "#!/bin/sh\nenv >env\necho '{\"Version\": 1, \"AccessKeyId\": \"AKIAI44QH8DHBEXAMPLE\", \
                  \"SecretAccessKey\": \"je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY\"}'\n";
    let program = test.home().join("program");
    let config = format!("[profile other]\ncredential_process = {}\n", program.display());
    let pin = test.command(["pin"]).run().stdout.trim().to_owned();
    let test = test.file("program", script, 0o755).config(&config);
    let exec = test.command(["exec", "--json", "-n", "other"]);
    let exec = exec
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    let seen = || String::from_utf8(test.read("env")).unwrap();
    exec.clone().run();
    assert!(seen().contains(SECRET_ACCESS_KEY), "it is nobody's but the user's");
    let exec = exec.env("AWS_VAULT_FILE", "s3://fleet/vault").env("AWS_VAULT_PIN", pin);
    exec.env("AWS_ENDPOINT_URL_S3", bucket.endpoint()).env("AWS_REGION", "eu-central-1").run();
    assert!(!seen().contains(SECRET_ACCESS_KEY) && !seen().contains(ACCESS_KEY_ID), "{}", seen());
}

#[test]
fn a_host_that_has_not_joined_asks_no_store() {
    let standin = StandIn::demo();
    let bucket = Bucket::start(Conditions::Kept);
    let test = Test::new().vault_with("demo").standin(&standin);
    let test = test.env("AWS_ENDPOINT_URL_S3", bucket.endpoint());
    test.command(["exec", "--json", "demo"]).run();
    assert!(bucket.log().is_empty());
}
