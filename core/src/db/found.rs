//! A value that was found, readable as its type.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::engine::{FoundValue, ShortValue, inline};
use crate::error::Result;
use crate::table::Value;

/// A value, in place where it is long and was found in memory; else a copy. Dereferences to the stored bytes.
pub struct Found<'a, V: Value> {
    bytes: Bytes<'a>,
    value_type: PhantomData<fn() -> V>,
}

enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Short(ShortValue),
    Node(crate::tree::Found),
    Owned(Vec<u8>),
}

impl<'a, V: Value> Found<'a, V> {
    /// Reads a long value whole.
    pub(super) fn new(found: FoundValue<'a>, nodes: &alloc::sync::Arc<crate::engine::Nodes>) -> Result<Self> {
        let bytes = match found {
            FoundValue::Memtable(bytes) => Bytes::Borrowed(bytes),
            FoundValue::Short(value) => Bytes::Short(value),
            FoundValue::Node(found) => Bytes::Node(found),
            extent @ FoundValue::Extent(_) => Bytes::Owned(extent.to_vec(nodes)?),
        };
        Ok(Self { bytes, value_type: PhantomData })
    }

    /// The stored bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Short(value) => value.bytes(),
            Bytes::Node(found) => inline(found),
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// The value, borrowing from the stored bytes. Fails when they are no such value.
    pub fn value(&self) -> Result<V::Borrowed<'_>> {
        V::decode(self.bytes())
    }

    /// The value, independent of the database.
    pub fn into_owned(self) -> Result<V::Owned> {
        Ok(V::into_owned(self.value()?))
    }
}

impl<V: Value> Deref for Found<'_, V> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl<V: Value> fmt::Debug for Found<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({})", self.bytes().escape_ascii())
    }
}

impl<V: Value> PartialEq<[u8]> for Found<'_, V> {
    fn eq(&self, other: &[u8]) -> bool {
        self.bytes() == other
    }
}
