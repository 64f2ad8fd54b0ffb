//! Where a backup, an increment or an archive is read from.

use std::boxed::Box;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use core::fmt;

use super::partial::failed;
use crate::env::{FileStorage, OpenMode, Storage};
use crate::error::Result;

/// A backup, an increment, or the folder of an archive, wherever it is kept: a path, or whatever gives bytes. It is only read.
pub trait BackupSource: fmt::Debug {
    /// How it is called in errors.
    fn name(&self) -> String;
    /// Its bytes, from the first on.
    fn read(&self) -> Result<Box<dyn Read + '_>>;
    /// The same bytes as the data file of a storage without a log, to be read in any order.
    fn storage(&self) -> Result<Arc<dyn Storage>>;
    /// The names of what is in it, in any order; `None` where it is no folder.
    fn list(&self) -> Result<Option<Vec<String>>>;
    /// What has one of these names in it.
    fn within(&self, name: &str) -> Box<dyn BackupSource>;
}

impl BackupSource for PathBuf {
    fn name(&self) -> String {
        self.display().to_string()
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(File::open(self).map_err(|error| failed(&error, self))?))
    }

    fn storage(&self) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(FileStorage::open(self, OpenMode { read_only: true, create: false })?))
    }

    fn list(&self) -> Result<Option<Vec<String>>> {
        if !self.is_dir() {
            return Ok(None);
        }
        let entries = fs::read_dir(self).map_err(|error| failed(&error, self))?;
        let names =
            entries.map(|entry| Ok(entry.map_err(|error| failed(&error, self))?.file_name().into_string().ok()));
        Ok(Some(names.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()))
    }

    fn within(&self, name: &str) -> Box<dyn BackupSource> {
        Box::new(self.join(name))
    }
}
