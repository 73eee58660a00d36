//! Exact accumulators, fast: what the macro is compared with.

use crate::geometry::Geometry;
use farad_kernels::Isa;
use farad_kernels::gemm::{ROWS, Weights, multiply};
use farad_net::{Activations, MacEngine, MacLayer};

/// Weights of a network, packed for exact integer products.
#[derive(Debug)]
pub struct DigitalNetwork {
    layers: Vec<DigitalLayer>,
    isa: Isa,
}

#[derive(Debug)]
struct DigitalLayer {
    geometry: Geometry,
    /// One per group.
    weights: Vec<Weights>,
}

impl DigitalNetwork {
    /// Packs all layers.
    #[must_use]
    pub fn new(layers: &[MacLayer]) -> Self {
        let pack = |layer: &MacLayer| {
            let rows = layer.shape.rows_per_group();
            let per_group = rows * layer.shape.out_c_per_group();
            let weights = layer
                .weights
                .chunks_exact(per_group)
                .map(|group| Weights::new(rows, group))
                .collect();
            DigitalLayer {
                geometry: Geometry::new(layer),
                weights,
            }
        };
        Self {
            layers: layers.iter().map(pack).collect(),
            isa: Isa::detect(),
        }
    }

    /// Accumulators of layer `index` for one NHWC image, `[position][out_c]`.
    pub fn image(&self, index: usize, image: &[u8], out: &mut [i32]) {
        let DigitalLayer { geometry, weights } = &self.layers[index];
        let shape = &geometry.shape;
        let (rows, outputs) = (shape.rows_per_group(), shape.out_c_per_group());
        let full_rows = geometry.full_rows();
        let row_len = weights[0].row_len();
        let mut full = vec![0; ROWS * full_rows];
        let mut x = vec![0; ROWS * row_len];
        let mut sums = vec![0; ROWS * outputs];
        for (chunk, out) in out.chunks_mut(ROWS * shape.out_c).enumerate() {
            let positions = out.len() / shape.out_c;
            for (i, full) in full.chunks_exact_mut(full_rows).take(positions).enumerate() {
                geometry.gather(image, chunk * ROWS + i, full);
            }
            let (x, sums) = (&mut x[..positions * row_len], &mut sums[..positions * outputs]);
            for (group, weights) in weights.iter().enumerate() {
                for (x, full) in x.chunks_exact_mut(row_len).zip(full.chunks_exact(full_rows)) {
                    x[..rows].copy_from_slice(&full[group * rows..(group + 1) * rows]);
                }
                multiply(self.isa, weights, x, sums);
                for (out, sums) in out.chunks_exact_mut(shape.out_c).zip(sums.chunks_exact(outputs)) {
                    out[group * outputs..(group + 1) * outputs].copy_from_slice(sums);
                }
            }
            for (out, full) in out.chunks_exact_mut(shape.out_c).zip(full.chunks_exact(full_rows)) {
                for (o, out) in out.iter_mut().enumerate() {
                    *out = (i64::from(*out) + geometry.integer_term(o, full)) as i32;
                }
            }
        }
    }
}

/// [`DigitalNetwork`] as an engine.
#[derive(Debug)]
pub struct DigitalEngine<'a>(pub &'a DigitalNetwork);

impl MacEngine for DigitalEngine<'_> {
    fn accumulate(&mut self, index: usize, layer: &MacLayer, x: Activations<'_>, out: &mut [i32]) {
        let shape = &layer.shape;
        let images = x.data.chunks_exact(shape.in_h * shape.in_w * shape.in_c);
        for (image, out) in images.zip(out.chunks_exact_mut(shape.positions() * shape.out_c)) {
            self.0.image(index, image, out);
        }
    }
}
