//! The corpus: made from real databases, committed, and grown by what fuzzing finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lightning_db::env::{FixedClock, MemoryStorage, SeededEntropy};
use lightning_db::testing::decoders;
use lightning_db::{ArchiveOptions, Checksum, Compression, Database, Environment, Options, Result, Table};

use super::files::Files;

const NUMBERS: Table<u32, &[u8]> = Table::new("numbers");
const NAMES: Table<&str, u64> = Table::new("names");
const PAIRS: Table<(&str, u64), &str> = Table::new("pairs");

/// Bytes beyond which a seed of a decoder is left out.
const SEED_BYTES_MAX: usize = 3000;
/// Seeds a decoder has at most.
const SEEDS_MAX: usize = 8;

/// Where it lies in the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The corpus of this name, in the order of the names of its files.
pub fn load(name: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut seeds = Vec::new();
    for entry in fs::read_dir(folder().join(name))? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        seeds.push((file, fs::read(&path)?));
    }
    seeds.sort();
    Ok(seeds)
}

/// Writes the seeds into the corpus, named `seed-`; what else is there stays.
pub fn make() -> io::Result<()> {
    for (name, seeds) in seeds() {
        let folder = folder().join(name);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")) {
                fs::remove_file(path)?;
            }
        }
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}

/// The seeds by the name of their corpus.
pub fn seeds() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut all: BTreeMap<&'static str, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for database in databases() {
        for (name, seed) in decoders::seeds(&database.data) {
            let log = name == "log";
            let seed = if log { Files { data: Vec::new(), log: seed }.pack() } else { seed };
            if log || seed.len() <= SEED_BYTES_MAX {
                all.entry(name).or_default().insert(seed);
            }
        }
        all.entry("open").or_default().insert(database.pack());
    }
    for (name, seeds) in WRITTEN {
        all.entry(name).or_default().extend(seeds.iter().map(|seed| seed.to_vec()));
    }
    let spread = |(name, seeds): (_, BTreeSet<Vec<u8>>)| {
        // Short ones first, then every so many of the others, since neighbours are much alike.
        let mut seeds: Vec<_> = seeds.into_iter().collect();
        seeds.sort_by_key(Vec::len);
        let step = if name == "open" { 1 } else { seeds.len().div_ceil(SEEDS_MAX) };
        (name, seeds.into_iter().step_by(step).collect())
    };
    all.into_iter().map(spread).collect()
}

/// Databases of every kind, each small: with each compression and checksum, closed and not, with runs and values in extents
/// of their own, cut after a recovery.
fn databases() -> Vec<Files> {
    let mut databases = Vec::new();
    let kinds = [
        (Compression::None, Checksum::Crc32),
        (Compression::Lz4, Checksum::Crc32),
        (Compression::Zstd, Checksum::Blake3),
        (Compression::None, Checksum::Blake3),
    ];
    for (compression, checksum) in kinds {
        let mut options = Options::default();
        options.memory_budget_bytes = 2 << 20;
        options.memtable_bytes = Some(8 << 10);
        options.log_segment_bytes = 64 << 10;
        options.inline_bytes_max = 64;
        options.background_thread = false;
        options.compression = compression;
        options.checksum = checksum;
        // Made of nothing but memory: it cannot fail.
        databases.extend(database(&options).unwrap_or_default());
    }
    databases
}

fn database(options: &Options) -> Result<Vec<Files>> {
    let storage = Arc::new(MemoryStorage::new());
    let environment =
        || Environment { clock: Arc::new(FixedClock(1_700_000_000_000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let open = |storage: &Arc<MemoryStorage>| {
        Database::open_storage(Arc::<MemoryStorage>::clone(storage), environment(), options.clone())
    };
    let mut stages = Vec::new();
    let db = open(&storage)?;
    db.transaction(|tx| {
        let mut numbers = tx.table(NUMBERS)?;
        for key in 0..500u32 {
            numbers.put(key, key.to_le_bytes())?;
        }
        numbers.put(7, [1; 300])?;
        tx.table(NAMES)?.put("ada", 1815)?;
        let mut pairs = tx.table(PAIRS)?;
        (0..6).try_for_each(|number| pairs.put(("fi", number), "pair"))
    })?;
    db.close()?;
    drop(db);
    stages.push(Files::of(&storage));

    let db = open(&storage)?;
    for round in 0..3u32 {
        let table = db.table(NUMBERS)?;
        table.delete_range(100 * round..100 * round + 40)?;
        for key in (0..500).step_by(17) {
            table.put(key + round, [round as u8; 50])?;
        }
        if round < 2 {
            while db.step()? == lightning_db::Progress::More {}
            db.checkpoint()?;
        }
    }
    db.table(NUMBERS)?.put(9, [2; 200])?;
    stages.push(Files::of(&storage));
    drop(db);

    // Cut in the middle of the last append, recovered, and left without being closed.
    let mut torn = Files::of(&storage);
    if let Some(last) = torn.log.iter().rposition(|byte| *byte != 0) {
        torn.log[last.saturating_sub(30)..].fill(0);
    }
    let storage = torn.storage();
    let db = open(&storage)?;
    db.table(NAMES)?.put("grace", 1906)?;
    stages.push(Files::of(&storage));
    stages.extend(kept(stages[0].storage(), open)?);
    Ok(stages)
}

/// A database that keeps what was overwritten: for snapshots with names, and for an archive that lacks it yet.
fn kept(storage: Arc<MemoryStorage>, open: impl Fn(&Arc<MemoryStorage>) -> Result<Database>) -> Result<[Files; 2]> {
    let db = open(&storage)?;
    let mut options = ArchiveOptions::default();
    options.keep_ms = Some(1000);
    db.archive_on(options)?;
    db.retain_archive(db.snapshot().position(), 1_800_000_000_000)?;
    for name in ["monday", "tuesday"] {
        db.table(NUMBERS)?.put(7, [3; 400])?;
        db.create_snapshot(name)?;
        db.table(NUMBERS)?.delete_range(50..90)?;
        db.table(NUMBERS)?.put(7, [4; 400])?;
        db.compact()?;
    }
    db.table(NAMES)?.put("edsger", 1930)?;
    let open_still = Files::of(&storage);
    db.close()?;
    Ok([open_still, Files::of(&storage)])
}

/// Seeds that people wrote.
const WRITTEN: [(&str, &[&[u8]]); 12] = [
    (
        "definition",
        &[
            b"\x01\x03\x03u64\x06string\0\0\0\0\0\0\0\0\x03ttl\x0260",
            b"\x01\x80\x02\x0d(string, u64)\x05bytes\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\x00names",
            b"\xf1\x01\x00key",
        ],
    ),
    (
        "keys",
        &[
            b"\x08\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02",
            b"\x04fi\0\0fi\0\0",
            b"\x0dfi\0\0\0\0\0\0\0\0\0\0\x07fi\0\xff\0\0\0\0\0\0\0\0\0\0\x09",
            b"\x03\x01a\0\0\x01ab",
            b"\x10\xc0\x04\0\0\0\0\0\0\xbf\xf0\0\0\0\0\0\0",
        ],
    ),
    (
        "document_key",
        &[
            b"\x02d\x0ad\x0a",
            b"\x0a\x08\x10`\xd0b\0\xb8a\0\0\x11",
            b"\x03\x1d\x1f\xff\xa1\x01\x03\x01\x03\x01\x03\x01\x03\x02",
            b"\x0ba\x04.33333334_\xfb\xcf\xff",
            b"\x09\xb0\x7f\xff\xff\xff\xff\xff\xff\xff\xc0\x01\x01\x01\x02\xff\0",
            b"\x11\xc8\0\x11\"3DUfw\x88\x99\xaa\xbb\xcc\xdd\xee\xff\xd0\xd0\0\xb8\xf0\x9f\x98\x80\0\0",
        ],
    ),
    (
        "document",
        &[
            b"\xa2aa\x01abax",
            b"\xa6aa ak\xf9>\0az\xc1\x1aQKg\xb0at\xd9\x03\xe9\xa2\x01 %\x1a\0\x0fB?au\xd8%P\0\x11\"3DUfw\x88\x99\xaa\xbb\xcc\xdd\xee\xffdtags\x82axay",
            b"\xa1aa\xa2ab\x82\xa1ab\x01\xa1ab\x02a0\x81\xf6",
            b"\x8b\xfb?\xf1\x99\x99\x99\x99\x99\x9a\xfaG\xc3P\0\xf9|\0\x1b\xff\xff\xff\xff\xff\xff\xff\xff;\xff\xff\xff\xff\xff\xff\xff\xff\xf4\xf5\xf6B\0\x01`x\x18aaaaaaaaaaaaaaaaaaaaaaaa",
            b"\xafaa\0ab\x01ac\x02ad\x03ae\x04af\x05ag\x06ah\x07ai\x08aj\x09ak\x0aal\x0bam\x0can\x0dao\x0e",
            b"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01",
        ],
    ),
    (
        "path",
        &[
            b"a.b.c",
            b"a\\.b.c\\\\.0.17",
            b"na\xc3\xafve.\xce\xa3\xce\x9f\xce\xa6\xce\x9f\xce\xa3.\xe6\x97\xa5\xe6\x9c\xac.\xc4\xb0",
            b"x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x",
        ],
    ),
    ("values", &[b"\x01", b"\0\0\0\0\0\0\xf8\x7f", b"text", b"1234567", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80"]),
    (
        "csv",
        &[
            b"\0key,value\n1,one\n2,\"two, \"\"quoted\"\"\"\n",
            b"\x01id,name\n7,Ada\n8,\"Grace\nHopper\"\n",
            b"\x09\xef\xbb\xbfid,b\r\n1,2\r\n3\r\n",
        ],
    ),
    (
        "json_lines",
        &[
            b"\0{\"key\": 1, \"value\": {\"a\": [1, 2.5e3, null]}}\n{\"key\": 2, \"value\": \"x\"}\n",
            b"\x01{\"id\": \"a\\u0041\", \"n\": {\"id\": 1}}\n\n{\"id\": \"b\"}\n",
            b"\x02{\"a\": {\"b\": 18446744073709551615, \"c\": true}}\n",
            b"\x13{\"a.b\": {\"c\": [\"fi\", 7]}}\n",
        ],
    ),
    (
        "typed_text",
        &[
            b"(string, u64)\n[\"fi\", 7]",
            b"((u8, string), bytes?, i32)\n[[1, \"x\"], null, -5]",
            b"u128\n340282366920938463463374607431768211455",
            b"f64\n-1.5e-300",
            b"bytes[3]\n0x00ff7f",
            b"string?\nnull",
            b"unit\nnull",
            b"i8\n-128",
            b"geo::Point\nsome bytes",
        ],
    ),
    (
        "stored_as",
        &[
            b"(string, u64)\nfi\0\0\0\0\0\0\0\0\0\x07",
            b"f64\n\xc0\x04\0\0\0\0\0\0",
            b"bytes?\n\x01ab\0\0",
            b"i128\n\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"bytes[3]\nabc",
            b"bool\n\x01",
        ],
    ),
    (
        "query_text",
        &[
            b"age between 30 and 40 and (country = \"FI\" or tags in [\"x\", \"y\"]) limit 10",
            b"select name, a.b.0 where name starts with \"A\" ignoring case order by age desc, name reverse offset 5 after \"00ff\"",
            b"not deleted exists or `x y`.`a``b` does not exist or a is not null",
            b"-1.5e3 < n <= 18446744073709551615 and true != b",
            b"t >= timestamp(\"2026-11-21T10:00:00.5+02:00\") and u != uuid(\"00112233-4455-6677-8899-aabbccddeeff\")",
            b"a in [null, false, infinity, -infinity, bytes(\"00ff\"), [1, []], \"\\\"\\n\\u00e9\\ud83d\\ude00\"]",
            b"false",
        ],
    ),
    (
        "query_cbor",
        &[
            b"\xa2ewhere\xa1call\x83\xa3dpathcagedfrom\x18\x1ebto\x18(\xa3dpathdnamejstartsWithaAdfold\xf5\xa1cnot\xa2dpathaafexists\xf5elimit\x0a",
            b"\xa2ewhere\xa1cany\x82\xa2dpathca.bbin\x84\x01\xf6ax\x81\xfb@\x04\0\0\0\0\0\0\xa2dpathewherefequals\xf4gorderBy\x82\xa2dpathcagejdescending\xf5\xa1dpathelimit",
            b"\xa4fselect\x82aacb.0foffset\x05eafterH\0\x01\x02\x03\x04\x05\x06\x07greverse\xf5",
            b"\xa2ewhere\xa3dpathfoffseteabove\"ebelow\xfb@\x1e\0\0\0\0\0\0foffset\x03",
            b"\x84\xa2csetca.bevalue\x81\x01\xa2iincrementaabby \xa1fremovecc.0\xa1epatch\xa2aa\xf6ad\xa1ae\x01",
        ],
    ),
];
