//! The ciphers, and the keys of sessions.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{NONCE_BYTES, Nonce, SEALED_BYTES, TAG_BYTES, Unit};
use crate::env::Entropy;
use crate::env::sync::Mutex;
use crate::error::Result;

/// Keys of other sessions that are kept; others are derived again, which costs a microsecond or two.
const SESSIONS_KEPT: usize = 64;

/// A session's id.
type SessionId = [u8; 16];

/// The generation of the data key stands in the high bits of the counter. So the counter has 48: a session that used them up would
/// have sealed four petabytes at least, and its units would be refused, not its nonces repeated.
const GENERATION_SHIFT: u32 = 48;

/// Of which generation the data key is that this nonce was drawn for.
pub(crate) fn generation_of(nonce: &Nonce) -> u16 {
    nonce.last_chunk().map_or(0, |high| u16::from_le_bytes(*high))
}

/// How a new database is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// AES-256-GCM: the fastest where the processor has instructions for AES, as nearly all do.
    #[default]
    Aes256Gcm,
    /// ChaCha20-Poly1305: faster where it has none, and in constant time there.
    ChaCha20Poly1305,
}

impl Encryption {
    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "AES-256-GCM",
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        }
    }

    /// The algorithm with this key.
    pub(super) fn keyed(self, key: &[u8; 32]) -> Keyed {
        match self {
            Self::Aes256Gcm => Keyed::Aes(Box::new(Aes256Gcm::new(key.into()))),
            Self::ChaCha20Poly1305 => Keyed::ChaCha(Box::new(ChaCha20Poly1305::new(key.into()))),
        }
    }

    /// One byte for it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Aes256Gcm, Self::ChaCha20Poly1305].into_iter().find(|encryption| encryption.code() == code)
    }
}

/// One key, expanded. Both algorithms wipe it when it is dropped.
pub(super) enum Keyed {
    Aes(Box<Aes256Gcm>),
    ChaCha(Box<ChaCha20Poly1305>),
}

impl Keyed {
    /// Encrypts `bytes` in place and gives the tag. The limits on lengths are far beyond those of any unit.
    pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let tag = match self {
            Self::Aes(cipher) => cipher.encrypt_inout_detached(&nonce.into(), aad, bytes.into()),
            Self::ChaCha(cipher) => cipher.encrypt_inout_detached(&nonce.into(), aad, bytes.into()),
        };
        tag.ok().map(Into::into)
    }

    /// Decrypts `bytes` in place, if they are what was sealed.
    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut [u8], tag: &[u8; TAG_BYTES]) -> bool {
        match self {
            Self::Aes(cipher) => cipher.decrypt_inout_detached(&nonce.into(), aad, bytes.into(), tag.into()),
            Self::ChaCha(cipher) => cipher.decrypt_inout_detached(&nonce.into(), aad, bytes.into(), tag.into()),
        }
        .is_ok()
    }
}

/// The keys that the units of one database are sealed under. All of a database is sealed under one of them, but while it is sealed
/// anew: then some units are under the one before.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DataKeys {
    /// How often everything was sealed anew. Each nonce tells it.
    pub generation: u16,
    pub current: Zeroizing<[u8; 32]>,
    /// Of the generation before, as long as anything is sealed under it.
    pub retired: Option<Zeroizing<[u8; 32]>>,
}

/// Shows nothing secret.
impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl DataKeys {
    /// Of a database that was never sealed anew.
    pub(crate) fn first(current: Zeroizing<[u8; 32]>) -> Self {
        Self { generation: 0, current, retired: None }
    }

    /// The key of this generation, if there is anything under it.
    fn of(&self, generation: u16) -> Option<&Zeroizing<[u8; 32]>> {
        if generation == self.generation {
            return Some(&self.current);
        }
        self.retired.as_ref().filter(|_| self.generation.checked_sub(1) == Some(generation))
    }
}

/// What all sessions of one database share.
struct Shared {
    encryption: Encryption,
    database_id: [u8; 16],
    keys: Mutex<DataKeys>,
    /// Of sessions that wrote what was read lately, the next to give way first.
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    kept: Vec<(SessionId, u16, Arc<Keyed>)>,
    next_out: usize,
}

impl Shared {
    /// `None` where the data key of that generation is forgotten, or never was.
    fn derive(&self, session: &SessionId, generation: u16) -> Option<Keyed> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [&self.database_id[..], &[self.encryption.code()]];
        let keys = self.keys.lock();
        let hkdf = Hkdf::<Sha256>::new(Some(session), &**keys.of(generation)?);
        // 32 bytes are one block of the hash: there is no error.
        let _ = hkdf.expand_multi_info(&[b"lightning-db session", info[0], info[1]], &mut *key);
        Some(self.encryption.keyed(&key))
    }

    fn session(&self, id: &SessionId, generation: u16) -> Option<Arc<Keyed>> {
        let mut sessions = self.sessions.lock();
        let is_it = |kept: &&(SessionId, u16, _)| kept.0 == *id && kept.1 == generation;
        if let Some((_, _, keyed)) = sessions.kept.iter().find(is_it) {
            return Some(Arc::clone(keyed));
        }
        let keyed = Arc::new(self.derive(id, generation)?);
        let entry = (*id, generation, Arc::clone(&keyed));
        if sessions.kept.len() < SESSIONS_KEPT {
            sessions.kept.push(entry);
        } else {
            let out = sessions.next_out % SESSIONS_KEPT;
            sessions.next_out = out + 1;
            if let Some(place) = sessions.kept.get_mut(out) {
                *place = entry;
            }
        }
        Some(keyed)
    }
}

/// Where a session's counters come from.
#[derive(Clone, Copy)]
enum Counter {
    /// One higher with every attempt.
    Rising(u64),
    /// The unit's place.
    Place,
}

/// What is sealed in now.
#[derive(Clone)]
struct Session {
    id: SessionId,
    generation: u16,
    keyed: Arc<Keyed>,
    counter: Counter,
}

/// Seals in a session of its own; opens what any session of the database has sealed.
pub(crate) struct Cipher {
    shared: Arc<Shared>,
    session: Mutex<Session>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").field("encryption", &self.shared.encryption).finish_non_exhaustive()
    }
}

impl Cipher {
    /// Begins a session under the current one of these keys.
    pub(crate) fn new(encryption: Encryption, database_id: [u8; 16], keys: DataKeys, entropy: &dyn Entropy) -> Self {
        let shared =
            Shared { encryption, database_id, keys: Mutex::new(keys), sessions: Mutex::new(Sessions::default()) };
        Self::begin(Arc::new(shared), Counter::Rising(0), entropy)
    }

    fn begin(shared: Arc<Shared>, counter: Counter, entropy: &dyn Entropy) -> Self {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let (generation, keyed) = {
            let generation = shared.keys.lock().generation;
            // There is always a key of the current generation.
            let keyed = shared.derive(&id, generation).unwrap_or_else(|| shared.encryption.keyed(&[0; 32]));
            (generation, Arc::new(keyed))
        };
        Self { shared, session: Mutex::new(Session { id, generation, keyed, counter }) }
    }

    pub(super) fn for_copy(&self, entropy: &dyn Entropy) -> Self {
        Self::begin(Arc::clone(&self.shared), Counter::Place, entropy)
    }

    /// For a file of its own, all of which is to be under one data key: a session that goes on as it began.
    pub(crate) fn apart(&self, entropy: &dyn Entropy) -> Self {
        Self::begin(Arc::clone(&self.shared), Counter::Rising(0), entropy)
    }

    /// What is to be sealed in from some moment on: a session under a new data key. It knows the one of now as the one before.
    /// `None` while there is one before this one already, or after 65,535 times.
    pub(crate) fn successor(&self, entropy: &dyn Entropy) -> Result<Option<Self>> {
        let mut current = Zeroizing::new([0; 32]);
        entropy.fill_key(&mut *current)?;
        let keys = self.shared.keys.lock();
        let (None, Some(generation)) = (&keys.retired, keys.generation.checked_add(1)) else { return Ok(None) };
        let keys = DataKeys { generation, current, retired: Some(keys.current.clone()) };
        Ok(Some(Self::new(self.shared.encryption, self.shared.database_id, keys, entropy)))
    }

    /// From now on this seals as `successor` would, which is of no use any more.
    pub(crate) fn go_on_as(&self, successor: Self) {
        let keys = successor.data_keys();
        *self.shared.keys.lock() = keys;
        *self.session.lock() = successor.session.lock().clone();
    }

    /// Nothing is sealed under the retired data key any more: it is wiped, and what was derived from it.
    pub(crate) fn forget_retired(&self) {
        let generation = {
            let mut keys = self.shared.keys.lock();
            keys.retired = None;
            keys.generation
        };
        let mut sessions = self.shared.sessions.lock();
        sessions.kept.retain(|(_, of, _)| *of == generation);
        sessions.next_out = 0;
    }

    /// Which algorithm.
    pub(crate) fn encryption(&self) -> Encryption {
        self.shared.encryption
    }

    /// The keys that everything is sealed with: for the slots that wrap them.
    pub(crate) fn data_keys(&self) -> DataKeys {
        self.shared.keys.lock().clone()
    }

    /// The generation that is sealed under now.
    pub(crate) fn generation(&self) -> u16 {
        self.session.lock().generation
    }

    /// Whether there is a data key of this generation.
    pub(crate) fn knows(&self, generation: u16) -> bool {
        self.shared.keys.lock().of(generation).is_some()
    }

    /// A nonce for the unit at `place`, which is this unit's even if it is never written.
    pub(crate) fn next_nonce(&self, place: u64) -> Nonce {
        self.nonces(place, 1)
    }

    /// The first of `count` nonces, whose counters follow each other.
    pub(crate) fn nonces(&self, place: u64, count: u64) -> Nonce {
        let mut session = self.session.lock();
        let counter = match &mut session.counter {
            Counter::Place => place,
            Counter::Rising(next) => {
                let counter = *next;
                *next += count;
                counter
            }
        };
        let nonce = join(&session.id, counter.wrapping_add(u64::from(session.generation) << GENERATION_SHIFT));
        #[cfg(test)]
        witness::drawn(&nonce, count);
        nonce
    }

    /// The key of the session that this nonce is of.
    fn keyed(&self, nonce: &Nonce) -> Option<Arc<Keyed>> {
        let (id, _) = split(nonce);
        let generation = generation_of(nonce);
        {
            let session = self.session.lock();
            if session.id == id && session.generation == generation {
                return Some(Arc::clone(&session.keyed));
            }
        }
        self.shared.session(&id, generation)
    }

    /// Encrypts `bytes` in place and gives the tag, which proves `clear` too.
    pub(crate) fn seal(
        &self,
        nonce: &Nonce,
        unit: Unit,
        place: u64,
        clear: &[u8],
        bytes: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let (_, counter) = split(nonce);
        let aad = self.aad(unit, place, clear);
        let tag = self.keyed(nonce).and_then(|keyed| keyed.seal(counter, &aad, bytes));
        // No unit is longer than a cipher takes, which is 64 GiB at least. If one were, or if its key were forgotten, nothing of it
        // would leave in the clear.
        tag.unwrap_or_else(|| {
            bytes.fill(0);
            Default::default()
        })
    }

    /// Decrypts `bytes` in place; false if they, or `clear`, are not what was sealed as this unit at this place.
    pub(crate) fn open(
        &self,
        nonce: &Nonce,
        unit: Unit,
        place: u64,
        clear: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        let (_, counter) = split(nonce);
        let aad = self.aad(unit, place, clear);
        self.keyed(nonce).is_some_and(|keyed| keyed.open(counter, &aad, bytes, tag))
    }

    /// The unit with its nonce before it and its tag behind it.
    pub(crate) fn seal_whole(&self, unit: Unit, place: u64, clear: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = self.next_nonce(place);
        let mut out = Vec::with_capacity(plain.len() + SEALED_BYTES);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = self.seal(&nonce, unit, place, clear, out.get_mut(NONCE_BYTES..).unwrap_or_default());
        out.extend_from_slice(&tag);
        out
    }

    /// What [`seal_whole`](Self::seal_whole) was given.
    pub(crate) fn open_whole(&self, unit: Unit, place: u64, clear: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        let mut plain = body.to_vec();
        self.open(nonce, unit, place, clear, &mut plain, tag).then_some(plain)
    }

    fn aad(&self, unit: Unit, place: u64, clear: &[u8]) -> Vec<u8> {
        let mut aad = Vec::with_capacity(25 + clear.len());
        aad.extend_from_slice(&self.shared.database_id);
        aad.push(unit as u8);
        aad.extend_from_slice(&place.to_le_bytes());
        aad.extend_from_slice(clear);
        aad
    }
}

/// The nonce `count` after this one.
pub(crate) fn following(nonce: &Nonce, count: u64) -> Nonce {
    let (session, counter) = split(nonce);
    let first = counter.first_chunk().map_or(0, |counter| u64::from_le_bytes(*counter));
    join(&session, first.wrapping_add(count))
}

fn join(session: &SessionId, counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    let (id, rest) = nonce.split_at_mut(16);
    id.copy_from_slice(session);
    rest.copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// The session, and what the algorithm takes as its nonce: the counter and zeros.
fn split(nonce: &Nonce) -> (SessionId, [u8; 12]) {
    let mut session = [0; 16];
    let mut counter = [0; 12];
    let (id, rest) = nonce.split_at(16);
    session.copy_from_slice(id);
    if let Some(to) = counter.get_mut(..8) {
        to.copy_from_slice(rest);
    }
    (session, counter)
}

/// Which nonces were drawn in this thread: for the test that none comes twice.
#[cfg(test)]
pub(crate) mod witness {
    use super::{Nonce, following};
    use alloc::collections::BTreeSet;
    use std::cell::RefCell;

    std::thread_local! {
        static DRAWN: RefCell<Option<(BTreeSet<Nonce>, usize)>> = const { RefCell::new(None) };
    }

    /// From now on.
    pub(crate) fn begin() {
        DRAWN.with_borrow_mut(|drawn| *drawn = Some((BTreeSet::new(), 0)));
    }

    /// All of them.
    pub(crate) fn drawn_so_far() -> BTreeSet<Nonce> {
        DRAWN.with_borrow(|drawn| drawn.as_ref().map_or_else(BTreeSet::new, |(drawn, _)| drawn.clone()))
    }

    /// How many were drawn, and how many of them again.
    pub(crate) fn end() -> (usize, usize) {
        DRAWN.with_borrow_mut(Option::take).map_or((0, 0), |(drawn, again)| (drawn.len(), again))
    }

    pub(super) fn drawn(first: &Nonce, count: u64) {
        DRAWN.with_borrow_mut(|drawn| {
            let Some((drawn, again)) = drawn else { return };
            for at in 0..count {
                *again += usize::from(!drawn.insert(following(first, at)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SeededEntropy;

    const ID: [u8; 16] = [7; 16];
    const ALL: [Encryption; 2] = [Encryption::Aes256Gcm, Encryption::ChaCha20Poly1305];

    fn cipher(encryption: Encryption, id: [u8; 16], key: u8, seed: u64) -> Cipher {
        Cipher::new(encryption, id, DataKeys::first(Zeroizing::new([key; 32])), &SeededEntropy::new(seed))
    }

    #[test]
    fn a_unit_opens_in_any_session_of_its_database_at_its_place_only() {
        for encryption in ALL {
            let writes = cipher(encryption, ID, 1, 1);
            let sealed = writes.seal_whole(Unit::Node, 64, &[], b"the body");
            assert!(!sealed.windows(4).any(|part| part == b"body"));
            let reads = cipher(encryption, ID, 1, 2);
            assert_eq!(reads.open_whole(Unit::Node, 64, &[], &sealed).as_deref(), Some(&b"the body"[..]));
            assert_eq!(reads.open_whole(Unit::Node, 128, &[], &sealed), None, "elsewhere");
            assert_eq!(reads.open_whole(Unit::Record, 64, &[], &sealed), None, "as something else");
            assert_eq!(
                cipher(encryption, [8; 16], 1, 2).open_whole(Unit::Node, 64, &[], &sealed),
                None,
                "another database"
            );
            assert_eq!(cipher(encryption, ID, 2, 2).open_whole(Unit::Node, 64, &[], &sealed), None, "another key");
            for at in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1;
                assert_eq!(reads.open_whole(Unit::Node, 64, &[], &damaged), None, "byte {at}");
            }
            assert_eq!(reads.open_whole(Unit::Node, 64, &[], &sealed[..39]), None);
        }
    }

    #[test]
    fn every_attempt_has_a_nonce_of_its_own_and_every_session_others() {
        witness::begin();
        let one = cipher(Encryption::Aes256Gcm, ID, 1, 1);
        let other = cipher(Encryption::Aes256Gcm, ID, 1, 2);
        for _ in 0..100 {
            one.next_nonce(0);
            other.nonces(0, 7);
        }
        assert_eq!(witness::end(), (800, 0));
        let copy = one.for_copy(&SeededEntropy::new(3));
        assert_eq!(copy.next_nonce(64), copy.next_nonce(64), "both passes of a copy");
        assert_ne!(copy.next_nonce(64)[..16], one.next_nonce(64)[..16]);
    }

    #[test]
    fn what_is_sealed_anew_opens_beside_what_is_not_until_the_old_key_is_forgotten() {
        for encryption in ALL {
            witness::begin();
            let one = cipher(encryption, ID, 1, 1);
            let before = one.seal_whole(Unit::Node, 64, &[], b"before");
            let apart = one.apart(&SeededEntropy::new(5));
            let successor = one.successor(&SeededEntropy::new(2)).unwrap().unwrap();
            let first = successor.seal_whole(Unit::Superblock, 1, &[], b"first");
            assert_eq!(one.open_whole(Unit::Superblock, 1, &[], &first), None, "nobody knows it yet");
            one.go_on_as(successor);
            let after = one.seal_whole(Unit::Node, 64, &[], b"after");
            assert_eq!(generation_of(after.first_chunk().unwrap()), 1);
            assert!(one.successor(&SeededEntropy::new(3)).unwrap().is_none(), "one after the other");
            let aside = apart.seal_whole(Unit::Increment, 0, &[], b"aside");
            assert_eq!(generation_of(aside.first_chunk().unwrap()), 0, "it goes on as it began");
            let known = [(&before, Unit::Node, 64), (&after, Unit::Node, 64), (&first, Unit::Superblock, 1)];
            for (sealed, unit, place) in known {
                assert!(one.open_whole(unit, place, &[], sealed).is_some());
            }
            // What somebody who has the old key makes of it is not taken for what the new one has sealed.
            let mut forged = before.clone();
            forged[22] = 1;
            assert_eq!(one.open_whole(Unit::Node, 64, &[], &forged), None);
            one.forget_retired();
            assert_eq!(one.open_whole(Unit::Node, 64, &[], &before), None);
            assert!(one.open_whole(Unit::Node, 64, &[], &after).is_some());
            assert!(one.data_keys().retired.is_none() && !one.knows(0) && one.knows(1));
            assert_eq!(witness::end().1, 0);
        }
    }

    #[test]
    fn keys_of_more_sessions_than_are_kept_are_derived_again() {
        let reads = cipher(Encryption::Aes256Gcm, ID, 1, 0);
        let sealed: Vec<_> = (1..=SESSIONS_KEPT as u64 * 2)
            .map(|seed| {
                cipher(Encryption::Aes256Gcm, ID, 1, seed << 32).seal_whole(Unit::Node, seed, &[], &seed.to_le_bytes())
            })
            .collect();
        for _ in 0..2 {
            for (sealed, place) in sealed.iter().zip(1u64..) {
                assert_eq!(reads.open_whole(Unit::Node, place, &[], sealed).unwrap(), place.to_le_bytes());
            }
        }
        assert_eq!(reads.shared.sessions.lock().kept.len(), SESSIONS_KEPT);
    }

    /// Test case 16 of the GCM specification (McGrew and Viega 2005), and the example of RFC 8439, section 2.8.2.
    #[test]
    fn the_ciphers_are_those_of_the_standards() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let check =
            |encryption: Encryption, key: &str, nonce: &str, aad: &str, plain: Vec<u8>, begins: &str, tag: &str| {
                let keyed = encryption.keyed(hex(key).first_chunk().unwrap());
                let (nonce, aad) = (*hex(nonce).first_chunk().unwrap(), hex(aad));
                let mut bytes = plain.clone();
                let made = keyed.seal(nonce, &aad, &mut bytes).unwrap();
                assert_eq!(bytes[..8], hex(begins)[..]);
                assert_eq!(made[..], hex(tag)[..]);
                assert!(keyed.open(nonce, &aad, &mut bytes, &made));
                assert_eq!(bytes, plain);
            };
        check(
            Encryption::Aes256Gcm,
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            hex(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            ),
            "522dc1f099567d07",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        );
        check(
            Encryption::ChaCha20Poly1305,
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
                .to_vec(),
            "d31a8d34648e60db",
            "1ae10b594f09e26a7e902ecbd0600691",
        );
    }
}
