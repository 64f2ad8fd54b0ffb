//! At read committed a document is written that others change meanwhile: the next read says so.

use std::sync::Arc;

use lightning_db::env::MemoryStorage;
use lightning_db::{Database, Error, Isolation, Query, Schema, Value, field};

use super::{by_hand, in_words, require, small};
use crate::random::Random;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let (own, theirs) = (random.below(20) as i64, random.below(20) as i64);
    let asks_index = random.chance(1, 2);
    let read = || -> Result<u64, Error> {
        let db = Database::open_storage(Arc::new(MemoryStorage::new()), by_hand(seed).0, small())?;
        let documents = db.collection::<Value>("documents", Schema::key("id").index("group"))?;
        let document = |id: i64, group: i64| Value::Map(vec![("id".into(), id.into()), ("group".into(), group.into())]);
        (0..5).try_for_each(|id| documents.put(&document(id, own)))?;
        let mut tx = db.begin(Isolation::ReadCommitted);
        // An entry of the index goes with it, which is another one by now.
        tx.collection(&documents)?.put(&document(1, own + 1))?;
        documents.put(&document(1, theirs + 30))?;
        let mut seen = tx.collection(&documents)?;
        match asks_index {
            true => seen.count(Query::new().filter(field("group").between(0, 100))),
            false => seen.count(Query::new()),
        }
    };
    let answer = read();
    require(matches!(answer, Err(Error::Conflict { .. })), || {
        format!("a read beside a write that can no longer be committed is answered with {:?}", answer.map_err(in_words))
    })
}
