//! Where an export goes: standard output, or a file that has its name only once it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::PathBuf;

use crate::failure::{Failure, Outcome};
use crate::output::closed_or_failed;

/// Something to write to.
pub enum Destination {
    Stdout(BufWriter<StdoutLock<'static>>),
    /// A pipe or a device: it is there before and after.
    Device(BufWriter<File>, String),
    File(BufWriter<File>, Unfinished),
}

impl Destination {
    /// Standard output for `-`.
    pub fn create(name: &str) -> Outcome<Self> {
        const BUFFER_BYTES: usize = 1 << 16;
        if name == "-" {
            return Ok(Self::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())));
        }
        if fs::metadata(name).is_ok_and(|metadata| !metadata.is_file()) {
            let file = File::options().write(true).open(name).map_err(Failure::file(format!("cannot write {name}")))?;
            return Ok(Self::Device(BufWriter::with_capacity(BUFFER_BYTES, file), name.to_owned()));
        }
        let partial = PathBuf::from(format!("{name}.partial"));
        let file = File::create(&partial).map_err(Failure::file(format!("cannot create {name}")))?;
        let unfinished = Unfinished { partial: Some(partial), name: name.into() };
        Ok(Self::File(BufWriter::with_capacity(BUFFER_BYTES, file), unfinished))
    }

    /// Everything is written: makes it durable and gives it its name.
    pub fn finish(self) -> Outcome {
        match self {
            Self::Stdout(mut sink) => sink.flush().map_err(closed_or_failed),
            Self::Device(mut sink, name) => sink.flush().map_err(Failure::file(format!("cannot write {name}"))),
            Self::File(sink, unfinished) => {
                let name = unfinished.name.display().to_string();
                let named = sink.into_inner().map_err(io::IntoInnerError::into_error);
                let named = named.and_then(|file| file.sync_all()).and_then(|()| unfinished.finish());
                named.map_err(Failure::file(format!("cannot write {name}")))
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(sink) => sink.write(bytes),
            Self::Device(sink, _) | Self::File(sink, _) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(sink) => sink.flush(),
            Self::Device(sink, _) | Self::File(sink, _) => sink.flush(),
        }
    }
}

/// A file that is being written under another name; removed unless it is finished.
pub struct Unfinished {
    partial: Option<PathBuf>,
    name: PathBuf,
}

impl Unfinished {
    fn finish(mut self) -> io::Result<()> {
        let Some(partial) = &self.partial else { return Ok(()) };
        fs::rename(partial, &self.name)?;
        self.partial = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // What cannot be removed stays, under a name that says what it is.
            _ = fs::remove_file(partial);
        }
    }
}
