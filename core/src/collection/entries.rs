//! What a document has in an index.
//!
//! An entry's key is the encoded parts of the index's paths and then the key of its document, so that documents with the same
//! parts stand beside each other in the order of their keys. In a unique index, where no part is null, it is the parts
//! alone, and the document's key is the entry's value: then two documents cannot have the same entry.
//!
//! Missing and null are the same, and nothing is equal to them where entries must be unique. An array under a path of a
//! multi-valued index has an entry for each of its different elements, an empty one that of null.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::definition::IndexDefinition;
use crate::document::query::folded_value;
use crate::document::{Path, Value, cbor, key};
use crate::error::{Error, InvalidDocument, Result};
use crate::table::KeyBuffer;

/// Entries of one document in one index; more are refused.
const ENTRIES_MAX: usize = 10_000;

/// A document's entry in an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub key: Vec<u8>,
    /// The document's key is the value, not the end of the key.
    pub alone: bool,
}

impl Entry {
    /// What stands in the index under its key.
    pub(crate) fn value<'r>(&self, record: &'r [u8]) -> &'r [u8] {
        if self.alone { record } else { b"" }
    }
}

/// A document, for what is said about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub collection: &'a str,
    /// Its encoded key.
    pub key: &'a [u8],
    /// Its CBOR.
    pub document: &'a [u8],
}

impl Subject<'_> {
    pub(crate) fn wrong(&self, field: &Path, what: String) -> Error {
        Error::InvalidDocument(Box::new(InvalidDocument {
            collection: String::from(self.collection),
            field: field.to_string(),
            key: shown(self.key),
            what,
        }))
    }
}

/// The encoded key of a document.
pub(super) fn record_key(key: &Value) -> Result<KeyBuffer> {
    let mut record = KeyBuffer::new();
    key::encode(key, &mut record)?;
    Ok(record)
}

/// An encoded key in words.
pub(crate) fn shown(encoded: &[u8]) -> String {
    match key::decode(encoded) {
        Ok((value, _)) => value.to_string(),
        Err(_) => format!("\"{}\"", encoded.get(..32).unwrap_or(encoded).escape_ascii()),
    }
}

/// All entries of a document in `index`, in order, each once.
pub(crate) fn entries(subject: &Subject<'_>, index: &IndexDefinition) -> Result<Vec<Entry>> {
    let mut heads = Vec::from([(KeyBuffer::new(), false)]);
    let mut spread: Option<&Path> = None;
    for path in &index.paths {
        let parts = parts(subject, index, path)?;
        if parts.len() > 1
            && let Some(other) = spread.replace(path)
        {
            let what =
                format!("index '{}' has an array under '{other}' already; only one of its paths may", index.name);
            return Err(subject.wrong(path, what));
        }
        heads = parts
            .iter()
            .flat_map(|part| {
                heads.iter().map(move |(head, has_null)| {
                    let mut longer = head.clone();
                    longer.extend(part.as_ref().map_or(NULL, |part| part));
                    (longer, *has_null || part.is_none())
                })
            })
            .collect();
    }
    let mut entries: Vec<Entry> = heads
        .into_iter()
        .filter(|(_, has_null)| !(index.sparse && *has_null))
        .map(|(mut key, has_null)| {
            let alone = index.unique && !has_null;
            if !alone {
                key.extend(subject.key);
            }
            Entry { key: key.to_vec(), alone }
        })
        .collect();
    if entries.len() > 1 {
        entries.sort_unstable();
        entries.dedup();
    }
    Ok(entries)
}

/// Appends the part of an index's entries that has this value.
pub(super) fn encode_part(value: &Value, index: &IndexDefinition, out: &mut KeyBuffer) -> Result<()> {
    if index.folded { key::encode(&folded_value(value), out) } else { key::encode(value, out) }
}

/// The key of null.
pub(crate) const NULL: &[u8] = &[key::NULL];
/// Null in CBOR.
pub(crate) const NULL_ITEM: &[u8] = &[0xf6];

/// What there is under a path, encoded; `None` for null, and for nothing at all.
fn parts(subject: &Subject<'_>, index: &IndexDefinition, path: &Path) -> Result<Vec<Option<KeyBuffer>>> {
    let found = cbor::lookup(subject.document, path)?;
    if found.crossed && !index.multi {
        let what = format!("there is an array on the way, and index '{}' is not multi-valued", index.name);
        return Err(subject.wrong(path, what));
    }
    let mut parts = Vec::new();
    for item in found.items() {
        match cbor::elements(item)? {
            None => {
                parts.push(part(subject, index, path, item)?);
                within_limit(parts.len())?;
            }
            Some(elements) if index.multi => {
                for element in elements {
                    parts.push(part(subject, index, path, element?)?);
                    within_limit(parts.len())?;
                }
            }
            Some(_) => {
                let what = format!("an array, and index '{}' is not multi-valued", index.name);
                return Err(subject.wrong(path, what));
            }
        }
    }
    if parts.is_empty() {
        parts.push(None);
    }
    Ok(parts)
}

/// Refuses more parts than a document may have entries; one path alone has more than one.
fn within_limit(parts: usize) -> Result<()> {
    if parts <= ENTRIES_MAX {
        return Ok(());
    }
    Err(Error::LimitExceeded {
        what: "the number of a document's entries in one index",
        value: parts as u64,
        limit: ENTRIES_MAX as u64,
    })
}

fn part(subject: &Subject<'_>, index: &IndexDefinition, path: &Path, item: &[u8]) -> Result<Option<KeyBuffer>> {
    if item == NULL_ITEM {
        return Ok(None);
    }
    let mut encoded = KeyBuffer::new();
    let result = if index.folded {
        cbor::encode_folded_key_of(item, &mut encoded)
    } else {
        cbor::encode_key_of(item, &mut encoded)
    };
    result.map_err(|error| {
        subject.wrong(path, format!("{error}; index '{}' needs a value that can be a key", index.name))
    })?;
    Ok(Some(encoded))
}
