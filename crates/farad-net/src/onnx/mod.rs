//! x
use crate::error::NetError;
use crate::network::Imported;
pub(crate) fn is_onnx(_b: &[u8]) -> bool {
    false
}
pub(crate) fn import(_b: &[u8]) -> Result<Imported, NetError> {
    Err(NetError::BadInput(String::new()))
}
