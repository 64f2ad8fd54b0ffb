//! Backups: a database file, piece by piece.

use lightning_db::Result;

use super::held::Held;
use super::{Session, closed};
use crate::wire::{Answer, Arguments, put};

/// Bounded steps of one operation. They end early where enough bytes wait to be taken.
const STEPS_MAX: u32 = 8;

impl Session {
    /// Nothing: begins a copy of the database as it is now. Gives its handle.
    pub(super) fn backup(&mut self, client: u32, answer: &mut Answer<'_>) -> Result<()> {
        let backup = Box::new(self.database.backup());
        self.held.insert(client, Held::Backup(backup), answer)
    }

    /// `[backup]`: gives `[bytes, records read, of how many, bytes of the file or null]`; the bytes are null behind the last, and
    /// none where there is more to be done before the next.
    pub(super) fn next_backup(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let Some(Held::Backup(backup)) = self.held.get(args.handle()?) else { return Err(closed("backup")) };
        let mut more = true;
        for _ in 0..STEPS_MAX {
            more = more && backup.step()?;
        }
        let bytes = backup.take();
        put(answer.array(4))?;
        match bytes.is_empty() && !more {
            true => put(answer.null())?,
            false => put(answer.bytes(&bytes))?,
        }
        let progress = backup.progress();
        put(answer.u64(progress.entries).u64(progress.entries_all))?;
        match progress.bytes_all {
            Some(bytes) => put(answer.u64(bytes)),
            None => put(answer.null()),
        }
    }
}
