//! Hosts that start at once, in a real store: one makes the session, with one code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::engines::in_environment;
use crate::support::builder::{Output, Test};
use crate::support::counted::Counted;
use crate::support::scene::{self, another};
use crate::support::standin::client::make_bucket;
use crate::support::standin::{StandIn, User, World};
use crate::support::weed::Weed;
use crate::support::{AGE_KEY, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

/// How many hosts start.
const HOSTS: usize = 32;
/// How long the last one takes, from the start of the first.
const SOON: Duration = Duration::from_secs(10);
/// The key of the profile `ci`; the example key is the store's.
const ID: &str = "AKIAI44QH8DHBEXAMPLE";

/// All at the same moment.
pub fn at_once(hosts: &[Test], words: &[&str]) -> Vec<Output> {
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            hosts.iter().map(|host| scope.spawn(|| host.command(words).try_run())).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    })
}

/// A directory for a server's data below the home of a test.
fn weed(test: &Test) -> Weed {
    let data = test.home().join("weed");
    std::fs::create_dir(&data).unwrap();
    let weed = Weed::start(&data);
    make_bucket(&weed.endpoint);
    weed
}

/// So many cold hosts get one session that cost one code, within [`SOON`].
fn one_session(endpoint: &str) {
    let (standin, counted) = (scene::sts(), Counted::start(endpoint));
    let hosts = scene::fleet(&standin, &counted.endpoint, HOSTS);
    counted.take();
    let start = Instant::now();
    let outputs = at_once(&hosts, &["exec", "--json", "mfa"]);
    let took = start.elapsed();
    for output in &outputs {
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{}", scene::log(&standin));
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    let log = "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n";
    assert_eq!((scene::log(&standin).as_str(), standin.issued().len()), (log, 1));
    let mut requests = BTreeMap::<_, usize>::new();
    let all = counted.take();
    all.iter().for_each(|request| *requests.entry(request.clone()).or_default() += 1);
    println!("{HOSTS} hosts: {:.1} s, {} requests: {requests:?}", took.as_secs_f64(), all.len());
    // The next process of a host asks nobody.
    hosts[1].command(["exec", "--json", "mfa"]).expect_stdout(&outputs[0].stdout).run();
    assert!(counted.take().is_empty());
    assert!(took <= SOON, "{took:?}");
}

#[test]
#[ignore = "needs weed (.ci/requirements.txt)"]
fn thirty_two_hosts_make_one_session_with_one_code() {
    let place = Test::new();
    one_session(&weed(&place).endpoint);
}

#[test]
#[ignore = "by hand: a store with the bucket's key, its endpoint in VAULT_TEST_S3 (Ceph RGW)"]
fn the_same_in_a_store_that_is_given() {
    one_session(&in_environment());
}

fn robot(standin: &StandIn) -> Test {
    let test = Test::new().config("[profile ci]\n").env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.standin(standin).env("AWS_ENDPOINT_URL_IAM", standin.endpoint())
}

/// Two new keys and one that is replaced, from three hosts at once.
fn writers(endpoint: &str) {
    let robot_user = User::new("robot").key(ID, SECRET_ACCESS_KEY);
    let standin = StandIn::start(World::empty().user(robot_user));
    let first = robot(&standin).vault_with("demo").stored("ci", ID, SECRET_ACCESS_KEY);
    scene::join(&first, endpoint);
    let iam = standin.endpoint();
    let host = || another(&first).config("[profile ci]\n").standin(&standin);
    let hosts: Vec<_> = (0..3).map(|_| host().env("AWS_ENDPOINT_URL_IAM", &iam)).collect();
    let rotated = std::thread::scope(|scope| {
        for (name, host) in ["one", "two"].into_iter().zip(&hosts) {
            scope.spawn(move || host.clone().stored(name, ID, SECRET_ACCESS_KEY));
        }
        hosts[2].command(["rotate", "ci"]).try_run()
    });
    assert_eq!((rotated.status, rotated.stderr.as_str()), (0, ""), "{}", standin.log());
    for host in [&first].into_iter().chain(&hosts) {
        host.command(["fleet", "pull"]).expect_stderr("").run();
        let payload = payload_of(host.vault_file());
        let names: Vec<_> = payload.credential_names().collect();
        assert_eq!(names, ["ci", "demo", "one", "store", "two"]);
        let keys = standin.keys();
        assert_eq!(keys.len(), 1);
        assert_eq!(payload.access_key_id("ci"), Some(keys[0].id.as_str()));
        assert!(host.read(host.vault_file()) == first.read(first.vault_file()));
    }
    assert_eq!(standin.deleted_keys().iter().map(|key| &key.id).collect::<Vec<_>>(), [ID]);
}

#[test]
#[ignore = "needs weed (.ci/requirements.txt)"]
fn two_new_keys_and_a_rotation_at_once_lose_nothing() {
    let place = Test::new();
    writers(&weed(&place).endpoint);
}

#[test]
#[ignore = "by hand: a store with the bucket's key, its endpoint in VAULT_TEST_S3 (Ceph RGW)"]
fn nor_in_a_store_that_is_given() {
    writers(&in_environment());
}
