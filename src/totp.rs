//! TOTP (RFC 6238): a seed as people hand it on, and its codes. The hashing is totp-rs's.

use std::fmt;

use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A seed shorter than this many bits is taken, with a warning (RFC 4226, R6).
const GOOD_BITS: usize = 128;
/// The longest seed that is taken, in bytes. AWS gives 40.
const LONGEST: usize = 256;
/// Steps are at least and at most so many seconds long.
const PERIODS: std::ops::RangeInclusive<u64> = 10..=300;

/// What an authenticator app keeps for one device.
pub struct Seed(Totp);

impl Seed {
    /// Reads base32, in upper or lower case, with blanks, dashes or without padding, or an
    /// `otpauth://totp/…` URI. Also gives warnings, without the seed in them.
    /// Errors: usage (2): neither of the two, or parameters that are not supported. The seed is not echoed.
    pub fn parse(text: &Secret) -> Result<(Self, Vec<String>)> {
        let text = text.expose().trim();
        let is_uri = text.split_once(':').is_some_and(|(scheme, _)| {
            let scheme = scheme.to_ascii_lowercase();
            scheme.starts_with("otpauth")
        });
        let seed = if is_uri { from_uri(text)? } else { Self::of(text, "SHA1", 6, 30)? };
        let mut warnings = Vec::new();
        let bits = seed.0.secret().as_bytes().len() * 8;
        if bits < GOOD_BITS {
            warnings.push(format!("the seed has only {bits} bits, RFC 4226 requires {GOOD_BITS}"));
        }
        Ok((seed, warnings))
    }

    /// A seed from its parts: base32, `SHA1`, `SHA256` or `SHA512`, 6 or 8 digits, seconds of a step.
    pub fn of(base32: &str, algorithm: &str, digits: u8, period: u64) -> Result<Self> {
        let secret = decode(base32)?;
        let algorithm = algorithm
            .parse::<Algorithm>()
            .map_err(|_| Error::usage("the seed's algorithm is not SHA1, SHA256 or SHA512"))?;
        if !matches!(digits, 6 | 8) {
            return Err(Error::usage("the seed's codes have neither 6 nor 8 digits"));
        }
        if !PERIODS.contains(&period) {
            return Err(Error::usage(format!(
                "the seed's period is not between {} and {} seconds",
                PERIODS.start(),
                PERIODS.end()
            )));
        }
        // totp-rs's strict way refuses seeds under 128 bits, which services do hand out.
        let totp = Builder::new()
            .with_secret(secret)
            .with_algorithm(algorithm)
            .with_digits(digits)
            .with_step_duration(period)
            .build_noncompliant();
        Ok(Self(totp))
    }

    /// The code of a step (the number of periods since 1970).
    pub fn code(&self, step: u64) -> Secret {
        let time = step.saturating_mul(self.period());
        let token = Zeroizing::new(self.0.generate(time).to_string());
        Secret::new(token.as_str().to_owned())
    }

    /// The step of a point in time.
    pub fn step_at(&self, time: Timestamp) -> u64 {
        u64::try_from(time.0).unwrap_or_default() / self.period()
    }

    /// The length of a step in seconds.
    pub fn period(&self) -> u64 {
        self.0.step()
    }

    /// The length of a code: 6 or 8.
    pub fn digits(&self) -> u8 {
        self.0.digits()
    }

    /// `SHA1`, `SHA256` or `SHA512`.
    pub fn algorithm(&self) -> &'static str {
        match self.0.algorithm() {
            Algorithm::SHA256 => "SHA256",
            Algorithm::SHA512 => "SHA512",
            _ => "SHA1",
        }
    }

    /// The seed itself in base32: upper case, no padding.
    pub fn to_base32(&self) -> Secret {
        Secret::new(self.0.secret().to_base32())
    }

    /// True for what AWS's own virtual devices are: SHA1, 6 digits, 30 s.
    pub fn is_like_aws(&self) -> bool {
        (self.algorithm(), self.digits(), self.period()) == ("SHA1", 6, 30)
    }

    /// True if both give the same codes. In constant time, as totp-rs compares.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Without the seed.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({}, {}, {})", self.algorithm(), self.digits(), self.period())
    }
}

fn bad_seed(why: &str) -> Error {
    Error::usage(format!("the seed is not base32: {why}"))
        .hint("give the secret key that was shown beside the QR code, or the otpauth:// URI in it")
}

/// RFC 4648 base32, as people copy it. The bits that are left over at the end are dropped, as
/// authenticator apps do; a length that no bytes lead to means that something is missing.
fn decode(text: &str) -> Result<totp_rs::Secret> {
    let text = text.trim_end_matches(|c: char| c == '=' || c.is_whitespace());
    let digits = text.chars().filter(|c| *c != '-' && !c.is_whitespace());
    let digits: Zeroizing<String> = Zeroizing::new(digits.collect());
    if digits.contains(['0', '1', '8', '9']) {
        return Err(bad_seed("base32 has only the digits 2 to 7"));
    }
    let upper = Zeroizing::new(digits.to_ascii_uppercase());
    let seed = totp_rs::Secret::try_from_base32(upper.as_str())
        .map_err(|_| bad_seed("it has characters that are neither letters nor digits"))?;
    if seed.as_bytes().is_empty() {
        return Err(bad_seed("it is empty"));
    }
    if matches!(digits.len() % 8, 1 | 3 | 6) {
        return Err(bad_seed("a character is missing, or one is too many"));
    }
    if seed.as_bytes().len() > LONGEST {
        return Err(bad_seed("it is too long"));
    }
    Ok(seed)
}

/// `otpauth://totp/LABEL?secret=…&algorithm=…&digits=…&period=…`
/// (<https://github.com/google/google-authenticator/wiki/Key-Uri-Format>). Not by totp-rs, which
/// takes parameters in lower case only, uses the last of two values, and quotes values in its errors.
fn from_uri(uri: &str) -> Result<Seed> {
    let bad = |what: &str| Error::usage(format!("the otpauth URI {what}"));
    let (scheme, rest) = uri.split_once("://").ok_or_else(|| bad("has no ://"))?;
    if scheme.eq_ignore_ascii_case("otpauth-migration") {
        return Err(
            bad("is an app's export of many seeds").hint("export one seed, or its secret key")
        );
    }
    if !scheme.eq_ignore_ascii_case("otpauth") {
        return Err(bad("does not begin with otpauth://"));
    }
    let (path, query) = rest.split_once('?').ok_or_else(|| bad("has no secret"))?;
    let kind = path.split('/').next().unwrap_or_default();
    if kind.eq_ignore_ascii_case("hotp") {
        return Err(bad("is for a counter-based device (HOTP), not a time-based one (TOTP)"));
    }
    if !kind.eq_ignore_ascii_case("totp") {
        return Err(bad("is not one of TOTP"));
    }
    let query = query.split('#').next().unwrap_or_default();
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    if pairs().any(|(name, value)| {
        name.eq_ignore_ascii_case("encoder") && value.eq_ignore_ascii_case("steam")
    }) {
        return Err(bad("is for Steam, whose codes have letters; AWS accepts digits only"));
    }
    let mut values: [(&str, Option<Zeroizing<String>>); 4] =
        [("secret", None), ("algorithm", None), ("digits", None), ("period", None)];
    for (name, value) in pairs() {
        let known = values.iter_mut().find(|(known, _)| name.eq_ignore_ascii_case(known));
        // What is unknown, like issuer and image, does not change the codes.
        let Some((name, slot)) = known else { continue };
        if slot.is_some() {
            return Err(bad(&format!("has two values for {name}")));
        }
        *slot = Some(unescape(value).ok_or_else(|| bad(&format!("has a {name} with a bad %")))?);
    }
    let [(_, secret), (_, algorithm), (_, digits), (_, period)] = values;
    let secret = secret.ok_or_else(|| bad("has no secret"))?;
    let number = |text: Option<Zeroizing<String>>, default: u64, name: &str| match text {
        None => Ok(default),
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse::<u64>().map_err(|_| bad(&format!("has a {name} that is no number")))
        }
        Some(_) => Err(bad(&format!("has a {name} that is no number"))),
    };
    let digits = u8::try_from(number(digits, 6, "digits")?).unwrap_or(u8::MAX);
    let period = number(period, 30, "period")?;
    let algorithm = algorithm.as_ref().map_or("SHA1", |text| text.as_str());
    // Some write HmacSHA256 or SHA-256.
    let algorithm = algorithm.to_ascii_uppercase().replace("HMAC", "").replace('-', "");
    Seed::of(&secret, &algorithm, digits, period)
}

/// Decodes percent-encoding. None if it is invalid or not UTF-8.
fn unescape(text: &str) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(text.replace('+', " "));
    let plain = Zeroizing::new(urlencoding::decode(&text).ok()?.into_owned());
    // A `%` that encodes nothing is left as it is; and none of the values has one of its own.
    (!plain.contains('%')).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    /// `12345678901234567890`, RFC 6238's own, in base32.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn parse(text: &str) -> Result<(Seed, Vec<String>)> {
        Seed::parse(&Secret::new(text.to_owned()))
    }

    fn base32(bytes: &[u8]) -> String {
        totp_rs::Secret::from(bytes.to_vec()).to_base32()
    }

    #[test]
    fn rfc_6238_appendix_b() {
        let ascii = b"1234567890".repeat(7);
        for (algorithm, length, codes) in [
            ("SHA1", 20, ["94287082", "07081804", "14050471", "89005924", "69279037", "65353130"]),
            (
                "SHA256",
                32,
                ["46119246", "68084774", "67062674", "91819424", "90698825", "77737706"],
            ),
            (
                "SHA512",
                64,
                ["90693936", "25091201", "99943326", "93441116", "38618901", "47863826"],
            ),
        ] {
            let seed = Seed::of(&base32(&ascii[..length]), algorithm, 8, 30).unwrap();
            let times =
                [59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000, 20_000_000_000];
            for (time, code) in times.into_iter().zip(codes) {
                let step = seed.step_at(Timestamp(time));
                assert_eq!(seed.code(step).expose(), code, "{algorithm} at {time}");
            }
        }
    }

    #[test]
    fn a_seed_is_read_as_people_write_it() {
        for text in [
            RFC,
            "gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
            " GEZDGNBV-GY3TQOJQ-gezdgnbv-GY3TQOJQ\r\n",
            "otpauth://totp/AWS:demo?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Amazon",
            "OTPAUTH://TOTP/?Secret=gezdgnbvgy3tqojqgezdgnbvgy3tqojq%3D%3D",
        ] {
            let (seed, warnings) = parse(text).unwrap();
            assert_eq!(seed.to_base32().expose(), RFC, "{text}");
            assert!(seed.is_like_aws() && warnings.is_empty());
        }
        let padded = parse("MZXW6YTBOI======").unwrap();
        assert_eq!(padded.0.to_base32().expose(), "MZXW6YTBOI");
        assert_eq!(padded.1, ["the seed has only 48 bits, RFC 4226 requires 128"]);
        // 26 random characters are 130 bits; authenticator apps drop the last two.
        assert!(parse("ABCDEFGHIJKLMNOPQRSTUVWXYZ").unwrap().1.is_empty());
    }

    #[test]
    fn a_uri_names_algorithm_digits_and_period() {
        let uri = format!("otpauth://totp/x?secret={RFC}&algorithm=HmacSHA256&digits=8&period=60");
        let (seed, _) = parse(&uri).unwrap();
        assert_eq!((seed.algorithm(), seed.digits(), seed.period()), ("SHA256", 8, 60));
        assert!(!seed.is_like_aws());
        assert_eq!(seed.code(1).len(), 8);
        assert_eq!(format!("{seed:?}"), "Seed(SHA256, 8, 60)");
    }

    #[test]
    fn what_is_no_seed_is_refused_and_not_echoed() {
        for (text, why) in [
            ("", "empty"),
            ("====", "empty"),
            ("SECRET0123", "2 to 7"),
            ("SECRET!!", "neither letters"),
            ("SECRET\u{17f}", "neither letters"),
            ("SECRET", "missing"),
            ("otpauth://totp/SECRET", "no secret"),
            ("otpauth://totp/x?issuer=SECRET", "no secret"),
            ("otpauth://hotp/x?secret=SECRET22&counter=1", "HOTP"),
            ("otpauth://steam/x?secret=SECRET22", "not one of TOTP"),
            ("otpauth://totp/x?secret=SECRET22&encoder=steam", "Steam"),
            ("otpauth-migration://offline?data=SECRET", "export"),
            ("otpauth:SECRET", "no ://"),
            ("otpauth://totp/x?secret=SECRET22&secret=SECRET33", "two values"),
            ("otpauth://totp/x?secret=SECRET2%2", "bad %"),
            ("otpauth://totp/x?secret=SECRET22&algorithm=MD5", "not SHA1"),
            ("otpauth://totp/x?secret=SECRET22&digits=7", "neither 6 nor 8"),
            ("otpauth://totp/x?secret=SECRET22&digits=+6", "no number"),
            ("otpauth://totp/x?secret=SECRET22&digits=262", "neither 6 nor 8"),
            ("otpauth://totp/x?secret=SECRET22&period=0", "between 10 and 300"),
            ("otpauth://totp/x?secret=SECRET22&period=99999999999999999999", "no number"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.class, Class::Usage, "{text}");
            assert!(error.what.contains(why), "{text}: {}", error.what);
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        }
        assert!(parse(&"A".repeat(416)).unwrap_err().what.ends_with("too long"));
    }

    #[test]
    fn a_step_beyond_all_time_has_a_code() {
        let (seed, _) = parse(RFC).unwrap();
        assert_eq!(seed.code(u64::MAX).len(), 6);
        assert_eq!(seed.step_at(Timestamp(-5)), 0);
    }
}
