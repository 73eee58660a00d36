//! The hot loops of the simulator, and the workspace's only `unsafe` code.
//!
//! The decision of this crate: **a conversion is charge, then ADC**, with sixteen output positions (lanes) and all input planes of one
//! conversion slot at a time. Because a whole pass is about one physical column or merged output, everything static about it (the
//! cells' charges, its ADC's thresholds) sits in a few registers, and arbitrary static errors cost nothing extra:
//!
//! * charges of uniform cells are counts of ones; any other linear column is a sum of lookups, of four or five rows at a time: what a
//!   register's shuffle holds ([`charge`]);
//! * the ADC is a bucket table, one bucket per LSB ([`adc::AdcTable`]), and noise is one 16-bit Philox draw per conversion through a
//!   piecewise-linear quantile.
//!
//! The scalar modules are the truth and run anywhere; [`Isa`] picks the AVX2 or AVX-512 ones where the CPU has them. All give equal bits,
//! which the tests of this crate and of `farad-sim` assert. Training is apart: the floating-point kernels of [`dense`] round as each
//! instruction set does.
#![allow(unsafe_code)]

pub mod adc;
mod array;
pub mod charge;
pub mod dense;
pub mod gemm;
mod isa;
pub mod ones;
pub mod pack;

pub use isa::Isa;

/// Output positions that are converted together.
pub const LANES: usize = 16;

/// Sixteen 32-bit lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Lanes<T>(pub [T; LANES]);

impl<T: Default + Copy> Default for Lanes<T> {
    fn default() -> Self {
        Self([T::default(); LANES])
    }
}

/// Thirty-two 16-bit lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub struct Words(pub [i16; 32]);
