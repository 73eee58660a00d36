//! What the readers of files share.

use crate::DataError;
use std::path::Path;

/// Deflate cannot expand further than this (258 bytes from two bits), so a header that asks for more than the file's
/// bytes times this is wrong, and nothing need be allocated to find out.
pub(crate) const DEFLATE_MAX_RATIO: usize = 1032;

/// A whole file, or the error that names it.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|e| DataError::io(path, e))
}
