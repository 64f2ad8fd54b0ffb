//! The keys of an encrypted database, changed while it is open.
//!
//! A change of keys is a checkpoint into both superblocks: until the first of them is durable the keys before count, afterwards
//! the new ones, and when the second is durable no superblock has the old ones any more. What is sealed stays as it is while the data
//! key is the same; with another one begins what [`reencryption`](super::reencryption) does.
//!
//! What a passphrase or somebody who keeps a key takes its time for is done while nobody waits.

use alloc::vec::Vec;

use super::checkpoint::Checkpoint;
use super::maintenance::Progress;
use super::open::unlock_keys;
use super::reencryption::Reencryption;
use super::state::{Engine, Stopped};
use crate::codec::cipher::{Cipher, EncryptionKey, Envelope, KeyArea, KeyInfo, Lock};
use crate::error::{Error, Result};
use crate::space::Superblock;

/// Keys are made for those of now, which others may change meanwhile: so many times.
const ATTEMPTS_MAX: u32 = 8;
/// Steps that do nothing before it is told what is waited for.
const IDLE_MAX: u32 = 3;

/// The keys that a checkpoint brings.
struct Change {
    keys: KeyArea,
    /// What seals from then on, where there is a new data key.
    successor: Option<Cipher>,
}

impl Engine {
    /// The keys, by slot. None of a database that is not encrypted.
    pub(crate) fn keys(&self) -> Vec<KeyInfo> {
        let work = self.work.lock();
        work.superblock.key_block.as_ref().map_or_else(Vec::new, |block| block.keys.infos())
    }

    /// That this key opens the database, and none if it needs none: as if it were not open already.
    pub(crate) fn require_key(&self, key: Option<&EncryptionKey>) -> Result<()> {
        let superblock = self.work.lock().superblock.clone();
        unlock_keys(&superblock, key).map(drop)
    }

    /// One key more; its slot.
    pub(crate) fn add_key(&self, key: &EncryptionKey) -> Result<u8> {
        let mut slot = 0;
        self.change_keys(|cipher, superblock, keys| {
            let lock = Lock { encryption: cipher.encryption(), database_id: &superblock.database_id };
            let (now, entropy) = (self.env.clock.wall_ms(), &*self.env.entropy);
            let (keys, taken) = keys.with(lock, &cipher.data_keys().current, key, now, entropy)?;
            slot = taken;
            Ok(Change { keys, successor: None })
        })?;
        Ok(slot)
    }

    /// One key less.
    pub(crate) fn remove_key(&self, slot: u8) -> Result<()> {
        self.change_keys(|_, _, keys| Ok(Change { keys: keys.without(slot)?, successor: None }))
    }

    /// A new data key, which this key alone opens, and under which everything is sealed anew from then on.
    pub(crate) fn reencrypt(&self, key: &EncryptionKey) -> Result<()> {
        self.change_keys(|cipher, superblock, _| {
            let entropy = &*self.env.entropy;
            let Some(successor) = cipher.successor(entropy)? else {
                return Err(Error::invalid(
                    "everything is being encrypted anew already, or was 65,535 times; it goes on by itself",
                ));
            };
            let lock = Lock { encryption: cipher.encryption(), database_id: &superblock.database_id };
            let keys = KeyArea::renewed(lock, &successor.data_keys(), key, self.env.clock.wall_ms(), entropy)?;
            Ok(Change { keys, successor: Some(successor) })
        })
    }

    /// Does the steps until everything is sealed under one data key, at most so many; an error when that waits for something else.
    pub(crate) fn finish_reencryption(&self, steps: u64, progress: &mut dyn FnMut(&Reencryption)) -> Result<()> {
        self.finish_opening()?;
        let mut idle = 0;
        for _ in 0..steps {
            let Some(under_way) = self.reencryption() else { break };
            if let Some(stopped) = &self.writer.lock().stopped {
                return Err(stopped.error());
            }
            progress(&under_way);
            Error::if_cancelled()?;
            match self.step()? {
                Progress::More => idle = 0,
                Progress::Idle if idle < IDLE_MAX => idle += 1,
                Progress::Idle => {
                    let what = under_way.waiting_for.unwrap_or_else(|| "other work to end".into());
                    return Err(Error::Invalid {
                        what: alloc::format!(
                            "encrypting everything anew waits for {what}; it goes on by itself afterwards"
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    fn change_keys(&self, mut change: impl FnMut(&Cipher, &Superblock, &KeyArea) -> Result<Change>) -> Result<()> {
        let Envelope::Sealed(cipher) = &self.nodes.seal().envelope else {
            return Err(Error::WrongKey { what: "the database is not encrypted, so it has no keys".into() });
        };
        self.finish_opening()?;
        for _ in 0..ATTEMPTS_MAX {
            let superblock = self.work.lock().superblock.clone();
            let Some(block) = &superblock.key_block else {
                return Err(Error::invalid("the superblock has no keys"));
            };
            let change = change(cipher, &superblock, &block.keys)?;
            if self.bring_keys(&block.keys, change)? {
                return Ok(());
            }
        }
        Err(Error::invalid("others change the keys all the time; try again"))
    }

    /// False when the keys are no longer `before`.
    fn bring_keys(&self, before: &KeyArea, change: Change) -> Result<bool> {
        let Change { keys, successor } = change;
        loop {
            let mut work = self.work.lock();
            if work.checkpoint.is_none() && work.flush.is_none() {
                let stopped = self.writer.lock().stopped.as_ref().map(Stopped::error);
                if let Some(error) = stopped {
                    return Err(error);
                }
                if work.superblock.key_block.as_ref().is_none_or(|block| block.keys != *before) {
                    return Ok(false);
                }
                work.checkpoint = Some(match successor {
                    None => Checkpoint::of_keys(keys.clone()),
                    Some(successor) => Checkpoint::of_data_key(keys.clone(), successor),
                });
                break;
            }
            drop(work);
            self.step()?;
        }
        // A thread may take these steps instead.
        while self.work.lock().checkpoint.is_some() {
            self.step()?;
        }
        let work = self.work.lock();
        match &work.superblock.key_block {
            Some(block) if block.keys == keys => Ok(true),
            _ => Err(Error::invalid("the checkpoint that brings the keys failed in the background; try again")),
        }
    }
}
