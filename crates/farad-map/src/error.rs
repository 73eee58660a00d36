//! Why a network does not go on a macro.

use thiserror::Error;

/// A mapping that cannot be made. Layers are named as in the network's file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MapError {
    /// A size of the macro or of its system is zero.
    #[error("the macro has no {0}")]
    EmptyMacro(&'static str),
    /// Not even one output channel fits side by side.
    #[error("layer `{layer}`: one output channel takes {needed} physical columns, the macro has {columns}")]
    NarrowMacro {
        /// The layer.
        layer: String,
        /// Columns of one output channel.
        needed: usize,
        /// Columns of the array.
        columns: usize,
    },
    /// The layer has more bits than the macro.
    #[error(
        "layer `{layer}`: its {what} have {needed} bits, the macro takes {available}: raise `{}.bits`, or give a network of fewer bits",
        if *.what == "weights" { "weight" } else { "input" }
    )]
    Bits {
        /// The layer.
        layer: String,
        /// `weights` or `activations`.
        what: &'static str,
        /// Bits in the network.
        needed: u32,
        /// Bits in the macro.
        available: u32,
    },
    /// A weight that the macro's signed scheme cannot store.
    #[error("layer `{layer}`: a weight is {weight}, the macro stores {least} to {greatest}")]
    Weight {
        /// The layer.
        layer: String,
        /// The weight.
        weight: i8,
        /// Least weight of the scheme.
        least: i32,
        /// Greatest weight of the scheme.
        greatest: i32,
    },
    /// The layer's shape is empty, or its groups do not divide its channels.
    #[error("layer `{layer}`: {reason}")]
    Shape {
        /// The layer.
        layer: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// More tiles than a mapping may have.
    #[error("layer `{layer}`: the network needs more than {limit} tiles up to here; the array is too small for it")]
    TooManyTiles {
        /// The layer that goes over the limit.
        layer: String,
        /// The limit.
        limit: usize,
    },
}
