//! Backups.

use lightning_db::{BackupProgress as CoreProgress, Database, Result};

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct BackupProgress {
    /// Records read.
    pub entries: u64,
    /// How many there are to read, about.
    pub entries_all: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes of the file, once everything is in it.
    pub bytes_all: Option<u64>,
}

/// Is told how far a backup is, from the thread that makes it.
#[uniffi::export(with_foreign)]
pub trait BackupListener: Send + Sync {
    /// After each step.
    fn on_progress(&self, progress: BackupProgress);
}

impl From<CoreProgress> for BackupProgress {
    fn from(progress: CoreProgress) -> Self {
        let CoreProgress { entries, entries_all, bytes, bytes_all, .. } = progress;
        Self { entries, entries_all, bytes, bytes_all }
    }
}

pub fn to_file(database: &Database, to: &str, listener: Option<&dyn BackupListener>) -> Result<BackupProgress> {
    let mut tell = |progress: &CoreProgress| {
        if let Some(listener) = listener {
            listener.on_progress((*progress).into());
        }
    };
    database.backup_to(to, &mut tell).map(BackupProgress::from)
}
