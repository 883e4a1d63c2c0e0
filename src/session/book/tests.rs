use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// 2026-01-31T12:00:00Z: the start of a window and of a step.
const NOON: i64 = 1_769_860_800;

fn at(seconds: i64) -> Now {
    Now { corrected: NOON + seconds, local: NOON + seconds }
}

/// Claims at a time after noon: the step as seen from noon's, and the wait.
fn claim(book: &mut Book, seconds: i64) -> (i64, i64) {
    let claimed = book.next(30, at(seconds), Pick::Nearest);
    book.note(claimed);
    (claimed.step - NOON / 30, claimed.at - NOON - seconds)
}

#[test]
fn the_present_step_comes_first_then_the_others_that_aws_takes_then_those_to_come() {
    let mut book = Book::default();
    let claims: Vec<_> = (0..6).map(|_| claim(&mut book, 10)).collect();
    assert_eq!(claims, [(0, 0), (-1, 0), (1, 0), (-2, 0), (2, 0), (3, 25)]);
}

#[test]
fn the_edges_of_what_aws_takes_are_left_alone() {
    // In the last seconds of a step the oldest one may be too old on arrival, in the first the newest
    // may come too early.
    let mut book = Book::default();
    let claims: Vec<_> = (0..4).map(|_| claim(&mut book, 57)).collect();
    assert_eq!(claims, [(1, 0), (0, 0), (2, 0), (3, 0)]);
    let mut book = Book::default();
    let claims: Vec<_> = (0..5).map(|_| claim(&mut book, 31)).collect();
    assert_eq!(claims, [(1, 0), (0, 0), (2, 0), (-1, 0), (3, 4)]);
}

#[test]
fn six_codes_are_sent_in_a_window_and_the_seventh_in_the_next() {
    let mut book = Book::default();
    for _ in 0..6 {
        claim(&mut book, 20);
    }
    // The claim of a step to come counts in the window in which it is sent.
    assert_eq!(claim(&mut book, 21), (6, 180 - 21));
    assert_eq!(claim(&mut book, 181), (5, 0));
}

#[test]
fn a_code_that_may_arrive_in_the_next_window_counts_there_too() {
    let mut book = Book::default();
    for _ in 0..4 {
        assert_eq!(claim(&mut book, 175).1, 0);
    }
    // Step 8 may be sent from 185 on, step 9 from 215 on; then six of this window are gone.
    assert_eq!(claim(&mut book, 180), (8, 5));
    assert_eq!(claim(&mut book, 181), (9, 34));
    assert_eq!(claim(&mut book, 182).1, 360 - 182);
}

#[test]
fn a_random_step_is_free_and_taken_now() {
    let mut book = Book::default();
    claim(&mut book, 10);
    let steps: BTreeSet<i64> = (0..40)
        .map(|number| book.next(30, at(11), Pick::Random(number)))
        .map(|claimed| (claimed.step - NOON / 30, claimed.at - NOON))
        .map(|(step, at)| if at == 11 { step } else { i64::MAX })
        .collect();
    assert_eq!(steps, BTreeSet::from([-2, -1, 1, 2]));
    for _ in 0..4 {
        claim(&mut book, 11);
    }
    let last = book.next(30, at(12), Pick::Random(u64::MAX));
    assert_eq!((last.step - NOON / 30, last.at - NOON), (3, 35));
}

/// After a refusal so many seconds after noon: the step as seen from noon's, and when it is sent.
fn after_refusal(book: &Book, seconds: i64, last: bool, random: u64) -> (i64, i64) {
    let pick = Pick::AfterRefusal { last, reach: 45, random };
    let claimed = book.next(30, at(seconds), pick);
    (claimed.step - NOON / 30, claimed.at - NOON)
}

#[test]
fn the_last_code_is_of_a_step_that_nobody_can_have_sent() {
    let steps = |book: &Book, seconds| -> BTreeSet<_> {
        (0..60).map(|random| after_refusal(book, seconds, true, random)).collect()
    };
    let mut book = Book::default();
    assert_eq!(steps(&book, 10), BTreeSet::from([(3, 35)]));
    assert_eq!(steps(&book, 4), BTreeSet::from([(2, 5), (3, 35)]));
    assert_eq!(steps(&book, 20), BTreeSet::from([(3, 35), (4, 65)]));
    book.note(Claimed { step: NOON / 30 + 3, at: NOON, local: NOON });
    assert_eq!(steps(&book, 20), BTreeSet::from([(4, 65)]));
    // None can be waited for: any that AWS takes now, or what can be had at all.
    book.note(Claimed { step: NOON / 30, at: NOON, local: NOON });
    let now = steps(&book, 10);
    assert_eq!(now, BTreeSet::from([-2, -1, 1, 2].map(|step| (step, 10))));
    for _ in 0..4 {
        claim(&mut book, 10);
    }
    assert!(steps(&book, 10).iter().all(|(_, at)| *at == 180), "the window is full");
}

#[test]
fn a_code_that_another_may_follow_waits_only_where_two_steps_are_to_come() {
    let book = Book::default();
    for random in 0..60 {
        assert_eq!(after_refusal(&book, 10, false, random).1, 10);
        let (step, at) = after_refusal(&book, 20, false, random);
        match random % 3 {
            0 => assert_eq!((at, step.abs() <= 2), (20, true)),
            _ => assert_eq!((step, at), (3, 35 + BEHIND)),
        }
    }
}

#[test]
fn odd_periods_and_odd_times_end_too() {
    for period in [i64::MIN, 0, 1, 5, 60, 3600, i64::MAX] {
        for time in [i64::MIN, -1, 0, 1, NOON, i64::MAX] {
            for local in [i64::MIN, 0, i64::MAX] {
                let mut book = Book::default();
                for n in 0..12 {
                    let pick = match n % 3 {
                        0 => Pick::Nearest,
                        1 => Pick::Random(n),
                        _ => Pick::AfterRefusal { last: n > 5, reach: i64::MAX, random: n },
                    };
                    let claimed = book.next(period, Now { corrected: time, local }, pick);
                    assert!(claimed.step >= 0 && claimed.at >= 0);
                    assert!(book.claims.iter().all(|c| c.step != claimed.step));
                    book.note(claimed);
                }
            }
        }
    }
}

#[test]
fn a_book_comes_back_as_it_went_and_forgets_the_oldest() {
    let mut book = Book::default();
    for number in 0..REMEMBERED as i64 + 3 {
        book.note(Claimed { step: number, at: number * 30, local: -number });
    }
    assert_eq!(book.claims.len(), REMEMBERED);
    assert_eq!(book.claims[0].step, 3);
    let bytes = book.encode();
    assert_eq!(Book::decode(&bytes), Some(book));
    assert_eq!(Book::decode(&bytes[1..]), None);
    assert_eq!(Book::decode(&bytes[8..]), None);
    assert_eq!(Book::decode(&[0; 24 * 65]), None);
    assert_eq!(Book::decode(&[]), Some(Book::default()));
}

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
    /// The clock's error, once an answer of AWS told it.
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

/// One host with one ledger, and what happens on it.
struct World {
    random: Random,
    time: i64,
    /// The host's clock minus the true time.
    error: i64,
    stepped: Vec<i64>,
    book: Book,
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
            stepped: Vec::new(),
            book: Book::default(),
            device: Device::default(),
            sent: BTreeSet::new(),
            processes: Vec::new(),
            taken: 0,
        }
    }

    /// Claims with a deadline of 50 s, or tells how long to stay away.
    fn claim(&mut self, known_error: Option<i64>, codes: u32) -> Result<(i64, i64), i64> {
        let local = self.time + self.error;
        let now = Now { corrected: local - known_error.unwrap_or(0), local };
        let pick = match (codes, self.random.one_in(2)) {
            (1, true) => Pick::Nearest,
            (2 | 3, true) => {
                Pick::AfterRefusal { last: codes == 3, reach: 45, random: self.random.next() }
            }
            _ => Pick::Random(self.random.next()),
        };
        let claimed = self.book.next(30, now, pick);
        let wait = claimed.at - now.corrected;
        assert!((0..=1920).contains(&wait), "wait {wait}");
        if wait > 45 {
            return Err(wait);
        }
        self.book.note(claimed);
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
            if self.error == 0 && self.stepped.is_empty() {
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

    /// Minutes of starts, crashes and answers, and steps of the clock.
    fn live(&mut self, seconds: i64, clock_steps: bool) {
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
            if clock_steps && self.random.one_in(300) {
                let range = [20, 300, 10_000][self.random.below(3) as usize];
                self.error = self.random.below(2 * range) - range;
                self.stepped.push(self.time);
            }
            let mut processes = std::mem::take(&mut self.processes);
            processes.retain_mut(|process| self.go_on(process));
            self.processes = processes;
        }
    }

    /// After a while one process comes alone, and comes again when it is told to.
    fn somebody_gets_through(&mut self) {
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

    /// The most codes that the device got in one of its windows. Where the clock was set in the window
    /// or while codes for it waited, nobody can know how many were sent before.
    fn most_in_a_window(&self) -> usize {
        let verified = self.device.verified.iter().filter(|(window, _)| {
            let known = **window * 180 - 60..**window * 180 + 180;
            !self.stepped.iter().any(|time| known.contains(time))
        });
        verified.map(|(_, count)| *count).max().unwrap_or(0)
    }
}

#[test]
fn with_a_right_clock_every_code_is_taken_and_six_are_sent_in_a_window() {
    let mut taken = 0;
    for seed in 0..1000 {
        let mut world = World::new(seed, 0);
        world.live(500, false);
        assert!(world.most_in_a_window() <= PER_WINDOW, "seed {seed}");
        world.somebody_gets_through();
        taken += world.taken;
    }
    assert!(taken > 10_000, "{taken}: not much happened");
}

#[test]
fn with_a_wrong_clock_the_device_is_never_locked_and_no_code_sent_twice() {
    for seed in 0..1000 {
        let mut world = World::new(seed, 0);
        world.error = world.random.below(1200) - 600;
        world.live(500, false);
        assert!(world.most_in_a_window() <= AT_AWS, "seed {seed}");
        world.somebody_gets_through();
    }
}

#[test]
fn with_a_clock_that_is_set_again_and_again_no_code_is_sent_twice_and_somebody_gets_through() {
    for seed in 0..1000 {
        let mut world = World::new(seed, 0);
        world.live(1000, true);
        assert!(world.most_in_a_window() <= AT_AWS, "seed {seed}");
        world.somebody_gets_through();
    }
}
