//! The engine on a simulated disk, without threads, with barriers that complete later: commits wait between being applied
//! and being visible, as with group commit.

use std::sync::Arc;

use lightning_db::env::{FixedClock, SeededEntropy, Storage};
use lightning_db::{Database, Environment, Error, Isolation, Options};

use super::operations::{Frozen, Running, TABLE, progress, stop};
use super::store::{Answer, Interactive, Operations, Progress, Single, Stop, Store};
use crate::paging::PagingStorage;
use crate::random::Random;
use crate::sim_disk::SimDisk;

/// A database under simulation.
#[derive(Debug)]
pub struct Lightning {
    disk: Arc<SimDisk>,
    /// Absent only while it is down.
    open: Option<Open>,
    openings: u64,
    pending_syncs: bool,
    options: Options,
    /// The sequence before the first commit of the history.
    base: u64,
}

#[derive(Clone, Debug)]
struct Open {
    database: Database,
    pager: Arc<PagingStorage<SimDisk>>,
}

impl Lightning {
    /// An empty database; the seed decides its sizes and whether barriers complete later.
    pub fn new(seed: u64) -> Answer<Self> {
        let mut random = Random::new(seed ^ 0x6c69_6768_746e);
        let mut options = Options::default();
        options.background_thread = false;
        options.memory_budget_bytes = 2 << 20;
        options.memtable_bytes = Some(random.between(4, 32) as usize * 1024);
        options.log_segment_bytes = 64 << 10;
        let disk = Arc::new(SimDisk::new(random.bits()));
        let pending_syncs = random.chance(3, 4);
        options.inline_bytes_max = 256;
        let mut lightning = Self { disk, open: None, openings: 0, pending_syncs, options, base: 0 };
        lightning.open()?;
        let open = lightning.up()?;
        // Opening has a barrier of its own, without which nothing is committed.
        while open.database.stats().commits == 0 {
            finish(open.database.transaction(|tx| tx.table(TABLE).map(|_| ())))?;
            open.complete();
        }
        open.settle()?;
        lightning.base = open.database.snapshot().sequence();
        Ok(lightning)
    }

    fn open(&mut self) -> Answer<()> {
        self.openings += 1;
        let pager = PagingStorage::new(Arc::clone(&self.disk), self.openings, (0, 1));
        let pager = Arc::new(if self.pending_syncs { pager.with_pending_syncs() } else { pager });
        let env = Environment {
            clock: Arc::new(FixedClock(1_700_000_000_000)),
            entropy: Arc::new(SeededEntropy::new(self.openings)),
        };
        let storage = Arc::clone(&pager) as Arc<dyn Storage>;
        let database = Database::open_storage(storage, env, self.options.clone()).map_err(stop)?;
        self.open = Some(Open { database, pager });
        Ok(())
    }

    fn up(&self) -> Answer<&Open> {
        self.open.as_ref().ok_or_else(|| Stop::Failed("the database is down".into()))
    }

    /// How many commits a sequence stands for.
    fn commits(&self, sequence: u64) -> u64 {
        sequence.saturating_sub(self.base)
    }
}

impl Open {
    /// Completes the oldest barrier, if any is pending.
    fn complete(&self) {
        if let Some((ticket, result)) = self.pager.complete_sync() {
            self.database.complete_sync(ticket, result.map_err(|error| error.to_string()));
        }
    }

    /// Completes what is pending until everything is durable.
    fn settle(&self) -> Answer<()> {
        while !done(self.database.sync())? {
            self.complete();
        }
        Ok(())
    }
}

/// A result that may be pending: whether it is there.
fn done(result: Result<(), Error>) -> Answer<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Pending(_)) => Ok(false),
        Err(error) => Err(stop(error)),
    }
}

fn finish(result: Result<(), Error>) -> Answer<()> {
    done(result).map(|_| ())
}

impl Store for Lightning {
    fn begin(&self, level: Isolation) -> Box<dyn Interactive> {
        let Some(open) = &self.open else { unreachable!("nothing begins while the database is down") };
        Box::new(Running::begin(&open.database, level, self.base))
    }

    fn snapshot(&self) -> Box<dyn Interactive> {
        let Some(open) = &self.open else { unreachable!("nothing begins while the database is down") };
        Box::new(Frozen { snapshot: open.database.snapshot(), base: self.base })
    }

    fn single(&self, write: Single<'_>) -> Answer<Progress> {
        let database = &self.up()?.database;
        let before = database.stats().commits;
        let result = database.table(TABLE).and_then(|table| match write {
            Single::Put(key, value) => table.put(key, value),
            Single::DeleteRange(from, to) => table.delete_range(from..to),
        });
        progress(result, database.stats().commits > before)
    }

    fn exclusive(&self, body: &mut dyn FnMut(&mut dyn Operations) -> Answer<()>) -> Answer<Progress> {
        let open = self.up()?;
        let before = open.database.stats().commits;
        let mut stopped = None;
        let result = open.database.transaction(|tx| {
            body(&mut Running::new(tx, self.base)).map_err(|stop| {
                stopped = Some(stop);
                Error::Closed
            })
        });
        match (result, stopped) {
            (_, Some(stop)) => Err(stop),
            (result, None) => progress(result, open.database.stats().commits > before),
        }
    }

    fn settled(&self) -> Answer<bool> {
        done(self.up()?.database.sync())
    }

    fn idle(&self, random: &mut Random) -> Answer<()> {
        let open = self.up()?;
        match random.below(64) {
            0 => finish(open.database.compact()),
            1..=3 => finish(open.database.checkpoint()),
            4..=35 => {
                open.complete();
                Ok(())
            }
            _ => finish(open.database.step().map(|_| ())),
        }
    }

    fn crash(&mut self, power_loss: Option<u64>) -> Answer<u64> {
        self.disk.crash();
        self.open = None;
        match power_loss {
            Some(seed) => self.disk.power_loss(seed),
            None => self.disk.kill(),
        }
        self.open()?;
        Ok(self.commits(self.up()?.database.snapshot().sequence()))
    }
}
