//! Encrypting everything anew: while others read and write, through crashes, and so that nothing of before is left.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::encryption_tests::{WORDS, all_of, check_filled, contents, env, fill, key, open, open_failing, options};
use super::tests::crashed;
use crate::codec::cipher::witness;
use crate::engine::{Encryption, EncryptionKey, KeyProvider, Progress, ReencryptionStage};
use crate::env::{MemoryStorage, Storage};
use crate::error::{Error, Result};
use crate::{Database, Options};

fn new_key() -> EncryptionKey {
    EncryptionKey::raw([77; 32])
}

/// How many pieces of 64 bytes, at the same place, are as they were: whatever was sealed in them is there still. What stands in clear in superblocks,
/// their copies and the log's headers may be the same.
fn left_of(before: &[Vec<u8>; 2], after: &[Vec<u8>; 2]) -> Vec<(usize, usize)> {
    let mut left = Vec::new();
    for (file, (before, after)) in before.iter().zip(after).enumerate() {
        let in_clear = if file == 0 { 8192 } else { 4096 };
        for at in (in_clear..before.len().min(after.len())).step_by(64) {
            let [was, is] = [before, after].map(|bytes| &bytes[at..(at + 64).min(bytes.len())]);
            if was == is && is.iter().any(|byte| *byte != 0) && !is.starts_with(b"LightnDB") {
                left.push((file, at));
            }
        }
    }
    left
}

/// That no nonce which was drawn under the data key of before stands anywhere in the files.
fn require_no_nonce_of_before(files: &[Vec<u8>; 2], nonces: &alloc::collections::BTreeSet<[u8; 24]>) {
    for bytes in files {
        for at in 0..bytes.len().saturating_sub(24) {
            let nonce = bytes[at..at + 24].first_chunk().unwrap();
            assert!(nonce[22..] != [0, 0] || !nonces.contains(nonce), "at {at}");
        }
    }
}

fn finish(db: &Database) -> Vec<ReencryptionStage> {
    let mut stages = Vec::new();
    db.finish_reencryption(&mut |progress| {
        if stages.last() != Some(&progress.stage) {
            stages.push(progress.stage);
        }
        assert!(progress.done <= progress.all, "{progress:?}");
    })
    .unwrap();
    assert!(db.reencryption().is_none());
    stages
}

#[test]
fn nothing_in_the_files_is_under_the_old_key_when_it_is_done() {
    for encryption in [Encryption::Aes256Gcm, Encryption::ChaCha20Poly1305] {
        witness::begin();
        let storage = Arc::new(MemoryStorage::new());
        let made = options(encryption, Some(key()));
        let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(1), made).unwrap();
        for round in 0..4 {
            fill(&db, round);
            db.checkpoint().unwrap();
        }
        fill(&db, 4);
        let expected = all_of(&db).unwrap();
        let before = contents(&storage);
        let nonces = witness::drawn_so_far();
        db.reencrypt(&new_key()).unwrap();
        assert!(matches!(db.reencrypt(&new_key()), Err(Error::Invalid { .. })), "one after the other");
        assert_eq!(all_of(&db).unwrap(), expected);
        assert!(!left_of(&before, &contents(&storage)).is_empty());
        let stages = finish(&db);
        use ReencryptionStage::{Forget, Merge, Release, Rewrite, Wipe};
        assert_eq!(stages, [Merge, Rewrite, Release, Wipe, Forget]);
        assert_eq!(all_of(&db).unwrap(), expected);
        assert!(db.check().unwrap().is_clean());
        let after = contents(&storage);
        assert_eq!(left_of(&before, &after), []);
        require_no_nonce_of_before(&after, &nonces);
        assert_eq!(db.keys().len(), 1);
        // It goes on as ever, also after a crash.
        fill(&db, 5);
        let made = |key| options(encryption, Some(key));
        let copy = Database::open_storage(crashed(&storage), env(2), made(new_key())).unwrap();
        check_filled(&copy, 5);
        assert!(copy.check().unwrap().is_clean() && copy.reencryption().is_none());
        assert!(matches!(Database::open_storage(crashed(&storage), env(2), made(key())), Err(Error::WrongKey { .. })));
        db.close().unwrap();
        let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(3), made(new_key())).unwrap();
        check_filled(&db, 5);
        // And again.
        let before = contents(&storage);
        db.reencrypt(&key()).unwrap();
        finish(&db);
        assert_eq!(left_of(&before, &contents(&storage)), []);
        assert_eq!(witness::end().1, 0, "no nonce twice");
    }
}

#[test]
fn whoever_may_not_wait_goes_on_in_steps() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    assert_eq!(db.step_reencryption().unwrap(), None);
    db.reencrypt(&new_key()).unwrap();
    let mut stages = Vec::new();
    while let Some(progress) = db.step_reencryption().unwrap() {
        stages.push(progress.stage);
    }
    assert!(stages.len() > 1 && stages.is_sorted(), "{stages:?}");
    assert!(db.reencryption().is_none());
    check_filled(&db, 0);
    // And hears what it waits for.
    db.create_snapshot("before").unwrap();
    db.reencrypt(&key()).unwrap();
    let waits = (0..10_000).find_map(|_| db.step_reencryption().err()).unwrap();
    assert!(format!("{waits}").contains("the snapshot 'before'"), "{waits}");
}

/// Puts, reads, and steps in turns, until it is done.
#[test]
fn readers_and_writers_go_on_meanwhile() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    for round in 0..3 {
        fill(&db, round);
        db.checkpoint().unwrap();
    }
    // A value that is begun before and committed after, and one that never is.
    let mut open_value = db.begin(crate::Isolation::Snapshot);
    open_value.table(WORDS).unwrap().put("begun before", [9; 100_000]).unwrap();
    let mut never = db.begin(crate::Isolation::Snapshot);
    never.table(WORDS).unwrap().put("never", [8; 100_000]).unwrap();
    let before = contents(&storage);
    let snapshot = db.snapshot();
    let seen = |snapshot: &crate::Snapshot| {
        let words = snapshot.table(WORDS).unwrap();
        words.range(..).unwrap().map(|entry| entry.unwrap()).collect::<Vec<_>>()
    };
    let expected = seen(&snapshot);
    db.reencrypt(&new_key()).unwrap();
    let mut open_value = Some(open_value);
    let mut never = Some(never);
    let mut snapshot = Some(snapshot);
    let words = db.table(WORDS).unwrap();
    let mut waited = Vec::new();
    for turn in 0..100_000u64 {
        let Some(progress) = db.reencryption() else { break };
        words.put(format!("turn {}", turn % 50), turn.to_le_bytes()).unwrap();
        if turn % 40 == 0 {
            words.put("turned long", vec![turn as u8; 50_000]).unwrap();
        }
        assert_eq!(words.get(format!("turn {}", turn % 50)).unwrap().as_deref(), Some(&turn.to_le_bytes()[..]));
        if db.step().unwrap() == Progress::Idle && progress.waiting_for.is_some() {
            waited.push(progress.stage);
            match waited.len() {
                3 => {
                    open_value.take().unwrap().commit().unwrap();
                    drop(never.take());
                }
                6 => {
                    let snapshot = snapshot.take().unwrap();
                    assert_eq!(seen(&snapshot), expected);
                }
                _ => {}
            }
        }
    }
    assert!(db.reencryption().is_none(), "{:?}", db.reencryption());
    assert!(waited.contains(&ReencryptionStage::Merge) && waited.contains(&ReencryptionStage::Release), "{waited:?}");
    assert_eq!(words.get("begun before").unwrap().as_deref(), Some(&[9; 100_000][..]));
    assert_eq!(left_of(&before, &contents(&storage)), []);
    assert!(db.check().unwrap().is_clean());
    check_filled(&open(&crashed(&storage), 2, Some(new_key())).unwrap(), 2);
}

/// Whatever fails: one of the keys opens it, everything is there, and going on leads to the end.
#[test]
fn it_is_gone_on_with_after_a_crash_at_any_io() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.checkpoint().unwrap();
    fill(&db, 1);
    let before = contents(&storage);
    db.shut_down_now().unwrap();
    let expected = all_of(&open(&crashed(&storage), 2, Some(key())).unwrap()).unwrap();
    let (mut finished, mut resumed) = (false, 0);
    for allowed in 0..2000usize {
        let (files, failing, db) = open_failing(&before, 5 + allowed as u64);
        failing.fail_after(allowed);
        let done = db.reencrypt(&new_key()).and_then(|()| db.finish_reencryption(&mut |_| {}));
        let left = crashed(&files);
        // Merges nothing, so that this ends where it failed.
        let _ = db.shut_down_now();
        let opened = open(&left, 1000, Some(new_key()))
            .or_else(|new| open(&left, 1000, Some(key())).map_err(|old| panic!("after {allowed}: {new}; {old}")));
        let opened: Database = opened.unwrap();
        assert_eq!(all_of(&opened).unwrap(), expected, "after {allowed}");
        let report = opened.check().unwrap();
        assert!(report.is_clean(), "after {allowed}: {report:?}");
        resumed += usize::from(opened.reencryption().is_some());
        if opened.reencryption().is_some() {
            opened.finish_reencryption(&mut |_| {}).unwrap();
            assert_eq!(left_of(&before, &contents(&left)), [], "after {allowed}");
            assert_eq!(all_of(&opened).unwrap(), expected, "after {allowed}");
        }
        if done.is_ok() {
            assert!(open(&left, 1000, Some(key())).is_err());
            finished = true;
            break;
        }
    }
    assert!(finished && resumed > 20, "{resumed}");
}

/// A copy made in the middle is opened by the key of then, and is encrypted anew to the end; increments of before and after are
/// brought to it.
#[test]
fn backups_and_increments_of_any_time_are_restored() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.checkpoint().unwrap();
    let backup = |db: &Database| {
        let mut backup = db.backup();
        let position = backup.position();
        (position, core::iter::from_fn(|| backup.next().unwrap()).flatten().collect::<Vec<u8>>())
    };
    let increment = |since| {
        let mut increment = db.increment(since).unwrap();
        core::iter::from_fn(|| increment.next().unwrap()).flatten().collect::<Vec<u8>>()
    };
    let (since, first) = backup(&db);
    // One that is made while the keys change.
    let mut slow = db.backup();
    let mut slow_bytes = slow.next().unwrap().unwrap_or_default();
    fill(&db, 1);
    let changes = increment(since);
    let after_changes = db.snapshot().position();
    db.reencrypt(&new_key()).unwrap();
    let restored =
        |bytes: &[u8], key| open(&Arc::new(MemoryStorage::with_contents(bytes.to_vec(), Vec::new())), 2, Some(key));
    let mut middle = Vec::new();
    for step in 0..1_000_000 {
        if step % 7 == 0 && middle.len() < 40 {
            middle.push(backup(&db).1);
        }
        if db.step().unwrap() == Progress::Idle {
            break;
        }
    }
    assert!(db.reencryption().is_some(), "the slow backup reads what was before");
    while let Some(piece) = slow.next().unwrap() {
        slow_bytes.extend(piece);
    }
    drop(slow);
    finish(&db);
    let mut unfinished = 0;
    for bytes in middle {
        let copy = restored(&bytes, new_key()).unwrap();
        check_filled(&copy, 1);
        assert!(copy.check().unwrap().is_clean());
        if copy.reencryption().is_some() {
            unfinished += 1;
            finish(&copy);
            check_filled(&copy, 1);
        }
        assert!(copy.check().unwrap().is_clean());
    }
    assert!(unfinished > 0);
    check_filled(&restored(&slow_bytes, key()).unwrap(), 0);
    fill(&db, 2);
    // The feed was given up with the old key, so increments go on after a newer backup.
    let later = increment(after_changes);
    let replayed = |key: EncryptionKey, bytes: &[u8], increments: &[&[u8]]| -> Result<Database> {
        let copy = restored(bytes, key)?;
        let mut replay = copy.replay(crate::ReplayUntil::End)?;
        for bytes in increments {
            replay.push(bytes)?;
            replay.end_increment()?;
        }
        replay.finish()?;
        Ok(copy)
    };
    check_filled(&replayed(key(), &first, &[&changes]).unwrap(), 1);
    // What is opened by one key only is not opened by the other, and says so.
    let refused = replayed(key(), &first, &[&changes, &later]).err().unwrap();
    assert!(matches!(refused, Error::WrongKey { .. }), "{refused}");
}

/// A named snapshot stays what it was, under the old key, which stays as long.
#[test]
fn a_named_snapshot_of_before_keeps_the_old_key() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    db.create_snapshot("before").unwrap();
    let before = contents(&storage);
    db.reencrypt(&new_key()).unwrap();
    let waits = db.finish_reencryption(&mut |_| {}).unwrap_err();
    assert!(format!("{waits}").contains("the snapshot 'before'"), "{waits}");
    assert!(format!("{:?}", db.health()).contains("'before'"));
    assert!(db.stats().reencryption.unwrap().waiting_for.unwrap().contains("'before'"));
    db.close().unwrap();
    // What is closed stays as it is.
    let closed = contents(&storage);
    assert_eq!(db.step().unwrap(), Progress::Idle);
    assert!(matches!(db.finish_reencryption(&mut |_| {}), Err(Error::Closed)));
    assert!(contents(&storage) == closed);
    let db = open(&storage, 2, Some(new_key())).unwrap();
    check_filled(&db, 0);
    let report = db.check().unwrap();
    assert!(report.is_clean(), "{report:?}");
    let named = db.snapshot_named("before").unwrap();
    assert_eq!(named.table(WORDS).unwrap().range(..).unwrap().count(), 300);
    drop(named);
    db.drop_snapshot("before").unwrap();
    finish(&db);
    assert_eq!(left_of(&before, &contents(&storage)), []);
    db.create_snapshot("after").unwrap();
    let named = db.snapshot_named("after").unwrap();
    assert_eq!(named.table(WORDS).unwrap().range(..).unwrap().count(), 300);
}

/// What the archive has not yet stays until it has it; and pieces of before and after lead to the newest commit, from a backup of before.
#[test]
fn the_archive_is_waited_for_and_goes_on() {
    let storage = Arc::new(MemoryStorage::new());
    let sink = Arc::new(super::archive_tests::Sink::default());
    let db = open(&storage, 1, Some(key())).unwrap();
    db.attach_archive(Arc::clone(&sink) as Arc<dyn crate::ArchiveSink>);
    fill(&db, 0);
    db.archive_on(crate::ArchiveOptions::default()).unwrap();
    let mut backup = db.backup();
    let bytes = core::iter::from_fn(|| backup.next().unwrap()).flatten().collect::<Vec<u8>>();
    drop(backup);
    fill(&db, 1);
    db.archive_now().unwrap();
    fill(&db, 2);
    let before = contents(&storage);
    // The same key opens it, but another data key is behind it.
    db.reencrypt(&key()).unwrap();
    let waits = db.finish_reencryption(&mut |_| {}).unwrap_err();
    assert!(format!("{waits}").contains("archive"), "{waits}");
    db.archive_now().unwrap();
    finish(&db);
    assert_eq!(left_of(&before, &contents(&storage)), []);
    fill(&db, 3);
    db.archive_now().unwrap();
    let copy = open(&Arc::new(MemoryStorage::with_contents(bytes, Vec::new())), 2, Some(key())).unwrap();
    let mut replay = copy.replay(crate::ReplayUntil::End).unwrap();
    for piece in sink.pieces() {
        replay.push(&piece).unwrap();
        replay.end_increment().unwrap();
    }
    replay.finish().unwrap();
    assert_eq!(all_of(&copy).unwrap(), all_of(&db).unwrap());
}

#[test]
fn a_thread_does_it_while_others_write() {
    let storage = Arc::new(MemoryStorage::new());
    let made = Options { background_thread: true, ..options(Encryption::Aes256Gcm, Some(key())) };
    let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(1), made).unwrap();
    for round in 0..3 {
        fill(&db, round);
    }
    db.reencrypt(&new_key()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (3..6).for_each(|round| fill(&db, round)));
        scope.spawn(|| (0..50).for_each(|_| check_filled(&db, 2)));
    });
    while let Err(error) = db.finish_reencryption(&mut |_| {}) {
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    check_filled(&db, 5);
    assert!(db.check().unwrap().is_clean());
    db.close().unwrap();
    check_filled(&open(&storage, 2, Some(new_key())).unwrap(), 5);
}

/// Who keeps a key may ask the database for something: nobody holds it meanwhile.
#[test]
fn whoever_is_asked_for_a_key_holds_nobody_up() {
    struct Asks(std::sync::Mutex<Option<Database>>);
    impl KeyProvider for Asks {
        fn wrap(&self, key: &[u8; 32]) -> Result<Vec<u8>> {
            if let Some(db) = self.0.lock().unwrap().as_ref() {
                assert!(db.stats().sequence > 0);
                db.step()?;
            }
            Ok(key.to_vec())
        }
        fn unwrap(&self, wrapped: &[u8]) -> Result<Option<[u8; 32]>> {
            Ok(wrapped.first_chunk().copied())
        }
    }
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, 1, Some(key())).unwrap();
    fill(&db, 0);
    let asks = Arc::new(Asks(std::sync::Mutex::new(Some(db.clone()))));
    let keeper = EncryptionKey::provider(Arc::clone(&asks) as Arc<dyn KeyProvider>);
    assert_eq!(db.add_key(&keeper).unwrap(), 1);
    db.reencrypt(&keeper).unwrap();
    finish(&db);
    *asks.0.lock().unwrap() = None;
    check_filled(&open(&crashed(&storage), 2, Some(keeper)).unwrap(), 0);
}
