//! Encryption: the keys that a database is opened with, and those that it has.
//!
//! A key has a handle, like all that is open; it is given up like a cursor once it has done its work. What foreign code gives of a key is
//! wiped here as soon as it was read; what it keeps itself is its own to wipe.

use std::sync::Arc;

use lightning_db::env::{FileId, StorageError, StorageErrorKind};
use lightning_db::{
    Database, Encryption as CoreEncryption, EncryptionKey, Error, KeyInfo as CoreInfo, KeyKind as CoreKind,
    KeyProvider, Reencryption as CoreReencryption, Result,
};
use zeroize::{Zeroize, Zeroizing};

use crate::objects::{self, Object, Owner, invalid};

/// How a new database is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Encryption {
    /// The fastest where the processor has instructions for AES, as nearly all do.
    #[default]
    Aes256Gcm,
    /// Faster where it has none, and in constant time there.
    ChaCha20Poly1305,
}

/// Of which kind a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum KeyKind {
    /// 32 bytes.
    Raw,
    /// A passphrase.
    Passphrase,
    /// Somebody keeps it.
    Provider,
}

/// A key that opens a database, without anything secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct KeyInfo {
    /// Which of the eight slots it has.
    pub slot: u8,
    /// Of which kind it is.
    pub kind: KeyKind,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: u64,
}

/// How far encrypting everything anew is.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Reencryption {
    /// What it is doing, in a word or a few.
    pub stage: String,
    /// So many records are written anew, or so many bytes wiped.
    pub done: u64,
    /// About how many there are; 0 where nothing is counted.
    pub all: u64,
    /// What it waits for, if it does not go on by itself.
    pub waiting_for: Option<String>,
}

/// Is told how far encrypting everything anew is, from the thread that does it.
#[uniffi::export(with_foreign)]
pub trait ReencryptionListener: Send + Sync {
    /// After each step.
    fn on_progress(&self, progress: Reencryption);
}

impl From<Encryption> for CoreEncryption {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Aes256Gcm => Self::Aes256Gcm,
            Encryption::ChaCha20Poly1305 => Self::ChaCha20Poly1305,
        }
    }
}

impl From<CoreInfo> for KeyInfo {
    fn from(info: CoreInfo) -> Self {
        let kind = match info.kind {
            CoreKind::Passphrase => KeyKind::Passphrase,
            CoreKind::Provider => KeyKind::Provider,
            _ => KeyKind::Raw,
        };
        Self { slot: info.slot, kind, added_ms: info.added_ms }
    }
}

impl From<CoreReencryption> for Reencryption {
    fn from(reencryption: CoreReencryption) -> Self {
        let CoreReencryption { stage, done, all, waiting_for, .. } = reencryption;
        Self { stage: stage.name().to_owned(), done, all, waiting_for }
    }
}

/// What is asked of whoever keeps a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To encrypt a key of 32 bytes.
    Wrap,
    /// To give a key back that it has wrapped.
    Unwrap,
}

/// What it answers.
pub enum Answer {
    /// What was asked for.
    Given(Zeroizing<Vec<u8>>),
    /// It has not wrapped this.
    Missing,
    /// The device is locked, and keeps its keys to itself until it is unlocked. In words.
    Locked(String),
    /// It cannot. In words.
    Failed(String),
}

type Keeper = dyn Fn(Ask, &[u8]) -> Answer + Send + Sync;

/// Foreign code that keeps a key.
struct Provider(Box<Keeper>);

impl Provider {
    fn ask(&self, ask: Ask, given: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match (self.0)(ask, given) {
            Answer::Given(bytes) => Ok(Some(bytes)),
            Answer::Missing => Ok(None),
            Answer::Locked(text) => {
                Err(StorageError::new(StorageErrorKind::ProtectedData, FileId::Data, 0, 0, text).into())
            }
            Answer::Failed(text) => Err(refused(&text)),
        }
    }
}

fn refused(text: &str) -> Error {
    Error::WrongKey { what: format!("whoever keeps the key did not give it: {text}") }
}

impl KeyProvider for Provider {
    fn wrap(&self, key: &[u8; 32]) -> Result<Vec<u8>> {
        let wrapped = self.ask(Ask::Wrap, key)?.ok_or_else(|| refused("it wraps none"))?;
        Ok(wrapped.to_vec())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Option<[u8; 32]>> {
        let Some(key) = self.ask(Ask::Unwrap, wrapped)? else { return Ok(None) };
        match <[u8; 32]>::try_from(key.as_slice()) {
            Ok(key) => Ok(Some(key)),
            Err(_) => Err(refused(&format!("it gave {} bytes, where a key has 32", key.len()))),
        }
    }
}

/// A key of 32 bytes.
pub fn raw(bytes: &[u8]) -> Result<u64> {
    let mut key = <[u8; 32]>::try_from(bytes)
        .map_err(|_| invalid(format!("a raw key has 32 bytes, not {}; a text is a passphrase", bytes.len())))?;
    let made = EncryptionKey::raw(key);
    key.zeroize();
    insert(made)
}

/// A passphrase, as UTF-8.
pub fn passphrase(mut text: Zeroizing<Vec<u8>>) -> Result<u64> {
    if text.is_empty() {
        return Err(invalid("a passphrase is empty; give no key for a database that is not encrypted"));
    }
    // The text goes on in the same memory, which the key wipes.
    let text = String::from_utf8(std::mem::take(&mut *text)).map_err(|error| {
        error.into_bytes().zeroize();
        invalid("a passphrase is not UTF-8")
    })?;
    insert(EncryptionKey::passphrase(text))
}

/// A key that somebody keeps.
pub fn provider(keeper: impl Fn(Ask, &[u8]) -> Answer + Send + Sync + 'static) -> Result<u64> {
    insert(EncryptionKey::provider(Arc::new(Provider(Box::new(keeper)))))
}

/// It belongs to no database: whoever made it gives it up.
fn insert(key: EncryptionKey) -> Result<u64> {
    objects::insert(Owner::new(), Object::Key(key))
}

/// The key of a handle, where there must be one.
pub fn required(key: u64) -> Result<EncryptionKey> {
    objects::key(key)?.ok_or_else(|| invalid("no key was given"))
}

pub fn finish(database: &Database, listener: Option<&dyn ReencryptionListener>) -> Result<()> {
    database.finish_reencryption(&mut |progress| {
        if let Some(listener) = listener {
            listener.on_progress(progress.clone().into());
        }
    })
}

#[cfg(test)]
mod tests;
