//! From a seed to everything that will happen.

use std::collections::BTreeSet;
use std::ops::Bound;

use lightning_db::query::{Filter, Test, Update};
use lightning_db::{Isolation, Value};

use super::action::{Action, COLLECTIONS, ClientStep, Goes, Op};
use super::clients::CLIENTS;
use super::filter::{Asked, condition};
use super::index::RULES;
use crate::random::Random;
use crate::sim;
use crate::sim::action::{Crash, Durability};
use crate::sim::plan::Weather;
use crate::sim_disk::Fault;

/// Everything that will happen in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Seed, sizes, and how reads are fetched, as of the simulation of tables; without its actions.
    pub base: sim::plan::Plan,
    /// What writes by handles promise.
    pub durability: Durability,
    /// Of each collection the indexes it begins with, and after how many milliseconds its documents go.
    pub collections: Vec<(BTreeSet<usize>, Option<u64>)>,
    /// In this order.
    pub actions: Vec<Action>,
}

/// Paths that conditions and orders are of.
const PATHS: [&str; 8] = ["a", "b", "c.d", "u", "tags", "list.x", "id", "m"];
/// What of documents is asked for.
const SELECTED: [&str; 8] = ["id", "a", "c", "c.d", "tags", "list", "list.x", "nothing"];
const TEXTS: [&str; 9] = ["", "eva", "Éva", "EVA", "ev", "adam", "Adam", "zoé", "\u{0}"];

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, actions: usize, weather: Weather) -> Self {
        let mut base = sim::plan::Plan::new(seed, 0, Weather::Fair);
        base.late_syncs = false;
        let mut random = Random::new(seed ^ 0x444F_4355_4D45);
        let durability = if random.chance(2, 3) { Durability::Sync } else { Durability::Relaxed };
        let collections = (0..COLLECTIONS.len())
            .map(|_| {
                let rules = (0..random.skewed(5)).map(|_| random.index(RULES.len())).collect();
                (rules, random.chance(1, 4).then(|| random.between(1, 5) * 1000))
            })
            .collect();
        let mut shape = Shape::choose(&mut random);
        let actions = (0..actions).map(|_| shape.action(&mut random, weather)).collect();
        Self { base, durability, collections, actions }
    }
}

/// What the work of one run looks like.
struct Shape {
    keys: u64,
    key_style: u64,
    /// Different values of fields that are not unique, and of those that are.
    values: u64,
    unique_values: u64,
    collections: usize,
    clients: usize,
    open: [bool; CLIENTS],
    relaxed_parts: u64,
    goes_parts: u64,
}

impl Shape {
    fn choose(random: &mut Random) -> Self {
        Self {
            keys: random.skewed(200).max(3),
            key_style: random.below(3),
            values: random.skewed(40).max(2),
            unique_values: random.skewed(1000).max(3),
            collections: random.between(1, COLLECTIONS.len() as u64) as usize,
            clients: random.index(CLIENTS + 1),
            open: [false; CLIENTS],
            relaxed_parts: random.below(8),
            goes_parts: random.below(3),
        }
    }

    fn action(&mut self, random: &mut Random, weather: Weather) -> Action {
        if weather != Weather::Fair && random.chance(1, 30) {
            let crash = if random.chance(1, 3) { Crash::Kill } else { Crash::Power(random.bits()) };
            if weather == Weather::Storm && random.chance(1, 2) {
                return self.fault(random);
            }
            return if random.chance(1, 5) {
                Action::CrashNow(crash)
            } else {
                Action::CrashAfter(random.skewed(100), crash)
            };
        }
        if self.clients > 0 && random.chance(2, 5) {
            return self.client(random);
        }
        let at = random.index(self.collections);
        match random.below(100) {
            0..=24 => Action::Call(self.write(random)),
            25..=49 => {
                let len = random.skewed(20).max(1);
                let ops = (0..len).map(|_| self.op(random)).collect();
                Action::Transaction(self.durability(random), ops, random.chance(9, 10))
            }
            50..=58 => Action::Call(self.read(random)),
            59..=60 => {
                let asked = Asked { limit: None, offset: 0, ..self.asked(random) };
                Action::Extreme(at, PATHS[random.index(PATHS.len())], random.chance(1, 2), asked)
            }
            61 => Action::Watch(at, self.asked(random)),
            62..=64 => Action::LookAtWatch(random.index(8)),
            65..=67 => {
                let between = if random.chance(1, 2) { random.skewed(8) } else { 0 };
                let between = (0..between).map(|_| self.write_of(random, at)).collect();
                Action::Pages(at, self.asked(random), random.skewed(20).max(1), between)
            }
            68..=69 => Action::TakeSnapshot,
            70..=72 => Action::AskSnapshot(random.index(4), at, self.asked(random)),
            73 => Action::DropSnapshot(random.index(4)),
            74..=79 => {
                let during = (0..random.skewed(20)).map(|_| self.op_of(random, at)).collect();
                Action::AddIndex(at, random.index(RULES.len()), during)
            }
            80..=83 => Action::DropIndex(at, random.index(RULES.len())),
            84 => Action::Migrate(at, random.chance(2, 3)),
            85..=87 => Action::Passes(random.skewed(4000)),
            88..=90 => Action::RemoveExpired(random.skewed(8) as u32 + 1),
            91..=94 => Action::Step(random.skewed(30) as u32),
            95..=96 => Action::Compare,
            97..=98 => Action::Check,
            _ => Action::Reopen,
        }
    }

    fn fault(&mut self, random: &mut Random) -> Action {
        match random.below(8) {
            0 => Action::Limit(Some(random.skewed(60_000))),
            1 => Action::Limit(None),
            2 => Action::FaultAfter(random.skewed(60), Fault::Full),
            3 => Action::FaultAfter(random.skewed(60), Fault::WrongBit),
            4 => Action::FaultAfter(random.skewed(60), Fault::ShortRead),
            _ => Action::FaultAfter(random.skewed(60), Fault::Error),
        }
    }

    fn client(&mut self, random: &mut Random) -> Action {
        let at = random.index(self.clients);
        let open = &mut self.open[at];
        let step = match random.below(12) {
            part if !*open || part == 0 => {
                *open = true;
                let isolations = [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable];
                ClientStep::Begin(isolations[random.index(3)])
            }
            1..=3 => {
                *open = false;
                if random.chance(1, 8) { ClientStep::Abort } else { ClientStep::Commit(self.durability(random)) }
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

    fn op(&mut self, random: &mut Random) -> Op {
        let at = random.index(self.collections);
        self.op_of(random, at)
    }

    fn op_of(&mut self, random: &mut Random, at: usize) -> Op {
        if random.chance(3, 4) { self.write_of(random, at) } else { self.read_of(random, at) }
    }

    fn write(&mut self, random: &mut Random) -> Op {
        let at = random.index(self.collections);
        self.write_of(random, at)
    }

    fn read(&mut self, random: &mut Random) -> Op {
        let at = random.index(self.collections);
        self.read_of(random, at)
    }

    fn write_of(&mut self, random: &mut Random, at: usize) -> Op {
        match random.below(20) {
            0..=7 => {
                let goes = match random.below(10) {
                    0 if self.goes_parts > 0 => Goes::Never,
                    1 if self.goes_parts > 0 => Goes::In(random.skewed(4000)),
                    2 | 3 if self.goes_parts > 1 => Goes::In(random.skewed(2000)),
                    _ => Goes::Default,
                };
                Op::Put(at, self.document(random), goes)
            }
            8..=9 => Op::Insert(at, self.document(random)),
            10..=11 => Op::Replace(at, self.document(random)),
            12..=13 => Op::Delete(at, self.key(random)),
            14..=16 => Op::Update(at, self.key(random), self.update(random)),
            17 => {
                let document = self.document(random);
                Op::Swap(at, random.chance(2, 3).then(|| document.clone()), self.document_of(random, &document))
            }
            18 => Op::UpdateWhere(at, self.few(random), self.update(random)),
            _ => Op::DeleteWhere(at, self.few(random)),
        }
    }

    fn read_of(&mut self, random: &mut Random, at: usize) -> Op {
        match random.below(10) {
            0..=1 => Op::Get(at, self.key(random)),
            2..=3 => Op::Count(at, self.asked(random)),
            _ => Op::Find(at, self.asked(random)),
        }
    }

    fn key(&self, random: &mut Random) -> Value {
        let id = random.below(self.keys);
        match self.key_style {
            0 => Value::from(id),
            1 => Value::from(format!("{id:04}")),
            // Of every kind, tuples among them.
            _ => match id % 5 {
                0 => Value::from(id),
                1 => Value::from(id as f64 / 2.0),
                2 => Value::from(format!("k{id}")),
                3 => Value::Bytes(id.to_be_bytes()[6..].to_vec()),
                _ => [Value::from(id / 7), Value::from("part")].into_iter().collect(),
            },
        }
    }

    fn document(&self, random: &mut Random) -> Value {
        let key = self.key(random);
        self.document_with(random, key)
    }

    /// Another document of the same key.
    fn document_of(&self, random: &mut Random, document: &Value) -> Value {
        let key = document.get("id").cloned().unwrap_or_default();
        self.document_with(random, key)
    }

    fn document_with(&self, random: &mut Random, key: Value) -> Value {
        let mut fields = vec![(String::from("id"), key)];
        let mut add = |name: &str, value: Option<Value>| fields.extend(value.map(|value| (String::from(name), value)));
        add("a", random.chance(9, 10).then(|| self.single(random)));
        add("b", random.chance(5, 6).then(|| Value::from(TEXTS[random.index(TEXTS.len())])));
        let d = self.single(random);
        add("c", random.chance(3, 4).then(|| [("d", d)].into_iter().collect()));
        add("u", random.chance(4, 5).then(|| Value::from(random.below(self.unique_values))));
        add("tags", random.chance(2, 3).then(|| self.tags(random)));
        let list: Value = (0..random.skewed(3))
            .map(|_| match random.below(20) {
                0 => [("x", Value::Null)].into_iter().collect::<Value>(),
                _ => [("x", Value::from(random.below(self.values)))].into_iter().collect(),
            })
            .collect();
        add("list", random.chance(1, 2).then_some(list));
        if random.chance(1, 60) {
            let text = "long ".repeat(random.skewed(800) as usize);
            add("text", Some(Value::from(text)));
        }
        Value::Map(fields)
    }

    fn tags(&self, random: &mut Random) -> Value {
        if random.chance(1, 4) {
            return self.single(random);
        }
        (0..random.skewed(5)).map(|_| self.single(random)).collect()
    }

    fn single(&self, random: &mut Random) -> Value {
        let number = random.below(self.values);
        match random.below(40) {
            0 => Value::Null,
            1 => Value::from(true),
            2..=5 => Value::from(number as f64),
            6..=7 => Value::from(number as f64 + 0.5),
            8..=11 => Value::from(TEXTS[random.index(TEXTS.len())]),
            12 => Value::Timestamp(number as i64 * 1_000_000),
            13 if random.chance(1, 4) => [1, 2].into_iter().collect(),
            14 if random.chance(1, 4) => [("no", "key")].into_iter().collect(),
            _ => Value::from(number),
        }
    }

    fn update(&self, random: &mut Random) -> Update {
        let mut update = Update::new();
        for _ in 0..random.between(1, 2) {
            update = match random.below(12) {
                0..=2 => update.set("a", self.single(random)),
                3..=4 => update.increment("a", 1),
                5 => update.set("u", random.below(self.unique_values)),
                6 => update.increment("u", random.between(1, 3)),
                7 => update.set("b", TEXTS[random.index(TEXTS.len())]),
                8 => update.set("tags", self.tags(random)),
                9 => update.set("c.d", self.single(random)),
                10 => update.remove(["a", "b", "c", "u", "tags", "list"][random.index(6)]),
                _ => update.patch([("a", self.single(random)), ("u", Value::Null)].into_iter().collect::<Value>()),
            };
        }
        update
    }

    /// A query that finds few.
    fn few(&self, random: &mut Random) -> Asked {
        let mut asked = Asked { select: Vec::new(), ..self.asked(random) };
        if asked.filter.is_none() || random.chance(1, 2) {
            asked.limit = Some(random.skewed(5));
        }
        asked
    }

    fn asked(&self, random: &mut Random) -> Asked {
        let filter = match random.below(10) {
            0..=1 => None,
            2..=5 => Some(self.test(random)),
            6..=7 => Some(Filter::All((0..random.between(2, 3)).map(|_| self.test(random)).collect())),
            8 => Some(Filter::Any((0..random.between(2, 3)).map(|_| self.test(random)).collect())),
            _ => {
                let any = Filter::Any(vec![self.test(random), Filter::Not(Box::new(self.test(random)))]);
                Some(Filter::All(vec![self.test(random), any]))
            }
        };
        let order = (0..random.below(3)).map(|_| (PATHS[random.index(PATHS.len())], random.chance(1, 3))).collect();
        let order = self.once(order);
        let limit = random.chance(1, 3).then(|| random.skewed(20));
        let offset = if random.chance(1, 5) { random.skewed(10) } else { 0 };
        let select = if random.chance(1, 5) { random.between(1, 3) } else { 0 };
        let select = (0..select).map(|_| SELECTED[random.index(SELECTED.len())]).collect();
        Asked { filter, order, reverse: random.chance(1, 6), limit, offset, select }
    }

    /// A path counts where it stands first.
    fn once(&self, order: Vec<(&'static str, bool)>) -> Vec<(&'static str, bool)> {
        let mut seen = BTreeSet::new();
        order.into_iter().filter(|(path, _)| seen.insert(*path)).collect()
    }

    fn test(&self, random: &mut Random) -> Filter {
        let path = PATHS[random.index(PATHS.len())];
        let fold = random.chance(1, 4);
        let operand = |random: &mut Random| match path {
            "id" => self.key(random),
            "b" => Value::from(TEXTS[random.index(TEXTS.len())]),
            "u" => Value::from(random.below(self.unique_values)),
            _ => match self.single(random) {
                value if value.is_key() => value,
                _ => Value::from(1),
            },
        };
        let test = match random.below(10) {
            0..=3 => Test::In(vec![operand(random)]),
            4 => Test::In((0..random.between(1, 4)).map(|_| operand(random)).collect()),
            5 => Test::StartsWith(String::from(["", "e", "ev", "É", "Ad", "k"][random.index(6)])),
            6 => Test::Exists(random.chance(2, 3)),
            _ => {
                let (mut from, mut to) = (operand(random), operand(random));
                if from.is_null() {
                    from = Value::from(0);
                }
                let alike = |a: &Value, b: &Value| {
                    let number = |value: &Value| matches!(value, Value::Integer(_) | Value::Float(_));
                    number(a) && number(b) || std::mem::discriminant(a) == std::mem::discriminant(b)
                };
                if !alike(&from, &to) {
                    to = from.clone();
                }
                match random.below(5) {
                    0 => Test::Range { from: Bound::Excluded(from), to: Bound::Unbounded },
                    1 => Test::Range { from: Bound::Unbounded, to: Bound::Included(to) },
                    2 => Test::Range { from: Bound::Included(from), to: Bound::Excluded(to) },
                    _ => Test::Range { from: Bound::Included(from), to: Bound::Included(to) },
                }
            }
        };
        condition(path, test, fold)
    }
}
