//! Which code of an MFA device may be sent when. Numbers only, without a file or a clock, so that a test
//! can simulate years.
//!
//! AWS accepts the codes of the steps t−2 to t+2, each once, and verifies nine per device in each UTC-aligned
//! window of three minutes, valid and invalid; after that it refuses even valid ones until the window ends.
//! So no step is used twice, and six codes are sent per window. A claimed code counts as sent, since a
//! process that died may have sent it.
//!
//! Where AWS's windows begin is known only as exactly as the host's clock. If that is wrong, or is set while
//! codes are sent, two windows of six may fall into one of AWS's; so at most nine are sent in slightly more
//! than three minutes by the monotonic clock ([`Steady`]). That holds whatever the wall clock does, for all
//! processes that share the ledger and the boot; the age of other claims is known only by the wall clock.

use crate::clock::Steady;

/// AWS's window in seconds.
const WINDOW: i64 = 180;
/// The most codes that are sent in one window; AWS verifies nine, and other hosts may send some too.
const PER_WINDOW: usize = 6;
/// The codes that AWS verifies in one window.
const AT_AWS: usize = 9;
/// The most seconds by which a code arrives late; it may then count in the next window.
const DELAY: i64 = 10;
/// The longest wait for a code, in seconds: a claim further in the future is from a wrong clock.
const MAX_WAIT: i64 = 60;
/// The version of the encoding. An earlier one had no version and began with a step, in the millions.
const VERSION: i64 = 2;
/// The most claims that are stored: those of more than ten windows.
const STORED: usize = 64;
/// Seconds by which a process with another code left lets those without one go first.
const YIELD: i64 = 2;
/// The steps before and after the present one that AWS accepts.
const TOLERANCE: i64 = 2;
/// 9999-12-31T23:59:59Z, the latest time that the program handles.
const LATEST: i64 = 253_402_300_799;

/// In place of another host's monotonic clock. No host counts by it: see [`TotpClaims::counted`].
const NO_BOOT: Steady = Steady { boot: i64::MIN, seconds: 0 };

/// A step that one process has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    /// The step whose code is sent.
    pub step: i64,
    /// When it is sent, in seconds since 1970, corrected by AWS's clock.
    pub at: i64,
    /// The same time by this host's clock, which may be wrong and may be set.
    pub local: i64,
    /// The same time by the monotonic clock.
    pub steady: Steady,
}

impl Claimed {
    /// The same step, sent so many seconds later.
    fn later(self, seconds: i64) -> Self {
        let Self { step, at, local, steady: Steady { boot, seconds: since } } = self;
        let (at, local) = (at.saturating_add(seconds), local.saturating_add(seconds));
        let steady = Steady { boot, seconds: since.saturating_add(seconds) };
        Self { step, at, local, steady }
    }
}

/// The present time by three clocks, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Since 1970, corrected by AWS's clock if that is known.
    pub corrected: i64,
    /// Since 1970, by this host's clock.
    pub local: i64,
    /// By the monotonic clock.
    pub steady: Steady,
}

impl Times {
    /// Limited to the times that the program handles.
    fn clamped(self) -> Self {
        let (corrected, local) = (self.corrected.clamp(0, LATEST), self.local.clamp(0, LATEST));
        Self { corrected, local, ..self }
    }

    /// A claim of a step that is sent at `at`, corrected by AWS's clock.
    pub(super) fn claim(self, step: i64, at: i64) -> Claimed {
        let Self { corrected, local, steady } = self;
        Claimed { step, at: corrected, local, steady }.later(at - corrected)
    }
}

/// How one of several free steps is selected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Selection {
    /// The one nearest to the present.
    Nearest,
    /// Any, by this random number: other hosts, whose ledgers are not known here, prefer the nearest too.
    Random(u64),
    /// After AWS refused a code, because hosts with other ledgers send the same ones.
    ///
    /// The last code is of a random future step, which no host can have sent yet. If there is time to wait
    /// for two future steps, the code before the last is, in two of three cases, of the first of them, sent
    /// slightly late, so that a host without another code comes first.
    ///
    /// If four hosts start at once, all four succeed in 98.8 % of the cases, three always (`tests/hosts.rs`). Three
    /// codes and 50 s do not allow much more: if two hosts were refused twice and only one future step is in
    /// time, one of them fails.
    AfterRefusal {
        /// True for the last code of this process.
        last: bool,
        /// The longest wait, in seconds.
        reach: i64,
        random: u64,
    },
}

/// The latest claims on one device, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TotpClaims {
    claims: Vec<Claimed>,
}

impl TotpClaims {
    /// The first step whose code may be sent, and when: now, if AWS accepts a free one and the limits allow
    /// it.
    pub(super) fn next(&self, period: i64, now: Times, selection: Selection) -> Claimed {
        // Extreme numbers would overflow.
        let period = period.clamp(1, 86_400);
        let now = now.clamped();
        let counted = self.counted(now);
        if let Selection::AfterRefusal { last, reach, random } = selection {
            let coming = self.coming(&counted, period, now, reach.clamp(0, WINDOW));
            let number = random / 3;
            let claimed = match &coming[..] {
                [first, _, ..] if !last && !random.is_multiple_of(3) => Some(first.later(YIELD)),
                _ if last => one_of(&coming, number).copied(),
                _ => None,
            };
            return claimed.unwrap_or_else(|| self.next(period, now, Selection::Random(number)));
        }
        let mut at = now.corrected;
        // This ends: after the last claim every step and window is free.
        loop {
            let local = now.local + (at - now.corrected);
            let full = full_until(&counted, at).or_else(|| crowded_until(&counted, at, local));
            if let Some(later) = full {
                at = later;
                continue;
            }
            let free = self.free(period, at);
            let chosen = match selection {
                Selection::Random(number) => one_of(&free, number),
                Selection::Nearest | Selection::AfterRefusal { .. } => free.first(),
            };
            match chosen {
                Some(step) => return now.claim(*step, at),
                None => at = next_beginning(period, at),
            }
        }
    }

    /// How many codes may still be sent in the present window, and when the next one, in seconds since 1970,
    /// corrected by AWS's clock. If the next one is of a later window, none may be sent in this one.
    pub(super) fn left(&self, period: i64, now: Times) -> (usize, i64) {
        let now = now.clamped();
        let window = now.corrected.div_euclid(WINDOW);
        let next = self.next(period, now, Selection::Nearest).at;
        let left = match next < (window + 1) * WINDOW {
            true => PER_WINDOW.saturating_sub(sent_in(&self.counted(now), window)),
            false => 0,
        };
        (left, next)
    }

    /// Adds a claim, and drops the oldest one over the limit.
    pub(super) fn insert(&mut self, claimed: Claimed) {
        self.claims.push(claimed);
        self.keep_latest(STORED);
    }

    /// Adds a code of unknown step, which the user gave, under a negative number of its own.
    pub(super) fn share_given(&mut self, at: i64, date: i64) {
        let lowest = self.claims.iter().map(|claimed| claimed.step).min().unwrap_or_default();
        let step = lowest.min(0).saturating_sub(1);
        self.insert(Claimed { step, at, local: date, steady: NO_BOOT });
    }

    /// Removes a claim whose code was not sent, also one that was added by [`TotpClaims::share`].
    pub(super) fn remove(&mut self, claimed: Claimed) {
        self.claims.retain(|other| (other.step, other.at) != (claimed.step, claimed.at));
    }

    /// Adds the claims that only `other` has.
    pub(super) fn add(&mut self, other: &TotpClaims) {
        for claimed in &other.claims {
            if !self.claims.contains(claimed) {
                self.insert(*claimed);
            }
        }
    }

    /// Adds the claims of other hosts. Their `local` is the store's time, which is `date` now; their age by it
    /// is their age here. What is known already, as this host's own, is not added again; nor are those that
    /// are too old to matter, since they would displace others.
    pub(super) fn add_shared(&mut self, shared: &TotpClaims, date: i64, period: i64, now: Times) {
        let (period, now) = (period.clamp(1, 86_400), now.clamped());
        let present = now.corrected.div_euclid(period);
        let reach = WINDOW.unsigned_abs() / period.unsigned_abs() + 2 * TOLERANCE.unsigned_abs();
        for claimed in &shared.claims {
            let ago = date.saturating_sub(claimed.local);
            // By the step, too: the store's time may be wrong, and no code is sent twice over that.
            let matters = (-MAX_WAIT..=WINDOW + DELAY).contains(&ago)
                || claimed.step.saturating_sub(present).unsigned_abs() <= reach;
            let is_known = |known: &Claimed| (known.step, known.at) == (claimed.step, claimed.at);
            if matters && !self.claims.iter().any(is_known) {
                self.insert(Claimed { local: now.local.saturating_sub(ago), ..*claimed });
            }
        }
    }

    /// Adds a claim for other hosts: by the store's time, and without a clock that only this host knows.
    pub(super) fn share(&mut self, claimed: Claimed, date: i64, now: Times) {
        let local = date.saturating_add(claimed.at.saturating_sub(now.corrected));
        self.insert(Claimed { local, steady: NO_BOOT, ..claimed });
    }

    /// Drops all but the latest claims.
    pub(super) fn keep_latest(&mut self, count: usize) {
        let surplus = self.claims.len().saturating_sub(count);
        self.claims.drain(..surplus);
    }

    /// The version and five numbers per claim, 8 bytes each, big-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        let claims = self.claims.iter();
        let numbers = claims.flat_map(|c| [c.step, c.at, c.local, c.steady.boot, c.steady.seconds]);
        std::iter::once(VERSION).chain(numbers).flat_map(i64::to_be_bytes).collect()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: Vec<i64> = numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect();
        let (claims, odd) = numbers.strip_prefix(&[VERSION])?.as_chunks::<5>();
        if !rest.is_empty() || !odd.is_empty() || claims.len() > STORED {
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

    /// The unclaimed steps that AWS accepts at this time: the nearest first, and of two the earlier, which
    /// expires first.
    fn free(&self, period: i64, at: i64) -> Vec<i64> {
        let present = at.div_euclid(period);
        [0, -1, 1, -2, 2]
            .into_iter()
            .map(|distance| present + distance)
            .filter(|step| *step >= 0 && (from(period, *step)..until(period, *step)).contains(&at))
            .filter(|step| self.claims.iter().all(|claimed| claimed.step != *step))
            .collect()
    }

    /// The unclaimed steps that AWS will accept within `reach` seconds and not yet now, each with the time
    /// when the limits allow it.
    fn coming(&self, counted: &[Claimed], period: i64, now: Times, reach: i64) -> Vec<Claimed> {
        let first = next_beginning(period, now.corrected);
        let beginnings = std::iter::successors(Some(first), |at| Some(next_beginning(period, *at)));
        let claims = beginnings
            .take_while(|at| at - now.corrected <= reach)
            .map(|at| now.claim(at.div_euclid(period) + TOLERANCE, at));
        claims
            .filter(|new| self.claims.iter().all(|claimed| claimed.step != new.step))
            .filter(|new| full_until(counted, new.at).is_none())
            .filter(|new| crowded_until(counted, new.at, new.local).is_none())
            .collect()
    }

    /// The claims that count against the limits, with their times by the present clocks. The age of a claim
    /// of this boot is known by the monotonic clock, whatever the wall clock showed then. The age of another
    /// one is taken from the wall clock; if that is far in the future, the claim was made before the clock
    /// was set back, and its age is unknown.
    fn counted(&self, now: Times) -> Vec<Claimed> {
        let counts = |ago: &i64| (-MAX_WAIT..=WINDOW + DELAY).contains(ago);
        let claims = self.claims.iter().filter_map(|claimed| {
            let since = now.steady.seconds.saturating_sub(claimed.steady.seconds);
            if claimed.steady.boot == now.steady.boot && since >= -MAX_WAIT {
                let present = now.claim(claimed.step, now.corrected);
                return Some(since).filter(counts).map(|since| present.later(-since));
            }
            let ago = now.local.saturating_sub(claimed.local);
            Some(ago).filter(counts).map(|_| *claimed)
        });
        claims.collect()
    }
}

/// The element that a random number selects.
fn one_of<T>(all: &[T], number: u64) -> Option<&T> {
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    all.get(usize::try_from(number % count).unwrap_or_default())
}

/// The end of the window, if no more codes may be sent in it, or if a code that is sent this late may arrive
/// in the next one, which is full.
fn full_until(counted: &[Claimed], at: i64) -> Option<i64> {
    let full = |window: i64| sent_in(counted, window) >= PER_WINDOW;
    let window = at.div_euclid(WINDOW);
    (full(window) || full(late_window(at))).then(|| (window + 1) * WINDOW)
}

/// How many codes AWS may count in a window: those that are sent in it, and those that may arrive in it.
fn sent_in(counted: &[Claimed], window: i64) -> usize {
    let in_it = |c: &&Claimed| c.at.div_euclid(WINDOW) == window || late_window(c.at) == window;
    counted.iter().filter(in_it).count()
}

/// The window in which a code that is sent at this time arrives, if it is late.
fn late_window(at: i64) -> i64 {
    at.saturating_add(DELAY).div_euclid(WINDOW)
}

/// When the next code may be sent, if AWS may have received nine codes within three minutes, wherever its
/// windows begin.
fn crowded_until(counted: &[Claimed], at: i64, local: i64) -> Option<i64> {
    let span = WINDOW + DELAY;
    let ago = |c: &Claimed| local.saturating_sub(c.local);
    let mut recent: Vec<i64> =
        counted.iter().map(ago).filter(|ago| (-MAX_WAIT..span).contains(ago)).collect();
    recent.sort_unstable();
    let ninth = recent.get(AT_AWS - 1)?;
    Some(at + (span - ninth).max(1))
}

/// When the step's code may be sent first: slightly after AWS begins to accept it, since clocks agree to a
/// second at best.
fn from(period: i64, step: i64) -> i64 {
    (step - TOLERANCE) * period + margin(period)
}

/// When AWS begins to accept the next step.
fn next_beginning(period: i64, time: i64) -> i64 {
    ((time - margin(period)).div_euclid(period) + 1) * period + margin(period)
}

/// When it is too late to send the step's code, allowing for the duration of a call.
fn until(period: i64, step: i64) -> i64 {
    (step + TOLERANCE + 1) * period - margin(period)
}

/// 5 s of a period of 30 s.
fn margin(period: i64) -> i64 {
    period / 6
}

#[cfg(test)]
mod tests;
