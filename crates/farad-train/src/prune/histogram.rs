//! How the masks of a network are distributed.

use super::VariationalMask;
use super::variational::LOG_ALPHA_BOUND;
use crate::Model;
use crate::ops::with_slice;
use candle_core::Result;

/// Width of a bin of log alpha.
pub const LOG_ALPHA_BIN: f64 = 0.5;

/// Channels of all masks by log alpha, in bins of [`LOG_ALPHA_BIN`] between the bounds of log alpha, -8 and 8; empty if no
/// group has a mask with a variance.
///
/// # Errors
/// If a tensor operation fails.
pub fn log_alpha_histogram(model: &Model) -> Result<Vec<u32>> {
    let bins = (2.0 * LOG_ALPHA_BOUND / LOG_ALPHA_BIN) as usize;
    let mut counts = Vec::new();
    for g in 0..model.graph().groups.len() {
        let Some(log_alpha) = VariationalMask::log_alpha(model, g)? else {
            continue;
        };
        counts.resize(bins, 0);
        with_slice(&log_alpha, |values| {
            for &value in values {
                let bin = (f64::from(value) + LOG_ALPHA_BOUND) / LOG_ALPHA_BIN;
                // The upper bound itself belongs to the last bin.
                counts[(bin as usize).min(bins - 1)] += 1;
            }
        })?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::Criterion;
    use crate::{Architecture, Graph};
    use candle_core::{Device, Tensor};

    #[test]
    fn every_channel_is_counted_where_its_log_alpha_is() {
        let graph = Graph::new(&Architecture::load("lenet-5").unwrap()).unwrap();
        let mut model = Model::new(graph, 1, &Device::Cpu).unwrap();
        assert!(log_alpha_histogram(&model).unwrap().is_empty());
        VariationalMask::default().attach(&mut model, &[]).unwrap();
        let counts = log_alpha_histogram(&model).unwrap();
        let groups = model.graph().groups.clone();
        let channels: usize = groups.iter().filter(|g| g.prunable).map(|g| g.channels).sum();
        // theta = 1 and log sigma^2 = -6: log alpha is -6, the first of the bin from -6 to -5.5.
        let mut expected = vec![0; 32];
        expected[4] = channels as u32;
        assert_eq!(counts, expected);

        let g = groups.iter().position(|g| g.prunable).unwrap();
        let high = Tensor::full(99f32, groups[g].channels, &Device::Cpu).unwrap();
        model.parameters()[&format!("mask.{g}.log_variance")]
            .set(&high)
            .unwrap();
        assert_eq!(log_alpha_histogram(&model).unwrap()[31] as usize, groups[g].channels);
    }
}
