//! Numbers by chance, with a seed that a failing test can tell.

use std::hash::{BuildHasher, RandomState};

/// Numbers by chance.
#[derive(Debug)]
pub struct Random {
    /// What the numbers follow from.
    pub seed: u64,
    state: u64,
}

impl Random {
    /// Others each time, unless `TIDELOCK_SEED` says which.
    #[must_use]
    pub fn new() -> Self {
        let given = std::env::var("TIDELOCK_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0)) | 1;
        Self { seed, state: seed }
    }

    /// The next number between 0 and 1, by xorshift.
    #[allow(clippy::cast_precision_loss, clippy::should_implement_trait)]
    pub fn next(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below this one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.next() * limit as f64) as usize).min(limit.saturating_sub(1))
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
