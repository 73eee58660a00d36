//! Steps of weights that no batch norm follows any more, and their limits.
//!
//! Batch norm makes a step of a channel's weights relative: `y = gamma w x / |w x| + beta` does not change with the length of
//! `w`, so what a gradient step does to `y` depends on `rate / |w|^2` alone (van Laarhoven, "L2 regularization versus batch
//! and weight normalization", 2017). Folded weights `w' = a w` have the lengths that `gamma` and the inputs give them:
//! `|w'|^2` of the channels of a pruned VGG-16 lies between 0.003 and 120. As `dL/dw = a dL/dw'`, a step of `w` is one of `w'`
//! at the rate times `a^2`, and with `w` of length 1 that is `|w'|^2`. Biases learn at the rate itself, as `beta` does.
//!
//! The scale of a channel follows from its largest weight, so a few large ones leave small integers, and little charge, to
//! all others. Held within some multiples of their root mean square (for analog hardware: Rasch et al., "Hardware-aware
//! training for large-scale and diverse deep learning inference workloads using in-memory computing-based accelerators",
//! 2023), they stand out further from the macro's noise, and training makes up for what was cut.

use crate::ops::with_slice;
use candle_core::{Result, Tensor, Var};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Turns the gradients of folded weights into those that steps of their channels' directions have: `|w_c|^2 dL/dw_c`.
///
/// # Errors
/// If a parameter cannot be read.
pub(crate) fn relative(gradients: &mut BTreeMap<String, Tensor>, parameters: &BTreeMap<String, Var>) -> Result<()> {
    for (name, gradient) in gradients.iter_mut().filter(|(name, _)| name.ends_with(".weight")) {
        let channels = gradient.dim(0)?;
        let squares = with_slice(&parameters[name], |weights| {
            let of_channel = |weights: &[f32]| weights.iter().map(|w| w * w).sum::<f32>();
            weights
                .chunks(weights.len() / channels)
                .map(of_channel)
                .collect::<Vec<f32>>()
        })?;
        let mut values = with_slice(gradient, <[f32]>::to_vec)?;
        let depth = values.len() / channels;
        (values.par_chunks_mut(depth), &squares)
            .into_par_iter()
            .for_each(|(values, square)| values.iter_mut().for_each(|g| *g *= square));
        *gradient = Tensor::from_vec(values, gradient.dims(), gradient.device())?;
    }
    Ok(())
}

/// Holds every channel's weights within so many times their root mean square.
///
/// # Errors
/// If a parameter cannot be read or written.
pub(crate) fn cut(parameters: &BTreeMap<String, Var>, times: f32) -> Result<()> {
    for (_, parameter) in parameters.iter().filter(|(name, _)| name.ends_with(".weight")) {
        let mut values = with_slice(parameter, <[f32]>::to_vec)?;
        let depth = values.len() / parameter.dim(0)?;
        values.par_chunks_mut(depth).for_each(|values| {
            let square = values.iter().map(|w| w * w).sum::<f32>() / depth as f32;
            let most = times * square.sqrt();
            values.iter_mut().for_each(|w| *w = w.clamp(-most, most));
        });
        parameter.set(&Tensor::from_vec(values, parameter.dims(), parameter.device())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (2, 2), &Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The second channel is the first in other units: `w' = 8 w` has the gradient `g / 8`.
    #[test]
    fn a_step_is_the_same_part_of_a_channel_in_all_units() {
        let weights = Var::from_tensor(&tensor(&[3.0, 4.0, 24.0, 32.0])).unwrap();
        let parameters = BTreeMap::from([
            ("conv.weight".to_owned(), weights.clone()),
            ("conv.bias".to_owned(), weights),
        ]);
        let gradient = tensor(&[1.0, -2.0, 0.125, -0.25]);
        let mut gradients = BTreeMap::from([
            ("conv.weight".to_owned(), gradient.clone()),
            ("conv.bias".to_owned(), gradient),
        ]);
        relative(&mut gradients, &parameters).unwrap();
        assert_eq!(values(&gradients["conv.weight"]), [25.0, -50.0, 200.0, -400.0]);
        assert_eq!(values(&gradients["conv.bias"]), [1.0, -2.0, 0.125, -0.25]);
    }

    #[test]
    fn weights_are_cut_at_multiples_of_their_root_mean_square() {
        let weights = Var::from_tensor(&tensor(&[7.0, 1.0, -1.0, 1.0])).unwrap();
        cut(&BTreeMap::from([("conv.weight".to_owned(), weights.clone())]), 1.2).unwrap();
        assert_eq!(values(&weights), [6.0, 1.0, -1.0, 1.0]);
    }
}
