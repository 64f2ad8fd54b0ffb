//! How a database is, and which keys are behind what is damaged in it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::database::Database;
use crate::engine::Health;
use crate::error::{Error, Result};
use crate::table::prefix;

/// A damaged part of the data file, and the keys behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// Byte offset in the data file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The tables whose keys are behind it. Empty where that cannot be told: of a long value, or when the names of tables are
    /// damaged themselves.
    pub tables: Vec<String>,
    /// The first key that may be lost, as bytes without its table; empty for the first of the first table.
    pub from: Vec<u8>,
    /// The first key behind those, as bytes without its table; empty for the end of the last table.
    pub to: Vec<u8>,
}

impl Database {
    /// What is not as it should be, with causes and remedies, the worst first. Nothing is read from storage.
    pub fn health(&self) -> Health {
        self.shared.engine.health(&self.stats())
    }

    /// What was found damaged since the database was opened: by reads, or by a [`scrub`](Self::scrub) or
    /// [`check`](Self::check) of everything. Reading it is [`Error::Corrupt`](crate::Error::Corrupt), its space is not given
    /// out again, and merges keep away from it; everything else is read and written as always.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>> {
        let found = self.shared.engine.quarantined()?;
        let names = match self.snapshot().names_by_id() {
            Err(Error::Corrupt(_) | Error::Storage(_)) => BTreeMap::new(),
            names => names?,
        };
        Ok(found
            .into_iter()
            .map(|damaged| {
                let (offset, len) = (damaged.extent.offset, damaged.extent.len);
                let Some((from, to)) = damaged.keys else {
                    return Quarantined { offset, len, tables: Vec::new(), from: Vec::new(), to: Vec::new() };
                };
                Quarantined { offset, len, tables: tables_within(&names, &from, &to), from: own(&from), to: own(&to) }
            })
            .collect())
    }
}

/// A key of the key space without its table.
fn own(key: &[u8]) -> Vec<u8> {
    prefix::split(key).map_or(&[][..], |(_, key)| key).to_vec()
}

/// The tables that have keys from `from` to before `to`, which is empty for no end.
fn tables_within(names: &BTreeMap<u64, Arc<str>>, from: &[u8], to: &[u8]) -> Vec<String> {
    let first = prefix::split(from).map_or(0, |(id, _)| id);
    let last = prefix::split(to).map_or(u64::MAX, |(id, key)| if key.is_empty() { id.saturating_sub(1) } else { id });
    if last < first {
        return Vec::new();
    }
    names.range(first..=last).map(|(_, name)| String::from(&**name)).collect()
}
