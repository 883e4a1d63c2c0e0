//! Two hosts on two networks, AWS and a store on both; the store is cut off from one of them, and comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use super::STS;
use crate::support::builder::Test;
use crate::support::docker::{Engine, Left, Network, STS as AWS, VAULT, docker, until};
use crate::support::standin::client::make_bucket;
use crate::support::{
    ACCESS_KEY_ID, AGE_KEY, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY, scene, weed,
};

/// How long anybody waits for credentials: 3 s for a store that cannot be reached, and what a busy machine adds. A
/// code whose time is yet to come adds half a minute.
const SOON: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(45);
const STORE: &str = "http://store:8333";

/// A host: a directory on the disk for its vault and its cache, and its network.
struct Host {
    home: Test,
    network: String,
}

impl Host {
    fn run(&self, engine: &Engine, words: &[&str]) -> Left {
        let home = self.home.home().display();
        let options = [
            format!("--network={}", self.network),
            "--read-only".to_owned(),
            "--user=0:0".to_owned(),
            format!("-v={home}:/host"),
            "-eHOME=/host".to_owned(),
            "-eAWS_VAULT_CACHE_DIR=/host/cache".to_owned(),
            format!("-eAWS_VAULT_AGE_KEY={AGE_KEY}"),
            format!("-eAWS_ENDPOINT_URL_STS={AWS}"),
            "-eAWS_REGION=us-east-1".to_owned(),
        ];
        engine.run(&options, VAULT, words)
    }

    /// Forgets its session, and gets one within this time; what it warns of.
    #[track_caller]
    fn cold(&self, engine: &Engine, within: Duration) -> (String, String) {
        let cleared = self.run(engine, &["clear"]);
        assert_eq!(cleared.status, 0, "{}", cleared.stderr);
        let start = Instant::now();
        let left = self.run(engine, &["exec", "--json", "mfa"]);
        let took = start.elapsed();
        assert_eq!(left.status, 0, "{}", left.stderr);
        assert!(left.stdout.starts_with("{\"AccessKeyId\":\"ASIA"), "{}", left.stdout);
        assert!(took <= within, "{took:?}: {}", left.stderr);
        println!("{:.1} s {}", took.as_secs_f64(), left.stderr);
        (left.stdout, left.stderr)
    }
}

/// SeaweedFS in a container called `store`, with the bucket; its id.
fn store(engine: &Engine) -> String {
    let program = weed::program();
    let identities = engine.file("weed/weed.json", weed::identities());
    let options = [
        format!("-v={}:/weed:ro", program.display()),
        format!("-v={}:/weed.json:ro", Path::new(&identities).display()),
        "--tmpfs=/data".to_owned(),
        "--tmpfs=/tmp".to_owned(),
        "--user=0:0".to_owned(),
        "--entrypoint=/weed".to_owned(),
    ];
    let mut words = vec!["server", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-dir=/data"];
    words.extend(weed::LITTLE);
    words.extend(["-s3.config=/weed.json", "-s3.port=8333"]);
    let id = engine.start("store", &options, VAULT, &words);
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(["inspect", "--format", address, &id]).stdout;
    let endpoint = format!("{}:8333", address.trim());
    until("the store answers", || weed::answers(&endpoint));
    make_bucket(&format!("http://{endpoint}"));
    id
}

/// Two hosts with one vault, the second one in another network.
fn hosts(engine: &Engine, beside: &Network) -> [Host; 2] {
    let made = Test::new().vault_with("demo").stored("store", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    made.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let host = |from: &Test, network: &str| Host {
        home: scene::another(from).config(scene::PROFILES),
        network: network.to_owned(),
    };
    let first = host(&made, engine.network());
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store", "--endpoint", STORE];
    let joined = first.run(engine, &words);
    assert_eq!((joined.status, joined.stderr.as_str()), (0, ""));
    let second = host(&first.home, &beside.0);
    [first, second]
}

#[test]
#[ignore = "needs docker, the images of docker/images and weed (.ci/requirements.txt)"]
fn a_store_that_is_cut_off_and_comes_back_blocks_no_host() {
    let name = format!("vault-test-{}", std::process::id());
    let beside = Network::new(&name);
    let engine = Engine::new();
    let sts = engine.sts(STS);
    let id = store(&engine);
    beside.connect("sts", &sts.id);
    beside.connect("store", &id);
    let [here, there] = hosts(&engine, &beside);

    // One session for both. The second host makes it, so that it knows the code's step when it is alone.
    let (session, warned) = there.cold(&engine, SOON);
    assert_eq!(warned, "");
    assert_eq!(here.cold(&engine, SOON), (session.clone(), String::new()));
    assert_eq!(sts.calls().len(), 1, "{:?}", sts.calls());

    // Gone for one of them: it says so once and sends a code of its own. The other one notices nothing.
    let away = "vault: warning: going on without the fleet's store s3://fleet/vault: ";
    beside.disconnect(&id);
    let (alone, warned) = there.cold(&engine, LATE);
    assert!(warned.starts_with(away) && warned.lines().count() == 1, "{warned}");
    assert_ne!(alone, session);
    assert_eq!(here.cold(&engine, SOON), (session.clone(), String::new()));

    // Back: the session of all.
    beside.connect("store", &id);
    assert_eq!(there.cold(&engine, SOON), (session.clone(), String::new()));

    // There, but silent.
    docker(["pause", &id]);
    let (_, warned) = there.cold(&engine, LATE);
    assert!(warned.starts_with(away) && warned.lines().count() == 1, "{warned}");
    docker(["unpause", &id]);
    assert_eq!(there.cold(&engine, SOON), (session, String::new()));

    // AWS took every code, so none came twice.
    let calls = sts.calls();
    assert!(calls.len() == 3 && calls.iter().all(|call| call.ends_with(": ok")), "{calls:?}");
}
