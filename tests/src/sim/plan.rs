//! From a seed to everything that will happen.

use std::ops::Bound;

use lightning_db::env::FileId;
use lightning_db::{Checksum, Compression, Encryption, Isolation, Mode, Verify};

use super::action::{Action, ClientStep, Crash, Durability, Key, Move, Query, Range, TABLES, TxOp, Value, key};
use super::clients::CLIENTS;
use super::clock::Time;
use super::engine::{HOLD_BYTES_ALL, RETENTION_BYTES_ALL, SNAPSHOT_MS_LONG, Tuning};
use super::fate::Fate;
use crate::random::Random;
use crate::sim_disk::Fault;

/// Everything that will happen in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For the disk's accidents and the engine's randomness.
    pub seed: u64,
    /// Sizes.
    pub tuning: Tuning,
    /// How often reads must be fetched first: so many times in so many.
    pub paging: Option<(u64, u64)>,
    /// Whether the platform completes syncs later.
    pub late_syncs: bool,
    /// Whether what a failed sync lost stays visible until the power goes.
    pub stale_cache: bool,
    /// In this order.
    pub actions: Vec<Action>,
}

/// Which accidents a plan may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// None: only work.
    Fair,
    /// Crashes.
    Crashes,
    /// Crashes, I/O errors, wrong reads, full disks.
    Storm,
}

impl Plan {
    /// The plan of a seed, of a database that is encrypted anew all the time.
    pub fn of_rekeying(seed: u64, actions: usize, weather: Weather) -> Self {
        let plan = Self::new(seed, actions, weather);
        let encryption = [Encryption::Aes256Gcm, Encryption::ChaCha20Poly1305][(seed % 2) as usize];
        let retention_bytes = plan.tuning.retention_bytes.min(256 << 10);
        let tuning = Tuning { encryption: Some(encryption), retention_bytes, ..plan.tuning };
        let actions = plan.actions.into_iter().filter(|action| !matches!(action, Action::Keep)).collect();
        Self { tuning, actions: with_rekeying(seed, actions, 12), ..plan }
    }

    /// The plan of a seed.
    pub fn new(seed: u64, actions: usize, weather: Weather) -> Self {
        let mut random = Random::new(seed);
        let mut shape = Shape::choose(&mut random);
        let tuning = Tuning {
            memtable_bytes: 1 << random.between(12, 16),
            segment_bytes: 1 << random.between(16, 18),
            large_value_bytes: 1 << random.between(6, 13),
            step_entries: 1 << random.between(0, 12),
            budget_bytes: [2, 2, 4, 16][random.index(4)] << 20,
            compression: [Compression::Lz4, Compression::Lz4, Compression::None, Compression::Zstd][random.index(4)],
            checksum: [Checksum::Crc32, Checksum::Crc32, Checksum::Blake3][random.index(3)],
            verify: Verify::Resident,
            encryption: encryption(seed),
            retention_bytes: 0,
            snapshot_ms: SNAPSHOT_MS_LONG,
            archive_hold_bytes: None,
        };
        let paging = random.chance(1, 4).then(|| (random.between(1, 4), 4));
        // Where nothing crashes: a new database is open before it is durable there, and may be found torn, see
        // `docs/progress.md`.
        let late_syncs = random.chance(1, 6) && weather == Weather::Fair;
        let actions = (0..actions).map(|_| shape.action(&mut random, weather)).collect();
        let (actions, retention_bytes) = with_follower(seed, actions);
        // Of its own, so that it changes nothing else.
        let always = Random::new(seed ^ 0x5645_5249_4659).chance(1, 8);
        let verify = if always { Verify::Always } else { Verify::Resident };
        let (actions, snapshot_ms) = with_limits(seed, actions);
        let actions = with_shutdowns(seed, actions);
        // A feed that must never fall behind may, when what it has not read is under a key that is to be forgotten.
        let may_rekey = retention_bytes != RETENTION_BYTES_ALL;
        let one_in = Random::new(seed ^ 0x5245_4B45_5900).between(10, 80);
        let actions = match tuning.encryption {
            Some(_) if may_rekey => with_rekeying(seed, actions, one_in),
            _ => actions,
        };
        let tuning =
            Tuning { retention_bytes, archive_hold_bytes: archive_hold_bytes(seed), snapshot_ms, verify, ..tuning };
        // Of its own, so that it changes nothing else.
        let stale_cache = Random::new(seed ^ 0x5354_414C_4500).chance(1, 3);
        Self { seed, tuning, paging, late_syncs, stale_cache, actions }
    }
}

/// A quarter of all databases is encrypted. Of its own, so that it changes nothing else.
pub fn encryption(seed: u64) -> Option<Encryption> {
    let mut random = Random::new(seed ^ 0x4349_5048_4552);
    let encryption = [Encryption::Aes256Gcm, Encryption::ChaCha20Poly1305][random.index(2)];
    random.chance(1, 4).then_some(encryption)
}

/// Now and then somebody changes the keys, or has everything encrypted anew, after one in so many actions. Of its own, so that it changes
/// nothing else.
fn with_rekeying(seed: u64, actions: Vec<Action>, one_in: u64) -> Vec<Action> {
    let mut random = Random::new(seed ^ 0x4B45_5953_0000);
    let rekey = |action| [Some(action), random.chance(1, one_in).then(|| Action::Rekey(random.bits()))];
    actions.into_iter().flat_map(rekey).flatten().collect()
}

/// Half of all plans have a reader of the change feed, who looks often or seldom. Of its own, so that it changes nothing
/// else.
pub(super) fn with_follower(seed: u64, actions: Vec<Action>) -> (Vec<Action>, u64) {
    let mut random = Random::new(seed ^ 0x464F_4C4C_4F57);
    let retention_bytes = [0, 256 << 10, RETENTION_BYTES_ALL][random.index(3)];
    if random.chance(1, 2) {
        return with_keeper(seed, actions);
    }
    let one_in = random.between(2, 30);
    let follow = |action| [Some(action), random.chance(1, one_in).then_some(Action::Follow)];
    (actions.into_iter().flat_map(follow).flatten().collect(), retention_bytes)
}

/// Half of those without either give states a name. Of its own, too.
fn with_names(seed: u64, actions: Vec<Action>) -> Vec<Action> {
    let mut random = Random::new(seed ^ 0x4E41_4D45_5300);
    if random.chance(1, 2) {
        return actions;
    }
    let one_in = random.between(5, 40);
    let name = |action| [Some(action), random.chance(1, one_in).then_some(Action::Name)];
    actions.into_iter().flat_map(name).flatten().collect()
}

/// Half of those who keep backups have an archive, which is seldom let fall behind. Of its own, too.
pub(super) fn archive_hold_bytes(seed: u64) -> Option<u64> {
    let mut random = Random::new(seed ^ 0x4152_4348_4956);
    let hold_bytes = if random.chance(1, 4) { 1 << 20 } else { HOLD_BYTES_ALL };
    random.chance(1, 2).then_some(hold_bytes)
}

/// A third of the others have somebody who keeps backups and increments. Of its own, too.
fn with_keeper(seed: u64, actions: Vec<Action>) -> (Vec<Action>, u64) {
    let mut random = Random::new(seed ^ 0x4B45_4550_4552);
    if random.chance(2, 3) {
        return (with_names(seed, actions), 0);
    }
    let retention_bytes = if random.chance(1, 4) { 256 << 10 } else { RETENTION_BYTES_ALL };
    let one_in = random.between(10, 60);
    let keep = |action| [Some(action), random.chance(1, one_in).then_some(Action::Keep)];
    (actions.into_iter().flat_map(keep).flatten().collect(), retention_bytes)
}

/// In a quarter of all plans snapshots expire, and so much time passes that they do; in another quarter somebody changes the
/// mode now and then. Of its own, so that it changes nothing else.
pub(super) fn with_limits(seed: u64, actions: Vec<Action>) -> (Vec<Action>, u64) {
    let mut random = Random::new(seed ^ 0x4C49_4D49_5400);
    let mut with = Vec::new();
    match random.below(4) {
        0 => {
            for action in actions {
                with.push(action);
                if random.chance(1, 20) {
                    with.push(Action::Time(Time::Passes(random.between(SNAPSHOT_MS_SHORT / 2, SNAPSHOT_MS_SHORT * 2))));
                    with.push(if random.chance(1, 2) { Action::Settle } else { Action::Step(1) });
                    with.push(Action::CompareSnapshot(random.index(8)));
                }
            }
            return (with, SNAPSHOT_MS_SHORT);
        }
        1 => {
            let mut mode = Mode::Normal;
            for action in actions {
                with.push(action);
                let changes = if mode == Mode::Normal { random.chance(1, 40) } else { random.chance(1, 6) };
                if changes {
                    mode = match mode {
                        Mode::Normal => [Mode::ReadOnly, Mode::Maintenance][random.index(2)],
                        _ => Mode::Normal,
                    };
                    with.push(Action::Mode(mode));
                }
            }
            with.push(Action::Mode(Mode::Normal));
        }
        _ => return (actions, SNAPSHOT_MS_LONG),
    }
    (with, SNAPSHOT_MS_LONG)
}

/// In a quarter of all plans somebody shuts the database down in an emergency. Of its own, so that it changes nothing else.
fn with_shutdowns(seed: u64, actions: Vec<Action>) -> Vec<Action> {
    let mut random = Random::new(seed ^ 0x5348_5554_0000);
    if random.chance(3, 4) {
        return actions;
    }
    let mut crash = || match random.below(2) {
        0 => Crash::Kill,
        _ => Crash::Power(random.below(u64::MAX)),
    };
    let mut with = Vec::new();
    for (at, action) in actions.into_iter().enumerate() {
        with.push(action);
        if at % 60 == 30 {
            with.push(Action::ShutDown(crash()));
        }
    }
    with
}

/// As short as the time that a transaction may take, which is the shortest.
const SNAPSHOT_MS_SHORT: u64 = 30_000;

/// What the work of one run looks like.
struct Shape {
    keys: u64,
    key_style: u64,
    prefix: Vec<u8>,
    value_max: u64,
    batch_max: u64,
    tables: usize,
    relaxed_parts: u64,
    delete_parts: u64,
    next_tag: u32,
    /// Clients with an open transaction, unless it ended otherwise than planned.
    open: [bool; CLIENTS],
    /// Clients that take part.
    clients: usize,
}

impl Shape {
    fn choose(random: &mut Random) -> Self {
        let prefix_len = random.skewed(300) as usize;
        let value_max = [20_000, 3000, 8, 150, 150, 150, 150, 150][random.index(8)];
        Self {
            keys: random.skewed(3000).max(3),
            key_style: random.below(4),
            prefix: random.bytes(prefix_len),
            value_max,
            batch_max: if value_max <= 3000 { [1, 150, 12, 12, 12, 12][random.index(6)] } else { 12 },
            tables: random.between(1, TABLES.len() as u64) as usize,
            relaxed_parts: random.below(11),
            delete_parts: random.below(5),
            next_tag: 0,
            open: [false; CLIENTS],
            clients: random.index(CLIENTS + 1),
        }
    }

    fn action(&mut self, random: &mut Random, weather: Weather) -> Action {
        if weather != Weather::Fair && random.chance(1, 40) {
            return self.accident(random, weather);
        }
        if self.clients > 0 && random.chance(2, 5) {
            return self.client(random);
        }
        match random.below(104) {
            102..=103 => Action::CompleteSyncs(1 + random.skewed(4) as u32),
            0..=54 => Action::Commit(self.durability(random), self.transaction(random)),
            55..=58 => Action::Abort(self.transaction(random)),
            59..=70 => Action::Ask(self.query(random)),
            71..=73 => Action::TakeSnapshot,
            74..=78 => Action::AskSnapshot(random.index(8), self.query(random)),
            79 => Action::CompareSnapshot(random.index(8)),
            80..=81 => Action::DropSnapshot(random.index(8)),
            82..=93 => Action::Step(random.skewed(30) as u32),
            94 => Action::Settle,
            95..=96 => Action::Compare,
            97 => Action::Check,
            98 => Action::Reopen,
            99..=100 => Action::Time(self.time(random)),
            _ => Action::Commit(Durability::Sync, self.purge(random)),
        }
    }

    fn accident(&mut self, random: &mut Random, weather: Weather) -> Action {
        let crash = if random.chance(1, 3) { Crash::Kill } else { Crash::Power(random.bits()) };
        if weather == Weather::Crashes || random.chance(1, 2) {
            return if random.chance(1, 4) {
                Action::CrashNow(crash)
            } else {
                Action::CrashAfter(random.skewed(120), crash)
            };
        }
        match random.below(13) {
            9 => Action::Fate(Fate::Emptied(if random.chance(2, 3) { FileId::Log } else { FileId::Data })),
            10 => Action::Fate(Fate::Cut(random.bits())),
            11 => Action::Fate(Fate::CopiedAfter(random.skewed(60))),
            12 if random.chance(1, 3) => Action::Fate(Fate::Rot(random.bits())),
            8 => Action::FaultAfter(random.skewed(60), Fault::Slow),
            0 => Action::Limit(Some(random.skewed(60_000))),
            1 => Action::Limit(None),
            2 => Action::FaultAfter(random.skewed(60), Fault::Full),
            3 => Action::FaultAfter(random.skewed(60), Fault::WrongBit),
            4 => Action::FaultAfter(random.skewed(60), Fault::ShortRead),
            _ => Action::FaultAfter(random.skewed(60), Fault::Error),
        }
    }

    fn time(&self, random: &mut Random) -> Time {
        match random.below(8) {
            0..=1 => Time::Passes(random.skewed(2000)),
            2 => Time::Passes(random.skewed(60_000)),
            3 => Time::WallJumps(random.skewed(100_000_000) as i64),
            4 => Time::WallJumps(-(random.skewed(100_000_000) as i64)),
            5 => Time::WallJumps([i64::MIN, i64::MAX, -1_000_000_000_000, 1][random.index(4)]),
            6 => Time::StandsStill,
            _ => Time::GoesOn,
        }
    }

    fn client(&mut self, random: &mut Random) -> Action {
        let at = random.index(self.clients);
        let open = &mut self.open[at];
        let step = match random.below(20) {
            part if !*open || part == 0 => {
                *open = true;
                let isolations = [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable];
                ClientStep::Begin(isolations[random.index(3)])
            }
            1 => {
                *open = false;
                ClientStep::Abort
            }
            2..=6 => {
                *open = false;
                ClientStep::Commit(self.durability(random))
            }
            _ => ClientStep::Do(self.op(random)),
        };
        Action::Client(at, step)
    }

    fn durability(&self, random: &mut Random) -> Durability {
        match random.below(3) {
            _ if !random.chance(self.relaxed_parts, 10) => Durability::Sync,
            0 => Durability::Periodic(random.skewed(3000) as u32),
            _ => Durability::Relaxed,
        }
    }

    fn transaction(&mut self, random: &mut Random) -> Vec<TxOp> {
        let len = random.skewed(self.batch_max).max(1);
        (0..len).map(|_| self.op(random)).collect()
    }

    /// A transaction that removes much at once.
    fn purge(&mut self, random: &mut Random) -> Vec<TxOp> {
        (0..self.tables).map(|table| TxOp::DeleteRange(table, self.range(random, 1))).collect()
    }

    fn op(&mut self, random: &mut Random) -> TxOp {
        let table = random.index(self.tables);
        match random.below(40) {
            0..=3 => TxOp::Ask(self.query(random)),
            4 => TxOp::Savepoint,
            5 => TxOp::Rollback,
            6 => TxOp::DeleteRange(table, self.range(random, 30)),
            _ if random.chance(self.delete_parts, 10) => TxOp::Delete(table, self.key(random)),
            _ => TxOp::Put(table, self.key(random), self.value(random)),
        }
    }

    fn query(&mut self, random: &mut Random) -> Query {
        let table = random.index(self.tables);
        match random.below(8) {
            0..=3 => Query::Get(table, self.key(random)),
            4 => Query::Count(table, self.range(random, 3)),
            5 => {
                let range = self.range(random, 3);
                let moves = (0..random.skewed(40).max(1)).map(|_| match random.below(12) {
                    0..=1 => Move::Seek(self.key(random)),
                    2 => Move::First,
                    3 => Move::Last,
                    4..=7 => Move::Next,
                    _ => Move::Prev,
                });
                Query::Roam(table, range, moves.collect())
            }
            _ => {
                let turns = match random.below(3) {
                    0 => vec![false],
                    1 => vec![true],
                    _ => (0..random.between(2, 5)).map(|_| random.chance(1, 2)).collect(),
                };
                Query::Walk(table, self.range(random, 3), turns, random.skewed(400) as usize)
            }
        }
    }

    /// A range over about one part in `parts` of the keys, sometimes empty, upside down or open.
    fn range(&mut self, random: &mut Random, parts: u64) -> Range {
        let start = random.below(self.keys);
        let end = start + random.below(self.keys / parts + 2);
        let (mut start, mut end) = (self.key_at(start), self.key_at(end));
        if random.chance(1, 20) {
            std::mem::swap(&mut start, &mut end);
        }
        let bound = |random: &mut Random, key| match random.below(12) {
            0 => Bound::Unbounded,
            1..=5 => Bound::Excluded(key),
            _ => Bound::Included(key),
        };
        (bound(random, start), bound(random, end))
    }

    fn key(&mut self, random: &mut Random) -> Key {
        let id = match random.below(3) {
            0 => random.skewed(self.keys - 1),
            _ => random.below(self.keys),
        };
        self.key_at(id)
    }

    fn key_at(&self, id: u64) -> Key {
        match self.key_style {
            0 => key(format!("{id:05}").as_bytes()),
            // Key lengths from nothing to a few hundred, many with one prefix.
            1 => key(&[&self.prefix[..], format!("{id}").as_bytes()].concat()),
            2 if id == 0 => key(b""),
            2 => key(&Random::new(id).bytes(1 + id as usize % 40)),
            // Bytes at both ends of their range, so that bounds and successors matter.
            _ => key(&(0..8)
                .map(|bit| if id >> bit & 1 == 1 { 0xFF } else { 0 })
                .take(1 + id as usize % 9)
                .collect::<Vec<_>>()),
        }
    }

    fn value(&mut self, random: &mut Random) -> Value {
        let len = random.skewed(self.value_max) as u32;
        self.next_tag += 1;
        let tag = if len < 4 { self.next_tag & ((1 << (8 * len)) - 1) } else { self.next_tag };
        Value { tag, len }
    }
}
