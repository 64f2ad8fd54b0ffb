//! The keys of an encrypted database, changed while it is open.
//!
//! A change of keys is a checkpoint into both superblocks: until the first of them is durable the keys before count, afterwards
//! the new ones, and when the second is durable no superblock has the old ones any more. What is sealed stays as it is, for the data
//! key is the same.

use alloc::vec::Vec;

use super::checkpoint::Checkpoint;
#[cfg(feature = "std")]
use super::open::unlock;
use super::state::{Engine, Stopped};
use crate::codec::cipher::{Cipher, EncryptionKey, Envelope, KeyArea, KeyInfo, Lock};
use crate::error::{Error, Result};
use crate::space::Superblock;

impl Engine {
    /// The keys, by slot. None of a database that is not encrypted.
    pub(crate) fn keys(&self) -> Vec<KeyInfo> {
        let work = self.work.lock();
        work.superblock.key_block.as_ref().map_or_else(Vec::new, |block| block.keys.infos())
    }

    /// That this key opens the database, and none if it needs none: as if it were not open already.
    #[cfg(feature = "std")]
    pub(crate) fn require_key(&self, key: Option<&EncryptionKey>) -> Result<()> {
        let superblock = self.work.lock().superblock.clone();
        unlock(&superblock, key, &*self.env.entropy).map(drop)
    }

    /// One key more; its slot.
    pub(crate) fn add_key(&self, key: &EncryptionKey) -> Result<u8> {
        let mut slot = 0;
        self.change_keys(|cipher, superblock, keys| {
            let lock = Lock { encryption: cipher.encryption(), database_id: &superblock.database_id };
            let (now, entropy) = (self.env.clock.wall_ms(), &*self.env.entropy);
            let (keys, taken) = keys.with(lock, cipher.data_key(), key, now, entropy)?;
            slot = taken;
            Ok(keys)
        })?;
        Ok(slot)
    }

    /// One key less.
    pub(crate) fn remove_key(&self, slot: u8) -> Result<()> {
        self.change_keys(|_, _, keys| keys.without(slot))
    }

    fn change_keys(&self, change: impl FnOnce(&Cipher, &Superblock, &KeyArea) -> Result<KeyArea>) -> Result<()> {
        let Envelope::Sealed(cipher) = &self.nodes.seal().envelope else {
            return Err(Error::WrongKey { what: "the database is not encrypted, so it has no keys".into() });
        };
        self.finish_opening()?;
        let keys = loop {
            let mut work = self.work.lock();
            if work.checkpoint.is_none() && work.flush.is_none() {
                let stopped = self.writer.lock().stopped.as_ref().map(Stopped::error);
                if let Some(error) = stopped {
                    return Err(error);
                }
                let Some(block) = &work.superblock.key_block else {
                    return Err(Error::invalid("the superblock has no keys"));
                };
                let keys = change(cipher, &work.superblock, &block.keys)?;
                work.checkpoint = Some(Checkpoint::of_keys(keys.clone()));
                break keys;
            }
            drop(work);
            self.step()?;
        };
        // A thread may take these steps instead.
        while self.work.lock().checkpoint.is_some() {
            self.step()?;
        }
        let work = self.work.lock();
        match &work.superblock.key_block {
            Some(block) if block.keys == keys => Ok(()),
            _ => Err(Error::invalid("the checkpoint that brings the keys failed in the background; try again")),
        }
    }
}
