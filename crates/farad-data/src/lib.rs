//! Image datasets as bytes and labels.
//!
//! The decision of this crate: a dataset is *recognised by its files*, never by an option. [`load`] is given a name or
//! a folder, finds the one format whose files are there, and checks all of it before it returns: what comes out is a
//! plain [`Dataset`] whose every field is consistent, or one [`DataError`] that names the file at fault and what was
//! expected of it. Pixels stay the bytes of the file; how they become a network's input is told by the network.
//!
//! # Where a name is looked for
//!
//! 1. `$FARAD_DATA/NAME`,
//! 2. `farad/NAME` in the user's cache directory (`$XDG_CACHE_HOME`, or `.cache` in the home directory),
//! 3. the sample bundled in this crate, where there is one.
//!
//! Any other specification is a folder; write `./NAME` for a folder of the working directory whose name is also that of
//! a dataset. A split follows after a colon, `NAME:train` or `DIR:test`; without one it is `test`.
//!
//! # Formats
//!
//! | format | files |
//! |---|---|
//! | CIFAR-10 binary | `data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin`, also in `cifar-10-batches-bin/` |
//! | CIFAR-100 binary | `train.bin`, `test.bin` (fine labels), also in `cifar-100-binary/` |
//! | MNIST IDX | `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, ... plain or `.gz` |
//! | npy | `images.npy`, `labels.npy`, or `test_images.npy`, `test_labels.npy`, `train_images.npy`, ... |
//! | image folder | `CLASS/*.png`, or `test/CLASS/*.png` and `train/CLASS/*.png` |
//!
//! With the feature `fetch`, the module of that name gets the published ones from their publishers.
//!
//! Adding a format is one file and one line in `format::FORMATS`.
//!
//! ```
//! let data = farad_data::load("fashion-mnist")?;
//! assert_eq!((data.height, data.width, data.channels, data.classes), (28, 28, 1, 10));
//! assert_eq!(data.image(0).len(), 28 * 28);
//! # Ok::<(), farad_data::DataError>(())
//! ```

mod bundled;
mod cifar;
mod dataset;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
mod file;
mod folder;
mod format;
mod idx;
mod locate;
mod npy;
pub mod npz;
mod picture;

pub use dataset::{Dataset, Split};
pub use error::DataError;
pub use locate::{DatasetInfo, Place, list, load};
