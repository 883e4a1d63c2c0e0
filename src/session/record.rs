//! One session as bytes, and when it is renewed.
//!
//! Three numbers (8 bytes each, big-endian): made, ends, last failed renewal; five texts, each prefixed by
//! its length (4 bytes): profile, access key id, secret, token, account; the requested duration in seconds,
//! where earlier versions have zeros or nothing; and zeros up to a multiple of 1 KiB, so that the file's
//! length does not reveal the profile's name.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::secret::Secret;

const STEP: usize = 1024;
/// Seconds before the end at which a session is renewed: botocore asks for new credentials then.
const RENEW_BEFORE: i64 = 15 * 60;
/// Seconds after a failed renewal in which the old session is served without another try.
const RETRY_AFTER: i64 = 60;

/// A cached session.
#[derive(Debug)]
pub struct Record {
    /// The profile that it was first made for.
    pub profile: String,
    /// Temporary credentials, with their `expiration`.
    pub credentials: Credentials,
    /// By this host's clock.
    pub made: Timestamp,
    pub ends: Timestamp,
    /// When renewal last failed.
    pub failed: Option<Timestamp>,
    /// The requested duration, if sessions of one name may differ in it; an earlier version did not record it.
    pub length: Option<Duration>,
}

/// Whether a stored session can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    Fresh,
    /// It is valid, but one process or host should renew it.
    Due,
    /// It is valid, but was made before the time that is wanted.
    TooOld,
    /// It is valid, but its duration is shorter than wanted.
    TooShort,
    Expired,
}

impl Record {
    /// The refresh rule: a session is due for renewal when less than 15 minutes or a quarter of its duration
    /// is left, whichever is shorter, or less than `min_left` (`AWS_MIN_TTL`) if that is set. After a failed
    /// renewal it is served for a minute.
    pub(super) fn freshness(&self, now: Timestamp, min_left: Option<Duration>) -> Freshness {
        let left = self.ends.seconds_since(now);
        let length = self.ends.seconds_since(self.made).max(0);
        let wanted = match min_left {
            Some(least) => i64::try_from(least.as_secs()).unwrap_or(i64::MAX),
            None => RENEW_BEFORE.min(length / 4),
        };
        let tried = self.failed.map(|failed| now.seconds_since(failed));
        if left <= 0 {
            Freshness::Expired
        } else if left >= wanted || tried.is_some_and(|ago| (0..RETRY_AFTER).contains(&ago)) {
            Freshness::Fresh
        } else {
            Freshness::Due
        }
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let texts = [
            self.profile.as_str(),
            &self.credentials.access_key_id,
            self.credentials.secret_access_key.expose(),
            self.credentials.session_token.as_ref().map_or("", Secret::expose),
            self.credentials.account_id.as_deref().unwrap_or_default(),
        ];
        let length = self.length.map_or(0, |length| length.as_secs());
        encode(&[self.made, self.ends, self.failed.unwrap_or(NEVER)], &texts, &length.to_be_bytes())
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let (made, ends, failed) = (time(bytes)?, time(bytes)?, time(bytes)?);
        let mut text = || text(bytes);
        let profile = text()?;
        let access_key_id = text()?;
        let secret_access_key = Secret::new(text()?);
        let session_token = Some(text()?).filter(|text| !text.is_empty()).map(Secret::new);
        let account_id = Some(text()?).filter(|text| !text.is_empty());
        let length = split(bytes).map_or(0, |seconds| u64::from_be_bytes(*seconds));
        Some(Self {
            profile,
            credentials: Credentials {
                access_key_id,
                secret_access_key,
                session_token,
                expiration: Some(ends),
                account_id,
            },
            made,
            ends,
            failed: Some(failed).filter(|failed| *failed != NEVER),
            length: (length > 0).then(|| Duration::from_secs(length)),
        })
    }
}

const NEVER: Timestamp = Timestamp(i64::MIN);

/// The content of a file: numbers, texts, and further bytes, padded.
pub(super) fn encode(times: &[Timestamp], texts: &[&str], more: &[u8]) -> Zeroizing<Vec<u8>> {
    let texts_length = texts.iter().map(|text| 4 + text.len()).sum::<usize>();
    let length = times.len() * 8 + texts_length + more.len();
    let padded = length.next_multiple_of(STEP);
    let mut bytes = Zeroizing::new(Vec::with_capacity(padded));
    for time in times {
        bytes.extend_from_slice(&time.0.to_be_bytes());
    }
    for text in texts {
        // An answer of AWS does not have gigabytes; such a file would not be read.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(more);
    bytes.resize(padded, 0);
    bytes
}

/// Reads a number from the front.
pub(super) fn time(bytes: &mut &[u8]) -> Option<Timestamp> {
    Some(Timestamp(i64::from_be_bytes(*split(bytes)?)))
}

/// Reads a text from the front.
pub(super) fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = u32::from_be_bytes(*split(bytes)?);
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

fn split<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(made: i64, ends: i64) -> Record {
        Record {
            profile: "prod".to_owned(),
            credentials: Credentials {
                access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
                secret_access_key: Secret::new(
                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
                ),
                session_token: Some(Secret::new("IQoJ+/=".repeat(60))),
                expiration: Some(Timestamp(ends)),
                account_id: None,
            },
            made: Timestamp(made),
            ends: Timestamp(ends),
            failed: None,
            length: None,
        }
    }

    #[test]
    fn a_record_is_decoded_as_it_was_encoded() {
        for (account, failed) in [(None, None), (Some("123456789012"), Some(Timestamp(-1)))] {
            let mut record = record(1000, 4600);
            record.credentials.account_id = account.map(str::to_owned);
            record.failed = failed;
            record.length = failed.map(|_| Duration::from_secs(28_800));
            let bytes = record.encode();
            assert_eq!(bytes.len() % STEP, 0);
            let back = Record::decode(&bytes).unwrap();
            assert_eq!(back.profile, "prod");
            assert_eq!((back.made, back.ends), (Timestamp(1000), Timestamp(4600)));
            assert_eq!((back.failed, back.length), (failed, record.length));
            let (a, b) = (&record.credentials, &back.credentials);
            assert_eq!((&a.access_key_id, &a.account_id), (&b.access_key_id, &b.account_id));
            assert_eq!(a.secret_access_key.expose(), b.secret_access_key.expose());
            let token = |c: &Credentials| c.session_token.as_ref().unwrap().expose().to_owned();
            assert_eq!(token(a), token(b));
            assert_eq!(a.expiration, b.expiration);
        }
    }

    #[test]
    fn a_truncated_record_is_not_decoded() {
        let bytes = record(1000, 4600).encode();
        let texts = bytes.iter().rposition(|b| *b != 0).unwrap();
        for length in 0..=texts {
            assert!(Record::decode(&bytes[..length]).is_none(), "{length}");
        }
        let mut long = bytes.to_vec();
        long[24] = 0xff;
        assert!(Record::decode(&long).is_none());
    }

    #[test]
    fn a_record_of_an_earlier_version_has_no_length() {
        // Behind its texts were zeros, or nothing where they ended with a step.
        let old = record(1000, 4600).encode();
        let texts = old.iter().rposition(|b| *b != 0).unwrap() + 5;
        for bytes in [&old[..], &old[..texts], &old[..texts + 7]] {
            assert_eq!(Record::decode(bytes).unwrap().length, None);
        }
    }

    #[test]
    fn a_session_is_due_at_fifteen_minutes_or_a_quarter() {
        let standing = |length: i64, left: i64, min_left: Option<u64>| {
            record(0, length).freshness(Timestamp(length - left), min_left.map(Duration::from_secs))
        };
        for (length, left, min_left, expected) in [
            (28_800, 28_800, None, Freshness::Fresh),
            (28_800, 900, None, Freshness::Fresh),
            (28_800, 899, None, Freshness::Due),
            (28_800, 1, None, Freshness::Due),
            (28_800, 0, None, Freshness::Expired),
            (28_800, -5, None, Freshness::Expired),
            (900, 225, None, Freshness::Fresh),
            (900, 224, None, Freshness::Due),
            (3600, 600, Some(600), Freshness::Fresh),
            (3600, 599, Some(600), Freshness::Due),
            (3600, 1800, Some(3000), Freshness::Due),
            (3600, 1, Some(0), Freshness::Fresh),
            (3600, 0, Some(0), Freshness::Expired),
            (3600, 3600, Some(u64::MAX), Freshness::Due),
        ] {
            assert_eq!(standing(length, left, min_left), expected, "{length} {left} {min_left:?}");
        }
    }

    #[test]
    fn a_failed_renewal_is_not_repeated_for_a_minute() {
        let mut record = record(0, 3600);
        record.failed = Some(Timestamp(3000));
        for (now, expected) in [
            (2999, Freshness::Due),
            (3000, Freshness::Fresh),
            (3059, Freshness::Fresh),
            (3060, Freshness::Due),
            (3600, Freshness::Expired),
        ] {
            assert_eq!(record.freshness(Timestamp(now), None), expected, "{now}");
        }
        record.failed = Some(Timestamp(3599));
        assert_eq!(record.freshness(Timestamp(3600), None), Freshness::Expired);
    }

    #[test]
    fn extreme_numbers_do_not_panic() {
        for (made, ends) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
            for now in [i64::MIN, 0, i64::MAX] {
                let _ = record(made, ends).freshness(Timestamp(now), None);
            }
        }
    }
}
