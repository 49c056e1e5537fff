//! Random numbers for choices, not for secrets: xorshift64*, seeded by the operating system.

use std::cell::Cell;

/// A generator for one thread.
#[derive(Debug)]
pub struct Rng(Cell<u64>);

impl Rng {
    /// A generator that nobody can foresee at start.
    pub fn from_entropy() -> Self {
        let mut seed = [0; 8];
        // Without entropy from the system a fixed sequence is still good enough for its uses.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        Self::from_seed(u64::from_le_bytes(seed))
    }

    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(Cell::new(seed | 1))
    }

    /// Any number.
    pub fn next(&self) -> u64 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, or 0 when that is 0.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the product's upper half is below bound"
    )]
    pub fn below(&self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number from 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    pub fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_the_bound_and_reach_all_of_it() {
        let rng = Rng::from_seed(7);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[rng.below(5)] += 1;
            assert!((0.0..1.0).contains(&rng.unit()));
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }
}
