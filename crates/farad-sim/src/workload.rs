//! A network with its pictures, and what runs of it on any macro have in common.

use crate::SimError;
use crate::digital::{DigitalEngine, DigitalNetwork};
use farad_net::Network;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

/// Labelled pictures.
#[derive(Debug, Clone, Copy)]
pub struct ImageSet<'a> {
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Unsigned bytes, NHWC.
    pub pixels: &'a [u8],
    /// Class of each picture.
    pub labels: &'a [u16],
}

/// A network and the pictures that it is run on. Exact arithmetic is done once for all runs of a workload, by the first
/// run that asks; runs may share it at the same time.
#[derive(Debug)]
pub struct Workload<'a> {
    pub(crate) network: &'a Network,
    pub(crate) images: ImageSet<'a>,
    pub(crate) digital: DigitalNetwork,
    /// One per picture. Whoever finds one [`UNKNOWN`] computes it: all compute the same.
    verdicts: Vec<AtomicU8>,
}

/// Nobody has classified the picture yet.
const UNKNOWN: u8 = 0;
/// The right label is not among the first five.
const MISSED: u8 = 1;
/// It is, and another one leads.
const TOP5: u8 = 2;
/// It leads.
const TOP1: u8 = 3;

impl<'a> Workload<'a> {
    /// Nothing is computed yet but the packed weights.
    ///
    /// # Errors
    /// [`SimError::ImageShape`] and [`SimError::NoImages`]: the pictures do not fit the network.
    pub fn new(network: &'a Network, images: ImageSet<'a>) -> Result<Self, SimError> {
        let shape = [images.height, images.width, images.channels];
        if shape != network.input_shape() {
            return Err(SimError::ImageShape {
                images: shape,
                network: network.input_shape(),
            });
        }
        if images.labels.is_empty() {
            return Err(SimError::NoImages);
        }
        Ok(Self {
            network,
            images,
            digital: DigitalNetwork::new(network.mac_layers()),
            verdicts: images.labels.iter().map(|_| AtomicU8::new(UNKNOWN)).collect(),
        })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &'a Network {
        self.network
    }

    /// Number of pictures, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no workload is empty")]
    pub fn len(&self) -> usize {
        self.images.labels.len()
    }

    /// Activations and dataset indices of some pictures.
    pub(crate) fn batch(&self, range: &Range<usize>) -> Result<(Vec<u8>, Vec<u32>), SimError> {
        let len = self.images.height * self.images.width * self.images.channels;
        let pixels = &self.images.pixels[range.start * len..range.end * len];
        let input = self.network.quantize_input(pixels)?;
        Ok((input, range.clone().map(|i| i as u32).collect()))
    }

    /// Pictures of these batches whose label leads in exact arithmetic, and whose label is among the first five.
    pub(crate) fn digital_accuracy(&self, batches: &[Range<usize>]) -> Result<(u64, u64), SimError> {
        batches
            .par_iter()
            .with_max_len(1)
            .try_for_each(|range| self.classify(range))?;
        let verdicts = batches.iter().flat_map(|range| &self.verdicts[range.clone()]);
        Ok(verdicts.fold((0, 0), |(top1, top5), verdict| {
            let verdict = verdict.load(Ordering::Relaxed);
            (top1 + u64::from(verdict == TOP1), top5 + u64::from(verdict >= TOP5))
        }))
    }

    /// Of each picture of these batches, whether its label leads in exact arithmetic.
    pub(crate) fn digital_top1(&self, batches: &[Range<usize>]) -> Result<Vec<bool>, SimError> {
        self.digital_accuracy(batches)?;
        let verdicts = batches.iter().flat_map(|range| &self.verdicts[range.clone()]);
        Ok(verdicts
            .map(|verdict| verdict.load(Ordering::Relaxed) == TOP1)
            .collect())
    }

    fn classify(&self, range: &Range<usize>) -> Result<(), SimError> {
        let verdicts = &self.verdicts[range.clone()];
        if verdicts.iter().all(|v| v.load(Ordering::Relaxed) != UNKNOWN) {
            return Ok(());
        }
        let (input, ids) = self.batch(range)?;
        let logits = self.network.run(&input, &ids, &mut DigitalEngine(&self.digital))?;
        let ranks = ranks(&logits, &self.images.labels[range.clone()]);
        for (verdict, rank) in verdicts.iter().zip(ranks) {
            let found = match rank {
                0 => TOP1,
                1..5 => TOP5,
                _ => MISSED,
            };
            verdict.store(found, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Pictures whose label leads the logits, and whose label is among the first five; equal logits rank by class.
#[must_use]
pub fn accuracy(logits: &[f32], labels: &[u16]) -> (u64, u64) {
    ranks(logits, labels).fold((0, 0), |(top1, top5), rank| {
        (top1 + u64::from(rank == 0), top5 + u64::from(rank < 5))
    })
}

/// Of each picture, the number of classes before its label.
pub(crate) fn ranks(logits: &[f32], labels: &[u16]) -> impl Iterator<Item = usize> {
    let classes = logits.len() / labels.len().max(1);
    logits.chunks_exact(classes.max(1)).zip(labels).map(|(logits, &label)| {
        let label = usize::from(label);
        let Some(&own) = logits.get(label) else {
            return usize::MAX;
        };
        let ahead = |&(c, &l): &(usize, &f32)| l > own || (l == own && c < label);
        logits.iter().enumerate().filter(ahead).count()
    })
}
