//! What a file of `networks/` says: the layers of a network before it is built.

use crate::TrainError;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::Path;

/// A network as its file describes it.
///
/// ```toml
/// name = "resnet-20"
/// input = [32, 32, 3]            # height, width, channels
/// layers = [
///     { conv = 16 },             # 3x3, stride 1, batch norm, relu
///     { repeat = 3, residual = [{ conv = 16 }, { conv = 16, activation = "none" }] },
///     { pool = "average" },      # over the whole map
///     { dense = 10 },
/// ]
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Name of the network.
    pub name: String,
    /// Height, width and channels of an image.
    pub input: [usize; 3],
    /// The layers in their order.
    pub layers: Vec<Layer>,
}

/// One entry of `layers`: exactly one of `conv`, `depthwise`, `pool`, `dense` and `residual` says what it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Convolution to this many channels.
    pub conv: Option<usize>,
    /// Convolution to this many times the channels that enter the residual block.
    pub expand: Option<usize>,
    /// Depthwise convolution.
    #[serde(default)]
    pub depthwise: bool,
    /// Pooling.
    pub pool: Option<Pool>,
    /// Fully connected layer to this many outputs; the last layer, to the classes.
    pub dense: Option<usize>,
    /// A block whose result is added to its input (through a 1x1 convolution where the shape changes).
    pub residual: Option<Vec<Layer>>,
    /// Whether a residual block that changes the shape has that 1x1 convolution (unless said), or no shortcut at all.
    pub shortcut: Option<Shortcut>,
    /// How often a residual block is repeated; strides are those of its first copy only.
    pub repeat: Option<usize>,
    /// Side of the kernel, 3 unless said.
    pub kernel: Option<usize>,
    /// Stride, 1 unless said.
    pub stride: Option<usize>,
    /// What follows the batch norm, or the addition of a residual block: relu unless said.
    pub activation: Option<Activation>,
}

/// Pooling layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// Maximum of 2x2, stride 2.
    Max,
    /// Average over the whole map.
    Average,
}

/// What joins the input of a residual block with its result where their shapes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// A 1x1 convolution with batch norm.
    #[default]
    Projection,
    /// Nothing: the block is a plain chain there.
    Identity,
}

/// Activation functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x).
    #[default]
    Relu,
    /// min(6, max(0, x)).
    Relu6,
    /// x.
    None,
}

impl Activation {
    pub(crate) fn kernel(self) -> farad_kernels::dense::Activation {
        match self {
            Self::Relu => farad_kernels::dense::Activation::Relu,
            Self::Relu6 => farad_kernels::dense::Activation::Relu6,
            Self::None => farad_kernels::dense::Activation::None,
        }
    }
}

/// The architectures that come with Farad, by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("small-cnn", include_str!("../../../networks/small-cnn.toml")),
    ("lenet-5", include_str!("../../../networks/lenet-5.toml")),
    ("vgg16-bn", include_str!("../../../networks/vgg16-bn.toml")),
    ("resnet-20", include_str!("../../../networks/resnet-20.toml")),
    ("resnet-32", include_str!("../../../networks/resnet-32.toml")),
    ("resnet-56", include_str!("../../../networks/resnet-56.toml")),
    ("resnet-110", include_str!("../../../networks/resnet-110.toml")),
    ("mobilenet-v2", include_str!("../../../networks/mobilenet-v2.toml")),
];

impl Architecture {
    /// The architecture of this built-in name, or of this file.
    ///
    /// # Errors
    /// If it is neither, or the file is not an architecture.
    pub fn load(name_or_file: &str) -> Result<Self, TrainError> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_file) {
            return Self::parse(name_or_file, text);
        }
        let text = std::fs::read_to_string(Path::new(name_or_file)).map_err(|source| TrainError::Architecture {
            file: name_or_file.to_owned(),
            problem: match source.kind() {
                ErrorKind::InvalidData => {
                    "no text, so no architecture, which is a TOML file; an int8 network goes into `from`, to be trained on".to_owned()
                }
                _ => format!(
                    "{source}; built in are {}",
                    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
                ),
            },
        })?;
        Self::parse(name_or_file, &text)
    }

    /// Parses the text of `file`.
    ///
    /// # Errors
    /// If the text is not an architecture.
    pub fn parse(file: &str, text: &str) -> Result<Self, TrainError> {
        toml::from_str(text).map_err(|e| TrainError::Architecture {
            file: file.to_owned(),
            problem: match e.span() {
                Some(span) => {
                    let line = text[..span.start].lines().count().max(1);
                    format!("line {line}: {}", e.message().trim())
                }
                None => e.message().trim().to_owned(),
            },
        })
    }
}
