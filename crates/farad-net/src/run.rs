//! One batch on its way through the graph.

use crate::graph::Node;
use crate::kernel::{Kernel, gather};
use crate::layer::{Activations, MacEngine};
use crate::network::{Network, OutputSource, accumulate};

/// The live tensors of a batch. A tensor is dropped after its last use.
pub(crate) struct Run<'a> {
    network: &'a Network,
    images: &'a [u32],
    /// Bytes of each tensor, all images; empty before it is computed and after it is dropped.
    live: Vec<Vec<u8>>,
    /// Uses of each tensor that are still to come.
    uses: Vec<usize>,
    /// Tensors whose uses ended with the current node.
    finished: Vec<usize>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(network: &'a Network, input: &[u8], images: &'a [u32]) -> Self {
        let mut uses = vec![0; network.tensors.len()];
        for &input in network.nodes.iter().flat_map(|n| &n.inputs) {
            uses[input] += 1;
        }
        let last = match network.output.source {
            OutputSource::Stored { tensor, .. } => tensor,
            OutputSource::Mac { input, .. } => input,
        };
        uses[last] += 1;
        let mut live = vec![Vec::new(); network.tensors.len()];
        live[network.input.tensor] = input.to_vec();
        Self {
            network,
            images,
            live,
            uses,
            finished: Vec::new(),
        }
    }

    /// Stored bytes of a live tensor.
    pub(crate) fn bytes(&self, tensor: usize) -> &[u8] {
        self.network.tensors[tensor]
            .data
            .as_deref()
            .unwrap_or(&self.live[tensor])
    }

    /// Drops what no later node needs.
    pub(crate) fn drop_unused(&mut self) {
        for tensor in self.finished.drain(..) {
            self.live[tensor] = Vec::new();
        }
    }

    /// The part of a tensor that belongs to one image: all of it for a constant.
    fn image(&self, tensor: usize, image: usize) -> &[u8] {
        let described = &self.network.tensors[tensor];
        match &described.data {
            Some(data) => data,
            None => &self.live[tensor][image * described.len()..][..described.len()],
        }
    }

    /// Computes one node's output.
    pub(crate) fn step(&mut self, node: &Node, engine: &mut dyn MacEngine) {
        let out_len = self.network.tensors[node.output].len();
        let x = node.inputs[0];
        for &input in &node.inputs {
            self.uses[input] -= 1;
            if self.uses[input] == 0 {
                self.finished.push(input);
            }
        }
        if self.uses[node.output] == 0 {
            self.finished.push(node.output);
        }
        if matches!(node.kernel, Kernel::Reshape) && self.uses[x] == 0 && self.network.tensors[x].data.is_none() {
            self.live[node.output] = std::mem::take(&mut self.live[x]);
            return;
        }
        let mut out = vec![0; out_len * self.images.len()];
        match &node.kernel {
            Kernel::Mac { layer, requant } => {
                let activations = Activations {
                    data: self.bytes(x),
                    images: self.images,
                };
                let acc = accumulate(&self.network.layers[*layer], *layer, activations, engine);
                requant.apply(&acc, &mut out);
            }
            Kernel::Table(table) => {
                out.iter_mut()
                    .zip(self.bytes(x))
                    .for_each(|(out, &x)| *out = table[usize::from(x)]);
            }
            Kernel::Binary(binary) => {
                for (i, out) in out.chunks_exact_mut(out_len).enumerate() {
                    binary.run(self.image(x, i), self.image(node.inputs[1], i), out);
                }
            }
            Kernel::Pool(pool) => pool.run(self.bytes(x), &mut out),
            Kernel::Concat(concat) => {
                for (i, out) in out.chunks_exact_mut(out_len).enumerate() {
                    let inputs: Vec<&[u8]> = node.inputs.iter().map(|&t| self.image(t, i)).collect();
                    concat.run(&inputs, out);
                }
            }
            Kernel::Gather { map, pad } => gather(map, *pad, self.bytes(x), self.network.tensors[x].len(), &mut out),
            Kernel::Reshape => out.copy_from_slice(self.bytes(x)),
            Kernel::Softmax(softmax) => softmax.run(self.bytes(x), &mut out),
        }
        self.live[node.output] = out;
    }
}
