use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::env::MemoryStorage;

/// A folder of its own for one test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lightning-db-file-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn db(&self) -> PathBuf {
        self.0.join("app.ldb")
    }
    fn lock(&self) -> PathBuf {
        self.0.join("app.ldb-lock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refusal(path: impl AsRef<Path>, mode: OpenMode) -> String {
    FileStorage::open(path, mode).expect_err("this open must be refused").to_string()
}

#[test]
fn what_is_locked_away_with_the_device_is_told_from_what_is_never_allowed() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    assert_eq!(super::kind_where(true, &denied), StorageErrorKind::ProtectedData);
    assert_eq!(super::kind_where(false, &denied), StorageErrorKind::PermissionDenied);
    #[cfg(target_os = "linux")]
    assert_eq!(super::kind(&std::io::Error::from_raw_os_error(126)), StorageErrorKind::ProtectedData);
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let folder = Folder::new();
    let storage = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
    storage.write_at(FileId::Data, 10, b"data").unwrap();
    storage.write_at(FileId::Log, 0, b"log").unwrap();
    assert_eq!(storage.sync(FileId::Data), Ok(Sync::Done));
    assert_eq!(storage.sync(FileId::Log), Ok(Sync::Done));
    drop(storage);
    assert!(!folder.lock().exists());
    assert_eq!(fs::read(folder.0.join("app.ldb-log")).unwrap(), b"log");

    for mode in [OpenMode::EXISTING, OpenMode::READ_ONLY] {
        let storage = FileStorage::open(folder.db(), mode).unwrap();
        let mut found = [1; 14];
        storage.read_at(FileId::Data, 0, &mut found).unwrap();
        assert_eq!(&found, b"\0\0\0\0\0\0\0\0\0\0data");
        assert_eq!(storage.len(FileId::Log), Ok(3));
    }
}

#[test]
fn allocated_space_reads_as_zeros_and_is_really_there() {
    let folder = Folder::new();
    let storage = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
    storage.write_at(FileId::Log, 0, b"kept").unwrap();
    storage.allocate(FileId::Log, 1 << 20).unwrap();
    storage.allocate(FileId::Log, 1).unwrap();
    assert_eq!(storage.len(FileId::Log), Ok(1 << 20));
    let mut found = [1; 8];
    storage.read_at(FileId::Log, 0, &mut found).unwrap();
    assert_eq!(&found, b"kept\0\0\0\0");
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        assert!(fs::metadata(folder.0.join("app.ldb-log")).unwrap().blocks() * 512 >= 1 << 20);
    }
}

#[test]
fn a_second_open_names_the_holder() {
    let folder = Folder::new();
    let first = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
    for mode in [OpenMode::CREATE, OpenMode::READ_ONLY] {
        let error = FileStorage::open(folder.db(), mode).unwrap_err();
        assert!(matches!(&error, Error::Locked { holder } if holder.starts_with("this process (")), "{error}");
    }
    drop(first);
    FileStorage::open(folder.db(), OpenMode::EXISTING).unwrap();
}

#[test]
fn readers_share_and_keep_a_writer_out() {
    let folder = Folder::new();
    drop(FileStorage::open(folder.db(), OpenMode::CREATE).unwrap());
    let readers = [(); 2].map(|()| FileStorage::open(folder.db(), OpenMode::READ_ONLY).unwrap());
    assert!(!folder.lock().exists(), "a reader writes nothing");
    assert!(refusal(folder.db(), OpenMode::EXISTING).contains("for reading"));
    let denied = readers[0].write_at(FileId::Data, 0, b"x").unwrap_err();
    assert_eq!(denied.kind, StorageErrorKind::PermissionDenied);
    assert_eq!(readers[0].set_len(FileId::Log, 0).unwrap_err().kind, StorageErrorKind::PermissionDenied);
    drop(readers);
    FileStorage::open(folder.db(), OpenMode::EXISTING).unwrap();
}

#[test]
fn a_living_holder_without_system_locks_is_respected() {
    let folder = Folder::new();
    drop(FileStorage::open(folder.db(), OpenMode::CREATE).unwrap());
    let node = process::Holder::this_process(&process::LockedFile::none()).to_text();
    fs::write(folder.lock(), &node).unwrap();
    for mode in [OpenMode::EXISTING, OpenMode::READ_ONLY] {
        let message = refusal(folder.db(), mode);
        assert!(message.contains("this process") && message.contains("app.ldb-lock"), "{message}");
    }
    assert_eq!(fs::read_to_string(folder.lock()).unwrap(), node, "its lock file was left alone");
}

#[test]
fn what_a_crash_left_is_taken_over() {
    let folder = Folder::new();
    let storage = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
    let crashed = fs::read_to_string(folder.lock()).unwrap();
    drop(storage);
    // Complete, cut at every length by a crash while it was made, and with the same left of an interrupted takeover.
    for cut in [0, 5, crashed.len() / 2, crashed.len()] {
        fs::write(folder.lock(), &crashed[..cut]).unwrap();
        drop(FileStorage::open(folder.db(), OpenMode::READ_ONLY).unwrap());
        fs::write(folder.0.join("app.ldb-lock-takeover"), &crashed[..cut]).unwrap();
        let storage = FileStorage::open(folder.db(), OpenMode::EXISTING).unwrap();
        assert!(folder.lock().exists());
        assert!(refusal(folder.db(), OpenMode::EXISTING).contains("this process"));
        drop(storage);
        let left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_blocks_nobody() {
    let folder = Folder::new();
    drop(FileStorage::open(folder.db(), OpenMode::CREATE).unwrap());
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let node = process::Holder::this_process(&process::LockedFile::none()).to_text();
    let of_child = node.replace(&format!("pid {}\n", std::process::id()), &format!("pid {}\n", child.id()));
    // First it has ended but nobody has waited for it, so it still has its id, then not even that.
    let pid = rustix::process::Pid::from_child(&child);
    let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
    for _ in 0..2 {
        fs::write(folder.lock(), &of_child).unwrap();
        FileStorage::open(folder.db(), OpenMode::EXISTING).unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn only_one_of_many_wins_a_stale_lock() {
    let folder = Folder::new();
    let storage = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
    let crashed = fs::read_to_string(folder.lock()).unwrap();
    drop(storage);
    for _ in 0..20 {
        fs::write(folder.lock(), &crashed).unwrap();
        let barrier = std::sync::Barrier::new(4);
        let open = || {
            barrier.wait();
            let won = FileStorage::open(folder.db(), OpenMode::EXISTING).ok();
            barrier.wait();
            won.is_some()
        };
        let wins = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(wins, 1);
    }
}

#[test]
fn impossible_paths_are_refused_with_the_reason() {
    let folder = Folder::new();
    let missing = folder.0.join("missing");
    for (path, mode, says) in [
        (folder.0.clone(), OpenMode::CREATE, "is a folder"),
        (missing.join("app.ldb"), OpenMode::CREATE, "does not exist; make it before"),
        (folder.db(), OpenMode::EXISTING, "there is no database"),
        (folder.db(), OpenMode::READ_ONLY, "there is no database"),
        (PathBuf::from("/"), OpenMode::CREATE, "is a folder"),
        (folder.0.join(".."), OpenMode::CREATE, "is a folder"),
        (PathBuf::new(), OpenMode::CREATE, "does not name a file"),
    ] {
        let message = refusal(&path, mode);
        assert!(message.contains(says), "{path:?}: {message}");
    }
    fs::write(folder.0.join("file"), b"").unwrap();
    assert!(refusal(folder.0.join("file").join("app.ldb"), OpenMode::CREATE).contains("not a folder"));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "a refused open leaves nothing behind");
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_devices_and_dangling_links_are_refused() {
    let folder = Folder::new();
    assert!(refusal("/dev/null", OpenMode::CREATE).contains("not a regular file"));
    std::os::unix::fs::symlink(folder.0.join("nothing"), folder.db()).unwrap();
    assert!(refusal(folder.db(), OpenMode::CREATE).contains("symbolic link to nothing"));
    let real = folder.0.join("real.ldb");
    std::os::unix::fs::symlink(folder.0.join("nothing"), folder.0.join("real.ldb-log")).unwrap();
    assert!(refusal(real, OpenMode::CREATE).contains("symbolic link to nothing"));
}

#[cfg(unix)]
#[test]
fn all_names_of_one_file_are_one_database() {
    let folder = Folder::new();
    let before = canonical_name(folder.db()).unwrap();
    let storage = FileStorage::open(folder.0.join(".").join("app.ldb"), OpenMode::CREATE).unwrap();
    assert_eq!(storage.path(), before);
    assert_eq!(canonical_name(folder.db()).unwrap(), before);
    let (link, hard) = (folder.0.join("link.ldb"), folder.0.join("hard.ldb"));
    std::os::unix::fs::symlink(folder.db(), &link).unwrap();
    fs::hard_link(folder.db(), &hard).unwrap();
    assert_eq!(canonical_name(&link).unwrap(), before);
    assert!(refusal(&link, OpenMode::EXISTING).contains("this process"));
    assert!(refusal(&hard, OpenMode::EXISTING).contains("is open in"));
}

#[test]
fn system_errors_keep_their_meaning() {
    use StorageErrorKind::{Full, Other, PermissionDenied, UnexpectedEnd};
    #[cfg(unix)]
    for (errno, expected) in [
        (rustix::io::Errno::NOSPC, Full),
        (rustix::io::Errno::DQUOT, Full),
        (rustix::io::Errno::FBIG, Full),
        (rustix::io::Errno::ACCESS, PermissionDenied),
        (rustix::io::Errno::PERM, PermissionDenied),
        (rustix::io::Errno::ROFS, PermissionDenied),
        (rustix::io::Errno::IO, Other),
    ] {
        assert_eq!(kind(&errno.into()), expected, "{errno:?}");
    }
    let folder = Folder::new();
    let storage = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
    let error = storage.read_at(FileId::Log, 7, &mut [0; 3]).unwrap_err();
    assert_eq!((error.kind, error.file, error.offset, error.len), (UnexpectedEnd, FileId::Log, 7, 3));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_from_other_failures() {
    // The device that is always full, opened past the check for regular files.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = DurableFile::new(open::Opened { file: full, created: false });
    assert_eq!(kind(&full.write_at(0, b"x").unwrap_err()), StorageErrorKind::Full);
}

#[test]
fn a_reader_does_without_a_log() {
    let folder = Folder::new();
    drop(FileStorage::open(folder.db(), OpenMode::CREATE).unwrap());
    fs::remove_file(folder.0.join("app.ldb-log")).unwrap();
    let reader = FileStorage::open(folder.db(), OpenMode::READ_ONLY).unwrap();
    let memory = MemoryStorage::new();
    assert_eq!(reader.len(FileId::Log), memory.len(FileId::Log));
    for len in [0, 1] {
        let found = reader.read_at(FileId::Log, 0, &mut vec![0; len]).map_err(|error| error.kind);
        assert_eq!(found, memory.read_at(FileId::Log, 0, &mut vec![0; len]).map_err(|error| error.kind));
    }
}

#[test]
fn a_log_written_through_memory_is_the_file_whatever_its_length_does() {
    for positional in [false, true] {
        let folder = Folder::new();
        let open = || {
            let storage = FileStorage::open(folder.db(), OpenMode::CREATE).unwrap();
            if positional { storage.positional() } else { storage }
        };
        let log = folder.0.join("app.ldb-log");
        let storage = open();
        let mut model = Vec::new();
        let mut write = |storage: &FileStorage, offset: usize, bytes: &[u8]| {
            storage.write_at(FileId::Log, offset as u64, bytes).unwrap();
            model.resize(model.len().max(offset + bytes.len()), 0);
            model[offset..offset + bytes.len()].copy_from_slice(bytes);
            let mut back = vec![0; bytes.len()];
            storage.read_at(FileId::Log, offset as u64, &mut back).unwrap();
            assert_eq!(back, bytes);
            assert_eq!(fs::read(&log).unwrap()[..model.len()], model[..]);
        };
        storage.allocate(FileId::Log, 20_000).unwrap();
        write(&storage, 0, b"first");
        write(&storage, 4090, b"over the edge of a page");
        write(&storage, 19_995, b"over the end of what is mapped");
        storage.set_len(FileId::Log, 10_000).unwrap();
        storage.set_len(FileId::Log, 30_000).unwrap();
        storage.allocate(FileId::Log, 40_000).unwrap();
        let rest = vec![0; 20_025 - 10_000];
        write(&storage, 10_000, &rest);
        write(&storage, 39_990, b"at the end");
        let _done = storage.sync(FileId::Log).unwrap();
        drop(storage);
        let storage = open();
        storage.allocate(FileId::Log, 40_000).unwrap();
        write(&storage, 5, b"by the next process");
        assert_eq!(storage.len(FileId::Log).unwrap(), 40_000);
    }
}
