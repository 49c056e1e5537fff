//! Waits between tries that grow until one succeeds.

use std::time::Duration;

use crate::{config::BackoffConfig, rng::Rng};

/// Doubles from `min` to `max`, each wait lengthened at random by up to the jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    tries: u32,
}

impl Backoff {
    /// Starts with the shortest wait.
    pub fn new(config: BackoffConfig) -> Self {
        Self { config, tries: 0 }
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next wait.
    pub fn next(&mut self, rng: &Rng) -> Duration {
        let factor = 1u32.checked_shl(self.tries).unwrap_or(u32::MAX);
        self.tries = self.tries.saturating_add(1);
        let base = self.config.min.saturating_mul(factor).min(self.config.max);
        base.mul_f64(rng.unit().mul_add(self.config.jitter, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_maximum_and_starts_over() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(BackoffConfig {
            min: ms(100),
            max: ms(1000),
            jitter: 0.0,
        });
        let rng = Rng::from_seed(1);
        let waits: Vec<_> = (0..6).map(|_| backoff.next(&rng)).collect();
        assert_eq!(
            waits,
            [ms(100), ms(200), ms(400), ms(800), ms(1000), ms(1000)]
        );
        for _ in 0..40 {
            assert_eq!(backoff.next(&rng), ms(1000));
        }
        backoff.reset();
        assert_eq!(backoff.next(&rng), ms(100));
    }

    #[test]
    fn jitter_only_lengthens() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(BackoffConfig {
            min: ms(100),
            max: ms(100),
            jitter: 0.5,
        });
        let rng = Rng::from_seed(1);
        for _ in 0..100 {
            let wait = backoff.next(&rng);
            assert!((ms(100)..=ms(150)).contains(&wait), "{wait:?}");
        }
    }
}
