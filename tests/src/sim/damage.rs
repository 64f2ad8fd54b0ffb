//! What is stored is damaged while nobody looks: an engine may refuse, and may fail to answer, but never answers wrongly.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::Error;
use lightning_db::env::{FileId, Storage};

use super::action::{Query, TABLES};
use super::engine::{Engine, Site};
use super::model::Tables;
use super::plan::Plan;
use super::run::Runner;
use crate::random::Random;
use crate::sim_disk::{SECTOR_BYTES, SimDisk};

/// Damage to a closed database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit is another.
    Bit(FileId, u64, u8),
    /// A sector holds zeros.
    Zeros(FileId, u64),
    /// A sector holds noise.
    Noise(FileId, u64),
    /// The file ends here.
    Cut(FileId, u64),
}

/// What came of many damages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// It opened and every answer was right.
    pub harmless: u64,
    /// It said so, at opening or later.
    pub noticed: u64,
}

/// Carries out a plan, closes, and damages a copy of the files again and again.
pub fn damage<E: Engine>(plan: &Plan, times: u64) -> Result<Outcomes, (Damage, String)> {
    let fail = |what| (Damage::Cut(FileId::Log, u64::MAX), what);
    let (disk, state) = closed::<E>(plan).map_err(fail)?;
    let mut random = Random::new(plan.seed);
    let mut outcomes = Outcomes::default();
    for _ in 0..times {
        let damage = Damage::choose(&disk, &mut random);
        match after::<E>(plan, &disk, &state, damage) {
            Ok(true) => outcomes.harmless += 1,
            Ok(false) => outcomes.noticed += 1,
            Err(what) => return Err((damage, what)),
        }
    }
    Ok(outcomes)
}

/// Whether one damage was harmless; `Err` if the engine said something untrue or panicked.
pub fn after<E: Engine>(plan: &Plan, disk: &SimDisk, state: &Tables, damage: Damage) -> Result<bool, String> {
    let disk = disk.clone();
    damage.strike(&disk);
    let site = Site { pager: None, ..Site::new(disk, plan) };
    catch_unwind(AssertUnwindSafe(|| look::<E>(&site, state))).unwrap_or_else(|_| Err(String::from("panic")))
}

/// A plan's database after a clean close.
pub fn closed<E: Engine>(plan: &Plan) -> Result<(SimDisk, Arc<Tables>), String> {
    let mut runner = Runner::<E>::new(&Plan { paging: None, ..plan.clone() });
    runner.start()?;
    for action in &plan.actions {
        runner.act(action)?;
    }
    runner.close()
}

/// Opens and looks at everything.
pub(super) fn look<E: Engine>(site: &Site, state: &Tables) -> Result<bool, String> {
    match E::open(site) {
        Ok(engine) => look_at(&engine, state),
        Err(error) => honest(&error).map(|()| false),
    }
}

/// Whether all answers are right and `check` finds nothing; `Err` if one is wrong, or an error misleads.
pub(super) fn look_at<E: Engine>(engine: &E, state: &Tables) -> Result<bool, String> {
    let mut harmless = true;
    let snapshot = match engine.snapshot() {
        Ok(snapshot) => snapshot,
        Err(error) => return honest(&error).map(|()| false),
    };
    let all = (Bound::Unbounded, Bound::Unbounded);
    let mut queries: Vec<Query> = (0..TABLES.len())
        .flat_map(|table| {
            let walk = |back| Query::Walk(table, all.clone(), vec![back], usize::MAX);
            [walk(false), walk(true), Query::Count(table, all.clone())]
        })
        .collect();
    queries.extend(state.keys().map(|(table, key)| Query::Get(table, key.clone())));
    for query in &queries {
        match engine.ask(&snapshot, query) {
            Ok(answer) if answer == state.ask(query) => {}
            Ok(_) => return Err(format!("a wrong answer to {query:?}")),
            Err(error) => {
                honest(&error)?;
                harmless = false;
            }
        }
    }
    match engine.check() {
        Ok(findings) if findings.is_empty() && !harmless => Err(String::from("reads fail but check finds nothing")),
        Ok(findings) => Ok(harmless && findings.is_empty()),
        Err(error) => honest(&error).map(|()| false),
    }
}

/// Errors that say what is the case.
pub(super) fn honest(error: &Error) -> Result<(), String> {
    match error {
        Error::Corrupt(_) | Error::NotADatabase { .. } | Error::Unsupported { .. } => Ok(()),
        _ => Err(format!("a misleading error: {}: {error}", error.name())),
    }
}

impl Damage {
    fn choose(disk: &SimDisk, random: &mut Random) -> Self {
        let lens = disk.contents().map(|bytes| bytes.len() as u64);
        let file = match lens {
            [0, _] => FileId::Log,
            [_, 0] => FileId::Data,
            _ if random.chance(1, 4) => FileId::Log,
            _ => FileId::Data,
        };
        let offset = random.below(lens[file as usize]);
        match random.below(8) {
            0 => Damage::Zeros(file, offset / SECTOR_BYTES * SECTOR_BYTES),
            1 => Damage::Noise(file, offset / SECTOR_BYTES * SECTOR_BYTES),
            // Two empty files are a new database, and a closed one's log is empty.
            2 => Damage::Cut(file, offset.max(1)),
            _ => Damage::Bit(file, offset, random.below(8) as u8),
        }
    }

    fn strike(self, disk: &SimDisk) {
        let sector = |file: FileId, offset: u64| {
            let len = disk.contents()[file as usize].len() as u64;
            vec![0; SECTOR_BYTES.min(len - offset) as usize]
        };
        // The disk does not fail here: nothing is scheduled.
        let _ = match self {
            Damage::Bit(file, offset, bit) => {
                disk.flip_bit(file, offset, bit);
                Ok(())
            }
            Damage::Zeros(file, offset) => disk.write_at(file, offset, &sector(file, offset)),
            Damage::Noise(file, offset) => {
                let mut noise = sector(file, offset);
                Random::new(offset).fill(&mut noise);
                disk.write_at(file, offset, &noise)
            }
            Damage::Cut(file, len) => disk.set_len(file, len),
        };
    }
}
