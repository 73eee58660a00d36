//! Macros and layers for the tests.

use farad_core::MacShape;
use farad_hw::{MacroSpec, schema};
use farad_net::MacLayer;

/// A digital 8b x 8b macro with one clock a phase, an 8-bit SAR on each column and as many instances as needed.
pub(crate) fn macro_of(rows: usize, columns: usize) -> MacroSpec {
    let text = "
        name = 'test'
        [array]
        rows = 1
        columns = 8
        [adc]
        kind = 'sar_conventional'
        bits = 8
        [timing]
        pipelined = true
        row_write = 20
    ";
    let mut spec = schema::parse("test", text, &[]).expect("a valid macro");
    // Set here, so that tests can also have sizes that the schema refuses.
    (spec.array.rows, spec.array.columns) = (rows, columns);
    spec
}

/// A layer without its weights: mapping only looks at shapes and bits.
pub(crate) fn layer(shape: MacShape) -> MacLayer {
    MacLayer {
        name: format!("conv{}x{}", shape.in_c, shape.out_c),
        op: "conv2d",
        shape,
        weights: Vec::new(),
        weight_offset: 0,
        x_zero: 0,
        input_bits: 8,
        weight_bits: 8,
    }
}

/// A square convolution with `size` x `size` output pixels, stride 1, same padding.
pub(crate) fn conv(kernel: usize, in_c: usize, out_c: usize, size: usize, groups: usize) -> MacLayer {
    layer(MacShape {
        in_h: size,
        in_w: size,
        out_h: size,
        out_w: size,
        kernel_h: kernel,
        kernel_w: kernel,
        pad_top: kernel / 2,
        pad_left: kernel / 2,
        groups,
        ..MacShape::dense(in_c, out_c)
    })
}
