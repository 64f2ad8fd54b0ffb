//! A value that was found, readable as its type.

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::engine::{self, FoundValue, Nodes, ShortWindow, Version, inline};
use crate::error::Result;
use crate::table::Value;

/// A value, in place where it is long and was found in memory; else a copy. Dereferences to the stored bytes.
pub struct Found<'a, V: Value> {
    /// Anything but a reference to an extent.
    value: FoundValue<'a>,
    value_type: PhantomData<fn() -> V>,
}

impl<'a, V: Value> Found<'a, V> {
    /// Reads a long value whole.
    pub(super) fn new(found: FoundValue<'a>, nodes: &Arc<Nodes>) -> Result<Self> {
        let value = match found {
            FoundValue::Extent(_) => FoundValue::Whole(found.to_vec(nodes)?),
            found => found,
        };
        Ok(Self { value, value_type: PhantomData })
    }

    /// The value of `key` in `version`.
    #[inline]
    pub(super) fn look_up(version: &'a Version, nodes: &Arc<Nodes>, key: &[u8]) -> Result<Option<Self>> {
        let short =
            |value: ShortWindow<'_>| Ok(Some(Self { value: FoundValue::Short(value.copy()), value_type: PhantomData }));
        engine::look(version, nodes, key, short, |found| match found? {
            Some(found) => Self::new(found, nodes).map(Some),
            None => Ok(None),
        })
    }

    /// The stored bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match &self.value {
            FoundValue::Memtable(bytes) => bytes,
            FoundValue::Short(value) => value.bytes(),
            FoundValue::Node(found) => inline(found),
            FoundValue::Whole(bytes) => bytes,
            FoundValue::Extent(_) => &[],
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
