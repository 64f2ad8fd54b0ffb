//! The commits of the log, on top of what the trees had.

use super::Salvage;
use super::report::LogEnd;
#[cfg(feature = "encryption")]
use crate::codec::cipher::Envelope;
#[cfg(feature = "encryption")]
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::{Commit, Gather, Operation, Operations, Owner, Verdict, is_foreign, replay, was_begun};

impl Salvage<'_> {
    pub(super) fn replay_log(&mut self) -> Result<()> {
        let storage = alloc::sync::Arc::clone(&self.source.storage);
        let id = self.beginning.seal.database_id;
        let envelope = self.beginning.seal.envelope.clone();
        let owner = || Owner { database_id: id, envelope: envelope.clone() };
        #[cfg(feature = "encryption")]
        let left: alloc::vec::Vec<(u64, u64)> = {
            let ancestors = self.beginning.checkpoint.iter().flat_map(|(_, record)| &record.ancestors);
            ancestors.map(|one| (one.incarnation, one.left_at)).collect()
        };
        let mut gather = Gather {
            storage: &*storage,
            database_id: id,
            envelope: &envelope,
            #[cfg(feature = "encryption")]
            left: &left,
            segment_bytes: self.beginning.segment_bytes,
            record: None,
            sequence: 0,
        };
        if let Some((superblock, newest)) = &self.beginning.checkpoint {
            let in_trees = LogEnd { commit: superblock.sequence, time_ms: newest.time_ms };
            let begun = was_begun(&*storage, &id, newest.log.generation);
            let begun = match begun {
                Err(error) if error.not_resident().is_some() => return Err(error),
                begun => begun.unwrap_or(true),
            };
            if superblock.clean && !(self.beginning.alone && begun) {
                self.report.log_end = self.beginning.alone.then_some(in_trees);
                return Ok(());
            }
            let foreign = match is_foreign(&*storage, &id, &newest.log, superblock.incarnation) {
                Err(error) if error.not_resident().is_some() => return Err(error),
                // Of another database, or unreadable: what of it can be used is found below.
                foreign => foreign.unwrap_or(false),
            };
            if foreign {
                // Its commits go on from another state than this one.
                self.report.log_end = Some(in_trees);
                self.report.lost_commits.push(superblock.sequence.saturating_add(1)..=u64::MAX);
                return Ok(());
            }
            // A log that is whole from the checkpoint before on says all that came after it, so it is right to apply it again.
            for (from, record) in self.beginning.older.iter().chain(&self.beginning.checkpoint) {
                // The first time only to see whether the log is as it should be.
                let own = Some(from.incarnation);
                #[cfg(feature = "encryption")]
                let mut newest = from.sequence;
                #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "it remembers nothing"))]
                let mut look = |commit: Commit<'_>| {
                    #[cfg(feature = "encryption")]
                    if matches!(envelope, Envelope::Sealed(_)) && commit.sequence > newest {
                        // Checksums of frames keep nobody from leaving one out, or putting one in, who means to.
                        let follows = commit.sequence == newest + 1;
                        let at = (commit.incarnation, commit.sequence);
                        if !follows || !crate::engine::may_be_of(&record.ancestors, from.incarnation, at) {
                            return Err(Error::corrupt(FileId::Log, commit.offset, "this is not the next commit"));
                        }
                        newest = commit.sequence;
                    }
                    let _ = commit;
                    Ok(Verdict::Whole)
                };
                let whole = match replay(&*storage, owner(), own, &record.sealed, record.log, &mut look) {
                    Err(error) if error.not_resident().is_some() => return Err(error),
                    Err(_) => continue,
                    Ok(end) => {
                        end.checkpoint <= superblock.checkpoint
                            && end.torn.is_none()
                            && end.last_sequence() >= superblock.sequence
                    }
                };
                if !whole {
                    continue;
                }
                let mut commits = 0;
                let mut last = in_trees;
                replay(&*storage, owner(), own, &record.sealed, record.log, &mut |commit| {
                    if commit.sequence > from.sequence {
                        commits += 1;
                        last = LogEnd { commit: commit.sequence, time_ms: commit.time_ms };
                        self.apply_commit(commit.operations())?;
                    }
                    Ok(Verdict::Whole)
                })?;
                self.report.commits = commits;
                self.report.log_end = Some(last);
                return Ok(());
            }
            gather.record = Some((&newest.sealed, newest.log));
            gather.sequence = superblock.sequence;
        }
        let found = gather.run(&mut |_, operations| self.apply_commit(operations))?;
        self.report.commits = found.commits;
        self.report.lost_commits = found.missing;
        let in_trees =
            self.beginning.checkpoint.as_ref().map(|(superblock, record)| (superblock.sequence, record.time_ms));
        self.report.log_end = found.last.or(in_trees).map(|(commit, time_ms)| LogEnd { commit, time_ms });
        if self.beginning.checkpoint.is_some() {
            // Nothing proves where a damaged log ended.
            self.report.lost_commits.push(found.last_sequence.saturating_add(1)..=u64::MAX);
        }
        Ok(())
    }

    fn apply_commit(&mut self, operations: Operations<'_>) -> Result<()> {
        for operation in operations {
            match operation {
                Ok(Operation::Put { key, value }) => self.put(key, value)?,
                Ok(Operation::PutExtent { key, value }) => self.copy_value(key, value)?,
                Ok(Operation::Delete { key }) => self.sink.delete(key)?,
                Ok(Operation::DeleteRange { start, end }) => self.sink.delete_range(start, end)?,
                // A commit that is whole and yet says nothing: a file made up.
                Err(Error::Corrupt(_)) => break,
                Err(error) => return Err(error),
            }
        }
        self.tell_progress();
        Ok(())
    }
}
