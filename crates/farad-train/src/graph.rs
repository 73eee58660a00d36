//! A network as a list of nodes, and which channels must be pruned together.

use crate::TrainError;
use crate::architecture::{Activation, Architecture, Layer, Pool, Shortcut};
use farad_core::MacShape;

/// One operation. A node reads earlier nodes only, so the list is an order of execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique name, e.g. `conv3` or `block2.add`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The nodes that it reads.
    pub inputs: Vec<usize>,
    /// The group of its output's channels.
    pub group: usize,
}

/// Operations of a network in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The images.
    Input,
    /// Convolution, batch norm, mask, activation.
    Conv(Conv),
    /// Maximum of 2x2, stride 2.
    MaxPool,
    /// Average over the map: `[n][h][w][c]` to `[n][1][1][c]`.
    AveragePool,
    /// Sum of two tensors, then the activation.
    Add(Activation),
    /// Fully connected, with bias: the logits.
    Dense,
}

/// A convolution. Its output channels are those of the node's group, its input channels those of its input's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Every channel by itself.
    pub depthwise: bool,
    /// What follows the batch norm.
    pub activation: Activation,
}

impl Conv {
    /// Zero padding on every side: the map keeps its size at stride 1.
    #[must_use]
    pub fn padding(&self) -> usize {
        self.kernel / 2
    }
}

/// Channels that live and die together: all tensors that are added to each other, and what depthwise convolutions make
/// of them, share one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Channels now.
    pub channels: usize,
    /// Channels before anything was pruned.
    pub full: usize,
    /// Whether channels may be removed: not those of the images and of the logits.
    pub prunable: bool,
    /// The convolutions that a mask of this group multiplies: those that write into it, or where a depthwise
    /// convolution follows, that one instead (its own shift would outlive a mask before it).
    pub masked: Vec<usize>,
}

/// A network without its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Name of the architecture.
    pub name: String,
    /// Height, width, channels of an image.
    pub input: [usize; 3],
    /// In order of execution; the last makes the logits.
    pub nodes: Vec<Node>,
    /// The channel groups that the nodes name.
    pub groups: Vec<Group>,
}

/// Where a node stands in the network, at the resolution of [`Graph::input`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Height of the output.
    pub height: usize,
    /// Width of the output.
    pub width: usize,
}

impl Graph {
    /// Builds the network of `architecture`.
    ///
    /// # Errors
    /// If its layers do not fit together.
    pub fn new(architecture: &Architecture) -> Result<Self, TrainError> {
        let mut builder = Builder::new(architecture);
        let mut last = 0;
        for (i, layer) in architecture.layers.iter().enumerate() {
            last = builder
                .layer(layer, last, None)
                .map_err(|problem| TrainError::Architecture {
                    file: architecture.name.clone(),
                    problem: format!("layer {}: {problem}", i + 1),
                })?;
        }
        builder
            .finish(&architecture.name, last)
            .map_err(|problem| TrainError::Architecture {
                file: architecture.name.clone(),
                problem,
            })
    }

    /// Checks that training images of this height leave a pixel in every layer.
    ///
    /// # Errors
    /// The layer that has none.
    pub fn check_size(&self, size: usize) -> Result<(), TrainError> {
        let [height, width, _] = self.input;
        let extents = self.extents(size, size * width / height);
        match extents.iter().position(|e| e.height.min(e.width) == 0) {
            None => Ok(()),
            Some(i) => Err(TrainError::Architecture {
                file: self.name.clone(),
                problem: format!("`size = {size}` leaves no pixel at {}", self.nodes[i].name),
            }),
        }
    }

    /// Output channels of node `i`.
    #[must_use]
    pub fn channels(&self, i: usize) -> usize {
        self.groups[self.nodes[i].group].channels
    }

    /// Input channels of node `i`, which has an input.
    #[must_use]
    pub fn in_channels(&self, i: usize) -> usize {
        self.channels(self.nodes[i].inputs[0])
    }

    /// Output size of every node for images of `height` by `width`.
    #[must_use]
    pub fn extents(&self, height: usize, width: usize) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let input = node.inputs.first().map_or(Extent { height, width }, |&i| extents[i]);
            let each = |f: &dyn Fn(usize) -> usize| Extent {
                height: f(input.height),
                width: f(input.width),
            };
            extents.push(match node.op {
                Op::Input | Op::Add(_) | Op::Dense => input,
                Op::Conv(conv) => {
                    each(&|size| (size + 2 * conv.padding()).saturating_sub(conv.kernel) / conv.stride + 1)
                }
                Op::MaxPool => each(&|size| size / 2),
                Op::AveragePool => Extent { height: 1, width: 1 },
            });
        }
        extents
    }

    /// The shape of node `i` with outputs of the sizes `extents` and groups of the sizes `channels`; none if it has no
    /// weights.
    #[must_use]
    pub fn mac_shape(&self, i: usize, extents: &[Extent], channels: &[usize]) -> Option<MacShape> {
        let node = &self.nodes[i];
        let (Op::Conv(_) | Op::Dense) = node.op else {
            return None;
        };
        let input = node.inputs[0];
        let dense = MacShape::dense(channels[self.nodes[input].group], channels[node.group]);
        Some(match node.op {
            Op::Conv(conv) => MacShape {
                in_h: extents[input].height,
                in_w: extents[input].width,
                out_h: extents[i].height,
                out_w: extents[i].width,
                kernel_h: conv.kernel,
                kernel_w: conv.kernel,
                stride_h: conv.stride,
                stride_w: conv.stride,
                pad_top: conv.padding(),
                pad_left: conv.padding(),
                groups: if conv.depthwise { dense.in_c.max(1) } else { 1 },
                ..dense
            },
            _ => dense,
        })
    }

    /// Multiply-accumulates of node `i` for one image, and its parameters, with outputs of the sizes `extents` and groups
    /// of the sizes `channels`.
    #[must_use]
    pub fn cost(&self, i: usize, extents: &[Extent], channels: &[usize]) -> Cost {
        let Some(shape) = self.mac_shape(i, extents, channels) else {
            return Cost::default();
        };
        let other = match self.nodes[i].op {
            // Scale and shift of the batch norm; a bias.
            Op::Conv(_) => 2 * shape.out_c,
            _ => shape.out_c,
        };
        Cost {
            macs: shape.macs() as usize,
            params: shape.params() as usize + other,
        }
    }

    /// MACs of one image and parameters (weights, batch-norm scale and shift, biases) of the whole network.
    #[must_use]
    pub fn total_cost(&self, channels: &[usize]) -> Cost {
        let [height, width, _] = self.input;
        let extents = self.extents(height, width);
        let mut sum = Cost::default();
        for i in 0..self.nodes.len() {
            let cost = self.cost(i, &extents, channels);
            sum.macs += cost.macs;
            sum.params += cost.params;
        }
        sum
    }

    /// What one channel of group `g`, which has one, costs in a network of these `channels` that costs `total`.
    #[must_use]
    pub fn channel_cost(&self, g: usize, channels: &[usize], total: Cost) -> Cost {
        let mut fewer = channels.to_vec();
        fewer[g] -= 1;
        let less = self.total_cost(&fewer);
        Cost {
            macs: total.macs - less.macs,
            params: total.params - less.params,
        }
    }

    /// Channels of each group now.
    #[must_use]
    pub fn widths(&self) -> Vec<usize> {
        self.groups.iter().map(|g| g.channels).collect()
    }

    /// Channels of each group before pruning.
    #[must_use]
    pub fn full_widths(&self) -> Vec<usize> {
        self.groups.iter().map(|g| g.full).collect()
    }
}

/// What a node or a network costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiply-accumulates of one image.
    pub macs: usize,
    /// Parameters.
    pub params: usize,
}

struct Builder {
    input: [usize; 3],
    nodes: Vec<Node>,
    /// Channels of each group, and the group it was joined with.
    groups: Vec<(usize, usize)>,
    convs: usize,
    blocks: usize,
}

impl Builder {
    fn new(architecture: &Architecture) -> Self {
        Self {
            input: architecture.input,
            nodes: vec![Node {
                name: "input".to_owned(),
                op: Op::Input,
                inputs: Vec::new(),
                group: 0,
            }],
            groups: vec![(architecture.input[2], 0)],
            convs: 0,
            blocks: 0,
        }
    }

    fn root(&self, mut group: usize) -> usize {
        while self.groups[group].1 != group {
            group = self.groups[group].1;
        }
        group
    }

    fn channels(&self, node: usize) -> usize {
        self.groups[self.root(self.nodes[node].group)].0
    }

    fn push(&mut self, name: String, op: Op, inputs: Vec<usize>, group: usize) -> usize {
        self.nodes.push(Node {
            name,
            op,
            inputs,
            group,
        });
        self.nodes.len() - 1
    }

    fn new_group(&mut self, channels: usize) -> usize {
        self.groups.push((channels, self.groups.len()));
        self.groups.len() - 1
    }

    /// Appends one layer after node `input`; `block` is the node at which the residual block around it begins.
    fn layer(&mut self, layer: &Layer, input: usize, block: Option<usize>) -> Result<usize, String> {
        let kinds = [
            layer.conv.is_some() || layer.expand.is_some() || layer.depthwise,
            layer.pool.is_some(),
            layer.dense.is_some(),
            layer.residual.is_some(),
        ];
        if kinds.iter().filter(|&&kind| kind).count() != 1 {
            return Err("needs exactly one of conv, expand, depthwise, pool, dense, residual".to_owned());
        }
        if layer.residual.is_none() && (layer.repeat.is_some() || layer.shortcut.is_some()) {
            return Err("repeat and shortcut are for residual blocks".to_owned());
        }
        if layer.repeat == Some(0) {
            return Err("repeat must be at least 1".to_owned());
        }
        if layer.pool.is_some() || layer.dense.is_some() {
            if block.is_some() {
                return Err("pool and dense cannot be in a residual block".to_owned());
            }
            if layer.kernel.is_some() || layer.stride.is_some() || layer.activation.is_some() {
                return Err("kernel, stride and activation are those of convolutions".to_owned());
            }
        }
        if let Some(body) = &layer.residual {
            if block.is_some() {
                return Err("a residual block inside a residual block".to_owned());
            }
            if layer.kernel.is_some() || layer.stride.is_some() {
                return Err("kernel and stride are those of a residual block's layers".to_owned());
            }
            let mut last = input;
            for copy in 0..layer.repeat.unwrap_or(1) {
                last = self.residual(layer, body, last, copy == 0)?;
            }
            return Ok(last);
        }
        if let Some(pool) = layer.pool {
            let op = if pool == Pool::Max {
                Op::MaxPool
            } else {
                Op::AveragePool
            };
            let name = format!(
                "pool{}",
                self.nodes.iter().filter(|n| n.name.starts_with("pool")).count() + 1
            );
            return Ok(self.push(name, op, vec![input], self.nodes[input].group));
        }
        if let Some(classes) = layer.dense {
            let group = self.new_group(classes);
            return Ok(self.push("dense".to_owned(), Op::Dense, vec![input], group));
        }
        let channels = match (layer.conv, layer.expand, block) {
            (Some(channels), None, _) if !layer.depthwise => Some(channels),
            (None, Some(times), Some(block)) if !layer.depthwise => Some(times * self.channels(block)),
            (None, None, _) => None,
            (None, Some(_), None) => return Err("expand is for layers of a residual block".to_owned()),
            _ => return Err("conv, expand and depthwise exclude each other".to_owned()),
        };
        self.conv(
            layer,
            channels,
            input,
            layer.stride.unwrap_or(1),
            layer.kernel.unwrap_or(3),
        )
    }

    /// `channels` is none for a depthwise convolution.
    fn conv(
        &mut self,
        layer: &Layer,
        channels: Option<usize>,
        input: usize,
        stride: usize,
        kernel: usize,
    ) -> Result<usize, String> {
        if channels == Some(0) || stride == 0 || kernel.is_multiple_of(2) {
            return Err("needs channels, a stride and an odd kernel".to_owned());
        }
        let group = match channels {
            Some(channels) => self.new_group(channels),
            None => self.nodes[input].group,
        };
        self.convs += 1;
        let conv = Conv {
            kernel,
            stride,
            depthwise: channels.is_none(),
            activation: layer.activation.unwrap_or_default(),
        };
        Ok(self.push(format!("conv{}", self.convs), Op::Conv(conv), vec![input], group))
    }

    fn residual(&mut self, block: &Layer, body: &[Layer], input: usize, first: bool) -> Result<usize, String> {
        self.blocks += 1;
        let number = self.blocks;
        let mut last = input;
        let mut stride = 1;
        for layer in body {
            let mut layer = layer.clone();
            if !first {
                layer.stride = None;
            }
            stride *= layer.stride.unwrap_or(1);
            last = self.layer(&layer, last, Some(input))?;
        }
        let changes = stride != 1 || self.channels(last) != self.channels(input);
        let shortcut = match (changes, block.shortcut.unwrap_or_default()) {
            (false, _) => input,
            (true, Shortcut::Identity) => return Ok(last),
            (true, Shortcut::Projection) => {
                let plain = Layer {
                    activation: Some(Activation::None),
                    ..block.clone()
                };
                self.conv(&plain, Some(self.channels(last)), input, stride, 1)?
            }
        };
        let (a, b) = (self.root(self.nodes[last].group), self.root(self.nodes[shortcut].group));
        self.groups[a.max(b)].1 = a.min(b);
        let op = Op::Add(block.activation.unwrap_or_default());
        Ok(self.push(format!("add{number}"), op, vec![last, shortcut], a.min(b)))
    }

    fn finish(self, name: &str, last: usize) -> Result<Graph, String> {
        let dense = self.nodes.iter().filter(|node| node.op == Op::Dense).count();
        if self.nodes[last].op != Op::Dense || dense != 1 {
            return Err("the last layer must be dense, and no other".to_owned());
        }
        let roots: Vec<usize> = (0..self.groups.len()).map(|g| self.root(g)).collect();
        let mut kept: Vec<usize> = roots.clone();
        kept.sort_unstable();
        kept.dedup();
        let position = |group: usize| kept.partition_point(|&k| k < roots[group]);
        let nodes: Vec<Node> = self
            .nodes
            .iter()
            .map(|n| Node {
                group: position(n.group),
                ..n.clone()
            })
            .collect();
        let mut groups: Vec<Group> = kept
            .iter()
            .map(|&root| Group {
                channels: self.groups[root].0,
                full: self.groups[root].0,
                prunable: true,
                masked: Vec::new(),
            })
            .collect();
        groups[0].prunable = false;
        groups[nodes[last].group].prunable = false;
        for (i, node) in nodes.iter().enumerate() {
            let Op::Conv(_) = node.op else { continue };
            // What only depthwise convolutions read has its mask after them.
            let mut readers = nodes.iter().filter(|other| other.inputs.contains(&i));
            let followed = readers.all(|other| matches!(other.op, Op::Conv(conv) if conv.depthwise));
            if !followed {
                groups[node.group].masked.push(i);
            }
        }
        let graph = Graph {
            name: name.to_owned(),
            input: self.input,
            nodes,
            groups,
        };
        let [height, width, _] = graph.input;
        let extents = graph.extents(height, width);
        if let Some(i) = extents.iter().position(|e| e.height == 0 || e.width == 0) {
            return Err(format!("nothing is left of the map at {}", graph.nodes[i].name));
        }
        let before = extents[graph.nodes[last].inputs[0]];
        if (before.height, before.width) != (1, 1) {
            return Err("the dense layer needs a map of 1x1: an average pooling before it".to_owned());
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(name: &str) -> Graph {
        Graph::new(&Architecture::load(name).unwrap()).unwrap()
    }

    /// MACs of the literature: 313.2 M for VGG-16 (convolutions and one dense layer), 40.6 M and 125.5 M for the ResNets
    /// with parameter-free shortcuts, to which the two projections add 2 * 131,072.
    #[test]
    fn costs_are_those_of_the_papers() {
        let cost = |name: &str| {
            let graph = graph(name);
            graph.total_cost(&graph.widths())
        };
        assert_eq!(cost("vgg16-bn").macs, 313_201_664);
        assert_eq!(cost("vgg16-bn").params, 14_710_464 + 8_448 + 5_130);
        assert_eq!(cost("resnet-20").macs, 40_551_040 + 2 * 131_072);
        assert_eq!(cost("resnet-56").macs, 125_485_696 + 2 * 131_072);
    }

    #[test]
    fn everything_that_is_added_shares_a_group() {
        let graph = graph("resnet-20");
        for node in &graph.nodes {
            if let Op::Add(_) = node.op {
                assert_eq!(graph.nodes[node.inputs[0]].group, graph.nodes[node.inputs[1]].group);
            }
        }
        // Input, three streams, nine inner convolutions, logits.
        assert_eq!(graph.groups.len(), 1 + 3 + 9 + 1);
        let stream = &graph.groups[1];
        assert_eq!((stream.channels, stream.masked.len()), (16, 4));
    }

    #[test]
    fn a_depthwise_convolution_carries_the_mask_of_its_input() {
        let graph = graph("mobilenet-v2");
        for group in &graph.groups {
            for &i in &group.masked {
                let depthwise_follows = graph
                    .nodes
                    .iter()
                    .any(|n| n.inputs.first() == Some(&i) && matches!(n.op, Op::Conv(c) if c.depthwise));
                assert!(!depthwise_follows);
            }
        }
    }

    #[test]
    fn what_a_sum_reads_too_has_a_mask_of_its_own() {
        let layers =
            "{ conv = 8 }, { residual = [{ depthwise = true }, { conv = 8, kernel = 1, activation = 'none' }] }";
        let text =
            format!("name = 'x'\ninput = [8, 8, 3]\nlayers = [{layers}, {{ pool = 'average' }}, {{ dense = 2 }}]");
        let graph = Graph::new(&Architecture::parse("x.toml", &text).unwrap()).unwrap();
        // The stem, the depthwise convolution that carries its mask as well, and what is added.
        let stream = &graph.groups[graph.nodes[1].group];
        let names: Vec<&str> = stream.masked.iter().map(|&i| graph.nodes[i].name.as_str()).collect();
        assert_eq!(names, ["conv1", "conv2", "conv3"]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refuse = |layers: &str| {
            let text = format!("name = \"x\"\ninput = [8, 8, 3]\nlayers = [{layers}]");
            match Architecture::parse("x.toml", &text).and_then(|a| Graph::new(&a)) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{layers} was taken"),
            }
        };
        assert!(refuse("{ conv = 8 }").contains("the last layer must be dense"));
        let end = "{ pool = 'average' }, { dense = 10 }";
        assert!(refuse(&format!("{end}, {{ dense = 10 }}")).contains("dense, and no other"));
        let inside = refuse(&format!("{{ residual = [{{ conv = 3 }}, {{ pool = 'max' }}] }}, {end}"));
        assert!(
            inside.contains("layer 1: pool and dense cannot be in a residual block"),
            "{inside}"
        );
        let strided = refuse(&format!("{{ pool = 'max', kernel = 3, stride = 2 }}, {end}"));
        assert!(strided.contains("layer 1: kernel, stride and activation are those of convolutions"));
        let block = |keys: &str| refuse(&format!("{{ {keys}, residual = [{{ conv = 3 }}] }}, {end}"));
        assert!(block("stride = 2").contains("kernel and stride are those of a residual block's layers"));
        assert!(block("repeat = 0").contains("repeat must be at least 1"));
        assert!(refuse("{ conv = 8, shortcut = 'identity' }").contains("repeat and shortcut are for residual blocks"));
        assert!(refuse("{ conv = 8 }, { dense = 10 }").contains("average pooling"));
        assert!(refuse("{ conv = 8, dense = 10 }").contains("layer 1: needs exactly one of"));
        assert!(refuse("{ conv = 8, kernel = 2 }").contains("odd kernel"));
        assert!(refuse("{ convolution = 8 }").contains("convolution"));
    }
}
