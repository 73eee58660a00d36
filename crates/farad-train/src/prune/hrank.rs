//! The rank of what a channel shows.

use super::magnitude::{by_place, zeros};
use super::settings::{Checked, must};
use super::slimming::masked;
use super::{Batch, Criterion};
use crate::ops::with_slice;
use crate::{Model, Pass, Precision, Statistics};
use candle_core::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// `s_c = mean_i rank(O_c(x_i))`, O the feature map after the activation, over images x_i (Lin et al., "HRank: filter
/// pruning using high-rank feature map", CVPR 2020).
///
/// On the small maps of deep layers many ranks are equal, so equal ones are ordered by the nuclear norm, the sum of the
/// singular values whose number is the rank. The paper gives each layer a rate by hand; here channels go by their place in
/// their group, because maps of different sizes, and so of different ranks, do not compare.
#[derive(Debug, Deserialize, Serialize)]
pub struct HighRank {
    /// Images that the ranks are measured on. The paper takes 500 and reports that few of them suffice.
    pub images: usize,
}

impl Default for HighRank {
    fn default() -> Self {
        Self { images: 128 }
    }
}

impl Criterion for HighRank {
    fn check(&self) -> Checked<()> {
        must(self.images > 0, "images", "at least 1")
    }

    fn score(&mut self, model: &mut Model, batches: &[Batch]) -> Result<Vec<Vec<f32>>> {
        let shown: Vec<(usize, usize)> = masked(model).collect();
        let mut sums: Vec<Vec<[f32; 2]>> = shown
            .iter()
            .map(|&(_, g)| vec![[0.0; 2]; model.graph().groups[g].channels])
            .collect();
        let mut left = self.images;
        for (x, _) in batches {
            let images = x.dim(0)?.min(left);
            if images == 0 {
                break;
            }
            left -= images;
            let x = x.narrow(0, 0, images)?;
            // The running moments may be of other weights.
            let pass = Pass {
                statistics: Statistics::Batch { momentum: 0.0 },
                masks: &[],
                precision: Precision::F32,
            };
            model.forward_seen(&x, pass, |i, y| {
                if let Some(k) = shown.iter().position(|&(node, _)| node == i) {
                    let (_, height, width, channels) = y.dims4()?;
                    with_slice(y, |y| {
                        sums[k].par_iter_mut().enumerate().for_each(|(c, sum)| {
                            for image in y.chunks_exact(height * width * channels) {
                                let map: Vec<f32> = image[c..].iter().step_by(channels).copied().collect();
                                let [rank, norm] = rank_and_norm(map, width);
                                *sum = [sum[0] + rank, sum[1] + norm];
                            }
                        });
                    })?;
                }
                Ok(())
            })?;
        }
        let mut scores = zeros(model);
        for (&(_, g), sums) in shown.iter().zip(&sums) {
            let norm = sums.iter().fold(f32::MIN_POSITIVE, |m, s| m.max(s[1]));
            for (score, [rank, sum]) in scores[g].iter_mut().zip(sums) {
                // Sums of ranks differ by 1 at least, so half of that orders only what is equal.
                *score += rank + 0.5 * sum / norm;
            }
        }
        Ok(by_place(scores))
    }
}

/// Rank and nuclear norm of a matrix of rows of `width`, by rotations that make its rows orthogonal: their lengths then are
/// the singular values (Hestenes, 1958). As usual, those below `eps max(h, w)` of the largest count as 0.
fn rank_and_norm(mut matrix: Vec<f32>, width: usize) -> [f32; 2] {
    const SWEEPS: usize = 12;
    let height = matrix.len() / width;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..height {
            for q in p + 1..height {
                let (front, back) = matrix.split_at_mut(q * width);
                let (a, b) = (&mut front[p * width..(p + 1) * width], &mut back[..width]);
                let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
                if ab.abs() <= f32::EPSILON * (aa * bb).sqrt() || ab == 0.0 {
                    continue;
                }
                rotated = true;
                let zeta = (bb - aa) / (2.0 * ab);
                let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
                let sine = cosine * tangent;
                for (a, b) in a.iter_mut().zip(b) {
                    (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let values: Vec<f32> = matrix.chunks_exact(width).map(|row| dot(row, row).sqrt()).collect();
    let limit = f32::EPSILON * height.max(width) as f32 * values.iter().fold(0.0, |m: f32, v| m.max(*v));
    [
        values.iter().filter(|v| **v > limit).count() as f32,
        values.iter().sum(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_singular_values() {
        // [[3, 0], [4, 5]] has sqrt(45) and sqrt(5) (Strang, "Introduction to linear algebra").
        let [rank, norm] = rank_and_norm(vec![3.0, 0.0, 4.0, 5.0], 2);
        assert!(rank == 2.0 && (norm - (45f32.sqrt() + 5f32.sqrt())).abs() < 1e-5);
        assert_eq!(rank_and_norm(vec![0.0; 12], 4), [0.0, 0.0]);
    }

    proptest! {
        /// A sum of r products of a column and a row has rank r, and a matrix has the rank of its transpose. Factors are
        /// whole numbers in triangular positions, so that nothing is nearly dependent.
        #[test]
        fn the_rank_of_products(r in 0usize..6, values in prop::collection::vec(-2i8..=2, 72)) {
            let (height, width) = (6, 6);
            let factor = |row: usize, k: usize, at: usize| match row.cmp(&k) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 3.0,
                std::cmp::Ordering::Greater => f32::from(values[at]),
            };
            let at = |i: usize, j: usize| {
                (0..r).map(|k| factor(i, k, i * 6 + k) * factor(j, k, 36 + j * 6 + k)).sum::<f32>()
            };
            let matrix: Vec<f32> = (0..height * width).map(|n| at(n / width, n % width)).collect();
            let transposed: Vec<f32> = (0..height * width).map(|n| at(n % width, n / width)).collect();
            let ([rank, norm], [rank_t, norm_t]) = (rank_and_norm(matrix, width), rank_and_norm(transposed, width));
            prop_assert_eq!(rank, r as f32);
            prop_assert_eq!(rank_t, r as f32);
            prop_assert!((norm - norm_t).abs() <= 1e-4 * norm);
        }
    }
}
