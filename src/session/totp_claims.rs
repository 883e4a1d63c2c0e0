//! Which code of an MFA device may be sent when. Plain numbers, no file and no clock, so that a test
//! can drive it through years.
//!
//! AWS takes the codes of the steps t−2 to t+2, each once, and verifies nine per device in each
//! UTC-aligned window of three minutes, good and bad; then it refuses even good ones until the window
//! ends. So no step is used twice, and six codes are sent per window. What was claimed counts as sent:
//! nobody knows what became of a process that died.
//!
//! Where AWS's windows lie is known only as well as the host's clock is. With one that is wrong, or is
//! set while codes are sent, two windows of six may lie in one of AWS's; so there are never more than nine
//! in three minutes and a bit, by the clock that nobody can set ([`Steady`]). That holds whatever the
//! other clock does, for all who share the book and the start of the host; of claims from elsewhere, only
//! the wall clock tells how long ago they were.

use crate::clock::Steady;

/// AWS's window in seconds.
const WINDOW: i64 = 180;
/// The codes that we send in one window; AWS verifies nine, and other hosts may send some too.
const PER_WINDOW: usize = 6;
/// The codes that AWS verifies in one window.
const AT_AWS: usize = 9;
/// A code may arrive so many seconds after it was to be sent: it then counts in the next window.
const LATE: i64 = 10;
/// Nobody waits longer than this (seconds) for a code: what lies further ahead is from a clock that
/// was wrong.
const AHEAD: i64 = 60;
/// The form of an encoded book. An earlier one had no number, and began with a step, in the millions.
const FORM: i64 = 2;
/// The claims that are remembered: more than ten windows' worth, whatever the clock did meanwhile.
const REMEMBERED: usize = 64;
/// Who has another code left lets those go first who have none: so many seconds.
const BEHIND: i64 = 2;
/// Steps that AWS takes before and after its own.
const EITHER_SIDE: i64 = 2;
/// 9999-12-31T23:59:59Z, as far as the program's times go.
const LAST: i64 = 253_402_300_799;

/// A step that belongs to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    /// The step whose code is sent.
    pub step: i64,
    /// When it is sent, in seconds, by the clock as AWS corrected it.
    pub at: i64,
    /// The same by this host's own clock, which may be wrong, and set at any time.
    pub local: i64,
    /// The same by the clock that nobody can set.
    pub steady: Steady,
}

impl Claimed {
    /// The same so many seconds later.
    fn later(self, seconds: i64) -> Self {
        let Self { step, at, local, steady: Steady { boot, seconds: since } } = self;
        let (at, local) = (at.saturating_add(seconds), local.saturating_add(seconds));
        let steady = Steady { boot, seconds: since.saturating_add(seconds) };
        Self { step, at, local, steady }
    }
}

/// Now, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since 1970, as AWS corrected it, as far as that is known.
    pub corrected: i64,
    /// Since 1970, by this host's own clock.
    pub local: i64,
    /// By the clock that nobody can set.
    pub steady: Steady,
}

impl Now {
    /// Within what the program's times go to.
    fn clamped(self) -> Self {
        let (corrected, local) = (self.corrected.clamp(0, LAST), self.local.clamp(0, LAST));
        Self { corrected, local, ..self }
    }

    /// A claim of a step that is sent at `at`, as AWS corrected it.
    fn claim(self, step: i64, at: i64) -> Claimed {
        let Self { corrected, local, steady } = self;
        Claimed { step, at: corrected, local, steady }.later(at - corrected)
    }
}

/// Which of several free steps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick {
    /// The one nearest to the present.
    Nearest,
    /// Any, by this random number: other hosts, whose books we do not see, prefer the nearest too.
    Random(u64),
    /// After a code that was refused, since hosts whose books we do not see are in the way.
    ///
    /// The last code is of a random step that AWS takes only later, so that nobody can have sent it
    /// yet; and where two of those can be waited for, the code before it is, two times in three, of
    /// the first of them, sent a little late, so that whoever has no code left comes first.
    ///
    /// Of four hosts that start at once all four get through 98.8 times in a hundred, three always
    /// (`hosts.rs`). Within three codes and 50 s there is not much more to be had: of two hosts that
    /// were refused twice, where only one step is to come in time, one must fail.
    AfterRefusal {
        /// No other code may follow.
        last: bool,
        /// Nobody waits longer, in seconds.
        reach: i64,
        /// A random number.
        random: u64,
    },
}

/// The latest claims on one device, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TotpClaims {
    claims: Vec<Claimed>,
}

impl TotpClaims {
    /// The first step that may be sent, and when: now, if there is a free one in AWS's window and the
    /// budget allows it.
    pub(super) fn next(&self, period: i64, now: Now, pick: Pick) -> Claimed {
        // Numbers that no clock shows would run into the edge of what can be counted.
        let period = period.clamp(1, 86_400);
        let now = now.clamped();
        let counted = self.counted(now);
        if let Pick::AfterRefusal { last, reach, random } = pick {
            let coming = self.coming(&counted, period, now, reach.clamp(0, WINDOW));
            let number = random / 3;
            let claimed = match &coming[..] {
                [first, _, ..] if !last && !random.is_multiple_of(3) => Some(first.later(BEHIND)),
                _ if last => one_of(&coming, number).copied(),
                _ => None,
            };
            return claimed.unwrap_or_else(|| self.next(period, now, Pick::Random(number)));
        }
        let mut at = now.corrected;
        // Finite: the book is, and beyond its last claim every step and window is free.
        loop {
            let local = now.local + (at - now.corrected);
            let full = full_until(&counted, at).or_else(|| crowded_until(&counted, at, local));
            if let Some(later) = full {
                at = later;
                continue;
            }
            let free = self.free(period, at);
            let chosen = match pick {
                Pick::Random(number) => one_of(&free, number),
                Pick::Nearest | Pick::AfterRefusal { .. } => free.first(),
            };
            match chosen {
                Some(step) => return now.claim(*step, at),
                None => at = next_beginning(period, at),
            }
        }
    }

    /// How many codes may still be sent in the present window, and when the next one (seconds, as AWS's
    /// clock was corrected).
    pub(super) fn left(&self, period: i64, now: Now) -> (usize, i64) {
        let now = now.clamped();
        let window = now.corrected.div_euclid(WINDOW);
        let counted = self.counted(now);
        let sent = counted.iter().filter(|c| c.at.div_euclid(WINDOW) == window).count();
        (PER_WINDOW.saturating_sub(sent), self.next(period, now, Pick::Nearest).at)
    }

    /// Writes a claim down. The oldest is forgotten.
    pub(super) fn note(&mut self, claimed: Claimed) {
        self.claims.push(claimed);
        let surplus = self.claims.len().saturating_sub(REMEMBERED);
        self.claims.drain(..surplus);
    }

    /// Strikes a claim out: its code never left this host.
    pub(super) fn strike(&mut self, claimed: Claimed) {
        self.claims.retain(|other| *other != claimed);
    }

    /// Adds what stands only in the other book.
    pub(super) fn add(&mut self, other: &TotpClaims) {
        for claimed in &other.claims {
            if !self.claims.contains(claimed) {
                self.note(*claimed);
            }
        }
    }

    /// Forgets all but the latest claims.
    pub(super) fn keep_latest(&mut self, count: usize) {
        let surplus = self.claims.len().saturating_sub(count);
        self.claims.drain(..surplus);
    }

    /// The form's number and five numbers a claim, 8 bytes each, big-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        let claims = self.claims.iter();
        let numbers = claims.flat_map(|c| [c.step, c.at, c.local, c.steady.boot, c.steady.seconds]);
        std::iter::once(FORM).chain(numbers).flat_map(i64::to_be_bytes).collect()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: Vec<i64> = numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect();
        let (claims, odd) = numbers.strip_prefix(&[FORM])?.as_chunks::<5>();
        if !rest.is_empty() || !odd.is_empty() || claims.len() > REMEMBERED {
            return None;
        }
        let claims = claims.iter().map(|&[step, at, local, boot, seconds]| Claimed {
            step,
            at,
            local,
            steady: Steady { boot, seconds },
        });
        Some(Self { claims: claims.collect() })
    }

    /// The steps that AWS takes at this time and nobody has claimed, the nearest first, and of two the
    /// earlier, which is lost sooner.
    fn free(&self, period: i64, at: i64) -> Vec<i64> {
        let present = at.div_euclid(period);
        [0, -1, 1, -2, 2]
            .into_iter()
            .map(|distance| present + distance)
            .filter(|step| *step >= 0 && (from(period, *step)..until(period, *step)).contains(&at))
            .filter(|step| self.claims.iter().all(|claimed| claimed.step != *step))
            .collect()
    }

    /// The unclaimed steps that AWS does not take yet but will within `reach` seconds, and when, as far
    /// as the budget allows.
    fn coming(&self, counted: &[Claimed], period: i64, now: Now, reach: i64) -> Vec<Claimed> {
        let first = next_beginning(period, now.corrected);
        let beginnings = std::iter::successors(Some(first), |at| Some(next_beginning(period, *at)));
        let claims = beginnings
            .take_while(|at| at - now.corrected <= reach)
            .map(|at| now.claim(at.div_euclid(period) + EITHER_SIDE, at));
        claims
            .filter(|new| self.claims.iter().all(|claimed| claimed.step != new.step))
            .filter(|new| full_until(counted, new.at).is_none())
            .filter(|new| crowded_until(counted, new.at, new.local).is_none())
            .collect()
    }

    /// The claims that count against the budget, now or later, in the present's terms: of a claim of this
    /// start of the host it is known how long ago it was, whatever its clock showed then. Of another, the
    /// wall clocks have to tell; one that lies far ahead by ours was made before that was set back, and
    /// when it really was sent nobody knows.
    fn counted(&self, now: Now) -> Vec<Claimed> {
        let counts = |ago: &i64| (-AHEAD..=WINDOW + LATE).contains(ago);
        let claims = self.claims.iter().filter_map(|claimed| {
            let since = now.steady.seconds.saturating_sub(claimed.steady.seconds);
            if claimed.steady.boot == now.steady.boot && since >= -AHEAD {
                let present = now.claim(claimed.step, now.corrected);
                return Some(since).filter(counts).map(|since| present.later(-since));
            }
            let ago = now.local.saturating_sub(claimed.local);
            Some(ago).filter(counts).map(|_| *claimed)
        });
        claims.collect()
    }
}

/// The one that a random number points at.
fn one_of<T>(all: &[T], number: u64) -> Option<&T> {
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    all.get(usize::try_from(number % count).unwrap_or_default())
}

/// The end of the window, if no more codes may be sent in it, or if what is sent so late may arrive in
/// the next one and find that full.
fn full_until(counted: &[Claimed], at: i64) -> Option<i64> {
    let window = |time: i64| time.div_euclid(WINDOW);
    let late = |time: i64| window(time.saturating_add(LATE));
    let full = |this: i64| {
        let sent = |c: &&Claimed| window(c.at) == this || late(c.at) == this;
        counted.iter().filter(sent).count() >= PER_WINDOW
    };
    (full(window(at)) || full(late(at))).then(|| (window(at) + 1) * WINDOW)
}

/// When an earlier claim is far enough away, if AWS may have got nine codes in three minutes, wherever
/// its windows lie by our clock.
fn crowded_until(counted: &[Claimed], at: i64, local: i64) -> Option<i64> {
    let span = WINDOW + LATE;
    let ago = |c: &Claimed| local.saturating_sub(c.local);
    let mut recent: Vec<i64> =
        counted.iter().map(ago).filter(|ago| (-AHEAD..span).contains(ago)).collect();
    recent.sort_unstable();
    let ninth = recent.get(AT_AWS - 1)?;
    Some(at + (span - ninth).max(1))
}

/// When the step's code may be sent first: a little after AWS begins to take it, since clocks agree to
/// a second at best.
fn from(period: i64, step: i64) -> i64 {
    (step - EITHER_SIDE) * period + margin(period)
}

/// When AWS takes the next step that it does not take yet.
fn next_beginning(period: i64, time: i64) -> i64 {
    ((time - margin(period)).div_euclid(period) + 1) * period + margin(period)
}

/// When it is too late for it: a call takes a while.
fn until(period: i64, step: i64) -> i64 {
    (step + EITHER_SIDE + 1) * period - margin(period)
}

/// 5 s of AWS's 30.
fn margin(period: i64) -> i64 {
    period / 6
}

#[cfg(test)]
mod hosts;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
