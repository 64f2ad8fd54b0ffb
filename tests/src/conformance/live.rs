//! What scripts follow: live results and change feeds.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use lightning_db::{Change, ChangeFeed, ChangedValue, Commit, Difference, Document, Error, Subscription, Value};
use serde_json::{Map, Value as Json, json};

use super::Outcome;
use super::document::shown;
use super::value::{hex, write};

/// A live result, and the rows that its differences lead to.
pub struct Watch {
    subscription: Subscription<Value>,
    rows: Vec<Value>,
    sequence: u64,
}

impl Watch {
    pub fn new(subscription: Subscription<Value>) -> Self {
        Self { subscription, rows: Vec::new(), sequence: 0 }
    }

    /// What has changed since the last call, or null.
    pub fn next(&mut self, step: &Json) -> Outcome {
        let difference = match self.subscription.try_next_difference() {
            Ok(Some(difference)) => difference,
            Ok(None) => return Ok(Ok(Json::Null)),
            Err(error) => return Ok(Err(error)),
        };
        ensure!(difference.sequence >= self.sequence, "an older state than the one before");
        self.sequence = difference.sequence;
        self.apply(&difference)?;
        let held: Vec<Value> = self.subscription.rows_cbor().map(Value::from_cbor).collect::<Result<_, _>>()?;
        ensure!(held == self.rows, "the difference leads to {:?}, not to {held:?}", self.rows);
        let removed = difference.removed.iter().map(|row| json!({"at": row.at, "key": write(&row.key)}));
        let changed =
            difference.changed.iter().map(|row| json!({"from": row.from, "at": row.at, "row": shown(&row.row, step)}));
        let added = difference.added.iter().map(|row| json!({"at": row.at, "row": shown(&row.row, step)}));
        let mut given = Map::new();
        for (name, list) in
            [("removed", removed.collect::<Vec<_>>()), ("changed", changed.collect()), ("added", added.collect())]
        {
            if !list.is_empty() {
                given.insert(name.into(), list.into());
            }
        }
        given.insert("rows".into(), self.rows.iter().map(|row| shown(row, step)).collect());
        Ok(Ok(given.into()))
    }

    /// As the documentation of [`Difference`] says.
    fn apply(&mut self, difference: &Difference<Value>) -> Result<()> {
        let gone: HashSet<usize> =
            difference.removed.iter().map(|row| row.at).chain(difference.changed.iter().map(|row| row.from)).collect();
        ensure!(gone.iter().all(|at| *at < self.rows.len()), "{gone:?} of {} rows", self.rows.len());
        let stay = std::mem::take(&mut self.rows).into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
        let mut rows: Vec<Value> = stay.map(|(_, row)| row).collect();
        let changed = difference.changed.iter().map(|row| (row.at, &row.row));
        let mut put: Vec<_> = changed.chain(difference.added.iter().map(|row| (row.at, &row.row))).collect();
        put.sort_by_key(|(at, _)| *at);
        for (at, row) in put {
            ensure!(at <= rows.len(), "a row at {at} of {}", rows.len());
            rows.insert(at, row.clone());
        }
        ensure!(rows.len() == difference.len, "{} rows, not {}", rows.len(), difference.len);
        self.rows = rows;
        Ok(())
    }
}

/// A change feed, and the number of the commit it has come to.
pub struct Feed {
    pub feed: ChangeFeed,
    sequence: u64,
}

impl Feed {
    pub fn new(feed: ChangeFeed) -> Self {
        Self { sequence: feed.position().sequence(), feed }
    }

    /// The next commit that changes a table, or null. `collections` are those that the script has ever opened.
    pub fn next(&mut self, collections: &HashSet<String>) -> Outcome {
        loop {
            let commit = match self.feed.next() {
                Ok(Some(commit)) => commit,
                Ok(None) => return Ok(Ok(Json::Null)),
                Err(error) => return Ok(Err(error)),
            };
            self.sequence += 1;
            ensure!(commit.sequence() == self.sequence, "commit {} after {}", commit.sequence(), self.sequence - 1);
            ensure!(self.feed.position() == commit.position(), "the feed is where its last commit is");
            let changes = changes(&commit, collections)?;
            if !changes.is_empty() {
                return Ok(Ok(json!({"timeMs": commit.time_ms(), "changes": changes})));
            }
        }
    }
}

fn changes(commit: &Commit, collections: &HashSet<String>) -> Result<Vec<Json>> {
    let key = |table: &str, key: &[u8]| -> Result<Json> {
        if !collections.contains(table) {
            return Ok(json!({"$bytes": hex(key)}));
        }
        Ok(write(&Value::decode_key(key)?))
    };
    let mut shown = Vec::new();
    for change in commit.changes() {
        shown.push(match change {
            Change::Put { table, key: at, value } if collections.contains(table) => {
                let mut put = json!({"put": table, "key": key(table, at)?});
                let members = put.as_object_mut().context("it is an object")?;
                document(&value, members)?;
                put
            }
            Change::Put { table, key: at, value } => {
                let value = value.read()?.map_or(Json::Null, |bytes| json!({"$bytes": hex(&bytes)}));
                json!({"put": table, "key": key(table, at)?, "value": value})
            }
            Change::Delete { table, key: at } => json!({"delete": table, "key": key(table, at)?}),
            Change::DeleteRange { table, from, to } => json!({
                "deleteRange": table, "from": {"$bytes": hex(from)}, "to": to.map(|to| json!({"$bytes": hex(to)})),
            }),
            other => anyhow::bail!("a script knows no {other:?}"),
        });
    }
    Ok(shown)
}

fn document(value: &ChangedValue<'_>, members: &mut Map<String, Json>) -> Result<(), Error> {
    let read = value.read_document::<Value>()?;
    members.insert("document".into(), read.as_ref().map_or(Json::Null, |read| write(&read.document)));
    if let Some(at) = read.and_then(|read| read.expires_ms) {
        members.insert("expires".into(), at.into());
    }
    Ok(())
}
