//! Batch normalisation (Ioffe and Szegedy, ICML 2015), fused with a mask of channels and the activation that follows.

use super::elementwise::{Activation, limit, pass};
use super::memory::written;
use super::shape::volume;
use crate::Isa;
use crate::isa::portable;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// `y = activation(m[n][c] * (gamma[c] * xhat + beta[c]))` with `xhat = (u - mean[c]) * inv_std[c]`, over tensors
/// `[images][positions][channels]`.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// Images in the batch.
    pub images: usize,
    /// Positions of a map, height times width.
    pub positions: usize,
    /// Channels.
    pub channels: usize,
    /// Scale of each channel.
    pub gamma: &'a [f32],
    /// Shift of each channel.
    pub beta: &'a [f32],
    /// Factor of each channel of each image, `[images][channels]`; 1 if absent.
    pub mask: Option<&'a [f32]>,
    /// What follows.
    pub activation: Activation,
}

/// What one image multiplies and adds: `z = (u - mean) * scale + shift` is the input of the activation.
struct Affine {
    /// `m * gamma * inv_std`.
    scale: Vec<f32>,
    /// `m * beta`.
    shift: Vec<f32>,
}

impl Norm<'_> {
    fn check(&self, tensors: &[usize], channels: &[usize]) {
        let len = volume([self.images, self.positions, self.channels]);
        assert!(
            tensors.iter().all(|&t| t == len),
            "lengths {tensors:?} of tensors of {len}"
        );
        let own = [self.gamma.len(), self.beta.len()];
        assert!(
            channels.iter().chain(&own).all(|&c| c == self.channels),
            "lengths {channels:?} and {own:?} of {} channels",
            self.channels
        );
        assert!(
            self.mask.is_none_or(|m| m.len() == self.images * self.channels),
            "a mask has a factor for each channel of each image"
        );
    }

    fn factor(&self, image: usize, channel: usize) -> f32 {
        self.mask.map_or(1.0, |m| m[image * self.channels + channel])
    }

    fn affine(&self, image: usize, inv_std: &[f32]) -> Affine {
        Affine {
            scale: (0..self.channels)
                .map(|c| self.factor(image, c) * (self.gamma[c] * inv_std[c]))
                .collect(),
            shift: (0..self.channels)
                .map(|c| self.factor(image, c) * self.beta[c])
                .collect(),
        }
    }
}

/// Values of a block of [`channel_moments`]: two passes over it stay in the second-level cache.
const BLOCK: usize = 1 << 14;

/// Mean and biased variance of each channel of `u[rows][channels]`.
///
/// A block takes its mean, and then deviations from it, so that no large sums are subtracted and the rounding of the mean is
/// corrected; blocks are joined in order, in f64: the corrected two-pass algorithm and the pairwise update of Chan, Golub and
/// LeVeque, "Algorithms for computing the sample variance", The American Statistician 37 (1983).
///
/// # Panics
/// If a length is wrong.
pub fn channel_moments(rows: usize, channels: usize, u: &[f32], mean: &mut [f32], var: &mut [f32]) {
    assert_eq!(u.len(), rows * channels, "length of the tensor");
    assert!(
        mean.len() == channels && var.len() == channels,
        "a moment for each channel"
    );
    if channels == 0 {
        return;
    }
    let isa = Isa::detect();
    let block_rows = (BLOCK / channels).max(1);
    let blocks: Vec<Moments> = u
        .par_chunks(block_rows * channels)
        .map(|u| {
            let mut moments = Moments {
                rows: u.len() / channels,
                centre: vec![0.0; channels],
                deviations: vec![0.0; channels],
                squares: vec![0.0; channels],
            };
            block_moments(isa, u, &mut moments);
            moments
        })
        .collect();
    for c in 0..channels {
        let (mut count, mut average, mut squares) = (0.0f64, 0.0f64, 0.0f64);
        for block in &blocks {
            let rows = block.rows as f64;
            let correction = f64::from(block.deviations[c]) / rows;
            let delta = f64::from(block.centre[c]) + correction - average;
            let total = count + rows;
            average += delta * rows / total;
            squares += f64::from(block.squares[c]) - correction * correction * rows;
            squares += delta * delta * count * rows / total;
            count = total;
        }
        mean[c] = average as f32;
        var[c] = (squares / count.max(1.0)).max(0.0) as f32;
    }
}

/// Sums of a block, for each channel.
struct Moments {
    rows: usize,
    /// About the mean: as f32 sums give it.
    centre: Vec<f32>,
    /// Sum of deviations from the centre.
    deviations: Vec<f32>,
    /// Sum of their squares.
    squares: Vec<f32>,
}

portable! {
    fn block_moments(u: &[f32], moments: &mut Moments) {
        let channels = moments.centre.len();
        for u in u.chunks_exact(channels) {
            for (sum, u) in moments.centre.iter_mut().zip(u) {
                *sum += u;
            }
        }
        let scale = 1.0 / moments.rows as f32;
        for centre in &mut moments.centre {
            *centre *= scale;
        }
        let centre = &moments.centre[..channels];
        let (deviations, squares) = (&mut moments.deviations[..channels], &mut moments.squares[..channels]);
        for u in u.chunks_exact(channels) {
            for c in 0..channels {
                let deviation = u[c] - centre[c];
                deviations[c] += deviation;
                squares[c] += deviation * deviation;
            }
        }
    }
}

/// `y` of [`Norm`], from `u` and the moments to normalise with: those of the batch, or running ones.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn norm_forward(norm: &Norm, u: &[f32], mean: &[f32], inv_std: &[f32]) -> Vec<f32> {
    norm.check(&[u.len()], &[mean.len(), inv_std.len()]);
    if u.is_empty() {
        return Vec::new();
    }
    let isa = Isa::detect();
    let image_len = norm.positions * norm.channels;
    let images = |y: &mut [MaybeUninit<f32>]| {
        (y.par_chunks_mut(image_len), u.par_chunks(image_len))
            .into_par_iter()
            .enumerate()
            .for_each(|(image, (y, u))| {
                let Affine { scale, shift } = norm.affine(image, inv_std);
                forward_image(isa, u, mean, &scale, &shift, norm.activation.bounds(), y);
            });
    };
    // SAFETY: the images are all there is.
    unsafe { written(u.len(), images) }
}

portable! {
    fn forward_image(u: &[f32], mean: &[f32], scale: &[f32], shift: &[f32], bounds: (f32, f32), y: &mut [MaybeUninit<f32>]) {
        let channels = mean.len();
        let (scale, shift) = (&scale[..channels], &shift[..channels]);
        for (y, u) in y.chunks_exact_mut(channels).zip(u.chunks_exact(channels)) {
            for c in 0..channels {
                y[c].write(limit((u[c] - mean[c]) * scale[c] + shift[c], bounds));
            }
        }
    }
}

/// Gradients of [`norm_forward`] with the moments of the batch, through which they are taken as well.
///
/// From `dy` it gives `du`, in the place of `u`; `dgamma` and `dbeta` of each channel; and, if asked, `gate[n][c]`, the gradient
/// with respect to the mask `m[n][c]`: the sum over positions of the activation's input gradient times `gamma xhat + beta`.
///
/// # Panics
/// If a length is wrong.
pub fn norm_backward(
    norm: &Norm,
    u: &mut [f32],
    mean: &[f32],
    inv_std: &[f32],
    dy: &[f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
    gate: Option<&mut [f32]>,
) {
    norm.check(
        &[u.len(), dy.len()],
        &[mean.len(), inv_std.len(), dgamma.len(), dbeta.len()],
    );
    dgamma.fill(0.0);
    dbeta.fill(0.0);
    let channels = norm.channels;
    let image_len = norm.positions * channels;
    if u.is_empty() {
        gate.into_iter().for_each(|gate| gate.fill(0.0));
        return;
    }
    let isa = Isa::detect();
    let bounds = norm.activation.bounds();
    // With z the activation's input: sums over an image's positions of dz and of dz * (u - mean).
    let sums: Vec<(Vec<f32>, Vec<f32>)> = (u.par_chunks(image_len), dy.par_chunks(image_len))
        .into_par_iter()
        .enumerate()
        .map(|(image, (u, dy))| {
            let Affine { scale, shift } = norm.affine(image, inv_std);
            let (mut plain, mut weighted) = (vec![0.0; channels], vec![0.0; channels]);
            sum_image(isa, u, dy, mean, &scale, &shift, bounds, &mut plain, &mut weighted);
            (plain, weighted)
        })
        .collect();
    for c in 0..channels {
        let (mut plain, mut weighted) = (0.0f64, 0.0f64);
        for (image, sums) in sums.iter().enumerate() {
            let factor = f64::from(norm.factor(image, c));
            plain += factor * f64::from(sums.0[c]);
            weighted += factor * f64::from(sums.1[c]);
        }
        dbeta[c] = plain as f32;
        dgamma[c] = (weighted * f64::from(inv_std[c])) as f32;
    }
    if let Some(gate) = gate {
        assert_eq!(gate.len(), norm.images * channels, "length of the mask's gradient");
        for (gate, (plain, weighted)) in gate.chunks_exact_mut(channels).zip(&sums) {
            for c in 0..channels {
                gate[c] = norm.gamma[c] * inv_std[c] * weighted[c] + norm.beta[c] * plain[c];
            }
        }
    }

    // du = k (m dz - (dbeta + xhat dgamma) / count), where k = gamma inv_std: the mean and the slope that normalising removes.
    let count = (norm.images * norm.positions) as f32;
    let offset: Vec<f32> = (0..channels)
        .map(|c| norm.gamma[c] * inv_std[c] * dbeta[c] / count)
        .collect();
    let slope: Vec<f32> = (0..channels)
        .map(|c| norm.gamma[c] * inv_std[c] * inv_std[c] * dgamma[c] / count)
        .collect();
    (u.par_chunks_mut(image_len), dy.par_chunks(image_len))
        .into_par_iter()
        .enumerate()
        .for_each(|(image, (u, dy))| {
            let Affine { scale, shift } = norm.affine(image, inv_std);
            backward_image(isa, u, dy, mean, &scale, &shift, bounds, &offset, &slope);
        });
}

portable! {
    fn sum_image(
        u: &[f32],
        dy: &[f32],
        mean: &[f32],
        scale: &[f32],
        shift: &[f32],
        bounds: (f32, f32),
        plain: &mut [f32],
        weighted: &mut [f32],
    ) {
        let channels = mean.len();
        let (scale, shift) = (&scale[..channels], &shift[..channels]);
        let (plain, weighted) = (&mut plain[..channels], &mut weighted[..channels]);
        for (u, dy) in u.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            for c in 0..channels {
                let deviation = u[c] - mean[c];
                let z = deviation * scale[c] + shift[c];
                let dz = pass(dy[c], z, bounds);
                plain[c] += dz;
                weighted[c] += dz * deviation;
            }
        }
    }
}

portable! {
    fn backward_image(
        u: &mut [f32],
        dy: &[f32],
        mean: &[f32],
        scale: &[f32],
        shift: &[f32],
        bounds: (f32, f32),
        offset: &[f32],
        slope: &[f32],
    ) {
        let channels = mean.len();
        let (scale, shift) = (&scale[..channels], &shift[..channels]);
        let (offset, slope) = (&offset[..channels], &slope[..channels]);
        for (u, dy) in u.chunks_exact_mut(channels).zip(dy.chunks_exact(channels)) {
            for c in 0..channels {
                let deviation = u[c] - mean[c];
                let z = deviation * scale[c] + shift[c];
                let dz = pass(dy[c], z, bounds);
                u[c] = scale[c] * dz - offset[c] - deviation * slope[c];
            }
        }
    }
}
