//! Encryption at rest: what is in the files, what opens them, and what is told of what was changed in them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::tests::crashed;
use crate::codec::cipher::witness;
use crate::engine::{Encryption, EncryptionKey, Environment, KeyKind, PassphraseCost};
use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage, StorageError, StorageErrorKind, Sync};
use crate::error::Error;
use crate::table::Table;
use crate::{Database, Durability, Options};

pub(super) const WORDS: Table<&str, &[u8]> = Table::new("secret-table");
pub(super) const CHEAP: PassphraseCost = PassphraseCost { memory_kib: 64, passes: 1 };
const BOTH: [Encryption; 2] = [Encryption::Aes256Gcm, Encryption::ChaCha20Poly1305];

/// Writes to memory until it has been told to so many times; the last write is half done.
pub(super) struct Failing {
    memory: Arc<MemoryStorage>,
    left: core::sync::atomic::AtomicUsize,
}

impl Failing {
    pub(super) fn new(memory: &Arc<MemoryStorage>) -> Arc<Self> {
        Arc::new(Self { memory: Arc::clone(memory), left: usize::MAX.into() })
    }

    pub(super) fn fail_after(&self, operations: usize) {
        self.left.store(operations, core::sync::atomic::Ordering::SeqCst);
    }

    fn take(&self, file: FileId) -> Result<(), StorageError> {
        use core::sync::atomic::Ordering::SeqCst;
        match self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(StorageError::new(StorageErrorKind::Other, file, 0, 0, "no more")),
        }
    }
}

impl Storage for Failing {
    fn name(&self) -> String {
        self.memory.name()
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.memory.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.take(file)?;
        self.memory.set_len(file, len)
    }
    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.take(file)?;
        self.memory.allocate(file, len)
    }
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.memory.read_at(file, offset, buffer)
    }
    fn write_at(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let allowed = self.take(file);
        // What is torn is torn between the units of 512 bytes.
        let half = bytes.len() / 1024 * 512;
        self.memory.write_at(file, offset, if allowed.is_ok() { bytes } else { &bytes[..half] })?;
        allowed
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.take(file)?;
        self.memory.sync(file)
    }
}

pub(super) fn env(seed: u64) -> Environment {
    Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(seed)) }
}

pub(super) fn key() -> EncryptionKey {
    EncryptionKey::raw([42; 32])
}

pub(super) fn options(encryption: Encryption, key: Option<EncryptionKey>) -> Options {
    let small = Options {
        background_thread: false,
        memory_budget_bytes: 2 << 20,
        log_segment_bytes: 64 << 10,
        inline_bytes_max: 1000,
        feed_retention_bytes: 1 << 20,
        durability: Durability::Relaxed,
        ..Options::default()
    };
    Options { encryption, key, ..small }
}

pub(super) fn open(storage: &Arc<MemoryStorage>, seed: u64, key: Option<EncryptionKey>) -> crate::Result<Database> {
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env(seed), options(Encryption::Aes256Gcm, key))
}

/// These files, opened on what can be told to fail.
pub(super) fn open_failing([data, log]: &[Vec<u8>; 2], seed: u64) -> (Arc<MemoryStorage>, Arc<Failing>, Database) {
    let files = Arc::new(MemoryStorage::with_contents(data.clone(), log.clone()));
    let failing = Failing::new(&files);
    let made = options(Encryption::Aes256Gcm, Some(key()));
    let db = Database::open_storage(Arc::clone(&failing) as Arc<dyn Storage>, env(seed), made).unwrap();
    (files, failing, db)
}

/// The files as they are now: what a crash of the process leaves.
pub(super) fn contents(storage: &MemoryStorage) -> [Vec<u8>; 2] {
    [FileId::Data, FileId::Log].map(|file| storage.contents(file))
}

/// Short and long values, all with the same word in them, some deleted again.
pub(super) fn fill(db: &Database, round: u64) {
    let long = b"PLAINTEXT of a value that has an extent of its own. ".repeat(4000);
    let words = db.table(WORDS).unwrap();
    for n in 0..300u64 {
        words.put(format!("PLAINTEXT-key-{round}-{n}"), format!("PLAINTEXT value {n}").as_bytes()).unwrap();
    }
    words.put("PLAINTEXT-long", &long).unwrap();
    words.delete(format!("PLAINTEXT-key-{round}-7")).unwrap();
}

pub(super) fn check_filled(db: &Database, round: u64) {
    let words = db.table(WORDS).unwrap();
    assert_eq!(words.get(format!("PLAINTEXT-key-{round}-9")).unwrap().as_deref(), Some(&b"PLAINTEXT value 9"[..]));
    assert_eq!(words.get(format!("PLAINTEXT-key-{round}-7")).unwrap(), None);
    assert_eq!(words.get("PLAINTEXT-long").unwrap().unwrap().len(), 52 * 4000);
}

#[track_caller]
fn tells_nothing(what: &str, bytes: &[u8]) {
    for word in [&b"PLAINTEXT"[..], b"secret-table", b"-key-", b"bytes\0", b"string"] {
        let at = bytes.windows(word.len()).position(|part| part == word);
        assert_eq!(at, None, "'{}' is in {what}", word.escape_ascii());
    }
}

#[test]
fn no_key_value_or_name_is_in_any_file_at_any_time() {
    for encryption in BOTH {
        let storage = Arc::new(MemoryStorage::new());
        let env = env(1);
        let made = options(encryption, Some(key()));
        let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env.clone(), made.clone()).unwrap();
        let position = db.snapshot().position();
        fill(&db, 0);
        let files = |when: &str, storage: &MemoryStorage| {
            let [data, log] = contents(storage);
            tells_nothing(&format!("the data file {when}"), &data);
            tells_nothing(&format!("the log {when}"), &log);
        };
        files("while it is open", &storage);
        // A crash, and what recovery writes.
        let left = crashed(&storage);
        let again = Database::open_storage(Arc::clone(&left) as Arc<dyn Storage>, env.clone(), made.clone()).unwrap();
        assert!(again.recovery().replayed_commits > 0);
        check_filled(&again, 0);
        fill(&again, 1);
        again.checkpoint().unwrap();
        assert!(again.check().unwrap().is_clean());
        files("after a crash", &left);
        again.compact().unwrap();
        again.close().unwrap();
        files("after closing", &left);
        let mut increment = db.increment(position).unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = increment.next().unwrap() {
            bytes.extend(piece);
        }
        tells_nothing("an increment", &bytes);
        let mut backup = db.backup();
        let mut bytes = Vec::new();
        while let Some(piece) = backup.next().unwrap() {
            bytes.extend(piece);
        }
        tells_nothing("a backup", &bytes);
        let copy = Arc::new(MemoryStorage::with_contents(bytes, Vec::new()));
        let copy = Database::open_storage(copy, env.clone(), made.clone()).unwrap();
        check_filled(&copy, 0);
        let report = copy.check().unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}

#[test]
fn wrong_keys_are_told_and_change_nothing() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    drop(db);
    let before = contents(&storage);
    for (wrong, said) in [
        (None, "no key was given"),
        (Some(EncryptionKey::raw([43; 32])), "1 raw"),
        (Some(EncryptionKey::passphrase_with("x", CHEAP)), "0 passphrases"),
    ] {
        let error = open(&storage, 2, wrong).err().unwrap();
        assert!(matches!(error, Error::WrongKey { .. }) && format!("{error}").contains(said), "{error}");
        assert_eq!(contents(&storage), before);
    }
    let plain = Arc::new(MemoryStorage::new());
    open(&plain, 1, None).unwrap().close().unwrap();
    assert!(matches!(open(&plain, 1, Some(key())), Err(Error::WrongKey { .. })), "not encrypted");
    check_filled(&open(&storage, 3, Some(key())).unwrap(), 0);
}

#[test]
fn whoever_comes_later_is_asked_for_a_key_at_any_time() {
    for encryption in BOTH {
        let storage = Arc::new(MemoryStorage::new());
        let check = |db: &Database| {
            db.require_key(Some(&key())).unwrap();
            for wrong in [None, Some(&EncryptionKey::raw([1; 32]))] {
                assert!(matches!(db.require_key(wrong), Err(Error::WrongKey { .. })));
            }
        };
        for round in 0..3 {
            let db = Database::open_storage(Arc::clone(&storage) as _, env(round), options(encryption, Some(key())))
                .unwrap();
            // What is in memory of the superblock is not what is on storage, before the first write and after it.
            check(&db);
            fill(&db, round);
            check(&db);
            db.close().unwrap();
        }
    }
    let plain = open(&Arc::new(MemoryStorage::new()), 1, None).unwrap();
    plain.require_key(None).unwrap();
    assert!(matches!(plain.require_key(Some(&key())), Err(Error::WrongKey { .. })));
}

#[test]
fn keys_are_added_and_removed_while_it_is_open() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    let passphrase = || EncryptionKey::passphrase_with("correct horse", CHEAP);
    assert_eq!(db.add_key(&passphrase()).unwrap(), 1);
    assert_eq!(
        db.keys().iter().map(|key| (key.slot, key.kind)).collect::<Vec<_>>(),
        [(0, KeyKind::Raw), (1, KeyKind::Passphrase)]
    );
    fill(&db, 1);
    // Both open it at once, also after a crash.
    for key in [key(), passphrase()] {
        let copy = open(&crashed(&storage), 2, Some(key)).unwrap();
        check_filled(&copy, 1);
        assert!(copy.check().unwrap().is_clean());
    }
    db.remove_key(0).unwrap();
    assert!(db.remove_key(1).is_err(), "the last one stays");
    assert!(db.remove_key(0).is_err(), "it is gone");
    assert!(db.check().unwrap().is_clean());
    assert!(matches!(open(&crashed(&storage), 2, Some(key())), Err(Error::WrongKey { .. })));
    // The older superblock does not know the removed key either.
    for slot in 0..2 {
        let [mut data, log] = contents(&storage);
        data[slot * 4096..slot * 4096 + 4096].fill(0xee);
        let damaged = Arc::new(MemoryStorage::with_contents(data, log));
        assert!(open(&damaged, 2, Some(key())).is_err(), "slot {slot}");
    }
    db.close().unwrap();
    check_filled(&open(&storage, 3, Some(passphrase())).unwrap(), 1);
}

/// Whatever fails while keys change, one of the keys opens the database, and everything is there.
#[test]
fn a_change_of_keys_that_is_interrupted_anywhere_leaves_a_key() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.close().unwrap();
    drop(db);
    let closed = contents(&storage);
    let other = EncryptionKey::raw([77; 32]);
    let mut finished = false;
    for allowed in 0..200usize {
        let (files, failing, db) = open_failing(&closed, 5 + allowed as u64);
        failing.fail_after(allowed);
        let changed = db.add_key(&other).and_then(|_| db.remove_key(0));
        let left = crashed(&files);
        // Merges nothing, so that this ends where it failed.
        let _ = db.shut_down_now();
        let by_old = open(&left, 1000, Some(key()));
        let by_new = open(&crashed(&left), 1000, Some(other.clone()));
        let opened = match (by_old, by_new) {
            (Ok(db), _) | (_, Ok(db)) => db,
            (Err(old), Err(new)) => panic!("after {allowed}: {old}; {new}"),
        };
        check_filled(&opened, 0);
        assert!(opened.check().unwrap().is_clean());
        if changed.is_ok() {
            assert!(open(&left, 1000, Some(key())).is_err());
            finished = true;
            break;
        }
    }
    assert!(finished);
}

/// Of everything sealed, in this life and the next, also after failures and crashes, no nonce is drawn twice.
#[test]
fn no_nonce_is_drawn_twice() {
    witness::begin();
    let env = env(1);
    let storage = Arc::new(MemoryStorage::new());
    let mut files = storage;
    for round in 0..6 {
        let failing = Failing::new(&files);
        let made = options(Encryption::Aes256Gcm, Some(key()));
        let db = Database::open_storage(Arc::clone(&failing) as Arc<dyn Storage>, env.clone(), made).unwrap();
        fill(&db, round);
        db.checkpoint().unwrap();
        if round % 2 == 0 {
            // Appends and jobs that fail and are tried again.
            for allowed in 0..20 {
                failing.fail_after(allowed);
                let _ = db.table(WORDS).and_then(|words| words.put("again", b"PLAINTEXT"));
                let _ = db.checkpoint();
                failing.fail_after(usize::MAX);
            }
        }
        // Rolled back to what was there, which is opened twice.
        files = crashed(&files);
        open_same(&files, &env);
        let _ = db.shut_down_now();
    }
    let (drawn, again) = witness::end();
    assert!(drawn > 1000, "{drawn}");
    assert_eq!(again, 0);
}

fn open_same(files: &MemoryStorage, env: &Environment) {
    let made = options(Encryption::Aes256Gcm, Some(key()));
    let db = Database::open_storage(crashed(files), env.clone(), made).unwrap();
    fill(&db, 99);
    db.close().unwrap();
}

/// Each byte of a closed database is either of no use, or its change is told.
#[test]
fn every_flipped_byte_is_told() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    let words = db.table(WORDS).unwrap();
    for n in 0..40u32 {
        words.put(format!("key {n}"), n.to_le_bytes()).unwrap();
    }
    words.put("long", [7; 3000]).unwrap();
    db.close().unwrap();
    drop(db);
    let [data, _] = contents(&storage);
    let expected = all_of(&open(&storage, 2, Some(key())).unwrap()).unwrap();
    let mut told = 0;
    for at in 0..data.len() {
        let mut flipped = data.clone();
        flipped[at] ^= 1 << (at % 8);
        let files = Arc::new(MemoryStorage::with_contents(flipped, Vec::new()));
        let read_only = Options { read_only: true, ..options(Encryption::Aes256Gcm, Some(key())) };
        let found = Database::open_storage(files, env(3), read_only).and_then(|db| {
            let report = db.check()?;
            Ok((all_of(&db)?, report.is_clean()))
        });
        match found {
            // What nothing refers to any more, a second superblock, zeros: everything is there, unchanged.
            Ok((found, true)) => assert_eq!(found, expected, "byte {at}"),
            Ok((_, false)) | Err(_) => told += 1,
        }
    }
    assert!(told > 3000, "{told}");
}

pub(super) fn all_of(db: &Database) -> crate::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    let snapshot = db.snapshot();
    let words = snapshot.table(WORDS)?;
    for entry in words.range(..)? {
        all.push(entry?);
    }
    Ok(all)
}

#[test]
fn a_backup_and_its_increments_are_restored_by_a_key() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    let mut backup = db.backup();
    let since = backup.position();
    let bytes = core::iter::from_fn(|| backup.next().unwrap()).flatten().collect::<Vec<u8>>();
    fill(&db, 1);
    let mut increment = db.increment(since).unwrap();
    let changes = core::iter::from_fn(|| increment.next().unwrap()).flatten().collect::<Vec<u8>>();
    let restored = |key| {
        let copy = Arc::new(MemoryStorage::with_contents(bytes.clone(), Vec::new()));
        open(&copy, 2, key)
    };
    assert!(matches!(restored(Some(EncryptionKey::raw([1; 32]))), Err(Error::WrongKey { .. })));
    let copy = restored(Some(key())).unwrap();
    let mut replay = copy.replay(crate::ReplayUntil::End).unwrap();
    replay.push(&changes).unwrap();
    replay.end_increment().unwrap();
    replay.finish().unwrap();
    check_filled(&copy, 1);
    assert!(copy.check().unwrap().is_clean());
    assert_eq!(all_of(&copy).unwrap(), all_of(&db).unwrap());
    // Whatever is changed in it is told before anything of it is believed.
    for at in (0..changes.len()).step_by(changes.len() / 97) {
        let mut damaged = changes.clone();
        damaged[at] ^= 4;
        let copy = restored(Some(key())).unwrap();
        let mut replay = copy.replay(crate::ReplayUntil::End).unwrap();
        let replayed = replay.push(&damaged).and_then(|()| replay.end_increment());
        assert!(replayed.is_err(), "byte {at}");
    }
    // One of a database that is not encrypted is not taken for it.
    let plain = Arc::new(MemoryStorage::new());
    let plain = open(&plain, 1, None).unwrap();
    let since = plain.snapshot().position();
    fill(&plain, 1);
    let mut foreign = plain.increment(since).unwrap();
    let foreign = core::iter::from_fn(|| foreign.next().unwrap()).flatten().collect::<Vec<u8>>();
    let mut replay = restored(Some(key())).unwrap().replay(crate::ReplayUntil::End).unwrap();
    assert!(replay.push(&foreign).is_err());
}

#[test]
fn salvage_opens_a_damaged_database_by_its_key() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.close().unwrap();
    let [data, log] = contents(&storage);
    // Both superblocks are lost, and with them all keys but those in front of the records.
    let mut damaged = data.clone();
    damaged[..8192].fill(0xdd);
    let salvaged = |data: Vec<u8>, key: EncryptionKey| {
        let source = Arc::new(MemoryStorage::with_contents(data, log.clone()));
        let made = Arc::new(MemoryStorage::new());
        let db = open(&made, 7, Some(key)).unwrap();
        db.salvage(source, &mut |_| {}).map(|report| (db, report, made))
    };
    let (found, report, made) = salvaged(damaged, key()).unwrap();
    assert_eq!(report.basis, crate::SalvageBasis::Copy);
    check_filled(&found, 0);
    tells_nothing("what was salvaged", &contents(&made)[0]);
    assert!(matches!(salvaged(data.clone(), EncryptionKey::raw([1; 32])), Err(Error::WrongKey { .. })));
    // A superblock that was made up, with a right checksum, is passed over: the other is believed.
    for slot in 0..2 {
        let mut forged = data.clone();
        let sector = &mut forged[slot * 4096..slot * 4096 + 4096];
        sector[72] ^= 1;
        let checksum = crate::codec::checksum::crc32(&[&sector[..252]]);
        sector[252..256].copy_from_slice(&checksum.to_le_bytes());
        let (found, _, _) = salvaged(forged, key()).unwrap();
        check_filled(&found, 0);
    }
    // Without inner nodes leaves are found by looking at every grain.
    let mut nodes = 0;
    for at in (8192..data.len()).step_by(4096) {
        let mut damaged = data.clone();
        damaged[at..at + 64].fill(0xdd);
        let (found, report, _) = salvaged(damaged, key()).unwrap();
        let words = found.table(WORDS).unwrap();
        let there = (0..300).filter(|n| words.get(format!("PLAINTEXT-key-0-{n}")).unwrap().is_some()).count();
        nodes += usize::from(there < 299);
        assert!(there == 299 || !report.losses.is_empty(), "sector {at}: {there}, {report:?}");
    }
    assert!(nodes > 0, "some damage was of leaves");
}

/// What somebody without the key puts back from an earlier copy of the file is no longer what anything refers to.
#[test]
fn an_older_sector_in_the_place_of_a_newer_one_is_told() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.checkpoint().unwrap();
    let [older, _] = contents(&storage);
    fill(&db, 1);
    db.compact().unwrap();
    db.close().unwrap();
    let [newer, _] = contents(&storage);
    let expected = all_of(&open(&crashed(&storage), 2, Some(key())).unwrap()).unwrap();
    let mut told = 0;
    for at in (8192..newer.len().min(older.len())).step_by(4096) {
        if newer[at..at + 4096] == older[at..at + 4096] {
            continue;
        }
        let mut mixed = newer.clone();
        mixed[at..at + 4096].copy_from_slice(&older[at..at + 4096]);
        let files = Arc::new(MemoryStorage::with_contents(mixed, Vec::new()));
        match open(&files, 3, Some(key())).and_then(|db| Ok((all_of(&db)?, db.check()?.is_clean()))) {
            Ok((found, true)) => assert_eq!(found, expected),
            _ => told += 1,
        }
    }
    assert!(told > 0);
}

/// Whoever kept what a power loss took back cannot put it in again, though all that proves a segment's header is a checksum.
#[test]
fn a_commit_that_was_taken_back_is_not_believed_when_it_is_put_in_again() {
    use crate::log::{Owner, Verdict, forged::forge, replay, seal_payload};
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.checkpoint().unwrap();
    let left = crashed(&storage);
    let engine = &db.shared.engine;
    let (position, config) = engine.log_for_tests();
    for n in 0..3u8 {
        db.table(WORDS).unwrap().put("taken back", [n]).unwrap();
    }
    let envelope = engine.nodes.seal().envelope.clone();
    let owner = Owner { database_id: config.database_id, envelope: envelope.clone() };
    let mut commits = Vec::new();
    replay(&*storage, owner, None, &[], position, &mut |commit| {
        let sealed = seal_payload(&envelope, commit.incarnation, commit.sequence, commit.payload);
        commits.push((commit.sequence, sealed.unwrap()));
        Ok(Verdict::Whole)
    })
    .unwrap();
    assert_eq!(commits.len(), 3);
    // The power loss: another life begins without them.
    let again = open(&left, 2, Some(key())).unwrap();
    again.table(WORDS).unwrap().put("instead", [9]).unwrap();
    let (at, now) = again.shared.engine.log_for_tests();
    assert_ne!(now.incarnation, config.incarnation);
    let files = crashed(&left);
    for killed in [&db, &again] {
        killed.shut_down_now().unwrap();
    }
    assert!(open(&crashed(&files), 3, Some(key())).unwrap().table(WORDS).unwrap().get("instead").unwrap().is_some());
    forge(&*files, &config, at, &commits);
    let error = open(&files, 3, Some(key())).err().unwrap();
    assert!(format!("{error}").contains("taken back"), "{error}");
    // Salvage does not believe it either.
    let made = open(&Arc::new(MemoryStorage::new()), 7, Some(key())).unwrap();
    let report = made.salvage(files, &mut |_| {}).unwrap();
    assert!(!report.lost_commits.is_empty(), "{report:?}");
    assert!(made.table(WORDS).unwrap().get("taken back").unwrap().is_none(), "{report:?}");
    check_filled(&made, 0);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Act {
        Put(u8, usize),
        Delete(u8),
        Checkpoint,
        Reopen,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => (any::<u8>(), prop_oneof![0usize..40, 900usize..1100, Just(70_000)]).prop_map(|(key, len)| Act::Put(key, len)),
            3 => any::<u8>().prop_map(Act::Delete),
            1 => Just(Act::Checkpoint),
            1 => Just(Act::Reopen),
        ];
        proptest::collection::vec(act, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn an_encrypted_database_answers_as_one_that_is_not(acts in acts(), chacha in any::<bool>()) {
            let encryption = BOTH[usize::from(chacha)];
            let stores = [Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new())];
            let open = |which: usize, seed| {
                let key = (which == 1).then(key);
                Database::open_storage(Arc::clone(&stores[which]) as Arc<dyn Storage>, env(seed), options(encryption, key)).unwrap()
            };
            let mut dbs = [open(0, 1), open(1, 1)];
            for (step, act) in acts.iter().enumerate() {
                for (which, db) in dbs.iter_mut().enumerate() {
                    match act {
                        Act::Put(key, len) => {
                            db.table(WORDS).unwrap().put(format!("{key}"), vec![*key; *len]).unwrap();
                        }
                        Act::Delete(key) => {
                            db.table(WORDS).unwrap().delete(format!("{key}")).unwrap();
                        }
                        Act::Checkpoint => db.checkpoint().unwrap(),
                        Act::Reopen => {
                            db.close().unwrap();
                            *db = open(which, 2 + step as u64);
                        }
                    }
                }
            }
            dbs.iter().for_each(|db| { db.table(WORDS).unwrap().put("last", []).unwrap(); });
            let [plain, sealed] = dbs;
            prop_assert_eq!(all_of(&plain).unwrap(), all_of(&sealed).unwrap());
            prop_assert!(sealed.check().unwrap().is_clean());
        }
    }
}
