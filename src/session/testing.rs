//! For tests only: a cache whose clock is set by the test, and what AWS would answer.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Cache;
use crate::clock::{Clock, Timestamp};
use crate::credential::Credentials;
use crate::reporter::Reporter;
use crate::secret::Secret;

/// 2026-01-31T12:00:00Z.
pub const NOON: i64 = 1_769_860_800;

/// A cache of the one vault, so many seconds after noon.
pub fn cache(dir: &Path, seconds: i64) -> Cache {
    cache_of(Some(dir), [1; 16], seconds)
}

/// The same for another vault, or nowhere.
pub fn cache_of(dir: Option<&Path>, vault_id: [u8; 16], seconds: i64) -> Cache {
    let clock = Clock::fixed(Timestamp(NOON + seconds));
    let reporter = Reporter { quiet: true, debug: false };
    Cache::open(dir.map(Path::to_owned), &vault_id, &[vault_id[0] + 1; 32], clock, reporter)
}

/// Time enough for whatever a test waits for.
pub fn long() -> Instant {
    Instant::now() + Duration::from_secs(300)
}

/// A session that ends so many seconds after noon; `token` identifies it.
pub fn session(token: &str, ends: i64) -> Credentials {
    Credentials {
        access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: Some(Secret::new(token.to_owned())),
        expiration: Some(Timestamp(NOON + ends)),
        account_id: None,
    }
}
