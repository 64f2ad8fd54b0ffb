//! The two superblocks: where everything else is found. Checkpoint *c* is written to slot *c* mod 2.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

#[cfg(feature = "encryption")]
use super::map::GRAIN_BYTES;
use super::map::{Extent, SECTOR_BYTES};
use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::{Checksum, Digest, crc32};
use crate::codec::cipher::Proof;
#[cfg(feature = "encryption")]
use crate::codec::cipher::{Cipher, Encryption, KeyArea, Nonce, TAG_BYTES, Unit, generation_of, take_nonce};
use crate::codec::compress::Compression;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::testing::Mutant;

const MAGIC: [u8; 8] = *b"LightnDB";
/// Format 0 is free to change between builds.
const FORMAT_VERSION: u32 = 0;
/// All fields lie in the first 512 bytes, the unit that is never torn inside.
const ENCODED_LEN: usize = 256;

/// No segment of a log is shorter, and all are whole sectors.
const LOG_SEGMENT_BYTES_MIN: u32 = 64 << 10;

/// Where the length of the file is, behind the longest checksum.
const FILE_BYTES_AT: usize = 112 + Digest::WIDTH_MAX;

const ENCRYPTION_REMEDY: &str =
    "open it with its key: option 'encryption' in JavaScript; in Rust the feature 'encryption' is needed, too";

/// Where the nonces and the tag of an encrypted database's superblock are.
#[cfg(feature = "encryption")]
const RECORD_NONCE_AT: usize = FILE_BYTES_AT + 8;
/// What its tag covers, beside the key slots.
#[cfg(feature = "encryption")]
const AUTHENTICATED: usize = RECORD_NONCE_AT + 24;

/// Bits for what a reader must understand to open the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features(pub u64);

impl Features {
    pub(crate) const LZ4: u64 = 1;
    pub(crate) const ZSTD: u64 = 1 << 1;
    pub(crate) const BLAKE3: u64 = 1 << 2;
    pub(crate) const AES: u64 = 1 << 3;
    pub(crate) const CHACHA: u64 = 1 << 4;
    /// Each with its name, whether this build has it, and what to do if not.
    const KNOWN: [(u64, &'static str, bool, &'static str); 5] = [
        (Self::LZ4, "LZ4 compression", true, ""),
        (
            Self::ZSTD,
            "Zstandard compression",
            cfg!(feature = "zstd"),
            "build lightning-db with the feature 'zstd', or export the data where that is on and import it here",
        ),
        (
            Self::BLAKE3,
            "BLAKE3 checksums",
            cfg!(feature = "blake3"),
            "build lightning-db with the feature 'blake3', or export the data where that is on and import it here",
        ),
        (Self::AES, "AES-256-GCM encryption", cfg!(feature = "encryption"), ENCRYPTION_REMEDY),
        (Self::CHACHA, "ChaCha20-Poly1305 encryption", cfg!(feature = "encryption"), ENCRYPTION_REMEDY),
    ];

    /// Of a new database.
    pub(crate) fn new(compression: Compression, checksum: Checksum) -> Self {
        let compression = match compression {
            Compression::None => 0,
            Compression::Lz4 => Self::LZ4,
            #[cfg(feature = "zstd")]
            Compression::Zstd => Self::ZSTD,
        };
        let checksum = match checksum {
            Checksum::Crc32 => 0,
            #[cfg(feature = "blake3")]
            Checksum::Blake3 => Self::BLAKE3,
            #[cfg(feature = "encryption")]
            Checksum::Tag => 0,
        };
        Self(compression | checksum)
    }

    /// Of a new database that is encrypted so. Its tags take the place of any checksum.
    #[cfg(feature = "encryption")]
    pub(crate) fn encrypted(self, encryption: Encryption) -> Self {
        let bit = match encryption {
            Encryption::Aes256Gcm => Self::AES,
            Encryption::ChaCha20Poly1305 => Self::CHACHA,
        };
        Self(self.0 & !Self::BLAKE3 | bit)
    }

    /// How everything is sealed, if it is.
    #[cfg(feature = "encryption")]
    pub(crate) fn encryption(self) -> Option<Encryption> {
        match self.0 & (Self::AES | Self::CHACHA) {
            0 => None,
            Self::CHACHA => Some(Encryption::ChaCha20Poly1305),
            _ => Some(Encryption::Aes256Gcm),
        }
    }

    /// How leaves are written.
    pub(crate) fn compression(self) -> Compression {
        match self.0 & (Self::LZ4 | Self::ZSTD) {
            0 => Compression::None,
            #[cfg(feature = "zstd")]
            bits if bits & Self::ZSTD != 0 => Compression::Zstd,
            _ => Compression::Lz4,
        }
    }

    /// What proves nodes and values.
    pub(crate) fn checksum(self) -> Checksum {
        #[cfg(feature = "encryption")]
        if self.encryption().is_some() {
            return Checksum::Tag;
        }
        match self.0 & Self::BLAKE3 {
            #[cfg(feature = "blake3")]
            Self::BLAKE3 => Checksum::Blake3,
            _ => Checksum::Crc32,
        }
    }

    fn require_known(self) -> Result<()> {
        let mut unknown = self.0;
        for (bit, what, available, remedy) in Self::KNOWN {
            unknown &= !bit;
            if self.0 & bit != 0 && !available {
                return Err(Error::Unsupported { what: String::from(what), remedy });
            }
        }
        if (self.0 & (Self::AES | Self::CHACHA | Self::BLAKE3)).count_ones() > 1 {
            return Err(Error::Unsupported {
                what: format!("a contradiction (feature bits {:#x})", self.0),
                remedy: "restore the file from a backup",
            });
        }
        if unknown != 0 {
            return Err(Error::Unsupported {
                what: format!("a feature of a newer version (bits {unknown:#x})"),
                remedy: "open the file with a newer version of Lightning DB",
            });
        }
        Ok(())
    }
}

/// The root of everything durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Drawn when the database was made; every checksum of the log covers it.
    pub database_id: [u8; 16],
    /// What a reader must understand.
    pub features: Features,
    /// Drawn at every recovery without a clean close, and at every restore.
    pub incarnation: u64,
    /// The incarnation before, and the sequence at which this one left it.
    pub parent: (u64, u64),
    /// Counts superblocks written; the higher valid one is opened.
    pub checkpoint: u64,
    /// Every commit up to here is in the trees.
    pub sequence: u64,
    /// Wall clock when the database was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The log may be absent: everything is in this file.
    pub clean: bool,
    /// Bytes of one log segment.
    pub segment_bytes: u32,
    /// Where the checkpoint record lies, and what proves it.
    pub record: (Extent, Proof),
    /// Length of the data file in bytes when this was written.
    pub file_bytes: u64,
    /// Of an encrypted database.
    #[cfg(feature = "encryption")]
    pub key_block: Option<KeyBlock>,
}

/// What a superblock has beside if its database is encrypted.
#[cfg(feature = "encryption")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyBlock {
    /// The keys that open it.
    pub keys: KeyArea,
    /// Nonce and tag of the superblock itself, which is in clear.
    own: (Nonce, [u8; TAG_BYTES]),
}

#[cfg(feature = "encryption")]
impl KeyBlock {
    pub(crate) fn new(keys: KeyArea) -> Self {
        Self { keys, ..Self::default() }
    }

    /// What is appended to the fields; the rest of it is behind them.
    fn encode(&self, record: &Proof, out: &mut Vec<u8>) -> Vec<u8> {
        let keys = self.keys.encode();
        out.extend_from_slice(&record.nonce.unwrap_or_default());
        out.extend_from_slice(&self.own.0);
        out.extend_from_slice(&self.own.1);
        out.put_u32(keys.len() as u32);
        out.put_u32(crc32(&[&keys]));
        keys
    }
}

impl Superblock {
    /// Bytes of a superblock without the zeros that fill its sector; a copy of it stands in front of the checkpoint record.
    pub(crate) fn copy_bytes(&self) -> u64 {
        #[cfg(feature = "encryption")]
        if let Some(lock) = &self.key_block {
            return (ENCODED_LEN as u64 + lock.keys.encode().len() as u64).next_multiple_of(GRAIN_BYTES);
        }
        ENCODED_LEN as u64
    }

    /// The copy of this superblock that stands in front of its record.
    pub(crate) fn encode_copy(&self) -> Vec<u8> {
        let mut copy = self.encode();
        copy.truncate(self.copy_bytes() as usize);
        copy
    }

    /// The superblock that begins here, if one does.
    pub(crate) fn decode_copy(bytes: &[u8]) -> Option<Result<Self>> {
        bytes.starts_with(&MAGIC).then(|| Self::decode(bytes)).flatten()
    }

    /// The checkpoint record and the copy in front of it.
    pub(crate) fn record_and_copy(&self) -> Extent {
        let Extent { offset, len } = self.record.0;
        let copy = self.copy_bytes().min(offset);
        Extent { offset: offset - copy, len: len.saturating_add(copy) }
    }

    /// This superblock, proven by the cipher. All else of it is settled.
    #[cfg(feature = "encryption")]
    pub(crate) fn authenticated(mut self, cipher: &Cipher, place: u64) -> Self {
        let nonce = cipher.next_nonce(place);
        let tag = cipher.seal(&nonce, Unit::Superblock, self.checkpoint, &self.authenticated_bytes(), &mut []);
        if let Some(lock) = &mut self.key_block {
            lock.own = (nonce, tag);
        }
        self
    }

    /// Whether somebody with the key has made it so.
    #[cfg(feature = "encryption")]
    pub(crate) fn is_authentic(&self, cipher: &Cipher) -> bool {
        let Some(KeyBlock { own: (nonce, tag), keys }) = &self.key_block else { return false };
        // Whoever had the data key before must not be able to make one up.
        generation_of(nonce) == keys.generation()
            && cipher.open(nonce, Unit::Superblock, self.checkpoint, &self.authenticated_bytes(), &mut [], tag)
    }

    #[cfg(feature = "encryption")]
    fn authenticated_bytes(&self) -> Vec<u8> {
        let mut bytes = self.encode();
        bytes.truncate(AUTHENTICATED);
        bytes.extend(self.key_block.iter().flat_map(|lock| lock.keys.encode()));
        bytes
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SECTOR_BYTES as usize);
        out.extend_from_slice(&MAGIC);
        out.put_u32(FORMAT_VERSION);
        out.put_u32(self.segment_bytes);
        out.extend_from_slice(&self.database_id);
        out.put_u64(self.features.0);
        out.put_u64(self.incarnation);
        out.put_u64(self.parent.0);
        out.put_u64(self.parent.1);
        out.put_u64(self.checkpoint);
        out.put_u64(self.sequence);
        out.put_u64(self.created_ms);
        out.put_u64(u64::from(self.clean));
        out.put_u64(self.record.0.offset);
        out.put_u64(self.record.0.len);
        self.record.1.digest.encode(&mut out);
        out.resize(FILE_BYTES_AT, 0);
        out.put_u64(self.file_bytes);
        #[cfg(feature = "encryption")]
        let keys = self.key_block.as_ref().map(|lock| lock.encode(&self.record.1, &mut out));
        out.resize(ENCODED_LEN - 4, 0);
        let checksum = crc32(&[&out]);
        out.put_u32(checksum);
        #[cfg(feature = "encryption")]
        out.extend(keys.into_iter().flatten());
        out.resize(SECTOR_BYTES as usize, 0);
        out
    }

    pub(super) fn decode(sector: &[u8]) -> Option<Result<Self>> {
        let body = sector.get(..ENCODED_LEN - 4)?;
        let stored = Reader::new(sector.get(ENCODED_LEN - 4..ENCODED_LEN)?).u32()?;
        let mut reader = Reader::new(body);
        let magic = reader.take(8)?;
        if magic != MAGIC {
            return None;
        }
        let version = reader.u32()?;
        if crc32(&[body]) != stored {
            return None;
        }
        if version != FORMAT_VERSION {
            return Some(Err(Error::Unsupported {
                what: format!("file format {version}"),
                remedy: "open the file with a newer version of Lightning DB",
            }));
        }
        // No honest program writes another, and a log could never be begun.
        let segment_bytes = reader
            .u32()
            .filter(|&bytes| bytes >= LOG_SEGMENT_BYTES_MIN && u64::from(bytes).is_multiple_of(SECTOR_BYTES))?;
        let database_id = reader.bytes16()?;
        let features = Features(reader.u64()?);
        if let Err(error) = features.require_known() {
            return Some(Err(error));
        }
        #[cfg(feature = "encryption")]
        let lock = match features.encryption() {
            Some(_) => Some(Self::decode_lock(sector)?),
            None => None,
        };
        #[cfg(feature = "encryption")]
        let nonce = match &lock {
            Some(_) => Some(take_nonce(&mut Reader::new(body.get(RECORD_NONCE_AT..)?))?),
            None => None,
        };
        Some(Ok(Self {
            #[cfg(feature = "encryption")]
            key_block: lock,
            segment_bytes,
            database_id,
            features,
            incarnation: reader.u64()?,
            parent: (reader.u64()?, reader.u64()?),
            checkpoint: reader.counter()?,
            sequence: reader.counter()?,
            created_ms: reader.u64()?,
            clean: reader.u64()? != 0,
            record: {
                let extent = Extent { offset: reader.u64()?, len: reader.u64()? };
                let kind = features.checksum();
                let digest = Digest::decode(&mut reader, kind)?;
                reader.take(Digest::WIDTH_MAX - kind.width())?;
                #[cfg(feature = "encryption")]
                let proof = Proof { digest, nonce };
                #[cfg(not(feature = "encryption"))]
                let proof = Proof::plain(digest);
                (extent, proof)
            },
            file_bytes: reader.u64()?,
        }))
    }

    /// Nonce, tag and keys, if the keys are whole.
    #[cfg(feature = "encryption")]
    fn decode_lock(sector: &[u8]) -> Option<KeyBlock> {
        let mut reader = Reader::new(sector.get(AUTHENTICATED..ENCODED_LEN)?);
        let own = (take_nonce(&mut reader)?, reader.bytes16()?);
        let (len, checksum) = (reader.u32()?, reader.u32()?);
        let keys = sector.get(ENCODED_LEN..ENCODED_LEN.checked_add(len as usize)?)?;
        let whole = crc32(&[keys]) == checksum;
        Some(KeyBlock { keys: KeyArea::decode(keys).filter(|_| whole)?, own })
    }

    /// Makes a sector begin as a superblock does.
    #[cfg(feature = "testing")]
    pub(super) fn begin(sector: &mut [u8]) {
        if let Some(begin) = sector.first_chunk_mut::<12>() {
            let (magic, version) = begin.split_at_mut(8);
            magic.copy_from_slice(&MAGIC);
            version.copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        }
    }

    /// Makes the checksum right of what begins like a superblock; tells whether it does.
    #[cfg(feature = "testing")]
    pub(super) fn reseal(sector: &mut [u8]) -> bool {
        if !sector.starts_with(&MAGIC) {
            return false;
        }
        let Some((body, rest)) = sector.split_at_mut_checked(ENCODED_LEN - 4) else { return false };
        let Some(checksum) = rest.first_chunk_mut::<4>() else { return false };
        *checksum = crc32(&[body]).to_le_bytes();
        true
    }

    /// Writes this superblock to its slot. The caller has synced everything it refers to, and syncs afterwards.
    pub(crate) fn write(&self, storage: &dyn Storage) -> Result<()> {
        let slot = if Mutant::NewestSuperblockOverwritten.is_active() { 0 } else { self.checkpoint % 2 };
        storage.write_at(FileId::Data, slot * SECTOR_BYTES, &self.encode())?;
        Ok(())
    }
}

/// A power loss while a database is made leaves a file without superblocks that is no longer than this: two sectors for
/// those, the first checkpoint's few, and some to spare.
const UNFINISHED_BYTES_MAX: u64 = 8 * SECTOR_BYTES;

/// What the two slots of a file hold.
#[derive(Debug)]
pub(crate) enum SuperblockSlots {
    /// The file is empty: there is no database yet.
    Empty,
    /// The newest valid superblock.
    Found {
        newest: Box<Superblock>,
        /// What the other slot holds.
        older: Older,
    },
}

/// The superblock that is not the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Older {
    /// There is none, so there may have been a newer one.
    Missing,
    /// It needs its log.
    Unclosed,
    /// It needs no log either.
    Closed,
}

impl Older {
    fn of(older: Option<&Superblock>) -> Self {
        match older {
            None => Self::Missing,
            Some(older) if older.clean => Self::Closed,
            Some(_) => Self::Unclosed,
        }
    }
}

impl SuperblockSlots {
    /// Reads both slots. Errors: not a database, an unknown version or feature, or both slots damaged.
    ///
    /// What is not whole is read twice: a wrong bit that only the reading made must not lead back to the older superblock,
    /// for opening that one writes over what the newer one names.
    pub(crate) fn read(storage: &dyn Storage) -> Result<Self> {
        match Self::read_once(storage) {
            first @ (Ok(Self::Found { older: Older::Missing, .. })
            | Err(Error::Corrupt(_) | Error::NotADatabase { .. })) => Self::read_once(storage).or(first),
            first => first,
        }
    }

    fn read_once(storage: &dyn Storage) -> Result<Self> {
        let len = storage.len(FileId::Data)?;
        if len == 0 {
            return Ok(Self::Empty);
        }
        let mut sectors = vec![0u8; (2 * SECTOR_BYTES).min(len) as usize];
        storage.read_at(FileId::Data, 0, &mut sectors)?;
        let mut found: Vec<Superblock> = Vec::new();
        let mut refusal = None;
        for sector in sectors.chunks(SECTOR_BYTES as usize) {
            match Superblock::decode(sector) {
                Some(Ok(superblock)) => found.push(superblock),
                Some(Err(error)) => refusal = Some(error),
                None => {}
            }
        }
        found.sort_by_key(|superblock| superblock.checkpoint);
        if let Some(error) = refusal {
            return Err(error);
        }
        match found.pop() {
            Some(newest) => Ok(Self::Found { newest: Box::new(newest), older: Older::of(found.last()) }),
            None if sectors.iter().all(|&byte| byte == 0) && len <= UNFINISHED_BYTES_MAX => Ok(Self::Empty),
            // A disk image may begin with zeros: whatever it is, it is not ours to overwrite.
            None if sectors.iter().all(|&byte| byte == 0) => Err(Error::NotADatabase {
                found: format!(
                    "{} begins with zeros and has {len} bytes; only an empty file becomes a database",
                    storage.name()
                ),
            }),
            None if sectors.chunks(SECTOR_BYTES as usize).any(|sector| sector.starts_with(&MAGIC)) => {
                Err(Error::corrupt(FileId::Data, 0, "neither superblock is intact, so nothing can be found"))
            }
            None => Err(Error::NotADatabase {
                found: format!(
                    "{} starts with '{}'",
                    storage.name(),
                    sectors.get(..16).unwrap_or(&sectors).escape_ascii()
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MemoryStorage;

    fn superblock(checkpoint: u64) -> Superblock {
        Superblock {
            database_id: [7; 16],
            features: Features(Features::LZ4),
            incarnation: 11,
            parent: (5, 6),
            checkpoint,
            sequence: 99,
            created_ms: 123,
            clean: true,
            segment_bytes: 1 << 20,
            record: (Extent { offset: 8192, len: 300 }, Proof::plain(Digest::Crc32(0xabcd))),
            file_bytes: 16384,
            #[cfg(feature = "encryption")]
            key_block: None,
        }
    }

    #[test]
    fn the_newer_of_two_valid_superblocks_is_opened_and_damage_falls_back() {
        let storage = MemoryStorage::new();
        assert!(matches!(SuperblockSlots::read(&storage).unwrap(), SuperblockSlots::Empty));
        superblock(4).write(&storage).unwrap();
        superblock(5).write(&storage).unwrap();
        match SuperblockSlots::read(&storage).unwrap() {
            SuperblockSlots::Found { newest, older } => assert_eq!((*newest, older), (superblock(5), Older::Closed)),
            SuperblockSlots::Empty => panic!("not empty"),
        }
        storage.write_at(FileId::Data, SECTOR_BYTES + 40, &[0xff]).unwrap();
        match SuperblockSlots::read(&storage).unwrap() {
            SuperblockSlots::Found { newest, older } => assert_eq!((newest.checkpoint, older), (4, Older::Missing)),
            SuperblockSlots::Empty => panic!("not empty"),
        }
    }

    fn with_features(bits: u64) -> MemoryStorage {
        let storage = MemoryStorage::new();
        superblock(4).write(&storage).unwrap();
        let mut newest = superblock(5).encode();
        newest[32..40].copy_from_slice(&bits.to_le_bytes());
        let checksum = crc32(&[&newest[..ENCODED_LEN - 4]]);
        newest[ENCODED_LEN - 4..ENCODED_LEN].copy_from_slice(&checksum.to_le_bytes());
        storage.write_at(FileId::Data, SECTOR_BYTES, &newest).unwrap();
        storage
    }

    #[test]
    fn a_feature_this_build_lacks_is_refused_by_the_name_of_what_turns_it_on() {
        for (bit, available, name) in [
            (Features::ZSTD, cfg!(feature = "zstd"), "the feature 'zstd'"),
            (Features::BLAKE3, cfg!(feature = "blake3"), "the feature 'blake3'"),
        ] {
            match SuperblockSlots::read(&with_features(bit)) {
                Ok(SuperblockSlots::Found { newest, .. }) => {
                    assert!(available && newest.features.0 == bit, "{name} was overlooked");
                }
                Ok(SuperblockSlots::Empty) => panic!("not empty"),
                Err(error @ Error::Unsupported { .. }) => {
                    assert!(!available, "{error}");
                    assert!(format!("{error}").contains(name), "{error}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        let newer = SuperblockSlots::read(&with_features(1 << 40)).unwrap_err();
        assert!(format!("{newer}").contains("a newer version"), "{newer}");
    }

    #[test]
    fn features_say_what_was_chosen() {
        let compressions = [
            Compression::None,
            Compression::Lz4,
            #[cfg(feature = "zstd")]
            Compression::Zstd,
        ];
        for compression in compressions {
            for &checksum in Checksum::ALL {
                let features = Features::new(compression, checksum);
                assert_eq!((features.compression(), features.checksum()), (compression, checksum));
                let made = Superblock {
                    features,
                    record: (Extent { offset: 8192, len: 1 }, Proof::plain(checksum.of(&[b"record"]))),
                    ..superblock(2)
                };
                assert_eq!(Superblock::decode(&made.encode()).unwrap().unwrap(), made);
            }
        }
    }

    #[test]
    fn a_segment_size_that_no_log_can_have_makes_no_superblock() {
        for segment_bytes in [0, 4096, (64 << 10) + 1, u32::MAX] {
            let made = Superblock { segment_bytes, ..superblock(2) };
            assert!(Superblock::decode(&made.encode()).is_none(), "{segment_bytes}");
        }
    }

    #[test]
    fn foreign_future_and_ruined_files_are_told_apart() {
        let foreign = MemoryStorage::with_contents(b"%PDF-1.7 something else".to_vec(), Vec::new());
        assert!(matches!(SuperblockSlots::read(&foreign), Err(Error::NotADatabase { .. })));
        let mut future = superblock(1).encode();
        future[8] = 9;
        let checksum = crc32(&[&future[..ENCODED_LEN - 4]]);
        future[ENCODED_LEN - 4..ENCODED_LEN].copy_from_slice(&checksum.to_le_bytes());
        let future = MemoryStorage::with_contents(future, Vec::new());
        assert!(matches!(SuperblockSlots::read(&future), Err(Error::Unsupported { .. })));
        let mut ruined = superblock(1).encode();
        ruined[100] ^= 1;
        let ruined = MemoryStorage::with_contents(ruined, Vec::new());
        assert!(matches!(SuperblockSlots::read(&ruined), Err(Error::Corrupt(_))));
    }

    #[test]
    fn zeros_are_an_unfinished_database_only_in_a_short_file() {
        let storage = MemoryStorage::new();
        storage.set_len(FileId::Data, UNFINISHED_BYTES_MAX).unwrap();
        storage.write_at(FileId::Data, 2 * SECTOR_BYTES, b"the first checkpoint").unwrap();
        assert!(matches!(SuperblockSlots::read(&storage), Ok(SuperblockSlots::Empty)));
        storage.set_len(FileId::Data, UNFINISHED_BYTES_MAX + 1).unwrap();
        assert!(matches!(SuperblockSlots::read(&storage), Err(Error::NotADatabase { .. })));
    }
}
