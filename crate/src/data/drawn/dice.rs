//! Chance that falls the same on every machine.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random choices from a seed. The ways from bits to values are our own: a library's may change with its version.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Its choices depend on the three numbers and on nothing else.
    pub fn new(seed: u64, stream: u64, index: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream((stream << 40) | index);
        Self(random)
    }

    /// At least `low`, less than `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        // The upper 24 bits are a float exactly.
        low + (high - low) * ((self.0.next_u32() >> 8) as f32 / 16_777_216.0)
    }

    /// A whole number from `low` to `high`, both included.
    pub fn whole(&mut self, low: u32, high: u32) -> u32 {
        low + ((u64::from(self.0.next_u32()) * u64::from(high - low + 1)) >> 32) as u32
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// -1 or 1.
    pub fn side(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// One of the choices, of which there must be at least one.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.whole(0, choices.len() as u32 - 1) as usize]
    }

    /// Any 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }
}
