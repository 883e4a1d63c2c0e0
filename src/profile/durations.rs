//! How long sessions and roles last: the flag, aws-vault's variables, the profile, and what AWS allows.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::settings::Settings;
use super::value::wrong_value;
use super::variables::{Variable, Variables};
use crate::duration::{parse_duration, show_duration};
use crate::error::{Error, Reason, Result};

/// A duration, with the name of what asked for it.
#[derive(Clone)]
pub(super) struct Asked {
    pub duration: Duration,
    by: String,
}

/// The flag that asks for one.
const FLAG: &str = "--duration";

/// What asks if nothing else does.
const DEFAULT: &str = "the default";

/// One hour: what AWS allows for a role from another role or session, and aws-vault's default.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What AssumeRole takes (AWS STS API reference: 900 s to 12 h).
pub(super) const ROLE_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(900)..=Duration::from_secs(43_200);

/// What GetSessionToken takes (AWS STS API reference: 900 s to 36 h).
pub(super) const SESSION_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(900)..=Duration::from_secs(129_600);

impl Asked {
    fn new(duration: Duration, by: impl Into<String>) -> Self {
        Self { duration, by: by.into() }
    }

    /// What a variable asks for, if it is set.
    pub fn by_variable(variable: &Variable) -> Result<Option<Self>> {
        let Some(text) = variable.text()? else { return Ok(None) };
        Ok(Some(Self::new(parse_duration(text, variable.name)?, variable.name)))
    }

    /// What `--duration` asks for.
    pub fn by_flag(duration: Duration) -> Self {
        Self::new(duration, FLAG)
    }

    /// The duration if nothing asks for one.
    pub fn by_default(duration: Duration) -> Self {
        Self::new(duration, DEFAULT)
    }

    /// True unless this is the default.
    pub fn is_asked_for(&self) -> bool {
        self.by != DEFAULT
    }

    /// The duration, if AWS would take it.
    pub fn within(&self, what: &str, range: RangeInclusive<Duration>) -> Result<Duration> {
        let Self { duration, by } = self;
        if range.contains(duration) {
            return Ok(*duration);
        }
        let [least, most, asked] =
            [range.start(), range.end(), duration].map(|it| show_duration(*it));
        let error =
            Error::usage(format!("{by}: AWS gives {what} for {least} to {most}, not for {asked}"));
        Err(if by == FLAG { error.because(Reason::CommandLine) } else { error })
    }
}

/// aws-vault's variables for durations. All of them are read, so that an invalid one is never ignored.
pub(super) struct Durations {
    /// For a session of a profile's own key: aws-vault's default is an hour.
    pub session: Asked,
    /// For a session that several profiles may share: aws-vault's default is 8 hours.
    pub chained: Asked,
    role: Option<Asked>,
}

impl Durations {
    /// Reads them.
    pub fn of(variables: &Variables) -> Result<Self> {
        let session = Asked::by_variable(&variables.session_token_ttl)?;
        let chained = Asked::by_variable(&variables.chained_session_token_ttl)?;
        Ok(Self {
            session: session.unwrap_or_else(|| Asked::by_default(HOUR)),
            chained: chained.unwrap_or_else(|| Asked::by_default(HOUR * 8)),
            role: Asked::by_variable(&variables.assume_role_ttl)?,
        })
    }

    /// For a role: the variable, then the profile's `duration_seconds`, then an hour.
    pub fn role(&self, settings: &Settings) -> Result<Asked> {
        if let Some(asked) = &self.role {
            return Ok(asked.clone());
        }
        let Some((text, by)) = settings.named("duration_seconds") else {
            return Ok(Asked::by_default(HOUR));
        };
        // Digits alone: Rust's own parse would take a sign.
        match text.parse::<u64>() {
            Ok(seconds) if seconds > 0 && text.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Asked::new(Duration::from_secs(seconds), by))
            }
            _ => Err(wrong_value(&by, "not a number of seconds", text)),
        }
    }
}
