//! All interleavings of a few hosts that share nothing but a store, with crashes, lost and late answers,
//! leases that end early and codes that AWS does not take: what [`Protocol`] does, in every order.

use std::collections::HashMap;
use std::time::Duration;

use super::super::*;

type Session = u8;
type Version = u8;
/// The steps that are taken, one bit each.
type Claims = u8;

/// The session from before, which is due.
const OLD: Session = 0;
/// One that a host makes.
const NEW: Session = 1;
/// A host's own nonce, and that of any other as it sees it: hosts are alike, so worlds in which they have
/// only changed places are one.
const OWN: Nonce = [1; 16];
const ANOTHERS: Nonce = [2; 16];
/// The first steps may be sent at once, the others in 20 s.
const AT_ONCE: u32 = 2;

/// What may go wrong so often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Faults {
    /// A host ends between any two requests.
    crash: u8,
    /// The answer to a write is lost; the write happened, or did not, or happens later.
    lost: u8,
    /// A lease ends before its leader is done.
    early: u8,
    /// AWS does not take a code.
    refused: u8,
}

impl Faults {
    fn sum(self) -> u8 {
        self.crash + self.lost + self.early + self.refused
    }
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The leaders keep no claims.
    NoTotpClaims,
    /// The claims are written without their condition.
    BlindTotpClaims,
    /// The store ignores all conditions.
    NoConditions,
    /// A record is written without its condition.
    BlindRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    SentTwice,
    TooManySessions,
    /// A record replaced something else than its host's claim.
    Overwritten,
    /// A host gave up the store, or went astray.
    Alone,
    /// From here, not all hosts can come to a session.
    Stuck,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Object {
    Missing,
    /// Of the host in this place.
    Claim {
        by: usize,
        over: bool,
        old: bool,
    },
    Record(Session),
}

/// A write to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Write {
    Session { over: Version, object: Object, by: usize },
    Claims { over: Version, claims: Claims },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Life {
    Running(Action<Version, Session, Claims>),
    /// It has a session, or is dead.
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    protocol: Protocol<Version, Session>,
    life: Life,
    /// The steps that it has taken, which its own disk keeps.
    own: Claims,
    /// The one that it took last.
    step: Claims,
}

/// A host by its number in [`Search::hosts`].
type HostState = u16;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    hosts: [HostState; 4],
    session: (Version, Object),
    claims: (Version, Claims),
    late: Option<Write>,
    sent: Claims,
    made: u8,
    left: Faults,
}

struct Search {
    broken: Broken,
    hosts: Vec<Host>,
    numbers: HashMap<Host, HostState>,
    fault: Option<Fault>,
}

impl Search {
    fn number(&mut self, host: Host) -> HostState {
        let next = HostState::try_from(self.hosts.len()).expect("few states of one host");
        *self.numbers.entry(host).or_insert_with_key(|host| {
            self.hosts.push(host.clone());
            next
        })
    }

    fn host(&self, world: &World, at: usize) -> &Host {
        &self.hosts[usize::from(world.hosts[at])]
    }

    fn is_running(&self, world: &World, at: usize) -> bool {
        matches!(self.host(world, at).life, Life::Running(_))
    }

    /// Writes, if the condition holds.
    fn write(&mut self, world: &mut World, write: Write) -> WriteResult<Version> {
        let broken = |of: &[Broken]| of.contains(&self.broken);
        match write {
            Write::Claims { .. } if broken(&[Broken::NoTotpClaims]) => WriteResult::Done(0),
            Write::Claims { over, claims } => {
                let blind = broken(&[Broken::BlindTotpClaims, Broken::NoConditions]);
                if world.claims.0 != over && !blind {
                    return WriteResult::Refused;
                }
                world.claims = (world.claims.0 + 1, claims);
                WriteResult::Done(world.claims.0)
            }
            Write::Session { over, object, by } => {
                let is_record = matches!(object, Object::Record(_));
                let blind =
                    broken(&[Broken::NoConditions]) || is_record && broken(&[Broken::BlindRecord]);
                if world.session.0 != over && !blind {
                    return WriteResult::Refused;
                }
                let own = matches!(world.session.1, Object::Claim { by: owner, .. } if owner == by);
                if is_record && !own && self.broken != Broken::NoConditions {
                    self.fault = Some(Fault::Overwritten);
                }
                world.session = (world.session.0 + 1, object);
                WriteResult::Done(world.session.0)
            }
        }
    }

    /// The world after a host got an answer.
    fn answered(&mut self, mut world: World, at: usize, event: Event<u8, u8, Claims>) -> World {
        let mut host = self.host(&world, at).clone();
        let is_claims = matches!(host.life, Life::Running(Action::WriteTotpClaims { .. }));
        if is_claims && event == Event::Written(WriteResult::Refused) {
            host.own &= !host.step;
        }
        let mut next = host.protocol.on(event, Duration::ZERO);
        // An action without a request takes no time; a wait ends at once: others may do anything meanwhile.
        host.life = loop {
            let event = match next {
                Action::Wait => Event::Waited,
                Action::Take(claims) => {
                    let step = (!(claims | host.own)).trailing_zeros();
                    (host.step, host.own) = (1 << step, host.own | 1 << step);
                    let wait = if step < AT_ONCE { 0 } else { 20 };
                    Event::Taken(claims | host.step, Duration::from_secs(wait))
                }
                Action::Serve(_) | Action::Keep => break Life::Over,
                // Its own disk says which codes it may send then.
                Action::GoAlone(AloneReason::Silent) if host.protocol.doubts == DOUBTS => {
                    break Life::Over;
                }
                Action::Ask | Action::GoAlone(_) => {
                    self.fault = Some(Fault::Alone);
                    break Life::Over;
                }
                action => break Life::Running(action),
            };
            next = host.protocol.on(event, Duration::ZERO);
        };
        if host.life == Life::Over {
            // Nothing else of it matters any more.
            host = Host::over();
        }
        world.hosts[at] = self.number(host);
        world
    }

    /// What may come of the request that a host makes.
    fn request(&mut self, world: World, at: usize, worlds: &mut Vec<World>) {
        let host = self.host(&world, at).clone();
        let Life::Running(action) = host.life else { return };
        let by = at;
        let write = match action {
            Action::Read => {
                let event = Event::Read(seen(world.session, at));
                return worlds.push(self.answered(world, at, event));
            }
            Action::ReadTotpClaims => {
                let (version, claims) = world.claims;
                let event = Event::TotpClaims((version > 0).then_some(version), claims);
                return worlds.push(self.answered(world, at, event));
            }
            Action::Send => return self.send(world, at, worlds),
            Action::Claim { over, old, .. } => {
                let object = Object::Claim { by, over: false, old: old.is_some() };
                Write::Session { over: over.unwrap_or(0), object, by }
            }
            Action::Publish { over, session } => {
                Write::Session { over, object: Object::Record(session), by }
            }
            Action::WriteTotpClaims { over, claims } => {
                Write::Claims { over: over.unwrap_or(0), claims }
            }
            other => unreachable!("no request: {other:?}"),
        };
        let mut done = world;
        let written = self.write(&mut done, write);
        worlds.push(self.answered(done, at, Event::Written(written)));
        if world.left.lost > 0 {
            let lost = |mut world: World| {
                world.left.lost -= 1;
                world
            };
            let late = World { late: Some(write), ..world };
            for world in [done, world, late] {
                worlds.push(self.answered(lost(world), at, Event::Written(WriteResult::Unknown)));
            }
        }
    }

    fn send(&mut self, mut world: World, at: usize, worlds: &mut Vec<World>) {
        let host = self.host(&world, at);
        let (step, makes) = (host.step, !host.is_for_a_code());
        if world.sent & step > 0 {
            self.fault = Some(Fault::SentTwice);
        }
        world.sent |= step;
        if world.left.refused > 0 {
            let mut refused = world;
            refused.left.refused -= 1;
            worlds.push(self.answered(refused, at, Event::CodeRefused));
        }
        world.made += u8::from(makes);
        worlds.push(self.answered(world, at, Event::Made(NEW)));
    }

    /// All that may happen next.
    fn next(&mut self, world: World) -> Vec<World> {
        let mut worlds = Vec::new();
        for at in (0..4).filter(|at| self.is_running(&world, *at)).collect::<Vec<_>>() {
            if world.left.crash > 0 {
                let mut crashed = world;
                crashed.left.crash -= 1;
                crashed.hosts[at] = self.number(Host::over());
                worlds.push(crashed);
            }
            self.request(world, at, &mut worlds);
        }
        if let Some(write) = world.late {
            let mut arrived = World { late: None, ..world };
            self.write(&mut arrived, write);
            worlds.push(arrived);
        }
        if let (version, Object::Claim { by, over: false, old }) = world.session {
            let mut ended = world;
            ended.session = (version, Object::Claim { by, over: true, old });
            if !self.is_running(&world, by) {
                worlds.push(ended);
            } else if world.left.early > 0 {
                ended.left.early -= 1;
                worlds.push(ended);
            }
        }
        worlds
    }

    /// Looks at every world that can be reached; their number.
    fn all(&mut self, start: World) -> Result<usize, Fault> {
        let budget = start.left;
        let mut numbers = HashMap::from([(start, 0_u32)]);
        let (mut worlds, mut from) = (vec![start], Vec::new());
        let mut at = 0;
        while let Some(world) = worlds.get(at).copied() {
            for next in self.next(world) {
                let used = budget.sum() - next.left.sum();
                if next.made > 1 + used && self.broken != Broken::NoConditions {
                    self.fault.get_or_insert(Fault::TooManySessions);
                }
                if let Some(fault) = self.fault {
                    return Err(fault);
                }
                let next = next.in_order();
                let number = *numbers.entry(next).or_insert_with(|| {
                    worlds.push(next);
                    u32::try_from(worlds.len() - 1).expect("few worlds")
                });
                from.push((number, u32::try_from(at).expect("few worlds")));
            }
            at += 1;
        }
        let all_done = |world: &World| (0..4).all(|at| !self.is_running(world, at));
        let ends = worlds.iter().map(all_done).collect();
        if leads_to(ends, from) { Ok(worlds.len()) } else { Err(Fault::Stuck) }
    }
}

impl Host {
    fn new() -> Self {
        let life = Life::Running(Action::Read);
        Self { protocol: Protocol::new(OWN, true), life, own: 0, step: 0 }
    }

    /// One that wants a code for something else.
    fn with_a_code() -> Self {
        Self {
            protocol: Protocol::for_code(OWN),
            life: Life::Running(Action::ReadTotpClaims),
            own: 0,
            step: 0,
        }
    }

    fn is_for_a_code(&self) -> bool {
        matches!(self.protocol.state, State::Sending(Claim { version: None, .. }))
    }

    fn over() -> Self {
        Self { life: Life::Over, ..Self::new() }
    }
}

impl World {
    /// The same world with its hosts in an order that depends on nothing but their states.
    fn in_order(mut self) -> Self {
        let owner = match self.session.1 {
            Object::Claim { by, .. } => Some(by),
            _ => None,
        };
        let late = match self.late {
            Some(Write::Session { by, .. }) => Some(by),
            _ => None,
        };
        let mut places = [0, 1, 2, 3];
        places.sort_by_key(|at| (self.hosts[*at], owner != Some(*at), late != Some(*at)));
        let new = |by: &mut usize| *by = places.iter().position(|old| old == by).expect("a place");
        if let Object::Claim { by, .. } = &mut self.session.1 {
            new(by);
        }
        if let Some(Write::Session { by: host, object, .. }) = &mut self.late {
            new(host);
            if let Object::Claim { by, .. } = object {
                new(by);
            }
        }
        self.hosts = places.map(|at| self.hosts[at]);
        self
    }
}

/// The object as the host in this place reads it.
fn seen((version, object): (Version, Object), at: usize) -> Seen<Version, Session> {
    match object {
        Object::Missing => Seen::Missing,
        Object::Record(session) => {
            let freshness = if session == OLD { Freshness::Due } else { Freshness::Fresh };
            Seen::Record { version, session, freshness }
        }
        Object::Claim { by, over, old } => Seen::Claim {
            version,
            nonce: if by == at { OWN } else { ANOTHERS },
            lease: LEASE,
            age: Some(if over { LEASE * 2 } else { Duration::ZERO }),
            old: old.then_some((OLD, Freshness::Due)),
        },
    }
}

/// True if from every world an end can be reached. `from`: each step backwards, from where it leads to where
/// it begins.
fn leads_to(mut ends: Vec<bool>, mut from: Vec<(u32, u32)>) -> bool {
    from.sort_unstable();
    let mut next: Vec<u32> =
        (0_u32..).zip(&ends).filter(|(_, end)| **end).map(|(n, _)| n).collect();
    while let Some(world) = next.pop() {
        let start = from.partition_point(|(to, _)| *to < world);
        for (_, before) in from[start..].iter().take_while(|(to, _)| *to == world) {
            if !std::mem::replace(&mut ends[*before as usize], true) {
                next.push(*before);
            }
        }
    }
    ends.iter().all(|end| *end)
}

/// Searches all that so many hosts may do; the number of worlds.
fn search(count: usize, start: Object, left: Faults, broken: Broken) -> Result<usize, Fault> {
    let hosts = [0, 1, 2, 3].map(|at| if at < count { Host::new() } else { Host::over() });
    search_of(hosts, start, left, broken)
}

fn search_of(all: [Host; 4], start: Object, left: Faults, broken: Broken) -> Result<usize, Fault> {
    let (hosts, numbers) = (Vec::new(), HashMap::new());
    let mut search = Search { broken, hosts, numbers, fault: None };
    let hosts = all.map(|host| search.number(host));
    let version = u8::from(start != Object::Missing);
    let (session, claims) = ((version, start), (0, 0));
    search.all(World { hosts, session, claims, late: None, sent: 0, made: 0, left })
}

const ONE_OF_EACH: Faults = Faults { crash: 1, lost: 1, early: 1, refused: 0 };

#[test]
fn of_three_hosts_none_sends_a_code_twice_or_is_stuck() {
    let worlds = search(3, Object::Missing, ONE_OF_EACH, Broken::Nothing).unwrap();
    assert!(worlds > 100_000, "{worlds}");
}

#[test]
fn of_three_hosts_that_renew_none_waits() {
    search(3, Object::Record(OLD), ONE_OF_EACH, Broken::Nothing).unwrap();
}

#[test]
fn of_three_hosts_one_of_which_hears_nothing_of_the_claims_none_is_stuck() {
    let left = Faults { lost: 2, ..Faults::default() };
    search(3, Object::Missing, left, Broken::Nothing).unwrap();
}

#[test]
fn of_four_hosts_none_sends_a_code_twice_or_is_stuck() {
    let none = Faults::default();
    for left in [
        Faults { crash: 1, lost: 1, ..none },
        Faults { early: 1, ..none },
        Faults { lost: 1, refused: 1, ..none },
    ] {
        search(4, Object::Missing, left, Broken::Nothing).unwrap();
    }
}

#[test]
fn a_code_for_something_else_is_sent_by_no_other_host() {
    let hosts = || [Host::new(), Host::new(), Host::with_a_code(), Host::over()];
    let (start, faults) = (Object::Missing, ONE_OF_EACH);
    search_of(hosts(), start, faults, Broken::Nothing).unwrap();
    for broken in [Broken::NoTotpClaims, Broken::BlindTotpClaims] {
        assert_eq!(search_of(hosts(), start, faults, broken), Err(Fault::SentTwice), "{broken:?}");
    }
}

#[test]
fn without_the_claims_or_their_condition_or_the_stores_a_code_is_sent_twice() {
    for broken in [Broken::NoTotpClaims, Broken::BlindTotpClaims, Broken::NoConditions] {
        let found = search(3, Object::Missing, ONE_OF_EACH, broken);
        assert_eq!(found, Err(Fault::SentTwice), "{broken:?}");
    }
}

#[test]
fn without_the_condition_of_a_record_another_hosts_claim_is_overwritten() {
    let found = search(3, Object::Missing, ONE_OF_EACH, Broken::BlindRecord);
    assert_eq!(found, Err(Fault::Overwritten));
}
