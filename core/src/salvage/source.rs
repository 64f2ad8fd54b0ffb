//! Reading a file parts of which cannot be read.

use alloc::sync::Arc;

use crate::codec::cipher::Envelope;
#[cfg(feature = "encryption")]
use crate::engine::EncryptionKey;
#[cfg(feature = "encryption")]
use crate::env::Entropy;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::space::{SECTOR_BYTES, Superblock};

/// The damaged files.
pub(super) struct Source {
    pub storage: Arc<dyn Storage>,
    /// Length of the data file.
    pub bytes: u64,
    /// What opens it, if it is encrypted; and randomness for the session that this takes.
    #[cfg(feature = "encryption")]
    pub key: Option<(EncryptionKey, Arc<dyn Entropy>)>,
}

impl Source {
    pub(super) fn open(storage: Arc<dyn Storage>) -> Result<Self> {
        let bytes = storage.len(FileId::Data)?;
        Ok(Self {
            storage,
            bytes,
            #[cfg(feature = "encryption")]
            key: None,
        })
    }

    /// How the units are kept of the database that this superblock is of.
    pub(super) fn envelope(&self, superblock: &Superblock) -> Result<Envelope> {
        #[cfg(feature = "encryption")]
        return match &self.key {
            Some((key, entropy)) => crate::engine::unlock(superblock, Some(key), &**entropy),
            None => crate::engine::unlock(superblock, None, &crate::env::SeededEntropy::new(0)),
        };
        #[cfg(not(feature = "encryption"))]
        {
            let _ = superblock;
            Ok(Envelope::Plain)
        }
    }

    /// Reads from the data file; what lies beyond its end, and sectors that cannot be read, are zeros.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let there = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        let (there, beyond) = buf.split_at_mut(there);
        beyond.fill(0);
        if self.read_whole(offset, there)? {
            return Ok(());
        }
        let mut at = offset;
        let mut rest = there;
        while !rest.is_empty() {
            let in_sector = SECTOR_BYTES - at % SECTOR_BYTES;
            let len = usize::try_from(in_sector).unwrap_or(usize::MAX).min(rest.len());
            let (part, later) = rest.split_at_mut(len);
            if !self.read_whole(at, part)? {
                part.fill(0);
            }
            at += part.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// False when the storage cannot give these bytes, asked twice.
    fn read_whole(&self, offset: u64, buf: &mut [u8]) -> Result<bool> {
        for _ in 0..2 {
            match self.storage.read_at(FileId::Data, offset, buf).map_err(Error::from) {
                Ok(()) => return Ok(true),
                Err(error) if error.not_resident().is_some() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(false)
    }
}
