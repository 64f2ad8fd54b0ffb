//! Change feeds on memory: what is given, when, and what is said when something is not.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::engine::{Durability, Environment};
use crate::env::{Failing, FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
use crate::error::{Error, Result};
use crate::table::Table;

const T: Table<u64, &[u8]> = Table::new("t");
const WORDS: Table<&str, &str> = Table::new("words");

fn options(feed_retention_bytes: u64) -> Options {
    Options {
        background_thread: false,
        durability: Durability::Relaxed,
        memtable_bytes: Some(64 << 10),
        log_segment_bytes: 64 << 10,
        feed_retention_bytes,
        ..Options::default()
    }
}

fn open_with(storage: Arc<dyn Storage>, seed: u64, options: Options) -> Database {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(seed)) };
    Database::open_storage(storage, env, options).unwrap()
}

fn open(storage: &Arc<MemoryStorage>, seed: u64, feed_retention_bytes: u64) -> Database {
    open_with(Arc::clone(storage) as Arc<dyn Storage>, seed, options(feed_retention_bytes))
}

fn copy(storage: &MemoryStorage) -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), storage.contents(FileId::Log)))
}

/// The changes of a commit, one word each.
fn told(commit: &Commit) -> String {
    let mut all = Vec::new();
    for change in commit.changes() {
        all.push(match change {
            Change::Put { table, key, value } => {
                let value = value.read().unwrap().map_or(String::from("gone"), |value| match value.len() {
                    0..20 => value.escape_ascii().to_string(),
                    len => format!("{len} bytes"),
                });
                format!("{table}/{}={value}", key.escape_ascii())
            }
            Change::Delete { table, key } => format!("{table}/{}!", key.escape_ascii()),
            Change::DeleteRange { table, from, to } => {
                format!(
                    "{table}/{}..{}!",
                    from.escape_ascii(),
                    to.map_or(String::new(), |to| to.escape_ascii().to_string())
                )
            }
        });
    }
    format!("{}: {}", commit.sequence(), all.join(" "))
}

fn rest(feed: &mut ChangeFeed) -> Vec<String> {
    core::iter::from_fn(|| feed.next().unwrap()).map(|commit| told(&commit)).collect()
}

/// Commits `count` values of `bytes` under one number after the other; gives what the feed is to say of table `t`.
fn fill(db: &Database, from: u64, count: u64, bytes: usize) {
    let table = db.table(T).unwrap();
    for number in from..from + count {
        table.put(number, &vec![number as u8; bytes][..]).unwrap();
        if number.is_multiple_of(16) {
            while db.step().unwrap() == crate::engine::Progress::More {}
        }
    }
}

fn sequences(feed: &mut ChangeFeed) -> Result<Vec<u64>> {
    let mut all = Vec::new();
    while let Some(commit) = feed.next()? {
        all.push(commit.sequence());
    }
    Ok(all)
}

#[test]
fn gives_every_commit_in_order_and_then_each_new_one() {
    let db = open(&Arc::default(), 1, 0);
    let mut feed = db.changes(Since::Oldest).unwrap();
    assert_eq!(rest(&mut feed), Vec::<String>::new());
    let words = db.table(WORDS).unwrap();
    words.put("a", "1").unwrap();
    assert_eq!(rest(&mut feed), ["1: ", "2: words/a=1"], "making a table is a commit");
    let before = feed.position();
    words.delete("a").unwrap();
    words.delete_range("b".."d").unwrap();
    words.delete_range("x"..).unwrap();
    db.transaction(|tx| {
        tx.table(T)?.put(7, [b'v'; 9000])?;
        tx.table(WORDS)?.put("c", "3")?;
        tx.table(WORDS)?.delete_range(.."b")
    })
    .unwrap();
    db.transaction(|tx| tx.drop_table("words").map(drop)).unwrap();
    let expected = [
        "3: words/a!",
        "4: words/b..d!",
        "5: words/x..!",
        "6: words/..b! words/c=3 t/\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07=9000 bytes",
        "7: words/..!",
    ];
    assert_eq!(rest(&mut feed), expected);
    // A new feed does not know what the dropped table was called until it is dropped.
    let mut again = db.changes(before).unwrap();
    let found = rest(&mut again);
    assert_eq!(found[3], "6: t/\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07=9000 bytes");
    assert_eq!(found[4], "7: words/..!");
    assert_eq!(again.position(), feed.position());
    let mut now = db.changes(Since::Now).unwrap();
    assert!(now.next().unwrap().is_none());
    assert_eq!(now.position(), feed.position());
    assert_eq!(db.snapshot().position(), feed.position());
}

#[test]
fn a_long_value_that_was_replaced_is_said_to_be_gone() {
    let storage = Arc::default();
    let db = open(&storage, 1, 1 << 20);
    let start = db.snapshot().position();
    let table = db.table(T).unwrap();
    for round in 0..40u8 {
        table.put(1, &vec![round; 50_000][..]).unwrap();
        db.checkpoint().unwrap();
    }
    let mut feed = db.changes(start).unwrap();
    let all = rest(&mut feed);
    let count = |what: &str| all.iter().filter(|told| told.ends_with(what)).count();
    assert!(count("=gone") > 20 && count("=50000 bytes") >= 1, "{all:#?}");
    assert_eq!(count("=gone") + count("=50000 bytes"), 40);
    assert!(all.last().unwrap().ends_with("=50000 bytes"));
    assert!(db.check().unwrap().is_clean(), "reading what is gone harms nothing");
}

#[test]
fn a_commit_whose_sync_fails_is_never_given() {
    let storage = Arc::new(Failing::default());
    let db = open_with(storage.clone(), 1, Options { durability: Durability::Sync, ..options(0) });
    let mut feed = db.changes(Since::Now).unwrap();
    let words = db.table(WORDS).unwrap();
    words.put("a", "1").unwrap();
    assert_eq!(rest(&mut feed), ["1: ", "2: words/a=1"]);
    *storage.syncs.lock().unwrap() = true;
    assert!(words.put("b", "2").is_err());
    assert!(matches!(feed.next(), Err(Error::Poisoned { .. })));
    assert!(matches!(feed.wait(Duration::from_secs(1000)), Err(Error::Poisoned { .. })));
}

#[test]
fn what_a_failed_append_left_is_no_commit() {
    let storage = Arc::new(Failing::default());
    let db = open_with(storage.clone(), 1, options(0));
    let words = db.table(WORDS).unwrap();
    let mut feed = db.changes(Since::Now).unwrap();
    for round in 0..5 {
        *storage.next_write.lock().unwrap() = true;
        assert!(words.put("wrong", "0").is_err());
        assert!(feed.next().unwrap().is_none());
        words.put("a", "1").unwrap();
        assert_eq!(rest(&mut feed), [format!("{}: words/a=1", round + 2)]);
        // One that has not looked at the end before.
        assert_eq!(rest(&mut db.changes(Since::Oldest).unwrap()).len(), round + 2);
    }
}

#[test]
fn killed_processes_lose_nothing_and_a_position_outlives_them() {
    let mut storage: Arc<MemoryStorage> = Arc::default();
    let mut position = None;
    let mut next = 1;
    for life in 0..12u64 {
        let db = open(&storage, life + 1, 4 << 20);
        let since = position.map_or(Since::Oldest, Since::Position);
        let mut feed = db.changes(since).unwrap();
        // Lives of every length, some without a commit, some that are not read to their end.
        fill(&db, life * 1000, life % 4 * 70, 900);
        let unread = life % 3 * 5;
        let end = db.snapshot().sequence().saturating_sub(unread);
        while next <= end {
            assert_eq!(feed.next().unwrap().unwrap().sequence(), next);
            next += 1;
        }
        position = Some(feed.position());
        let from_oldest = sequences(&mut db.changes(Since::Oldest).unwrap()).unwrap();
        assert!(from_oldest.iter().copied().eq(1..=db.snapshot().sequence()), "life {life}: {from_oldest:?}");
        if life % 5 == 4 {
            db.close().unwrap();
        } else {
            storage = copy(&storage);
        }
    }
    assert!(next > 800);
}

#[test]
fn a_power_loss_that_takes_back_what_was_read_is_a_fork() {
    let storage: Arc<MemoryStorage> = Arc::default();
    let db = open(&storage, 1, 0);
    let words = db.table(WORDS).unwrap();
    words.put("a", "1").unwrap();
    let mut feed = db.changes(Since::Oldest).unwrap();
    assert_eq!(rest(&mut feed).len(), 2);
    let (left, common) = (copy(&storage), feed.position());
    words.put("b", "2").unwrap();
    assert_eq!(rest(&mut feed), ["3: words/b=2"]);
    let lost = feed.position();

    let db = open(&left, 2, 0);
    let forked = Error::HistoryForked { sequence: 3, common: Some(2) };
    assert_eq!(db.changes(lost).unwrap_err(), forked);
    // It stays one when history has gone on beyond it, and after further lives.
    db.table(WORDS).unwrap().put("c", "3").unwrap();
    assert_eq!(db.changes(lost).unwrap_err(), forked);
    let db = open(&copy(&left), 3, 0);
    assert_eq!(db.changes(lost).unwrap_err(), forked);
    assert_eq!(rest(&mut db.changes(common).unwrap()), ["3: words/c=3"]);
    db.close().unwrap();
    let elsewhere = open(&Arc::default(), 4, 0);
    assert_eq!(elsewhere.changes(common).unwrap_err(), Error::HistoryForked { sequence: 2, common: None });
}

#[test]
fn retention_keeps_so_much_and_no_more() {
    const RETENTION: u64 = 10 * (64 << 10);
    let storage: Arc<MemoryStorage> = Arc::default();
    let db = open(&storage, 1, RETENTION);
    let start = db.snapshot().position();
    let log_bytes_max = options(0).engine_options().unwrap().log_bytes_max;
    for round in 0..20 {
        fill(&db, 0, 200, 1000);
        let kept = sequences(&mut db.changes(Since::Oldest).unwrap()).unwrap();
        assert!(kept.is_sorted() && kept.last() == Some(&db.snapshot().sequence()));
        assert_eq!(kept.len() as u64, kept.last().unwrap() - kept.first().unwrap() + 1);
        let bytes = storage.len(FileId::Log).unwrap();
        assert!(bytes <= log_bytes_max + RETENTION + 4096, "{bytes}");
        if round > 5 {
            // Of each segment some is lost at its end, and of the oldest one commit.
            assert!(kept.len() as u64 * 1000 > RETENTION * 9 / 10, "{}", kept.len());
            let oldest = kept[0];
            assert_eq!(db.changes(start).unwrap_err(), Error::NoLongerKept { oldest, asked: start.sequence() + 1 });
        }
    }
    db.checkpoint().unwrap();
    db.close().unwrap();
    assert!(storage.len(FileId::Log).unwrap() <= log_bytes_max + RETENTION + 4096);
    // Less is kept as soon as less is wanted.
    let db = open(&storage, 2, 0);
    fill(&db, 0, 600, 1000);
    db.close().unwrap();
    assert_eq!(storage.len(FileId::Log).unwrap(), 0);
}

#[test]
fn a_clean_close_keeps_what_is_to_be_kept_and_the_log_may_still_be_taken_away() {
    let storage: Arc<MemoryStorage> = Arc::default();
    let mut expected = 0;
    for life in 1..8 {
        let db = open(&storage, life, 8 << 20);
        fill(&db, 0, 150, 1000);
        expected = db.snapshot().sequence();
        assert!(sequences(&mut db.changes(Since::Oldest).unwrap()).unwrap().into_iter().eq(1..=expected), "{life}");
        db.close().unwrap();
        assert!(storage.len(FileId::Log).unwrap() > 100_000);
    }
    let alone = Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), Vec::new()));
    let db = open(&alone, 9, 8 << 20);
    assert!(db.recovery().clean);
    fill(&db, 0, 10, 10);
    assert!(sequences(&mut db.changes(Since::Oldest).unwrap()).unwrap().into_iter().eq(expected + 1..expected + 11));
    assert!(db.check().unwrap().is_clean());
    // A segment that is not what it was ends what is kept before it.
    let mut log = storage.contents(FileId::Log);
    log[4096 + 3 * (64 << 10) + 20] ^= 1;
    let db = open(&Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), log)), 9, 8 << 20);
    let kept = sequences(&mut db.changes(Since::Oldest).unwrap()).unwrap();
    assert!(kept[0] > 50 && kept.iter().copied().eq(kept[0]..=expected));
}

#[test]
fn a_feed_left_behind_says_so_and_gives_nothing_wrong() {
    for behind in [0, 1, 3, 40] {
        let db = open(&Arc::default(), 1, 128 << 10);
        let mut feed = db.changes(Since::Now).unwrap();
        let mut given = BTreeMap::new();
        let mut lost = 0;
        for round in 0..60u64 {
            fill(&db, round * 100, 20, 2000);
            for _ in 0..20_u64.saturating_sub(behind * (round % 3)) {
                match feed.next() {
                    Ok(None) => break,
                    Ok(Some(commit)) => {
                        for change in commit.changes() {
                            let Change::Put { key, value, .. } = change else { panic!("{change:?}") };
                            let number = u64::from_be_bytes(key.try_into().unwrap());
                            let value = value.inline().unwrap();
                            assert!(value.len() == 2000 && value.iter().all(|byte| *byte == number as u8));
                        }
                        assert!(given.insert(commit.sequence(), ()).is_none());
                    }
                    Err(Error::NoLongerKept { oldest, asked }) => {
                        assert!(asked == feed.position().sequence() + 1 && oldest > asked, "{oldest} {asked}");
                        assert!(matches!(feed.next(), Err(Error::NoLongerKept { .. })), "it stays so");
                        feed = db.changes(Since::Oldest).unwrap();
                        lost += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(lost > 0, behind >= 3, "{behind}: {lost}");
    }
}

#[test]
fn a_feed_that_is_read_in_time_needs_no_retention() {
    let db = open(&Arc::default(), 1, 0);
    let mut feed = db.changes(Since::Now).unwrap();
    let mut next = 1;
    for _ in 0..300 {
        fill(&db, 1, 1, 3000);
        while let Some(commit) = feed.next().unwrap() {
            assert_eq!(commit.sequence(), next);
            next += 1;
        }
        db.checkpoint().unwrap();
        db.checkpoint().unwrap();
    }
    assert_eq!(next, 302);
}

#[test]
fn waiting_ends_with_a_commit_the_time_or_the_database() {
    let storage: Arc<MemoryStorage> = Arc::default();
    let db =
        open_with(Arc::clone(&storage) as Arc<dyn Storage>, 1, Options { durability: Durability::Sync, ..options(0) });
    let mut feed = db.changes(Since::Now).unwrap();
    assert!(!feed.wait(Duration::ZERO).unwrap());
    assert!(!feed.wait(Duration::from_millis(1)).unwrap());
    let waiting = std::thread::spawn(move || {
        let mut seen = Vec::new();
        loop {
            match feed.wait(Duration::from_secs(1000)).and_then(|woken| Ok((woken, feed.next()?))) {
                Ok((woken, commit)) => seen.push(told(&commit.filter(|_| woken).unwrap())),
                Err(error) => return (seen, error),
            }
        }
    });
    let words = db.table(WORDS).unwrap();
    for number in 0..200 {
        words.put("a", format!("{number}").as_str()).unwrap();
    }
    // What the other has not read when the log is given up it does not read.
    let mut own = db.changes(Since::Oldest).unwrap();
    let all = rest(&mut own);
    db.close().unwrap();
    let (seen, error) = waiting.join().unwrap();
    assert!(matches!(error, Error::Closed), "{error}");
    assert!(all.starts_with(&seen), "{seen:?}");
    assert!(matches!(own.wait(Duration::from_secs(1000)), Err(Error::Closed)));
    assert!(matches!(own.next(), Err(Error::Closed)));
}

#[test]
fn a_handle_for_reading_only_has_no_changes() {
    let storage: Arc<MemoryStorage> = Arc::default();
    let position = {
        let db = open(&storage, 1, 1 << 20);
        fill(&db, 0, 20, 100);
        db.snapshot().position()
    };
    let db = open_with(Arc::clone(&storage) as Arc<dyn Storage>, 2, Options { read_only: true, ..options(0) });
    assert!(db.changes(position).unwrap().next().unwrap().is_none());
    assert!(db.changes(Since::Oldest).unwrap().next().unwrap().is_none());
}
