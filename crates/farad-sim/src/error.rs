//! Why a network cannot run on a macro.

use thiserror::Error;

/// A run that would have to guess is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimError {
    /// Images of another shape than the network's input.
    #[error("the images are {images:?} (height, width, channels), the network takes {network:?}")]
    ImageShape {
        /// Of the data set.
        images: [usize; 3],
        /// Of the network.
        network: [usize; 3],
    },
    /// Nothing to run.
    #[error("there are no images to run")]
    NoImages,
    /// A limit of the random draws' keys.
    #[error("the network has {found} {what}, at most {limit} can be told apart by the noise keys")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are possible.
        limit: usize,
    },
    /// Chips without trims.
    #[error("the calibration has trims of {trimmed} chips, the run has {chips}; calibrate with `--chips {chips}`")]
    Untrimmed {
        /// Chips that were trimmed.
        trimmed: u32,
        /// Chips to run.
        chips: u32,
    },
    /// The macro is too narrow for its own bits.
    #[error(transparent)]
    Map(#[from] farad_map::MapError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] farad_net::NetError),
    /// The thread pool could not be built.
    #[error("cannot start the worker threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
