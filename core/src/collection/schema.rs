//! What an application says of a collection when it opens it: where a document's key is, what is indexed, which version of
//! its documents it knows.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::auto_key::AutoKey;
use crate::document::Path;
use crate::error::{Error, Result};
use crate::table::validate_name;

/// More indexes than this are refused.
pub(super) const INDEXES_MAX: usize = 64;
/// More paths in one index are refused.
const PATHS_MAX: usize = 8;

/// A collection's schema.
///
/// ```
/// use lightning_db::{Index, Schema};
/// let people = Schema::key("id").index("age").unique("email").with(Index::on(["country", "city"]).sparse());
/// ```
///
/// Indexes that are named here are made when the collection is opened, over the documents that are there; one that is not
/// named stays as it is until [`drop_index`](crate::Collection::drop_index).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub(super) key: String,
    pub(super) indexes: Vec<Index>,
    pub(super) version: u32,
    pub(super) expires_after_ms: Option<u64>,
    pub(super) auto_key: Option<AutoKey>,
}

/// An index: the paths of what it holds, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub(super) name: Option<String>,
    pub(super) paths: Vec<String>,
    pub(super) unique: bool,
    pub(super) sparse: bool,
    pub(super) multi: bool,
    pub(super) folded: bool,
}

/// One path, or several for a compound index.
pub trait IndexPaths {
    /// The paths in their order.
    fn into_paths(self) -> Vec<String>;
}

impl IndexPaths for &str {
    fn into_paths(self) -> Vec<String> {
        Vec::from([String::from(self)])
    }
}

impl IndexPaths for String {
    fn into_paths(self) -> Vec<String> {
        Vec::from([self])
    }
}

impl<T: ToString, const N: usize> IndexPaths for [T; N] {
    fn into_paths(self) -> Vec<String> {
        self.iter().map(T::to_string).collect()
    }
}

impl IndexPaths for Vec<String> {
    fn into_paths(self) -> Vec<String> {
        self
    }
}

impl Schema {
    /// A collection whose documents have their key at this path.
    pub fn key(path: impl Into<String>) -> Self {
        Self { key: path.into(), indexes: Vec::new(), version: 1, expires_after_ms: None, auto_key: None }
    }

    /// With an index on a path, or on several together.
    #[must_use]
    pub fn index(self, paths: impl IndexPaths) -> Self {
        self.with(Index::on(paths))
    }

    /// With an index of which no two documents may have the same entry.
    #[must_use]
    pub fn unique(self, paths: impl IndexPaths) -> Self {
        self.with(Index::on(paths).unique())
    }

    /// With this index.
    #[must_use]
    pub fn with(mut self, index: Index) -> Self {
        self.indexes.push(index);
        self
    }

    /// The version of the documents; 1 unless it is said. Older ones are migrated when the collection is opened.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Documents go by themselves so long after they were written, unless they are written with a time of their own.
    #[must_use]
    pub fn expires_after(mut self, after: Duration) -> Self {
        self.expires_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Documents that are put or inserted without a key get one.
    #[must_use]
    pub fn auto_key(mut self, auto: AutoKey) -> Self {
        self.auto_key = Some(auto);
        self
    }

    /// Refuses what cannot be a schema.
    pub(super) fn validate(&self, collection: &str) -> Result<()> {
        validate_name(collection)?;
        Path::parse(&self.key)?;
        if self.version == 0 {
            return Err(Error::invalid(alloc::format!("collection '{collection}': versions begin with 1")));
        }
        if self.indexes.len() > INDEXES_MAX {
            return Err(too_many_indexes(self.indexes.len()));
        }
        for (at, index) in self.indexes.iter().enumerate() {
            index.validate(collection)?;
            if self.indexes.iter().take(at).any(|other| other.name() == index.name()) {
                let name = index.name();
                return Err(Error::invalid(alloc::format!(
                    "collection '{collection}' has two indexes named '{name}'; give one another name with 'named'"
                )));
            }
        }
        Ok(())
    }
}

impl Index {
    /// An index on a path, or on several together: then documents are ordered by the first, those alike there by the next.
    pub fn on(paths: impl IndexPaths) -> Self {
        Self { name: None, paths: paths.into_paths(), unique: false, sparse: false, multi: false, folded: false }
    }

    /// No two documents may have the same entry. What is missing or null is like nothing else.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Leaves out documents that lack a path or have null there.
    #[must_use]
    pub fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Where there is an array, each of its elements has an entry.
    #[must_use]
    pub fn multi(mut self) -> Self {
        self.multi = true;
        self
    }

    /// Text is indexed without its case and accents, for conditions that ignore them.
    #[must_use]
    pub fn folded(mut self) -> Self {
        self.folded = true;
        self
    }

    /// Another name than its paths joined by `+`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.paths.join("+"))
    }

    fn validate(&self, collection: &str) -> Result<()> {
        let name = self.name();
        validate_name(&name)?;
        if self.paths.is_empty() || self.paths.len() > PATHS_MAX {
            return Err(Error::invalid(alloc::format!(
                "index '{name}' of collection '{collection}' has {} paths; it needs 1 to {PATHS_MAX}",
                self.paths.len()
            )));
        }
        self.paths.iter().try_for_each(|path| Path::parse(path).map(drop))
    }
}

pub(super) fn too_many_indexes(count: usize) -> Error {
    Error::LimitExceeded {
        what: "the number of a collection's indexes",
        value: count as u64,
        limit: INDEXES_MAX as u64,
    }
}
