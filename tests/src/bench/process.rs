//! What the kernel knows about this process and about a directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Result;

/// Bytes this process caused to be written to storage so far: pages made dirty, less those dropped unwritten.
pub(crate) fn storage_bytes_written() -> Result<u64> {
    let io = fs::read_to_string("/proc/self/io")?;
    Ok(field(&io, "write_bytes:")?.saturating_sub(field(&io, "cancelled_write_bytes:")?))
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
