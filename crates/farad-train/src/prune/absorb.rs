//! What a removed channel gave on average goes on in what read it.

use super::Batch;
use crate::graph::{Conv, Extent, Op};
use crate::ops::with_slice;
use crate::optimizer::Average;
use crate::{Model, Pass, Precision, Statistics};
use candle_core::{Result, Tensor};

/// Before [`shrink()`](super::shrink()): moves the mean of every channel that is not in `keep` into the layers that read it.
///
/// Of the value that layer `i` reads in channel `c`, let `mu_c` be the mean over the images of `batches` and the
/// positions of the map, with the moments of the batch and the means of masks. With the sums over removed channels,
///
/// - the dense layer's bias gets `sum_c W[o][c] mu_c` more (and the averaged bias the same from the averaged weights);
/// - a convolution's running mean gets `sum_c mu_c sum_k W[o][k][c] v_k` less, where `v_k` is the part of the output
///   positions at which tap `k` is inside the picture: what the channel adds to the mean of the convolution's output.
///
/// So what follows sees a channel's deviations from its mean vanish, and nothing else: with channels that were constant,
/// nothing changes where no tap is outside the picture, and the moments after the removal are those that the smaller
/// network has. (The running mean lasts until the moments are estimated anew, which does the same; biases last.)
///
/// # Errors
/// If the model cannot run on the batches.
pub fn absorb(model: &mut Model, average: &mut Average, keep: &[Vec<usize>], batches: &[Batch]) -> Result<()> {
    let means = means(model, batches)?;
    let [height, width, _] = model.graph.input;
    let extents = model.graph.extents(height, width);
    for i in 0..model.graph.nodes.len() {
        let node = &model.graph.nodes[i];
        let Some(&input) = node.inputs.first() else { continue };
        let mut lost = means[input].clone();
        for &c in &keep[model.graph.nodes[input].group] {
            lost[c] = 0.0;
        }
        if lost.iter().all(|mean| *mean == 0.0) {
            continue;
        }
        match node.op {
            Op::Conv(conv) if !conv.depthwise => {
                let taps = taps_inside(conv, extents[input], extents[i]);
                let read: Vec<f32> = taps.iter().flat_map(|v| lost.iter().map(move |mu| v * mu)).collect();
                let weight = &model.parameters[&format!("{}.weight", node.name)];
                let sums = with_slice(weight, |w| products(w, &read))?;
                if let Some(moments) = model.running.get_mut(&i) {
                    for (mean, sum) in moments.mean.iter_mut().zip(sums) {
                        *mean -= sum;
                    }
                }
            }
            Op::Dense => {
                let [weight, bias] = ["weight", "bias"].map(|part| format!("{}.{part}", node.name));
                let parameter = &model.parameters[&bias];
                let sums = with_slice(&model.parameters[&weight], |w| products(w, &lost))?;
                let sums = Tensor::from_vec(sums, parameter.shape(), model.device())?;
                parameter.set(&(parameter.as_detached_tensor() + sums)?)?;
                let sums = average.values.get(&weight).map(|w| products(w, &lost));
                if let (Some(sums), Some(bias)) = (sums, average.values.get_mut(&bias)) {
                    for (b, sum) in bias.iter_mut().zip(sums) {
                        *b += sum;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// `W read`, W with rows of the length of `read`.
fn products(weights: &[f32], read: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32]| row.iter().zip(read).map(|(w, r)| w * r).sum();
    weights.chunks_exact(read.len()).map(dot).collect()
}

/// The part of the output positions at which each tap, `(ky, kx)`, is inside the picture.
fn taps_inside(conv: Conv, input: Extent, output: Extent) -> Vec<f32> {
    let inside = |tap: usize, input: usize, output: usize| {
        let at = (0..output).map(|o| (o * conv.stride + tap).wrapping_sub(conv.padding()));
        at.filter(|&at| at < input).count() as f32 / output as f32
    };
    (0..conv.kernel * conv.kernel)
        .map(|tap| {
            inside(tap / conv.kernel, input.height, output.height)
                * inside(tap % conv.kernel, input.width, output.width)
        })
        .collect()
}

/// The mean of every channel of every node's output over images and positions.
fn means(model: &mut Model, batches: &[Batch]) -> Result<Vec<Vec<f32>>> {
    let nodes = 0..model.graph.nodes.len();
    let mut sums: Vec<Vec<f64>> = nodes.map(|i| vec![0.0; model.graph.channels(i)]).collect();
    let mut counts = vec![0.0; sums.len()];
    for (x, _) in batches {
        let masks = model.mean_masks(x.dim(0)?)?;
        let pass = Pass {
            statistics: Statistics::Batch { momentum: 0.0 },
            masks: &masks,
            precision: Precision::F32,
        };
        model.forward_seen(x, pass, |i, y| {
            counts[i] += (y.elem_count() / sums[i].len()) as f64;
            with_slice(y, |y| {
                for position in y.chunks_exact(sums[i].len()) {
                    for (sum, y) in sums[i].iter_mut().zip(position) {
                        *sum += f64::from(*y);
                    }
                }
            })
        })?;
    }
    let nodes = sums.iter().zip(counts);
    Ok(nodes
        .map(|(sums, count)| sums.iter().map(|sum| (sum / f64::max(count, 1.0)) as f32).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::Optimizer;
    use crate::prune::shrink;
    use crate::{Architecture, Graph};
    use candle_core::Device;

    const REMOVED: [usize; 2] = [1, 4];

    /// Two convolutions of this kernel and a dense layer; the channels that are [`REMOVED`] give 0.7 everywhere.
    fn network(kernel: usize) -> (Model, Batch) {
        let text = format!(
            "name = \"small\"\ninput = [6, 6, 2]\nlayers = [{{ conv = 5, kernel = {kernel} }}, \
             {{ conv = 6, kernel = {kernel} }}, {{ pool = \"average\" }}, {{ dense = 3 }}]"
        );
        let graph = Graph::new(&Architecture::parse("small.toml", &text).unwrap()).unwrap();
        let mut model = Model::new(graph, 5, &Device::Cpu).unwrap();
        for name in ["conv1", "conv2"] {
            for (part, value) in [("gamma", 0.0), ("beta", 0.7)] {
                let var = &model.parameters()[&format!("{name}.{part}")];
                let mut values = var.to_vec1::<f32>().unwrap();
                REMOVED.iter().for_each(|&c| values[c] = value);
                let len = values.len();
                var.set(&Tensor::from_vec(values, len, &Device::Cpu).unwrap()).unwrap();
            }
        }
        let x = Tensor::rand(-1f32, 1f32, (4, 6, 6, 2), &Device::Cpu).unwrap();
        logits(&mut model, &x, Statistics::Batch { momentum: 1.0 });
        (
            model,
            (x, Tensor::zeros(4, candle_core::DType::U32, &Device::Cpu).unwrap()),
        )
    }

    fn logits(model: &mut Model, x: &Tensor, statistics: Statistics) -> Vec<f32> {
        let pass = Pass {
            statistics,
            masks: &[],
            precision: Precision::F32,
        };
        let logits = model.forward(x, pass).unwrap();
        logits.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn remove(model: &mut Model, average: &mut Average, batch: &Batch) {
        let groups = model.graph().groups.iter();
        let keep: Vec<Vec<usize>> = groups
            .map(|g| {
                (0..g.channels)
                    .filter(|c| !g.prunable || !REMOVED.contains(c))
                    .collect()
            })
            .collect();
        absorb(model, average, &keep, std::slice::from_ref(batch)).unwrap();
        shrink(model, &mut Optimizer::default(), average, &keep).unwrap();
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    /// With 1x1 kernels no tap is ever outside the picture.
    #[test]
    fn constant_channels_leave_without_a_trace() {
        let (mut model, batch) = network(1);
        let before = logits(&mut model, &batch.0, Statistics::Running);
        let mut average = Average::default();
        average.update(model.parameters(), 0.9).unwrap();
        remove(&mut model, &mut average, &batch);
        assert!(close(&before, &logits(&mut model, &batch.0, Statistics::Running)));
        // The average was of these weights only.
        let bias = model.parameters()["dense.bias"].to_vec1::<f32>().unwrap();
        assert!(close(&bias, &average.values["dense.bias"]) && bias.iter().any(|b| b.abs() > 0.01));
    }

    /// With taps outside the picture, the mean is that of the smaller network.
    #[test]
    fn the_running_mean_is_that_of_the_smaller_network() {
        let (mut model, batch) = network(3);
        remove(&mut model, &mut Average::default(), &batch);
        let mean = |model: &Model| {
            let node = model.graph().nodes.iter().position(|n| n.name == "conv2").unwrap();
            model.running[&node].mean.clone()
        };
        let absorbed = mean(&model);
        logits(&mut model, &batch.0, Statistics::Batch { momentum: 1.0 });
        assert!(close(&absorbed, &mean(&model)));
    }
}
