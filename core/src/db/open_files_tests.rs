//! How many files a database has open at most, as `docs/design.md` says it (*Memory and files*).

use std::format;
use std::fs;
use std::path::{Path, PathBuf};
use std::vec::Vec;

use super::{Database, Isolation, Options};
use crate::engine::{ArchiveOptions, Limits};
use crate::table::Table;

const T: Table<u64, &[u8]> = Table::new("t");
/// The data file and the log.
const OWN: usize = 2;
/// The piece that is written, and one that is looked at or the folder whose names are made durable.
const ARCHIVE: usize = 2;
/// The file that is written, and the folder whose names are made durable.
const BACKUP: usize = 2;

/// Files below the folder that this process has open.
fn open_below(folder: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|path| path.starts_with(folder)).count()
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn however_much_goes_on_a_database_has_a_few_files_open() {
    let folder = Folder(std::env::temp_dir().join(format!("lightning-open-files-{}", std::process::id())));
    fs::create_dir_all(&folder.0).unwrap();
    let path = |name: &str| folder.0.join(name);
    let limits = Limits { backups_max: 1, ..Limits::default() };
    let options = Options { background_thread: false, memtable_bytes: Some(32 << 10), limits, ..Options::default() };
    let db = Database::open(path("app.ldb"), options).unwrap();
    db.archive_on(ArchiveOptions::default()).unwrap();
    let write = |round: u64| {
        (0..300u64).for_each(|key| db.table(T).unwrap().put(key * 7 + round, [7; 900].as_slice()).unwrap());
    };
    write(0);
    let mut most = 0;
    let mut held = Vec::new();
    for round in 1..6 {
        // Readers of every kind take none.
        held.push((db.snapshot(), db.begin(Isolation::Serializable), db.changes(super::Since::Now).unwrap()));
        write(round);
        db.archive_now().unwrap();
        db.create_snapshot(&format!("round {round}")).unwrap();
        let mut look = || {
            while db.archive_step(true).unwrap() {
                most = most.max(open_below(&folder.0));
            }
            most = most.max(open_below(&folder.0));
        };
        db.backup_to(path(&format!("backup-{round}.ldb")), &mut |_| look()).unwrap();
        look();
    }
    assert!((OWN + 1..=OWN + ARCHIVE + BACKUP).contains(&most), "{most} files were open");
    drop(held);
    assert_eq!(open_below(&folder.0), OWN);
    db.close().unwrap();
    drop(db);
    assert_eq!(open_below(&folder.0), 0);
}
