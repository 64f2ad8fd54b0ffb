//! Key slots: the database's data key, wrapped once for each key that opens it.
//!
//! | bytes | field of the area |
//! |---|---|
//! | 1 | version: 1, or 2 |
//! | 1 | 1 if there are parameters of passphrases, else 0; then they follow: |
//! | 16, 4, 4 | · salt, memory in KiB, passes of Argon2id |
//! | 1 | number of slots, then for each: |
//! | 1 | · its number, below 8 |
//! | 1 | · kind: 1 raw key, 2 passphrase, 3 provider |
//! | 8 | · when it was made, milliseconds since 1970 |
//! | prefixed | · what the provider has wrapped; empty for others |
//! | 32 | · salt |
//! | 32 | · commitment |
//! | 48 | · the data key, sealed |
//!
//! An area with version 2 is of a database that was sealed anew, or is being so. Behind the slots it has:
//!
//! | bytes | |
//! |---|---|
//! | 2 | the generation of the data key: how often that was |
//! | 1 | 1 while something is sealed under the data key before, else 0; then there follow: |
//! | 32 | · salt |
//! | 48 | · that key, sealed |
//!
//! The data key before is sealed by a key that HKDF-SHA256 derives from the data key and the salt, with a nonce of zeros; associated data
//! are the database's id and the generation. So whoever opens the area has both, and who had only the old one has not the new.
//!
//! From the slot's key (the raw key, what Argon2id makes of the passphrase, what the provider unwraps) and the slot's salt HKDF-SHA256
//! derives a commitment and a wrapping key. The commitment is compared before anything is unwrapped: neither cipher commits to its key,
//! and without it one slot could be made up that many passphrases open. The wrapping key is used once, so its nonce is zero;
//! associated data are the database's id and the slot's fields before the sealed key.
//!
//! All passphrases share one salt, so a wrong one is told after one derivation, however many slots there are; who tries passphrases
//! tries each against at most eight slots at once.

use alloc::format;
use alloc::vec::Vec;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::aead::{DataKeys, Encryption};
use super::key::{EncryptionKey, PassphraseCost, Secret};
use crate::codec::bytes::{Reader, Writer};
use crate::env::Entropy;
use crate::error::{Error, Result};

/// Keys that one database may have.
pub(crate) const SLOTS_MAX: usize = 8;
/// The longest area: it shares a sector with its superblock.
pub(crate) const AREA_BYTES_MAX: usize = 3584;
const WRAPPED_BY_PROVIDER_MAX: usize = 512;
const VERSION: u8 = 1;
/// With generations of data keys.
const VERSION_RENEWED: u8 = 2;

/// Of which kind a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// 32 bytes.
    Raw,
    /// A passphrase.
    Passphrase,
    /// Somebody keeps it.
    Provider,
}

/// A key that opens a database, without anything secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Which of the eight slots it has: what [`remove_key`](crate::Database::remove_key) takes.
    pub slot: u8,
    /// Of which kind it is.
    pub kind: KeyKind,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    info: KeyInfo,
    by_provider: Vec<u8>,
    salt: [u8; 32],
    commitment: [u8; 32],
    sealed: [u8; 32],
    tag: [u8; 16],
}

/// All slots of a database. What can be read without a key, and tells nothing about one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyArea {
    passphrases: Option<([u8; 16], PassphraseCost)>,
    slots: Vec<Slot>,
    /// Of the data key in the slots.
    generation: u16,
    retired: Option<Retired>,
}

/// The data key before, sealed by the one in the slots.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Retired {
    salt: [u8; 32],
    sealed: [u8; 32],
    tag: [u8; 16],
}

/// What a slot belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Lock<'a> {
    pub encryption: Encryption,
    pub database_id: &'a [u8; 16],
}

impl KeyArea {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u8(if self.generation == 0 { VERSION } else { VERSION_RENEWED });
        out.put_u8(u8::from(self.passphrases.is_some()));
        if let Some((salt, cost)) = &self.passphrases {
            out.extend_from_slice(salt);
            out.put_u32(cost.memory_kib);
            out.put_u32(cost.passes);
        }
        out.put_u8(self.slots.len() as u8);
        for slot in &self.slots {
            slot.put_fields(&mut out);
            out.extend_from_slice(&slot.sealed);
            out.extend_from_slice(&slot.tag);
        }
        if self.generation > 0 {
            out.extend_from_slice(&self.generation.to_le_bytes());
            out.put_u8(u8::from(self.retired.is_some()));
            if let Some(Retired { salt, sealed, tag }) = &self.retired {
                out.extend_from_slice(salt);
                out.extend_from_slice(sealed);
                out.extend_from_slice(tag);
            }
        }
        out
    }

    /// `None` if it is malformed, or asks for more than anyone may.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if bytes.len() > AREA_BYTES_MAX || !matches!(version, VERSION | VERSION_RENEWED) {
            return None;
        }
        let passphrases = match reader.u8()? {
            0 => None,
            1 => {
                let salt = reader.bytes16()?;
                let cost = PassphraseCost { memory_kib: reader.u32()?, passes: reader.u32()? };
                cost.is_bounded().then_some(())?;
                Some((salt, cost))
            }
            _ => return None,
        };
        let count = usize::from(reader.u8()?);
        if count > SLOTS_MAX {
            return None;
        }
        let mut slots: Vec<Slot> = Vec::with_capacity(count);
        for _ in 0..count {
            let slot = Slot::decode(&mut reader)?;
            let is_next = slots.last().is_none_or(|before| before.info.slot < slot.info.slot);
            if !is_next || (slot.info.kind == KeyKind::Passphrase && passphrases.is_none()) {
                return None;
            }
            slots.push(slot);
        }
        let (mut generation, mut retired) = (0, None);
        if version == VERSION_RENEWED {
            generation = reader.u16().filter(|&generation| generation > 0)?;
            retired = match reader.u8()? {
                0 => None,
                1 => Some(Retired {
                    salt: *reader.take(32)?.first_chunk()?,
                    sealed: *reader.take(32)?.first_chunk()?,
                    tag: *reader.take(16)?.first_chunk()?,
                }),
                _ => return None,
            };
        }
        reader.is_empty().then_some(Self { passphrases, slots, generation, retired })
    }

    /// The keys, by slot.
    pub(crate) fn infos(&self) -> Vec<KeyInfo> {
        self.slots.iter().map(|slot| slot.info).collect()
    }

    /// The generation of the data key in the slots.
    pub(crate) fn generation(&self) -> u16 {
        self.generation
    }

    /// Whether anything may be sealed under the data key before.
    pub(crate) fn has_retired(&self) -> bool {
        self.retired.is_some()
    }

    /// The data keys, after one derivation at most.
    pub(crate) fn unlock(&self, lock: Lock<'_>, key: &EncryptionKey) -> Result<DataKeys> {
        let current = self.unlock_slot(lock, key)?;
        let retired = match &self.retired {
            None => None,
            Some(retired) => {
                let opened = retired.open(lock, self.generation, &current);
                Some(
                    opened
                        .ok_or_else(|| Error::WrongKey { what: "the data key before is damaged in its slot".into() })?,
                )
            }
        };
        Ok(DataKeys { generation: self.generation, current, retired })
    }

    /// An area for these data keys that this key alone opens.
    pub(crate) fn renewed(
        lock: Lock<'_>,
        keys: &DataKeys,
        key: &EncryptionKey,
        added_ms: u64,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let retired = match &keys.retired {
            None => None,
            Some(retired) => Some(Retired::seal(lock, keys.generation, &keys.current, retired, entropy)?),
        };
        let none = Self { generation: keys.generation, retired, ..Self::default() };
        Ok(none.with(lock, &keys.current, key, added_ms, entropy)?.0)
    }

    /// Nothing is sealed under the data key before.
    pub(crate) fn without_retired(&self) -> Self {
        Self { retired: None, ..self.clone() }
    }

    fn unlock_slot(&self, lock: Lock<'_>, key: &EncryptionKey) -> Result<Zeroizing<[u8; 32]>> {
        let of = |kind| self.slots.iter().filter(move |slot| slot.info.kind == kind);
        let found = match key.secret() {
            Secret::Raw(key) => of(KeyKind::Raw).find_map(|slot| slot.open(lock, key)),
            Secret::Passphrase(passphrase) => match &self.passphrases {
                Some((salt, cost)) if of(KeyKind::Passphrase).next().is_some() => {
                    let key = passphrase.key(salt, *cost)?;
                    of(KeyKind::Passphrase).find_map(|slot| slot.open(lock, &key))
                }
                _ => None,
            },
            Secret::Provider(provider) => {
                // Another provider's may be what it stumbles over.
                let (mut found, mut failed) = (None, None);
                for slot in of(KeyKind::Provider) {
                    match provider.unwrap(&slot.by_provider) {
                        Ok(key) => found = key.map(Zeroizing::new).and_then(|key| slot.open(lock, &key)),
                        Err(error) => failed = Some(error),
                    }
                    if found.is_some() {
                        break;
                    }
                }
                match (found, failed) {
                    (None, Some(error)) => return Err(error),
                    (found, _) => found,
                }
            }
        };
        found.ok_or_else(|| {
            let kinds = |kind| of(kind).count();
            let what = format!(
                "none of its keys ({} raw, {} passphrases, {} kept by others) is the one given",
                kinds(KeyKind::Raw),
                kinds(KeyKind::Passphrase),
                kinds(KeyKind::Provider)
            );
            Error::WrongKey { what }
        })
    }

    /// With one key more, which opens the same data key; and its slot.
    pub(crate) fn with(
        &self,
        lock: Lock<'_>,
        data_key: &[u8; 32],
        key: &EncryptionKey,
        added_ms: u64,
        entropy: &dyn Entropy,
    ) -> Result<(Self, u8)> {
        let mut area = self.clone();
        let free = (0..SLOTS_MAX as u8).find(|number| area.slots.iter().all(|slot| slot.info.slot != *number));
        let Some(number) = free else {
            let (value, limit) = (SLOTS_MAX as u64 + 1, SLOTS_MAX as u64);
            return Err(Error::LimitExceeded { what: "the number of keys of a database", value, limit });
        };
        let mut by_provider = Vec::new();
        let (kind, slot_key) = match key.secret() {
            Secret::Raw(key) => (KeyKind::Raw, key.clone()),
            Secret::Passphrase(passphrase) => {
                let cost = &passphrase.cost;
                if passphrase.is_empty() {
                    return Err(Error::invalid("an empty passphrase protects nothing"));
                }
                // Others depend on the parameters that are there.
                let is_first = area.slots.iter().all(|slot| slot.info.kind != KeyKind::Passphrase);
                if is_first {
                    if !cost.is_bounded() {
                        let what = "a passphrase takes 64 to 1 048 576 KiB of memory and 1 to 16 passes";
                        return Err(Error::invalid(what));
                    }
                    let mut salt = [0; 16];
                    entropy.fill(&mut salt);
                    area.passphrases = Some((salt, *cost));
                }
                let Some((salt, cost)) = &area.passphrases else {
                    return Err(Error::invalid("the parameters of passphrases are missing"));
                };
                (KeyKind::Passphrase, passphrase.key(salt, *cost)?)
            }
            Secret::Provider(provider) => {
                let mut key = Zeroizing::new([0; 32]);
                if let Some((drawn, wrapped)) = provider.wrapped_before() {
                    (*key, by_provider) = (drawn, wrapped);
                } else {
                    entropy.fill_key(&mut *key)?;
                    by_provider = provider.wrap(&key)?;
                }
                if by_provider.len() > WRAPPED_BY_PROVIDER_MAX {
                    let (value, limit) = (by_provider.len() as u64, WRAPPED_BY_PROVIDER_MAX as u64);
                    return Err(Error::LimitExceeded { what: "bytes of a key wrapped by a provider", value, limit });
                }
                (KeyKind::Provider, key)
            }
        };
        let info = KeyInfo { slot: number, kind, added_ms };
        let slot = Slot::seal(lock, info, by_provider, &slot_key, data_key, entropy)?;
        let at = area.slots.partition_point(|slot| slot.info.slot < number);
        area.slots.insert(at, slot);
        let bytes = area.encode().len();
        if bytes > AREA_BYTES_MAX {
            let (value, limit) = (bytes as u64, AREA_BYTES_MAX as u64);
            return Err(Error::LimitExceeded { what: "bytes of all keys of a database", value, limit });
        }
        Ok((area, number))
    }

    /// Without the key in this slot, if others are left.
    pub(crate) fn without(&self, number: u8) -> Result<Self> {
        let mut area = self.clone();
        area.slots.retain(|slot| slot.info.slot != number);
        if area.slots.len() == self.slots.len() {
            return Err(Error::Invalid { what: format!("there is no key in slot {number}") });
        }
        if area.slots.is_empty() {
            return Err(Error::invalid("the last key stays: without it nobody could open the database again"));
        }
        if area.slots.iter().all(|slot| slot.info.kind != KeyKind::Passphrase) {
            area.passphrases = None;
        }
        Ok(area)
    }
}

impl Retired {
    fn seal(
        lock: Lock<'_>,
        generation: u16,
        current: &[u8; 32],
        before: &[u8; 32],
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        let mut sealed = Zeroizing::new(*before);
        let wrapping = Self::wrapping(current, &salt);
        let tag = lock.encryption.keyed(&wrapping).seal([0; 12], &Self::aad(lock, generation), &mut *sealed);
        let Some(tag) = tag else { return Err(Error::invalid("the key cannot be wrapped")) };
        Ok(Self { salt, sealed: *sealed, tag })
    }

    fn open(&self, lock: Lock<'_>, generation: u16, current: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new(self.sealed);
        let wrapping = Self::wrapping(current, &self.salt);
        let opened = lock.encryption.keyed(&wrapping).open([0; 12], &Self::aad(lock, generation), &mut *key, &self.tag);
        opened.then_some(key)
    }

    fn wrapping(current: &[u8; 32], salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        let mut wrapping = Zeroizing::new([0; 32]);
        // 32 bytes are one block of the hash: there is no error.
        let _ = Hkdf::<Sha256>::new(Some(salt), current).expand(b"lightning-db retired", &mut *wrapping);
        wrapping
    }

    fn aad(lock: Lock<'_>, generation: u16) -> Vec<u8> {
        [&lock.database_id[..], &generation.to_le_bytes()].concat()
    }
}

impl Slot {
    /// What comes before the sealed key, and is authenticated with it.
    fn put_fields(&self, out: &mut Vec<u8>) {
        out.put_u8(self.info.slot);
        out.put_u8(match self.info.kind {
            KeyKind::Raw => 1,
            KeyKind::Passphrase => 2,
            KeyKind::Provider => 3,
        });
        out.put_u64(self.info.added_ms);
        out.put_prefixed(&self.by_provider);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.commitment);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let slot = reader.u8().filter(|&slot| usize::from(slot) < SLOTS_MAX)?;
        let kind = match reader.u8()? {
            1 => KeyKind::Raw,
            2 => KeyKind::Passphrase,
            3 => KeyKind::Provider,
            _ => return None,
        };
        let added_ms = reader.u64()?;
        let by_provider = reader.prefixed().filter(|bytes| bytes.len() <= WRAPPED_BY_PROVIDER_MAX)?.to_vec();
        Some(Self {
            info: KeyInfo { slot, kind, added_ms },
            by_provider,
            salt: *reader.take(32)?.first_chunk()?,
            commitment: *reader.take(32)?.first_chunk()?,
            sealed: *reader.take(32)?.first_chunk()?,
            tag: *reader.take(16)?.first_chunk()?,
        })
    }

    fn seal(
        lock: Lock<'_>,
        info: KeyInfo,
        by_provider: Vec<u8>,
        slot_key: &[u8; 32],
        data_key: &[u8; 32],
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        let (commitment, wrapping) = split_key(slot_key, &salt, lock);
        let mut slot = Self { info, by_provider, salt, commitment, sealed: [0; 32], tag: [0; 16] };
        let mut sealed = Zeroizing::new(*data_key);
        let tag = lock.encryption.keyed(&wrapping).seal([0; 12], &slot.aad(lock), &mut *sealed);
        let Some(tag) = tag else { return Err(Error::invalid("the key cannot be wrapped")) };
        (slot.sealed, slot.tag) = (*sealed, tag);
        Ok(slot)
    }

    /// The data key, if this is the slot's key.
    fn open(&self, lock: Lock<'_>, slot_key: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let (commitment, wrapping) = split_key(slot_key, &self.salt, lock);
        // Both are public: what differs tells nothing that the file does not.
        if commitment != self.commitment {
            return None;
        }
        let mut key = Zeroizing::new(self.sealed);
        lock.encryption.keyed(&wrapping).open([0; 12], &self.aad(lock), &mut *key, &self.tag).then_some(key)
    }

    fn aad(&self, lock: Lock<'_>) -> Vec<u8> {
        let mut aad = lock.database_id.to_vec();
        self.put_fields(&mut aad);
        aad
    }
}

/// The commitment to a slot's key, and the key that wraps.
fn split_key(slot_key: &[u8; 32], salt: &[u8; 32], lock: Lock<'_>) -> ([u8; 32], Zeroizing<[u8; 32]>) {
    let hkdf = Hkdf::<Sha256>::new(Some(salt), slot_key);
    let (mut commitment, mut wrapping) = ([0; 32], Zeroizing::new([0; 32]));
    // 32 bytes are one block of the hash: there is no error.
    let _ = hkdf.expand_multi_info(&[b"lightning-db commitment", lock.database_id], &mut commitment);
    let _ = hkdf.expand_multi_info(&[b"lightning-db wrapping", lock.database_id], &mut *wrapping);
    (commitment, wrapping)
}

/// Decodes a key area: it has one form, and a key that is tried on it opens nothing that was not sealed for it.
#[cfg(feature = "testing")]
pub fn key_area(bytes: &[u8]) {
    let Some(area) = KeyArea::decode(bytes) else { return };
    assert_eq!(area.encode(), bytes, "a key area has one form");
    assert!(area.infos().len() <= SLOTS_MAX);
    let lock = Lock { encryption: Encryption::Aes256Gcm, database_id: &[7; 16] };
    let _ = area.unlock(lock, &EncryptionKey::raw([5; 32]));
}

/// Seeds for [`key_area`].
#[cfg(feature = "testing")]
pub(crate) fn key_area_seed() -> Vec<u8> {
    let lock = Lock { encryption: Encryption::Aes256Gcm, database_id: &[7; 16] };
    let cost = PassphraseCost { memory_kib: 64, passes: 1 };
    let keys = [EncryptionKey::raw([5; 32]), EncryptionKey::passphrase_with("seed", cost)];
    let entropy = crate::env::SeededEntropy::new(1);
    let with = |area: KeyArea, key| area.with(lock, &[3; 32], key, 1000, &entropy).map_or(area, |(area, _)| area);
    let [current, retired] = [[3; 32], [2; 32]].map(Zeroizing::new);
    let renewed = DataKeys { generation: 2, current, retired: Some(retired) };
    let area = KeyArea::renewed(lock, &renewed, &EncryptionKey::raw([6; 32]), 1000, &entropy);
    keys.iter().fold(area.unwrap_or_default(), with).encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SeededEntropy;
    use alloc::sync::Arc;
    use alloc::vec;

    const ID: [u8; 16] = [9; 16];
    const LOCK: Lock<'_> = Lock { encryption: Encryption::Aes256Gcm, database_id: &ID };
    const CHEAP: PassphraseCost = PassphraseCost { memory_kib: 64, passes: 1 };

    /// Wraps by a secret of its own.
    struct Keeper(u8);

    impl super::super::KeyProvider for Keeper {
        fn wrap(&self, key: &[u8; 32]) -> Result<Vec<u8>> {
            let mut wrapped = vec![self.0];
            wrapped.extend(key.iter().map(|byte| byte ^ self.0));
            Ok(wrapped)
        }

        fn unwrap(&self, wrapped: &[u8]) -> Result<Option<[u8; 32]>> {
            let Some((mark, rest)) = wrapped.split_first() else { return Ok(None) };
            let Some(rest) = rest.first_chunk::<32>().filter(|_| *mark == self.0) else { return Ok(None) };
            Ok(Some(rest.map(|byte| byte ^ self.0)))
        }
    }

    fn keys() -> [EncryptionKey; 3] {
        [
            EncryptionKey::raw([5; 32]),
            EncryptionKey::passphrase_with("correct horse", CHEAP),
            EncryptionKey::provider(Arc::new(Keeper(0x55))),
        ]
    }

    fn wrong() -> [EncryptionKey; 3] {
        [
            EncryptionKey::raw([6; 32]),
            EncryptionKey::passphrase_with("battery staple", CHEAP),
            EncryptionKey::provider(Arc::new(Keeper(0x56))),
        ]
    }

    fn area(keys: &[EncryptionKey]) -> KeyArea {
        let entropy = SeededEntropy::new(1);
        keys.iter().fold(KeyArea::default(), |area, key| area.with(LOCK, &[3; 32], key, 77, &entropy).unwrap().0)
    }

    #[test]
    fn each_kind_of_key_opens_its_slot_and_no_other_key_any() {
        let area = area(&keys());
        let area = KeyArea::decode(&area.encode()).unwrap();
        assert_eq!(
            area.infos().iter().map(|info| (info.slot, info.added_ms)).collect::<Vec<_>>(),
            [(0, 77), (1, 77), (2, 77)]
        );
        for key in keys() {
            assert_eq!(*area.unlock(LOCK, &key).unwrap().current, [3; 32], "{key:?}");
        }
        for key in wrong() {
            let error = area.unlock(LOCK, &key).unwrap_err();
            assert!(matches!(error, Error::WrongKey { .. }), "{error}");
        }
        for (number, key) in (0..).zip(keys()) {
            assert!(matches!(area.without(number).unwrap().unlock(LOCK, &key), Err(Error::WrongKey { .. })));
        }
        let elsewhere = Lock { database_id: &[1; 16], ..LOCK };
        assert!(keys().iter().all(|key| area.unlock(elsewhere, key).is_err()), "slots of another database");
    }

    /// Cannot wrap while it is waited for.
    struct Later([u8; 32]);

    impl super::super::KeyProvider for Later {
        fn wrap(&self, _: &[u8; 32]) -> Result<Vec<u8>> {
            Err(Error::invalid("nobody is there to wrap it"))
        }

        fn unwrap(&self, wrapped: &[u8]) -> Result<Option<[u8; 32]>> {
            Ok((wrapped == b"wrapped").then_some(self.0))
        }

        fn wrapped_before(&self) -> Option<([u8; 32], Vec<u8>)> {
            Some((self.0, b"wrapped".to_vec()))
        }
    }

    #[test]
    fn a_key_that_was_wrapped_before_is_taken() {
        let [own, other] = [7, 8].map(|byte| EncryptionKey::provider(Arc::new(Later([byte; 32]))));
        let area = area(core::slice::from_ref(&own));
        assert_eq!(*area.unlock(LOCK, &own).unwrap().current, [3; 32]);
        assert!(matches!(area.unlock(LOCK, &other), Err(Error::WrongKey { .. })));
    }

    #[test]
    fn every_byte_of_a_slot_is_proven() {
        let raw = &keys()[..1];
        let area = area(raw);
        let bytes = area.encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let opened = KeyArea::decode(&damaged).and_then(|area| area.unlock(LOCK, &raw[0]).ok());
            assert!(opened.is_none(), "byte {at}");
        }
        for len in 0..bytes.len() {
            assert_eq!(KeyArea::decode(&bytes[..len]), None);
        }
    }

    #[test]
    fn an_area_of_two_generations_gives_both_keys_and_every_byte_of_it_is_proven() {
        let entropy = SeededEntropy::new(1);
        let [current, retired] = [[4; 32], [3; 32]].map(Zeroizing::new);
        let both = DataKeys { generation: 7, current, retired: Some(retired) };
        let key = EncryptionKey::raw([5; 32]);
        let area = KeyArea::renewed(LOCK, &both, &key, 77, &entropy).unwrap();
        let bytes = area.encode();
        let decoded = KeyArea::decode(&bytes).unwrap();
        assert_eq!((decoded.generation(), decoded.has_retired(), decoded.infos().len()), (7, true, 1));
        assert!(decoded.unlock(LOCK, &key).unwrap() == both);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let opened = KeyArea::decode(&damaged).and_then(|area| area.unlock(LOCK, &key).ok());
            assert!(opened.is_none(), "byte {at}");
        }
        let alone = KeyArea::decode(&area.without_retired().encode()).unwrap();
        assert!(alone.unlock(LOCK, &key).unwrap() == DataKeys { retired: None, ..both });
    }

    #[test]
    fn what_a_file_may_ask_of_whoever_tries_a_passphrase_is_bounded() {
        let bytes = area(&keys()[1..2]).encode();
        for (at, value) in [(18, 100 << 20), (18, 0), (22, u32::MAX), (22, 0)] {
            let mut asks = bytes.clone();
            asks[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            assert_eq!(KeyArea::decode(&asks), None, "{value} at {at}");
        }
        let entropy = SeededEntropy::new(1);
        let costly = EncryptionKey::passphrase_with("x", PassphraseCost { memory_kib: 100 << 20, passes: 1 });
        assert!(KeyArea::default().with(LOCK, &[3; 32], &costly, 0, &entropy).is_err());
        assert!(KeyArea::default().with(LOCK, &[3; 32], &EncryptionKey::passphrase(""), 0, &entropy).is_err());
    }

    #[test]
    fn there_are_eight_slots_and_the_last_key_stays() {
        let entropy = SeededEntropy::new(1);
        let mut full = area(&(0..SLOTS_MAX as u8).map(|n| EncryptionKey::raw([n; 32])).collect::<Vec<_>>());
        assert!(matches!(
            full.with(LOCK, &[3; 32], &EncryptionKey::raw([99; 32]), 0, &entropy),
            Err(Error::LimitExceeded { .. })
        ));
        full = full.without(3).unwrap();
        assert_eq!(
            full.with(LOCK, &[3; 32], &EncryptionKey::raw([99; 32]), 0, &entropy).unwrap().1,
            3,
            "the free slot"
        );
        for number in [0, 1, 2, 4, 5, 6] {
            full = full.without(number).unwrap();
        }
        assert!(full.without(7).is_err() && full.without(0).is_err());
    }

    #[test]
    fn nothing_that_is_printed_shows_a_secret() {
        let text = format!("{:?} {:?}", keys(), area(&keys()));
        assert!(!text.contains("correct horse") && !text.contains("5, 5, 5, 5"), "{text}");
    }
}
