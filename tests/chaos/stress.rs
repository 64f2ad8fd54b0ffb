//! Many threads at once: money moves between accounts, readers count it, others scan, delete, compact and check.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use lightning_db::{Database, Durability, Error, Isolation, Options, Table, WriteTransaction};
use lightning_db_tests::random::Random;

use super::Site;
use super::witness::whole;

const ACCOUNTS: Table<'static, u64, i64> = Table::new("accounts");
const JOURNAL: Table<'static, (u64, u64), &'static [u8]> = Table::new("journal");
const ACCOUNT_COUNT: u64 = 300;
const BALANCE: i64 = 1000;
const MOVERS: u64 = 6;
const COUNTERS: u64 = 2;

/// What all threads share.
struct Bank<'a> {
    database: &'a Database,
    seed: u64,
    stop: AtomicBool,
    moved: AtomicU64,
    tried_again: AtomicU64,
    counted: AtomicU64,
    maintained: AtomicU64,
}

pub fn run(site: &Site) -> Result<String> {
    let mut options = Options::default();
    options.memory_budget_bytes = 8 << 20;
    options.memtable_bytes = Some(256 << 10);
    let database = Database::open(site.path(), options.clone())?;
    database.transaction(|tx| {
        let mut accounts = tx.table(ACCOUNTS)?;
        (0..ACCOUNT_COUNT).try_for_each(|account| accounts.put(account, BALANCE))
    })?;
    let bank = Bank::new(&database, site);
    let acknowledged = bank.open(site)?;
    bank.count()?;
    whole(&database)?;
    let facts = bank.facts();
    database.close()?;
    drop(database);

    let database = Database::open(site.path(), options)?;
    for (mover, acknowledged) in (0..).zip(acknowledged) {
        let found = database.snapshot().table(JOURNAL)?.count((mover, 0)..=(mover, u64::MAX))?;
        ensure!(found == acknowledged, "thread {mover} was acknowledged {acknowledged} transfers, {found} are there");
    }
    whole(&database)?;
    Ok(facts)
}

impl<'a> Bank<'a> {
    fn new(database: &'a Database, site: &Site) -> Self {
        Self {
            database,
            seed: site.seed,
            stop: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            tried_again: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            maintained: AtomicU64::new(0),
        }
    }

    fn facts(&self) -> String {
        let [moved, tried_again, counted, maintained] =
            [&self.moved, &self.tried_again, &self.counted, &self.maintained].map(|count| count.load(Relaxed));
        format!(
            "{moved} transfers by {MOVERS} threads, {tried_again} tried again, {counted} counts of all the money, none wrong; \
             {maintained} compactions and checks meanwhile"
        )
    }

    /// Lets all threads work until time is up or one finds something wrong. Gives the transfers acknowledged to each.
    fn open(&self, site: &Site) -> Result<Vec<u64>> {
        std::thread::scope(|scope| {
            let movers: Vec<_> =
                (0..MOVERS).map(|number| scope.spawn(move || self.watched(|| self.move_money(number)))).collect();
            let counting = (0..COUNTERS).map(|_| scope.spawn(|| self.watched(|| self.repeat(|| self.count()))));
            let mut others: Vec<_> = counting.collect();
            others.push(scope.spawn(|| self.watched(|| self.repeat(|| self.maintain()))));
            let start = Instant::now();
            while start.elapsed() < site.seconds && !self.stop.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            self.stop.store(true, Relaxed);
            let panicked = |_| anyhow!("a thread panicked");
            for other in others {
                other.join().map_err(panicked)??;
            }
            movers.into_iter().map(|mover| mover.join().map_err(panicked)?).collect()
        })
    }

    /// Stops everybody when one thread finds something wrong.
    fn watched<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let outcome = work();
        if outcome.is_err() {
            self.stop.store(true, Relaxed);
        }
        outcome
    }

    fn repeat(&self, mut work: impl FnMut() -> Result<()>) -> Result<()> {
        while !self.stop.load(Relaxed) {
            work()?;
        }
        Ok(())
    }

    fn move_money(&self, mover: u64) -> Result<u64> {
        let mut random = Random::new(self.seed ^ (mover + 1));
        let mut done = 0;
        while !self.stop.load(Relaxed) {
            let from = random.below(ACCOUNT_COUNT);
            let to = (from + 1 + random.below(ACCOUNT_COUNT - 1)) % ACCOUNT_COUNT;
            let transfer = Transfer { from, to, amount: random.below(20) as i64, entry: (mover, done) };
            let outcome = match random.below(3) {
                0 => self.database.transaction_with(Durability::Relaxed, |tx| transfer.carry_out(tx, false)),
                1 => self.interactive(&transfer, Isolation::Serializable, false),
                _ => self.interactive(&transfer, Isolation::ReadCommitted, true),
            };
            match outcome {
                Ok(()) => done += 1,
                Err(error) if error.is_retryable() => _ = self.tried_again.fetch_add(1, Relaxed),
                Err(error) => return Err(error).context("a transfer"),
            }
        }
        self.moved.fetch_add(done, Relaxed);
        Ok(done)
    }

    fn interactive(&self, transfer: &Transfer, isolation: Isolation, locks: bool) -> Result<(), Error> {
        let mut tx = self.database.begin(isolation);
        transfer.carry_out(&mut tx, locks)?;
        tx.commit_with(Durability::Relaxed)
    }

    /// All the money must be there whenever somebody looks.
    fn count(&self) -> Result<()> {
        let snapshot = self.database.snapshot();
        let mut sum = 0;
        for entry in snapshot.table(ACCOUNTS)?.range(..)? {
            sum += entry?.1;
        }
        ensure!(sum == BALANCE * ACCOUNT_COUNT as i64, "the accounts hold {sum} together");
        self.counted.fetch_add(1, Relaxed);
        Ok(())
    }

    fn maintain(&self) -> Result<()> {
        match self.maintained.fetch_add(1, Relaxed) % 3 {
            0 => self.database.compact()?,
            1 => self.database.checkpoint()?,
            _ => whole(self.database)?,
        }
        Ok(())
    }
}

struct Transfer {
    from: u64,
    to: u64,
    amount: i64,
    entry: (u64, u64),
}

impl Transfer {
    fn carry_out(&self, tx: &mut WriteTransaction, locks: bool) -> Result<(), Error> {
        for (account, by) in [(self.from, -self.amount), (self.to, self.amount)] {
            let mut accounts = tx.table(ACCOUNTS)?;
            let found = if locks { accounts.get_for_update(account)? } else { accounts.get(account)? };
            let balance = found.map_or(Ok(0), |found| found.into_owned())?;
            accounts.put(account, balance + by)?;
        }
        tx.table(JOURNAL)?.put(self.entry, &[7; 200])
    }
}
