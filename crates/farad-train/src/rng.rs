//! Random numbers that belong to what they are for: no generator has a state that a checkpoint would have to keep.

use farad_core::philox::philox4x32;

/// What random numbers are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Init = 1,
    /// Order of the images.
    Order = 2,
    /// Crops, flips and cutouts.
    Augment = 3,
    /// Noise of the masks.
    Mask = 4,
    /// The random criterion.
    Score = 5,
}

/// An endless sequence of random numbers, fixed by seed, purpose and two numbers that tell the sequences apart.
#[derive(Debug, Clone)]
pub struct Rng {
    key: [u32; 2],
    counter: [u32; 4],
    left: Vec<u32>,
}

impl Rng {
    /// The sequence of `purpose` number `a`, `b` (an epoch and an image, say).
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, a: u32, b: u32) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, a, b, 0x7472_0000 | purpose as u32],
            left: Vec::with_capacity(4),
        }
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        if self.left.is_empty() {
            self.left.extend(philox4x32(self.counter, self.key));
            self.counter[0] = self.counter[0].wrapping_add(1);
        }
        self.left.pop().unwrap_or_default()
    }

    /// Uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        (f64::from(self.bits()) + 0.5) / 4_294_967_296.0
    }

    /// Uniform in `0..below`.
    pub fn below(&mut self, below: usize) -> usize {
        ((u64::from(self.bits()) * below as u64) >> 32) as usize
    }

    /// Standard normal (Box-Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        (radius * libm::cos(std::f64::consts::TAU * self.uniform())) as f32
    }

    /// `0..n` in random order (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_repeatable_and_distinct() {
        let draw = |purpose, a| {
            let mut rng = Rng::new(7, purpose, a, 0);
            (0..5).map(|_| rng.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(Purpose::Init, 0), draw(Purpose::Init, 0));
        assert_ne!(draw(Purpose::Init, 0), draw(Purpose::Init, 1));
        assert_ne!(draw(Purpose::Init, 0), draw(Purpose::Order, 0));
    }

    #[test]
    fn a_permutation_has_everything_once() {
        let mut order = Rng::new(1, Purpose::Order, 0, 0).permutation(1000);
        assert_ne!(order[..10], (0..10).collect::<Vec<_>>());
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..1000));
    }

    /// Mean and variance of 20,000 draws within five standard errors.
    #[test]
    fn normals_are_standard() {
        let mut rng = Rng::new(3, Purpose::Mask, 0, 0);
        let n = 20_000;
        let x: Vec<f64> = (0..n).map(|_| f64::from(rng.normal())).collect();
        let mean = x.iter().sum::<f64>() / f64::from(n);
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt());
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt());
    }
}
