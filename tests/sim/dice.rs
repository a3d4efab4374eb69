//! Chance, from a seed: the same seed throws the same numbers.

use kith::ids::Entropy;

/// See the module.
pub struct Dice(Entropy);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(Entropy::Seeded(seed))
    }

    /// Dice of their own for a part of the run, so that what it throws moves nobody else's.
    pub fn split(&mut self) -> Self {
        Self::new(self.0.u64())
    }

    pub fn u64(&mut self) -> u64 {
        self.0.u64()
    }

    /// 0 to `end`, the end not included.
    pub fn below(&mut self, end: usize) -> usize {
        (self.u64() % end.max(1) as u64) as usize
    }

    /// `from` to `to`, both included.
    pub fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    /// True `per_mille` times of a thousand.
    pub fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One of these, each as often as its weight says.
    pub fn weighted<T: Copy>(&mut self, from: &[(usize, T)]) -> T {
        let mut left = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, thing) in from {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *thing,
            }
        }
        from[0].1
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}
