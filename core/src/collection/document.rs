//! Types that are stored as documents.

use alloc::vec::Vec;

use crate::error::Result;

/// A type of which a collection holds values, as CBOR maps. With the feature `serde` every type that serde can write and read is
/// one; field names are those that serde writes.
pub trait Document: Sized {
    /// The CBOR map.
    fn to_cbor(&self) -> Result<Vec<u8>>;

    /// Reads the CBOR map.
    fn from_cbor(cbor: &[u8]) -> Result<Self>;
}

#[cfg(feature = "serde")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Document for T {
    fn to_cbor(&self) -> Result<Vec<u8>> {
        crate::document::to_document(self)
    }

    fn from_cbor(cbor: &[u8]) -> Result<Self> {
        crate::document::from_document(cbor)
    }
}

#[cfg(not(feature = "serde"))]
impl Document for crate::document::Value {
    fn to_cbor(&self) -> Result<Vec<u8>> {
        crate::document::cbor::encode(self)
    }

    fn from_cbor(cbor: &[u8]) -> Result<Self> {
        crate::document::cbor::decode(cbor)
    }
}
