#![allow(unused, missing_docs)]
use super::*;
use crate::error::Result;
use alloc::vec::Vec;
pub(crate) fn encode(v: &Value) -> Vec<u8> {
    todo!()
}
pub(crate) fn decode(b: &[u8]) -> Result<Value> {
    todo!()
}
pub(crate) fn validate(b: &[u8]) -> Result<()> {
    todo!()
}
pub(crate) fn each_at(d: &[u8], p: &Path, f: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
    todo!()
}
pub(crate) fn each_element(d: &[u8], f: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    todo!()
}
pub(crate) fn is_array(d: &[u8]) -> bool {
    todo!()
}
pub(crate) fn is_null(d: &[u8]) -> bool {
    todo!()
}
pub(crate) fn text(d: &[u8]) -> Option<&str> {
    todo!()
}
pub(crate) fn project(d: &[u8], p: &[Path]) -> Result<Vec<u8>> {
    todo!()
}
