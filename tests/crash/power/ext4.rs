//! An ext4 file system on a disk whose power can be cut: a loop device over a file of the FUSE file system. So the engine
//! meets what it meets on a server: appends through mapped memory, allocated blocks, a journal.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The file that is the disk.
pub const IMAGE: &str = "disk.img";
const IMAGE_MB: u64 = 48;

/// An empty file system's bytes, made once and used for every disk.
pub fn image(folder: &Path) -> Result<Vec<u8>, String> {
    let path = folder.join(IMAGE);
    let made = std::fs::create_dir_all(folder).and_then(|()| std::fs::File::create(&path)?.set_len(IMAGE_MB << 20));
    made.map_err(|error| format!("'{}': {error}", path.display()))?;
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-F", "-b", "4096", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]);
    let formatted = run(mkfs.arg(&path));
    let bytes = formatted.and_then(|_| std::fs::read(&path).map_err(|error| format!("'{}': {error}", path.display())));
    _ = std::fs::remove_file(&path);
    bytes
}

/// A mounted file system, unmounted when dropped.
pub struct Ext4 {
    folder: PathBuf,
}

impl Ext4 {
    /// Mounts the file system in `image` at `folder`, after its own recovery.
    pub fn at(folder: &Path, image: &Path) -> Result<Self, String> {
        // Without a second page cache, so that what the file system writes reaches the disk when it says so.
        let device = run(Command::new("losetup").args(["--find", "--show", "--direct-io=on"]).arg(image))?;
        let mounted = mount(Some(device.trim()), folder, Some("ext4"), MsFlags::MS_NOATIME, None::<&str>);
        // While it is mounted the device stays; it goes with the mount, however that ends.
        run(Command::new("losetup").args(["--detach", device.trim()]))?;
        mounted.map_err(|error| format!("ext4 on {}: {}", device.trim(), io::Error::from(error)))?;
        Ok(Self { folder: folder.to_path_buf() })
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        _ = umount2(&self.folder, MntFlags::MNT_DETACH);
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run '{name}': {error}"))?;
    if !output.status.success() {
        return Err(format!("'{name}': {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
