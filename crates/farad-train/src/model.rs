//! A network with its parameters.

use crate::TrainError;
use crate::graph::{Graph, Op};
use crate::ops::{self, Moments, Normalize};
use crate::rng::{Purpose, Rng};
use candle_core::{DType, Device, Result, Tensor, Var};
use farad_kernels::dense::{Conv2d, Precision};
use std::collections::BTreeMap;

/// A network in training: its graph, and named parameters.
///
/// Node `conv3` has `conv3.weight` (`[c_out][k][k][c_in]`, depthwise `[c_out][k][k]`), `conv3.gamma` and `conv3.beta`
/// (`[c_out]`); the dense layer has `dense.weight` (`[classes][c]`) and `dense.bias`. A criterion may add parameters of
/// a channel group: `mask.4.theta`, `[channels of group 4]`.
#[derive(Debug)]
pub struct Model {
    pub(crate) graph: Graph,
    pub(crate) parameters: BTreeMap<String, Var>,
    /// Running moments of each convolution, by node.
    pub(crate) running: BTreeMap<usize, Moments>,
    device: Device,
}

/// How a forward pass is made.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// Whether batch norm uses the batch, and with what weight the batch then moves the running moments.
    pub statistics: Statistics,
    /// A mask for each group, `[images][channels]`; none is 1. May be shorter than the groups.
    pub masks: &'a [Option<Tensor>],
    /// Of the convolutions' operands.
    pub precision: Precision,
}

/// Where batch norm takes its moments from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistics {
    /// The batch; the running moments move towards it by this part of the distance.
    Batch {
        /// 0 keeps the running moments, 1 replaces them.
        momentum: f32,
    },
    /// The running moments.
    Running,
}

impl Pass<'_> {
    /// A pass with the running moments and without masks.
    #[must_use]
    pub fn evaluation(precision: Precision) -> Self {
        Self {
            statistics: Statistics::Running,
            masks: &[],
            precision,
        }
    }
}

/// The parameters of a node, by the ends of their names, with their shapes.
fn shapes(graph: &Graph, i: usize) -> Vec<(&'static str, Vec<usize>)> {
    let channels = graph.channels(i);
    match graph.nodes[i].op {
        Op::Conv(conv) => {
            let mut weight = vec![channels, conv.kernel, conv.kernel];
            if !conv.depthwise {
                weight.push(graph.in_channels(i));
            }
            vec![("weight", weight), ("gamma", vec![channels]), ("beta", vec![channels])]
        }
        Op::Dense => vec![
            ("weight", vec![channels, graph.in_channels(i)]),
            ("bias", vec![channels]),
        ],
        Op::Input | Op::MaxPool | Op::AveragePool | Op::Add(_) => Vec::new(),
    }
}

impl Model {
    /// `graph` with random weights: normal with variance 2 / fan-in (He et al., 2015), scale 1, shift 0.
    ///
    /// # Errors
    /// If a tensor cannot be made.
    pub fn new(graph: Graph, seed: u64, device: &Device) -> Result<Self> {
        let mut model = Self {
            graph,
            parameters: BTreeMap::new(),
            running: BTreeMap::new(),
            device: device.clone(),
        };
        for i in 0..model.graph.nodes.len() {
            let name = model.graph.nodes[i].name.clone();
            let is_conv = matches!(model.graph.nodes[i].op, Op::Conv(_));
            for (end, shape) in shapes(&model.graph, i) {
                let value = match end {
                    "weight" => {
                        let fan_in: usize = shape[1..].iter().product();
                        let deviation = (if is_conv { 2.0 } else { 1.0 } / fan_in as f32).sqrt();
                        let mut rng = Rng::new(seed, Purpose::Init, i as u32, 0);
                        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() * deviation).collect();
                        Tensor::from_vec(values, shape, device)?
                    }
                    "gamma" => Tensor::ones(shape, DType::F32, device)?,
                    _ => Tensor::zeros(shape, DType::F32, device)?,
                };
                model.insert(format!("{name}.{end}"), &value)?;
            }
            if is_conv {
                let channels = model.graph.channels(i);
                let moments = Moments {
                    mean: vec![0.0; channels],
                    var: vec![1.0; channels],
                };
                model.running.insert(i, moments);
            }
        }
        Ok(model)
    }

    /// The network without its parameters.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where its tensors are.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All parameters by name.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, Var> {
        &self.parameters
    }

    /// Adds or replaces a parameter.
    ///
    /// # Errors
    /// If it cannot become a variable.
    pub fn insert(&mut self, name: String, value: &Tensor) -> Result<()> {
        self.parameters.insert(name, Var::from_tensor(value)?);
        Ok(())
    }

    /// The parameter `part` of node `i`.
    ///
    /// # Panics
    /// If the node has no such parameter.
    #[must_use]
    pub fn parameter(&self, i: usize, part: &str) -> &Tensor {
        &self.parameters[&format!("{}.{part}", self.graph.nodes[i].name)]
    }

    /// The mean of every group's mask, `[images][channels]`; none where there is no mask.
    ///
    /// # Errors
    /// If a tensor cannot be made.
    pub fn mean_masks(&self, images: usize) -> Result<Vec<Option<Tensor>>> {
        (0..self.graph.groups.len())
            .map(|g| {
                let theta = self.parameters.get(&format!("mask.{g}.theta"));
                let rows = |theta: &Var| {
                    let row = theta.as_detached_tensor().unsqueeze(0)?;
                    row.broadcast_as((images, theta.dim(0)?))?.contiguous()
                };
                theta.map(rows).transpose()
            })
            .collect()
    }

    /// The logits of `images` `[n][h][w][c]`, `[n][classes]`.
    ///
    /// # Errors
    /// If the images do not fit.
    pub fn forward(&mut self, images: &Tensor, pass: Pass<'_>) -> Result<Tensor> {
        self.forward_seen(images, pass, |_, _| Ok(()))
    }

    /// As [`forward`](Self::forward); `see` gets the output of every node.
    ///
    /// # Errors
    /// If the images do not fit, or from `see`.
    pub fn forward_seen(
        &mut self,
        images: &Tensor,
        pass: Pass<'_>,
        mut see: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let last_use = self.last_uses();
        let mut outputs: Vec<Option<Tensor>> = vec![None; self.graph.nodes.len()];
        for i in 0..self.graph.nodes.len() {
            let node = &self.graph.nodes[i];
            let input = |k: usize| match &outputs[node.inputs[k]] {
                Some(tensor) => Ok(tensor),
                None => candle_core::bail!("{} reads what is not there", node.name),
            };
            let y = match node.op {
                Op::Input => images.clone(),
                Op::MaxPool => ops::max_pool(input(0)?)?,
                Op::AveragePool => ops::average_pool(input(0)?)?,
                Op::Add(activation) => ops::add(input(0)?, input(1)?, activation.kernel())?,
                Op::Dense => ops::dense(input(0)?, self.parameter(i, "weight"), self.parameter(i, "bias"))?,
                Op::Conv(_) => {
                    let (y, moments) = self.convolve(i, input(0)?, pass)?;
                    if let Statistics::Batch { momentum } = pass.statistics {
                        self.move_running(i, &moments, momentum, y.elem_count());
                    }
                    y
                }
            };
            see(i, &y)?;
            outputs[i] = Some(y);
            for &k in &self.graph.nodes[i].inputs {
                if last_use[k] == i {
                    outputs[k] = None;
                }
            }
        }
        match outputs.pop().flatten() {
            Some(logits) => Ok(logits),
            None => candle_core::bail!("a network without nodes"),
        }
    }

    fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![usize::MAX; self.graph.nodes.len()];
        for (i, node) in self.graph.nodes.iter().enumerate() {
            for &k in &node.inputs {
                last[k] = i;
            }
        }
        last
    }

    fn convolve(&self, i: usize, x: &Tensor, pass: Pass<'_>) -> Result<(Tensor, Moments)> {
        let node = &self.graph.nodes[i];
        let Op::Conv(conv) = node.op else {
            candle_core::bail!("{} is no convolution", node.name);
        };
        let (images, height, width, in_channels) = x.dims4()?;
        let shape = Conv2d {
            images,
            height,
            width,
            in_channels,
            out_channels: self.graph.channels(i),
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding(),
            depthwise: conv.depthwise,
        };
        let mut rows = vec![
            self.parameter(i, "gamma").unsqueeze(0)?,
            self.parameter(i, "beta").unsqueeze(0)?,
        ];
        if self.graph.groups[node.group].masked.contains(&i) {
            rows.extend(pass.masks.get(node.group).cloned().flatten());
        }
        let normalize = match pass.statistics {
            Statistics::Batch { .. } => Normalize::Batch,
            Statistics::Running => Normalize::With(self.running[&i].clone()),
        };
        let activation = conv.activation.kernel();
        let weight = self.parameter(i, "weight");
        ops::conv_norm(
            x,
            weight,
            &Tensor::cat(&rows, 0)?,
            shape,
            pass.precision,
            activation,
            &normalize,
        )
    }

    /// Running moments hold the unbiased variance.
    fn move_running(&mut self, i: usize, batch: &Moments, momentum: f32, elements: usize) {
        let Some(running) = self.running.get_mut(&i) else {
            return;
        };
        let count = (elements / batch.mean.len().max(1)) as f32;
        let unbiased = count / (count - 1.0).max(1.0);
        // All of the way is exactly to the batch, whatever there was.
        let towards = |r: f32, b: f32| if momentum < 1.0 { r + momentum * (b - r) } else { b };
        for (r, b) in running.mean.iter_mut().zip(&batch.mean) {
            *r = towards(*r, *b);
        }
        for (r, b) in running.var.iter_mut().zip(&batch.var) {
            *r = towards(*r, b * unbiased);
        }
    }

    /// The name of a parameter that the graph needs and that is not there, or has another shape.
    pub(crate) fn misfit(&self) -> Option<String> {
        let nodes = 0..self.graph.nodes.len();
        let mut needed = nodes.flat_map(|i| {
            let name = &self.graph.nodes[i].name;
            let named = move |(end, shape)| (format!("{name}.{end}"), shape);
            shapes(&self.graph, i).into_iter().map(named)
        });
        let lacks = |(name, shape): &(String, Vec<usize>)| self.parameters.get(name).is_none_or(|p| p.dims() != shape);
        needed.find(lacks).map(|(name, _)| name)
    }

    /// Refuses images that the network was not made for.
    ///
    /// # Errors
    /// If size, channels or classes differ.
    pub fn check_data(&self, data: &farad_data::Dataset) -> std::result::Result<(), TrainError> {
        let [height, width, channels] = self.graph.input;
        let classes = self.graph.channels(self.graph.nodes.len() - 1);
        let problem = if (data.height, data.width, data.channels) != (height, width, channels) {
            format!(
                "images of {}x{}x{}, but the network {} takes {height}x{width}x{channels}",
                data.height, data.width, data.channels, self.graph.name
            )
        } else if data.classes != classes {
            format!(
                "{} classes, but the network {} has {classes} outputs",
                data.classes, self.graph.name
            )
        } else {
            return Ok(());
        };
        Err(TrainError::Data {
            name: data.name.clone(),
            problem,
        })
    }
}
