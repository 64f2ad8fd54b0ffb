//! The archive of the log, in a folder.

use std::path::Path;
use std::sync::Arc;

use lightning_db::{ArchiveFolder, ArchiveOptions as CoreOptions, ArchiveStatus as CoreStatus, Database, Result};

/// How commits are archived. Recorded in the database.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ArchiveOptions {
    /// The folder for the pieces, relative to that of the database; empty for one beside it, called as it is with `-archive` behind it.
    pub folder: String,
    /// Log and overwritten values that stay in the database until they are archived, in bytes. Beyond that the archive gets a gap.
    pub hold_bytes: Option<u64>,
    /// A piece is completed this long after its first commit, in milliseconds.
    pub interval_ms: Option<u64>,
    /// The oldest pieces are deleted when all together are larger than this.
    pub keep_bytes: Option<u64>,
    /// Pieces are deleted when their last commit was made longer ago than this, in milliseconds.
    pub keep_ms: Option<u64>,
}

/// How an archive does.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ArchiveStatus {
    /// How it is kept.
    pub options: ArchiveOptions,
    /// The last commit that it has, or the one after which it begins.
    pub archived: u64,
    /// The newest commit.
    pub newest: u64,
    /// Log and overwritten values that the database holds for it, in bytes.
    pub held_bytes: u64,
    /// Whether it lacks commits, because the limit was reached before they were archived. A backup since then is whole.
    pub has_gap: bool,
    /// Why the last attempt failed, where it did: it is tried again.
    pub failed: Option<String>,
}

impl From<CoreStatus> for ArchiveStatus {
    fn from(status: CoreStatus) -> Self {
        let CoreOptions { folder, hold_bytes, interval_ms, keep_bytes, keep_ms, .. } = status.options;
        let (hold_bytes, interval_ms) = (Some(hold_bytes), Some(interval_ms));
        Self {
            options: ArchiveOptions { folder, hold_bytes, interval_ms, keep_bytes, keep_ms },
            archived: status.archived.sequence(),
            newest: status.newest,
            held_bytes: status.held_bytes,
            has_gap: status.gap.is_some(),
            failed: status.failed,
        }
    }
}

fn attach(database: &Database, path: &Path, folder: &str) {
    database.attach_archive(Arc::new(ArchiveFolder::of(path, folder)));
}

/// An archive that was asked for earlier goes on.
pub fn go_on(database: &Database, path: &Path) {
    if let Some(status) = database.archive_status() {
        attach(database, path, &status.options.folder);
    }
}

/// Begins to archive, or changes how.
pub fn on(database: &Database, path: &Path, options: ArchiveOptions) -> Result<()> {
    let mut core = CoreOptions::default();
    let ArchiveOptions { folder, hold_bytes, interval_ms, keep_bytes, keep_ms } = options;
    (core.keep_bytes, core.keep_ms) = (keep_bytes, keep_ms);
    core.hold_bytes = hold_bytes.unwrap_or(core.hold_bytes);
    core.interval_ms = interval_ms.unwrap_or(core.interval_ms);
    core.folder.clone_from(&folder);
    // It is looked whether what is in the folder is of this database.
    attach(database, path, &folder);
    database.archive_on(core).inspect_err(|_| go_on(database, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls;
    use crate::database::{Database as Opened, restore_backup};
    use crate::options::OpenOptions;
    use crate::restore::RestoreUntil;
    use crate::scope::NOW;
    use crate::scratch::{Folder, wait};
    use crate::table::WriteMode;

    fn options(folder: &str) -> ArchiveOptions {
        ArchiveOptions {
            folder: folder.into(),
            hold_bytes: None,
            interval_ms: Some(1000),
            keep_bytes: None,
            keep_ms: None,
        }
    }

    fn put(database: &Opened, value: &[u8]) -> u64 {
        let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
        calls::put(NOW, table.number(), WriteMode::Put, b"a", value).unwrap();
        database.stats().unwrap().sequence
    }

    #[test]
    fn a_backup_and_the_archive_behind_it_give_any_commit_back() {
        let folder = Folder::new();
        let (path, copy, again) = (folder.path("app.ldb"), folder.path("copy.ldb"), folder.path("again.ldb"));
        let open = || Opened::open_blocking(path.clone(), OpenOptions::default()).unwrap();
        let database = open();
        assert_eq!(database.archive_status().unwrap(), None);
        database.archive_on(options("")).unwrap();
        put(&database, b"one");
        wait(database.backup(copy.clone(), None, None)).unwrap();
        let two = put(&database, b"two");
        database.end_blocking().unwrap();
        // It goes on in the next session.
        let database = open();
        let three = put(&database, b"three");
        wait(database.archive_now(None)).unwrap();
        let status = database.archive_status().unwrap().unwrap();
        assert_eq!((status.archived, status.has_gap, status.failed), (three, false, None));
        // What cannot be leaves it where it is.
        std::fs::create_dir(folder.0.join("other")).unwrap();
        assert!(database.archive_on(ArchiveOptions { hold_bytes: Some(1), ..options("other") }).is_err());
        put(&database, b"four");
        wait(database.archive_now(None)).unwrap();
        assert_eq!(std::fs::read_dir(folder.0.join("other")).unwrap().count(), 0);
        database.archive_off().unwrap();
        assert_eq!(database.archive_status().unwrap(), None);
        database.end_blocking().unwrap();

        let archive = folder.path("app.ldb-archive");
        let until = RestoreUntil::Sequence { sequence: two };
        wait(restore_backup(copy, again.clone(), vec![archive], until, 0, None)).unwrap();
        let restored = Opened::open_blocking(again, OpenOptions::default()).unwrap();
        let table = restored.table("notes".into(), "string".into(), "bytes".into()).unwrap();
        assert!(calls::get(NOW, table.number(), b"a", |found| found == Some(b"two")).unwrap());
        let memory = Opened::in_memory(OpenOptions::default()).unwrap();
        assert!(memory.archive_on(options("")).unwrap_err().to_string().contains("memory"));
    }
}
