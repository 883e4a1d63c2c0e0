use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::super::testing::{NOON, cache, cache_of, long};
use super::*;
use crate::error::Class;
use crate::file::testing::Directory;

const DEVICE: &str = "arn:aws:iam::123456789012:mfa/ci";

/// Claims for the device so many seconds after noon: the step as seen from noon's, and the wait.
fn claim(cache: &Cache, seconds: i64) -> Result<(i64, u64)> {
    let claim =
        cache.ledger(DEVICE).claim(30, Timestamp(NOON + seconds), long(), Choice::Nearest, None)?;
    Ok((claim.step.cast_signed() - NOON / 30, claim.wait.as_secs()))
}

fn file(d: &Directory) -> std::path::PathBuf {
    let folder = fs::read_dir(d.path.join("ledger")).unwrap();
    let mut paths = folder.map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_none()).unwrap()
}

#[test]
fn a_step_is_claimed_once_among_all() {
    let d = Directory::new();
    let claims = std::thread::scope(|scope| {
        let claims: Vec<_> =
            (0..6).map(|_| scope.spawn(|| claim(&cache(&d.path, 10), 10).unwrap())).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect::<BTreeSet<_>>()
    });
    assert_eq!(claims, BTreeSet::from([(-2, 0), (-1, 0), (0, 0), (1, 0), (2, 0), (3, 25)]));
    let content = fs::read(file(&d)).unwrap();
    assert!(!content.windows(3).any(|part| part == b"arn"));

    let other = cache(&d.path, 10);
    let claim = other.ledger("arn:aws:iam::123456789012:mfa/another");
    let claim = claim.claim(30, Timestamp(NOON + 10), long(), Choice::Nearest, None).unwrap();
    assert_eq!((claim.step.cast_signed(), claim.wait), (NOON / 30, Duration::ZERO));
}

#[test]
fn when_the_codes_are_used_up_it_says_when_to_come_again() {
    let d = Directory::new();
    let soon = Instant::now() + Duration::from_secs(20);
    for _ in 0..5 {
        claim(&cache(&d.path, 10), 10).unwrap();
    }
    let cache = cache(&d.path, 10);
    // The next step could be used after 25 s, and the call needs time too.
    let error = cache
        .ledger(DEVICE)
        .claim(30, Timestamp(NOON + 10), soon, Choice::Nearest, None)
        .unwrap_err();
    assert_eq!(error.class, Class::Aws);
    assert_eq!(
        error.what,
        format!("all MFA codes of device {DEVICE} are used up; try again at 12:00:35 UTC")
    );
    let error = cache
        .ledger(DEVICE)
        .claim(30, Timestamp(NOON + 10), soon, Choice::Random, None)
        .unwrap_err();
    assert!(error.what.ends_with("try again at 12:00:35 UTC"));
    assert_eq!(claim(&cache, 10).unwrap(), (3, 25), "a failed claim uses no step");
}

#[test]
fn random_claims_are_claims_too() {
    let d = Directory::new();
    let steps: BTreeSet<u64> = (0..5)
        .map(|_| {
            cache(&d.path, 10).ledger(DEVICE).claim(
                30,
                Timestamp(NOON + 10),
                long(),
                Choice::Random,
                None,
            )
        })
        .map(|claim| claim.unwrap().step)
        .collect();
    assert_eq!(steps.len(), 5);
    let claim = |left| {
        let deadline = Instant::now() + Duration::from_secs(left);
        let cache = cache(&d.path, 10);
        cache.ledger(DEVICE).claim(
            30,
            Timestamp(NOON + 10),
            deadline,
            Choice::AfterRefusal { last: true },
            None,
        )
    };
    assert!(claim(20).unwrap_err().what.ends_with("try again at 12:00:35 UTC"));
    assert_eq!(claim(50).unwrap().wait.as_secs(), 25);
}

#[test]
fn a_claim_that_is_given_back_is_free_again_for_all() {
    let d = Directory::new();
    let (one, other) = (cache(&d.path, 10), cache(&d.path, 10));
    let given =
        one.ledger(DEVICE).claim(30, Timestamp(NOON + 10), long(), Choice::Nearest, None).unwrap();
    assert_eq!(claim(&other, 10).unwrap(), (-1, 0));
    one.ledger(DEVICE).give_back(&given, long());
    // Another process's claim is kept.
    assert_eq!(claim(&other, 10).unwrap(), (0, 0));
    assert_eq!(claim(&one, 10).unwrap(), (1, 0));
}

#[test]
fn where_no_ledger_can_be_kept_a_process_knows_its_own_claims() {
    let d = Directory::new();
    let taken = d.path.join("file");
    fs::write(&taken, "x").unwrap();
    for dir in [None, Some(taken.as_path()), Some(Path::new("/proc/none"))] {
        let cache = cache_of(dir, [1; 16], 10);
        assert_eq!(claim(&cache, 10).unwrap(), (0, 0));
        assert_eq!(claim(&cache, 10).unwrap(), (-1, 0));
        assert_eq!(claim(&cache_of(dir, [1; 16], 10), 10).unwrap(), (0, 0), "another process");
    }
}

#[test]
fn where_there_is_a_place_every_claim_is_recorded_or_is_none() {
    let d = Directory::new();
    let claims = |dir: Option<&Path>| {
        let cache = cache_of(dir, [1; 16], 10);
        let claim =
            cache.ledger(DEVICE).claim(30, Timestamp(NOON + 10), long(), Choice::Nearest, None);
        claim.map(|claim| (claim.step.cast_signed() - NOON / 30, claim.recorded))
    };
    let here = Some(d.path.as_path());
    assert_eq!(claims(None).unwrap(), (0, false));
    assert_eq!(claims(Some(Path::new("/proc/none"))).unwrap(), (0, false));
    assert_eq!(claims(here).unwrap(), (0, true));
    let (file, lock) = (file(&d), file(&d).with_extension("lock"));
    // Neither as root nor as anybody else can these be written.
    for (path, shown) in [(&file, &file), (&lock, &lock)] {
        let before = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        let error = claims(here).unwrap_err();
        assert_eq!(error.class, Class::Aws);
        let what = "cannot record the use of an MFA code in";
        assert_eq!(error.what, format!("{what} {}: is a directory", shown.display()));
        let cache = cache(&d.path, 10);
        let ledger = cache.ledger(DEVICE);
        assert_eq!(ledger.spend(&[1], Timestamp(NOON), long(), None).unwrap_err(), error);
        let locked = ledger.can_record(long());
        assert_eq!(locked.is_ok(), path == &file, "{locked:?}");
        fs::remove_dir(path).unwrap();
        fs::write(path, before).unwrap();
    }
    // A lock without a ledger counts, too; a dangling link is no lock.
    fs::remove_file(&file).unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("nowhere", &lock).unwrap();
    assert_eq!(claims(here).unwrap_err().class, Class::Aws);
    fs::remove_file(&lock).unwrap();
    assert_eq!(claims(here).unwrap(), (0, true), "a failed claim uses no step");
}

#[test]
fn a_torn_ledger_is_an_empty_one_but_for_what_the_process_claimed_itself() {
    let d = Directory::new();
    let cache = cache(&d.path, 10);
    assert_eq!(claim(&cache, 10).unwrap(), (0, 0));
    let whole = fs::read(file(&d)).unwrap();
    fs::write(file(&d), &whole[..20]).unwrap();
    assert_eq!(claim(&cache, 10).unwrap(), (-1, 0));
    fs::write(file(&d), "").unwrap();
    assert_eq!(claim(&super::super::testing::cache(&d.path, 10), 10).unwrap(), (0, 0));
    assert_eq!(claim(&cache, 10).unwrap(), (1, 0));
}

#[test]
fn a_ledger_that_stays_locked_ends_at_the_deadline() {
    let d = Directory::new();
    let cache = cache(&d.path, 10);
    claim(&cache, 10).unwrap();
    let held = file::lock(&file(&d), Duration::ZERO, "tests").unwrap();
    let error = cache
        .ledger(DEVICE)
        .claim(30, Timestamp(NOON + 10), Instant::now(), Choice::Nearest, None)
        .unwrap_err();
    assert_eq!(error.class, Class::Busy);
    assert!(error.what.starts_with(&format!("process {} ", std::process::id())), "{error:?}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| claim(&cache, 10));
        drop(held);
        assert_eq!(waiting.join().unwrap().unwrap(), (-1, 0));
    });
}
