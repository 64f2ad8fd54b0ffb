//! Restoring a backup.

use std::path::PathBuf;

use lightning_db::{CheckReport, Database, EncryptionKey, Options, ReplayUntil, Result};

/// Makes a database of a backup, which this key opens; see [`Database::restore_from`].
pub fn restore(backup: &str, to: &str, key: Option<EncryptionKey>) -> Result<CheckReport> {
    let mut options = Options::default();
    options.key = key;
    let report = Database::restore_from(to, &PathBuf::from(backup), &[], ReplayUntil::End, &options, &mut |_| {})?;
    Ok(report.check)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
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
        assert!(restore(&copy, &app, None).unwrap_err().to_string().contains("exists"), "what is there stays");
        assert_eq!(restore(&copy, &again, None).unwrap().problems, Vec::<String>::new());
        let restored = Opened::open_blocking(again.clone(), OpenOptions::default()).unwrap();
        let table = restored.table("notes".into(), "string".into(), "bytes".into()).unwrap();
        assert!(calls::get(NOW, table.number(), b"499", |found| found == Some(&[7; 300][..])).unwrap());
        assert!(restore(&copy, &folder.path("again.ldb"), None).is_err(), "it is open, too");
        restored.end_blocking().unwrap();

        // Nothing is left where it failed.
        let other = folder.path("other.ldb");
        let mut bytes = fs::read(&copy).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&copy, &bytes).unwrap();
        assert!(restore(&copy, &other, None).is_err());
        fs::write(&copy, b"no database at all").unwrap();
        assert_eq!(restore(&copy, &other, None).unwrap_err().name(), "NotADatabase");
        assert_eq!(restore(&folder.path("nowhere.ldb"), &other, None).unwrap_err().name(), "Invalid");
        fs::write(folder.path("other.ldb-log"), b"of another").unwrap();
        assert!(restore(&app, &other, None).unwrap_err().to_string().contains("other.ldb-log"));
        let names: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().contains("partial")), "{names:?}");
    }
}
