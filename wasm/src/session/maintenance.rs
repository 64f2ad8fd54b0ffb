//! Operations on the database as a whole.

use lightning_db::{Progress, Result};

use super::{Operation, Session, done};
use crate::wire::{Answer, Arguments, invalid, put};

impl Session {
    #[inline(never)]
    pub(super) fn maintain(
        &mut self,
        operation: Operation,
        _: &mut Arguments<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        match operation {
            Operation::Stats => {
                let stats = self.database.stats();
                let numbers = [
                    ("sequence", stats.sequence),
                    ("commits", stats.commits),
                    ("conflicts", stats.conflicts),
                    ("entries", stats.base_entries + stats.run_entries + stats.memtable_entries),
                    ("fileBytes", stats.file_bytes),
                    ("usedBytes", stats.used_bytes),
                    ("freeBytes", stats.free_bytes),
                    ("logBytes", stats.log_bytes),
                    ("memtableBytes", stats.memtable_bytes),
                    ("cacheBytes", stats.cache_bytes),
                    ("cacheHits", stats.cache_hits),
                    ("cacheMisses", stats.cache_misses),
                    ("memoryBudgetBytes", stats.memory_budget_bytes),
                    ("checkpoints", stats.checkpoints),
                    ("snapshots", stats.snapshots),
                    ("quarantined", stats.quarantined),
                ];
                put(answer.map(numbers.len() as u64))?;
                numbers.into_iter().try_for_each(|(name, number)| put(answer.str(name).u64(number)))
            }
            Operation::Check => {
                let report = self.database.check()?;
                let numbers = [
                    report.entries,
                    report.documents,
                    report.index_entries,
                    report.collections,
                    report.values,
                    report.nodes,
                    report.node_bytes + report.value_bytes,
                ];
                put(answer.array(8))?;
                numbers.into_iter().try_for_each(|number| put(answer.u64(number)))?;
                put(answer.array(report.problems.len() as u64))?;
                report.problems.iter().try_for_each(|problem| put(answer.str(problem)))
            }
            Operation::Checkpoint => {
                self.database.checkpoint()?;
                done(answer)
            }
            Operation::Compact => {
                self.database.compact()?;
                done(answer)
            }
            Operation::RemoveExpired => put(answer.bool(self.database.remove_expired()? == Progress::More)),
            // What it waits for is done for all operations of a request together.
            Operation::Sync => done(answer),
            // It was not done before: that is known by now.
            Operation::Outcome => Err(invalid("what was asked was not done")),
            _ => Err(invalid("this build does not know the operation")),
        }
    }
}
