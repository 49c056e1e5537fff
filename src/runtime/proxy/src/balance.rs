//! Which endpoint takes the next request: the less loaded of two chosen at random.

pub mod breaker;
pub mod ewma;

use crate::rng::Rng;

/// Something that can be chosen.
pub trait Candidate {
    /// Greater is worse.
    fn load(&self) -> f64;
    /// Whether it may be chosen now.
    fn is_available(&self) -> bool;
}

/// The index of the candidate to use, among those that are available and not `excluded`.
///
/// Power of two choices: two distinct candidates at random, the one with the lower load. When
/// these two are of no use the others are looked through from a random start, so that one good
/// candidate among many bad ones is found.
pub fn choose<T: Candidate>(
    candidates: &[T],
    excluded: impl Fn(&T) -> bool,
    rng: &Rng,
) -> Option<usize> {
    let usable = |index: &usize| {
        candidates
            .get(*index)
            .is_some_and(|c| c.is_available() && !excluded(c))
    };
    let count = candidates.len();
    if count <= 1 {
        return Some(0).filter(usable);
    }
    let first = rng.below(count);
    // Distinct from the first: one of the others, counted from it on.
    let second = (first + 1 + rng.below(count - 1)) % count;
    match (usable(&first), usable(&second)) {
        (true, true) => {
            let load = |index: usize| candidates.get(index).map_or(f64::INFINITY, T::load);
            Some(if load(second) < load(first) {
                second
            } else {
                first
            })
        }
        (true, false) => Some(first),
        (false, true) => Some(second),
        (false, false) => (0..count).map(|step| (first + step) % count).find(usable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed {
        load: f64,
        available: bool,
    }

    impl Candidate for Fixed {
        fn load(&self) -> f64 {
            self.load
        }
        fn is_available(&self) -> bool {
            self.available
        }
    }

    fn fixed(load: f64, available: bool) -> Fixed {
        Fixed { load, available }
    }

    fn histogram(candidates: &[Fixed]) -> Vec<usize> {
        let rng = Rng::from_seed(42);
        let mut counts = vec![0; candidates.len()];
        for _ in 0..10_000 {
            if let Some(index) = choose(candidates, |_| false, &rng) {
                counts[index] += 1;
            }
        }
        counts
    }

    #[test]
    fn the_worst_of_several_is_never_chosen() {
        let counts = histogram(&[
            fixed(1.0, true),
            fixed(9.0, true),
            fixed(1.0, true),
            fixed(2.0, true),
        ]);
        assert_eq!(counts[1], 0);
        assert!(
            counts[0] > counts[3] && counts[2] > counts[3] && counts[3] > 0,
            "{counts:?}"
        );
    }

    #[test]
    fn equals_are_chosen_evenly() {
        let counts = histogram(&[fixed(1.0, true), fixed(1.0, true), fixed(1.0, true)]);
        assert!(
            counts.iter().all(|count| (3000..3700).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn one_available_among_many_is_found() {
        let mut candidates: Vec<_> = (0..50).map(|_| fixed(1.0, false)).collect();
        candidates[17].available = true;
        assert_eq!(histogram(&candidates)[17], 10_000);
        candidates[17].available = false;
        assert_eq!(choose(&candidates, |_| false, &Rng::from_seed(1)), None);
        assert_eq!(choose::<Fixed>(&[], |_| false, &Rng::from_seed(1)), None);
    }

    #[test]
    fn the_excluded_are_left_out() {
        let candidates = [fixed(1.0, true), fixed(5.0, true)];
        let rng = Rng::from_seed(3);
        assert_eq!(choose(&candidates, |c| c.load < 2.0, &rng), Some(1));
        assert_eq!(choose(&candidates[..1], |_| true, &rng), None);
    }
}
