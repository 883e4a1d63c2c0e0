//! `cargo bench --bench fleet`: what a cold start of a fleet costs: 1, 10 and 100 hosts that need one session
//! with MFA at the same moment, with a store that they share, and without, as before there was one. Each host
//! is a process of its own in a home of its own; AWS is the strict stand-in of the tests, which takes no code
//! twice, and locks a device as AWS does. The store is SeaweedFS where `weed` is on PATH, otherwise the bucket
//! of the tests; both on this machine, so a real one adds its round trips.
//!
//! `got` is how many hosts got a session, `s` when the last one was done, `p50` half of them; `codes` and
//! `requests` are how many AWS and the store got. It takes two minutes, most of them for the vaults to join:
//! who races in SeaweedFS waits for a lock.

#[allow(unused_imports)] // each user takes its part
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::builder::Test;
use support::counted::Counted;
use support::scene;
use support::standin::bucket::{Bucket, Conditions};
use support::standin::client::make_bucket;
use support::weed::{self, Weed};

const HOSTS: [usize; 3] = [1, 10, 100];

/// Starts them all, and prints a line.
fn cold_start(name: &str, endpoint: &str, count: usize, shared: bool) {
    let (standin, counted) = (scene::sts(), Counted::start(endpoint));
    let hosts = scene::fleet(&standin, &counted.endpoint, count);
    counted.take();
    let run = |host: &Test| {
        let host = host.command(["exec", "--json", "mfa"]);
        let host = if shared { host } else { host.env("AWS_VAULT_SHARED", "off") };
        let start = Instant::now();
        (host.try_run().status, start.elapsed())
    };
    let mut done: Vec<(i32, Duration)> = std::thread::scope(|scope| {
        let runs: Vec<_> = hosts.iter().map(|host| scope.spawn(move || run(host))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    });
    done.sort_by_key(|(_, took)| *took);
    let got = done.iter().filter(|(status, _)| *status == 0).count();
    let seconds = |at: usize| done[at].1.as_secs_f64();
    let codes = standin.calls().len();
    let requests = counted.take();
    let mut kinds = BTreeMap::<&str, usize>::new();
    requests.iter().for_each(|request| *kinds.entry(request).or_default() += 1);
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!(
        "{name:<12}{count:>6}{got:>6}{:>8.2}{:>8.2}{codes:>7}{:>10}   {}",
        seconds(count - 1),
        seconds(count / 2),
        requests.len(),
        kinds.join(", ")
    );
}

fn main() {
    let place = Test::new();
    let bucket = Bucket::start(Conditions::Kept);
    let weed = weed::find().map(|_| Weed::start(place.home()));
    let name = if weed.is_some() { "SeaweedFS" } else { "stand-in" };
    let endpoint = weed.as_ref().map_or_else(|| bucket.endpoint(), |weed| weed.endpoint.clone());
    if weed.is_some() {
        make_bucket(&endpoint);
    }
    println!(
        "{:<12}{:>6}{:>6}{:>8}{:>8}{:>7}{:>10}   by kind",
        "store", "hosts", "got", "s", "p50", "codes", "requests"
    );
    for count in HOSTS {
        // The vault of each round is another one, and so are the names of its objects.
        cold_start(name, &endpoint, count, true);
    }
    for count in HOSTS {
        cold_start("none", &endpoint, count, false);
    }
}
