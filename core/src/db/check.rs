//! Proof that a database is whole, the definitions of its tables included.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::database::Database;
use super::snapshot::Snapshot;
use crate::codec::slot::Slot;
use crate::engine::{CheckReport, MergedCursor};
use crate::error::{Error, Result};
use crate::table::catalogue::{TableEntry, entry_bounds, entry_name, next_id_key};
use crate::table::{KeyBuffer, prefix};

impl Database {
    /// Reads and verifies all that storage holds, and that every table has a number of its own. What tables hold is for
    /// those who know it.
    pub(crate) fn check_tables(&self, progress: &mut dyn FnMut(&CheckReport)) -> Result<CheckReport> {
        // First, because on an asynchronous storage everything is begun again after what it lacked was fetched.
        let definitions = match self.snapshot().wrong_definitions() {
            Err(Error::Corrupt(damage)) => Err(damage),
            found => Ok(found?),
        };
        let mut start = KeyBuffer::new();
        prefix::encode_prefix(prefix::CATALOGUE, &mut start);
        let mut report = self.shared.engine.check(&start..&prefix::end_of(prefix::CATALOGUE), progress)?;
        match definitions {
            Ok(problems) => problems.into_iter().for_each(|problem| report.add_problem(problem)),
            // What could not be read here is named there, with its keys.
            Err(damage) if report.is_clean() => report.add_problem(Error::Corrupt(damage).to_string()),
            Err(_) => {}
        }
        Ok(report)
    }
}

impl Snapshot {
    /// What the catalogue says and cannot be so. Checksums prove only that somebody wrote it: a file that was made up, or
    /// an engine that was wrong, may have written two tables into one set of keys.
    fn wrong_definitions(&self) -> Result<Vec<String>> {
        let (from, to) = entry_bounds();
        let mut problems = Vec::new();
        let mut names: BTreeMap<u64, Arc<str>> = BTreeMap::new();
        let mut cursor = MergedCursor::new(&self.version, &self.engine.nodes);
        cursor.seek(&from)?;
        while let Some((key, slot)) = cursor.entry().filter(|(key, _)| *key < &*to) {
            if let (Some(name), Slot::Inline(bytes)) = (entry_name(key), slot) {
                match TableEntry::decode(name, bytes).map(|entry| names.entry(entry.id)) {
                    Ok(Entry::Vacant(number)) => {
                        number.insert(Arc::from(name));
                    }
                    Ok(Entry::Occupied(number)) => problems.push(format!(
                        "tables '{}' and '{name}' have one number, {}, and so one set of keys",
                        number.get(),
                        number.key()
                    )),
                    // Whoever wrote that knows more of it than this version.
                    Err(error @ Error::Unsupported { .. }) => return Err(error),
                    Err(_) => problems.push(format!("the definition of table '{name}' is damaged")),
                }
            }
            cursor.next()?;
        }
        let highest = names.keys().next_back().copied().unwrap_or(0);
        match self.get_raw(&next_id_key())?.map(<[u8; 8]>::try_from) {
            Some(Err(bytes)) => {
                problems.push(format!("the number for the next table has {} bytes instead of 8", bytes.len()));
            }
            counter => {
                let next = counter.and_then(core::result::Result::ok).map_or(1, u64::from_le_bytes);
                if next < highest.saturating_add(1) {
                    problems.push(format!("the next table would get number {next}, but one has {highest} already"));
                }
            }
        }
        Ok(problems)
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
    use crate::table::Table;
    use crate::table::catalogue::entry_key;

    fn two_tables() -> Database {
        let environment = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = crate::Options { background_thread: false, ..crate::Options::default() };
        let db = Database::open_storage(Arc::new(MemoryStorage::new()), environment, options).unwrap();
        for name in ["one", "two"] {
            db.transaction(|tx| tx.table::<u64, u64>(Table::new(name))?.put(1, 2)).unwrap();
        }
        assert!(db.check().unwrap().is_clean());
        db
    }

    fn definition(db: &Database, name: &str) -> Vec<u8> {
        db.snapshot().get_raw(&entry_key(name)).unwrap().unwrap()
    }

    /// The one problem, in memory and in the file.
    fn assert_found(db: &Database, what: &str) {
        for settled in [false, true] {
            if settled {
                db.checkpoint().unwrap();
            }
            let report = db.check().unwrap();
            let [problem] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
            assert!(problem.contains(what), "{problem}");
        }
    }

    #[test]
    fn two_tables_of_one_number_are_a_problem() {
        let db = two_tables();
        let one = definition(&db, "one");
        db.transaction(|tx| tx.put_raw(&entry_key("twin"), &one)).unwrap();
        assert_found(&db, "tables 'one' and 'twin' have one number, 1,");
        db.transaction(|tx| tx.delete_raw(&entry_key("twin"))).unwrap();
        assert!(db.check().unwrap().is_clean());
    }

    #[test]
    fn a_damaged_definition_is_a_problem_and_so_is_a_number_that_would_be_given_again() {
        let db = two_tables();
        let two = definition(&db, "two");
        db.transaction(|tx| tx.put_raw(&entry_key("two"), &two[..4])).unwrap();
        assert_found(&db, "the definition of table 'two' is damaged");
        db.transaction(|tx| tx.put_raw(&entry_key("two"), &two)).unwrap();

        db.transaction(|tx| tx.put_raw(&next_id_key(), &2_u64.to_le_bytes())).unwrap();
        assert_found(&db, "the next table would get number 2, but one has 2 already");
        db.transaction(|tx| tx.put_raw(&next_id_key(), &[2])).unwrap();
        assert_found(&db, "the number for the next table has 1 bytes instead of 8");
    }

    #[test]
    fn a_made_up_number_for_the_next_table_is_refused() {
        for number in [0, u64::MAX] {
            let db = two_tables();
            db.transaction(|tx| tx.put_raw(&next_id_key(), &number.to_le_bytes())).unwrap();
            let made = db.transaction(|tx| tx.table::<u64, u64>(Table::new("three"))?.put(1, 2));
            assert_eq!(made.unwrap_err().name(), "Invalid");
        }
    }
}
