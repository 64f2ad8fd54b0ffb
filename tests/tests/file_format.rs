//! Golden files: what this version writes is byte for byte what `tests/fixtures` holds, what is stored there is read back,
//! and whatever is done to such files, an answer is right or an error.
//!
//! `LIGHTNING_BLESS=1 cargo test -p lightning-db-tests --test file_format` writes the fixtures anew, after a change of
//! the format that is meant. A fixture holds a file without the zeros at its end; `lengths.txt` says how many there were.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lightning_db::env::{FileId, FixedClock, MemoryStorage, SeededEntropy};
use lightning_db::{Database, Environment, Error, Options, Progress, Table};

const NUMBERS: Table<u32, &[u8]> = Table::new("numbers");
const NAMES: Table<&str, u64> = Table::new("names");

/// Both tables, as one map: what a reader must find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    numbers: BTreeMap<u32, Vec<u8>>,
    names: BTreeMap<String, u64>,
}

/// The two files of a database.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    data: Vec<u8>,
    log: Vec<u8>,
}

fn environment() -> Environment {
    Environment { clock: Arc::new(FixedClock(1_700_000_000_000)), entropy: Arc::new(SeededEntropy::new(7)) }
}

fn options() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    options.memtable_bytes = Some(12 << 10);
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 2 << 10;
    options.background_thread = false;
    options
}

fn open(storage: &Arc<MemoryStorage>, options: Options) -> Result<Database, Error> {
    Database::open_storage(Arc::<MemoryStorage>::clone(storage), environment(), options)
}

impl Files {
    fn of(storage: &MemoryStorage) -> Self {
        Self { data: storage.contents(FileId::Data), log: storage.contents(FileId::Log) }
    }

    fn storage(&self) -> Arc<MemoryStorage> {
        Arc::new(MemoryStorage::with_contents(self.data.clone(), self.log.clone()))
    }
}

/// A small database that was closed: two tables, a few entries, one deleted.
fn tiny() -> (Files, Contents) {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, options()).unwrap();
    db.transaction(|tx| {
        let mut numbers = tx.table(NUMBERS)?;
        for (key, value) in [(1, "one"), (2, "two"), (3, "three")] {
            numbers.put(key, value.as_bytes())?;
        }
        tx.table(NAMES)?.put("ada", 1815)
    })
    .unwrap();
    assert!(db.table(NUMBERS).unwrap().delete(2).unwrap());
    db.close().unwrap();
    let mut contents = Contents::default();
    contents.numbers.extend([(1, b"one".to_vec()), (3, b"three".to_vec())]);
    contents.names.insert("ada".into(), 1815);
    (Files::of(&storage), contents)
}

/// A database that was never closed: a base, two runs over it, one with a deleted interval, and commits that are only in
/// the log, among them a value in an extent of its own. Also what it held after each commit, by sequence.
fn crashed() -> (Files, BTreeMap<u64, Contents>) {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, options()).unwrap();
    let mut history = BTreeMap::new();
    let mut now = Contents::default();
    let mut note = |db: &Database, now: &Contents| {
        history.insert(db.snapshot().sequence(), now.clone());
    };
    note(&db, &now);
    let table = db.table(NUMBERS).unwrap();
    note(&db, &now);

    db.transaction(|tx| {
        let mut numbers = tx.table(NUMBERS)?;
        for key in 0..900 {
            numbers.put(key, key.to_le_bytes())?;
            now.numbers.insert(key, key.to_le_bytes().to_vec());
        }
        Ok(())
    })
    .unwrap();
    note(&db, &now);
    settle_nothing_but_what_is_due(&db);
    for round in 0..2u32 {
        if round == 1 {
            table.delete_range(95..105).unwrap();
            now.numbers.retain(|key, _| !(95..105).contains(key));
            note(&db, &now);
        }
        // Few changes far apart, until the memtable is full and becomes a run.
        for key in (100..800).step_by(70) {
            let value = vec![key as u8 + round as u8; 1100];
            table.put(key + round, &value).unwrap();
            now.numbers.insert(key + round, value);
            note(&db, &now);
            settle_nothing_but_what_is_due(&db);
            if db.stats().runs > u64::from(round) {
                break;
            }
        }
        assert_eq!(db.stats().runs, u64::from(round + 1), "a run for each round");
    }

    db.transaction(|tx| tx.table(NAMES)?.put("grace", 1906)).unwrap();
    now.names.insert("grace".into(), 1906);
    note(&db, &now);
    let long: Vec<u8> = (0..2500u32).map(|at| ((at * at) >> 3) as u8).collect();
    table.put(7, &long).unwrap();
    now.numbers.insert(7, long);
    note(&db, &now);
    assert!(table.delete(8).unwrap());
    now.numbers.remove(&8);
    note(&db, &now);
    table.delete_range(600..650).unwrap();
    now.numbers.retain(|key, _| !(600..650).contains(key));
    note(&db, &now);
    for key in 10..14 {
        table.put(key, b"late").unwrap();
        now.numbers.insert(key, b"late".to_vec());
        note(&db, &now);
    }
    assert!(db.stats().memtable_entries >= 8, "what came last is only in the log");
    (Files::of(&storage), history)
}

/// Background work until none is due: runs stay runs, unlike after `checkpoint` or `close`.
fn settle_nothing_but_what_is_due(db: &Database) {
    while db.step().unwrap() == Progress::More {}
}

/// Everything in both tables, forwards, backwards and by key. An error is not an answer.
fn read(db: &Database) -> Result<Contents, Error> {
    let snapshot = db.snapshot();
    let mut contents = Contents::default();
    match snapshot.table(NUMBERS) {
        Ok(table) => {
            let entries = table.range(..)?.collect::<Result<Vec<_>, _>>()?;
            let mut backwards = table.range(..)?.rev().collect::<Result<Vec<_>, _>>()?;
            backwards.reverse();
            assert_eq!(entries, backwards, "two directions, two answers");
            for (key, value) in entries.iter().step_by(11) {
                let found = table.get(*key)?.expect("a key that the scan found").into_owned()?;
                assert_eq!(&found, value, "key {key}: two answers");
            }
            assert!(table.get(1_000_000)?.is_none());
            contents.numbers.extend(entries);
        }
        Err(Error::NoSuchTable { .. }) => {}
        Err(error) => return Err(error),
    }
    match snapshot.table(NAMES) {
        Ok(table) => contents.names.extend(table.range(..)?.collect::<Result<Vec<_>, _>>()?),
        Err(Error::NoSuchTable { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(contents)
}

/// What became of damaged files.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    refused: usize,
    found_reading: usize,
    found_by_check: usize,
    harmless: usize,
    shortened: usize,
}

/// Opens damaged files every way there is. `allowed` tells which contents are right, given the bytes that recovery said
/// it cut. Never a panic, never other contents.
fn look(files: &Files, what: &str, outcomes: &mut Outcomes, allowed: &dyn Fn(&Contents, u64) -> bool) {
    let mut read_only = options();
    read_only.read_only = true;
    if let Ok(db) = open(&files.storage(), read_only) {
        judge(&db, &format!("{what}, read-only"), allowed);
    }
    let storage = files.storage();
    let db = match open(&storage, options()) {
        Ok(db) => db,
        Err(error) => {
            honest(&error, what);
            outcomes.refused += 1;
            return;
        }
    };
    let answer = judge(&db, what, allowed);
    let whole = match db.check() {
        Ok(report) => report.is_clean(),
        Err(error) => {
            honest(&error, what);
            false
        }
    };
    let Some(contents) = answer else {
        assert!(!whole, "{what}: reading failed, but the check found nothing");
        outcomes.found_reading += 1;
        return;
    };
    if !whole {
        outcomes.found_by_check += 1;
        return;
    }
    if db.recovery().torn_bytes > 0 {
        outcomes.shortened += 1;
    } else {
        outcomes.harmless += 1;
    }
    // What was whole stays whole: written to, closed, and opened again.
    db.table(NAMES).and_then(|names| names.put("later", 1)).unwrap_or_else(|error| panic!("{what}: {error}"));
    db.close().unwrap_or_else(|error| panic!("{what}: {error}"));
    let again = open(&storage, options()).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    let mut expected = contents;
    expected.names.insert("later".into(), 1);
    assert_eq!(read(&again).unwrap(), expected, "{what}, again");
}

fn judge(db: &Database, what: &str, allowed: &dyn Fn(&Contents, u64) -> bool) -> Option<Contents> {
    match read(db) {
        Ok(contents) => {
            assert!(allowed(&contents, db.recovery().torn_bytes), "{what}: other contents, without a word");
            Some(contents)
        }
        Err(error) => {
            honest(&error, what);
            None
        }
    }
}

/// Damage is called damage, not a full disk or a wrong argument.
fn honest(error: &Error, what: &str) {
    let is =
        matches!(error, Error::Corrupt(_) | Error::NotADatabase { .. } | Error::Unsupported { .. } | Error::Storage(_));
    assert!(is, "{what}: {error:?} does not say that the file is damaged");
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bytes
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn without_final_zeros(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    &bytes[..len]
}

const PARTS: [&str; 3] = ["tiny.ldb", "crashed.ldb", "crashed.ldb-log"];

/// The stored files, in the order of [`PARTS`].
fn stored() -> [Vec<u8>; 3] {
    let lengths = fs::read_to_string(fixture("lengths.txt")).expect("the fixtures are stored");
    PARTS.map(|name| {
        let line = lengths.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let mut bytes = fs::read(fixture(name)).expect("the fixture is stored");
        bytes.resize(line.and_then(|len| len.parse().ok()).expect("the fixture's length is stored"), 0);
        bytes
    })
}

fn stored_tiny() -> Files {
    let [data, _, _] = stored();
    Files { data, log: Vec::new() }
}

fn stored_crashed() -> Files {
    let [_, data, log] = stored();
    Files { data, log }
}

#[test]
fn what_is_written_today_is_what_the_fixtures_hold() {
    let (tiny, _) = tiny();
    let (crashed, _) = crashed();
    assert!(tiny.log.is_empty(), "a clean close leaves no log");
    let made = [tiny.data, crashed.data, crashed.log];
    if std::env::var_os("LIGHTNING_BLESS").is_some() {
        let mut lengths = String::new();
        for (name, bytes) in PARTS.iter().zip(&made) {
            fs::write(fixture(name), without_final_zeros(bytes)).unwrap();
            lengths += &format!("{name} {}\n", bytes.len());
        }
        fs::write(fixture("lengths.txt"), lengths).unwrap();
    }
    for ((name, made), stored) in PARTS.iter().zip(&made).zip(&stored()) {
        let differs = made.iter().zip(stored).position(|(made, stored)| made != stored);
        let same = differs.is_none() && made.len() == stored.len();
        assert!(
            same,
            "{name}: the format has changed at byte {} ({} bytes, stored {}); if that is meant, update docs/file-format.md \
             and write the fixtures anew with LIGHTNING_BLESS=1",
            differs.unwrap_or(made.len().min(stored.len())),
            made.len(),
            stored.len()
        );
    }
}

#[test]
fn the_stored_files_are_read_back_and_are_whole() {
    let (_, contents) = tiny();
    let db = open(&stored_tiny().storage(), options()).unwrap();
    assert!(db.recovery().clean);
    assert_eq!(read(&db).unwrap(), contents);
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());

    let (_, history) = crashed();
    let db = open(&stored_crashed().storage(), options()).unwrap();
    assert!(!db.recovery().clean && db.recovery().torn_bytes == 0);
    assert_eq!(db.recovery().replayed_commits, 8);
    assert_eq!(db.stats().runs, 2);
    assert_eq!(&read(&db).unwrap(), history.values().next_back().unwrap());
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_flipped_bit_in_a_data_file_is_an_error_or_harmless() {
    let (files, contents) = (stored_tiny(), tiny().1);
    let mut outcomes = Outcomes::default();
    for at in (0..files.data.len()).filter(|at| at % 7 == 0 || at % 4096 < 260) {
        let damaged = Files { data: flipped(&files.data, at), log: Vec::new() };
        look(&damaged, &format!("bit of byte {at}"), &mut outcomes, &|found, _| *found == contents);
    }
    assert!(outcomes.refused > 100 && outcomes.found_reading > 10 && outcomes.harmless > 100, "{outcomes:?}");
    assert_eq!(outcomes.shortened, 0);
}

#[test]
fn a_flipped_bit_in_the_data_file_of_a_crashed_database_is_an_error_or_harmless() {
    let (files, history) = (stored_crashed(), crashed().1);
    let all = history.values().next_back().unwrap();
    let mut outcomes = Outcomes::default();
    for at in (0..files.data.len()).filter(|at| at % 61 == 0 || at % 4096 < 8) {
        let damaged = Files { data: flipped(&files.data, at), log: files.log.clone() };
        look(&damaged, &format!("bit of byte {at}"), &mut outcomes, &|found, _| found == all);
    }
    assert!(outcomes.found_reading > 10, "{outcomes:?}");
}

#[test]
fn a_flipped_bit_in_a_log_is_an_error_or_cuts_the_last_commit_and_says_so() {
    let (files, history) = (stored_crashed(), crashed().1);
    let mut newest = history.values().rev();
    let (all, but_one) = (newest.next().unwrap(), newest.next().unwrap());
    let mut outcomes = Outcomes::default();
    let end = without_final_zeros(&files.log).len();
    for at in (0..end).filter(|at| at % 23 == 0 || *at < 100).chain(end..end + 100) {
        let damaged = Files { data: files.data.clone(), log: flipped(&files.log, at) };
        look(&damaged, &format!("bit of byte {at} of the log"), &mut outcomes, &|found, torn_bytes| {
            found == all || (found == but_one && torn_bytes > 0)
        });
    }
    assert!(outcomes.refused > 50 && outcomes.shortened > 3 && outcomes.harmless > 100, "{outcomes:?}");
}

#[test]
fn a_data_file_cut_anywhere_is_refused_or_whole() {
    for (files, contents) in
        [(stored_tiny(), tiny().1), (stored_crashed(), crashed().1.values().next_back().unwrap().clone())]
    {
        let mut outcomes = Outcomes::default();
        for len in (1..files.data.len()).filter(|len| len % 509 == 0 || len % 4096 < 2) {
            let damaged = Files { data: files.data[..len].to_vec(), log: files.log.clone() };
            look(&damaged, &format!("cut to {len}"), &mut outcomes, &|found, _| *found == contents);
        }
        assert!(outcomes.refused > 10, "{outcomes:?}");
    }
}

#[test]
fn a_log_cut_anywhere_is_refused() {
    let (files, history) = (stored_crashed(), crashed().1);
    let all = history.values().next_back().unwrap();
    let mut outcomes = Outcomes::default();
    for len in (0..files.log.len()).filter(|len| len % 251 == 0 || len % 4096 < 2) {
        let damaged = Files { data: files.data.clone(), log: files.log[..len].to_vec() };
        look(&damaged, &format!("log cut to {len}"), &mut outcomes, &|found, _| found == all);
    }
    assert!(outcomes.refused > 10, "{outcomes:?}");
}

#[test]
fn fields_that_lie_under_a_right_checksum_never_panic_or_hang() {
    for files in [stored_tiny(), stored_crashed()] {
        let (newest, range) = newest_record(&files.data);
        let (record, record_len) = (range.start, range.len());
        // Lies about what waits to be freed have a test of their own.
        let truthful = pending_list(&files.data[record..record + record_len]);
        let head = head_end(&files.data[range]);
        let places = (12..128)
            .map(|at| newest + at)
            .chain((0..truthful).chain(record_len - 8..record_len).map(|at| record + at));
        for at in places {
            for bit in [0, 7] {
                let mut data = files.data.clone();
                data[at] ^= 1 << bit;
                make_checksums_right(&mut data, newest, record..record + record_len, head);
                let storage = Files { data, log: files.log.clone() }.storage();
                // The lie may be one that only the owner of the data could tell; but it ends in an answer or an error.
                if let Ok(db) = open(&storage, options()) {
                    let _ =
                        db.snapshot().table(NUMBERS).and_then(|table| table.range(..)?.collect::<Result<Vec<_>, _>>());
                    let _ = db.check();
                }
            }
        }
    }
}

/// Where what follows a root begins in a checkpoint record.
fn root_end(record: &[u8], at: usize) -> usize {
    at + if record[at] == 1 { 26 } else { 1 }
}

/// Where what follows a run begins.
fn run_end(record: &[u8], at: usize) -> usize {
    let at = root_end(record, root_end(record, at + 33)) + 1;
    at + 1 + usize::from(record[at])
}

/// Where the list of extents that wait to be reused begins in a checkpoint record.
fn pending_list(record: &[u8]) -> usize {
    let at = head_end(record) + 4;
    at + 1 + 12 * usize::from(record[at])
}

/// Where the checksum in the middle of a checkpoint record is, which covers all before it.
fn head_end(record: &[u8]) -> usize {
    let mut at = root_end(record, 2);
    let runs = record[at];
    at += 1;
    for _ in 0..runs {
        at = run_end(record, at);
    }
    at += 24;
    at += 1 + 48 * usize::from(record[at]) + 32;
    // Segments kept for feeds, and incarnations.
    at += 1 + 21 * usize::from(record[at]);
    at += 1 + 16 * usize::from(record[at]);
    // Neither an archive nor a named snapshot.
    assert_eq!(record[at + 16..at + 18], [0, 0]);
    at + 18
}

/// Where the newest superblock is, and the checkpoint record that it names.
fn newest_record(data: &[u8]) -> (usize, std::ops::Range<usize>) {
    let newest = if field(data, 64) > field(data, 4096 + 64) { 0 } else { 4096 };
    let record = field(data, newest + 96) as usize;
    (newest, record..data.len().min(record + field(data, newest + 104) as usize))
}

/// `head` is where the checksum in the middle of the record is.
fn make_checksums_right(data: &mut [u8], superblock: usize, record: std::ops::Range<usize>, head: usize) {
    let checksum = crc32(&data[record.start..record.start + head]);
    data[record.start + head..record.start + head + 4].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32(&data[record]);
    data[superblock + 112..superblock + 116].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32(&data[superblock..superblock + 252]);
    data[superblock + 252..superblock + 256].copy_from_slice(&checksum.to_le_bytes());
}

fn field(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// As in RFC 1952, written from its text so that it shares nothing with the engine's.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 })
    })
}

#[test]
fn a_list_of_free_space_that_lies_under_a_right_checksum_ends_in_an_error_or_an_answer() {
    let mut refused = 0;
    for files in [stored_tiny(), stored_crashed()] {
        let (newest, record) = newest_record(&files.data);
        let list = pending_list(&files.data[record.clone()]);
        let head = head_end(&files.data[record.clone()]);
        let count = usize::from(files.data[record.start + list]);
        assert!((1..128).contains(&count));
        let mut lies: Vec<Vec<u8>> = Vec::new();
        for at in list..list + 1 + 25 * count {
            for bit in [0, 1, 6, 7] {
                let mut data = files.data.clone();
                data[record.start + at] ^= 1 << bit;
                lies.push(data);
            }
        }
        // Each sector but the superblocks', said to be free again and again.
        for sector in 2..files.data.len() / 4096 {
            let mut data = files.data.clone();
            let entry = record.start + list + 1;
            data[entry..entry + 8].copy_from_slice(&(4096 * sector as u64).to_le_bytes());
            data[entry + 8..entry + 16].copy_from_slice(&64u64.to_le_bytes());
            lies.push(data);
        }
        for mut data in lies {
            make_checksums_right(&mut data, newest, record.clone(), head);
            let storage = Files { data, log: files.log.clone() }.storage();
            let worked = open(&storage, options()).and_then(|db| {
                let numbers = db.table(NUMBERS)?;
                for key in 0..40 {
                    numbers.put(key * 20, [key as u8; 900])?;
                }
                db.checkpoint()?;
                db.compact()?;
                db.check()?;
                db.close()
            });
            if let Err(error) = worked {
                honest(&error, "a lie about free space");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn runs_in_a_wrong_order_are_reported_by_a_check() {
    let files = stored_crashed();
    let (newest, record) = newest_record(&files.data);
    let head = head_end(&files.data[record.clone()]);
    // Told the record, and where its two runs are.
    type Change = dyn Fn(&mut [u8], std::ops::Range<usize>, std::ops::Range<usize>);
    let problems = |change: &Change| {
        let mut data = files.data.clone();
        let bytes = &mut data[record.clone()];
        let first = root_end(bytes, 2) + 1;
        assert_eq!(bytes[first - 1], 2, "two runs");
        let second = run_end(bytes, first);
        let end = run_end(bytes, second);
        change(bytes, first..second, second..end);
        make_checksums_right(&mut data, newest, record.clone(), head);
        let mut read_only = options();
        read_only.read_only = true;
        let db = open(&Files { data, log: files.log.clone() }.storage(), read_only).unwrap();
        db.check().unwrap().problems
    };
    assert_eq!(problems(&|_, _, _| {}), Vec::<String>::new());
    let swapped = problems(&|bytes, first, second| bytes[first.start..second.end].rotate_left(first.len()));
    assert!(swapped.len() == 1 && swapped[0].contains("which is not older"), "{swapped:?}");
    // Numbers of commits that are not merged yet.
    let newer = problems(&|bytes, first, _| bytes[first.start + 16..][..8].copy_from_slice(&1000u64.to_le_bytes()));
    assert!(newer.len() == 1 && newer[0].contains("the trees hold commits 1 to"), "{newer:?}");
    // The newer run says it has no records below a key any more; the older one has.
    let cut = problems(&|bytes, first, _| bytes[first.end - 2] = 1);
    assert!(cut.len() == 1 && cut[0].contains("up to which the older"), "{cut:?}");
}

#[test]
fn values_in_space_reused_since_the_last_checkpoint_survive_a_crash() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, options()).unwrap();
    let table = db.table(NUMBERS).unwrap();
    for round in 0..12u32 {
        let value = vec![round as u8; 3000];
        table.put(round % 3, &value).unwrap();
        let crashed = Files::of(&storage).storage();
        let again = open(&crashed, options()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(again.table(NUMBERS).unwrap().get(round % 3).unwrap(), Some(value));
        assert_eq!(again.check().unwrap().problems, Vec::<String>::new());
        db.checkpoint().unwrap();
    }
}

#[test]
fn the_dumps_in_the_format_s_description_are_of_these_files() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/file-format.md");
    let [tiny, _, log] = stored();
    let mut file = None;
    let mut lines = 0;
    for line in fs::read_to_string(page).unwrap().lines() {
        match line {
            "<!-- tiny.ldb -->" => file = Some(&tiny),
            "<!-- crashed.ldb-log -->" => file = Some(&log),
            _ => {}
        }
        let Some((at, dump)) = line.split_once(": ").filter(|(at, _)| at.len() == 8) else { continue };
        let Ok(at) = usize::from_str_radix(at, 16) else { continue };
        let bytes = &file.expect("the file is named before its dump")[at..at + 16];
        let expected: Vec<String> = bytes.chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])).collect();
        assert!(dump.starts_with(&expected.join(" ")), "{line}\nis {}", expected.join(" "));
        lines += 1;
    }
    assert!(lines > 30, "the dumps were found");
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let tiny = stored_tiny();
    let crashed = stored_crashed();
    let text = b"Dear diary, today I learned about write-ahead logs. ".repeat(400);
    let noise: Vec<u8> = (0..40_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let foreign = [
        ("text", Files { data: text.clone(), log: Vec::new() }),
        ("one byte", Files { data: b"x".to_vec(), log: Vec::new() }),
        ("noise", Files { data: noise.clone(), log: noise.clone() }),
        ("a log for a data file", Files { data: crashed.log.clone(), log: Vec::new() }),
        ("text for a log that is needed", Files { data: crashed.data.clone(), log: text }),
        ("noise for a log that is needed", Files { data: crashed.data.clone(), log: noise }),
        ("a data file for a log", Files { data: crashed.data.clone(), log: crashed.data.clone() }),
        ("no log where one is needed", Files { data: crashed.data.clone(), log: Vec::new() }),
        ("zeros for a log that is needed", Files { data: crashed.data.clone(), log: vec![0; crashed.log.len()] }),
    ];
    for (what, files) in foreign {
        let storage = files.storage();
        let error = open(&storage, options()).map(drop).expect_err(what);
        honest(&error, what);
        assert!(Files::of(&storage) == files, "{what}: it was written to");
    }
    // A database that was closed needs no log, so it does not care what lies there.
    let beside = Files { data: tiny.data, log: crashed.log };
    assert_eq!(read(&open(&beside.storage(), options()).unwrap()).unwrap(), self::tiny().1);
}

#[test]
fn a_directory_or_a_missing_file_is_an_error() {
    let path = std::env::temp_dir().join(format!("lightning-db-file-format-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    assert!(Database::open(&path, options()).is_err(), "a directory");
    let mut existing = options();
    existing.create = false;
    assert!(Database::open(path.join("absent.ldb"), existing).is_err(), "no file");
    assert!(!path.join("absent.ldb").exists(), "a refused open makes no file");
    let with_directory_for_a_log = path.join("tiny.ldb");
    fs::write(&with_directory_for_a_log, stored_tiny().data).unwrap();
    fs::create_dir_all(path.join("tiny.ldb-log")).unwrap();
    assert!(Database::open(&with_directory_for_a_log, options()).is_err(), "a directory where the log belongs");
    fs::remove_dir_all(&path).unwrap();
}
