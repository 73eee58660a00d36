//! What can be wrong with a network file, and where.

use std::path::PathBuf;

/// Why a network cannot be imported or run. Every variant names the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bytes are neither a TFLite flatbuffer nor an ONNX model.
    #[error("neither a TFLite flatbuffer nor an ONNX model")]
    UnknownFormat,
    /// The container is damaged.
    #[error("damaged file, at byte {offset}: {what}")]
    Malformed {
        /// Byte offset in the file.
        offset: usize,
        /// What was being read.
        what: &'static str,
    },
    /// The ONNX container does not decode.
    #[error("damaged ONNX file: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// An operator Farad does not run.
    #[error("node `{node}`: operator {op} is not supported; {advice}")]
    UnsupportedOperator {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A supported operator in a form Farad does not run.
    #[error("node `{node}`: {what}")]
    UnsupportedForm {
        /// The node.
        node: String,
        /// The form, and what to do about it.
        what: String,
    },
    /// A tensor that should be 8-bit quantised is not.
    #[error(
        "tensor `{tensor}` is not quantised ({what}); quantise the network to int8 (TFLite full-integer or ONNX QDQ)"
    )]
    NotQuantised {
        /// The tensor.
        tensor: String,
        /// What it is instead.
        what: String,
    },
    /// A dimension other than the batch is not fixed.
    #[error("tensor `{tensor}` has a dynamic shape; export the network with fixed height, width and channels")]
    DynamicShape {
        /// The tensor.
        tensor: String,
    },
    /// Shapes, sizes or quantisation parameters of a tensor do not fit.
    #[error("tensor `{tensor}`: {what}")]
    BadTensor {
        /// The tensor.
        tensor: String,
        /// The contradiction.
        what: String,
    },
    /// The network asks for more memory than a file of its size can mean.
    #[error("`{place}` is too large: {what}")]
    TooLarge {
        /// The node or tensor.
        place: String,
        /// The amount and the limit.
        what: String,
    },
    /// A float input whose normalisation is unknown.
    #[error("network `{network}` takes normalised floats; give its pixel_max, mean and std")]
    NeedsPreprocess {
        /// The network.
        network: String,
    },
    /// A normalisation that does not fit the input.
    #[error("preprocess: {0}")]
    BadPreprocess(String),
    /// The caller's data does not have the network's input size.
    #[error("input: {0}")]
    BadInput(String),
}

impl NetError {
    pub(crate) fn form(node: &str, what: impl Into<String>) -> Self {
        Self::UnsupportedForm {
            node: node.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn tensor(tensor: &str, what: impl Into<String>) -> Self {
        Self::BadTensor {
            tensor: tensor.to_owned(),
            what: what.into(),
        }
    }
}
