//! Export to ONNX in QDQ form: what the import reads, and what onnxruntime's CPU provider runs in integers.
//!
//! A graph grows one operator at a time, and each is a group that onnxruntime replaces by one integer kernel:
//! DequantizeLinear of the inputs, a float operator, QuantizeLinear. The 8-bit tensor has the name that the caller gave;
//! what belongs to it is called `NAME.weight`, `NAME.scale` and so on.
//!
//! No operator carries an activation function. With a zero point of 0 a QuantizeLinear is the ReLU, and with a scale of
//! at most 6/255 as well it is the ReLU6: it clamps to the same bytes.
//!
//! Tensors have 8 or 4 bits. Those of 4 bits are of ONNX's types INT4 and UINT4, which onnxruntime has no integer kernels
//! for: it computes such a group in float.

use prost::Message;

pub use stored::{StoredGraph, StoredWeights};

use super::proto::{Attribute, Model, OperatorSet, StringEntry, Tensor};
use super::write::{self, Writer};
use crate::graph::Padding;
use crate::preprocess::Preprocess;

/// The operator set whose QuantizeLinear and DequantizeLinear take an axis and whose other operators are settled, and the
/// format's version of it (ONNX 1.12).
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// The same of files with 4-bit tensors (ONNX 1.16), which came with operator set 21.
const OPSET_4_BIT: i64 = 21;
const IR_VERSION_4_BIT: i64 = 10;

/// Names of the float tensors where images enter and logits leave.
const INPUT: &str = "image";
const OUTPUT: &str = "logits";
/// Name of the input's bytes.
const IMAGE: &str = "image.quantised";

/// How real values are stored as bytes: `real = (byte - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantisation {
    /// Real value of one step; positive.
    pub scale: f32,
    /// Byte of real zero, below `2^bits`.
    pub zero: u8,
    /// 8, or 4 for bytes up to 15.
    pub bits: u32,
}

impl Quantisation {
    /// The largest byte.
    #[must_use]
    pub fn most(&self) -> u8 {
        if self.bits < 8 { (1 << self.bits) - 1 } else { u8::MAX }
    }
}

/// Weights and biases of one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantisedWeights<'a> {
    /// `[out_c][ky][kx][in_c / groups]`; of a fully connected layer `[out_c][y][x][c]` over its input.
    pub values: &'a [i8],
    /// Real value of one step, per output channel; the zero points are 0.
    pub scales: &'a [f32],
    /// Per output channel, in accumulator steps: one is worth `input scale * scales[c]`.
    pub bias: &'a [i32],
    /// 8, or 4 for values within -8..=7.
    pub bits: u32,
}

/// A sliding window, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Taps.
    pub kernel: [usize; 2],
    /// Pixels between outputs.
    pub stride: [usize; 2],
    /// Pixels added on both sides.
    pub padding: [usize; 2],
}

impl Window {
    /// The same in both directions.
    #[must_use]
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
        }
    }

    fn attributes(&self) -> Vec<Attribute> {
        let [vertical, horizontal] = self.padding;
        vec![
            write::ints("kernel_shape", &self.kernel),
            write::ints("strides", &self.stride),
            write::ints("pads", &[vertical, horizontal, vertical, horizontal]),
        ]
    }
}

/// A quantised tensor of a graph under construction.
#[derive(Debug, Clone, PartialEq)]
pub struct QdqTensor {
    name: String,
    /// Height, width, channels; `[1, 1, features]` for a vector.
    shape: [usize; 3],
    /// Two dimensions in the file, not four.
    is_vector: bool,
    quantisation: Quantisation,
    /// Whose `.scale` and `.zero` it uses: its own, or those of the tensor it was moved from.
    scaled_by: String,
}

impl QdqTensor {
    /// The name that [`TensorView::name`](crate::TensorView::name) shows when the file is run.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Height, width and channels; `[1, 1, features]` for a vector.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// How its values are stored.
    #[must_use]
    pub fn quantisation(&self) -> Quantisation {
        self.quantisation
    }
}

/// Why an operator cannot be added to a graph. Every variant names the operator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A name is empty, or means something else already.
    #[error("the name `{0}` is empty or taken")]
    Name(String),
    /// Shapes do not fit.
    #[error("`{name}`: {what}")]
    Shape {
        /// The operator.
        name: String,
        /// The contradiction.
        what: String,
    },
    /// Integers that are neither of 8 nor of 4 bits, or have more bits than are said.
    #[error("`{name}`: {what} do not fit {bits} bits; 8 and 4 can be exported")]
    Bits {
        /// The operator.
        name: String,
        /// Which integers.
        what: &'static str,
        /// How many bits they were said to have.
        bits: u32,
    },
    /// A scale, or the step of an accumulator, that is no positive number.
    #[error("`{name}`: scale {scale} is not a positive number")]
    Scale {
        /// The operator.
        name: String,
        /// The scale.
        scale: f32,
    },
}

/// A quantised network on its way into an ONNX file. Activations are uint8 or uint4 with one scale per tensor, weights int8
/// or int4 with one per output channel, biases int32. An operator that is refused may leave a part of itself: drop the graph then.
///
/// ```
/// use farad_net::{Network, Preprocess, QdqGraph, Quantisation, QuantisedWeights};
///
/// let pixels = Preprocess { pixel_max: 1.0, mean: vec![0.0], std: vec![1.0] };
/// let bytes = Quantisation { scale: 1.0 / 255.0, zero: 0, bits: 8 };
/// let (mut graph, image) = QdqGraph::new("two-classes", [1, 2, 1], bytes, &pixels)?;
/// let weights = QuantisedWeights { values: &[100, -100, -100, 100], scales: &[0.01, 0.01], bias: &[0, 0], bits: 8 };
/// let logits = graph.dense("classifier", &image, &weights, Quantisation { scale: 0.01, zero: 128, bits: 8 })?;
/// graph.describe("farad.recipe", "by hand");
/// let network = Network::parse("two-classes", &graph.encode(&logits)?)?;
/// assert_eq!((network.input_shape(), network.classes()), ([1, 2, 1], 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct QdqGraph {
    writer: Writer,
    metadata: Vec<StringEntry>,
    /// Whether there is a 4-bit tensor.
    small: bool,
}

impl QdqGraph {
    /// A graph whose input is a batch of float images, `shape` being height, width and channels; also the input as the bytes
    /// of `quantisation`. The file says with `preprocess` how pixels become those floats.
    ///
    /// # Errors
    /// [`ExportError`] when the preprocessing does not fit the channels, or the scale is not positive.
    pub fn new(
        name: &str,
        shape: [usize; 3],
        quantisation: Quantisation,
        preprocess: &Preprocess,
    ) -> Result<(Self, QdqTensor), ExportError> {
        let [h, w, c] = shape;
        if let Some(what) = preprocess.problem(c) {
            return Err(shape_error(INPUT, what));
        }
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        let mut graph = Self {
            writer: Writer::new(name, write::batch_of(INPUT, &[c, h, w]), OUTPUT),
            metadata: Vec::new(),
            small: false,
        };
        graph.describe("farad.pixel_max", preprocess.pixel_max.to_string());
        graph.describe("farad.mean", list(&preprocess.mean));
        graph.describe("farad.std", list(&preprocess.std));
        let image = graph.quantise(IMAGE, INPUT.to_owned(), shape, false, quantisation)?;
        Ok((graph, image))
    }

    /// Adds an entry to the file's metadata: `farad.dataset` is the name of the dataset that the network is for, anything
    /// else is for people, such as the recipe and the seed that made it.
    pub fn describe(&mut self, key: &str, value: impl Into<String>) {
        self.metadata.push(StringEntry {
            key: key.to_owned(),
            value: value.into(),
        });
    }

    /// A convolution; depthwise where `groups` is the number of input channels.
    ///
    /// # Errors
    /// [`ExportError`] when window, groups or weights do not fit the input, or a scale is not positive.
    pub fn conv(
        &mut self,
        name: &str,
        x: &QdqTensor,
        window: Window,
        groups: usize,
        weights: &QuantisedWeights<'_>,
        out: Quantisation,
    ) -> Result<QdqTensor, ExportError> {
        let [h, w] = self.windows(name, x, window)?;
        let (in_c, out_c) = (x.shape[2], weights.scales.len());
        if groups == 0 || !in_c.is_multiple_of(groups) || !out_c.is_multiple_of(groups) {
            let what = format!("{groups} groups do not divide {in_c} inputs and {out_c} outputs");
            return Err(shape_error(name, what));
        }
        let [kernel_h, kernel_w] = window.kernel;
        let real = self.dequantise(x, format!("{name}.x"))?;
        let (weight, bias) = self.weights(name, x, weights, [kernel_h, kernel_w, in_c / groups])?;
        let mut attributes = window.attributes();
        attributes.push(write::int("group", groups));
        let real = self.operator("Conv", name, vec![real, weight, bias], attributes)?;
        self.quantise(name, real, [h, w, out_c], false, out)
    }

    /// A fully connected layer over everything in its input.
    ///
    /// # Errors
    /// [`ExportError`] when the weights do not fit the input, or a scale is not positive.
    pub fn dense(
        &mut self,
        name: &str,
        x: &QdqTensor,
        weights: &QuantisedWeights<'_>,
        out: Quantisation,
    ) -> Result<QdqTensor, ExportError> {
        let x = if x.is_vector { x.clone() } else { self.flatten(name, x)? };
        let real = self.dequantise(&x, format!("{name}.x"))?;
        let (weight, bias) = self.weights(name, &x, weights, x.shape)?;
        let real = self.operator("Gemm", name, vec![real, weight, bias], vec![write::int("transB", 1)])?;
        self.quantise(name, real, [1, 1, weights.scales.len()], true, out)
    }

    /// The largest value of each window; what is left over at the right and at the bottom is dropped.
    ///
    /// # Errors
    /// [`ExportError`] when the window does not fit the input.
    pub fn max_pool(&mut self, name: &str, x: &QdqTensor, window: Window) -> Result<QdqTensor, ExportError> {
        let [h, w] = self.windows(name, x, window)?;
        let moved = QdqTensor {
            name: name.to_owned(),
            shape: [h, w, x.shape[2]],
            ..x.clone()
        };
        self.movement("MaxPool", x, moved, window.attributes())
    }

    /// The mean of each channel, a picture of one pixel.
    ///
    /// # Errors
    /// [`ExportError`] when the input is a vector, or the scale is not positive.
    pub fn global_average_pool(
        &mut self,
        name: &str,
        x: &QdqTensor,
        out: Quantisation,
    ) -> Result<QdqTensor, ExportError> {
        self.windows(name, x, Window::square(1, 1, 0))?;
        let real = self.dequantise(x, format!("{name}.x"))?;
        let real = self.operator("GlobalAveragePool", name, vec![real], Vec::new())?;
        self.quantise(name, real, [1, 1, x.shape[2]], false, out)
    }

    /// The sum of two tensors of one shape.
    ///
    /// # Errors
    /// [`ExportError`] when the shapes differ, or the scale is not positive.
    pub fn add(
        &mut self,
        name: &str,
        a: &QdqTensor,
        b: &QdqTensor,
        out: Quantisation,
    ) -> Result<QdqTensor, ExportError> {
        if (a.shape, a.is_vector) != (b.shape, b.is_vector) {
            let what = format!("the sum of `{}` {:?} and `{}` {:?}", a.name, a.shape, b.name, b.shape);
            return Err(shape_error(name, what));
        }
        let (left, right) = (
            self.dequantise(a, format!("{name}.a"))?,
            self.dequantise(b, format!("{name}.b"))?,
        );
        let real = self.operator("Add", name, vec![left, right], Vec::new())?;
        self.quantise(name, real, a.shape, a.is_vector, out)
    }

    /// The file: an ONNX `ModelProto` for any batch size, whose output is the real values of `logits`.
    ///
    /// # Errors
    /// [`ExportError::Shape`] when `logits` is not a vector.
    pub fn encode(self, logits: &QdqTensor) -> Result<Vec<u8>, ExportError> {
        if !logits.is_vector {
            return Err(shape_error(&logits.name, "the logits must be a vector".to_owned()));
        }
        let inputs = with_steps(logits.name.clone(), logits);
        let output = write::batch_of(OUTPUT, &[logits.shape.iter().product()]);
        let (ir_version, version) = match self.small {
            true => (IR_VERSION_4_BIT, OPSET_4_BIT),
            false => (IR_VERSION, OPSET),
        };
        let model = Model {
            ir_version,
            producer_name: "farad".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.writer.finish("DequantizeLinear", inputs, output)),
            opset_import: vec![OperatorSet {
                domain: String::new(),
                version,
            }],
            metadata_props: self.metadata,
        };
        Ok(model.encode_to_vec())
    }

    /// Outputs of a window over a picture: height and width.
    fn windows(&self, name: &str, x: &QdqTensor, window: Window) -> Result<[usize; 2], ExportError> {
        if x.is_vector {
            return Err(shape_error(name, format!("its input `{}` is a vector", x.name)));
        }
        let mut out = [0; 2];
        for axis in 0..2 {
            let pad = window.padding[axis];
            let padding = Padding::Explicit {
                before: pad,
                after: pad,
                ceil: false,
            };
            let resolved = padding.resolve(x.shape[axis], window.kernel[axis], window.stride[axis], 1);
            let what = || format!("{window:?} does not fit an input of {}x{}", x.shape[0], x.shape[1]);
            (out[axis], _) = resolved.ok_or_else(|| shape_error(name, what()))?;
        }
        Ok(out)
    }

    /// Weights of `[y][x][c]` per output channel in ONNX's order `[c][y][x]`, and the bias, both dequantised. The weights
    /// of a vector are a matrix.
    fn weights(
        &mut self,
        name: &str,
        x: &QdqTensor,
        weights: &QuantisedWeights<'_>,
        [h, w, c]: [usize; 3],
    ) -> Result<(String, String), ExportError> {
        let (out_c, inputs) = (weights.scales.len(), h * w * c);
        if out_c == 0 || weights.bias.len() != out_c || weights.values.len() != out_c * inputs {
            let (values, biases) = (weights.values.len(), weights.bias.len());
            let what = format!("{values} weights and {biases} biases for {out_c} channels of {inputs} inputs");
            return Err(shape_error(name, what));
        }
        let steps: Vec<f32> = weights.scales.iter().map(|s| x.quantisation.scale * s).collect();
        for &scale in weights.scales.iter().chain(&steps) {
            positive(name, scale)?;
        }
        let order: Vec<usize> = (0..c)
            .flat_map(|c_at| (0..h * w).map(move |tap| tap * c + c_at))
            .collect();
        let channels = weights.values.chunks_exact(inputs);
        let values = channels.flat_map(|channel| order.iter().map(|&at| channel[at]));
        let dims = if x.is_vector {
            vec![out_c, inputs]
        } else {
            vec![out_c, c, h, w]
        };
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let bits = weights.bits;
        let fits = bits == 8 || weights.values.iter().all(|v| (-8..8).contains(v));
        self.check_bits(name, "weights", bits, fits)?;
        let values = write::signed(format!("{weight}.quantised"), &dims, bits, values);
        let zeros = write::signed(format!("{weight}.zero"), &[out_c], bits, std::iter::repeat_n(0, out_c));
        let weight = self.constant(weight, values, weights.scales, zeros)?;
        let values = write::int32s(format!("{bias}.quantised"), &[out_c], weights.bias);
        let zeros = write::int32s(format!("{bias}.zero"), &[out_c], &vec![0; out_c]);
        let bias = self.constant(bias, values, &steps, zeros)?;
        Ok((weight, bias))
    }

    /// Refuses integers that do not fit their bits, and remembers whether any have 4.
    fn check_bits(&mut self, name: &str, what: &'static str, bits: u32, fits: bool) -> Result<(), ExportError> {
        self.small |= bits == 4;
        match fits && matches!(bits, 4 | 8) {
            true => Ok(()),
            false => Err(ExportError::Bits {
                name: name.to_owned(),
                what,
                bits,
            }),
        }
    }

    /// DequantizeLinear of a constant with scales along its first axis.
    fn constant(&mut self, name: String, values: Tensor, scales: &[f32], zeros: Tensor) -> Result<String, ExportError> {
        let scales = write::floats(format!("{name}.scale"), &[scales.len()], scales);
        let mut inputs = Vec::new();
        for tensor in [values, scales, zeros] {
            inputs.push(tensor.name.clone());
            self.writer.initializer(tensor)?;
        }
        let axis = vec![write::int("axis", 0)];
        self.writer
            .node("DequantizeLinear", format!("{name}.dequantise"), inputs, name, axis)
    }

    /// Real values of an activation. Every reader has its own: then each of onnxruntime's groups is whole.
    fn dequantise(&mut self, x: &QdqTensor, output: String) -> Result<String, ExportError> {
        let inputs = with_steps(x.name.clone(), x);
        self.writer.node(
            "DequantizeLinear",
            format!("{output}.dequantise"),
            inputs,
            output,
            Vec::new(),
        )
    }

    /// A float operator; returns the name of its output.
    fn operator(
        &mut self,
        op: &str,
        name: &str,
        inputs: Vec<String>,
        attributes: Vec<Attribute>,
    ) -> Result<String, ExportError> {
        self.writer
            .node(op, name.to_owned(), inputs, format!("{name}.real"), attributes)
    }

    /// QuantizeLinear of `real` to a tensor with steps of its own.
    fn quantise(
        &mut self,
        name: &str,
        real: String,
        shape: [usize; 3],
        is_vector: bool,
        quantisation: Quantisation,
    ) -> Result<QdqTensor, ExportError> {
        positive(name, quantisation.scale)?;
        let Quantisation { zero, bits, .. } = quantisation;
        self.check_bits(name, "activations", bits, zero <= quantisation.most())?;
        self.writer
            .initializer(write::floats(format!("{name}.scale"), &[], &[quantisation.scale]))?;
        self.writer
            .initializer(write::unsigned(format!("{name}.zero"), bits, zero))?;
        self.quantised(
            real,
            QdqTensor {
                name: name.to_owned(),
                shape,
                is_vector,
                quantisation,
                scaled_by: name.to_owned(),
            },
        )
    }

    /// QuantizeLinear of `real` to `tensor`, whose steps are there.
    fn quantised(&mut self, real: String, tensor: QdqTensor) -> Result<QdqTensor, ExportError> {
        let inputs = with_steps(real, &tensor);
        let node = format!("{}.quantise", tensor.name);
        self.writer
            .node("QuantizeLinear", node, inputs, tensor.name.clone(), Vec::new())?;
        Ok(tensor)
    }

    /// An operator that only moves bytes: `moved` has the steps of `x`, so that onnxruntime moves bytes, too.
    fn movement(
        &mut self,
        op: &str,
        x: &QdqTensor,
        moved: QdqTensor,
        attributes: Vec<Attribute>,
    ) -> Result<QdqTensor, ExportError> {
        let real = self.dequantise(x, format!("{}.x", moved.name))?;
        let real = self.operator(op, &moved.name, vec![real], attributes)?;
        self.quantised(real, moved)
    }

    fn flatten(&mut self, name: &str, x: &QdqTensor) -> Result<QdqTensor, ExportError> {
        let flat = QdqTensor {
            name: format!("{name}.flat"),
            is_vector: true,
            ..x.clone()
        };
        self.movement("Flatten", x, flat, vec![write::int("axis", 1)])
    }
}

/// Inputs of a QuantizeLinear or DequantizeLinear.
fn with_steps(value: String, QdqTensor { scaled_by, .. }: &QdqTensor) -> Vec<String> {
    vec![value, format!("{scaled_by}.scale"), format!("{scaled_by}.zero")]
}

fn positive(name: &str, scale: f32) -> Result<(), ExportError> {
    match scale.is_finite() && scale > 0.0 {
        true => Ok(()),
        false => Err(ExportError::Scale {
            name: name.to_owned(),
            scale,
        }),
    }
}

fn shape_error(name: &str, what: String) -> ExportError {
    ExportError::Shape {
        name: name.to_owned(),
        what,
    }
}

mod stored;
#[cfg(test)]
mod structure;
