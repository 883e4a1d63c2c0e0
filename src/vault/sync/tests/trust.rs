//! What is not pulled, and what becomes of two copies that went apart.

use super::*;

/// Both hosts changed the same copy, one of them while the store was away.
fn forked() -> (Host, Host) {
    let (a, b) = two();
    b.sync().unwrap();
    a.fleet.net.away(true);
    a.add("here").unwrap();
    a.fleet.net.away(false);
    b.add("there").unwrap();
    (a, b)
}

#[test]
fn a_fork_is_refused_and_both_are_kept() {
    let (a, b) = forked();
    let (ours, theirs) = (a.bytes(), b.bytes());
    let path = a.path().display().to_string();
    let error = a.sync().unwrap_err();
    assert_eq!(
        (error.class, error.what, error.hint.unwrap()),
        (
            Class::Refused,
            format!(
                "the vault {path} and its copy in the store were both changed since they were the \
                 same; nothing was replaced"
            ),
            format!(
                "the store's copy is {path}.theirs: rename it to {path} with mv, and repeat \
                 the changes of this host"
            )
        )
    );
    assert_eq!(a.add("more").unwrap_err().class, Class::Refused);
    let beside = a.dir.path.join("vault.age.theirs");
    let kept = std::fs::read(&beside).unwrap();
    assert_eq!((a.bytes(), kept, a.fleet.net.object().body), (ours, theirs.clone(), theirs));
    // The advice of the hint works.
    std::fs::rename(beside, a.path()).unwrap();
    assert_eq!(a.sync().unwrap(), Synced::Same);
    a.add("here").unwrap();
    b.sync().unwrap();
    assert_eq!(b.names(), ["here", "there"]);
}

#[test]
fn a_host_that_lost_a_race_over_a_fork_has_saved_nothing() {
    let (a, b) = two();
    b.sync().unwrap();
    a.fleet.net.away(true);
    a.add("here").unwrap();
    a.fleet.net.away(false);
    let before = a.bytes();
    *a.fleet.net.meanwhile.lock().unwrap() = Some(Box::new(move || b.add("there").unwrap()));
    assert_eq!(a.add("more").unwrap_err().class, Class::Refused);
    assert_eq!((a.bytes(), a.names()), (before, vec!["here".to_owned()]));
}

#[test]
fn a_store_that_was_rolled_back_or_emptied_gets_the_latest_again() {
    let (a, b) = two();
    let old = a.fleet.net.object().body;
    a.add("one").unwrap();
    b.sync().unwrap();
    a.fleet.net.force(&old);
    assert_eq!((b.sync().unwrap(), b.names()), (Synced::Pushed, vec!["one".to_owned()]));
    a.fleet.net.store.remove(OBJECT);
    a.add("two").unwrap();
    assert_eq!((b.sync().unwrap(), b.names().len()), (Synced::Pulled, 2));
}

#[test]
fn an_older_copy_than_this_machine_has_seen_is_not_pulled() {
    let (a, b) = two();
    b.sync().unwrap();
    a.add("one").unwrap();
    let old = a.bytes();
    for n in 0..70 {
        a.add(&format!("n{n}")).unwrap();
    }
    b.sync().unwrap();
    let before = b.bytes();
    a.fleet.net.force(&old);
    let error = b.sync().unwrap_err();
    assert_eq!(
        (error.class, error.what.as_str()),
        (
            Class::Refused,
            "the vault's copy in s3://bucket/prefix is too old: its generation is 2, the required \
             minimum is 72"
        )
    );
    assert_eq!(
        error.hint.unwrap(),
        "an older copy was put into the store: remove s3://bucket/prefix/vault.age: then vault \
         fleet pull, on the host that has the latest vault, puts that there"
    );
    assert_eq!(b.bytes(), before);
    assert_eq!(b.add("last").unwrap_err().class, Class::Refused);
    a.fleet.net.store.remove(OBJECT);
    assert_eq!(a.sync().unwrap(), Synced::Pushed);
    b.add("last").unwrap();
}

#[test]
fn the_least_generation_holds_for_what_is_pulled() {
    let (a, b) = two();
    a.add("one").unwrap();
    let mut vault = b.open();
    vault.access.min_generation = Some(9);
    let error = vault.sync().unwrap_err();
    assert!(error.what.ends_with("its generation is 2, the required minimum is 9"));
}

#[test]
fn a_forged_or_damaged_copy_replaces_nothing() {
    let (a, b) = two();
    let before = b.bytes();
    // The forger knows the recipients and not the vault's own keys.
    let forger = Host::bare(&a.fleet);
    let mut payload = Payload::new(&a.open().payload().recipients(), &[]).unwrap();
    let forged = payload.pin();
    (0..9).for_each(|_| payload.next_generation());
    crate::vault::create(&forger.access(), payload, false).unwrap();
    a.fleet.net.force(&forger.bytes());
    let error = b.sync().unwrap_err();
    assert_eq!(error.class, Class::Refused);
    let pin = b.open().payload().pin();
    assert_eq!(
        error.what,
        format!(
            "the vault's copy in s3://bucket/prefix has the fingerprint {forged}, and the local \
             vault has {pin}; the local vault was not changed"
        )
    );
    a.fleet.net.force(b"no vault");
    let error = b.sync().unwrap_err();
    assert_eq!(error.class, Class::Damaged);
    assert!(error.what.starts_with("the vault's copy in s3://bucket/prefix: "), "{}", error.what);
    assert_eq!(
        error.hint.unwrap(),
        "update vault if another host has a later version; else remove \
         s3://bucket/prefix/vault.age: then vault fleet pull, on the host that has the latest vault, puts \
         that there"
    );
    assert_eq!(b.add("one").unwrap_err().class, Class::Damaged);
    assert_eq!(b.bytes(), before);
    a.fleet.net.store.remove(OBJECT);
    assert_eq!(b.sync().unwrap(), Synced::Pushed);
    b.add("one").unwrap();
}

#[test]
fn a_new_fingerprint_is_pulled_once_it_is_accepted() {
    let (a, b) = two();
    b.sync().unwrap();
    a.open().change(Payload::renew_keys).unwrap();
    let (pin, before) = (a.open().payload().pin(), b.bytes());
    let error = b.sync().unwrap_err();
    let path = b.path().display().to_string();
    assert_eq!(error.class, Class::Refused);
    assert_eq!(
        error.hint.unwrap(),
        format!("if the change is meant: vault --vault {path} pin --accept {pin}")
    );
    assert_eq!((b.add("one").unwrap_err().class, b.bytes()), (Class::Refused, before));
    b.open().pull_accepted(pin).unwrap();
    assert_eq!((b.open().payload().pin(), b.bytes()), (pin, a.bytes()));
    b.add("one").unwrap();
    assert_eq!(a.sync().unwrap(), Synced::Pulled);
    let other = Pin::parse(&format!("{}", Payload::new(&[], &[]).unwrap().pin())).unwrap();
    assert_eq!(b.open().pull_accepted(other).unwrap_err().class, Class::Refused);
}

#[test]
fn a_pin_beside_the_old_one_is_accepted_too() {
    let (a, mut b) = two();
    a.open().change(Payload::renew_keys).unwrap();
    let (old, new) = (b.open().payload().pin(), a.open().payload().pin());
    b.pins = vec![old, new];
    assert_eq!(b.sync().unwrap(), Synced::Pulled);
    b.pins.remove(0);
    a.open().change(Payload::renew_keys).unwrap();
    let error = b.sync().unwrap_err();
    assert_eq!(
        error.hint.unwrap(),
        "if the change is meant, pin the new fingerprint beside the old one"
    );
}

#[test]
fn what_does_not_open_the_copy_pulls_nothing() {
    let (a, b) = two();
    let (_, another) = sealed::generate_identity();
    let mut vault = b.open();
    a.open()
        .change(|payload| {
            payload.remove_recipients(|_| true);
            payload.set_recipient(&RecipientEntry { recipient: another.clone(), name: None });
            Ok(())
        })
        .unwrap();
    let error = vault.sync().unwrap_err();
    assert_eq!(
        (error.class, error.hint.as_deref()),
        (
            Class::Locked,
            Some(
                "another host has removed what opens this vault, or another vault was put there; \
                 with AWS_VAULT_SHARED=off this host continues with its own copy"
            )
        )
    );
    vault.forget_key();
    assert_eq!(
        vault.sync().unwrap_err().what,
        "the vault is not written: what was in it was forgotten"
    );
}

#[test]
fn what_kept_only_some_keys_pulls_and_writes_nothing() {
    let (a, b) = two();
    let mut vault = b.open();
    vault.keep_only(&["one"].into(), &[].into());
    a.add("one").unwrap();
    let done = vault.change(|_| Ok(()));
    assert_eq!(done.unwrap_err().what, "the vault is not written: what was in it was forgotten");
    assert_eq!(vault.sync().unwrap(), Synced::Pulled);
    assert!(vault.payload().credential("one").is_some());
}

#[test]
fn what_is_remembered_of_the_last_sync_may_be_damaged() {
    let (a, b) = two();
    b.sync().unwrap();
    let pins = b.dir.path.join("state/pins");
    let synced = || {
        let files = std::fs::read_dir(&pins).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension() == Some("synced".as_ref())).collect::<Vec<_>>()
    };
    for content in ["", "hash = ", "store = \"s3://bucket/prefix\"\nhash = \"a\nb\"\n"] {
        a.add(&format!("n{}", content.len())).unwrap();
        std::fs::write(&synced()[0], content).unwrap();
        assert_eq!(b.sync().unwrap(), Synced::Pulled);
        assert_eq!(b.bytes(), a.bytes());
    }
}

#[test]
fn a_version_from_before_that_wrote_is_followed_by_what_was_synced() {
    let (a, b) = two();
    a.add("one").unwrap();
    // It lists no copy, and knows no store.
    let mut access = a.access();
    access.connect = Arc::new(|_| Ok(None));
    let mut vault = Vault::open(&access).unwrap();
    vault.file = b"none".to_vec();
    vault.payload.remove_credential("one");
    let lock = lock(&vault.real).unwrap();
    vault.change_here(&lock, &mut |_| Ok(())).unwrap();
    drop(lock);
    assert_eq!(a.sync().unwrap(), Synced::Pushed);
    assert_eq!(b.sync().unwrap(), Synced::Pulled, "of two steps");
    assert_eq!(b.names(), [""; 0]);
}

#[test]
fn an_older_copy_that_was_put_back_here_is_replaced_by_the_stores() {
    let (a, b) = two();
    let old = b.bytes();
    a.add("one").unwrap();
    b.sync().unwrap();
    std::fs::write(b.path(), &old).unwrap();
    assert_eq!(b.add("two").unwrap_err().class, Class::Refused);
    assert_eq!((b.sync().unwrap(), b.bytes()), (Synced::Pulled, a.bytes()));
    b.add("two").unwrap();
}

#[test]
fn a_host_that_leaves_ends_the_fleet_for_the_others() {
    let (a, b) = two();
    let c = b.copy();
    b.sync().unwrap();
    a.open().change(|payload| Ok(payload.remove_fleet())).unwrap();
    assert_eq!((b.sync().unwrap(), b.sync().unwrap()), (Synced::Pulled, Synced::Alone));
    // It remembers nothing, and the copy lists nothing any longer.
    assert_eq!(c.sync().unwrap_err().class, Class::Refused);
}
