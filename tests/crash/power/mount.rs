//! Mounting, seen by this process and its children alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::disk::Disk;
use super::ext4::{self, Ext4};
use super::file_system::PowerFileSystem;

/// From now on what this process mounts is its own, and goes with it, however it ends. Called while it has one thread:
/// those to come inherit it.
pub fn leave_shared_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(())
}

/// A disk, and the file system on it if there is one, mounted below a folder.
pub struct Mounts {
    /// Declared first, so dropped first: it lies on the other.
    ext4: Option<Ext4>,
    served: Served,
}

const DISK: &str = "disk";
const FILES: &str = "files";

impl Mounts {
    pub fn at(folder: &Path, disk: &Arc<Disk>, write_back: bool, ext4: bool) -> Result<Self, String> {
        let at = folder.join(DISK);
        let served = Served::at(&at, disk, write_back)?;
        let ext4 = ext4.then(|| Ext4::at(&folder.join(FILES), &at.join(ext4::IMAGE))).transpose()?;
        Ok(Self { ext4, served })
    }

    /// Takes both away and waits until the kernel has let go of the disk.
    pub fn unmount(self) -> Result<(), String> {
        drop(self.ext4);
        self.served.unmount()
    }

    /// Where a database is made.
    pub fn folder_of(folder: &Path, ext4: bool) -> PathBuf {
        folder.join(if ext4 { FILES } else { DISK })
    }

    pub fn make_folders(folder: &Path) -> Result<(), String> {
        [DISK, FILES].into_iter().try_for_each(|name| {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(|error| format!("cannot make '{}': {error}", path.display()))
        })
    }

    /// Only empty ones: what is still mounted is no empty folder.
    pub fn remove_folders(folder: &Path) {
        [DISK, FILES].into_iter().for_each(|name| _ = std::fs::remove_dir(folder.join(name)));
    }
}

/// A disk that is served at a folder until dropped.
struct Served {
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

impl Served {
    fn at(folder: &Path, disk: &Arc<Disk>, write_back: bool) -> Result<Self, String> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(String::from("lightning-power")), MountOption::NoExec];
        let served = PowerFileSystem { disk: Arc::clone(disk), write_back };
        let session = Session::new(served, folder, &config).and_then(Session::spawn);
        let session = session.map_err(|error| format!("cannot mount a FUSE file system: {error}"))?;
        Ok(Self { folder: folder.to_path_buf(), session: Some(session) })
    }

    fn unmount(mut self) -> Result<(), String> {
        self.detach();
        let ended = self.session.take().map_or(Ok(()), BackgroundSession::join);
        ended.map_err(|error| format!("the FUSE file system ended with: {error}"))
    }

    fn detach(&self) {
        // At once, whoever still uses it: what was killed may take a moment to go.
        _ = umount2(&self.folder, MntFlags::MNT_DETACH);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.detach();
    }
}
