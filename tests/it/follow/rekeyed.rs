//! New keys for the vault, and the hosts that do not have them yet.

use super::*;
use crate::support::{MFA_SEED, MFA_SERIAL};

/// Hosts with one device, whose store is `required` or not: two, and who gives them sessions.
fn with_device(flags: &[&str]) -> (StandIn, Bucket, Test, Test) {
    let standin = StandIn::demo();
    let bucket = Bucket::start(Conditions::Kept);
    let config = format!("[profile demo]\nmfa_serial = {MFA_SERIAL}\n");
    let at_home =
        || Test::new().config(&config).env("AWS_VAULT_AGE_KEY", AGE_KEY).standin(&standin);
    let first = at_home().vault_with("demo");
    first.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "demo"];
    let join = first.command(words).args(flags).args(["--region", "eu-central-1"]);
    join.args(["--endpoint", &bucket.endpoint()]).run();
    let bytes = first.read(first.vault_file());
    let other = at_home().file(".local/share/vault/vault.age", bytes, 0o600);
    (standin, bucket, first, other)
}

#[test]
fn a_store_that_is_away_is_not_asked_once_more_for_the_vault() {
    let (_standin, bucket, _first, other) = with_device(&[]);
    bucket.answer(403, "AccessDenied", "");
    let before = bucket.log().len();
    let run = other.command(["exec", "--json", "demo"]).run();
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("vault: warning: going on without the fleet's store s3://fleet/vault")
    );
    let log = &bucket.log()[before..];
    assert!(log.iter().all(|line| line.starts_with("GET vault/s/")), "{log:?}");
}

#[test]
fn who_has_the_old_keys_sends_no_code_until_the_new_ones_are_accepted() {
    let (standin, bucket, first, other) = with_device(&["--required"]);
    first.command(["exec", "--json", "demo"]).expect_stderr("").run();
    let books = || bucket.names().into_iter().filter(|name| name.starts_with("vault/l/")).count();
    assert_eq!(books(), 1);
    let rekeyed = first.command(["rekey"]).run();
    assert!(!rekeyed.stderr.contains("warning"), "{}", rekeyed.stderr);
    assert_eq!(books(), 2);

    let exec = other.command(["exec", "--json", "--refresh", "demo"]);
    let closed = "vault: error: no MFA code is sent without the fleet's store s3://fleet/vault: the vault \
                  has new keys, which this host does not have yet\n\
                  vault: hint: vault fleet pull shows how to take them\n";
    exec.expect_error(9, closed).run();
    assert_eq!(standin.calls().len(), 1);
    // The code that was sent is not sent again by who keeps the new book.
    other.command(["pin", "--accept", rekeyed.stdout.trim()]).run();
    other.command(["exec", "--json", "demo"]).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn where_the_store_is_away_the_old_record_of_codes_stays_open_and_that_is_said() {
    let scene = Scene::new();
    scene.first.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    scene.down();
    let said = scene.first.command(["rekey"]).run().stderr;
    let open = "vault: warning: the record of MFA codes by the old keys stays open in the fleet's store: \
                s3://fleet/vault refused GetObject: AccessDenied: AccessDenied; until the other hosts have the \
                new vault, they may send the same codes\n";
    assert!(said.contains(open), "{said}");
}
