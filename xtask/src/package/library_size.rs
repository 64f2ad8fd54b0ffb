//! How large the library is that applications carry: what is reached, held, so that it does not grow unnoticed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Bytes of the stripped library at most, by system. What is reached with a little room: it is to be lowered (`docs/progress.md`, Size of
/// the library). Systems that are not here are printed only.
const BYTES_MAX: [(&str, u64); 4] =
    [("linux-x86_64", 2_850_000), ("arm64-v8a", 1_500_000), ("armeabi-v7a", 1_192_000), ("x86_64", 1_930_000)];
/// What is due for each system of a phone.
const BYTES_DUE: u64 = 1_500_000;

/// Prints how large a stripped library is; fails where it is larger than it may be.
pub fn check(system: &str, library: &Path) -> Result<()> {
    let bytes = fs::metadata(library).with_context(|| format!("cannot look at {}", library.display()))?.len();
    println!("the library for {system}: {bytes} bytes, {BYTES_DUE} due");
    match BYTES_MAX.iter().find(|(name, _)| *name == system) {
        Some((_, max)) if bytes > *max => bail!(
            "the library for {system} has {bytes} bytes, {} more than 'package/library_size.rs' allows; 'nm --size-sort -S -C' of \
             the one that is not stripped tells what they are",
            bytes - max
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_grows_over_its_limit_is_refused() {
        let path = std::env::temp_dir().join(format!("lightning-size-{}", std::process::id()));
        let (system, max) = BYTES_MAX[0];
        for (bytes, is_good) in [(max, true), (max + 1, false)] {
            fs::File::create(&path).unwrap().set_len(bytes).unwrap();
            assert_eq!(check(system, &path).is_ok(), is_good, "{bytes}");
            assert!(check("another-system", &path).is_ok());
        }
        fs::remove_file(&path).unwrap();
    }
}
