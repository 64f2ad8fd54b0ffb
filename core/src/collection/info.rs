//! What a database says of its collections, for tools: a collection opened in a program is described by its own schema.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::auto_key::AutoKey;
use super::definition::IndexDefinition;
use super::schema::Index;
use crate::db::Snapshot;
use crate::error::Result;

/// A collection as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// The path of the documents' key.
    pub key: String,
    /// The version of the documents.
    pub version: u32,
    /// Documents go by themselves so long after they were written, unless they were given a time of their own.
    pub expires_after_ms: Option<u64>,
    /// How documents that have no key get one.
    pub auto_key: Option<AutoKey>,
    /// Records in its table, those that have expired and are not removed yet among them.
    pub documents: u64,
    /// Its indexes, in the order in which they were made.
    pub indexes: Vec<IndexInfo>,
}

/// An index as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexInfo {
    /// What it holds, and how. Its name is said.
    pub index: Index,
    /// The paths, in their order.
    pub paths: Vec<String>,
    /// No two documents may have the same entry.
    pub unique: bool,
    /// Documents that lack a path are left out.
    pub sparse: bool,
    /// Each element of an array has an entry.
    pub multi: bool,
    /// Text without case and accents.
    pub folded: bool,
    /// It has all documents. Until then it is being made, and queries do not read it.
    pub ready: bool,
    /// How many entries it has.
    pub entries: u64,
}

impl Snapshot {
    /// All collections, by name.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let names = self.collection_names()?;
        names.iter().filter_map(|name| self.collection_info(name).transpose()).collect()
    }

    /// The collection of this name; `None` where there is none.
    pub fn collection_info(&self, name: &str) -> Result<Option<CollectionInfo>> {
        let Some(definition) = self.collection_definition(name)? else { return Ok(None) };
        let indexes = definition.indexes.iter().map(|index| self.index_info(index)).collect::<Result<_>>()?;
        Ok(Some(CollectionInfo {
            name: String::from(name),
            key: definition.key.to_string(),
            version: definition.newest_version(),
            expires_after_ms: definition.expires_after_ms,
            auto_key: definition.auto_key,
            documents: self.bytes_table(definition.id).len()?,
            indexes,
        }))
    }

    fn index_info(&self, index: &IndexDefinition) -> Result<IndexInfo> {
        let paths: Vec<String> = index.paths.iter().map(ToString::to_string).collect();
        let &IndexDefinition { unique, sparse, multi, folded, ready, .. } = index;
        let declared = Index { name: Some(index.name.clone()), paths: paths.clone(), unique, sparse, multi, folded };
        let entries = self.bytes_table(index.id).len()?;
        Ok(IndexInfo { index: declared, paths, unique, sparse, multi, folded, ready, entries })
    }
}
