//! Time as a value: timestamps, their RFC 3339 text, and the clock that is passed to functions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::date_time::{DateTime, Format};

use crate::os;

/// A point in time, in whole seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Parses RFC 3339 with any offset. Fractions of a second are dropped, so that an expiry is at most a
    /// second early and never late.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::from_str(text, Format::DateTimeWithOffset).ok().map(|t| Self(t.secs()))
    }

    /// Reads what [`Timestamp::parse`] reads, and what programs for the AWS CLI print, which takes much more:
    /// a blank for the `T`, and `UTC`, `+0000` or `+00` for the offset. One without an offset is none that
    /// the AWS CLI could compare with its clock. Not by the crate dtparse, a port of what the AWS CLI uses: it
    /// brings chrono, and takes a day alone.
    pub fn parse_as_aws_cli(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let (day, time) = text.split_once(['T', ' '])?;
        let time = time.replace(' ', "");
        let end = time.find(|c: char| !(c.is_ascii_digit() || ":.".contains(c)))?;
        let (time, offset) = time.split_at(end);
        let offset = match (offset, offset.len()) {
            ("Z" | "UTC" | "GMT", _) => "Z".to_owned(),
            (offset, 3) => format!("{offset}:00"),
            (offset, 5) => format!("{}:{}", offset.get(..3)?, offset.get(3..)?),
            (offset, _) => offset.to_owned(),
        };
        Self::parse(&format!("{day}T{time}{offset}"))
    }

    /// RFC 3339 in UTC, `2026-01-31T12:00:00Z`, as credential_process and AWS's tools read it.
    pub fn to_rfc3339(self) -> String {
        // Fails only after the year 9999.
        DateTime::from_secs(self.0).fmt(Format::DateTime).unwrap_or_default()
    }

    /// Seconds from `earlier` to this, negative if this is before it.
    pub fn seconds_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This many seconds later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// A time by the monotonic clock of this boot, which cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Identifies the boot; 0 if /proc does not show it.
    pub boot: i64,
    /// Seconds since the boot, without the time that the host was suspended.
    pub seconds: i64,
}

/// The clock, which is passed to code that needs the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that does not advance, for tests.
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

    /// The present time by the monotonic clock; a fixed clock gives its own time.
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
    fn the_steady_clock_is_monotonic_and_identifies_the_boot() {
        let (first, second) = (Clock::system().steady(), Clock::system().steady());
        assert!(first.seconds > 0 && second.seconds >= first.seconds);
        assert_eq!(first.boot, second.boot);
        assert_ne!(first.boot, 0);
        assert_eq!(Clock::fixed(Timestamp(7)).steady(), Steady { boot: 0, seconds: 7 });
    }

    #[test]
    fn what_the_aws_cli_takes_is_taken() {
        let noon = Timestamp::parse("2026-01-31T12:00:00Z");
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00+0000",
            "2026-01-31T12:00:00UTC",
            "2026-01-31 12:00:00Z",
            "2026-01-31 12:00:00 UTC",
            "2026-01-31 12:00:00.123456+00:00",
            "2026-01-31 14:00:00 +0200",
            "2026-01-31T07:30:00-0430",
            "2026-01-31t12:00:00z",
            " 2026-01-31T13:00:00+01\n",
        ] {
            assert_eq!(Timestamp::parse_as_aws_cli(text), noon, "{text}");
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "tomorrow at 12:00Z",
            "2026-01-31T12:00:00 CET",
            "2026-01-31T12:00:00+é1",
        ] {
            assert_eq!(Timestamp::parse_as_aws_cli(text), None, "{text}");
        }
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
