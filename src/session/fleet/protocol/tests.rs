mod search;

use super::*;

type Protocol = super::Protocol<u8, &'static str>;
type Event = super::Event<u8, &'static str, u8>;
type Action = super::Action<u8, &'static str, u8>;

const OWN: Nonce = [1; 16];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A claim of another host, of this version and age.
fn claim(version: u8, age: Option<u64>, old: Option<(&'static str, Freshness)>) -> Event {
    let (nonce, lease, age) = ([2; 16], LEASE, age.map(seconds));
    Event::Read(Seen::Claim { version, nonce, lease, age, old })
}

fn own(version: u8) -> Event {
    let age = Some(Duration::ZERO);
    Event::Read(Seen::Claim { version, nonce: OWN, lease: LEASE, age, old: None })
}

fn record(version: u8, session: &'static str, freshness: Freshness) -> Event {
    Event::Read(Seen::Record { version, session, freshness })
}

fn missing() -> Event {
    Event::Read(Seen::Missing)
}

fn done(version: u8) -> Event {
    Event::Written(WriteResult::Done(version))
}

fn claims(over: Option<u8>, lease: u64, old: Option<&'static str>) -> Action {
    Action::Claim { over, lease: seconds(lease), old }
}

/// Goes through events at their times (seconds); the last action.
fn last(protocol: &mut Protocol, events: &[(u64, Event)]) -> Action {
    let actions: Vec<_> =
        events.iter().map(|(now, event)| protocol.on(event.clone(), seconds(*now))).collect();
    actions.into_iter().next_back().expect("an event")
}

/// What a host that has a code does in the end.
fn after(events: &[(u64, Event)]) -> Action {
    last(&mut Protocol::new(OWN, true), events)
}

#[test]
fn the_leader_claims_takes_a_step_notes_it_sends_it_and_publishes() {
    let mut protocol = Protocol::new(OWN, true);
    for (event, action) in [
        (missing(), claims(None, 15, None)),
        (done(1), Action::ReadTotpClaims),
        (Event::TotpClaims(Some(7), 0), Action::Take(0)),
        (Event::Taken(1, Duration::ZERO), Action::WriteTotpClaims { over: Some(7), claims: 1 }),
        (done(8), Action::Send),
        (Event::Made("new"), Action::Publish { over: 1, session: "new" }),
        (done(2), Action::Keep),
    ] {
        assert_eq!(protocol.on(event, Duration::ZERO), action);
    }
}

#[test]
fn what_is_served_and_what_is_replaced() {
    use Freshness::{Due, Expired, Fresh, TooOld, TooShort};
    let serve = Action::Serve("old");
    for (freshness, of_a_record, of_a_claim, of_a_stale_claim) in [
        (Fresh, serve.clone(), serve.clone(), serve.clone()),
        (Due, claims(Some(1), 15, Some("old")), serve, claims(Some(1), 15, Some("old"))),
        (TooOld, claims(Some(1), 15, Some("old")), Action::Wait, claims(Some(1), 15, Some("old"))),
        (
            TooShort,
            claims(Some(1), 15, Some("old")),
            Action::Wait,
            claims(Some(1), 15, Some("old")),
        ),
        (Expired, claims(Some(1), 15, None), Action::Wait, claims(Some(1), 15, None)),
    ] {
        let old = Some(("old", freshness));
        assert_eq!(after(&[(0, record(1, "old", freshness))]), of_a_record, "{freshness:?}");
        assert_eq!(after(&[(0, claim(1, Some(15), old))]), of_a_claim, "{freshness:?}");
        assert_eq!(after(&[(0, claim(1, Some(16), old))]), of_a_stale_claim, "{freshness:?}");
    }
}

#[test]
fn a_claim_is_over_by_the_stores_clock_or_when_it_was_watched_for_its_lease() {
    for age in [None, Some(0)] {
        let watched = [
            (3, claim(1, age, None)),
            (4, Event::Waited),
            (18, claim(1, age, None)),
            (18, Event::Waited),
            (19, claim(1, age, None)),
        ];
        assert_eq!(after(&watched[..3]), Action::Wait);
        assert_eq!(after(&watched), claims(Some(1), 15, None));
    }
    // Another claim begins to be watched when it is seen first.
    let other = [(0, claim(1, None, None)), (1, Event::Waited), (17, claim(2, None, None))];
    assert_eq!(after(&other), Action::Wait);
}

#[test]
fn after_a_wait_any_newer_record_is_served_and_never_the_declined_one() {
    for freshness in [Freshness::Due, Freshness::TooOld] {
        let newer =
            [(0, claim(1, None, None)), (1, Event::Waited), (1, record(2, "new", freshness))];
        assert_eq!(after(&newer), Action::Serve("new"));
        let declined = [
            (0, record(1, "old", Freshness::TooOld)),
            (0, Event::Written(WriteResult::Refused)),
            (1, Event::Waited),
            (1, record(1, "old", freshness)),
        ];
        assert_eq!(after(&declined), claims(Some(1), 15, Some("old")));
    }
    let short =
        [(0, claim(1, None, None)), (1, Event::Waited), (1, record(2, "b", Freshness::TooShort))];
    assert_eq!(after(&short), claims(Some(2), 15, Some("b")));
}

#[test]
fn without_a_code_nothing_is_claimed() {
    let ask = |event| Protocol::new(OWN, false).on(event, Duration::ZERO);
    assert_eq!(ask(missing()), Action::Ask);
    assert_eq!(ask(claim(1, Some(16), None)), Action::Ask);
    assert_eq!(ask(claim(1, Some(1), None)), Action::Wait);
    assert_eq!(ask(record(1, "old", Freshness::Fresh)), Action::Serve("old"));
    assert_eq!(ask(record(1, "old", Freshness::Due)), Action::Ask);
}

#[test]
fn whose_claim_was_not_answered_looks_whether_it_is_there() {
    let unknown = [(0, missing()), (1, Event::Written(WriteResult::Unknown))];
    assert_eq!(after(&unknown), Action::Read);
    for (event, action) in [
        (own(1), Action::ReadTotpClaims),
        (missing(), claims(None, 15, None)),
        (claim(1, Some(0), None), Action::Wait),
    ] {
        assert_eq!(after(&[&unknown[..], &[(1, event)]].concat()), action);
    }
}

/// Up to where the claims are to be written.
fn taken(wait: u64) -> Vec<(u64, Event)> {
    let step = Event::Taken(1, seconds(wait));
    vec![(0, missing()), (0, done(1)), (0, Event::TotpClaims(None, 0)), (0, step)]
}

#[test]
fn a_step_whose_write_was_not_answered_or_was_refused_is_not_sent() {
    for written in [WriteResult::Unknown, WriteResult::Refused, WriteResult::Again] {
        let events = [taken(0), vec![(0, Event::Written(written))]].concat();
        assert_eq!(after(&events), Action::ReadTotpClaims);
    }
}

#[test]
fn a_claim_is_written_again_to_hold_until_the_code_is_sent() {
    let events = |more: &[(u64, Event)]| after(&[taken(30), more.to_vec()].concat());
    let noted = (1, done(9));
    assert_eq!(events(std::slice::from_ref(&noted)), claims(Some(1), 39, None));
    assert_eq!(events(&[noted.clone(), (1, done(2))]), Action::Send);
    // Another host leads: the step is spent, and its code is not sent.
    let refused = (1, Event::Written(WriteResult::Refused));
    assert_eq!(events(&[noted.clone(), refused]), Action::Read);
    let unknown = (1, Event::Written(WriteResult::Unknown));
    assert_eq!(events(&[noted.clone(), unknown.clone()]), Action::Read);
    let other = (1, claim(5, Some(0), None));
    assert_eq!(events(&[noted.clone(), unknown.clone(), other]), Action::Wait);
    assert_eq!(events(&[noted, unknown, (30, own(2))]), Action::Send);
    // A claim that still holds is not written again, one that nearly ended is.
    let now = |at| after(&[taken(0), vec![(at, done(9))]].concat());
    assert_eq!(now(5), Action::Send);
    assert_eq!(now(6), claims(Some(1), 15, None));
}

#[test]
fn a_record_that_was_not_answered_is_written_again_over_the_own_claim_only() {
    let made = [(0, done(9)), (1, Event::Made("new")), (1, Event::Written(WriteResult::Unknown))];
    let events = [taken(0), made.to_vec()].concat();
    assert_eq!(after(&events), Action::Read);
    for (event, action) in [
        (own(1), Action::Publish { over: 1, session: "new" }),
        (claim(2, Some(0), None), Action::Keep),
        (record(2, "new", Freshness::Fresh), Action::Keep),
        (missing(), Action::Keep),
    ] {
        assert_eq!(after(&[&events[..], &[(1, event)]].concat()), action);
    }
}

#[test]
fn a_code_that_aws_does_not_take_is_followed_by_another_step() {
    let events = [taken(0), vec![(0, done(9)), (1, Event::CodeRefused)]].concat();
    assert_eq!(after(&events), Action::ReadTotpClaims);
}

#[test]
fn closed_claims_and_a_store_that_refuses_everything_end_it() {
    let closed = [(0, missing()), (0, done(1)), (0, Event::Closed)];
    assert_eq!(after(&closed), Action::GoAlone(AloneReason::Closed));
    // It refuses to replace an object that has not changed.
    let refused = Event::Written(WriteResult::Refused);
    for event in [missing(), record(1, "a", Freshness::Expired)] {
        let events = [(0, event.clone()), (0, refused.clone()), (1, Event::Waited), (1, event)];
        assert_eq!(
            after(&[&events[..], &[(1, refused.clone())]].concat()),
            Action::GoAlone(AloneReason::Refuses)
        );
    }
    // Others are faster each time.
    let mut protocol = Protocol::new(OWN, true);
    let end = (1..=TRIES).find(|version| {
        let round = [(0, record(*version, "a", Freshness::Expired)), (0, refused.clone())];
        let end = last(&mut protocol, &round) == Action::GoAlone(AloneReason::Refuses);
        protocol.on(Event::Waited, Duration::ZERO);
        end
    });
    assert_eq!(end, Some(TRIES));
}

#[test]
fn a_store_that_is_busy_is_asked_again_at_once_since_the_host_has_waited_already() {
    assert_eq!(after(&[(0, missing()), (1, Event::Written(WriteResult::Again))]), Action::Read);
}

#[test]
fn two_steps_at_most_are_spent_on_writes_without_an_answer() {
    let unknown = (0, Event::Written(WriteResult::Unknown));
    let again =
        [(0, Event::TotpClaims(None, 0)), (0, Event::Taken(1, Duration::ZERO)), unknown.clone()];
    let mut protocol = Protocol::new(OWN, true);
    let events = [taken(0), vec![unknown], again.to_vec()].concat();
    assert_eq!(last(&mut protocol, &events), Action::GoAlone(AloneReason::Silent));
    // Its claim ends, for the others.
    assert_eq!(protocol.give_up::<u8>(), Some(claims(Some(1), 0, None)));
}
