//! Mounting, seen by this process and its children alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::disk::Disk;
use super::file_system::PowerFileSystem;

/// From now on what this process mounts is its own, and goes with it, however it ends. Called while it has one thread:
/// those to come inherit it.
pub fn leave_shared_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(())
}

/// A disk that is served at a folder until dropped.
pub struct Mounted {
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

impl Mounted {
    pub fn at(folder: &Path, disk: &Arc<Disk>, write_back: bool) -> Result<Self, String> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(String::from("lightning-power")), MountOption::NoExec];
        let served = PowerFileSystem { disk: Arc::clone(disk), write_back };
        let session = Session::new(served, folder, &config).and_then(Session::spawn);
        let session = session.map_err(|error| format!("cannot mount a FUSE file system: {error}"))?;
        Ok(Self { folder: folder.to_path_buf(), session: Some(session) })
    }

    /// Takes the mount away and waits until the kernel has let go of it.
    pub fn unmount(mut self) -> Result<(), String> {
        self.detach();
        let ended = self.session.take().map_or(Ok(()), BackgroundSession::join);
        ended.map_err(|error| format!("the FUSE file system ended with: {error}"))
    }

    fn detach(&self) {
        // At once, whoever still uses it: what was killed may take a moment to go.
        _ = umount2(&self.folder, MntFlags::MNT_DETACH);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.detach();
    }
}
