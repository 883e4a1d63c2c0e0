//! Stores of others: they judge signatures and conditions, and what `check` finds is what they are known for.

use serde_json::Value;

use crate::support::builder::Test;
use crate::support::moto::Moto;
use crate::support::scene;
use crate::support::standin::client::make_bucket;
use crate::support::weed::Weed;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

fn join(test: &Test, endpoint: &str) -> Test {
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store", "--endpoint", endpoint];
    // In SeaweedFS who races waits for a lock: half a minute, for which another program has the patience.
    test.command(words).under("env", [""; 0])
}

fn vault() -> Test {
    Test::new().vault_with("demo").stored("store", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
}

#[test]
#[ignore = "needs weed (.ci/requirements.txt)"]
fn seaweedfs_keeps_the_conditions() {
    let test = vault();
    let data = test.home().join("weed");
    std::fs::create_dir(&data).unwrap();
    let weed = Weed::start(&data);
    make_bucket(&weed.endpoint);
    let said = format!("Joined s3://fleet/vault at {}\n", weed.endpoint);
    join(&test, &weed.endpoint).expect_stdout(said).expect_stderr("").run();
    let status = test.command(["fleet", "status"]).expect_stderr("").run();
    assert!(status.stdout.contains("\ncopy         generation 4, of "), "{}", status.stdout);
    // Another key than the store's is not let in.
    test.stored("store", "AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
        .command(["fleet", "status"])
        .expect_error(
            9,
            "vault: error: s3://fleet/vault does not know the access key\n\
             vault: hint: it was deleted, is inactive, or is another store's\n",
        )
        .run();
}

/// moto checks a condition and writes without a lock: a race may show that, or not. In turn it keeps them.
#[test]
#[ignore = "needs moto (.ci/requirements.txt)"]
fn moto_keeps_the_conditions_in_turn() {
    let test = vault();
    let moto = Moto::start(test.home());
    make_bucket(&moto.endpoint);
    let joined = join(&test, &moto.endpoint).any_status().run();
    assert!([0, 6].contains(&joined.status), "{}", joined.stderr);
    if joined.status == 6 {
        assert!(joined.stderr.contains(" at once, one does, but it told "), "{}", joined.stderr);
        return;
    }
    let output = test.command(["fleet", "check", "--json"]).any_status().run();
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    for finding in &json["findings"].as_array().unwrap()[..4] {
        assert_eq!(finding["good"], true, "{finding}");
    }
}

/// The endpoint of a store that somebody has started; the bucket `fleet` is in it by now.
#[allow(clippy::disallowed_methods)] // how a test that is run by hand is told
pub fn in_environment() -> String {
    let endpoint = std::env::var("VAULT_TEST_S3").expect("VAULT_TEST_S3: the store's endpoint");
    make_bucket(&endpoint);
    endpoint
}

/// So was Ceph RGW 16 tried, by Debian's packages.
#[test]
#[ignore = "by hand: a store with the bucket's key, its endpoint in VAULT_TEST_S3 (Ceph RGW)"]
fn a_store_that_is_given_keeps_the_conditions() {
    let test = vault();
    scene::join(&test, &in_environment());
    let check = test.command(["fleet", "check"]).expect_stderr("").run();
    println!("{}", check.stdout);
}
