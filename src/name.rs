//! The names that the user and AWS give to things, checked once where they come in.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};

/// The name of a profile: not empty, without control characters or surrounding blanks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

impl ProfileName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`]: empty, over 256 bytes, with control characters, `[`, `]` or a
    /// blank at an end. The name is not echoed: it might be a secret in the wrong place.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::usage("the profile name is empty"));
        }
        if name.len() > 256
            || name.chars().any(|c| c.is_control() || c == '[' || c == ']')
            || name.trim() != name
        {
            return Err(Error::usage("the profile name has characters that a profile cannot have"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The partition (`aws`, `aws-cn`, `aws-us-gov`, …) that an ARN names.
pub fn arn_partition(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.next() == Some("arn")).then(|| parts.next()).flatten().filter(|p| !p.is_empty())
}

/// True for an account's twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads a duration with its unit, as aws-vault's flags take it: `30m`, `12h`, `1h30m`, `900s`.
///
/// # Errors
/// [`crate::error::Class::Usage`], with `what` naming the flag or variable: no unit, a sign, zero, or
/// anything else that is no duration.
pub fn duration(text: &str, what: &str) -> Result<Duration> {
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

/// A duration as [`duration`] reads it: `1h30m`, `900s` as `15m`.
pub fn show_duration(duration: Duration) -> String {
    let (h, m, s) =
        (duration.as_secs() / 3600, duration.as_secs() / 60 % 60, duration.as_secs() % 60);
    [(h, "h"), (m, "m"), (s, "s")]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect()
}

/// The nearest to what was typed of these names, if a slip or two lead there: a letter that is missing, too
/// many, another, or in the place of its neighbour. A name of under six letters has one slip, one of under
/// three none.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).min(2);
    names
        .into_iter()
        .map(|name| (slips(&name.to_lowercase(), &typed.to_lowercase()), name))
        .filter(|(slips, _)| *slips <= most)
        .min()
        .map(|(_, name)| name)
}

/// Edits between two names (the optimal string alignment distance).
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut next = vec![i + 1];
        for j in 0..b.len() {
            let change = row[j] + usize::from(a[i] != b[j]);
            let mut least = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_two_lead_to_a_name() {
        let names = ["exec", "export", "mfa_serial", "ls", "prod"];
        for (typed, meant) in [
            ("exce", Some("exec")),
            ("exe", Some("exec")),
            ("exexc", Some("exec")),
            ("Exec", Some("exec")),
            ("exprot", Some("export")),
            ("mfa_serail", Some("mfa_serial")),
            ("mfa-serail", Some("mfa_serial")),
            ("mfa-serails", None),
            ("prdo", Some("prod")),
            ("pdro", None),
            ("lx", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }

    #[test]
    fn durations_carry_a_unit() {
        assert_eq!(duration("30m", "--duration").unwrap().as_secs(), 1800);
        assert_eq!(duration("1h30m", "--duration").unwrap().as_secs(), 5400);
        for bad in ["", "0", "30", "-5m", "0s", "1x", "h", "1h30", "99999999999999999999h", " 1h"] {
            assert!(duration(bad, "--duration").is_err(), "{bad}");
        }
        assert_eq!(show_duration(Duration::from_secs(5400)), "1h30m");
    }

    #[test]
    fn partitions() {
        assert_eq!(arn_partition("arn:aws-cn:iam::123456789012:role/x"), Some("aws-cn"));
        assert_eq!(arn_partition("role/x"), None);
    }

    #[test]
    fn profile_names() {
        assert!(ProfileName::new("prod-1/eu").is_ok());
        for bad in ["", " a", "a\n", "[x]"] {
            assert!(ProfileName::new(bad).is_err(), "{bad:?}");
        }
    }
}
