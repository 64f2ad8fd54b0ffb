//! Where a backup or an increment goes to, and where they and archives come from.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lightning_db::env::Storage;
use lightning_db::{BackupSource, Error};

use crate::failure::{Failure, Outcome};
#[cfg(feature = "object-store")]
use crate::objects::{Location, Upload};

/// A file, standard input or output, or an object in a store.
#[derive(Clone, Debug)]
pub enum Place {
    /// `-`
    Standard,
    File(PathBuf),
    #[cfg(feature = "object-store")]
    Object(Location),
}

impl Place {
    /// For clap.
    pub fn parse(text: OsString) -> Result<Self, String> {
        match text.to_str() {
            Some("-") => Ok(Self::Standard),
            Some(url) if url.starts_with("s3://") => Self::of_object(url),
            _ => Ok(Self::File(text.into())),
        }
    }

    #[cfg(feature = "object-store")]
    fn of_object(url: &str) -> Result<Self, String> {
        Location::parse(url).map(Self::Object)
    }

    #[cfg(not(feature = "object-store"))]
    fn of_object(_url: &str) -> Result<Self, String> {
        Err("this 'lightning' was built without object stores; build it with the feature object-store".to_owned())
    }

    /// Begins to write there.
    pub fn begin(&self) -> Outcome<Target<'_>> {
        Ok(match self {
            Self::Standard => Target::Stream(Sink::Standard(io::stdout().lock())),
            Self::File(path) => Target::File(path),
            #[cfg(feature = "object-store")]
            Self::Object(location) => Target::Stream(Sink::Object(Box::new(Upload::begin(location)?))),
        })
    }

    /// What is read from here.
    pub fn source(&self) -> &dyn BackupSource {
        match self {
            Self::Standard => &StandardInput,
            Self::File(path) => path,
            #[cfg(feature = "object-store")]
            Self::Object(location) => location,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "object-store")]
            Self::Object(location) => write!(f, "{location}"),
        }
    }
}

/// All of these places.
pub fn sources(places: &[Place]) -> Vec<&dyn BackupSource> {
    places.iter().map(Place::source).collect()
}

/// Where it is written to.
pub enum Target<'a> {
    /// A file, which the engine makes.
    File(&'a Path),
    /// What takes piece after piece.
    Stream(Sink),
}

/// What takes piece after piece, and is no file.
pub enum Sink {
    Standard(io::StdoutLock<'static>),
    #[cfg(feature = "object-store")]
    Object(Box<Upload>),
}

impl Sink {
    /// So many bytes are to come, where that is known; to be told before the first of them.
    pub fn expect(&mut self, bytes: u64) {
        match self {
            Self::Standard(_) => _ = bytes,
            #[cfg(feature = "object-store")]
            Self::Object(upload) => upload.expect(bytes),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Outcome {
        match self {
            Self::Standard(out) => out.write_all(bytes).map_err(Failure::file("standard output")),
            #[cfg(feature = "object-store")]
            Self::Object(upload) => upload.write(bytes),
        }
    }

    /// That was all of it.
    pub fn finish(self) -> Outcome {
        match self {
            Self::Standard(mut out) => out.flush().map_err(Failure::file("standard output")),
            #[cfg(feature = "object-store")]
            Self::Object(upload) => upload.finish(),
        }
    }

    /// Whether what was done is to be told on standard output.
    pub fn leaves_standard_output(&self) -> bool {
        !matches!(self, Self::Standard(_))
    }
}

/// Read once, from its first byte to its last.
#[derive(Debug)]
struct StandardInput;

impl BackupSource for StandardInput {
    fn name(&self) -> String {
        "standard input".to_owned()
    }

    fn read(&self) -> lightning_db::Result<Box<dyn Read + '_>> {
        Ok(Box::new(io::stdin().lock()))
    }

    fn storage(&self) -> lightning_db::Result<Arc<dyn Storage>> {
        let what = "standard input cannot be read in any order: give a file".to_owned();
        Err(Error::Invalid { what })
    }

    fn list(&self) -> lightning_db::Result<Option<Vec<String>>> {
        Ok(None)
    }

    fn within(&self, _name: &str) -> Box<dyn BackupSource> {
        Box::new(Self)
    }
}
