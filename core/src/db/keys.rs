//! The keys of an encrypted database.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::database::Database;
use crate::engine::{EncryptionKey, KeyInfo};
use crate::env::Entropy;
use crate::error::Result;

impl Database {
    /// The keys that open this database, by slot; none if it is not encrypted.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.shared.engine.keys()
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
    /// still lie, can get at it. Where a key is known to others, export into a new database.
    pub fn remove_key(&self, slot: u8) -> Result<()> {
        self.shared.engine.remove_key(slot)
    }

    /// What it was opened with, and randomness.
    pub(crate) fn own_key(&self) -> Option<(EncryptionKey, Arc<dyn Entropy>)> {
        let entropy = &self.shared.engine.env.entropy;
        self.shared.options.key.clone().map(|key| (key, Arc::clone(entropy)))
    }
}
