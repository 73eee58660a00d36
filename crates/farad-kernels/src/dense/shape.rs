//! What is convolved with what.

/// How operands of a convolution may be rounded before they are multiplied. Sums are f32 either way. In f32, sums of neighbours may be
/// multiplied instead, where that takes fewer products: what is infinite then makes outputs next to its own no numbers as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not at all.
    F32,
    /// To the nearest bf16, ties to even, where the CPU multiplies bf16; not at all where f32 is faster.
    Bf16,
}

/// A convolution with square kernels over NHWC images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Images in the batch.
    pub images: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output; those of the input if `depthwise`.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step between output positions, along both axes.
    pub stride: usize,
    /// Zeros on each side of the input, along both axes.
    pub padding: usize,
    /// Each channel is convolved with its own kernel and nothing else.
    pub depthwise: bool,
}

impl Conv2d {
    /// Rows of the output; 0 if the kernel does not fit.
    #[must_use]
    pub fn out_height(&self) -> usize {
        self.out_extent(self.height)
    }

    /// Columns of the output; 0 if the kernel does not fit.
    #[must_use]
    pub fn out_width(&self) -> usize {
        self.out_extent(self.width)
    }

    fn out_extent(&self, extent: usize) -> usize {
        (extent + 2 * self.padding)
            .checked_sub(self.kernel)
            .map_or(0, |span| span / self.stride + 1)
    }

    /// Multiply-accumulates of the forward pass over the whole batch, those with padding included.
    #[must_use]
    pub fn macs(&self) -> u64 {
        (self.output_len() * self.taps() * self.inputs_per_output()) as u64
    }

    /// Values of the input, `[images][height][width][in_channels]`.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.images * self.height * self.width * self.in_channels
    }

    /// Values of the output, `[images][out_height][out_width][out_channels]`.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.images * self.out_height() * self.out_width() * self.out_channels
    }

    /// Weights, `[out_channels][kernel][kernel][in_channels]`, or `[channels][kernel][kernel]` if depthwise.
    #[must_use]
    pub fn weights_len(&self) -> usize {
        self.out_channels * self.taps() * self.inputs_per_output()
    }

    /// Positions of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    fn inputs_per_output(&self) -> usize {
        if self.depthwise { 1 } else { self.in_channels }
    }

    /// Checks the lengths of an input, weights and an output of this shape, those that are given.
    ///
    /// # Panics
    /// If one is wrong, the stride is 0, or a depthwise convolution changes the number of channels.
    pub(super) fn check(&self, input: Option<usize>, weights: Option<usize>, output: Option<usize>) {
        assert!(self.stride > 0, "the stride is at least 1");
        assert!(
            !self.depthwise || self.in_channels == self.out_channels,
            "a depthwise convolution keeps its channels"
        );
        for (what, given, len) in [
            ("input", input, self.input_len()),
            ("weights", weights, self.weights_len()),
            ("output", output, self.output_len()),
        ] {
            assert!(
                given.is_none_or(|given| given == len),
                "length {given:?} of the {what} of {self:?}"
            );
        }
    }

    /// Input position that output position `out` reads through tap `k`, along an axis of `extent` positions.
    pub(super) fn source(&self, out: usize, k: usize, extent: usize) -> Option<usize> {
        (out * self.stride + k)
            .checked_sub(self.padding)
            .filter(|&i| i < extent)
    }
}

/// Values of a tensor with these sides.
///
/// # Panics
/// If they are more than memory has addresses.
pub(super) fn volume<const N: usize>(sides: [usize; N]) -> usize {
    let product = sides
        .iter()
        .try_fold(1, |product: usize, &side| product.checked_mul(side));
    product.expect("a tensor that memory can hold")
}
