//! Results in their order, by comparing bytes.

use alloc::vec::Vec;

use super::ast::Query;
use crate::document::cbor::{encode_key_of, lookup};
use crate::document::{Path, Value, key};
use crate::error::Result;
use crate::table::KeyBuffer;

/// Stands for what is no key, as a map: behind every key.
const NO_KEY: u8 = u8::MAX;

/// The order of a query's result.
///
/// A sort key is the encoded keys of what is under each path and then the key of the record, with every bit inverted in the
/// parts that descend. So comparing sort keys byte by byte is comparing documents as the query asks, no two are equal, and
/// where nothing descends a sort key is an index entry of the same paths.
#[derive(Clone, Debug)]
pub(crate) struct SortOrder {
    parts: Vec<(Path, bool)>,
    keys_descend: bool,
}

impl SortOrder {
    /// The order of a [normalised](Query::normalised) query.
    pub(crate) fn of(query: &Query) -> Self {
        let parts = query.order().iter().map(|order| (order.path.clone(), order.descending)).collect();
        Self { parts, keys_descend: query.keys_descend() }
    }

    /// The sort key of a document and the encoded key of its record.
    ///
    /// What is missing has the key of null, what is no key comes behind all that are; of the values that a path finds within
    /// the elements of an array the least counts, and an array at the end of the path counts whole.
    pub(crate) fn key(&self, document: &[u8], record_key: &[u8]) -> Result<Vec<u8>> {
        let mut sort_key = Vec::new();
        for (path, descends) in &self.parts {
            let start = sort_key.len();
            sort_key.extend_from_slice(part(document, path)?.as_slice());
            invert(sort_key.get_mut(start..), *descends);
        }
        let start = sort_key.len();
        sort_key.extend_from_slice(record_key);
        invert(sort_key.get_mut(start..), self.keys_descend);
        Ok(sort_key)
    }
}

fn part(document: &[u8], path: &Path) -> Result<KeyBuffer> {
    let mut least: Option<KeyBuffer> = None;
    for item in lookup(document, path)?.items() {
        let mut key = KeyBuffer::new();
        if encode_key_of(item, &mut key).is_err() {
            key = KeyBuffer::new();
            key.push(NO_KEY);
        }
        if least.as_ref().is_none_or(|least| key.as_slice() < least.as_slice()) {
            least = Some(key);
        }
    }
    if let Some(least) = least {
        return Ok(least);
    }
    let mut null = KeyBuffer::new();
    key::encode(&Value::Null, &mut null)?;
    Ok(null)
}

fn invert(bytes: Option<&mut [u8]>, descends: bool) {
    if descends {
        bytes.into_iter().flatten().for_each(|byte| *byte = !*byte);
    }
}
