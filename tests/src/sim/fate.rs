//! What befalls the files themselves: bits that change while the database is open, files that are emptied or cut while it is
//! down, copies taken while it works.
//!
//! All but the changed bits befall a copy, so the plan goes on. After a changed bit it is over: whatever was damaged may show
//! at any time from then on, so all answers are asked for at once.

use lightning_db::Error;
use lightning_db::env::{FileId, Storage};

use super::action::{Durability, TxOp, key, value};
use super::compare::{Wrong, everything};
use super::damage::{honest, look, look_at};
use super::engine::{Engine, Site};
use super::model::Model;
use super::run::Runner;
use crate::random::Random;
use crate::sim_disk::{SECTOR_BYTES, SimDisk};

/// Something that befalls the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A stored bit of the data file changes while the database is open. The plan ends with it.
    Rot(u64),
    /// While the database is down without having been closed, a file is emptied, or missing, which is the same.
    Emptied(FileId),
    /// While it is down, the data file is cut somewhere.
    Cut(u64),
    /// Both files are copied after so many more I/Os, and the copy is opened beside the original.
    CopiedAfter(u64),
}

impl<E: Engine> Runner<E> {
    pub(super) fn befall(&mut self, fate: Fate) -> Result<(), Wrong> {
        match fate {
            Fate::CopiedAfter(ios) => self.site.disk.copy_after(ios),
            // Only where it is certain what must be found.
            _ if self.site.late_syncs || !self.model.is_certain() => {}
            Fate::Rot(seed) => return self.rot(seed).map_err(Wrong::Answer),
            Fate::Emptied(_) | Fate::Cut(_) => return self.maim(fate).map_err(Wrong::Answer),
        }
        Ok(())
    }

    /// Answers stay right or become errors that say what is the case, now and after the process was started again; and if
    /// any read fails, `check` says where.
    fn rot(&mut self, seed: u64) -> Result<(), String> {
        let disk = &self.site.disk;
        disk.cancel_faults();
        disk.limit(None);
        let mut random = Random::new(seed);
        let len = disk.contents()[FileId::Data as usize].len() as u64;
        disk.flip_bit(FileId::Data, random.below(len), random.below(8) as u8);
        self.over = true;
        let Some(engine) = self.engine.take() else { return Ok(()) };
        let state = self.model.now().clone();
        look_at(&engine, &state)?;
        let write = [TxOp::Put(0, key(b"after rot"), value(1, 40))];
        for _ in 0..20 {
            let done = engine.step().and_then(|_| engine.transaction(Some(Durability::Relaxed), &write).map(|_| ()));
            match done {
                // A sync that failed before has ended writing.
                Err(Error::Poisoned { .. }) if self.site.disk.faults_met() > self.faults_at_open => {}
                Err(error) => honest(&error)?,
                Ok(_) => {}
            }
        }
        self.engine = Some(engine);
        self.leave();
        self.site.disk.kill();
        match E::open(&self.site) {
            // What was just written may be there, and it is of no interest.
            Ok(engine) => {
                let erase = [TxOp::Delete(0, key(b"after rot"))];
                match engine.transaction(Some(Durability::Relaxed), &erase) {
                    Ok(_) => look_at(&engine, &state).map(drop),
                    Err(error) => honest(&error),
                }
            }
            Err(error) => honest(&error),
        }
    }

    /// A copy of the files as they are now is opened without a part: it is the database, or it is refused.
    fn maim(&mut self, fate: Fate) -> Result<(), String> {
        let disk = SimDisk::clone(&self.site.disk);
        disk.cancel_faults();
        disk.limit(None);
        disk.kill();
        let contents = disk.contents();
        let len = contents[FileId::Data as usize].len() as u64;
        if len < SECTOR_BYTES {
            // Only the reference engine has so little.
            return Ok(());
        }
        if matches!(fate, Fate::Emptied(FileId::Data)) && contents[FileId::Log as usize].is_empty() {
            // Nothing was written since a clean close: of such a database the data file is all there is.
            return Ok(());
        }
        let (file, len) = match fate {
            Fate::Cut(seed) => (FileId::Data, Random::new(seed).between(1, len - 1)),
            Fate::Emptied(file) => (file, 0),
            Fate::Rot(_) | Fate::CopiedAfter(_) => return Ok(()),
        };
        disk.set_len(file, len).map_err(|error| error.to_string())?;
        look::<E>(&self.beside(disk), self.model.now()).map(drop).map_err(|what| format!("after {fate:?}: {what}"))
    }

    /// A copy was perhaps taken while an action met a fault.
    pub(super) fn forget_copy(&mut self) -> Result<(), String> {
        drop(self.site.disk.take_copy());
        Ok(())
    }

    /// A copy was taken while an action was under way. It is like what a killed process leaves: it opens, holds what was
    /// acknowledged, and lives on by itself. `made` when the database was certainly there as the action began.
    pub(super) fn open_copy(&mut self, before: Model, made: bool) -> Result<(), String> {
        let Some(disk) = self.site.disk.take_copy() else { return Ok(()) };
        let lost = self.loss().unsynced;
        let site = self.beside(disk);
        let told = |what: String| format!("a copy: {what}");
        let engine = match E::open(&site) {
            Ok(engine) => engine,
            Err(_) if !made => return Ok(()),
            Err(error) => return Err(told(format!("cannot open: {}: {error}", error.name()))),
        };
        let mut found = everything(&engine).map_err(Wrong::into_words).map_err(told)?;
        let earlier = before.clone().recovered(&found, lost, false, true);
        if earlier.is_err() {
            self.model.clone().recovered(&found, lost, false, true).map_err(told)?;
        }
        let write = TxOp::Put(0, key(b"in the copy"), value(1, 40));
        let done = engine.transaction(Some(Durability::Sync), std::slice::from_ref(&write));
        done.map_err(|error| told(format!("{}: {error}", error.name())))?;
        found.write(&write);
        drop(engine);
        look::<E>(&site, &found).map_err(told).and_then(|whole| {
            let harmed = || Err(told(String::from("it is damaged")));
            if whole { Ok(()) } else { harmed() }
        })
    }

    /// Another machine with this disk.
    fn beside(&self, disk: SimDisk) -> Site {
        let mut site = self.site.clone();
        site.pager = None;
        site.late_syncs = false;
        site.entropy_seed = site.entropy_seed.wrapping_add(1 << 32);
        disk.complete_syncs_later(false);
        site.with_disk(disk)
    }
}
