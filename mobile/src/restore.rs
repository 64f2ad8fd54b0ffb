//! Restoring a backup.

use std::path::PathBuf;

use lightning_db::{BackupSource, CheckReport, Database, EncryptionKey, Options, ReplayUntil, Result};

/// Up to where a backup, and what follows it, is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum RestoreUntil {
    /// All of it.
    End,
    /// Up to this commit, and with it.
    Sequence {
        /// Its number.
        sequence: u64,
    },
    /// Up to the last one that was made at this time or before.
    Time {
        /// In milliseconds since 1970.
        ms: u64,
    },
}

/// Makes a database of a backup, and of the archives that follow it; this key opens them. See [`Database::restore_from`].
pub fn restore(
    backup: &str,
    to: &str,
    following: &[String],
    until: RestoreUntil,
    key: Option<EncryptionKey>,
) -> Result<CheckReport> {
    let mut options = Options::default();
    options.key = key;
    let following: Vec<PathBuf> = following.iter().map(PathBuf::from).collect();
    let following: Vec<_> = following.iter().map(|path| path as &dyn BackupSource).collect();
    let until = match until {
        RestoreUntil::End => ReplayUntil::End,
        RestoreUntil::Sequence { sequence } => ReplayUntil::Sequence(sequence),
        RestoreUntil::Time { ms } => ReplayUntil::Time(ms),
    };
    Database::restore_from(to, &PathBuf::from(backup), &following, until, &options, &mut |_| {})
        .map(|report| report.check)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn restore(backup: &str, to: &str) -> Result<CheckReport> {
        super::restore(backup, to, &[], RestoreUntil::End, None)
    }
    use crate::calls;
    use crate::database::Database as Opened;
    use crate::options::OpenOptions;
    use crate::scope::NOW;
    use crate::scratch::{Folder, wait};
    use crate::table::WriteMode;

    #[test]
    fn a_backup_is_restored_whole_over_nothing_and_a_damaged_one_is_not() {
        let folder = Folder::new();
        let (app, copy, again) = (folder.path("app.ldb"), folder.path("copy.ldb"), folder.path("again.ldb"));
        let database = Opened::open_blocking(app.clone(), OpenOptions::default()).unwrap();
        let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
        for number in 0..500_u32 {
            let key = number.to_string();
            calls::put(NOW, table.number(), WriteMode::Put, key.as_bytes(), &[7; 300]).unwrap();
        }
        wait(database.backup(copy.clone(), None, None)).unwrap();
        database.end_blocking().unwrap();
        assert!(restore(&copy, &app).unwrap_err().to_string().contains("exists"), "what is there stays");
        assert_eq!(restore(&copy, &again).unwrap().problems, Vec::<String>::new());
        let restored = Opened::open_blocking(again.clone(), OpenOptions::default()).unwrap();
        let table = restored.table("notes".into(), "string".into(), "bytes".into()).unwrap();
        assert!(calls::get(NOW, table.number(), b"499", |found| found == Some(&[7; 300][..])).unwrap());
        assert!(restore(&copy, &folder.path("again.ldb")).is_err(), "it is open, too");
        restored.end_blocking().unwrap();

        // Nothing is left where it failed.
        let other = folder.path("other.ldb");
        let mut bytes = fs::read(&copy).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&copy, &bytes).unwrap();
        assert!(restore(&copy, &other).is_err());
        fs::write(&copy, b"no database at all").unwrap();
        assert_eq!(restore(&copy, &other).unwrap_err().name(), "NotADatabase");
        assert_eq!(restore(&folder.path("nowhere.ldb"), &other).unwrap_err().name(), "Invalid");
        fs::write(folder.path("other.ldb-log"), b"of another").unwrap();
        assert!(restore(&app, &other).unwrap_err().to_string().contains("other.ldb-log"));
        let names: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().contains("partial")), "{names:?}");
    }
}
