//! An archive in a folder.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::string::String;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use super::archive::ArchiveSink;
use super::partial::{failed, require_absent, sync_folder};
use crate::env::beside;
use crate::error::Result;

/// What is written and has no name yet.
const UNDER_WAY: &str = "under-way.partial";

/// A folder with a file for each piece. It is made with the first one.
#[derive(Debug)]
pub struct ArchiveFolder {
    folder: PathBuf,
    under_way: Mutex<Option<File>>,
}

impl ArchiveFolder {
    /// In this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), under_way: Mutex::default() }
    }

    /// Of the database in this file: beside it, unless a folder is named, as [`ArchiveOptions`](crate::ArchiveOptions) has it.
    pub fn of(database: &Path, folder: &str) -> Self {
        match folder {
            "" => Self::new(beside(database, "-archive")),
            folder => Self::new(database.parent().unwrap_or(Path::new("")).join(folder)),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl ArchiveSink for ArchiveFolder {
    fn list(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed(&error, &self.folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&error, &self.folder))?;
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let path = self.path(name);
        let read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(buf.len() as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: std::io::Error| failed(&error, &path))?;
        if let Some(buf) = buf.get_mut(..bytes.len()) {
            buf.copy_from_slice(&bytes);
        }
        Ok(bytes.len())
    }

    fn len(&self, name: &str) -> Result<u64> {
        let path = self.path(name);
        fs::metadata(&path).map(|found| found.len()).map_err(|error| failed(&error, &path))
    }

    fn begin(&self) -> Result<()> {
        let path = self.path(UNDER_WAY);
        if !self.folder.exists() {
            fs::create_dir_all(&self.folder).map_err(|error| failed(&error, &self.folder))?;
            self.folder.parent().map_or(Ok(()), sync_folder)?;
        }
        let file = File::create(&path).map_err(|error| failed(&error, &path))?;
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = under_way.as_mut() else { return Ok(()) };
        file.write_all(bytes).map_err(|error| failed(&error, &self.path(UNDER_WAY)))
    }

    fn finish(&self, name: &str) -> Result<()> {
        let (under_way, path) = (self.path(UNDER_WAY), self.path(name));
        require_absent(&path)?;
        if let Some(file) = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take() {
            file.sync_all().map_err(|error| failed(&error, &under_way))?;
        }
        fs::rename(&under_way, &path).map_err(|error| failed(&error, &path))?;
        sync_folder(&self.folder)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            // Somebody else was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| failed(&error, &path)),
        }
    }
}
