//! Objects in stores that speak the protocol of S3: `s3://bucket/path`, and the folders that their names make.
//!
//! How the store is reached, and with which keys, is told by environment variables alone (`AWS_…`), never by arguments, which others
//! see. Timeouts, retries and signatures are the crate's.

mod connection;
mod download;
mod upload;

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind};
use lightning_db::{BackupSource, Error};
use object_store::ObjectStore;
use object_store::path::Path;

use connection::Bucket;
use download::{ObjectFile, Reader};
pub use upload::Upload;

/// An object, or where the address ends with a slash, a folder.
#[derive(Clone, Debug)]
pub struct Location {
    bucket: Arc<Bucket>,
    path: Path,
    is_folder: bool,
}

impl Location {
    /// `s3://bucket/path`; no store is asked for it yet.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (bucket, path) = url.strip_prefix("s3://").unwrap_or(url).split_once('/').unwrap_or_default();
        if bucket.contains(['@', ':']) {
            return Err("keys do not belong in an address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        if bucket.is_empty() || path.is_empty() || !bucket.chars().all(is_name) {
            return Err("write it like s3://bucket/folder/name".to_owned());
        }
        let is_folder = path.ends_with('/');
        let path = Path::parse(path).map_err(|error| error.to_string())?;
        Ok(Self { bucket: Arc::new(Bucket::new(bucket)), path, is_folder })
    }

    /// Opens the object for reading.
    fn open(&self) -> lightning_db::Result<ObjectFile> {
        ObjectFile::open(self).map_err(|error| self.failed(&error))
    }

    /// What the engine is told of a failure.
    fn failed(&self, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => Error::Invalid { what: format!("'{self}' is not there: {error}") },
            _ => storage_error(error, 0, 0, format!("'{self}': {error}")).into(),
        }
    }
}

fn storage_error(error: &io::Error, offset: u64, len: u64, message: String) -> StorageError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => StorageErrorKind::PermissionDenied,
        io::ErrorKind::UnexpectedEof => StorageErrorKind::UnexpectedEnd,
        _ => StorageErrorKind::Other,
    };
    StorageError::new(kind, FileId::Data, offset, len, message)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}{}", self.bucket.name(), self.path, if self.is_folder { "/" } else { "" })
    }
}

impl BackupSource for Location {
    fn name(&self) -> String {
        self.to_string()
    }

    fn read(&self) -> lightning_db::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reader::new(self.open()?)))
    }

    fn storage(&self) -> lightning_db::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.open()?))
    }

    fn list(&self) -> lightning_db::Result<Option<Vec<String>>> {
        if !self.is_folder {
            return Ok(None);
        }
        let listed = self.bucket.connected().and_then(|connected| {
            let listed = connected.wait(connected.store.list_with_delimiter(Some(&self.path)));
            listed.map_err(|error| self.bucket.explained(&error))
        });
        let objects = listed.map_err(|error| self.failed(&error))?.objects;
        Ok(Some(objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect()))
    }

    fn within(&self, name: &str) -> Box<dyn BackupSource> {
        Box::new(Self { bucket: Arc::clone(&self.bucket), path: self.path.clone().join(name), is_folder: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_a_path() {
        for url in ["s3://bucket/a", "s3://my-bucket.1/daily/app.ldb", "s3://b/archive/", "s3://b/with space/ä"] {
            assert_eq!(Location::parse(url).unwrap().to_string(), url);
        }
        for url in ["s3://", "s3://bucket", "s3://bucket/", "s3:///a", "s3://b/a//b", "s3://b/../a", "s3://b?x=1/a"] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
        let refused = Location::parse("s3://key:secret@bucket/a").unwrap_err();
        assert!(refused.contains("AWS_SECRET_ACCESS_KEY") && !refused.contains("key:secret"), "{refused}");
    }
}
