//! The vault follows: what one host of a fleet writes, the others pull, and no key is lost.

mod removed;
mod rotated;
mod url;

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::standin::bucket::{Bucket, Conditions, Keep};
use crate::support::standin::{StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

/// The key of the profile `ci`; the example key is the store's.
const ID: &str = "AKIAI44QH8DHBEXAMPLE";
const SOON: Duration = Duration::from_secs(10);
const COPY: &str = "vault/vault.age";

/// An account with a user, a bucket, and a host whose vault is in it.
struct Scene {
    standin: StandIn,
    bucket: Bucket,
    first: Test,
}

fn host(standin: &StandIn) -> Test {
    let test = Test::new().config("[profile ci]\n").env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.standin(standin).env("AWS_ENDPOINT_URL_IAM", standin.endpoint())
}

impl Scene {
    fn new() -> Self {
        let robot = User::new("robot").key(ID, SECRET_ACCESS_KEY);
        let standin = StandIn::start(World::empty().user(robot));
        let bucket = Bucket::start(Conditions::Kept);
        let first = host(&standin).vault_with("store").stored("ci", ID, SECRET_ACCESS_KEY);
        let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store"];
        let join = first.command(words).args(["--region", "eu-central-1"]);
        join.args(["--endpoint", &bucket.endpoint()]).expect_stderr("").run();
        Self { standin, bucket, first }
    }

    /// Another host with a copy of the first one's vault.
    fn another(&self) -> Test {
        let other = host(&self.standin);
        let bytes = self.first.read(self.first.vault_file());
        other.file(".local/share/vault/vault.age", bytes, 0o600)
    }

    fn down(&self) {
        self.bucket.answer(403, "AccessDenied", "");
    }
}

fn pull(test: &Test) -> Test {
    test.command(["fleet", "pull"])
}

fn vault(test: &Test) -> Vec<u8> {
    test.read(test.vault_file())
}

fn names(test: &Test) -> Vec<String> {
    payload_of(test.vault_file()).credential_names().map(str::to_owned).collect()
}

#[test]
fn what_one_host_adds_the_others_pull() {
    let scene = Scene::new();
    let (first, other) = (&scene.first, scene.another());
    assert_eq!(vault(first), scene.bucket.read(COPY), "joining puts it there");
    let said = "Nothing to pull: generation 4 of the vault is the latest\n";
    pull(&other).expect_stdout(said).expect_stderr("").run();
    first.clone().stored("prod", ID, SECRET_ACCESS_KEY);
    assert_eq!(vault(first), scene.bucket.read(COPY));
    pull(&other).expect_stdout("Pulled generation 5 of the vault\n").expect_stderr("").run();
    assert_eq!(vault(&other), vault(first));
    // And the other way round, without a pull before.
    first.clone().stored("one", ID, SECRET_ACCESS_KEY);
    other.clone().stored("two", ID, SECRET_ACCESS_KEY);
    pull(first).expect_stdout("Pulled generation 7 of the vault\n").run();
    assert_eq!(names(first), ["ci", "one", "prod", "store", "two"]);
}

#[test]
fn a_call_to_aws_asks_the_store_too_and_a_cached_session_asks_neither() {
    let scene = Scene::new();
    let other = scene.another();
    other.command(["exec", "--json", "ci"]).expect_stderr("").run();
    assert_eq!(scene.bucket.log().last().unwrap(), &format!("GET {COPY}: 200"));
    let requests = scene.bucket.log().len();
    scene.first.clone().stored("prod", ID, SECRET_ACCESS_KEY);
    let written = scene.bucket.log().len();
    assert_eq!(written, requests + 2);
    other.command(["exec", "--json", "ci"]).run();
    assert_eq!((scene.bucket.log().len(), names(&other)), (written, names_before()));
    other.command(["exec", "--json", "--refresh", "ci"]).expect_stderr("").run();
    assert_eq!(vault(&other), vault(&scene.first));
    // The store cannot be reached: credentials all the same, and nothing is said of it.
    scene.down();
    other.command(["exec", "--json", "--refresh", "ci"]).expect_stderr("").run();
}

#[test]
fn a_session_that_another_host_made_with_a_later_vault_is_followed() {
    let scene = removed::scene(false);
    let (first, other) = (&scene.first, removed::another(&scene));
    first.clone().stored("prod", ID, SECRET_ACCESS_KEY);
    first.command(["exec", "--json", "ci"]).expect_stderr("").run();
    let (calls, mine) = (scene.standin.calls().len(), scene.bucket.log().len());
    other.command(["exec", "--json", "ci"]).expect_stderr("").run();
    assert_eq!(scene.standin.calls().len(), calls, "AWS was not asked: {}", scene.standin.log());
    assert_eq!(vault(&other), vault(first));
    let log = scene.bucket.log().split_off(mine);
    assert!(
        log[0].starts_with("GET vault/s/") && log[1..] == [format!("GET {COPY}: 200")],
        "{log:?}"
    );
}

fn names_before() -> Vec<String> {
    ["ci", "store"].map(str::to_owned).to_vec()
}

#[test]
fn hosts_that_write_at_once_lose_nothing() {
    let scene = Scene::new();
    let hosts: Vec<Test> = (0..4).map(|_| scene.another()).collect();
    std::thread::scope(|scope| {
        for (number, host) in hosts.iter().enumerate() {
            scope.spawn(move || {
                for again in ["a", "b", "c"] {
                    let host = host.clone();
                    host.stored(&format!("{again}{number}"), ID, SECRET_ACCESS_KEY);
                }
            });
        }
    });
    pull(&scene.first).run();
    assert_eq!(names(&scene.first).len(), 2 + 12);
    for host in &hosts {
        pull(host).run();
        assert_eq!(vault(host), vault(&scene.first));
    }
}

const DENIED: &str = "vault: warning: the store s3://fleet/vault: ";
const HERE_ONLY: &str = "; the vault is saved on this host only, and goes to the store with the next \
                         change or by vault fleet pull\n";

#[test]
fn with_the_store_away_a_change_is_saved_here_and_goes_there_later() {
    let scene = Scene::new();
    let other = scene.another();
    scene.down();
    let removed = scene.first.command(["remove", "-f", "ci"]).run();
    assert!(removed.stderr.starts_with(DENIED), "{}", removed.stderr);
    assert!(removed.stderr.ends_with(HERE_ONLY), "{}", removed.stderr);
    assert_eq!(removed.stderr.lines().count(), 1);
    let failed = pull(&other).expect_status(9).expect_stdout("").run();
    assert!(failed.stderr.starts_with("vault: error: the store s3://fleet/vault: "));
    scene.bucket.answer_no_more();
    let said = "The store now has generation 5 of the vault\n";
    pull(&scene.first).expect_stdout(said).expect_stderr("").run();
    pull(&other).run();
    assert_eq!(names(&other), ["store"]);
}

#[test]
fn a_fork_is_refused_and_both_are_kept() {
    let scene = Scene::new();
    let other = scene.another();
    pull(&other).run();
    scene.down();
    scene.first.command(["remove", "-f", "ci"]).run();
    scene.bucket.answer_no_more();
    other.clone().stored("prod", ID, SECRET_ACCESS_KEY);
    let before = vault(&scene.first);
    let path = "[HOME]/.local/share/vault/vault.age";
    let refused = format!(
        "vault: error: the vault {path} and its copy in the store were both changed since they were \
         the same; nothing was replaced\n\
         vault: hint: the store's copy is {path}.theirs: rename it to {path} with mv, and repeat \
             the changes of this host\n"
    );
    pull(&scene.first).expect_error(6, &refused).run();
    let add = scene.first.command(["remove", "-f", "store"]);
    add.expect_error(6, &refused).run();
    assert_eq!(vault(&scene.first), before);
    let theirs = scene.first.read(".local/share/vault/vault.age.theirs");
    assert_eq!((vault(&other), scene.bucket.read(COPY)), (theirs.clone(), theirs));
}

#[test]
fn a_new_fingerprint_is_accepted_by_the_command_that_is_named() {
    let scene = Scene::new();
    let other = scene.another();
    pull(&other).run();
    let rekeyed = scene.first.command(["rekey"]).run();
    let (new, before) = (rekeyed.stdout.trim(), vault(&other));
    let old = other.command(["pin"]).run().stdout.trim().to_owned();
    let refused = format!(
        "vault: error: the vault's copy in s3://fleet/vault has the fingerprint {new}, and the \
         local vault has {old}; the local vault was not changed\n\
         vault: hint: if the change is meant: vault --vault [HOME]/.local/share/vault/vault.age pin \
         --accept {new}\n"
    );
    pull(&other).expect_error(6, &refused).run();
    // It goes on by its copy, and writes nothing that the others would miss.
    other.command(["list", "--profiles"]).any_status().run();
    assert_eq!(vault(&other), before);
    other.command(["pin", "--accept", new]).expect_stdout(format!("{new}\n")).run();
    assert_eq!(vault(&other), vault(&scene.first));
    other.clone().stored("prod", ID, SECRET_ACCESS_KEY);
    pull(&scene.first).expect_stderr("").run();
    let wrong = other.command(["pin", "--accept", &old]).expect_status(6).run();
    let neither = format!(
        "vault: error: neither the vault [HOME]/.local/share/vault/vault.age nor its copy in the store \
         has the fingerprint {old}\n"
    );
    assert_eq!(wrong.stderr, neither);
}

#[test]
fn a_recipient_that_knows_the_stores_key_is_not_removed_before_it_is_replaced() {
    let scene = Scene::new();
    let another = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
    scene.first.command(["recipient", "add", another]).run();
    let remove = scene.first.command(["recipient", "remove", another]);
    let refused = format!(
        "vault: error: anyone who can open the vault knows the key of the fleet's store \
         ({ACCESS_KEY_ID}), and \
         could put a forged vault there that the other hosts take\n\
         vault: hint: replace it first, by vault rotate store, or use --force\n"
    );
    // Before it is said that there is nobody to ask: -f is for both.
    remove.clone().expect_error(6, &refused).run();
    assert_eq!(remove.pty().end(SOON), (6, refused));
    scene.first.clone().stored("store", ID, SECRET_ACCESS_KEY);
    // The bucket takes the example key only.
    let remove = remove.env("AWS_VAULT_SHARED", "off");
    let mut pty = remove.pty();
    pty.expect("Remove ", SOON);
    pty.send("y");
    assert_eq!(pty.end(SOON).0, 0);
    // Who stays knows the new one.
    scene.first.command(["recipient", "add", another]).env("AWS_VAULT_SHARED", "off").run();
    assert_eq!(remove.pty().end(SOON).0, 6);
    remove.arg("--force").run();
}

#[test]
fn a_mistyped_variable_changes_nothing() {
    let scene = Scene::new();
    let before = vault(&scene.first);
    let bad = "vault: error: AWS_VAULT_SHARED is neither off nor s3://BUCKET/PREFIX\n\
                   vault: hint: unset it to share the store that the vault names, or say off\n";
    let remove = scene.first.command(["remove", "-f", "ci"]).env("AWS_VAULT_SHARED", "of");
    remove.expect_error(2, bad).run();
    assert_eq!(vault(&scene.first), before);
}

#[test]
fn a_host_kept_out_or_in_no_fleet_has_nothing_to_pull() {
    let scene = Scene::new();
    let out = pull(&scene.first).env("AWS_VAULT_SHARED", "off");
    out.expect_error(3, "vault: error: this host shares nothing: AWS_VAULT_SHARED is off\n").run();
    let requests = scene.bucket.log().len();
    scene.first.clone().env("AWS_VAULT_SHARED", "off").stored("a", ID, SECRET_ACCESS_KEY);
    assert_eq!(scene.bucket.log().len(), requests);
    let alone = Test::new().vault_with("demo");
    pull(&alone)
        .expect_error(
            3,
            "vault: error: this vault has no shared store\n\
             vault: hint: vault fleet join s3://BUCKET/PREFIX\n",
        )
        .run();
}
