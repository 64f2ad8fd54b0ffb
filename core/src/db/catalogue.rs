//! The tables' definitions, remembered between reads.
//!
//! **When a remembered definition is right:** for every version at or after the commit that last changed the catalogue.
//! That commit's number is kept beside the definitions; older versions read the catalogue itself.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use crate::engine::{self, Engine, Version};
use crate::env::sync::Mutex;
use crate::error::{Error, Result, TableTypeMismatch};
use crate::hashing::HashMap;
use crate::table::catalogue::{TableEntry, entry_key};
use crate::table::{Key, Table, Value};
use crate::testing::Mutant;

/// More definitions than this are not remembered.
const REMEMBERED_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Catalogue {
    state: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    tables: HashMap<String, Known>,
    changed_at: u64,
    /// By table, a number noted in a commit that only rises.
    risen: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Known {
    entry: Arc<TableEntry>,
    /// The types it was last opened with, which are right.
    opened_as: Option<TypeNames>,
}

/// The functions that name the types of keys and of values, by address: where these are the same the names are.
type TypeNames = (usize, usize);

impl Catalogue {
    /// The definition of `name` in `version`.
    pub(super) fn entry(&self, engine: &Engine, version: &Version, name: &str) -> Result<Option<Arc<TableEntry>>> {
        {
            let state = self.state.lock();
            let is_newer = version.sequence >= state.changed_at || Mutant::NewTableInOldSnapshot.is_active();
            if is_newer && let Some(known) = state.tables.get(name) {
                return Ok(Some(Arc::clone(&known.entry)));
            }
        }
        let Some(found) = engine::get(version, &engine.nodes, &entry_key(name))? else { return Ok(None) };
        let entry = Arc::new(TableEntry::decode(name, &found.to_vec(&engine.nodes)?)?);
        let mut state = self.state.lock();
        if version.sequence >= state.changed_at && state.tables.len() < REMEMBERED_MAX {
            state.tables.insert(String::from(name), Known { entry: Arc::clone(&entry), opened_as: None });
        }
        Ok(Some(entry))
    }

    /// The number of `table` in `version`, if it is there. Refuses other types than it was made with.
    pub(super) fn id_of<K: Key, V: Value>(
        &self,
        engine: &Engine,
        version: &Version,
        table: &Table<'_, K, V>,
    ) -> Result<Option<u64>> {
        let types: TypeNames = (K::type_name as fn() -> String as usize, V::type_name as fn() -> String as usize);
        {
            let state = self.state.lock();
            if version.sequence >= state.changed_at
                && let Some(known) = state.tables.get(table.name())
                && known.opened_as == Some(types)
            {
                return Ok(Some(known.entry.id));
            }
        }
        let Some(entry) = self.entry(engine, version, table.name())? else { return Ok(None) };
        check_types(table, &entry)?;
        if let Some(known) = self.state.lock().tables.get_mut(table.name())
            && Arc::ptr_eq(&known.entry, &entry)
        {
            known.opened_as = Some(types);
        }
        Ok(Some(entry.id))
    }

    /// A commit notes this number of table `id`, which only rises. Numbers of tables are not given again.
    pub(super) fn has_risen(&self, id: u64, number: u64) {
        let mut state = self.state.lock();
        if state.risen.len() < REMEMBERED_MAX || state.risen.contains_key(&id) {
            let risen = state.risen.entry(id).or_insert(number);
            *risen = number.max(*risen);
        }
    }

    /// The highest such number that is known of; 0 when none is.
    pub(super) fn risen(&self, id: u64) -> u64 {
        self.state.lock().risen.get(&id).copied().unwrap_or(0)
    }

    /// Whether a commit after `sequence` changed the catalogue.
    pub(super) fn changed_since(&self, sequence: u64) -> bool {
        self.state.lock().changed_at > sequence
    }

    /// Commit `sequence` changes the catalogue. To be said before it can be seen. Gives the one that did so before, for
    /// [`unchanged`](Self::unchanged).
    pub(super) fn changed(&self, sequence: u64) -> u64 {
        let mut state = self.state.lock();
        state.tables.clear();
        let earlier = state.changed_at;
        state.changed_at = earlier.max(sequence);
        earlier
    }

    /// The commit that was to change it failed, and the next has its number. Under the same writer lock as
    /// [`changed`](Self::changed).
    pub(super) fn unchanged(&self, earlier: u64) {
        self.state.lock().changed_at = earlier;
    }
}

/// Refuses to open a table with other types than it was made with.
fn check_types<K: Key, V: Value>(table: &Table<'_, K, V>, entry: &TableEntry) -> Result<()> {
    check_type_names(table.name(), &table.key_type(), &table.value_type(), entry)
}

pub(super) fn check_type_names(name: &str, key_type: &str, value_type: &str, entry: &TableEntry) -> Result<()> {
    if entry.key_type == key_type && entry.value_type == value_type {
        return Ok(());
    }
    Err(Error::TableTypeMismatch(Box::new(TableTypeMismatch {
        table: String::from(name),
        recorded: alloc::format!("{} to {}", entry.key_type, entry.value_type),
        requested: alloc::format!("{key_type} to {value_type}"),
    })))
}
