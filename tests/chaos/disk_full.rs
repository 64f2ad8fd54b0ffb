//! A file system of a few megabytes fills up again and again, at every kind of moment, and is emptied again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lightning_db::{Database, Durability, Options};
use lightning_db_tests::random::Random;

use super::Site;
use super::witness::{Witness, whole};

const DISK_BYTES: u64 = 24 << 20;
/// Commits on a full disk after which there need not be a refusal: there may be room inside the files for ever.
const COMMITS_MAX: u32 = 2000;

/// A mount of its own, seen by this process alone.
pub fn around(folder: &Path) -> Vec<String> {
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} lightning-chaos '{}' && exec \"$@\"", folder.display());
    ["unshare", "--mount", "--map-root-user", "sh", "-c", &mount, "sh"].map(String::from).to_vec()
}

fn options() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 4 << 20;
    options.memtable_bytes = Some(256 << 10);
    options.log_segment_bytes = 64 << 10;
    options
}

pub fn run(site: &Site) -> Result<String> {
    let path = site.path();
    let mut random = Random::new(site.seed);
    let mut witness = Witness::new(site.seed, 3000, 1500);
    let mut database = Database::open(&path, options())?;
    let (start, mut fills, mut reopenings) = (Instant::now(), 0, 0);
    while start.elapsed() < site.seconds || fills < 10 {
        for _ in 0..random.skewed(300) {
            witness.commit(&database, Durability::Sync).context("with room on the disk")?;
        }
        let before = database.snapshot();
        let ballast = Ballast::fill(&site.folder, random.skewed(400_000))?;
        let mut commits = 0;
        while commits < COMMITS_MAX {
            match witness.commit(&database, Durability::Sync) {
                Ok(()) => commits += 1,
                Err(error) => {
                    ensure!(error.is_full(), "a full disk is reported as {}: {error}", error.name());
                    ensure!(error.to_string().contains("free some space"), "what to do about it is not said: {error}");
                    break;
                }
            }
        }
        fills += 1;
        witness.verify(&database).context("while the disk is full")?;
        drop(before);
        if random.chance(1, 3) {
            // The process may end while the disk is full; opening again must not need room.
            database.close().or_else(|error| if error.is_full() { Ok(()) } else { Err(error) }).context("closing")?;
            drop(database);
            reopenings += 1;
            database = match Database::open(&path, options()) {
                Ok(database) => database,
                Err(error) if error.is_full() => {
                    drop(ballast);
                    Database::open(&path, options()).context("opening when there is room again")?
                }
                Err(error) => bail!("opening on a full disk: {}: {error}", error.name()),
            };
            witness.verify_reopened(&database).context("after opening")?;
        } else {
            drop(ballast);
        }
        witness.commit(&database, Durability::Sync).context("with room again, without opening anew")?;
        witness.verify(&database).context("with room again")?;
        whole(&database)?;
    }
    database.close()?;
    drop(database);
    let database = Database::open(&path, options())?;
    witness.verify_reopened(&database)?;
    database.close()?;
    ensure!(witness.refused() > 0, "the disk was never too full");
    Ok(format!(
        "full {fills} times, {reopenings} openings meanwhile; {} transactions refused, {} acknowledged, none lost",
        witness.refused(),
        witness.acknowledged()
    ))
}

/// A file that takes all the room but a little.
struct Ballast(std::path::PathBuf);

impl Ballast {
    fn fill(folder: &Path, room: u64) -> Result<Self> {
        let path = folder.join("ballast");
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        while file.write(&[0; 64 << 10]).is_ok() {}
        let len = file.metadata()?.len();
        file.set_len(len.saturating_sub(room))?;
        Ok(Self(path))
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
