//! What the operating system says of this process.

use std::fs;

use anyhow::{Context, Result};

/// Memory of its own, in bytes: what is not a part of some file.
pub fn own_memory_bytes() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("this needs Linux: /proc tells how much memory is used")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .context("/proc/self/status does not tell RssAnon")?;
    Ok(kib << 10)
}

/// Open files.
pub fn handles() -> Result<u64> {
    Ok(fs::read_dir("/proc/self/fd").context("/proc/self/fd")?.count() as u64)
}

/// Threads.
pub fn threads() -> Result<u64> {
    Ok(fs::read_dir("/proc/self/task").context("/proc/self/task")?.count() as u64)
}
