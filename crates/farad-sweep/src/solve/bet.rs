//! Whether a mean keeps a limit: decided as early as the data allow, at a stated risk, however often one looks.
//!
//! A gambler who bets against "the mean is at least m", at odds that are fair if it is exactly m, multiplies his capital with `1 + b (m - x)` at an
//! observation x, where no bet b may ruin him. If the statement is true his capital is a supermartingale, and by Ville's inequality
//! ever reaches 1/r with a probability of at most r. So a capital of 1/r refutes the statement at the risk r, at any time. Here his first
//! coin is split evenly among bets of many sizes, since the best one depends on a variance that nobody knows: I. Waudby-Smith and A.
//! Ramdas, "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B 86 (2024), section 4.
//!
//! Such a capital depends on how often each value was seen, and not on the order.

use std::collections::BTreeMap;

/// Sizes of bets: the largest that cannot ruin, and halves of it.
const BETS: i32 = 10;

/// Steps of the search for the ends of an interval, whose width is then below any figure printed.
const STEPS: usize = 50;

/// Observations between two bounds, counted by value.
#[derive(Debug, Clone)]
pub(crate) struct Observations {
    low: f64,
    high: f64,
    /// Values in units of `1 / scale`.
    scale: f64,
    counts: BTreeMap<i64, u64>,
}

impl Observations {
    /// Of values that are multiples of `1 / scale` between `low` and `high`.
    pub(crate) fn new(low: f64, high: f64, scale: u32) -> Self {
        Self {
            low,
            high,
            scale: scale.into(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds one of `units / scale`.
    pub(crate) fn add(&mut self, units: i64) {
        *self.counts.entry(units).or_default() += 1;
    }

    pub(crate) fn len(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(crate) fn mean(&self) -> f64 {
        let sum: f64 = self.counts.iter().map(|(units, n)| *units as f64 * *n as f64).sum();
        sum / self.scale / self.len() as f64
    }

    /// Logarithm of the capital won against "the mean is at least `limit`".
    pub(crate) fn against_at_least(&self, limit: f64) -> f64 {
        self.capital(limit, 1.0)
    }

    /// Logarithm of the capital won against "the mean is at most `limit`".
    pub(crate) fn against_at_most(&self, limit: f64) -> f64 {
        self.capital(limit, -1.0)
    }

    /// All means that are not refuted, at the risk `risk` for each end.
    pub(crate) fn interval(&self, risk: f64) -> (f64, f64) {
        let needed = -risk.ln();
        let end = |refuted: &dyn Fn(f64) -> bool, mut outside: f64| {
            let mut inside = self.mean();
            for _ in 0..STEPS {
                let middle = 0.5 * (outside + inside);
                if refuted(middle) {
                    outside = middle;
                } else {
                    inside = middle;
                }
            }
            outside
        };
        (
            end(&|m| self.against_at_most(m) >= needed, self.low),
            end(&|m| self.against_at_least(m) >= needed, self.high),
        )
    }

    /// `direction` is 1 for bets that the mean is below `limit`, -1 for above.
    fn capital(&self, limit: f64, direction: f64) -> f64 {
        // The most that one observation can lose, for a bet of 1.
        let worst = if direction > 0.0 {
            self.high - limit
        } else {
            limit - self.low
        };
        if worst <= 0.0 {
            // At the bound itself: nothing is won, nothing is refuted.
            return 0.0;
        }
        let logarithms: Vec<f64> = (0..BETS)
            .map(|halvings| {
                // A hair below the ruinous bet, so that no logarithm is of 0.
                let bet = (1.0 - 1e-9) * direction * f64::exp2(-f64::from(halvings)) / worst;
                let won = |(units, n): (&i64, &u64)| *n as f64 * (bet * (limit - *units as f64 / self.scale)).ln_1p();
                self.counts.iter().map(won).sum()
            })
            .collect();
        let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logarithms.iter().map(|l| (l - largest).exp()).sum();
        largest + (sum / f64::from(BETS)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform in `[0, 1)`; a stream for each `run`.
    fn uniform(run: u32, index: u32) -> f64 {
        let [bits, ..] = farad_core::philox::philox4x32([index, run, 0, 0], [0xbe7, 0]);
        f64::from(bits) / 4_294_967_296.0
    }

    /// One image of two runs that differ on few: `lost` more are lost than are won.
    fn pair(u: f64, lost: f64) -> i64 {
        let won = 0.01;
        match u {
            u if u < won => -1,
            u if u < 2.0 * won + lost => 1,
            _ => 0,
        }
    }

    /// Looks at every one of 2,000 observations, at the risk 0.05, and says when the statement is refuted, if ever.
    fn refutes(run: u32, truth: f64, against: impl Fn(&Observations) -> f64) -> Option<u64> {
        let mut seen = Observations::new(-1.0, 1.0, 1);
        (0..2000).find_map(|index| {
            seen.add(pair(uniform(run, index), truth));
            (against(&seen) >= 20_f64.ln()).then(|| seen.len())
        })
    }

    /// Ville's inequality, with planted truths at the limit, where errors are likeliest: of 1,000 searches that look after
    /// every image no more than 5 in a hundred err, and three standard deviations.
    #[test]
    fn what_is_true_is_rarely_refuted_however_often_one_looks() {
        let limit = 0.01;
        let errors = |against: &dyn Fn(&Observations) -> f64| {
            (0..1000).filter(|run| refutes(*run, limit, against).is_some()).count()
        };
        let most = 50 + 3 * 7;
        let at_least = errors(&|seen| seen.against_at_least(limit));
        let at_most = errors(&|seen| seen.against_at_most(limit));
        assert!(at_least <= most && at_most <= most, "{at_least} and {at_most} of 1000");
    }

    /// An image wins the best bet `distance^2 / (2 E (x - limit)^2)` on average (Waudby-Smith and Ramdas, section 4), 0.0025 / 0.158 here; one of the ten
    /// is off by `sqrt 2` at most, which leaves 0.91 of that; and 20 times the price of ten bets is to be won. That is 367 images, where
    /// a test at a fixed number needs `(z_0.95 + z_0.90)^2 var / distance^2` = 262 for the same errors.
    #[test]
    fn what_is_false_is_refuted_soon() {
        let needed: Vec<u64> = (0..200)
            .filter_map(|run| refutes(run, 0.06, |seen| seen.against_at_most(0.01)))
            .collect();
        assert!(needed.len() >= 198, "{}", needed.len());
        let mean = needed.iter().sum::<u64>() as f64 / needed.len() as f64;
        assert!(mean < 367.0, "{mean}");
    }

    /// No images differ at all: `ln 20` and the price of ten bets, over `ln(1 + 0.01 / 0.99)` for each.
    #[test]
    fn without_differences_the_limit_decides() {
        let mut seen = Observations::new(-1.0, 1.0, 4);
        let mut needed = 0;
        while seen.against_at_least(0.01) < 20_f64.ln() {
            seen.add(0);
            needed += 1;
        }
        let sole = 20_f64.ln() / (1.0_f64 + 0.01 / 0.99).ln();
        assert!(
            (sole..sole + 10_f64.ln() / (1.0_f64 + 0.01 / 0.99).ln()).contains(&f64::from(needed)),
            "{needed}"
        );
    }

    #[test]
    fn the_interval_holds_what_is_not_refuted() {
        let mut seen = Observations::new(0.0, 1.0, 4);
        for index in 0..400 {
            seen.add(if uniform(7, index) < 0.8 { 4 } else { 1 });
        }
        let (low, high) = seen.interval(0.025);
        assert!(
            low < seen.mean() && seen.mean() < high && high - low < 0.15,
            "{low} {high}"
        );
        let needed = -0.025_f64.ln();
        assert!(seen.against_at_most(low) >= needed && seen.against_at_most(low + 1e-9) < needed);
        assert!(seen.against_at_least(high) >= needed && seen.against_at_least(high - 1e-9) < needed);
        let mut all = Observations::new(0.0, 1.0, 1);
        (0..100).for_each(|_| all.add(1));
        assert_eq!(all.interval(0.025).1, 1.0);
    }
}
