//! Somebody is removed: hosts with the old vault and those with the new one share no codes.

use std::collections::BTreeSet;

use vault::session::FleetKeys;

use super::*;
use crate::support::{MFA_SEED, MFA_SERIAL};

const ANOTHER: &str = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";

/// The user has a device, and the vault its seed; two can open it. `required`: no code is sent
/// without the store.
pub(super) fn scene(required: bool) -> Scene {
    let robot = User::new("robot").key(ID, SECRET_ACCESS_KEY).mfa(MFA_SERIAL, MFA_SEED);
    let standin = StandIn::start(World::empty().user(robot));
    let bucket = Bucket::start(Conditions::Kept);
    let config = format!("[profile ci]\nmfa_serial = {MFA_SERIAL}\n");
    let first = host(&standin).config(&config).vault_with("store");
    let first = first.stored("ci", ID, SECRET_ACCESS_KEY);
    first.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    first.command(["recipient", "add", ANOTHER]).run();
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store", "--region"];
    let join = first.command(words).args(["eu-central-1", "--endpoint", &bucket.endpoint()]);
    if required { join.arg("--required") } else { join }.expect_stderr("").run();
    Scene { standin, bucket, first }
}

pub(super) fn another(scene: &Scene) -> Test {
    scene.another().config(&format!("[profile ci]\nmfa_serial = {MFA_SERIAL}\n"))
}

fn remove(scene: &Scene) -> Test {
    scene.first.command(["recipient", "remove", "--force", ANOTHER])
}

/// The name of the device's TOTP claims by the vault that this host has.
fn claims_name(test: &Test) -> String {
    let (id, key) = payload_of(test.vault_file()).cache_seed();
    format!("vault/{}", FleetKeys::new(&id, &key).totp_claims_name(MFA_SERIAL))
}

/// The writes of TOTP claims and sessions since then.
fn writes(scene: &Scene, since: usize) -> Vec<String> {
    let log = scene.bucket.log().split_off(since);
    log.into_iter().filter(|line| line.starts_with("PUT vault/") && !line.contains(COPY)).collect()
}

const NEW_KEY: &str = "another host has renewed the vault's keys";
const WHAT_TO_DO: &str =
    "vault fleet pull takes the new vault, or names the command that accepts it";

#[test]
fn a_host_with_the_old_vault_goes_alone() {
    let scene = scene(false);
    let other = another(&scene);
    scene.first.command(["exec", "--json", "ci"]).expect_stderr("").run();
    let (old, since) = (claims_name(&scene.first), scene.bucket.log().len());
    let open = scene.bucket.read(&old);
    remove(&scene).run();
    assert_eq!(vault(&scene.first), scene.bucket.read(COPY));
    let new = claims_name(&scene.first);
    let done = [format!("PUT {new}: 200"), format!("PUT {old}: 200")];
    assert_eq!(writes(&scene, since), done, "the claims are copied, then it is closed");
    assert_ne!(scene.bucket.read(&old), open);
    // A session that is made anew is this host's own.
    let (closed, since) = (scene.bucket.read(&old), scene.bucket.log().len());
    let warning = format!(
        "vault: warning: going on without the fleet's store s3://fleet/vault: {NEW_KEY}; {WHAT_TO_DO}\n"
    );
    // Alone it may take a step that the other one has taken, which AWS refuses.
    let made = other.command(["exec", "--json", "--refresh", "ci"]).any_status().run();
    assert!([0, 9].contains(&made.status), "{made:?}");
    assert!(made.stderr.starts_with(&warning), "{}", made.stderr);
    assert_eq!(scene.bucket.read(&old), closed);
    let sessions = writes(&scene, since);
    // A claim, and its end: another host need not wait for that.
    assert!(
        sessions.len() == 2 && sessions.iter().all(|it| it.starts_with("PUT vault/s/")),
        "{sessions:?}"
    );
}

#[test]
fn where_the_store_is_required_the_old_vault_sends_no_code() {
    let scene = scene(true);
    let other = another(&scene);
    remove(&scene).run();
    let failed = format!(
        "vault: error: no MFA code is sent without the fleet's store s3://fleet/vault: {NEW_KEY}\n\
         vault: hint: {WHAT_TO_DO}\n"
    );
    other.command(["exec", "--json", "ci"]).expect_error(9, &failed).run();
    assert_eq!(scene.standin.calls().len(), 0);
    // What it names helps.
    let pin = scene.first.command(["pin"]).run().stdout.trim().to_owned();
    let refused = pull(&other).expect_status(6).run();
    assert!(refused.stderr.ends_with(&format!("pin --accept {pin}\n")), "{}", refused.stderr);
    other.command(["pin", "--accept", &pin]).run();
    other.command(["exec", "--json", "ci"]).expect_stderr("").run();
}

#[test]
fn no_code_is_sent_again_by_the_new_vault() {
    let scene = scene(false);
    let twice = |host: &Test| {
        host.command(["exec", "--json", "--refresh", "ci"]).expect_stderr("").run();
        host.command(["exec", "--json", "--refresh", "ci"]).expect_stderr("").run();
    };
    twice(&scene.first);
    scene.first.command(["rekey"]).run();
    // On another disk, whose ledger knows nothing of it.
    twice(&another(&scene));
    let steps: Vec<_> = scene.standin.calls().iter().filter_map(|call| call.step).collect();
    let different: BTreeSet<_> = steps.iter().collect();
    assert_eq!((steps.len(), different.len()), (4, 4), "{steps:?}");
}

#[test]
fn a_device_that_only_a_profile_names_has_its_claims_closed_too() {
    let scene = scene(false);
    let device = "arn:aws:iam::123456789012:mfa/person";
    let first = scene.first.clone().config(&format!("[profile person]\nmfa_serial = {device}\n"));
    let (id, key) = payload_of(first.vault_file()).cache_seed();
    let (since, old) = (scene.bucket.log().len(), FleetKeys::new(&id, &key));
    first.command(["rekey"]).run();
    let mut closed = [MFA_SERIAL, device]
        .map(|device| format!("PUT vault/{}: 200", old.totp_claims_name(device)));
    let mut written = writes(&scene, since);
    closed.sort();
    written.sort();
    assert_eq!(written, closed);
}

#[test]
fn with_the_store_away_a_warning_says_what_stays_open() {
    let scene = scene(false);
    let old = claims_name(&scene.first);
    scene.down();
    let removed = remove(&scene).run();
    let denied = "s3://fleet/vault refused GetObject: AccessDenied: AccessDenied";
    let lines: Vec<&str> = removed.stderr.lines().take(3).collect();
    let expected = [
        format!(
            "vault: warning: anyone who can open the vault knows the key of the fleet's store \
             ({ACCESS_KEY_ID}): \
             replace it, by vault rotate store"
        ),
        format!("{DENIED}{denied}{}", HERE_ONLY.trim_end()),
        format!(
            "vault: warning: the old records of MFA codes in the fleet's store are not closed: the store \
             s3://fleet/vault: {denied}; until a host has the new vault, it may send a code that another \
             host sends, of which AWS refuses one: accept the new vault on all of them"
        ),
    ];
    assert_eq!(lines, expected);
    assert!(!scene.bucket.names().contains(&old));
    // A host that keeps out of the fleet says nothing of it.
    scene.bucket.answer_no_more();
    let requests = scene.bucket.log().len();
    let rekeyed = scene.first.command(["rekey"]).env("AWS_VAULT_SHARED", "off").run();
    assert!(!rekeyed.stderr.contains("warning"), "{}", rekeyed.stderr);
    assert_eq!(scene.bucket.log().len(), requests);
}

#[test]
fn the_first_passphrase_changes_no_key_and_another_one_does() {
    let scene = scene(false);
    let set = |text: &str| {
        let old = claims_name(&scene.first);
        let first = scene.first.clone().file("new", text, 0o600);
        first.command(["passphrase", "set", "--new-passphrase-file", "new"]).run();
        scene.bucket.names().contains(&old)
    };
    assert!(!set("correct horse battery staple"));
    assert!(set("another horse battery staple"));
    let old = claims_name(&scene.first);
    scene.first.command(["passphrase", "remove", "--force"]).run();
    assert!(scene.bucket.names().contains(&old));
}
