//! An exported file read back: the integers and steps that went into it, by the names that the caller gave.

use std::collections::BTreeMap;

use prost::Message;

use super::super::constant::{Constant, Data};
use super::super::preprocess;
use super::super::proto::{Model, Tensor};
use super::{Quantisation, QuantisedWeights};
use crate::error::NetError;
use crate::preprocess::Preprocess;

/// What a [`QdqGraph`](super::QdqGraph) was made of, from its file. Only the names of an export are known here: of a file from
/// elsewhere nothing may be found.
#[derive(Debug)]
pub struct StoredGraph {
    name: String,
    constants: BTreeMap<String, Constant>,
    preprocess: Option<Preprocess>,
}

/// Weights and biases of one layer of a file; orders and units as in [`QuantisedWeights`], but that a fully connected layer
/// over a picture has the order of the file, `[out_c][c][y][x]`.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWeights {
    /// Weights.
    pub values: Vec<i8>,
    /// Real value of one step, per output channel.
    pub scales: Vec<f32>,
    /// Biases in accumulator steps.
    pub bias: Vec<i32>,
    /// 8 or 4.
    pub bits: u32,
    /// Inputs that a weight row multiplies at each tap: `in_c / groups`.
    pub depth: usize,
}

impl StoredWeights {
    /// For an export.
    #[must_use]
    pub fn weights(&self) -> QuantisedWeights<'_> {
        QuantisedWeights {
            values: &self.values,
            scales: &self.scales,
            bias: &self.bias,
            bits: self.bits,
        }
    }
}

impl StoredGraph {
    /// Reads the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`NetError`] if they are damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, NetError> {
        let model = Model::decode(bytes)?;
        let graph = model.graph.ok_or_else(|| NetError::form("model", "it has no graph"))?;
        let read = |tensor: &Tensor| Ok((tensor.name.clone(), Constant::read(tensor)?));
        let constants = graph.initializer.iter().map(read);
        Ok(Self {
            name: graph.name,
            constants: constants.collect::<Result<_, NetError>>()?,
            preprocess: preprocess(&model.metadata_props)?,
        })
    }

    /// The graph's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How pixels become the input.
    #[must_use]
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// How the input's values are stored.
    #[must_use]
    pub fn input(&self) -> Option<Quantisation> {
        self.quantisation(super::IMAGE)
    }

    /// How the output of operator `name` is stored; none where it has the steps of another, as after a maximum.
    #[must_use]
    pub fn quantisation(&self, name: &str) -> Option<Quantisation> {
        let (zero, bits) = match self.data(name, "zero")? {
            Data::U8(zero) => (zero, 8),
            Data::U4(zero) => (zero, 4),
            _ => return None,
        };
        match self.data(name, "scale")? {
            Data::F32(scale) => Some(Quantisation {
                scale: *scale.first()?,
                zero: *zero.first()?,
                bits,
            }),
            _ => None,
        }
    }

    /// Weights of the convolution or fully connected layer `name`.
    #[must_use]
    pub fn weights(&self, name: &str) -> Option<StoredWeights> {
        let stored = self.constants.get(&format!("{name}.weight.quantised"))?;
        let (values, bits) = match &stored.data {
            Data::I8(values) => (values, 8),
            Data::I4(values) => (values, 4),
            _ => return None,
        };
        let (Data::F32(scales), Data::I32(bias)) =
            (self.data(name, "weight.scale")?, self.data(name, "bias.quantised")?)
        else {
            return None;
        };
        let (&out_c, shape) = stored.dims.split_first()?;
        let &depth = shape.first()?;
        // Dimensions are whatever the file says: only their product is known to be the number of values.
        let taps = values.len().checked_div(out_c)?.checked_div(depth)?;
        if scales.len() != out_c || bias.len() != out_c {
            return None;
        }
        // [o][c][tap] to [o][tap][c].
        let at = |o: usize| (0..taps).flat_map(move |tap| (0..depth).map(move |c| (o * depth + c) * taps + tap));
        Some(StoredWeights {
            values: (0..out_c).flat_map(at).map(|i| values[i]).collect(),
            scales: scales.clone(),
            bias: bias.clone(),
            bits,
            depth,
        })
    }

    fn data(&self, name: &str, part: &str) -> Option<&Data> {
        self.constants.get(&format!("{name}.{part}")).map(|c| &c.data)
    }
}
