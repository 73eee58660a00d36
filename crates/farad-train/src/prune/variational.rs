//! The variational mask (Fang, 2022): the criterion that Farad is about.

use super::settings::{Checked, must};
use super::{Batch, Criterion, Progress, gate_energy};
use crate::Model;
use crate::graph::Graph;
use crate::ops::with_slice;
use crate::rng::{Purpose, Rng};
use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// log alpha is kept within this distance of 0.
pub(super) const LOG_ALPHA_BOUND: f64 = 8.0;
/// Least log sigma^2 at the start: less would leave the divergence too long a way.
const LEAST_START: f64 = -6.0;
/// Where lambda is kept that was found when the mask was put on.
const LAMBDA: &str = "mask.lambda";

/// `y = act(m (gamma xhat + beta))`, `m = theta + sigma eps`, with one `eps ~ N(0, 1)` for each image and channel.
///
/// Because the mask multiplies the whole output of the batch norm, scale and shift both count. One draw for a whole map
/// is the local reparameterisation (Kingma et al., "Variational dropout and the local reparameterization trick", 2015) of a
/// Gaussian weight on each channel. The loss gets `lambda / N * sum_g w_g sum_c KL(alpha_c)`, `alpha = sigma^2 / theta^2`,
/// N the number of training images; a channel of high alpha is noise, and goes.
///
/// Where the noise is small, it costs `H sigma^2 / 2` of the loss, `H_c` the [`gate_energy`], and log alpha is in
/// equilibrium at `alpha_c = lambda w_g / (N H_c)` (for the divergence `vcnnp` at the root of that). Both may set the start:
/// [`LogVariance::Laplace`] and [`Lambda::Quantile`]. H is that of the network that the mask is put on, so both
/// are for a network that has been trained, and not for so long that it fits all its images: then H vanishes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct VariationalMask {
    /// Weight of the divergence, 1 for the evidence lower bound.
    pub lambda: Lambda,
    /// Which approximation of the divergence.
    pub divergence: Divergence,
    /// Epochs over which lambda rises from 0, after `delay` epochs.
    pub warm_up: f64,
    /// Epochs before that.
    pub delay: f64,
    /// log sigma^2 at the start.
    pub log_variance: LogVariance,
    /// Training images.
    pub images: usize,
    /// The weight of each group's divergence.
    pub macs_weight: MacsWeight,
}

impl Default for VariationalMask {
    fn default() -> Self {
        Self {
            lambda: Lambda::Value(4.0),
            divergence: Divergence::Molchanov,
            warm_up: 3.0,
            delay: 1.0,
            log_variance: LogVariance::Value(LEAST_START),
            images: 50_000,
            macs_weight: MacsWeight::Part(0.5),
        }
    }
}

/// The weight of the divergence.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected a number, or { quantile = ... }")]
pub enum Lambda {
    /// This.
    Value(f64),
    /// Such that this part of all channels is at alpha above 1 in equilibrium (of small noise, whose formula there is only an
    /// ordering): `N quantile_q(H_c / w_g)`.
    Quantile {
        /// The part of the channels.
        quantile: f64,
    },
}

/// log sigma^2 at the start.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected a number, or \"laplace\"")]
pub enum LogVariance {
    /// This for all.
    Value(f64),
    /// That of the equilibrium, the Gaussian approximation of the posterior around a trained network, between -6 and 0.
    Laplace(Laplace),
}

impl LogVariance {
    /// That of the equilibrium.
    pub const LAPLACE: Self = Self::Laplace(Laplace::Laplace);
}

/// The word for [`LogVariance::Laplace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Laplace {
    /// `"laplace"`.
    Laplace,
}

/// The weight of each group's divergence.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected a number, or \"equal\"")]
pub enum MacsWeight {
    /// What a channel costs: this part of it is its share of the MACs, the rest its share of the parameters.
    Part(f64),
    /// 1 for all.
    Equal(Equal),
}

impl MacsWeight {
    /// 1 for all.
    pub const EQUAL: Self = Self::Equal(Equal::Equal);
}

/// The word for [`MacsWeight::Equal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Equal {
    /// `"equal"`.
    Equal,
}

/// Kullback-Leibler divergence of the mask's distribution from its prior, as a function of log alpha; 0 at infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divergence {
    /// From the log-uniform prior, as approximated by Molchanov et al. ("Variational dropout sparsifies deep neural
    /// networks", 2017): `k1 - k1 sigmoid(k2 + k3 log alpha) + ln(1 + 1/alpha) / 2`.
    Molchanov,
    /// From a Gaussian prior whose variance is fitted: `ln(1 + 1/alpha) / 2` (Kharitonov et al., 2018).
    Ard,
    /// `1 / (2 alpha)`: from a Gaussian of the same variance around 0 (Zhao et al., 2019).
    Vcnnp,
}

impl Divergence {
    /// Alpha where this divergence, with its slope at small alpha, balances noise that costs `H alpha / 2`; `ratio` is the
    /// divergence's weight over H.
    fn equilibrium(self, ratio: f64) -> f64 {
        match self {
            Self::Molchanov | Self::Ard => ratio,
            Self::Vcnnp => ratio.sqrt(),
        }
    }

    /// The divergence at each element of `log_alpha`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn of(self, log_alpha: &Tensor) -> Result<Tensor> {
        let inverse = log_alpha.neg()?.exp()?;
        match self {
            Self::Vcnnp => inverse * 0.5,
            Self::Ard => (inverse + 1.0)?.log()? * 0.5,
            Self::Molchanov => {
                let [k1, k2, k3] = [0.63576, 1.87320, 1.48695];
                let sigmoid = (log_alpha.affine(-k3, -k2)?.exp()? + 1.0)?.recip()?;
                sigmoid.affine(-k1, k1)? + ((inverse + 1.0)?.log()? * 0.5)?
            }
        }
    }
}

impl VariationalMask {
    /// log alpha of the mask of group `g`, bounded; none if the group has no mask.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn log_alpha(model: &Model, g: usize) -> Result<Option<Tensor>> {
        let Some((theta, log_variance)) = mask(model, g) else {
            return Ok(None);
        };
        let log_theta = ((theta.abs()? + 1e-8)?.log()? * 2.0)?;
        (log_variance - log_theta)?
            .clamp(-LOG_ALPHA_BOUND, LOG_ALPHA_BOUND)
            .map(Some)
    }

    /// The weight of the divergence, given or found.
    fn lambda(&self, model: &Model) -> Result<f64> {
        match (self.lambda, model.parameters.get(LAMBDA)) {
            (Lambda::Value(lambda), _) => Ok(lambda),
            (Lambda::Quantile { .. }, Some(found)) => Ok(f64::from(found.to_vec1::<f32>()?[0])),
            (Lambda::Quantile { .. }, None) => candle_core::bail!("lambda is found when the mask is put on"),
        }
    }

    /// `H_c / w_g` of every channel, where it is needed.
    fn energies(&self, model: &mut Model, batches: &[Batch]) -> Result<Vec<Vec<f32>>> {
        if let (Lambda::Value(_), LogVariance::Value(_)) = (self.lambda, self.log_variance) {
            return Ok(Vec::new());
        }
        let mut energies = gate_energy(model, batches)?;
        for (energies, weight) in energies.iter_mut().zip(self.weights(model.graph())) {
            // A channel without any gradient is as good as noise.
            energies
                .iter_mut()
                .for_each(|h| *h = (*h / weight as f32).max(f32::MIN_POSITIVE));
        }
        Ok(energies)
    }

    /// The weight of each group's divergence.
    fn weights(&self, graph: &Graph) -> Vec<f64> {
        match self.macs_weight {
            MacsWeight::Part(macs_weight) => group_weights(graph, macs_weight),
            MacsWeight::Equal(_) => vec![1.0; graph.groups.len()],
        }
    }
}

/// theta and log sigma^2 of the mask of group `g`.
pub(super) fn mask(model: &Model, g: usize) -> Option<(Tensor, Tensor)> {
    let get = |part: &str| model.parameters.get(&format!("mask.{g}.{part}"));
    Some((
        get("theta")?.as_tensor().clone(),
        get("log_variance")?.as_tensor().clone(),
    ))
}

/// The cost of a channel of each group at the present widths, over the mean of all channels: `macs_weight` of it in MACs,
/// the rest in parameters.
pub(super) fn group_weights(graph: &Graph, macs_weight: f64) -> Vec<f64> {
    let widths = graph.widths();
    let total = graph.total_cost(&widths);
    let costs: Vec<[f64; 2]> = (0..widths.len())
        .map(|g| {
            if !graph.groups[g].prunable {
                return [0.0; 2];
            }
            let channel = graph.channel_cost(g, &widths, total);
            [channel.macs as f64, channel.params as f64]
        })
        .collect();
    let channels: usize = graph.groups.iter().filter(|g| g.prunable).map(|g| g.channels).sum();
    let mean = |k: usize| {
        let sum: f64 = costs.iter().zip(&widths).map(|(c, &width)| c[k] * width as f64).sum();
        sum / channels.max(1) as f64
    };
    let (mean_macs, mean_params) = (mean(0), mean(1));
    costs
        .iter()
        .map(|[macs, params]| macs_weight * macs / mean_macs + (1.0 - macs_weight) * params / mean_params)
        .collect()
}

/// A random number for each image and channel of group `g` in one step.
pub(super) fn draw(
    model: &Model,
    g: usize,
    images: usize,
    progress: Progress,
    number: impl Fn(&mut Rng) -> f32 + Sync,
) -> Result<Tensor> {
    let channels = model.graph().groups[g].channels;
    let mut noise = vec![0.0; images * channels];
    noise.par_chunks_mut(channels).enumerate().for_each(|(n, row)| {
        let place = (g as u32) << 16 | n as u32;
        let mut rng = Rng::new(progress.seed, Purpose::Mask, progress.step as u32, place);
        row.fill_with(|| number(&mut rng));
    });
    Tensor::from_vec(noise, (images, channels), model.device())
}

/// theta goes into scale and shift of every batch norm that the mask multiplied, and all masks go.
pub(super) fn fold(model: &mut Model) -> Result<()> {
    for (g, group) in model.graph.groups.iter().enumerate() {
        let Some(theta) = model.parameters.get(&format!("mask.{g}.theta")) else {
            continue;
        };
        for &i in &group.masked {
            for part in ["gamma", "beta"] {
                let var = &model.parameters[&format!("{}.{part}", model.graph.nodes[i].name)];
                var.set(&(var.as_tensor() * theta.as_tensor())?)?;
            }
        }
    }
    model.parameters.retain(|name, _| !name.starts_with("mask."));
    Ok(())
}

impl Criterion for VariationalMask {
    fn check(&self) -> Checked<()> {
        let in_part = |part: f64| 0.0 < part && part < 1.0;
        match self.lambda {
            Lambda::Value(lambda) => must(lambda >= 0.0, "lambda", "at least 0")?,
            Lambda::Quantile { quantile } => must(in_part(quantile), "lambda", "a quantile between 0 and 1")?,
        }
        if let LogVariance::Value(value) = self.log_variance {
            must(value.abs() <= LOG_ALPHA_BOUND, "log_variance", "between -8 and 8")?;
        }
        must(self.delay >= 0.0, "delay", "at least 0")?;
        must(self.warm_up >= 0.0, "warm_up", "at least 0")?;
        must(self.images > 0, "images", "at least 1")?;
        match self.macs_weight {
            MacsWeight::Part(part) => must((0.0..=1.0).contains(&part), "macs_weight", "from 0 to 1"),
            MacsWeight::Equal(_) => Ok(()),
        }
    }

    fn attach(&mut self, model: &mut Model, batches: &[Batch]) -> Result<()> {
        let energies = self.energies(model, batches)?;
        if let Lambda::Quantile { quantile } = self.lambda {
            let mut sorted = energies.concat();
            sorted.sort_by(f32::total_cmp);
            let rank = (quantile * sorted.len() as f64) as usize;
            let lambda = sorted.get(rank).map_or(0.0, |h| h * self.images as f32);
            model.insert(LAMBDA.to_owned(), &Tensor::new(&[lambda], model.device())?)?;
        }
        let lambda = self.lambda(model)?;
        for g in 0..model.graph().groups.len() {
            let group = &model.graph().groups[g];
            if !group.prunable {
                continue;
            }
            let theta = Tensor::ones(group.channels, DType::F32, model.device())?;
            let log_variance = match self.log_variance {
                LogVariance::Value(log_variance) => (&theta * log_variance)?,
                LogVariance::Laplace(_) => {
                    let start = |h: &f32| {
                        let alpha = self.divergence.equilibrium(lambda / self.images as f64 / f64::from(*h));
                        libm::log(alpha).clamp(LEAST_START, 0.0) as f32
                    };
                    let starts: Vec<f32> = energies[g].iter().map(start).collect();
                    Tensor::from_vec(starts, group.channels, model.device())?
                }
            };
            model.insert(format!("mask.{g}.theta"), &theta)?;
            model.insert(format!("mask.{g}.log_variance"), &log_variance)?;
        }
        Ok(())
    }

    fn masks(&self, model: &Model, images: usize, progress: Progress) -> Result<Vec<Option<Tensor>>> {
        (0..model.graph().groups.len())
            .map(|g| {
                let Some((theta, log_variance)) = mask(model, g) else {
                    return Ok(None);
                };
                let noise = draw(model, g, images, progress, Rng::normal)?;
                let sigma = (log_variance * 0.5)?.exp()?;
                noise.broadcast_mul(&sigma)?.broadcast_add(&theta).map(Some)
            })
            .collect()
    }

    fn penalty(&self, model: &Model, progress: Progress) -> Result<Option<Tensor>> {
        let ramp = ((progress.epoch - self.delay) / self.warm_up.max(1e-9)).clamp(0.0, 1.0);
        if ramp == 0.0 {
            return Ok(None);
        }
        let lambda = self.lambda(model)?;
        let mut sum: Option<Tensor> = None;
        for (g, weight) in self.weights(model.graph()).into_iter().enumerate() {
            if let Some(log_alpha) = Self::log_alpha(model, g)? {
                let term =
                    (self.divergence.of(&log_alpha)?.sum_all()? * (weight * ramp * lambda / self.images as f64))?;
                sum = Some(match sum {
                    Some(sum) => (sum + term)?,
                    None => term,
                });
            }
        }
        Ok(sum)
    }

    /// `1 / alpha`, which near the equilibrium is the loss that the channel is worth, over its weight.
    fn score(&mut self, model: &mut Model, _: &[Batch]) -> Result<Vec<Vec<f32>>> {
        (0..model.graph().groups.len())
            .map(|g| match Self::log_alpha(model, g)? {
                Some(log_alpha) => with_slice(&log_alpha, |values| values.iter().map(|v| (-v).exp()).collect()),
                None => Ok(Vec::new()),
            })
            .collect()
    }

    /// Twice in all, with the weight of the divergence: short runs leave the order of cheap and dear channels to the planner.
    fn cost_power(&self) -> f64 {
        1.0
    }

    fn detach(&mut self, model: &mut Model) -> Result<()> {
        fold(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// log alpha, exact divergence from the log-uniform prior (numerical integration), Molchanov's, ARD, 1/(2 alpha).
    #[test]
    fn divergences_at_known_points() {
        let table = [
            (-8.0, 4.6350, 4.6359, 4.0002, 1490.5),
            (-4.0, 2.6258, 2.6342, 2.0091, 27.299),
            (-2.0, 1.5442, 1.5405, 1.0635, 3.6945),
            (0.0, 0.4138, 0.4312, 0.3466, 0.5),
            (1.0, 0.1740, 0.1780, 0.1566, 0.1839),
            (3.0, 0.0251, 0.0254, 0.0243, 0.0249),
            (6.0, 0.0023, 0.0013, 0.0012, 0.0012),
        ];
        for (log_alpha, exact, molchanov, ard, vcnnp) in table {
            let at = |divergence: Divergence| {
                let x = Tensor::new(&[log_alpha], &Device::Cpu).unwrap();
                divergence.of(&x).unwrap().to_vec1::<f64>().unwrap()[0]
            };
            // Half a unit of the last digit given.
            assert!((at(Divergence::Molchanov) - molchanov).abs() < 6e-5, "{log_alpha}");
            assert!((at(Divergence::Ard) - ard).abs() < 6e-5);
            assert!((at(Divergence::Vcnnp) - vcnnp).abs() < 6e-5 * f64::max(1.0, vcnnp * 10.0));
            // The bound that the approximation is known for.
            assert!((at(Divergence::Molchanov) - exact).abs() < 0.02);
        }
    }
}
