//! Restoring a backup.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use lightning_db::env::{FileId, StorageError, StorageErrorKind};
use lightning_db::{CheckReport, Database, Error, Options, Result, Stop};

/// Copies a backup to `to`, where nothing may be: no database, no log and no lock of one. The copy is verified and on the medium
/// before it has its name; until then it is called `to` with `-partial` behind it.
pub fn restore(backup: &str, to: &str) -> Result<CheckReport> {
    let (backup, to) = (Path::new(backup), Path::new(to));
    for suffix in ["", "-log", "-lock"] {
        require_absent(&beside(to, suffix))?;
    }
    let partial = Partial::create(beside(to, "-partial"))?;
    partial.copy_from(backup)?;
    let report = verify(&partial.0)?;
    partial.rename(to)?;
    #[cfg(unix)]
    if let Some(folder) = to.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error, folder))?;
    }
    Ok(report)
}

fn verify(copy: &Path) -> Result<CheckReport> {
    let mut options = Options::default();
    options.read_only = true;
    let database = Database::open(copy, options)?;
    if !database.recovery().clean {
        let what = "it is no backup, but the file of a database that was in use; its log is missing";
        return Err(Error::Invalid { what: what.into() });
    }
    let report = database.check()?;
    match report.problems.first() {
        None => Ok(report),
        Some(problem) => Err(Error::Invalid { what: format!("the backup is damaged and was not restored: {problem}") }),
    }
}

/// A copy that is not whole yet; removed if it never is.
struct Partial(PathBuf);

impl Partial {
    fn create(path: PathBuf) -> Result<Self> {
        match File::options().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Invalid {
                what: format!("'{}' is what a restore left that was broken off; delete it", path.display()),
            }),
            Err(error) => Err(failed(&error, &path)),
        }
    }

    fn copy_from(&self, backup: &Path) -> Result<()> {
        let mut from = File::open(backup).map_err(|error| failed(&error, backup))?;
        let mut to = File::options().write(true).open(&self.0).map_err(|error| failed(&error, &self.0))?;
        let mut piece = vec![0; 256 << 10];
        loop {
            Stop::check()?;
            match from.read(&mut piece).map_err(|error| failed(&error, backup))? {
                0 => return to.sync_all().map_err(|error| failed(&error, &self.0)),
                len => to.write_all(piece.get(..len).unwrap_or_default()).map_err(|error| failed(&error, &self.0))?,
            }
        }
    }

    /// Gives it its name, in which nothing is that somebody else made meanwhile.
    fn rename(&self, to: &Path) -> Result<()> {
        match fs::hard_link(&self.0, to) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(to)),
            // A file system without links, as Android's shared storage is, and its own for applications.
            Err(_) => {
                require_absent(to)?;
                fs::rename(&self.0, to).map_err(|error| failed(&error, to))
            }
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Where it was renamed there is none.
        _ = fs::remove_file(&self.0);
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn require_absent(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

fn exists(path: &Path) -> Error {
    let what = format!("'{}' exists, and a backup is restored over nothing; move it away first", path.display());
    Error::Invalid { what }
}

fn failed(error: &io::Error, path: &Path) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StorageErrorKind::PermissionDenied,
        io::ErrorKind::NotFound => {
            return Error::Invalid { what: format!("'{}' is not there: {error}", path.display()) };
        }
        _ => StorageErrorKind::Other,
    };
    StorageError::new(kind, FileId::Data, 0, 0, format!("'{}': {error}", path.display())).into()
}

#[cfg(test)]
mod tests {
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
