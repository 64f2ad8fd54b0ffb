//! A damaged database in files, salvaged into new ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::report::SalvageReport;
use super::{begin, source::Source};
use crate::db::{Database, Options};
#[cfg(feature = "encryption")]
use crate::env::{Entropy, SystemEntropy};
use crate::env::{FileStorage, OpenMode, Storage, beside};
use crate::error::{Error, Result};

impl Database {
    /// Copies everything readable of the damaged database at `path` (and the log beside it) into a new one at `output`, and
    /// says what is lost. Nothing is written to the damaged files or beside them, so they may lie on a read-only medium.
    ///
    /// `output` must not exist, nor a log beside it; after an error it is removed again. Compression, checksums and encryption
    /// are those of the damaged database, whatever `options` say; the new one has the key that it was opened with, and no other. `progress` sees the report as it grows.
    pub fn repair(
        path: impl AsRef<Path>,
        output: impl AsRef<Path>,
        options: Options,
        progress: &mut dyn FnMut(&SalvageReport),
    ) -> Result<SalvageReport> {
        let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(path, OpenMode::READ_ONLY)?);
        #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "nothing is encrypted"))]
        let mut source = Source::open(storage)?;
        #[cfg(feature = "encryption")]
        {
            source.key = options.key.clone().map(|key| (key, Arc::new(SystemEntropy) as Arc<dyn Entropy>));
        }
        let beginning = begin::find(&source)?;
        let output = NewFiles::at(output.as_ref())?;
        let mut options = Options { create: true, read_only: false, checksum: beginning.seal.checksum, ..options };
        if let Some((superblock, _)) = &beginning.checkpoint {
            options.compression = superblock.features.compression();
            #[cfg(feature = "encryption")]
            {
                options.encryption = superblock.features.encryption().unwrap_or_default();
            }
        }
        let database = Self::open(&output.path, options)?;
        let report = database.salvage_from(&source, &beginning, progress)?;
        database.close()?;
        output.keep();
        Ok(report)
    }
}

/// Files that are removed unless they are whole in the end.
struct NewFiles {
    path: PathBuf,
    kept: bool,
}

impl NewFiles {
    fn at(path: &Path) -> Result<Self> {
        for file in [path.to_path_buf(), beside(path, "-log")] {
            if fs::symlink_metadata(&file).is_ok() {
                return Err(Error::invalid(std::format!(
                    "'{}' exists; name a file for the new database that does not",
                    file.display()
                )));
            }
        }
        Ok(Self { path: path.to_path_buf(), kept: false })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        if !self.kept {
            for file in [self.path.clone(), beside(&self.path, "-log"), beside(&self.path, "-lock")] {
                // What was never made cannot be removed; what cannot be removed is told by its name.
                _ = fs::remove_file(file);
            }
        }
    }
}
