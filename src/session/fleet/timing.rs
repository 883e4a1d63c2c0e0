//! Time as a value.

use std::time::{Duration, Instant};

use crate::random;

/// How time passes.
pub struct Timing<'a> {
    pub now: Box<dyn Fn() -> Duration + 'a>,
    pub sleep: Box<dyn Fn(Duration) + 'a>,
    /// A random number, so that hosts do not ask at once.
    pub random: Box<dyn Fn() -> u16 + 'a>,
}

impl Timing<'_> {
    /// Real time.
    pub fn real() -> Self {
        let start = Instant::now();
        let random = || random::bytes().map_or(u16::MAX / 2, |bytes| u16::from_le_bytes(*bytes));
        Self {
            now: Box::new(move || start.elapsed()),
            sleep: Box::new(std::thread::sleep),
            random: Box::new(random),
        }
    }
}
