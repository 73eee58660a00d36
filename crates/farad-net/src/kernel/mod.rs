//! What a node computes, on stored bytes, for a batch of images.

pub(crate) mod binary;
pub(crate) mod concat;
pub(crate) mod pool;
pub(crate) mod softmax;

use crate::requant::Requant;
use crate::view::PAD;

pub(crate) use binary::Binary;
pub(crate) use concat::Concat;
pub(crate) use pool::Pool;
pub(crate) use softmax::Softmax;

/// A function of one stored byte.
pub(crate) type Table = Box<[u8; 256]>;

/// Tabulates a function of one stored byte.
pub(crate) fn table(f: impl Fn(u8) -> u8) -> Table {
    Box::new(std::array::from_fn(|i| f(i as u8)))
}

/// The arithmetic of one node. Everything that depends on constants only was worked out at import.
#[derive(Debug, Clone)]
pub(crate) enum Kernel {
    /// Accumulators of MAC layer `layer`, requantised.
    Mac { layer: usize, requant: Requant },
    /// Any function of one byte.
    Table(Table),
    /// Any function of two bytes, with broadcasting.
    Binary(Binary),
    /// Maximum or average over windows.
    Pool(Pool),
    /// Inputs one after the other along an axis.
    Concat(Concat),
    /// Output element `i` is input element `map[i]`, or `pad`.
    Gather { map: Vec<u32>, pad: u8 },
    /// The same bytes under another shape.
    Reshape,
    /// Softmax along the last axis.
    Softmax(Softmax),
}

/// `out[i] = x[map[i]]`, image by image.
pub(crate) fn gather(map: &[u32], pad: u8, x: &[u8], image_len: usize, out: &mut [u8]) {
    for (x, out) in x.chunks_exact(image_len).zip(out.chunks_exact_mut(map.len())) {
        for (out, &at) in out.iter_mut().zip(map) {
            *out = if at == PAD { pad } else { x[at as usize] };
        }
    }
}
