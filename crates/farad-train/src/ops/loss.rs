//! The loss, and what is right.

use candle_core::{D, Result, Tensor};

/// Mean cross entropy of `logits` `[n][classes]` and `labels` `[n]` (u32), with label smoothing: the target is
/// `1 - smoothing` for the label plus `smoothing / classes` for every class (Szegedy et al., 2016).
///
/// # Errors
/// If the shapes do not fit.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor> {
    let log_p = log_softmax(logits)?;
    let hit = log_p.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?;
    let even = log_p.mean_all()?;
    ((hit * (smoothing - 1.0))? - (even * smoothing)?)?.contiguous()
}

/// Mean cross entropy of `logits` `[n][classes]` and the probabilities of the logits `target`, which are constants (Hinton et
/// al., 2015, at temperature 1).
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn soft_cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let p = log_softmax(&target.detach())?.exp()?;
    (p * log_softmax(logits)?)?.sum(D::Minus1)?.mean_all()?.neg()
}

fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)
}

/// How many of `logits` `[n][classes]` have their largest value at the label.
///
/// # Errors
/// If the shapes do not fit.
pub fn correct(logits: &Tensor, labels: &Tensor) -> Result<usize> {
    let hits = logits
        .argmax(D::Minus1)?
        .eq(labels)?
        .to_dtype(candle_core::DType::U32)?;
    Ok(hits.sum_all()?.to_scalar::<u32>()? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn known_answers() {
        // Two classes, difference of logits 1: p = 1 / (1 + e^-1).
        let logits = Tensor::new(&[[1.0f32, 0.0], [3.0, 2.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
        let (right, wrong) = (0.313_261_7f32, 1.313_261_7f32);
        let loss = |smoothing| {
            cross_entropy(&logits, &labels, smoothing)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        let mean = (right + wrong) / 2.0;
        assert!((loss(0.0) - mean).abs() < 1e-6);
        // Over both classes the mean is the same here, so smoothing changes nothing.
        assert!((loss(0.1) - mean).abs() < 1e-6);
        assert_eq!(correct(&logits, &labels).unwrap(), 1);
        // A target of the same two probabilities, and one of a half each.
        let soft = |target: &Tensor| soft_cross_entropy(&logits, target).unwrap().to_scalar::<f32>().unwrap();
        let p = (-right).exp();
        assert!((soft(&logits) - (p * right + (1.0 - p) * wrong)).abs() < 1e-6);
        assert!((soft(&logits.zeros_like().unwrap()) - mean).abs() < 1e-6);
    }
}
