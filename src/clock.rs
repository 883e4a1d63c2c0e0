//! Time as a value: a point in time, RFC 3339 text for it, and the clocks that are passed down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::date_time::{DateTime, Format};

use crate::os;

/// A point in time, in whole seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads RFC 3339, with any offset; fractions of a second are dropped (an expiry is then at most
    /// a second early, never late).
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::from_str(text, Format::DateTimeWithOffset).ok().map(|t| Self(t.secs()))
    }

    /// RFC 3339 in UTC, `2026-01-31T12:00:00Z`: what credential_process and AWS's tools read.
    pub fn to_rfc3339(self) -> String {
        // Out of range only beyond the year 9999.
        DateTime::from_secs(self.0).fmt(Format::DateTime).unwrap_or_default()
    }

    /// Seconds from `earlier` to this, negative if this lies before it.
    pub fn seconds_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This many seconds later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// A point in time by a clock that nobody can set, of this start of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Tells this start from others; 0 where /proc does not say.
    pub boot: i64,
    /// Seconds since then, without the time that the host slept.
    pub seconds: i64,
}

/// The clock. Code that needs the time is handed one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still, for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(at) }
    }

    /// Now. A system clock before 1970 reads as 1970.
    #[allow(clippy::disallowed_methods)] // the one place that may ask
    pub fn now(&self) -> Timestamp {
        self.fixed.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        })
    }

    /// Now, by the clock that nobody can set. One that stands still goes by its own time.
    pub fn steady(&self) -> Steady {
        match self.fixed {
            Some(at) => Steady { boot: 0, seconds: at.0 },
            None => Steady { boot: boot().unwrap_or_default(), seconds: os::monotonic_seconds() },
        }
    }
}

/// The first 8 bytes of random(4)'s boot_id.
fn boot() -> Option<i64> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).ok().map(u64::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_goes_on_and_knows_its_start() {
        let (first, second) = (Clock::system().steady(), Clock::system().steady());
        assert!(first.seconds > 0 && second.seconds >= first.seconds);
        assert_eq!(first.boot, second.boot);
        assert_ne!(first.boot, 0);
        assert_eq!(Clock::fixed(Timestamp(7)).steady(), Steady { boot: 0, seconds: 7 });
    }

    #[test]
    fn rfc3339_round_trip_and_offsets() {
        let t = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(t.to_rfc3339(), "2026-01-31T12:00:00Z");
        assert_eq!(Timestamp::parse("2026-01-31T13:00:00+01:00"), Some(t));
        assert_eq!(Timestamp::parse("2026-01-31T12:00:00.999Z"), Some(t));
        assert_eq!(Timestamp::parse("tomorrow"), None);
    }
}
