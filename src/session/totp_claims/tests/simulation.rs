//! A host with its ledger, its processes and its clock, and the device as AWS keeps it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::{NOON, since_start};

/// splitmix64: the same sequences at every run.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound.unsigned_abs()).cast_signed()
    }

    fn one_in(&mut self, bound: i64) -> bool {
        self.below(bound) == 0
    }
}

/// The device as AWS keeps it.
#[derive(Default)]
pub(super) struct Device {
    used: BTreeSet<i64>,
    verified: BTreeMap<i64, usize>,
}

impl Device {
    pub(super) fn takes(&mut self, step: i64, time: i64) -> bool {
        let verified = self.verified.entry(time.div_euclid(180)).or_default();
        *verified += 1;
        *verified <= 9 && (step - time.div_euclid(30)).abs() <= 2 && self.used.insert(step)
    }

    /// True if its codes of this window are used up.
    pub(super) fn is_locked(&self, time: i64) -> bool {
        self.verified.get(&time.div_euclid(180)).is_some_and(|verified| *verified > 9)
    }
}

/// A process that wants one code taken, and sends three at most.
struct Process {
    /// The clock's error, once an answer of AWS showed it.
    known_error: Option<i64>,
    codes: u32,
    doing: Doing,
}

enum Doing {
    /// It claims as soon as it comes to it.
    Claims,
    /// It has a step, and sends its code at that time.
    Waits(i64, i64),
    /// The code is under way, arrives at that time, and its answer may get lost.
    Flies(i64, i64, bool),
}

/// What happens to the host's clock.
#[derive(Clone, Copy, Debug)]
enum HostClock {
    LeftAlone,
    /// Now and then, by seconds, minutes or hours.
    SetAtRandom,
    /// Forwards and back again, by so many seconds, and so often.
    Swings {
        by: i64,
        every: i64,
    },
    /// Another time at every look.
    Mad,
    /// At twice the speed, or backwards.
    Runs {
        backwards: bool,
    },
}

/// One host with one ledger, and what happens on it.
struct World {
    random: Random,
    time: i64,
    /// The host's clock minus the true time.
    error: i64,
    was_set: bool,
    claims: TotpClaims,
    device: Device,
    sent: BTreeSet<i64>,
    processes: Vec<Process>,
    taken: usize,
}

impl World {
    fn new(seed: u64, error: i64) -> Self {
        let mut random = Random(seed);
        let time = NOON + random.below(86_400);
        Self {
            random,
            time,
            error,
            was_set: false,
            claims: TotpClaims::default(),
            device: Device::default(),
            sent: BTreeSet::new(),
            processes: Vec::new(),
            taken: 0,
        }
    }

    /// Claims with a deadline of 50 s, or returns how long to wait.
    fn claim(&mut self, known_error: Option<i64>, codes: u32) -> Result<(i64, i64), i64> {
        let local = self.time + self.error;
        let steady = since_start(self.time - NOON);
        let now = Times { corrected: local - known_error.unwrap_or(0), local, steady };
        let selection = match (codes, self.random.one_in(2)) {
            (1, true) => Selection::Nearest,
            (2 | 3, true) => {
                Selection::AfterRefusal { last: codes == 3, reach: 45, random: self.random.next() }
            }
            _ => Selection::Random(self.random.next()),
        };
        let claimed = self.claims.next(30, now, selection);
        let wait = claimed.at - now.corrected;
        assert!((0..=1920).contains(&wait), "wait {wait}");
        if wait > 45 {
            return Err(wait);
        }
        self.claims.insert(claimed);
        Ok((claimed.step, self.time + wait))
    }

    fn send(&mut self, step: i64) {
        assert!(self.sent.insert(step), "the code of step {step} was sent twice");
    }

    /// One second of one process; false when it has ended.
    fn go_on(&mut self, process: &mut Process) -> bool {
        if let Doing::Claims = process.doing {
            if process.codes == 3 {
                return false;
            }
            process.codes += 1;
            match self.claim(process.known_error, process.codes) {
                Ok((step, at)) => process.doing = Doing::Waits(step, at),
                Err(_) => return false,
            }
        }
        if let Doing::Waits(step, at) = process.doing
            && at <= self.time
        {
            self.send(step);
            let arrives = self.time + self.random.below(5);
            process.doing = Doing::Flies(step, arrives, self.random.one_in(8));
        }
        if let Doing::Flies(step, arrives, lost) = process.doing
            && arrives <= self.time
        {
            let taken = self.device.takes(step, self.time);
            self.taken += usize::from(taken);
            if self.error == 0 && !self.was_set {
                assert!(
                    taken,
                    "a code was refused although all share a ledger and the clock is right"
                );
            }
            if taken && !lost {
                return false;
            }
            if !lost {
                process.known_error = Some(self.error);
            }
            process.doing = Doing::Claims;
        }
        true
    }

    /// How wrong the clock is in this second.
    fn error_now(&mut self, clock: HostClock) -> i64 {
        match clock {
            HostClock::LeftAlone => self.error,
            HostClock::SetAtRandom if self.random.one_in(300) => {
                let range = [20, 300, 10_000][self.random.below(3) as usize];
                self.random.below(2 * range) - range
            }
            HostClock::SetAtRandom => self.error,
            HostClock::Swings { by, every } => match (self.time / every) % 2 {
                0 => by,
                _ => -by,
            },
            HostClock::Mad => self.random.below(1000) - 500,
            HostClock::Runs { backwards: false } => self.time - NOON,
            HostClock::Runs { backwards: true } => -2 * (self.time - NOON),
        }
    }

    /// Minutes of starts, crashes and answers, and of what the clock does.
    fn live(&mut self, seconds: i64, clock: HostClock) {
        let often = 2 + self.random.below(40);
        for _ in 0..seconds {
            self.time += 1;
            if self.random.one_in(often) {
                for _ in 0..1 + self.random.below(6) {
                    let doing = Doing::Claims;
                    self.processes.push(Process { known_error: None, codes: 0, doing });
                }
            }
            if self.random.one_in(40) && !self.processes.is_empty() {
                let crashed = self.random.below(self.processes.len() as i64);
                self.processes.swap_remove(crashed as usize);
            }
            let error = self.error_now(clock);
            if error != self.error {
                self.error = error;
                self.was_set = true;
            }
            let mut processes = std::mem::take(&mut self.processes);
            processes.retain_mut(|process| self.go_on(process));
            self.processes = processes;
        }
    }

    /// After a while one process comes alone, and comes again after the given wait.
    fn some_process_succeeds(&mut self) {
        self.processes.clear();
        self.time += self.random.below(300);
        let from = self.time;
        let mut known_error = None;
        let mut codes = 0;
        while self.time < from + 1200 {
            match self.claim(known_error, codes % 3 + 1) {
                Err(wait) => self.time += wait,
                Ok((step, at)) => {
                    self.time = at;
                    self.send(step);
                    codes += 1;
                    if self.device.takes(step, self.time) {
                        return;
                    }
                    known_error = Some(self.error);
                    self.time += 1 + self.random.below(5);
                }
            }
        }
        panic!("nobody got through in twenty minutes, with {codes} codes");
    }

    /// The most codes that the device got in one of its windows.
    fn most_in_a_window(&self) -> usize {
        self.device.verified.values().copied().max().unwrap_or(0)
    }
}

#[test]
fn with_a_right_clock_every_code_is_taken_and_six_are_sent_in_a_window() {
    let mut taken = 0;
    for seed in 0..1000 {
        let mut world = World::new(seed, 0);
        world.live(500, HostClock::LeftAlone);
        assert!(world.most_in_a_window() <= PER_WINDOW, "seed {seed}");
        world.some_process_succeeds();
        taken += world.taken;
    }
    assert!(taken > 10_000, "{taken}: not much happened");
}

#[test]
fn with_a_wrong_clock_the_device_is_never_locked_and_no_code_sent_twice() {
    for seed in 0..1000 {
        let mut world = World::new(seed, 0);
        world.error = world.random.below(1200) - 600;
        world.live(500, HostClock::LeftAlone);
        assert!(world.most_in_a_window() <= AT_AWS, "seed {seed}");
        world.some_process_succeeds();
    }
}

#[test]
fn with_a_clock_that_is_set_again_and_again_no_code_is_sent_twice_and_some_process_succeeds() {
    for seed in 0..1000 {
        let mut world = World::new(seed, 0);
        world.live(1000, HostClock::SetAtRandom);
        assert!(world.most_in_a_window() <= AT_AWS, "seed {seed}");
        world.some_process_succeeds();
    }
}

#[test]
fn nine_codes_in_one_of_aws_s_windows_are_the_most_whatever_the_clock_does() {
    let swings = [3, 29, 47, 91, 181, 400];
    let swings = swings.into_iter().flat_map(|every| {
        [30, 61, 95, 180, 250, 3600, 86_400].map(|by| HostClock::Swings { by, every })
    });
    let (backwards, forwards) =
        (HostClock::Runs { backwards: true }, HostClock::Runs { backwards: false });
    let clocks = [HostClock::Mad, HostClock::SetAtRandom, backwards, forwards];
    let mut most = 0;
    for clock in swings.chain(clocks) {
        for seed in 0..30 {
            let mut world = World::new(seed, 0);
            world.error = world.random.below(1000) - 500;
            world.live(800, clock);
            assert!(world.most_in_a_window() <= AT_AWS, "{clock:?}, seed {seed}");
            most = most.max(world.most_in_a_window());
            world.some_process_succeeds();
            assert!(world.most_in_a_window() <= AT_AWS, "{clock:?}, seed {seed}, later");
        }
    }
    assert_eq!(most, AT_AWS, "the clocks were tame");
}
