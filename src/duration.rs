//! Durations with their units, as flags and variables give them.

use std::time::Duration;

use crate::error::{Error, Result};

/// Reads a duration with its unit, as aws-vault's flags take it: `30m`, `12h`, `1h30m`, `900s`.
///
/// # Errors
/// [`crate::error::Class::Usage`], with `what` naming the flag or variable: no unit, a sign, zero, or
/// anything else that is no duration.
pub fn parse_duration(text: &str, what: &str) -> Result<Duration> {
    let bad = || {
        Error::usage(format!("{what}: not a duration"))
            .hint("give a number with its unit, such as 30m, 12h or 1h30m")
    };
    let mut rest = text;
    let mut seconds: u64 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit = match rest.as_bytes().get(digits) {
            Some(b'h') => 3600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return Err(bad()),
        };
        seconds = number.checked_mul(unit).and_then(|n| seconds.checked_add(n)).ok_or_else(bad)?;
        rest = &rest[digits + 1..];
    }
    if seconds == 0 {
        return Err(bad());
    }
    Ok(Duration::from_secs(seconds))
}

/// A duration as [`parse_duration`] reads it: `1h30m`, `900s` as `15m`.
pub fn show_duration(duration: Duration) -> String {
    let (h, m, s) =
        (duration.as_secs() / 3600, duration.as_secs() / 60 % 60, duration.as_secs() % 60);
    [(h, "h"), (m, "m"), (s, "s")]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_a_unit() {
        assert_eq!(parse_duration("30m", "--duration").unwrap().as_secs(), 1800);
        assert_eq!(parse_duration("1h30m", "--duration").unwrap().as_secs(), 5400);
        for bad in ["", "0", "30", "-5m", "0s", "1x", "h", "1h30", "99999999999999999999h", " 1h"] {
            assert!(parse_duration(bad, "--duration").is_err(), "{bad}");
        }
        assert_eq!(show_duration(Duration::from_secs(5400)), "1h30m");
    }
}
