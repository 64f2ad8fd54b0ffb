//! What the kernel knows about this process and about a directory.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Result;

/// Bytes written to storage so far, as two counts of the kernel that both err upwards.
///
/// That of the process counts a page whenever it becomes dirty, and where the kernel caches files in large folios, the
/// whole folio for one page of it. That of the device has what others write too.
pub(crate) struct Written {
    process_bytes: u64,
    /// None where the file system is not on one block device.
    device_bytes: Option<u64>,
}

impl Written {
    /// Counts up to now, everything that waits to be written included.
    pub(crate) fn until_now(directory: &Path) -> Result<Self> {
        sync_disk(directory)?;
        let io = fs::read_to_string("/proc/self/io")?;
        let process_bytes = field(&io, "write_bytes:")?.saturating_sub(field(&io, "cancelled_write_bytes:")?);
        Ok(Self { process_bytes, device_bytes: device_bytes_written(directory) })
    }

    /// What was written since `earlier`: the smaller count.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let process = self.process_bytes.saturating_sub(earlier.process_bytes);
        match (self.device_bytes, earlier.device_bytes) {
            (Some(now), Some(then)) => process.min(now - then),
            _ => process,
        }
    }
}

/// Waits until the file system of `directory` has nothing left to write, so that one measurement does not pay for what
/// the one before it has left in the system's buffers.
pub(crate) fn sync_disk(directory: &Path) -> Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

fn device_bytes_written(directory: &Path) -> Option<u64> {
    let device = fs::metadata(directory).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let counts = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    // The seventh number: sectors written, of 512 bytes whatever the device's own are.
    Some(counts.split_whitespace().nth(6)?.parse::<u64>().ok()? * 512)
}

/// Memory of this process.
pub(crate) struct Memory {
    /// Most that was resident since [`forget_peak_memory`] or the start, mapped files included.
    pub(crate) peak_bytes: u64,
    /// Resident now and not a file's.
    pub(crate) anonymous_bytes: u64,
}

pub(crate) fn memory() -> Result<Memory> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(Memory { peak_bytes: field(&status, "VmHWM:")? * 1024, anonymous_bytes: field(&status, "RssAnon:")? * 1024 })
}

/// Starts the peak anew, at what is resident now. Where the kernel refuses, the old peak stays.
pub(crate) fn forget_peak_memory() {
    // 5 is "reset the peak resident set size" in proc(5).
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Space that the files below `directory` take on the disk.
pub(crate) fn allocated_bytes(directory: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() { allocated_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(total)
}

fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("the kernel's report has no {name}").into())
}
