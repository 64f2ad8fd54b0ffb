//! Every part of a real database's files is spoiled once, one after another: whatever is asked is answered rightly or
//! by an honest error, never wrongly; when the part is as it was, so is the database.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use lightning_db::{Database, Durability, Error, Options};

use super::Site;
use super::witness::{TABLE, Witness, whole};

/// Bytes spoiled at a time.
const PART_BYTES: usize = 64;
/// Of so many damaged files one is opened for writing.
const WRITES_EVERY: usize = 16;

fn options() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    options.memtable_bytes = Some(16 << 10);
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 512;
    options.background_thread = false;
    options
}

pub fn run(site: &Site) -> Result<String> {
    let (closed, crashed) = (site.folder.join("closed.ldb"), site.folder.join("crashed.ldb"));
    let witness = make(site, &closed, &crashed)?;
    let mut tally = Tally::default();
    spoil_each(&closed, &closed, &witness, &mut tally).context("the data file after a clean close")?;
    spoil_each(&crashed, &crashed, &witness, &mut tally).context("the data file after a crash")?;
    spoil_each(&crashed, &log_of(&crashed), &witness, &mut tally).context("the log after a crash")?;
    spoil_under_way(site, &witness, &closed).context("while the database is open")?;
    let Tally { noticed, harmless, torn } = tally;
    Ok(format!(
        "{} parts of {PART_BYTES} bytes spoiled: {noticed} noticed, {torn} in the last commits of a crashed log and taken for \
         the crash, {harmless} in nothing of use; no wrong answer, and whole again after each",
        noticed + harmless + torn
    ))
}

#[derive(Default)]
struct Tally {
    noticed: u32,
    harmless: u32,
    /// In the last frame of the log, or where that begins and the one before ends: no different from frames that the crash
    /// left half written.
    torn: u32,
}

/// What came of one damage.
enum Outcome {
    Noticed,
    Harmless,
    Torn,
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("ldb-log")
}

/// Makes the same database twice: closed cleanly, and as a crash would leave it.
fn make(site: &Site, closed: &Path, crashed: &Path) -> Result<Witness> {
    let mut witness = Witness::new(site.seed, 250, 900);
    let database = Database::open(closed, options())?;
    for _ in 0..160 {
        witness.commit(&database, Durability::Sync)?;
    }
    // Less of the file is of no use then.
    database.compact()?;
    for _ in 0..5 {
        witness.commit(&database, Durability::Sync)?;
    }
    fs::copy(closed, crashed)?;
    fs::copy(log_of(closed), log_of(crashed))?;
    database.close()?;
    Ok(witness)
}

/// Spoils each part of `file`, a file of the database at `path`.
fn spoil_each(path: &Path, file: &Path, witness: &Witness, tally: &mut Tally) -> Result<()> {
    let originals: Vec<(PathBuf, Vec<u8>)> = [path.to_owned(), log_of(path)]
        .into_iter()
        .filter_map(|file| fs::read(&file).ok().map(|bytes| (file, bytes)))
        .collect();
    let original = fs::read(file)?;
    for (number, part) in original.chunks(PART_BYTES).enumerate() {
        let offset = (number * PART_BYTES) as u64;
        let spoilt: Vec<u8> = part.iter().map(|byte| !byte).collect();
        write_at(file, offset, &spoilt)?;
        // Opening for writing writes, syncs and takes its time: most are opened for reading.
        let writes = number % WRITES_EVERY == 0;
        let outcome = look(path, witness, !writes).with_context(|| format!("{PART_BYTES} bytes at {offset} spoilt"))?;
        *match outcome {
            Outcome::Noticed => &mut tally.noticed,
            Outcome::Harmless => &mut tally.harmless,
            Outcome::Torn => &mut tally.torn,
        } += 1;
        write_at(file, offset, part)?;
        if writes {
            originals.iter().try_for_each(|(file, bytes)| fs::write(file, bytes))?;
        }
    }
    let database = Database::open(path, options()).context("with everything as it was")?;
    witness.verify(&database)?;
    whole(&database)?;
    drop(database);
    Ok(originals.iter().try_for_each(|(file, bytes)| fs::write(file, bytes))?)
}

fn write_at(file: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
    Ok(File::options().write(true).open(file)?.write_all_at(bytes, offset)?)
}

/// What the damage does; an error if it leads to a wrong answer or a misleading message.
fn look(path: &Path, witness: &Witness, read_only: bool) -> Result<Outcome> {
    let mut options = options();
    options.read_only = read_only;
    let database = match Database::open(path, options) {
        Ok(database) => database,
        Err(error) => return honest(&error).map(|()| Outcome::Noticed),
    };
    let failing = match unreadable(&database, witness) {
        Ok(failing) => failing,
        Err(wrong) if witness.lacks_last(&database).unwrap_or(false) => {
            whole(&database).context(wrong)?;
            return Ok(Outcome::Torn);
        }
        Err(wrong) => return Err(wrong),
    };
    match database.check() {
        Ok(report) if report.is_clean() => {
            ensure!(failing == 0, "{failing} keys cannot be read, but check finds nothing");
            match witness.verify(&database) {
                Ok(()) => Ok(Outcome::Harmless),
                // The last commits may have done nothing but remove, which no row tells of.
                Err(_) if witness.lacks_last(&database)? => Ok(Outcome::Torn),
                Err(wrong) => Err(wrong),
            }
        }
        Ok(_) => Ok(Outcome::Noticed),
        Err(error) => honest(&error).map(|()| Outcome::Noticed),
    }
}

/// How many keys cannot be read. An error if one is missing or has another value.
fn unreadable(database: &Database, witness: &Witness) -> Result<usize> {
    let snapshot = database.snapshot();
    let table = match snapshot.table(TABLE) {
        Ok(table) => table,
        Err(error) => return honest(&error).map(|()| witness.rows().len()),
    };
    let mut failing = 0;
    for (key, value) in witness.rows() {
        match table.get(*key) {
            Ok(Some(found)) => ensure!(found.bytes() == value.bytes(), "a wrong value for key {key}"),
            Ok(None) => bail!("key {key} is missing"),
            Err(error) => {
                honest(&error)?;
                failing += 1;
            }
        }
    }
    Ok(failing)
}

fn honest(error: &Error) -> Result<()> {
    match error {
        Error::Corrupt(_) | Error::NotADatabase { .. } | Error::Unsupported { .. } => Ok(()),
        _ => bail!("a misleading error: {}: {error}", error.name()),
    }
}

/// Spoils the whole file under an open database, which has little of it in memory, and mends it again.
fn spoil_under_way(site: &Site, witness: &Witness, closed: &Path) -> Result<()> {
    let path = site.path();
    fs::copy(closed, &path)?;
    let database = Database::open(&path, options())?;
    let original = fs::read(&path)?;
    let spoilt: Vec<u8> = original.iter().map(|byte| !byte).collect();
    write_at(&path, 0, &spoilt)?;
    let report = database.check();
    ensure!(report.is_err() || report.is_ok_and(|report| !report.is_clean()), "check finds nothing in a spoilt file");
    write_at(&path, 0, &original)?;
    witness.verify(&database).context("with everything as it was")?;
    whole(&database)?;
    Ok(())
}
