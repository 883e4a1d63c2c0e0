//! When a session is renewed. Time is a value here, so that a test can move it by days.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::credential::Credentials;

/// Renewal comes before botocore refreshes its credentials, which it does 15 minutes before their end.
const AHEAD: Duration = Duration::from_secs(20 * 60);
/// The pauses after failed renewals, in seconds.
const FIRST_PAUSE: u64 = 5;
const LONGEST_PAUSE: u64 = 60;

/// The session of one source, and when it is renewed.
#[derive(Debug)]
pub(super) struct Renewal {
    id: String,
    ends: Timestamp,
    /// How long a new session lasts.
    length: Duration,
    pause: u64,
    /// The end of the pause after a failed renewal.
    rest: Option<Timestamp>,
}

impl Renewal {
    pub(super) fn new(first: &Credentials, length: Duration) -> Self {
        let ends = first.expiration.unwrap_or(Timestamp(i64::MAX));
        Self { id: first.access_key_id.clone(), ends, length, pause: FIRST_PAUSE, rest: None }
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.ends
    }

    /// The time until the next renewal: 20 minutes before the end, or a third of the session's length,
    /// whichever is less.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let ahead = AHEAD.min(self.length / 3);
        let left = until(self.ends, now).saturating_sub(ahead);
        // A longer pause than the longest means that the clock was set back.
        let rest = self.rest.map(|rest| until(rest, now));
        left.max(rest.filter(|rest| rest.as_secs() <= LONGEST_PAUSE).unwrap_or_default())
    }

    /// How long a new session must last: longer than this one.
    pub(super) fn least(&self, now: Timestamp) -> Duration {
        until(self.ends, now) + Duration::from_secs(1)
    }

    /// Takes new credentials; false if they are the same ones again, which counts as a failure.
    pub(super) fn replaced_by(&mut self, now: Timestamp, credentials: &Credentials) -> bool {
        let ends = credentials.expiration.unwrap_or(Timestamp(i64::MAX));
        if credentials.access_key_id == self.id && ends <= self.ends {
            self.failed(now);
            return false;
        }
        // AWS may give less or more time than was asked for.
        self.length = until(ends, now);
        self.id.clone_from(&credentials.access_key_id);
        (self.ends, self.pause, self.rest) = (ends, FIRST_PAUSE, None);
        true
    }

    /// After a failed renewal the next one follows after a pause, and at the end of the session at the
    /// latest.
    pub(super) fn failed(&mut self, now: Timestamp) {
        let mut pause = Duration::from_secs(self.pause);
        let end = until(self.ends, now);
        if !end.is_zero() {
            pause = pause.min(end);
        }
        self.rest = Some(now.plus(pause));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(time.seconds_since(now)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const START: Timestamp = Timestamp(1_800_000_000);

    fn session(id: &str, ends: Timestamp) -> Credentials {
        let secret = Secret::new("secret".to_owned());
        Credentials { expiration: Some(ends), ..Credentials::long_term(id.to_owned(), secret) }
    }

    fn at(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    fn renewal(lasts: u64, length: u64) -> Renewal {
        Renewal::new(&session("ASIA1", at(lasts)), Duration::from_secs(length))
    }

    #[test]
    fn a_session_is_renewed_before_botocore_would_ask() {
        assert_eq!(renewal(3600, 3600).wait(START).as_secs(), 2400);
        assert_eq!(renewal(28_800, 28_800).wait(START).as_secs(), 28_800 - 1200);
        // The shortest that AWS gives.
        assert_eq!(renewal(900, 900).wait(START).as_secs(), 600);
        // A cached one that has little left: at once, in the background.
        assert_eq!(renewal(1000, 3600).wait(START).as_secs(), 0);
        assert_eq!(renewal(3600, 3600).least(at(2400)).as_secs(), 1201);
    }

    #[test]
    fn sessions_that_last_less_than_was_asked_for_are_renewed_in_their_own_time() {
        let mut renewal = renewal(6, 3600);
        assert!(renewal.replaced_by(START, &session("ASIA2", at(6))));
        assert_eq!(renewal.wait(START).as_secs(), 4);
    }

    #[test]
    fn renewals_are_retried_in_an_outage_until_the_very_end() {
        let mut renewal = renewal(3600, 3600);
        let mut now = at(2400);
        let mut tries = 0;
        // The cache returns the old ones: another process failed to renew them.
        while now < at(3600) {
            assert!(!renewal.replaced_by(now, &session("ASIA1", at(3600))));
            let wait = renewal.wait(now);
            assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
            now = now.plus(wait);
            tries += 1;
        }
        assert!((20..30).contains(&tries), "{tries}");
        assert_eq!(now, at(3600), "a try at the very end");
        renewal.failed(now);
        assert_eq!(renewal.wait(now).as_secs(), 60);
        assert!(renewal.replaced_by(at(3660), &session("ASIA2", at(7260))));
        assert_eq!(renewal.wait(at(3660)).as_secs(), 2400);
    }

    #[test]
    fn a_clock_that_jumps_is_followed() {
        let renewal = renewal(3600, 3600);
        assert_eq!(renewal.wait(at(100_000)).as_secs(), 0, "the machine slept");
        assert!(renewal.wait(Timestamp(0)).as_secs() > 1_000_000);
        assert_eq!(renewal.least(at(100_000)).as_secs(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_pause() {
        let mut renewal = renewal(3600, 3600);
        renewal.failed(at(100_000));
        assert_eq!(renewal.wait(at(100_000)).as_secs(), 5);
        assert_eq!(renewal.wait(at(3000)).as_secs(), 0);
    }
}
