//! A TOTP seed as people hand it on: base32 or `otpauth://`. What is read is written so that it is the
//! same seed, and gives a code at any time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::clock::Timestamp;
use vault::secret::Secret;
use vault::totp::Seed;

fuzz_target!(|text: &str| {
    let Ok((seed, _)) = Seed::parse(&Secret::new(text.to_owned())) else { return };
    let written = seed.to_base32();
    let again = Seed::of(written.expose(), seed.algorithm(), seed.digits(), seed.period());
    assert!(seed.is(&again.expect("what was written is read")));
    for time in [i64::MIN, -1, 0, 59, 1_800_000_000, i64::MAX] {
        let step = seed.step_at(Timestamp(time));
        for step in [step, u64::MAX] {
            let code = seed.code(step);
            assert_eq!(code.len(), usize::from(seed.digits()));
            assert!(code.expose().bytes().all(|b| b.is_ascii_digit()));
        }
    }
});
