#![allow(unused, missing_docs)]
use super::*;
use crate::error::Result;
use alloc::vec::Vec;
pub(crate) struct CompiledFilter;
impl CompiledFilter {
    pub(crate) fn new(f: &Filter) -> Result<Self> {
        todo!()
    }
    pub(crate) fn matches(&self, d: &[u8]) -> Result<bool> {
        todo!()
    }
}
pub(crate) fn sort_key(d: &[u8], order: &[Order], out: &mut Vec<u8>) -> Result<()> {
    todo!()
}
impl Query {
    pub(crate) fn fingerprint(&self) -> u64 {
        todo!()
    }
}
