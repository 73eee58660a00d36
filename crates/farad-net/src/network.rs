//! An int8 network and how it runs.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::bops::{bops, bops_uniq};
use crate::error::NetError;
use crate::graph::{Builder, Node, Tensor};
use crate::kernel::softmax::softmax_f32;
use crate::layer::{Activations, MacEngine, MacLayer};
use crate::preprocess::Preprocess;
use crate::requant::{Affine, Quantiser, Unary};
use crate::run::Run;
use crate::{onnx, tflite};

/// An imported int8 network: a graph of exact integer operations and the MAC layers a macro can take over.
#[derive(Debug)]
pub struct Network {
    name: String,
    sha256: String,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) layers: Vec<MacLayer>,
    pub(crate) input: Input,
    pub(crate) output: Output,
    preprocess: Option<Preprocess>,
    dataset: Option<String>,
}

/// Where pixels enter.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) tensor: usize,
    /// Height, width, channels.
    pub(crate) shape: [usize; 3],
    pub(crate) quantiser: Quantiser,
    /// The file's input is float: pixels cannot be stored as they are.
    pub(crate) is_float: bool,
}

/// Where logits leave, in f32.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) source: OutputSource,
    /// A float softmax at the very end.
    pub(crate) softmax: bool,
}

#[derive(Debug)]
pub(crate) enum OutputSource {
    /// The real values of a stored tensor's bytes.
    Stored { tensor: usize, real: Box<[f32; 256]> },
    /// A last MAC layer that is never quantised.
    Mac {
        layer: usize,
        input: usize,
        affine: Affine,
        post: Vec<Unary>,
    },
}

/// One node, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Name in the source file.
    pub name: String,
    /// What it does, in the words of this crate: `conv2d`, `depthwise_conv2d`, `dense`, `add`, `max_pool`, ...
    pub op: &'static str,
    /// Shape of one image's output as stored: `[h, w, c]` or `[features]`.
    pub shape: Vec<usize>,
    /// Index among the MAC layers, for a node that is one.
    pub mac_layer: Option<usize>,
    /// Weights, without biases; 0 unless a MAC layer. So are the next three, per image.
    pub params: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// [`bops`](fn@crate::bops).
    pub bops: u64,
    /// [`bops_uniq`].
    pub bops_uniq: u64,
}

/// One tensor of a batch, for layer-by-layer comparisons.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Name in the source file.
    pub name: &'a str,
    /// Shape of one image as stored: `[h, w, c]` or `[features]`.
    pub dims: &'a [usize],
    /// Stored bytes of all images, image by image.
    pub data: &'a [u8],
    /// Real value of one step.
    pub scale: f32,
    /// Stored byte of real zero.
    pub zero: u8,
}

impl Network {
    /// Reads a TFLite or ONNX file; the content decides which, not the extension. The network's name is the file's stem.
    ///
    /// # Errors
    /// Any [`NetError`]: the file is unreadable, damaged, not quantised, or uses something unsupported.
    pub fn load(path: &Path) -> Result<Self, NetError> {
        let bytes = std::fs::read(path).map_err(|source| NetError::Io {
            path: path.to_owned(),
            source,
        })?;
        let name = path
            .file_stem()
            .map_or_else(|| "network".to_owned(), |s| s.to_string_lossy().into_owned());
        Self::parse(&name, &bytes)
    }

    /// Imports a TFLite or ONNX network from its bytes.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, NetError> {
        let imported = if tflite::is_tflite(bytes) {
            tflite::import(bytes)?
        } else if onnx::is_onnx(bytes) {
            onnx::import(bytes)?
        } else {
            return Err(NetError::UnknownFormat);
        };
        let Imported {
            builder,
            input,
            output,
            preprocess,
            dataset,
        } = imported;
        let mut network = Self {
            name: name.to_owned(),
            sha256: Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect(),
            tensors: builder.tensors,
            nodes: builder.nodes,
            layers: builder.layers,
            input,
            output,
            preprocess: None,
            dataset,
        };
        if let Some(preprocess) = preprocess {
            network.set_preprocess(preprocess)?;
        }
        Ok(network)
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file's bytes, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Height, width and channels of an image.
    #[must_use]
    pub fn input_shape(&self) -> [usize; 3] {
        self.input.shape
    }

    /// Number of logits of an image.
    #[must_use]
    pub fn classes(&self) -> usize {
        match &self.output.source {
            OutputSource::Stored { tensor, .. } => self.tensors[*tensor].len(),
            OutputSource::Mac { layer, .. } => self.layers[*layer].shape.positions() * self.layers[*layer].shape.out_c,
        }
    }

    /// The layers that multiply and accumulate, in execution order.
    #[must_use]
    pub fn mac_layers(&self) -> &[MacLayer] {
        &self.layers
    }

    /// Whether the network takes normalised floats and nothing says which normalisation.
    #[must_use]
    pub fn needs_preprocess(&self) -> bool {
        self.input.is_float && self.preprocess.is_none()
    }

    /// The normalisation of the input, if it is known: from the ONNX metadata `farad.pixel_max`, `farad.mean` and
    /// `farad.std`, or as [set](Self::set_preprocess).
    #[must_use]
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// Name of the dataset that the network was made for, if it says so: the ONNX metadata `farad.dataset`.
    #[must_use]
    pub fn dataset(&self) -> Option<&str> {
        self.dataset.as_deref()
    }

    /// Fixes the normalisation of the input.
    ///
    /// # Errors
    /// [`NetError::BadPreprocess`] when the number of channels differs or a value is not usable.
    pub fn set_preprocess(&mut self, preprocess: Preprocess) -> Result<(), NetError> {
        match preprocess.problem(self.input.shape[2]) {
            Some(problem) => Err(NetError::BadPreprocess(problem)),
            None => {
                self.preprocess = Some(preprocess);
                Ok(())
            }
        }
    }

    /// Turns pixels (NHWC, any number of images) into stored input bytes (NHWC).
    ///
    /// With a [`Preprocess`] the real values are quantised as the source tool quantises them. Without, the network takes
    /// quantised pixels, and pixels are stored as they are: an int8 input of value `pixel - 128` is stored as `pixel`.
    ///
    /// # Errors
    /// [`NetError::NeedsPreprocess`] for a float input without normalisation; [`NetError::BadInput`] when the pixels are
    /// not a whole number of images.
    pub fn quantize_input(&self, pixels: &[u8]) -> Result<Vec<u8>, NetError> {
        let [h, w, c] = self.input.shape;
        if !pixels.len().is_multiple_of(h * w * c) {
            return Err(NetError::BadInput(format!(
                "{} bytes are not whole images of {h}x{w}x{c}",
                pixels.len()
            )));
        }
        let Some(preprocess) = &self.preprocess else {
            return match self.input.is_float {
                true => Err(NetError::NeedsPreprocess {
                    network: self.name.clone(),
                }),
                false => Ok(pixels.to_vec()),
            };
        };
        let tables: Vec<[u8; 256]> = (0..c)
            .map(|c| std::array::from_fn(|p| self.input.quantiser.quantise(preprocess.real(c, p as u8))))
            .collect();
        Ok(pixels
            .iter()
            .enumerate()
            .map(|(i, &p)| tables[i % c][usize::from(p)])
            .collect())
    }

    /// Runs a batch: `input` from [`quantize_input`](Self::quantize_input), `images` the dataset index of each image.
    /// Returns logits, `[image][class]`.
    ///
    /// # Errors
    /// [`NetError::BadInput`] when `input` does not hold as many images as `images`.
    pub fn run(&self, input: &[u8], images: &[u32], engine: &mut dyn MacEngine) -> Result<Vec<f32>, NetError> {
        self.run_with(input, images, engine, &mut |_, _| {})
    }

    /// Like [`run`](Self::run), showing the output tensor of each node to `observe` as soon as it exists. A last MAC layer
    /// that is never quantised has no such tensor.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(
        &self,
        input: &[u8],
        images: &[u32],
        engine: &mut dyn MacEngine,
        observe: &mut dyn FnMut(&NodeInfo, &TensorView<'_>),
    ) -> Result<Vec<f32>, NetError> {
        let image_len = self.tensors[self.input.tensor].len();
        if image_len.checked_mul(images.len()) != Some(input.len()) {
            let what = format!("{} bytes for {} images of {image_len} bytes", input.len(), images.len());
            return Err(NetError::BadInput(what));
        }
        let mut run = Run::new(self, input, images);
        for node in &self.nodes {
            run.step(node, engine);
            let tensor = &self.tensors[node.output];
            let view = TensorView {
                name: &tensor.name,
                dims: &tensor.dims,
                data: run.bytes(node.output),
                scale: tensor.scale,
                zero: tensor.zero,
            };
            observe(&self.info(node), &view);
            run.drop_unused();
        }
        let mut logits = match &self.output.source {
            OutputSource::Stored { tensor, real } => run
                .bytes(*tensor)
                .iter()
                .map(|&b| real[usize::from(b)])
                .collect::<Vec<_>>(),
            OutputSource::Mac {
                layer,
                input,
                affine,
                post,
            } => {
                let activations = Activations {
                    data: run.bytes(*input),
                    images,
                };
                let acc = accumulate(&self.layers[*layer], *layer, activations, engine);
                let channels = affine.scale.len();
                acc.iter()
                    .enumerate()
                    .map(|(i, &acc)| Unary::all(post, affine.real(i % channels, acc)))
                    .collect()
            }
        };
        if self.output.softmax {
            logits.chunks_exact_mut(self.classes()).for_each(softmax_f32);
        }
        Ok(logits)
    }

    /// What each node is and costs, in execution order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeInfo> + '_ {
        let last = match &self.output.source {
            OutputSource::Mac { layer, .. } => Some(self.mac_info(*layer)),
            OutputSource::Stored { .. } => None,
        };
        self.nodes.iter().map(|node| self.info(node)).chain(last)
    }

    /// Weights, without biases.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.layers.iter().map(|l| l.shape.params()).sum()
    }

    /// Multiply-accumulates of one image.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|l| l.shape.macs()).sum()
    }

    /// [`bops`](fn@crate::bops) of one image, all layers.
    #[must_use]
    pub fn bops(&self) -> u64 {
        self.layers.iter().map(bops).sum()
    }

    /// [`bops_uniq`] of one image, all layers.
    #[must_use]
    pub fn bops_uniq(&self) -> u64 {
        self.layers.iter().map(bops_uniq).sum()
    }

    fn info(&self, node: &Node) -> NodeInfo {
        match node.kernel {
            crate::kernel::Kernel::Mac { layer, .. } => NodeInfo {
                shape: self.tensors[node.output].dims.clone(),
                ..self.mac_info(layer)
            },
            _ => NodeInfo {
                name: node.name.clone(),
                op: node.op,
                shape: self.tensors[node.output].dims.clone(),
                mac_layer: None,
                params: 0,
                macs: 0,
                bops: 0,
                bops_uniq: 0,
            },
        }
    }

    fn mac_info(&self, index: usize) -> NodeInfo {
        let layer = &self.layers[index];
        NodeInfo {
            name: layer.name.clone(),
            op: layer.op,
            shape: vec![layer.shape.out_h, layer.shape.out_w, layer.shape.out_c],
            mac_layer: Some(index),
            params: layer.shape.params(),
            macs: layer.shape.macs(),
            bops: bops(layer),
            bops_uniq: bops_uniq(layer),
        }
    }
}

/// What an importer hands over.
pub(crate) struct Imported {
    pub(crate) builder: Builder,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) preprocess: Option<Preprocess>,
    pub(crate) dataset: Option<String>,
}

/// Accumulators of one layer for a batch.
pub(crate) fn accumulate(layer: &MacLayer, index: usize, x: Activations<'_>, engine: &mut dyn MacEngine) -> Vec<i32> {
    let mut acc = vec![0; x.images.len() * layer.shape.positions() * layer.shape.out_c];
    engine.accumulate(index, layer, x, &mut acc);
    acc
}
