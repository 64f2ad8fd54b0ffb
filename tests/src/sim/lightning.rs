//! The engine itself, through the interface that applications use.

use std::cell::RefCell;
use std::ops::Bound;
use std::sync::Arc;

use lightning_db::env::{Clock, SeededEntropy};
use lightning_db::{
    ArchiveOptions, ArchiveSink, Change, ChangeFeed, Cursor, Database, EncryptionKey, Environment, Error, Isolation,
    Mode, Options, Progress, Savepoint, Snapshot, Table, WriteTable, WriteTransaction,
};

use super::action::{Answer, Durability, Key, Move, Query, Range, TABLES, TxOp};
use super::engine::{Ack, ByName, Engine, Site};
use super::keeper::{Keeping, Kept};
use super::replica::{Followed, Replica};

type Bytes = &'static [u8];
type Entries = lightning_db::Range<Bytes, Bytes>;

/// A database on a simulated disk, without threads: the plan decides when background work is done.
#[derive(Debug)]
pub struct Lightning {
    database: Database,
    /// Held while it is where the replica is.
    feed: RefCell<Option<ChangeFeed>>,
    site: Site,
}

fn table(index: usize) -> Table<'static, Bytes, Bytes> {
    Table::new(TABLES[index])
}

fn options(site: &Site) -> Options {
    let mut options = Options::default();
    options.background_thread = false;
    options.memory_budget_bytes = site.tuning.budget_bytes as usize;
    options.compression = site.tuning.compression;
    options.checksum = site.tuning.checksum;
    options.verify = site.tuning.verify;
    options.memtable_bytes = Some(site.tuning.memtable_bytes as usize);
    options.log_segment_bytes = site.tuning.segment_bytes;
    options.inline_bytes_max = site.tuning.large_value_bytes as usize;
    options.feed_retention_bytes = site.tuning.retention_bytes;
    options.step_entries = site.tuning.step_entries as usize;
    options.limits.snapshot_ms_max = site.tuning.snapshot_ms;
    site.tuning.lock(&mut options);
    options
}

/// An interactive transaction.
#[derive(Debug)]
pub struct Open {
    tx: lightning_db::Transaction,
    savepoints: Vec<Savepoint>,
    /// It has its place in the log.
    applied: bool,
}

/// How a transaction's body ended without an error of the engine.
#[derive(PartialEq, Eq)]
enum Body {
    NotRun,
    Aborted,
    Done,
}

impl Lightning {
    /// A call begins: runs it, fetching what it misses, completing the syncs it waits for.
    fn call<T>(&self, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        self.site.clock.call();
        loop {
            match self.site.drive(&mut operation) {
                Err(Error::Pending(_)) if self.complete_sync() => {}
                done => return done,
            }
        }
    }

    /// A change of keys. One that is not made at once goes on with the next steps; asked for again it would be another.
    fn changes_keys<T>(&self, mut operation: impl FnMut() -> Result<T, Error>) -> Result<(), Error> {
        let before = self.database.keys();
        let is_made = || self.database.keys() != before || self.database.reencryption().is_some();
        self.site.clock.call();
        loop {
            match self.site.drive(&mut operation) {
                Err(Error::Pending(_)) if self.complete_sync() => {}
                done => return done.map(drop),
            }
            loop {
                if is_made() {
                    return Ok(());
                }
                match self.site.drive(|| self.database.step()) {
                    Ok(Progress::More) => {}
                    Err(Error::Pending(_)) if self.complete_sync() => {}
                    // It had not begun: it had to wait for something else first.
                    Ok(Progress::Idle) => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// A call that logs a commit. Where its sync is completed later, that is not waited for.
    fn commits<T>(&self, mut operation: impl FnMut() -> Result<T, Error>) -> Result<(Option<T>, Ack), Error> {
        self.site.clock.call();
        loop {
            let before = self.site.late_syncs.then(|| self.database.stats().commits);
            match self.site.drive(&mut operation) {
                Err(Error::Pending(_)) if before.is_some_and(|before| self.database.stats().commits > before) => {
                    return Ok((None, Ack::Later));
                }
                // It had to make room first, or opening is not complete.
                Err(Error::Pending(_)) if self.complete_sync() => {}
                done => return done.map(|done| (Some(done), Ack::Done)),
            }
        }
    }

    /// Runs the operations; what they ask is answered in order.
    fn body(&self, tx: &mut WriteTransaction, ops: &[TxOp]) -> Result<Vec<Answer>, Error> {
        let mut savepoints = Vec::new();
        let answers = ops.iter().map(|op| self.step_of(tx, &mut savepoints, op));
        answers.filter_map(Result::transpose).collect()
    }

    fn step_of(
        &self,
        tx: &mut WriteTransaction,
        savepoints: &mut Vec<Savepoint>,
        op: &TxOp,
    ) -> Result<Option<Answer>, Error> {
        let site = &self.site;
        match op {
            TxOp::Put(at, key, value) => {
                let value = value.bytes();
                site.drive(|| tx.table(table(*at))?.put(&*key.0, value.as_slice()))?;
            }
            TxOp::Delete(at, key) => {
                return site.drive(|| tx.table(table(*at))?.delete(&*key.0)).map(|there| Some(Answer::There(there)));
            }
            TxOp::DeleteRange(at, range) => site.drive(|| tx.table(table(*at))?.delete_range(bounds(range)))?,
            TxOp::Ask(query) => {
                let mut table = site
                    .drive(|| tx.table(table(query.table())).map(|_| ()))
                    .and_then(|()| tx.table(table(query.table())))?;
                return self.ask_in(&mut table, query).map(Some);
            }
            TxOp::Savepoint => savepoints.push(tx.savepoint()),
            TxOp::Rollback => {
                if let Some(savepoint) = savepoints.pop() {
                    tx.rollback_to(&savepoint);
                }
            }
        }
        Ok(None)
    }

    fn ask_in(&self, table: &mut WriteTable<'_, Bytes, Bytes>, query: &Query) -> Result<Answer, Error> {
        match query {
            Query::Get(_, key) => {
                self.site.drive(|| Ok(table.get(&*key.0)?.map(|found| found.to_vec()))).map(Answer::Value)
            }
            Query::Count(_, range) => self.site.drive(|| table.count(bounds(range))).map(Answer::Count),
            Query::Walk(_, range, turns, limit) => {
                let entries = self.site.drive(|| table.range(bounds(range)))?;
                self.walk(entries, turns, *limit)
            }
            Query::Roam(_, range, moves) => {
                let cursor = self.site.drive(|| table.cursor(bounds(range)))?;
                self.roam(cursor, moves)
            }
        }
    }

    fn walk(&self, mut entries: Entries, turns: &[bool], limit: usize) -> Result<Answer, Error> {
        let mut taken = Vec::new();
        for back in turns.iter().cycle().take(limit) {
            let next = self.site.drive(|| if *back { entries.next_back() } else { entries.next() }.transpose())?;
            let Some(entry) = next else { break };
            taken.push(entry);
        }
        Ok(Answer::Entries(taken))
    }

    fn roam(&self, mut cursor: Cursor<Bytes, Bytes>, moves: &[Move]) -> Result<Answer, Error> {
        let mut stops: Vec<Option<(Vec<u8>, Vec<u8>)>> = Vec::new();
        for step in moves {
            if matches!(step, Move::Next | Move::Prev) && !stops.last().is_some_and(Option::is_some) {
                continue;
            }
            stops.push(self.site.drive(|| {
                let entry = match step {
                    Move::Seek(to) => cursor.seek(&*to.0),
                    Move::First => cursor.first(),
                    Move::Last => cursor.last(),
                    Move::Next => cursor.next(),
                    Move::Prev => cursor.prev(),
                }?;
                Ok(entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
            })?);
        }
        Ok(Answer::Stops(stops))
    }

    /// Some transactions are interactive, some are one write of a table, most are closures.
    fn commit_all(&self, durability: Durability, ops: &[TxOp]) -> Result<(Vec<Answer>, Ack), Error> {
        match ops {
            [TxOp::Put(at, key, value)] if durability == Durability::Sync && value.tag % 2 == 0 => {
                let table = self.call(|| self.database.table(table(*at)))?;
                let (_, ack) = self.commits(|| table.put(&*key.0, value.bytes().as_slice()))?;
                Ok((Vec::new(), ack))
            }
            // Where syncs are completed later it would see less than a closure does.
            _ if ops.len() % 4 == 3 && !self.site.late_syncs => {
                let mut tx = self.begin(Isolation::Serializable)?;
                let answers = self.body(&mut tx.tx, ops)?;
                self.commit(&mut tx, durability).map(|ack| (answers, ack))
            }
            _ => {
                let mut answers = Vec::new();
                let (_, ack) = self.commits(|| {
                    let mut ended = Body::NotRun;
                    let outcome = self.database.transaction_with(promise(durability), |tx| {
                        answers = self.body(tx, ops)?;
                        ended = Body::Done;
                        Ok(())
                    });
                    if let Err(error) = &outcome {
                        // Whoever runs it again would do it twice.
                        let lacks = error.not_resident().is_some() && ended != Body::NotRun;
                        assert!(!lacks, "a commit asked for bytes: {error}");
                    }
                    outcome
                })?;
                Ok((answers, ack))
            }
        }
    }

    /// Reads the tables themselves; from there on the feed tells.
    fn seed(&self, replica: &mut Replica) -> Result<(), Error> {
        let snapshot = self.database.snapshot();
        *replica = Replica::default();
        for (at, entries) in replica.tables.iter_mut().enumerate() {
            let all = Query::Walk(at, (Bound::Unbounded, Bound::Unbounded), vec![false], usize::MAX);
            if let Answer::Entries(found) = self.ask(&snapshot, &all)? {
                *entries = found.into_iter().map(|(key, value)| (key, Some(value))).collect();
            }
        }
        // Where nothing was committed there may be no database yet.
        replica.position = Some(snapshot.position()).filter(|position| position.sequence() > 0);
        Ok(())
    }

    fn catch_up(&self, feed: &mut ChangeFeed, replica: &mut Replica) -> Result<(), Error> {
        loop {
            while let Some(commit) = self.call(|| feed.next())? {
                let before = replica.position.map_or(0, |position| position.sequence());
                assert_eq!(commit.sequence(), before + 1, "the feed gave one commit after another");
                // All of a commit or nothing, also when the machine goes down while a value is read.
                let mut values = Vec::new();
                for change in commit.changes() {
                    if let Change::Put { value, .. } = change {
                        values.push(self.call(|| Ok(value.read()?.map(|value| value.into_owned())))?);
                    }
                }
                let mut values = values.into_iter();
                for change in commit.changes() {
                    match change {
                        Change::Put { table, key, .. } => {
                            replica.table(table).insert(key.to_vec(), values.next().flatten());
                        }
                        Change::DeleteRange { table, from, to } => {
                            let in_range = |key: &[u8]| key >= from && to.is_none_or(|to| key < to);
                            replica.table(table).retain(|key, _| !in_range(key));
                        }
                        Change::Delete { table, key } => drop(replica.table(table).remove(key)),
                        _ => unreachable!("no other kind is known"),
                    }
                }
                replica.position = Some(commit.position());
            }
            let snapshot = self.database.snapshot();
            let reached = replica.position.map_or(0, |position| position.sequence());
            assert!(snapshot.sequence() >= reached, "the feed gave commit {reached}, which no snapshot sees");
            if Some(snapshot.sequence()) == replica.position.map(|position| position.sequence()) {
                return self.fill_gaps(&snapshot, replica);
            }
        }
    }

    /// Values that were gone when the feed came to them are those of the tables now, if nothing has changed them since.
    fn fill_gaps(&self, snapshot: &Snapshot, replica: &mut Replica) -> Result<(), Error> {
        for (at, entries) in replica.tables.iter_mut().enumerate() {
            for (key, value) in entries.iter_mut().filter(|(_, value)| value.is_none()) {
                let table = self.call(|| snapshot.table(table(at)))?;
                *value = self.call(|| Ok(table.get(&**key)?.map(|found| found.to_vec())))?;
                assert!(value.is_some(), "the feed gave a key that is not there");
            }
        }
        Ok(())
    }

    /// In a folder of its own, if it is to be.
    fn begin_archive(&self) -> Result<(), Error> {
        let Some(hold_bytes) = self.site.tuning.archive_hold_bytes else { return Ok(()) };
        self.call(|| self.database.archive_off())?;
        self.site.sink.clear();
        let mut options = ArchiveOptions::default();
        options.hold_bytes = hold_bytes;
        self.call(|| self.database.archive_on(options.clone()))
    }

    fn archive(&self, kept: &mut Kept) -> Result<Keeping, Error> {
        let archived = self.call(|| self.database.archive_now());
        match self.database.archive_status() {
            None => return Ok(Keeping::Forked),
            Some(status) if status.gap.is_some() => return Ok(Keeping::TooFarBehind),
            Some(status) => match archived {
                Ok(()) => kept.position = Some(status.archived),
                Err(Error::HistoryForked { .. }) => return Ok(Keeping::Forked),
                Err(Error::Invalid { what }) if what.contains("of another history") => return Ok(Keeping::Forked),
                Err(error) => return Err(error),
            },
        }
        kept.increments = self.site.sink.pieces();
        Ok(Keeping::Increment)
    }

    fn abort(&self, ops: &[TxOp]) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::new();
        let mut ended = Body::NotRun;
        let outcome: Result<(), Error> = self.database.transaction(|tx| {
            answers = self.body(tx, ops)?;
            ended = Body::Aborted;
            Err(Error::Closed)
        });
        match outcome {
            Err(Error::Closed) if ended == Body::Aborted => Ok(answers),
            Err(error) => Err(error),
            Ok(()) => Ok(answers),
        }
    }
}

impl Engine for Lightning {
    const HAS_MODES: bool = true;
    const ENDS_TRANSACTIONS: bool = true;
    type Snapshot = Snapshot;
    type Transaction = Open;

    fn open(site: &Site) -> Result<Self, Error> {
        let environment = Environment {
            clock: Arc::clone(&site.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(site.entropy_seed)),
        };
        site.clock.call();
        let database = site.drive(|| Database::open_storage(site.storage(), environment.clone(), options(site)))?;
        if site.tuning.archive_hold_bytes.is_some() {
            database.attach_archive(Arc::clone(&site.sink) as Arc<dyn ArchiveSink>);
        }
        Ok(Self { database, feed: RefCell::default(), site: site.clone() })
    }

    fn transaction(&self, durability: Option<Durability>, ops: &[TxOp]) -> Result<(Vec<Answer>, Ack), Error> {
        match durability {
            Some(durability) => self.commit_all(durability, ops),
            None => self.call(|| self.abort(ops)).map(|answers| (answers, Ack::Done)),
        }
    }

    fn begin(&self, isolation: Isolation) -> Result<Open, Error> {
        self.site.clock.call();
        Ok(Open { tx: self.database.begin(isolation), savepoints: Vec::new(), applied: false })
    }

    fn perform(&self, Open { tx, savepoints, .. }: &mut Open, op: &TxOp) -> Result<Option<Answer>, Error> {
        self.site.clock.call();
        self.step_of(tx, savepoints, op)
    }

    fn commit(&self, Open { tx, applied, .. }: &mut Open, durability: Durability) -> Result<Ack, Error> {
        if *applied {
            return later(self.site.drive(|| tx.commit_with(promise(durability))));
        }
        let (_, ack) = self.commits(|| tx.commit_with(promise(durability)))?;
        *applied = true;
        Ok(ack)
    }

    fn sync(&self) -> Result<Ack, Error> {
        self.site.clock.call();
        later(self.site.drive(|| self.database.sync()))
    }

    fn complete_sync(&self) -> bool {
        let completed = self.site.disk.complete_sync();
        if let Some((ticket, result)) = completed.clone() {
            self.database.complete_sync(ticket, result.map_err(|error| error.to_string()));
        }
        completed.is_some() && !self.site.disk.is_crashed()
    }

    fn set_mode(&self, mode: Mode) -> Result<(), Error> {
        self.database.set_mode(mode)
    }

    fn shut_down(&self) -> Result<bool, Error> {
        self.call(|| self.database.shut_down_now()).map(|()| true)
    }

    fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(self.database.snapshot())
    }

    fn ask(&self, snapshot: &Snapshot, query: &Query) -> Result<Answer, Error> {
        let table = match self.call(|| snapshot.table(table(query.table()))) {
            Ok(table) => table,
            Err(Error::NoSuchTable { .. }) => {
                return Ok(match query {
                    Query::Get(..) => Answer::Value(None),
                    Query::Count(..) => Answer::Count(0),
                    Query::Walk(..) => Answer::Entries(Vec::new()),
                    Query::Roam(_, _, moves) => {
                        let outside = moves.iter().filter(|step| !matches!(step, Move::Next | Move::Prev));
                        Answer::Stops(outside.map(|_| None).collect())
                    }
                });
            }
            Err(error) => return Err(error),
        };
        match query {
            Query::Get(_, key) => {
                let found = self.call(|| Ok(table.get(&*key.0)?.map(|found| found.to_vec())))?;
                let there = self.call(|| table.contains(&*key.0))?;
                let len = self.call(|| table.value_len(&*key.0))?;
                assert_eq!(
                    (there, len),
                    (found.is_some(), found.as_ref().map(|found| found.len() as u64)),
                    "{query:?}"
                );
                Ok(Answer::Value(found))
            }
            Query::Count(_, range) => self.call(|| table.count(bounds(range))).map(Answer::Count),
            Query::Walk(_, range, turns, limit) => {
                let entries = self.call(|| table.range(bounds(range)))?;
                self.walk(entries, turns, *limit)
            }
            Query::Roam(_, range, moves) => {
                let cursor = self.site.drive(|| table.cursor(bounds(range)))?;
                self.roam(cursor, moves)
            }
        }
    }

    fn follow(&self, replica: &mut Replica) -> Result<Followed, Error> {
        let Some(position) = replica.position else {
            return self.seed(replica).map(|()| Followed::Seeded);
        };
        let held = self.feed.take().filter(|feed| feed.position() == position);
        let feed = held.map_or_else(|| self.call(|| self.database.changes(position)), Ok);
        match feed.and_then(|mut feed| self.catch_up(&mut feed, replica).map(|()| feed)) {
            Ok(feed) => drop(self.feed.replace(Some(feed))),
            Err(Error::HistoryForked { .. }) => return Ok(Followed::Forked),
            Err(Error::NoLongerKept { .. }) => return Ok(Followed::TooFarBehind),
            Err(error) => return Err(error),
        }
        Ok(Followed::Reached)
    }

    fn keep(&self, kept: &mut Kept) -> Result<Keeping, Error> {
        let Some(position) = kept.position else {
            // Where nothing was committed there may be no database yet.
            if self.database.snapshot().sequence() > 0 {
                self.begin_archive()?;
            }
            let mut backup = self.database.backup();
            let mut base = Vec::new();
            while let Some(piece) = self.call(|| backup.next())? {
                base.extend(piece);
            }
            let position = backup.position();
            // Where nothing was committed there may be no database yet.
            if position.sequence() == 0 {
                return Ok(Keeping::Never);
            }
            *kept = Kept { base, position: Some(position), ..Kept::default() };
            return Ok(Keeping::Whole);
        };
        if self.site.tuning.archive_hold_bytes.is_some() {
            return self.archive(kept);
        }
        let made = self.call(|| self.database.increment(position)).and_then(|mut increment| {
            let mut bytes = Vec::new();
            while let Some(piece) = self.call(|| increment.next())? {
                bytes.extend(piece);
            }
            Ok((bytes, increment.position()))
        });
        match made {
            Ok((bytes, position)) => {
                kept.increments.push(bytes);
                kept.position = Some(position);
                Ok(Keeping::Increment)
            }
            Err(Error::HistoryForked { .. }) => Ok(Keeping::Forked),
            Err(Error::NoLongerKept { .. }) => Ok(Keeping::TooFarBehind),
            Err(error) => Err(error),
        }
    }

    fn named(&self) -> Result<Option<ByName<Snapshot>>, Error> {
        let named = self.database.snapshots().into_iter().map(|named| {
            let snapshot = self.database.snapshot_named(&named.name)?;
            Ok((named.name, snapshot))
        });
        named.collect::<Result<_, Error>>().map(Some)
    }

    fn name(&self, name: &str) -> Result<(), Error> {
        self.call(|| self.database.create_snapshot(name))
    }

    fn unname(&self, name: &str) -> Result<(), Error> {
        self.call(|| self.database.drop_snapshot(name))
    }

    fn rekey(&self, which: u64) -> Result<(), Error> {
        let Some(own) = self.site.tuning.key() else { return Ok(()) };
        let other = self.database.keys().into_iter().find(|key| key.slot > 0);
        let changed = match (which % 4, other) {
            // The slots hold one byte of it, so that a plan is told by its numbers.
            (0, None) => self.changes_keys(|| self.database.add_key(&EncryptionKey::raw([which as u8; 32]))),
            (0, Some(other)) => self.changes_keys(|| self.database.remove_key(other.slot)),
            _ => self.changes_keys(|| self.database.reencrypt(&own)),
        };
        match changed {
            // One is under way.
            Err(Error::Invalid { .. }) => Ok(()),
            changed => changed,
        }
    }

    fn step(&self) -> Result<bool, Error> {
        self.site.clock.call();
        Ok(self.site.drive(|| self.database.step())? == Progress::More)
    }

    fn check(&self) -> Result<Vec<String>, Error> {
        Ok(self.call(|| self.database.check())?.problems)
    }

    fn close(self) -> Result<(), Error> {
        self.call(|| self.database.close())
    }
}

fn promise(durability: Durability) -> lightning_db::Durability {
    match durability {
        Durability::Sync => lightning_db::Durability::Sync,
        Durability::Periodic(interval_ms) => lightning_db::Durability::Periodic { interval_ms },
        Durability::Relaxed => lightning_db::Durability::Relaxed,
    }
}

fn later(done: Result<(), Error>) -> Result<Ack, Error> {
    match done {
        Err(Error::Pending(_)) => Ok(Ack::Later),
        done => done.map(|()| Ack::Done),
    }
}

fn bounds((start, end): &Range) -> (Bound<&[u8]>, Bound<&[u8]>) {
    fn bound(bound: &Bound<Key>) -> Bound<&[u8]> {
        bound.as_ref().map(|key| &*key.0)
    }
    (bound(start), bound(end))
}
