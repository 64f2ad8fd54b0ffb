//! What an application opens an encrypted database with.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::env::sync::{MaybeSendSync, Mutex};
use crate::error::{Error, Result};

/// A key that opens an encrypted database: 32 bytes, a passphrase, or somebody who keeps a key. It is wiped from memory when
/// the last clone is dropped, and `Debug` shows only of which kind it is.
#[derive(Clone)]
pub struct EncryptionKey(Arc<Secret>);

pub(super) enum Secret {
    Raw(Zeroizing<[u8; 32]>),
    Passphrase(Passphrase),
    Provider(Arc<dyn KeyProvider>),
}

pub(super) struct Passphrase {
    text: Zeroizing<Vec<u8>>,
    /// Should it be the database's first.
    pub(super) cost: PassphraseCost,
    /// An opening that lacks bytes is run again, and does not derive again.
    last: Mutex<Option<Derived>>,
}

/// The key that a passphrase gives with these parameters.
struct Derived {
    salt: [u8; 16],
    cost: PassphraseCost,
    key: Zeroizing<[u8; 32]>,
}

/// What trying one passphrase costs: the parameters of Argon2id (RFC 9106). They are stored in the file when the first passphrase
/// is given to a database; those that are there count when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory in KiB: 64 to 1 048 576.
    pub memory_kib: u32,
    /// Passes over it: 1 to 16.
    pub passes: u32,
}

impl Default for PassphraseCost {
    /// 64 MiB, three passes: what RFC 9106 recommends where there is no room for 2 GiB.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3 }
    }
}

impl PassphraseCost {
    /// Whether a file may ask for this: not more than 1 GiB, nor for minutes.
    pub(super) fn is_bounded(self) -> bool {
        (64..=1 << 20).contains(&self.memory_kib) && (1..=16).contains(&self.passes)
    }
}

/// Somebody who keeps a key and gives it to nobody: a Keychain, an Android Keystore, a key management service.
///
/// The database draws a key of 32 bytes for the provider to wrap, keeps what it gives back, and asks to unwrap that at each
/// opening.
pub trait KeyProvider: MaybeSendSync {
    /// Encrypts `key` so that only [`unwrap`](Self::unwrap) gives it back: at most 512 bytes.
    fn wrap(&self, key: &[u8; 32]) -> Result<Vec<u8>>;

    /// The key of `wrapped`; `None` if it is not one that this provider has wrapped.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Option<[u8; 32]>>;

    /// A key of 32 bytes that nobody can guess and nothing else has, and what wrapping it gave: for whoever cannot wrap one while it is
    /// waited for. [`wrap`](Self::wrap) is then not asked.
    fn wrapped_before(&self) -> Option<([u8; 32], Vec<u8>)> {
        None
    }
}

impl EncryptionKey {
    /// 32 bytes that nobody can guess. A short text is not a key: see [`passphrase`](Self::passphrase).
    pub fn raw(mut key: [u8; 32]) -> Self {
        let secret = Secret::Raw(Zeroizing::new(key));
        key.zeroize();
        Self(Arc::new(secret))
    }

    /// A passphrase, from which Argon2id derives the key.
    pub fn passphrase(text: impl Into<String>) -> Self {
        Self::passphrase_with(text, PassphraseCost::default())
    }

    /// A passphrase that costs this to try, should it be the database's first.
    pub fn passphrase_with(text: impl Into<String>, cost: PassphraseCost) -> Self {
        let text = Zeroizing::new(text.into().into_bytes());
        Self(Arc::new(Secret::Passphrase(Passphrase { text, cost, last: Mutex::default() })))
    }

    /// Somebody who keeps the key.
    pub fn provider(provider: Arc<dyn KeyProvider>) -> Self {
        Self(Arc::new(Secret::Provider(provider)))
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Secret::Raw(_) => "EncryptionKey::raw(..)",
            Secret::Passphrase(_) => "EncryptionKey::passphrase(..)",
            Secret::Provider(_) => "EncryptionKey::provider(..)",
        })
    }
}

/// Whether they are clones of one key: secrets are not compared.
impl PartialEq for EncryptionKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EncryptionKey {}

impl Passphrase {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Its key, with these parameters.
    pub(super) fn key(&self, salt: &[u8; 16], cost: PassphraseCost) -> Result<Zeroizing<[u8; 32]>> {
        if let Some(last) = &*self.last.lock()
            && (last.salt, last.cost) == (*salt, cost)
        {
            return Ok(last.key.clone());
        }
        let key = derive(&self.text, salt, cost)?;
        *self.last.lock() = Some(Derived { salt: *salt, cost, key: key.clone() });
        Ok(key)
    }
}

/// The key of a passphrase.
fn derive(text: &[u8], salt: &[u8; 16], cost: PassphraseCost) -> Result<Zeroizing<[u8; 32]>> {
    let refused =
        || Error::invalid("the passphrase cannot be tried: its parameters are impossible, or there is no memory");
    let params = argon2::Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(|_| refused())?;
    // The last of them give the key.
    let mut blocks = Zeroizing::new(Vec::new());
    blocks.try_reserve_exact(params.block_count()).map_err(|_| refused())?;
    blocks.resize(params.block_count(), argon2::Block::default());
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut key = Zeroizing::new([0; 32]);
    argon2.hash_password_into_with_memory(text, salt, &mut *key, blocks.as_mut_slice()).map_err(|_| refused())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_that_is_tried_again_is_not_derived_again() {
        let cost = PassphraseCost { memory_kib: 64, passes: 1 };
        let key = EncryptionKey::passphrase_with("correct horse", cost);
        let Secret::Passphrase(passphrase) = key.secret() else { panic!("it is another kind") };
        let first = passphrase.key(&[1; 16], cost).unwrap();
        assert_eq!(first, derive(b"correct horse", &[1; 16], cost).unwrap());
        // As nothing would be derived.
        *passphrase.last.lock() = Some(Derived { salt: [1; 16], cost, key: Zeroizing::new([9; 32]) });
        assert_eq!(*passphrase.key(&[1; 16], cost).unwrap(), [9; 32]);
        let costlier = PassphraseCost { passes: 2, ..cost };
        assert_eq!(passphrase.key(&[1; 16], costlier), derive(b"correct horse", &[1; 16], costlier));
        assert_eq!(passphrase.key(&[2; 16], cost), derive(b"correct horse", &[2; 16], cost));
    }
}
