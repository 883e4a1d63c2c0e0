//! TOTP seeds in the payload: `[totp."SERIAL"]` with `seed` (base32), `algorithm`, `digits`, `period`
//! and `created`.

use toml::{Table, Value};

use super::{Payload, bad, is_line, texts};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::totp::Seed;

impl Payload {
    /// The serials of the MFA devices whose seed is here, in their order.
    pub fn totp_serials(&self) -> impl Iterator<Item = &str> {
        self.names("totp")
    }

    /// The seed of a device.
    pub fn totp(&self, serial: &str) -> Option<Seed> {
        read(self.entry("totp", serial)?).ok()
    }

    /// When a device's seed was put in: RFC 3339.
    pub fn totp_created(&self, serial: &str) -> Option<&str> {
        self.entry("totp", serial)?.get("created")?.as_str()
    }

    /// Stores a device's seed, in place of the one that may be there.
    pub fn set_totp(&mut self, serial: &str, seed: &Seed, now: Timestamp) {
        let mut entry = texts([
            ("seed", seed.to_base32().expose()),
            ("algorithm", seed.algorithm()),
            ("created", &now.to_rfc3339()),
        ]);
        entry.insert("digits".into(), Value::Integer(i64::from(seed.digits())));
        let period = i64::try_from(seed.period()).unwrap_or(i64::MAX);
        entry.insert("period".into(), Value::Integer(period));
        self.put("totp", serial, entry);
    }

    /// Removes a device's seed; false if there was none.
    pub fn remove_totp(&mut self, serial: &str) -> bool {
        self.take("totp", serial)
    }

    /// Every seed is one. Devices are named by number: serials tell accounts and users.
    pub(super) fn check_totp(&self) -> Result<()> {
        let Some(value) = self.doc.get("totp") else { return Ok(()) };
        let table = value.as_table().ok_or_else(|| bad("totp"))?;
        for (index, (serial, entry)) in table.iter().enumerate() {
            let entry = entry.as_table().filter(|_| is_line(serial));
            let entry = entry.ok_or_else(|| bad(&format!("totp[{index}]")))?;
            if let Err(field) = read(entry) {
                return Err(bad(&format!("totp[{index}].{field}")));
            }
        }
        Ok(())
    }
}

/// A seed, or the field that is wrong.
fn read(entry: &Table) -> std::result::Result<Seed, &'static str> {
    let text = |field| entry.get(field).and_then(Value::as_str).ok_or(field);
    let number = |field| entry.get(field).and_then(Value::as_integer).ok_or(field);
    let (seed, algorithm) = (text("seed")?, text("algorithm")?);
    let digits = u8::try_from(number("digits")?).map_err(|_| "digits")?;
    let period = u64::try_from(number("period")?).map_err(|_| "period")?;
    // Each part alone, so that the one to blame is known.
    Seed::of(seed, "SHA1", 6, 30).map_err(|_| "seed")?;
    // In the one spelling that the format has for it.
    Seed::of(seed, algorithm, 6, 30)
        .ok()
        .filter(|seed| seed.algorithm() == algorithm)
        .ok_or("algorithm")?;
    Seed::of(seed, algorithm, digits, 30).map_err(|_| "digits")?;
    Seed::of(seed, algorithm, digits, period).map_err(|_| "period")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: &str = "arn:aws:iam::123456789012:mfa/demo";
    const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn text() -> String {
        let mut payload = Payload::new(&[], &[]).unwrap();
        payload.set_totp(SERIAL, &Seed::of(SEED, "SHA256", 8, 60).unwrap(), Timestamp(0));
        String::from_utf8(payload.to_plaintext().to_vec()).unwrap()
    }

    #[test]
    fn a_seed_survives_the_text() {
        let mut payload = Payload::parse(text().as_bytes()).unwrap();
        assert_eq!(payload.totp_serials().collect::<Vec<_>>(), [SERIAL]);
        let seed = payload.totp(SERIAL).unwrap();
        assert!(seed.is(&Seed::of(SEED, "SHA256", 8, 60).unwrap()));
        assert_eq!(payload.totp_created(SERIAL), Some("1970-01-01T00:00:00Z"));
        assert!(payload.remove_totp(SERIAL));
        assert!(!payload.remove_totp(SERIAL));
        assert!(payload.totp(SERIAL).is_none());
    }

    #[test]
    fn what_is_wrong_is_named_by_number_and_field() {
        for (from, to, field) in [
            (SEED, "GEZDGNBV0", "totp[0].seed"),
            ("\"SHA256\"", "\"MD5\"", "totp[0].algorithm"),
            ("digits = 8", "digits = 300", "totp[0].digits"),
            ("period = 60", "period = -1", "totp[0].period"),
            ("period = 60", "", "totp[0].period"),
            ("mfa/demo", "mfa/de\\u001bmo", "totp[0]"),
            ("[totp.", "[[totp.", "totp[0]"),
        ] {
            let mut text = text().replacen(from, to, 1);
            if to == "[[totp." {
                text = text.replace("demo\"]", "demo\"]]");
            }
            let error = Payload::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.what, format!("the vault's content has no valid {field}"));
        }
    }
}
