//! Increments of an encrypted database. Behind the header stand the cipher, one byte (1 AES-256-GCM, 2 ChaCha20-Poly1305), and the
//! key slots of the database, so that an increment opens by itself. The body of each record is sealed: its length in 4 bytes, the
//! body, and zeros up to a multiple of 64; bound to its number in the file, its kind, the commit that the increment goes on after, and
//! the tag of the record before. The fields of the last record stand open behind its tag, which covers them: an archive is chosen from by what
//! they say.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::header::Place;
use super::{BODY_BYTES_MAX, END_BYTES, Kind};
use crate::codec::bytes::{Reader, Writer};
use crate::codec::cipher::{Cipher, Encryption, EncryptionKey, Envelope, KeyArea, Lock, SEALED_BYTES, TAG_BYTES, Unit};
use crate::error::{Error, Result};

/// What is sealed in one record at most: with its length and the zeros a body is no longer than others.
pub(super) const PIECE_BYTES_MAX: usize = BODY_BYTES_MAX - SEALED_BYTES - PADDED_TO - 4;
/// No cipher and slots are longer.
pub(super) const KEYS_BYTES_MAX: usize = 4096;
const PADDED_TO: usize = 64;

/// What opens an increment.
#[derive(Clone, Debug, Default)]
pub(crate) enum Opener {
    /// Nothing does: it must not be sealed.
    #[default]
    Nothing,
    /// The database that it is brought to is open; and what that was opened with, for an increment under a data key that it has not.
    Database(Envelope, Option<EncryptionKey>),
    /// One of its keys.
    #[cfg_attr(
        not(all(feature = "std", any(unix, windows))),
        allow(dead_code, reason = "only files are looked at without their database")
    )]
    Key(EncryptionKey),
}

/// Seals the records of one increment, or opens them.
#[derive(Debug)]
pub(super) struct Records {
    cipher: Arc<Cipher>,
    after: Place,
    number: u64,
    /// The tag of the record before.
    previous: [u8; TAG_BYTES],
}

impl Records {
    pub(super) fn new(cipher: Arc<Cipher>, after: Place) -> Self {
        Self { cipher, after, number: 0, previous: [0; TAG_BYTES] }
    }

    /// Of an increment with these keys behind its header; `None` where it has none.
    pub(super) fn open_with(opener: &Opener, id: &[u8; 16], after: Place, keys: &[u8]) -> Result<Option<Self>> {
        let opened = |cipher: &Arc<Cipher>| Ok(Some(Self::new(Arc::clone(cipher), after)));
        match opener {
            Opener::Nothing | Opener::Database(Envelope::Plain, _) if keys.is_empty() => Ok(None),
            Opener::Nothing | Opener::Database(Envelope::Plain, _) => {
                Err(Error::WrongKey { what: "the increment is encrypted, and no key was given".into() })
            }
            _ if keys.is_empty() => {
                Err(Error::WrongKey { what: "a key was given, but the increment is not encrypted".into() })
            }
            Opener::Database(Envelope::Sealed(cipher), key) => {
                let (encryption, area) = decode_keys(keys)?;
                match key {
                    Some(key) if !cipher.knows(area.generation()) => {
                        opened(&Arc::new(Self::unlocked(encryption, &area, id, key)?))
                    }
                    _ => opened(cipher),
                }
            }
            Opener::Key(key) => {
                let (encryption, area) = decode_keys(keys)?;
                opened(&Arc::new(Self::unlocked(encryption, &area, id, key)?))
            }
        }
    }

    fn unlocked(encryption: Encryption, area: &KeyArea, id: &[u8; 16], key: &EncryptionKey) -> Result<Cipher> {
        let data_keys = area.unlock(Lock { encryption, database_id: id }, key)?;
        // Nothing is sealed in this session.
        Ok(Cipher::new(encryption, *id, data_keys, &crate::env::SeededEntropy::new(0)))
    }

    /// The body of the next record.
    pub(super) fn seal(&mut self, kind: Kind, body: &[&[u8]]) -> Vec<u8> {
        let (open, plain) = match kind {
            Kind::End => (body.concat(), Vec::new()),
            _ => (Vec::new(), padded(body)),
        };
        let mut sealed = self.cipher.seal_whole(Unit::Increment, self.number, &self.clear(kind, &open), &plain);
        self.pass(&sealed);
        sealed.extend_from_slice(&open);
        sealed
    }

    /// The body of the next record, if it is that.
    pub(super) fn open(&mut self, kind: Kind, stored: &[u8]) -> Option<Vec<u8>> {
        let open_bytes = if kind == Kind::End { END_BYTES } else { 0 };
        let (sealed, open) = stored.split_at_checked(stored.len().checked_sub(open_bytes)?)?;
        let mut plain = self.cipher.open_whole(Unit::Increment, self.number, &self.clear(kind, open), sealed)?;
        self.pass(sealed);
        if kind == Kind::End {
            return plain.is_empty().then(|| open.to_vec());
        }
        let mut reader = Reader::new(&plain);
        let len = reader.u32().map(|len| len as usize).filter(|&len| len <= reader.remaining())?;
        plain.truncate(4 + len);
        plain.drain(..4);
        Some(plain)
    }

    fn pass(&mut self, sealed: &[u8]) {
        self.number += 1;
        if let Some(tag) = sealed.last_chunk() {
            self.previous = *tag;
        }
    }

    /// What a record is bound to, and what of it stands open.
    fn clear(&self, kind: Kind, open: &[u8]) -> Vec<u8> {
        let Place { incarnation, sequence } = self.after;
        [&incarnation.to_le_bytes()[..], &sequence.to_le_bytes(), &[kind as u8], &self.previous, open].concat()
    }
}

/// The body behind its length, and zeros that tell nothing of that.
fn padded(body: &[&[u8]]) -> Vec<u8> {
    let len: usize = body.iter().map(|part| part.len()).sum();
    let mut plain = Vec::with_capacity((4 + len).next_multiple_of(PADDED_TO));
    plain.put_u32(len as u32);
    body.iter().for_each(|part| plain.extend_from_slice(part));
    plain.resize(plain.len().next_multiple_of(PADDED_TO), 0);
    plain
}

/// The cipher and the keys that stand behind the header.
fn decode_keys(keys: &[u8]) -> Result<(Encryption, KeyArea)> {
    let damaged = || Error::DamagedBackup { offset: 0, what: String::from("its keys are malformed") };
    let (code, area) = keys.split_first().ok_or_else(damaged)?;
    Ok((Encryption::from_code(*code).ok_or_else(damaged)?, KeyArea::decode(area).ok_or_else(damaged)?))
}

/// What stands behind the header.
pub(super) fn encode_keys(cipher: &Cipher, keys: &KeyArea) -> Vec<u8> {
    let mut out = Vec::from([cipher.encryption().code()]);
    out.extend(keys.encode());
    out
}
