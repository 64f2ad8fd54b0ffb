//! Where a simulated database archives its log: pieces that outlive crashes, and calls that fail when the disk does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lightning_db::env::{FileId, Storage};
use lightning_db::{ArchiveSink, Error};

use crate::sim_disk::SimDisk;

/// On another machine: no power loss takes what is whole. A call is one I/O of the disk, so that crashes and faults come
/// between any two of them.
#[derive(Debug)]
pub struct SimSink {
    disk: Arc<SimDisk>,
    pieces: Mutex<Pieces>,
}

#[derive(Debug, Default)]
struct Pieces {
    whole: BTreeMap<String, Vec<u8>>,
    under_way: Option<Vec<u8>>,
}

impl SimSink {
    /// For a database on this disk.
    pub fn new(disk: &Arc<SimDisk>) -> Self {
        Self { disk: Arc::clone(disk), pieces: Mutex::default() }
    }

    /// Everything whole, oldest first.
    pub fn pieces(&self) -> Vec<Vec<u8>> {
        self.lock().whole.values().cloned().collect()
    }

    /// Another folder, with nothing in it.
    pub fn clear(&self) {
        *self.lock() = Pieces::default();
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(&self, call: impl FnOnce(&mut Pieces) -> T) -> Result<T, Error> {
        self.disk.read_at(FileId::Data, 0, &mut [0])?;
        Ok(call(&mut self.lock()))
    }
}

impl ArchiveSink for SimSink {
    fn list(&self) -> Result<Vec<String>, Error> {
        self.call(|pieces| pieces.whole.keys().cloned().collect())
    }
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.call(|pieces| {
            let rest = &pieces.whole[name][offset as usize..];
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            len
        })
    }
    fn len(&self, name: &str) -> Result<u64, Error> {
        self.call(|pieces| pieces.whole[name].len() as u64)
    }
    fn begin(&self) -> Result<(), Error> {
        self.call(|pieces| pieces.under_way = Some(Vec::new()))
    }
    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.call(|pieces| pieces.under_way.as_mut().expect("a piece was begun").extend(bytes))
    }
    fn finish(&self, name: &str) -> Result<(), Error> {
        self.call(|pieces| {
            let piece = pieces.under_way.take().expect("a piece was begun");
            assert!(pieces.whole.insert(name.to_owned(), piece).is_none(), "{name} was there");
        })
    }
    fn remove(&self, name: &str) -> Result<(), Error> {
        self.call(|pieces| drop(pieces.whole.remove(name)))
    }
}
