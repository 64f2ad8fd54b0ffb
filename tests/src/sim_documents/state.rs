//! What collections hold, in plain maps.

use std::collections::{BTreeMap, BTreeSet};

use lightning_db::{KeyBuffer, Value};

use super::action::{COLLECTIONS, Goes, Op, Outcome};
use super::filter::{Asked, least};
use super::index::RULES;

/// The path of every document's key, and of the field that counts its migrations.
pub const KEY: &str = "id";
/// See [`KEY`].
pub const MIGRATED: &str = "m";

/// A document, and when it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The document.
    pub document: Value,
    /// In milliseconds since 1970.
    pub goes_ms: Option<u64>,
}

/// One collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// By encoded key.
    pub documents: BTreeMap<Vec<u8>, Stored>,
    /// Places of the rules that hold.
    pub rules: BTreeSet<usize>,
    /// Those among them of an index that is being made: they may not be noticed yet.
    pub coming: BTreeSet<usize>,
    /// The version of its documents.
    pub version: u32,
    /// What is in the way of indexes that are being made is let through.
    pub lenient: bool,
    /// What documents go after.
    pub goes_after_ms: Option<u64>,
}

/// All collections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// In the order of [`COLLECTIONS`].
    pub collections: [Held; COLLECTIONS.len()],
}

impl State {
    /// Without documents that are gone, and without what is known of indexes that are being made.
    pub fn seen_at(&self, now_ms: u64) -> Self {
        let mut seen = self.clone();
        for held in &mut seen.collections {
            held.documents.retain(|_, stored| stored.goes_ms.is_none_or(|at| at > now_ms));
            held.coming.clear();
        }
        seen
    }
}

/// The encoded key of a value.
pub fn encoded(key: &Value) -> Vec<u8> {
    let mut bytes = KeyBuffer::new();
    match key.encode_key(&mut bytes) {
        Ok(()) => bytes.to_vec(),
        Err(error) => panic!("a plan has the key {key}: {error}"),
    }
}

/// The encoded key of a document.
pub fn key_of(document: &Value) -> Vec<u8> {
    encoded(document.get(KEY).unwrap_or(&Value::Null))
}

impl Held {
    /// Documents that are not gone, in the order of their keys.
    pub fn there(&self, now_ms: u64) -> impl Iterator<Item = (&Vec<u8>, &Value)> {
        self.documents
            .iter()
            .filter(move |(_, stored)| stored.goes_ms.is_none_or(|at| at > now_ms))
            .map(|(key, stored)| (key, &stored.document))
    }

    /// The document of a key, unless it is gone.
    pub fn get(&self, key: &[u8], now_ms: u64) -> Option<&Value> {
        let stored = self.documents.get(key)?;
        stored.goes_ms.is_none_or(|at| at > now_ms).then_some(&stored.document)
    }

    /// What a query finds, with the keys, of each all fields.
    pub fn find(&self, asked: &Asked, now_ms: u64) -> Vec<(Vec<u8>, Value)> {
        let found = asked.answer(self.there(now_ms)).into_iter();
        found.map(|(key, document)| (key.clone(), document.clone())).collect()
    }

    /// What a query gives.
    pub fn rows(&self, asked: &Asked, now_ms: u64) -> Vec<Value> {
        asked.documents(self.find(asked, now_ms))
    }

    /// The lowest or the highest of the values that documents are ordered by, of those that a query finds.
    pub fn extreme(&self, path: &str, highest: bool, asked: &Asked, now_ms: u64) -> Option<Value> {
        let found = self.find(asked, now_ms).into_iter().map(|(_, document)| least(&document, path));
        let mut values: Vec<Value> = found.filter(|value| value.is_key() && !value.is_null()).collect();
        values.sort_by(|a, b| a.key_order(b).unwrap_or(std::cmp::Ordering::Equal));
        if highest { values.pop() } else { values.into_iter().next() }
    }

    /// Why a document cannot be written: names of errors.
    fn refuses(&self, key: &[u8], document: &Value, rules: &BTreeSet<usize>, now_ms: u64) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        for (at, rule) in rules.iter().map(|at| (at, &RULES[*at])) {
            match rule.claims(document) {
                None => reasons.push("InvalidDocument"),
                Some(claims) if claims.is_empty() => {}
                Some(_) if self.lenient && self.coming.contains(at) => {}
                Some(claims) => {
                    let mut others = self.there(now_ms).filter(|(other, _)| *other != key);
                    if others.any(|(_, other)| {
                        rule.claims(other).is_some_and(|others| others.iter().any(|other| claims.contains(other)))
                    }) {
                        reasons.push("DuplicateKey");
                    }
                }
            }
        }
        reasons
    }

    /// Whether an index of this rule can be made of what is there.
    pub fn allows(&self, at: usize, now_ms: u64) -> bool {
        let only = BTreeSet::from([at]);
        self.there(now_ms).all(|(key, document)| self.refuses(key, document, &only, now_ms).is_empty())
    }

    fn write(&mut self, document: &Value, goes_ms: Option<u64>, now_ms: u64) -> Result<(), Vec<&'static str>> {
        let key = key_of(document);
        let reasons = self.refuses(&key, document, &self.rules, now_ms);
        if !reasons.is_empty() {
            return Err(reasons);
        }
        self.documents.insert(key, Stored { document: document.clone(), goes_ms });
        Ok(())
    }

    fn goes(&self, goes: Goes, now_ms: u64) -> Option<u64> {
        match goes {
            Goes::Default => self.goes_after_ms.map(|after| now_ms + after),
            Goes::Never => None,
            Goes::In(after) => Some(now_ms + after),
        }
    }

    /// Carries out one call; nothing of it is kept if it is refused.
    pub fn perform(&mut self, op: &Op, now_ms: u64) -> Outcome {
        let before = self.clone();
        self.attempt(op, now_ms).unwrap_or_else(|reasons| {
            *self = before;
            Outcome::Refused(reasons)
        })
    }

    fn attempt(&mut self, op: &Op, now_ms: u64) -> Result<Outcome, Vec<&'static str>> {
        let default = self.goes(Goes::Default, now_ms);
        Ok(match op {
            Op::Put(_, document, goes) => {
                self.write(document, self.goes(*goes, now_ms), now_ms)?;
                Outcome::Done
            }
            Op::Insert(_, document) => {
                if self.get(&key_of(document), now_ms).is_some() {
                    return Err(vec!["Unexpected"]);
                }
                self.write(document, default, now_ms)?;
                Outcome::Done
            }
            Op::Replace(_, document) => {
                if self.get(&key_of(document), now_ms).is_none() {
                    return Err(vec!["Unexpected"]);
                }
                self.write(document, default, now_ms)?;
                Outcome::Done
            }
            Op::Delete(_, key) => {
                let there = self.get(&encoded(key), now_ms).is_some();
                self.documents.remove(&encoded(key));
                Outcome::There(there)
            }
            Op::Update(_, key, update) => match self.get(&encoded(key), now_ms).cloned() {
                None => Outcome::There(false),
                Some(document) => {
                    self.change(&document, update, now_ms)?;
                    Outcome::There(true)
                }
            },
            Op::Swap(_, expected, new) => {
                let same = self.get(&key_of(new), now_ms) == expected.as_ref();
                if same {
                    self.write(new, default, now_ms)?;
                }
                Outcome::There(same)
            }
            Op::DeleteWhere(_, asked) => {
                let found = self.find(asked, now_ms);
                found.iter().for_each(|(key, _)| drop(self.documents.remove(key)));
                Outcome::Count(found.len() as u64)
            }
            Op::UpdateWhere(_, asked, update) => {
                let found = self.find(asked, now_ms);
                for (_, document) in &found {
                    self.change(document, update, now_ms)?;
                }
                Outcome::Count(found.len() as u64)
            }
            Op::Get(_, key) => Outcome::Rows(self.get(&encoded(key), now_ms).cloned().into_iter().collect()),
            Op::Find(_, asked) => Outcome::Rows(self.rows(asked, now_ms)),
            Op::Count(_, asked) => Outcome::Count(self.find(asked, now_ms).len() as u64),
        })
    }

    fn change(
        &mut self,
        document: &Value,
        update: &lightning_db::query::Update,
        now_ms: u64,
    ) -> Result<(), Vec<&'static str>> {
        let mut changed = document.clone();
        update.apply(&mut changed).map_err(|_| vec!["InvalidDocument"])?;
        if key_of(&changed) != key_of(document) {
            return Err(vec!["InvalidDocument"]);
        }
        let goes_ms = self.documents.get(&key_of(document)).and_then(|stored| stored.goes_ms);
        self.write(&changed, goes_ms, now_ms)
    }

    /// Brings a document to the version of the collection.
    pub fn migrate(document: &mut Value, version: u32) {
        let Value::Map(fields) = document else { return };
        fields.retain(|(name, _)| name != MIGRATED);
        fields.push((String::from(MIGRATED), Value::from(version - 1)));
    }
}

impl Op {
    /// The collection it is of.
    pub fn collection(&self) -> usize {
        match self {
            Op::Put(at, ..)
            | Op::Insert(at, ..)
            | Op::Replace(at, ..)
            | Op::Delete(at, ..)
            | Op::Update(at, ..)
            | Op::Swap(at, ..)
            | Op::DeleteWhere(at, ..)
            | Op::UpdateWhere(at, ..)
            | Op::Get(at, ..)
            | Op::Find(at, ..)
            | Op::Count(at, ..) => *at,
        }
    }

    /// Whether it may change anything.
    pub fn writes(&self) -> bool {
        !matches!(self, Op::Get(..) | Op::Find(..) | Op::Count(..))
    }
}
