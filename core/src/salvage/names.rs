//! The end of a salvage: tables whose definitions are lost get names, and what is lost is told by table.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Salvage;
use super::losses::Lost;
use super::report::{Loss, SalvageReport};
use crate::error::Result;
use crate::table::catalogue::{TableEntry, entry_key, next_id_key};
use crate::table::prefix::{self, CATALOGUE};

/// A file made up may have a table for each record.
const NAMED_MAX: usize = 10_000;

impl Salvage<'_> {
    /// Gives every table that has keys a definition, and sees to it that no number is given again.
    pub(super) fn name_tables(&mut self) -> Result<()> {
        let snapshot = self.sink.database().snapshot();
        let names = snapshot.names_by_id()?;
        // Indexes of collections have no names, and are no tables that lost theirs.
        let of_collections = snapshot.tables_of_collections()?;
        let mut highest = names.keys().chain(&of_collections).max().copied().unwrap_or(0);
        // A table has one name: by another its keys would be read and written as what they are not.
        for name in snapshot.names_again()? {
            self.sink.delete(&entry_key(&name))?;
        }
        let created_ms = self.sink.database().milliseconds_now();
        let mut id = CATALOGUE + 1;
        while let Some(found) = snapshot.next_table_with_keys(id)? {
            highest = highest.max(found);
            let is_known = names.contains_key(&found) || of_collections.contains(&found);
            if !is_known && self.report.renamed.len() < NAMED_MAX {
                let mut name = format!("recovered-{found}");
                while names.values().any(|taken| **taken == *name) {
                    name.push('+');
                }
                let entry = TableEntry {
                    id: found,
                    key_type: String::from("bytes"),
                    value_type: String::from("bytes"),
                    created_ms,
                    options: Vec::new(),
                };
                self.sink.put(&entry_key(&name), &entry.encode())?;
                self.report.renamed.push((name, found));
            }
            let Some(next) = found.checked_add(1) else { break };
            id = next;
        }
        let key = next_id_key();
        let next = snapshot.get_raw(&key)?.and_then(|bytes| bytes.try_into().ok()).map_or(1, u64::from_le_bytes);
        let least = highest.saturating_add(1);
        if next < least {
            self.sink.put(&key, &least.to_le_bytes())?;
        }
        self.sink.finish()?;
        self.made_again = of_collections;
        self.report.lost_indexes = self.sink.database().make_indexes_again()?;
        Ok(())
    }

    /// Counts, and tells what is lost.
    pub(super) fn finish(mut self) -> Result<SalvageReport> {
        let snapshot = self.sink.database().snapshot();
        let names = snapshot.names_by_id()?;
        self.report.tables = names.len() as u64;
        self.report.records = 0;
        for &id in names.keys() {
            self.report.records += snapshot.count_of(id)?;
        }
        for lost in self.losses.take() {
            tell(&lost, &names, &mut self.report.losses);
        }
        self.report.losses.retain(|loss| !self.made_again.contains(&loss.table_id));
        self.tell_progress();
        Ok(self.report)
    }
}

/// One range of the key space as ranges of tables: of the catalogue, of those that are known, and of the first and the last
/// even if they are not.
fn tell(lost: &Lost, names: &BTreeMap<u64, Arc<str>>, losses: &mut Vec<Loss>) {
    let (first, from) = prefix::split(&lost.bounds.low).unwrap_or((CATALOGUE, &[]));
    let high = lost.bounds.high.as_deref().and_then(prefix::split);
    let last = high.map_or(u64::MAX, |(id, _)| id);
    let known = names.range(first..=last).map(|(&id, _)| id);
    let mut ids: Vec<u64> = known.chain([first]).chain(high.map(|(id, _)| id)).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let to = match high {
            Some((last, to)) if last == id => Some(to.to_vec()),
            _ => None,
        };
        if to.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        losses.push(Loss {
            table: names.get(&id).map(|name| String::from(&**name)),
            table_id: id,
            from: if id == first { from.to_vec() } else { Vec::new() },
            to,
            records: lost.records,
            kind: lost.kind,
        });
    }
}
