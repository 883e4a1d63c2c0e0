//! A vault in a store, opened by its URL.

use std::os::unix::fs::PermissionsExt;

use super::*;

const URL: &str = "s3://bucket/prefix";

/// A host that has no vault: it knows the URL and, if given, the fingerprint.
fn runner(a: &Host, pinned: bool) -> Host {
    let mut host = Host::bare(&a.fleet);
    host.remote = Location::parse(URL);
    if pinned {
        host.pins = vec![a.open().payload().pin()];
    }
    host
}

fn try_open(host: &Host) -> Result<Vec<String>> {
    let vault = Vault::open(&host.access())?;
    Ok(vault.payload().credential_names().map(str::to_owned).collect())
}

#[test]
fn a_host_without_a_vault_takes_the_stores_and_keeps_a_copy() {
    let a = Host::first();
    a.add("one").unwrap();
    let host = runner(&a, true);
    assert_eq!(try_open(&host).unwrap(), ["one"]);
    assert_eq!(host.bytes(), a.bytes());
    assert_eq!(host.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    requests(&a);
    assert_eq!(try_open(&host).unwrap(), ["one"]);
    assert_eq!(requests(&a), ["GET vault.age"], "by its version");
    a.add("two").unwrap();
    assert_eq!((try_open(&host).unwrap().len(), host.bytes()), (2, a.bytes()));
}

#[test]
fn without_a_fingerprint_or_a_memory_it_is_refused() {
    let a = Host::first();
    let mut host = runner(&a, false);
    requests(&a);
    let error = try_open(&host).unwrap_err();
    assert_eq!(
        (error.class, error.what.as_str(), error.hint.as_deref()),
        (
            Class::Refused,
            "no fingerprint is known for s3://bucket/prefix; without one, the store's operator \
             could put any vault there",
            Some(
                "give its fingerprint with --pin or AWS_VAULT_PIN; on a host that has the vault, \
                 vault pin prints it"
            )
        )
    );
    assert_eq!(requests(&a), [""; 0]);
    host.pins = vec![a.open().payload().pin()];
    try_open(&host).unwrap();
    host.pins.clear();
    try_open(&host).unwrap();
}

#[test]
fn another_vault_than_the_pinned_one_is_neither_taken_nor_kept() {
    let (a, other) = (Host::first(), Host::first());
    let mut host = runner(&a, true);
    host.pins = vec![other.open().payload().pin()];
    let error = try_open(&host).unwrap_err();
    assert_eq!(error.class, Class::Refused);
    let (what, pin) =
        ("the vault s3://bucket/prefix is not the pinned one", a.open().payload().pin());
    assert_eq!(error.what, format!("{what}: its fingerprint is {pin}"));
    assert!(!host.path().exists());
}

#[test]
fn with_the_store_away_the_copy_is_used_and_nothing_is_written() {
    let a = Host::first();
    let host = runner(&a, true);
    a.fleet.net.away(true);
    let error = try_open(&host).unwrap_err();
    assert_eq!(
        (error.class, error.what.as_str()),
        (Class::Aws, "the store s3://bucket/prefix: no connection")
    );
    a.fleet.net.away(false);
    a.add("one").unwrap();
    try_open(&host).unwrap();
    a.fleet.net.away(true);
    assert_eq!(try_open(&host).unwrap(), ["one"]);
    let before = host.bytes();
    assert_eq!(host.add("two").unwrap_err().class, Class::Aws);
    a.fleet.net.away(false);
    let faults = [Fault::Away, Fault::None];
    *a.fleet.net.writes.lock().unwrap() = faults.to_vec();
    assert_eq!(host.add("two").unwrap_err().class, Class::Aws);
    assert_eq!(host.bytes(), before);
    a.fleet.net.away(false);
    host.add("two").unwrap();
    a.sync().unwrap();
    assert_eq!(a.names(), ["one", "two"]);
}

#[test]
fn a_host_that_may_not_use_the_store_reads_the_copy_and_changes_nothing() {
    let a = Host::first();
    let mut host = runner(&a, true);
    try_open(&host).unwrap();
    a.add("one").unwrap();
    let before = host.bytes();
    host.env = Env::of(&[("AWS_VAULT_AGE_KEY", a.fleet.key.as_str()), ("AWS_VAULT_SHARED", "off")]);
    requests(&a);
    assert_eq!(try_open(&host).unwrap(), [""; 0]);
    assert_eq!(host.sync().unwrap(), Synced::Alone);
    let refused = Error::refused("AWS_VAULT_SHARED=off, but the vault is in s3://bucket/prefix")
        .hint("to change it, run the command without AWS_VAULT_SHARED=off");
    assert_eq!(host.add("two").unwrap_err(), refused);
    assert_eq!((host.bytes(), requests(&a).len()), (before, 0));
}

#[test]
fn what_is_wrong_with_the_stores_leaves_the_copy_in_use() {
    let a = Host::first();
    let old = a.bytes();
    a.add("one").unwrap();
    let mut host = runner(&a, true);
    try_open(&host).unwrap();
    let kept = host.bytes();
    let forger = Host::first();
    for wrong in [&b"no vault"[..], &old, &forger.bytes()] {
        a.fleet.net.force(wrong);
        assert_eq!(
            (try_open(&host).unwrap(), host.bytes()),
            (vec!["one".to_owned()], kept.clone())
        );
    }
    // Nor is an older one than this machine has seen, or the least that is taken.
    std::fs::remove_file(host.path()).unwrap();
    a.fleet.net.force(&old);
    let error = try_open(&host).unwrap_err();
    assert_eq!(
        (error.class, error.what.as_str()),
        (Class::Refused, "the vault in s3://bucket/prefix is older than this machine has seen it")
    );
    let hint = "to restore the latest vault, run vault fleet pull on a host that has it";
    assert_eq!(error.hint.unwrap(), hint);
    (host.remembers, host.least) = (false, Some(2));
    assert_eq!(try_open(&host).unwrap_err().class, Class::Refused);
    assert!(!host.path().exists());
    a.fleet.net.store.remove(OBJECT);
    let error = try_open(&host).unwrap_err();
    assert_eq!(
        (error.class, error.what.as_str()),
        (Class::NotFound, "no vault in s3://bucket/prefix")
    );
}

#[test]
fn no_vault_is_made_there() {
    let host = runner(&Host::first(), true);
    let made = crate::vault::create(&host.access(), Payload::new(&[], &[]).unwrap(), false);
    assert_eq!(made.unwrap_err().what, "s3://bucket/prefix is no file, so no vault is made there");
}
