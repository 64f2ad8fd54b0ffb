//! An object that gets its name when all of it is in the store.

use std::collections::VecDeque;
use std::io;

use lightning_db::env::{Entropy, SystemEntropy};
use object_store::multipart::{MultipartStore, PartId};
use object_store::{Attribute, Attributes, Error, GetOptions, ObjectStore, PutMultipartOptions};
use tokio::task::JoinHandle;

use super::Location;
use super::connection::Connected;
use crate::failure::{Failure, Outcome};

/// Parts of an object: at least 5 MiB by the protocol.
const PART_BYTES_MIN: u64 = 8 << 20;
/// By the protocol.
const PARTS_MAX: u64 = 10_000;
/// Held in memory until they are stored, beside the one that is being filled.
const UNDER_WAY_MAX: usize = 3;
/// What tells this upload's object from another's in the same place.
const MARK: &str = "lightning-upload";

/// An upload in parts. Nothing is visible in the store until [`finish`](Self::finish); what it was when it ends otherwise is deleted.
/// A killed process leaves the parts, which nobody sees and which the store deletes where it has a rule for that.
#[derive(Debug)]
pub struct Upload {
    location: Location,
    /// By which the store knows it; `None` when it is done, or deleted.
    id: Option<String>,
    mark: String,
    part_bytes: u64,
    part: Vec<u8>,
    /// In their order.
    under_way: VecDeque<JoinHandle<object_store::Result<PartId>>>,
    parts: Vec<PartId>,
    begun: usize,
}

impl Upload {
    /// Asks the store whether it takes it. Nothing may have the name yet.
    pub fn begin(location: &Location) -> Outcome<Self> {
        let failed = Failure::file(location.to_string());
        let begun = || {
            let connected = location.bucket.connected()?;
            let explained = |error: Error| location.bucket.explained(&error);
            match head(connected, location) {
                Ok(None) => {}
                Ok(Some(_)) => return Err(exists()),
                // Who may write and not read is told in the end.
                Err(Error::PermissionDenied { .. }) if connected.refuses_by_itself => {}
                Err(error) => return Err(explained(error)),
            }
            let mut random = [0; 16];
            SystemEntropy.fill(&mut random);
            let mark = format!("{:032x}", u128::from_be_bytes(random));
            let attributes = Attributes::from_iter([(Attribute::Metadata(MARK.into()), mark.clone())]);
            let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
            let id = connected.wait(connected.store.create_multipart_opts(&location.path, options));
            Ok((id.map_err(explained)?, mark))
        };
        let (id, mark) = begun().map_err(failed)?;
        Ok(Self {
            location: location.clone(),
            id: Some(id),
            mark,
            part_bytes: PART_BYTES_MIN,
            part: Vec::new(),
            under_way: VecDeque::new(),
            parts: Vec::new(),
            begun: 0,
        })
    }

    /// So many bytes are to come: then few enough parts do.
    pub fn expect(&mut self, bytes: u64) {
        if self.begun == 0 {
            self.part_bytes = bytes.div_ceil(PARTS_MAX).next_multiple_of(1 << 20).max(PART_BYTES_MIN);
        }
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> Outcome {
        while !bytes.is_empty() {
            let room = (self.part_bytes as usize).saturating_sub(self.part.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() as u64 >= self.part_bytes {
                self.begin_part().map_err(Failure::file(self.location.to_string()))?;
            }
        }
        Ok(())
    }

    /// That was all of it: the object has its name when this has answered without an error, and has not otherwise.
    pub fn finish(mut self) -> Outcome {
        self.complete().map_err(Failure::file(self.location.to_string()))
    }

    fn complete(&mut self) -> io::Result<()> {
        if !self.part.is_empty() || self.begun == 0 {
            self.begin_part()?;
        }
        while !self.under_way.is_empty() {
            self.wait_for_part()?;
        }
        let Some(id) = self.id.clone() else { return Ok(()) };
        let (connected, parts) = (self.location.bucket.connected()?, std::mem::take(&mut self.parts));
        let completed = connected.wait(connected.creating.complete_multipart(&self.location.path, &id, parts));
        match completed {
            Ok(_) => {}
            // Of an answer that was lost nobody knows: the object itself tells.
            Err(error) => match head(connected, &self.location) {
                Ok(Some(mark)) if mark == self.mark => {}
                Ok(Some(_)) => return Err(exists()),
                _ if matches!(error, Error::Precondition { .. }) => return Err(exists()),
                _ => return Err(self.location.bucket.explained(&error)),
            },
        }
        self.id = None;
        Ok(())
    }

    fn begin_part(&mut self) -> io::Result<()> {
        if self.begun as u64 == PARTS_MAX {
            let bytes = PARTS_MAX * self.part_bytes;
            return Err(io::Error::other(format!(
                "it is larger than {bytes} bytes, the most there can be of what is not known to be that large; make a whole backup"
            )));
        }
        while self.under_way.len() >= UNDER_WAY_MAX {
            self.wait_for_part()?;
        }
        let Some(id) = self.id.clone() else { return Ok(()) };
        let connected = self.location.bucket.connected()?;
        let (store, path) = (connected.store.clone(), self.location.path.clone());
        let (number, part) = (self.begun, std::mem::take(&mut self.part));
        self.under_way.push_back(
            connected.spawn(async move { MultipartStore::put_part(&store, &path, &id, number, part.into()).await }),
        );
        self.begun += 1;
        Ok(())
    }

    fn wait_for_part(&mut self) -> io::Result<()> {
        let Some(part) = self.under_way.pop_front() else { return Ok(()) };
        let stored = self.location.bucket.connected()?.wait(part).map_err(io::Error::other)?;
        self.parts.push(stored.map_err(|error| self.location.bucket.explained(&error))?);
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(id), Ok(connected)) = (self.id.take(), self.location.bucket.connected()) else { return };
        for part in &self.under_way {
            part.abort();
        }
        // Where the store cannot be reached the parts stay, unseen.
        _ = connected.wait(MultipartStore::abort_multipart(&connected.store, &self.location.path, &id));
    }
}

/// The mark of the object there is, which may be empty; `None` where there is none.
fn head(connected: &Connected, location: &Location) -> object_store::Result<Option<String>> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    match connected.wait(connected.store.get_opts(&location.path, options)) {
        Ok(found) => {
            let mark = found.attributes.get(&Attribute::Metadata(MARK.into()));
            Ok(Some(mark.map(|mark| mark.to_string()).unwrap_or_default()))
        }
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "it exists; name an object that does not")
}
