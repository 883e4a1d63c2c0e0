//! Writes of the vault to the store that did not happen: when to try again, and when no more.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::random;
use crate::store::ETag;

/// The most tries of a change, if other hosts write meanwhile.
const TRIES: u32 = 24;
/// How often a store may refuse to replace a version that it still has: another host may be writing.
const REFUSALS: u32 = 4;
/// How long another host may be writing.
pub(super) const WRITING: Duration = Duration::from_secs(3);

/// The result of a write to the store.
#[derive(Debug)]
pub(super) enum PutResult {
    Done,
    /// Another one is there, as far as the store says (412).
    Overtaken,
    /// Another host is writing (409).
    Busy,
    Away(Error),
}

/// Writes whose condition did not hold.
#[derive(Default)]
pub(super) struct Retries {
    pub tries: u32,
    /// The version that the last one was to replace, how many writes over it were refused (412), and since when.
    pub last: Option<(Option<ETag>, u32, Instant)>,
}

impl Retries {
    /// Counts a failed write. True if the store refuses to replace a version that it still has, or reports for
    /// too long that another host is writing.
    pub fn is_refusal(&mut self, put: &PutResult, version: &Option<ETag>) -> bool {
        let refused = match put {
            PutResult::Overtaken => 1,
            PutResult::Busy => 0,
            PutResult::Done | PutResult::Away(_) => return false,
        };
        let (times, since) = match &self.last {
            Some((last, times, since)) if last == version => (times + refused, *since),
            _ => (refused, Instant::now()),
        };
        self.last = Some((version.clone(), times, since));
        times >= REFUSALS || since.elapsed() >= WRITING
    }

    /// Waits up to 50 ms, and up to 2 s in the end: of many writers each gets its turn.
    pub fn pause(&mut self) -> Result<()> {
        self.tries += 1;
        if self.tries >= TRIES {
            return Err(Error::busy(format!(
                "other hosts keep changing the vault in the store; gave up after {TRIES} tries"
            ))
            .hint("run the same command again"));
        }
        let most = (50 * u64::from(self.tries)).min(2000);
        let random = u64::from(u16::from_le_bytes(*random::bytes::<2>()?));
        std::thread::sleep(Duration::from_millis(random * most / u64::from(u16::MAX)));
        Ok(())
    }
}
