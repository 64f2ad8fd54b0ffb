//! The keys of an encrypted database.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::database::Database;
use crate::engine::{EncryptionKey, KeyInfo, Reencryption};
use crate::env::Entropy;
use crate::error::Result;

/// More than it takes to find that it waits for something.
const STEPS: u64 = 16;

impl Database {
    /// The keys that open this database, by slot; none if it is not encrypted.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.shared.engine.keys()
    }

    /// That this key opens the database, or that it needs none where none is given; [`Error::WrongKey`](crate::Error::WrongKey)
    /// otherwise. For whoever shares a database that is open with those who come later: they are to have a key of it, too.
    pub fn require_key(&self, key: Option<&EncryptionKey>) -> Result<()> {
        self.shared.engine.require_key(key)
    }

    /// Lets one key more open this database, at most eight, and gives its slot. It is durable when this returns. After an error
    /// of the storage [`keys`](Self::keys) tells, and after a failed sync reopening. All keys lead to the same data: to change a passphrase add the new one, then
    /// [remove](Self::remove_key) the old.
    ///
    /// On a storage that completes barriers later, [`Error::Pending`](crate::Error::Pending) means that the change goes on with the
    /// next [steps](Self::step).
    pub fn add_key(&self, key: &EncryptionKey) -> Result<u8> {
        self.shared.engine.add_key(key)
    }

    /// The key in `slot` opens this database no more, and no older superblock does either. The last key stays. The data key is the same:
    /// whoever has the removed key and any copy of the file, one from before or a later one, in whose free space the old slots may
    /// still lie, can get at it. Where a key is known to others, [encrypt everything anew](Self::reencrypt).
    pub fn remove_key(&self, slot: u8) -> Result<()> {
        self.shared.engine.remove_key(slot)
    }

    /// Begins to encrypt everything anew, under a new data key, which `key` alone opens: all other keys of the database are gone when this
    /// returns. Others may be [added](Self::add_key) at once.
    ///
    /// The rest is background work while readers and writers go on ([`reencryption`](Self::reencryption) tells how far it is), in this session and those
    /// that come; without a thread for it in [steps](Self::step). When it is done nothing in the two files opens under the data key of before, also
    /// in free space. Feeds that were not read up to now begin anew. Backups, and pieces of an archive, that were made before stay as they are.
    /// It needs room for a copy of the largest value, and for what snapshots hold meanwhile.
    ///
    /// On a storage that completes barriers later, [`Error::Pending`](crate::Error::Pending) means that the change of keys goes on with the
    /// next [steps](Self::step).
    pub fn reencrypt(&self, key: &EncryptionKey) -> Result<()> {
        self.shared.engine.reencrypt(key)?;
        self.poke(true);
        Ok(())
    }

    /// How far [encrypting everything anew](Self::reencrypt) is; `None` when nothing of that is left to do. In a database that was closed
    /// properly it goes on after the first write, or with [`finish_reencryption`](Self::finish_reencryption).
    pub fn reencryption(&self) -> Option<Reencryption> {
        self.shared.engine.reencryption()
    }

    /// Goes on with [encrypting everything anew](Self::reencrypt) until that is done, and tells how far it is after each bounded step. An error
    /// says what it waits for, if it cannot go on: named snapshots of before, readers, the archive, damage.
    pub fn finish_reencryption(&self, progress: &mut dyn FnMut(&Reencryption)) -> Result<()> {
        self.shared.engine.finish_reencryption(u64::MAX, progress)
    }

    /// Goes on with [encrypting everything anew](Self::reencrypt) for some bounded steps, where nobody may wait until it is done; how far it
    /// is then, and `None` when nothing of it is left. Errors are those of [`finish_reencryption`](Self::finish_reencryption).
    pub fn step_reencryption(&self) -> Result<Option<Reencryption>> {
        self.shared.engine.finish_reencryption(STEPS, &mut |_| {})?;
        Ok(self.reencryption())
    }

    /// What it was opened with, and randomness.
    pub(crate) fn own_key(&self) -> Option<(EncryptionKey, Arc<dyn Entropy>)> {
        let entropy = &self.shared.engine.env.entropy;
        self.shared.options.key.clone().map(|key| (key, Arc::clone(entropy)))
    }
}
