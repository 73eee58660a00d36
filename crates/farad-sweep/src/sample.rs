//! Points that fill a space evenly: Latin hypercube and Sobol sequence.
//!
//! Both are functions of `(points, dimensions, seed)`: bits come from Philox, keyed by seed, method and dimension.

use farad_core::philox::philox4x32;

/// How to place samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// McKay, Beckman and Conover, Technometrics 21 (1979): every axis cut into as many strata as there are points, one
    /// point in each, paired at random.
    LatinHypercube,
    /// Sobol, USSR Comput. Math. Math. Phys. 7 (1967), with the direction numbers of Joe and Kuo and a random digital shift.
    Sobol,
}

/// Methods by their names in experiments.
pub(crate) const METHODS: [(&str, Method); 2] = [("latin-hypercube", Method::LatinHypercube), ("sobol", Method::Sobol)];

/// Axes that a Sobol sequence has here.
pub(crate) const SOBOL_DIMENSIONS: usize = DIRECTIONS.len() + 1;

/// Primitive polynomials and initial direction numbers of dimensions 2 to 16: degree, inner coefficients, m_1, m_2, ...
/// From `new-joe-kuo-6` (Joe and Kuo, SIAM J. Sci. Comput. 30, 2635, 2008).
const DIRECTIONS: [(u32, u32, &[u32]); 15] = [
    (1, 0, &[1]),
    (2, 1, &[1, 3]),
    (3, 1, &[1, 3, 1]),
    (3, 2, &[1, 1, 1]),
    (4, 1, &[1, 1, 3, 3]),
    (4, 4, &[1, 3, 5, 13]),
    (5, 2, &[1, 1, 5, 5, 17]),
    (5, 4, &[1, 1, 5, 5, 5]),
    (5, 7, &[1, 1, 7, 11, 19]),
    (5, 11, &[1, 1, 5, 1, 1]),
    (5, 13, &[1, 1, 1, 3, 11]),
    (5, 14, &[1, 3, 5, 5, 31]),
    (6, 1, &[1, 3, 3, 9, 7, 49]),
    (6, 13, &[1, 1, 1, 15, 21, 21]),
    (6, 16, &[1, 3, 1, 13, 27, 49]),
];

/// `points` samples in `[0, 1)`, by dimension: `[dimension][point]`. A Sobol sequence has at most
/// [`SOBOL_DIMENSIONS`] dimensions; others repeat the last one's numbers with another shift.
pub(crate) fn sample(method: Method, points: usize, dimensions: usize, seed: u64) -> Vec<Vec<f64>> {
    (0..dimensions)
        .map(|dimension| match method {
            Method::LatinHypercube => latin_hypercube(points, dimension as u32, seed),
            Method::Sobol => {
                let directions = directions(dimension);
                let shift = bits(seed, 2, dimension as u32, 0)[0];
                (0..points as u32)
                    .map(|i| unit(sobol(&directions, i) ^ shift))
                    .collect()
            }
        })
        .collect()
}

fn latin_hypercube(points: usize, dimension: u32, seed: u64) -> Vec<f64> {
    let draws: Vec<[u32; 4]> = (0..points).map(|i| bits(seed, 1, dimension, i as u32)).collect();
    // A random order: strata sorted by a 64-bit draw.
    let mut strata: Vec<usize> = (0..points).collect();
    strata.sort_by_key(|&i| (draws[i][0], draws[i][1], i));
    strata
        .into_iter()
        .zip(&draws)
        .map(|(stratum, draw)| (stratum as f64 + unit(draw[2])) / points as f64)
        .collect()
}

/// Direction numbers v_1 to v_32, scaled by 2^32.
fn directions(dimension: usize) -> [u32; 32] {
    let mut v = [0; 32];
    if dimension == 0 {
        return std::array::from_fn(|k| 1 << (31 - k));
    }
    let (degree, inner, initial) = DIRECTIONS[(dimension - 1).min(DIRECTIONS.len() - 1)];
    let degree = degree as usize;
    for k in 0..32 {
        v[k] = if k < degree {
            initial[k] << (31 - k)
        } else {
            (1..degree).fold(v[k - degree] ^ (v[k - degree] >> degree), |sum, i| {
                sum ^ (((inner >> (degree - 1 - i)) & 1) * v[k - i])
            })
        };
    }
    v
}

/// Element `index` of the sequence, in Gray-code order (Antonov and Saleev, 1979).
fn sobol(directions: &[u32; 32], index: u32) -> u32 {
    let gray = index ^ (index >> 1);
    (0..32).filter(|k| gray >> k & 1 == 1).fold(0, |x, k| x ^ directions[k])
}

fn bits(seed: u64, method: u32, dimension: u32, index: u32) -> [u32; 4] {
    philox4x32([index, dimension, method, 0], [seed as u32, (seed >> 32) as u32])
}

/// 32 bits as a fraction of 1.
fn unit(bits: u32) -> f64 {
    f64::from(bits) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: points 21 and 63 of `scipy.stats.qmc.Sobol(16, scramble=False).random(64)`, times 64.
    #[test]
    fn the_sequence_is_that_of_joe_and_kuo() {
        for (index, expected) in [
            (21, [62, 38, 22, 50, 42, 22, 26, 46, 6, 2, 30, 34, 18, 34, 46, 26]),
            (63, [1, 51, 23, 29, 55, 9, 37, 9, 53, 37, 27, 43, 35, 49, 21, 49]),
        ] {
            let found: [u32; SOBOL_DIMENSIONS] = std::array::from_fn(|d| sobol(&directions(d), index) >> 26);
            assert_eq!(found, expected, "point {index}");
        }
    }

    #[test]
    fn every_stratum_of_every_axis_has_one_point() {
        for (_, method) in METHODS {
            for seed in [0, 7] {
                for axis in sample(method, 64, SOBOL_DIMENSIONS, seed) {
                    let mut strata: Vec<u32> = axis.iter().map(|x| (x * 64.0) as u32).collect();
                    strata.sort_unstable();
                    assert_eq!(strata, (0..64).collect::<Vec<_>>(), "{method:?}");
                }
            }
        }
    }

    #[test]
    fn axes_and_seeds_differ() {
        for (_, method) in METHODS {
            let samples = sample(method, 16, 2, 0);
            assert_ne!(samples[0], samples[1]);
            assert_ne!(samples, sample(method, 16, 2, 1));
            assert_eq!(samples, sample(method, 16, 2, 0));
        }
    }
}
