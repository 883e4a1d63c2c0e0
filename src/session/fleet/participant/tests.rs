//! Hosts that share a store which misbehaves, in time that the test moves.

mod world;

use std::path::Path;

use self::world::{ALL, Fate, World};
use super::super::super::flight::Length;
use super::super::super::testing::{NOON, cache, long, session};
use super::super::super::{Cache, Choice, Claim, SessionKind};
use super::*;
use crate::file::testing::Directory;

const DEVICE: &str = "arn:aws:iam::123456789012:mfa/ci";
const HOUR: u64 = 3600;

fn wanted(key: &[String]) -> Wanted<'_> {
    let length = Some(Length { wanted: hours(8), least: Duration::ZERO });
    let kind = SessionKind::Session;
    Wanted { profile: "prod", kind, key, length, not_before: None, min_left: None }
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * HOUR)
}

/// How a host came to its session.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Fleet,
    Itself,
    Alone(String),
}

/// A host of the fleet with its own disk.
struct Host<'w> {
    world: &'w World,
    cache: Cache,
    keys: FleetKeys,
}

impl<'w> Host<'w> {
    fn new(world: &'w World, disk: &Path) -> Self {
        let cache = cache(disk, world.seconds().cast_signed());
        Self { world, cache, keys: FleetKeys::new(&[1; 16], &[2; 32]) }
    }

    fn part(&'w self, wanted: &'w Wanted<'w>, has_code: bool) -> Participant<'w> {
        let session = self.keys.session_name(wanted.kind, wanted.key);
        let names = Names { session, totp_claims: self.keys.totp_claims_name(DEVICE) };
        let (timing, wait) = (self.world.timing(), Duration::from_secs(45));
        let time = (self.cache.clock, timing);
        Participant::new(self.world, (&self.keys, names), wanted, time, has_code, wait).unwrap()
    }

    fn claim(&self, shared: Option<&mut SharedClaims>) -> Claim {
        let now = Timestamp(NOON + self.world.seconds().cast_signed());
        self.cache.ledger(DEVICE).claim(30, now, long(), Choice::Random, shared).unwrap()
    }

    fn send(&self, claim: &Claim) {
        self.world.pass(u64::try_from(claim.wait.as_millis()).unwrap());
        self.world.sent.lock().unwrap().push(claim.step);
    }

    /// Takes a step and sends its code, as long as this host leads.
    fn step(&self, part: &mut Participant<'_>) -> CodeDecision<Claim> {
        let take = |shared: &mut SharedClaims| {
            let claim = self.claim(Some(shared));
            Ok((claim, claim.wait))
        };
        let give_back = |claim| self.cache.ledger(DEVICE).give_back(&claim, long());
        let step = part.claim_step(take, give_back).unwrap();
        if let CodeDecision::Send(claim) = &step {
            self.send(claim);
        }
        step
    }

    /// Comes to a session by whatever way.
    fn session(&self, wanted: &Wanted<'_>) -> By {
        let mut part = self.part(wanted, true);
        let alone = loop {
            match part.decide() {
                SessionDecision::Serve(_) => return By::Fleet,
                SessionDecision::Lead(_) => match self.step(&mut part) {
                    CodeDecision::Send(_) => {
                        part.made(self.eight_hours(), Some(hours(8)), 7);
                        return By::Itself;
                    }
                    CodeDecision::Overtaken => {}
                    CodeDecision::Alone(alone) => break alone,
                },
                SessionDecision::Alone(alone) => break alone,
                other => panic!("{other:?}"),
            }
        };
        let claim = self.claim(None);
        self.send(&claim);
        By::Alone(alone.what)
    }

    fn eight_hours(&self) -> Credentials {
        session("new", (self.world.seconds() + 8 * HOUR).cast_signed())
    }
}

/// True if no code was sent twice.
fn no_code_twice(world: &World) -> bool {
    let mut sent = world.sent.lock().unwrap().clone();
    let count = sent.len();
    sent.sort_unstable();
    sent.dedup();
    sent.len() == count
}

#[test]
fn one_host_makes_the_session_and_the_others_have_it() {
    let world = World::new(&[]);
    let key = ["a".to_owned()];
    for host in 0..10 {
        let d = Directory::new();
        let by = Host::new(&world, &d.path).session(&wanted(&key));
        assert_eq!(by, if host == 0 { By::Itself } else { By::Fleet }, "{host}");
    }
    assert_eq!(world.sent.lock().unwrap().len(), 1);
    let log = world.store.log.lock().unwrap();
    let methods: String = log.iter().map(|line| &line[..1]).collect();
    assert_eq!(methods, "GPGPPGGGGGGGGG");
    assert!(log.iter().all(|line| !line.contains("mfa") && !line.contains("prod")));
}

#[test]
fn whatever_happens_to_one_request_no_code_is_sent_twice_and_everybody_has_a_session() {
    let fates = [
        Fate::After(2400),
        Fate::Lost,
        Fate::Never,
        Fate::Late,
        Fate::Failed,
        Fate::Conflict,
        Fate::Skewed(86_400),
        Fate::Skewed(-86_400),
    ];
    for (number, fate) in (0..7).flat_map(|number| fates.map(|fate| (number, fate))) {
        let world = World::new(&[(number, fate)]);
        let key = ["a".to_owned()];
        for host in 0..3 {
            let d = Directory::new();
            let by = Host::new(&world, &d.path).session(&wanted(&key));
            assert!(!matches!(by, By::Alone(_)), "{fate:?} at {number}, host {host}: {by:?}");
        }
        assert!(no_code_twice(&world), "{fate:?} at {number}");
        assert!(world.sent.lock().unwrap().len() <= 2, "{fate:?} at {number}");
    }
}

#[test]
fn a_store_that_is_away_or_slow_or_refuses_everything_is_left_within_three_seconds() {
    for (fate, what) in [
        (Fate::Failed, "no way"),
        (Fate::Lost, "the answer was lost"),
        (Fate::Never, "the answer was lost"),
        (Fate::After(3000), "the store is too slow"),
        (Fate::After(1100), "the answer was lost"),
    ] {
        let world = World::new(&[(ALL, fate)]);
        let (d, key) = (Directory::new(), ["a".to_owned()]);
        let host = Host::new(&world, &d.path);
        assert_eq!(host.session(&wanted(&key)), By::Alone(what.to_owned()), "{fate:?}");
        assert!(world.seconds() <= 3, "{fate:?}: {} s", world.seconds());
        assert_eq!(world.sent.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_store_whose_writes_do_not_happen_or_are_not_answered_is_left_and_costs_few_codes() {
    let (refuses, busy) = ("the store refuses valid conditional writes", "the store is busy");
    let silent = "the store does not answer whether the write succeeded";
    for (prefix, fate, what, steps) in [
        ("s/", Fate::Conflict, busy, 1),
        ("s/", Fate::Refused, refuses, 1),
        ("s/", Fate::Never, "the answer was lost", 1),
        ("l/", Fate::Conflict, busy, 2),
        ("l/", Fate::Refused, refuses, 1),
        ("l/", Fate::Never, silent, 3),
        ("l/", Fate::Lost, silent, 3),
    ] {
        let world = World::of_writes(prefix, fate);
        let (d, key) = (Directory::new(), ["a".to_owned()]);
        let host = Host::new(&world, &d.path);
        let by = host.session(&wanted(&key));
        assert_eq!(by, By::Alone(what.to_owned()), "{prefix} {fate:?}");
        assert!(world.milliseconds() < 3500, "{prefix} {fate:?}: {} ms", world.milliseconds());
        assert_eq!(world.sent.lock().unwrap().len(), 1);
        let now = Timestamp(NOON + world.seconds().cast_signed());
        assert_eq!(host.cache.ledger(DEVICE).left(30, now).0, 6 - steps, "{prefix} {fate:?}");
        // Its claim is over, where it was written: the next host does not wait for the lease.
        let (d, before) = (Directory::new(), world.milliseconds());
        assert!(matches!(Host::new(&world, &d.path).session(&wanted(&key)), By::Alone(_)));
        let took = world.milliseconds() - before;
        assert!(took < 5000, "{prefix} {fate:?}: {took} ms");
    }
}

#[test]
fn slow_answers_and_one_that_never_comes_take_three_seconds_together() {
    for fates in [
        &[(ALL, Fate::Hangs)][..],
        &[(0, Fate::After(2500)), (1, Fate::Hangs)],
        &[(0, Fate::After(1000)), (1, Fate::After(1900)), (2, Fate::Hangs)],
        &[(2, Fate::Hangs)],
    ] {
        let world = World::new(fates);
        let (d, key) = (Directory::new(), ["a".to_owned()]);
        let by = Host::new(&world, &d.path).session(&wanted(&key));
        let waited = world.milliseconds();
        assert!(matches!(by, By::Alone(_)), "{fates:?}: {by:?}");
        // Who has a claim ends it in the last half second.
        assert!((2500..=3100).contains(&waited), "{fates:?}: {waited} ms");
        let next = Host::new(&world, &d.path).session(&wanted(&["b".to_owned()]));
        assert!(fates[0].0 == ALL || next == By::Itself, "{fates:?}: {next:?}");
    }
    // Until the store can be asked it takes time, too.
    let world = World::new(&[(ALL, Fate::Hangs)]);
    let (d, key) = (Directory::new(), ["a".to_owned()]);
    let (host, wanted) = (Host::new(&world, &d.path), wanted(&key));
    let mut part = host.part(&wanted, true);
    part.connected(Duration::from_millis(2900), false);
    assert!(matches!(part.decide(), SessionDecision::Alone(_)));
    assert_eq!(world.milliseconds(), 100);
}

#[test]
fn a_session_that_is_made_has_three_seconds_of_its_own_to_be_published() {
    let hangs = |numbers: std::ops::Range<usize>| numbers.map(|number| (number, Fate::Hangs));
    for (fates, published) in [
        (vec![(4, Fate::After(1400))], true),
        // One that hangs is looked for, and written once more.
        (hangs(4..5).collect(), true),
        (hangs(4..9).collect(), false),
    ] {
        let world = World::new(&[&[(0, Fate::After(2900))][..], &fates].concat());
        let (d, key) = (Directory::new(), ["a".to_owned()]);
        assert_eq!(Host::new(&world, &d.path).session(&wanted(&key)), By::Itself);
        let took = world.milliseconds() - 2900 - 3 * 20;
        assert!((1400..=3000).contains(&took), "{fates:?}: {took} ms");
        let by = Host::new(&world, &Directory::new().path).session(&wanted(&key));
        assert_eq!(by == By::Fleet, published, "{fates:?}: {by:?}");
    }
}

#[test]
fn a_host_repeats_none_of_its_own_codes_whatever_the_store_forgets_or_ignores() {
    let key = ["a".to_owned()];
    for fates in [&[][..], &[(ALL, Fate::Unconditional)], &[(ALL, Fate::Skewed(-86_400))]] {
        let world = World::new(fates);
        let d = Directory::new();
        for round in 0..5 {
            let host = Host::new(&world, &d.path);
            // A store that was put back has neither the session nor the claims.
            let names = [
                host.keys.totp_claims_name(DEVICE),
                host.keys.session_name(SessionKind::Session, &key),
            ];
            names.iter().for_each(|name| world.store.remove(name));
            assert_eq!(host.session(&wanted(&key)), By::Itself, "{round}");
        }
        assert!(no_code_twice(&world));
    }
}

#[test]
fn a_record_serves_as_a_session_of_the_cache_would() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let (d, other) = (Directory::new(), Directory::new());
    assert_eq!(Host::new(&world, &d.path).session(&wanted(&key)), By::Itself);
    world.pass(60_000);
    let now = Timestamp(NOON + 60);
    let length = |wanted, least| Some(Length { wanted: hours(wanted), least: hours(least) });
    let plain = wanted(&key);
    for (wanted, turn) in [
        (plain, "serve"),
        (Wanted { length: length(1, 1), ..plain }, "serve"),
        (Wanted { not_before: Some(now.plus(Duration::ZERO)), ..plain }, "lead for 8 h"),
        (Wanted { not_before: Some(Timestamp(now.0 - 65)), ..plain }, "serve"),
        (Wanted { min_left: Some(hours(9)), ..plain }, "lead for 8 h"),
        (Wanted { min_left: Some(hours(7)), ..plain }, "serve"),
        (Wanted { length: length(12, 12), ..plain }, "lead for 8 h"),
    ] {
        let host = Host::new(&world, &other.path);
        let mut part = host.part(&wanted, true);
        let got = match part.decide() {
            SessionDecision::Serve(Minted::Shared(record)) => {
                let made = record.made.seconds_since(Timestamp(NOON));
                assert!((-2..=1).contains(&made), "{wanted:?}: {made}");
                "serve".to_owned()
            }
            SessionDecision::Lead(least) => {
                format!("lead for {} h", least.unwrap().as_secs() / HOUR)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(got, turn, "{wanted:?}");
        assert_eq!(part.seen_generation(), 7);
        part.give_up();
        world.pass(1000);
    }
}

#[test]
fn while_one_host_renews_the_others_go_on_with_the_old_session() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let disks = [Directory::new(), Directory::new()];
    assert_eq!(Host::new(&world, &disks[0].path).session(&wanted(&key)), By::Itself);
    world.pass((8 * HOUR - 600) * 1000);
    let hosts = disks.each_ref().map(|disk| Host::new(&world, &disk.path));
    let wanted = wanted(&key);
    let mut renews = hosts[0].part(&wanted, true);
    assert!(matches!(renews.decide(), SessionDecision::Lead(Some(_))));
    assert_eq!(hosts[1].session(&wanted), By::Fleet);
    assert!(matches!(hosts[0].step(&mut renews), CodeDecision::Send(_)));
    let (Minted::Shared(new), None) = renews.made(hosts[0].eight_hours(), Some(hours(8)), 8) else {
        panic!("it ends, and is published");
    };
    let SessionDecision::Serve(Minted::Shared(served)) = hosts[1].part(&wanted, true).decide()
    else {
        panic!("it is there");
    };
    assert_eq!(served.ends, new.ends);
}

#[test]
fn a_leader_that_dies_is_waited_for_until_its_lease_ends() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let disks = [Directory::new(), Directory::new()];
    let hosts = disks.each_ref().map(|disk| Host::new(&world, &disk.path));
    let wanted = wanted(&key);
    let mut dies = hosts[0].part(&wanted, true);
    assert!(matches!(dies.decide(), SessionDecision::Lead(None)));
    assert!(matches!(hosts[0].step(&mut dies), CodeDecision::Send(_)));
    let began = world.seconds();
    assert_eq!(hosts[1].session(&wanted), By::Itself);
    assert!((15..18).contains(&(world.seconds() - began)), "{}", world.seconds());
    assert!(no_code_twice(&world));
    // One that gives up is not waited for.
    let other = ["b".to_owned()];
    let wanted = super::tests::wanted(&other);
    let mut gives_up = hosts[0].part(&wanted, true);
    assert!(matches!(gives_up.decide(), SessionDecision::Lead(None)));
    gives_up.give_up();
    let began = world.seconds();
    assert_eq!(hosts[1].session(&wanted), By::Itself);
    assert!(world.seconds() - began < 4);
}

#[test]
fn a_late_host_publishes_nothing_over_another_hosts_session() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let disks = [Directory::new(), Directory::new()];
    let hosts = disks.each_ref().map(|disk| Host::new(&world, &disk.path));
    let wanted = wanted(&key);
    let mut slow = hosts[0].part(&wanted, true);
    assert!(matches!(slow.decide(), SessionDecision::Lead(None)));
    assert!(matches!(hosts[0].step(&mut slow), CodeDecision::Send(_)));
    world.pass(20_000);
    assert_eq!(hosts[1].session(&wanted), By::Itself);
    let body = || match world.store.read(&hosts[0].keys.session_name(wanted.kind, &key), None) {
        Ok(Answer { what: Read::Found(object), .. }) => object.body,
        other => panic!("{other:?}"),
    };
    let before = body();
    assert!(matches!(slow.made(hosts[0].eight_hours(), None, 7), (Minted::Shared(_), None)));
    assert_eq!(body(), before);
}

#[test]
fn another_host_that_leads_for_long_is_waited_for_to_the_end_of_the_wait() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let d = Directory::new();
    let host = Host::new(&world, &d.path);
    let wanted = wanted(&key);
    let name = host.keys.session_name(wanted.kind, &key);
    let claim = SessionObject::Claim { nonce: [9; 16], lease: Duration::from_secs(90), old: None };
    let body = host.keys.seal_object(&name, &claim).unwrap();
    world.store.write(&name, &body, Condition::Absent).unwrap();
    let SessionDecision::Waited(waited) = host.part(&wanted, false).decide() else {
        panic!("it waits")
    };
    assert!((43..=45).contains(&waited.as_secs()), "{waited:?}");
    world.pass(60_000);
    assert!(matches!(host.part(&wanted, false).decide(), SessionDecision::Ask));
}

#[test]
fn closed_claims_are_left_alone_and_nothing_is_published() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let d = Directory::new();
    let host = Host::new(&world, &d.path);
    let name = host.keys.totp_claims_name(DEVICE);
    let body = host.keys.closed_totp_claims(&name).unwrap();
    world.store.write(&name, &body, Condition::Absent).unwrap();
    let by = host.session(&wanted(&key));
    assert_eq!(by, By::Alone("another host has renewed the vault's keys".to_owned()));
    let log = world.store.log.lock().unwrap();
    assert_eq!(log.iter().filter(|line| line.starts_with("PUT l/")).count(), 1, "{log:?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("PUT s/")).count(), 2, "{log:?}");
    drop(log);
    // Its claim is over: another host does not wait for the lease.
    let (d, before) = (Directory::new(), world.seconds());
    assert!(matches!(Host::new(&world, &d.path).session(&wanted(&key)), By::Alone(_)));
    assert!(world.seconds() < before + 4, "{} s", world.seconds() - before);
}

#[test]
fn what_cannot_be_opened_is_a_claim_in_s_and_ends_it_in_l() {
    let (world, key) = (World::new(&[]), ["a".to_owned()]);
    let d = Directory::new();
    let host = Host::new(&world, &d.path);
    let wanted = wanted(&key);
    world.store.write(&host.keys.session_name(wanted.kind, &key), b"?", Condition::Absent).unwrap();
    assert_eq!(host.session(&wanted), By::Itself);
    assert!(world.seconds() >= 15);
    let claims = host.keys.totp_claims_name(DEVICE);
    world.store.remove(&claims);
    world.store.write(&claims, b"?", Condition::Absent).unwrap();
    let again = Wanted { not_before: Some(Timestamp(NOON + 1000)), ..wanted };
    for other in [&Directory::new(), &Directory::new()] {
        let began = world.seconds();
        let by = Host::new(&world, &other.path).session(&again);
        assert_eq!(by, By::Alone("the record of MFA codes in the store is damaged".to_owned()));
        assert!(world.seconds() - began < 4, "{} s", world.seconds() - began);
    }
}

#[test]
fn six_codes_in_a_window_are_those_of_all_hosts_and_of_people_too() {
    let world = World::new(&[]);
    let mut waits = Vec::new();
    for host in 0..7 {
        let (d, key) = (Directory::new(), [host.to_string()]);
        let host = Host::new(&world, &d.path);
        let wanted = wanted(&key);
        let mut part = host.part(&wanted, true);
        assert!(matches!(part.decide(), SessionDecision::Lead(None)));
        if waits.len() < 3 {
            let note = |shared: &mut SharedClaims| {
                shared.note_given(Timestamp(NOON));
                Ok(((), Duration::ZERO))
            };
            assert!(matches!(part.claim_step(note, |()| {}).unwrap(), CodeDecision::Send(())));
            waits.push(0);
            continue;
        }
        let CodeDecision::Send(claim) = host.step(&mut part) else { panic!("it leads") };
        waits.push(claim.wait.as_secs());
    }
    assert_eq!(waits[..6], [0; 6]);
    assert!((170..=180).contains(&waits[6]), "{waits:?}");
    assert!(no_code_twice(&world));
}

#[test]
fn a_code_that_was_not_sent_is_free_again_for_all() {
    let world = World::new(&[]);
    for host in 0..8 {
        let (d, key) = (Directory::new(), [host.to_string()]);
        let host = Host::new(&world, &d.path);
        let wanted = wanted(&key);
        let mut part = host.part(&wanted, true);
        assert!(matches!(part.decide(), SessionDecision::Lead(None)));
        let CodeDecision::Send(claim) = host.step(&mut part) else { panic!("it leads") };
        assert_eq!(claim.wait, Duration::ZERO);
        part.unsent(|shared| claim.remove_from(shared));
        part.give_up();
    }
}
