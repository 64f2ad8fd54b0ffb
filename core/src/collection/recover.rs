//! Collections in a database that was brought back from a damaged one. What is lost of the documents is not what is lost of the
//! indexes' entries, so every index is made again over the documents that came back, and so are the notes of when they go. No key
//! that was made is made again: what was noted of them stays, and is not below what came back.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::auto_key;
use super::build::{self, batch};
use super::definition::Definition;
use super::stored::Stored;
use super::write::expiry_key;
use crate::db::{Database, Snapshot, WriteTransaction};
use crate::error::{Error, Result};

impl Snapshot {
    /// The numbers of tables that collections have beside those of their documents: no name leads to these.
    pub(crate) fn tables_of_collections(&self) -> Result<BTreeSet<u64>> {
        let mut ids = BTreeSet::new();
        for name in self.names_by_id()?.values() {
            if let Some(definition) = self.readable_definition(name)? {
                ids.extend(definition.indexes.iter().map(|index| index.id).chain([definition.expiry_id]));
            }
        }
        Ok(ids)
    }

    /// The definition of a collection; `None` for what is none, or has one that cannot be read.
    fn readable_definition(&self, name: &str) -> Result<Option<Definition>> {
        Ok(self.definition(name)?.and_then(|entry| Definition::of(name, &entry).ok()))
    }
}

impl Database {
    /// Makes the indexes of all collections again, and the notes of when their documents go. Gives why some indexes could not be
    /// made; those are dropped.
    pub(crate) fn make_indexes_again(&self) -> Result<Vec<Error>> {
        let snapshot = self.snapshot();
        let names = snapshot.names_by_id()?;
        let mut taken: BTreeSet<u64> = names.keys().copied().collect();
        let mut refused = Vec::new();
        for name in names.values() {
            if snapshot.readable_definition(name)?.is_none() {
                continue;
            }
            self.transaction(|tx| begin_again(tx, name, &mut taken))?;
            let mut from = Some(Vec::new());
            while let Some(key) = from {
                from = self.transaction(|tx| note_expiries(tx, name, &key))?;
            }
            // Each time one index less is to be made.
            while let Err(error) = build::finish(self, name, &mut |_| {}) {
                match error {
                    Error::DuplicateKey { .. } | Error::InvalidDocument { .. } | Error::LimitExceeded { .. } => {
                        refused.push(error);
                    }
                    error => return Err(error),
                }
            }
        }
        Ok(refused)
    }
}

/// Notes when some of the documents from a key on go; gives where those after them begin.
fn note_expiries(tx: &mut WriteTransaction, name: &str, from: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some(entry) = tx.definition(name)? else { return Ok(None) };
    let definition = Definition::of(name, &entry)?;
    let (documents, next) = batch(tx, definition.id, from)?;
    for (key, stored) in &documents {
        // What cannot be read is told by those who read it.
        if let Ok(Stored { expires_ms: Some(at), .. }) = Stored::read(stored) {
            tx.bytes_table(definition.expiry_id).put(&*expiry_key(at, key), b"")?;
        }
    }
    Ok(next)
}

/// Empties the indexes of a collection and the notes of when its documents go, and gives the indexes new numbers: a file that was made up may give theirs to other tables too,
/// which `taken` says.
fn begin_again(tx: &mut WriteTransaction, name: &str, taken: &mut BTreeSet<u64>) -> Result<()> {
    let Some(entry) = tx.definition(name)? else { return Ok(()) };
    let mut definition = Definition::of(name, &entry)?;
    for index in definition.indexes.iter_mut().map(Arc::make_mut) {
        if taken.insert(index.id) {
            tx.clear_table(index.id)?;
            tx.set_note(&index.build_note(), None)?;
        }
        index.id = tx.take_table_id()?;
        index.ready = false;
    }
    if taken.insert(definition.expiry_id) {
        tx.clear_table(definition.expiry_id)?;
    } else {
        definition.expiry_id = tx.take_table_id()?;
    }
    // The note of the highest key may be lost, or older than what came back.
    auto_key::count_again(tx, &definition)?;
    tx.set_definition(name, definition.entry(entry.created_ms)?)?;
    Ok(())
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::string::String;
    use alloc::sync::Arc;
    use core::sync::atomic::Ordering;

    use super::*;
    use crate::collection::tests::open;
    use crate::collection::{Collection, Expiry, Schema};
    use crate::document::Value;
    use crate::document::query::Query;
    use crate::engine::Progress;
    use crate::env::HandSet;

    fn definition(documents: &Collection<Value>) -> Definition {
        documents.database().snapshot().collection_definition("documents").unwrap().unwrap()
    }

    #[test]
    fn documents_whose_notes_were_lost_go_at_their_time_and_give_their_space_back() {
        let clock = Arc::new(HandSet::default());
        let database = open(&Arc::default(), &clock);
        let documents = database.collection::<Value>("documents", Schema::key("id").index("a")).unwrap();
        let document = |id: u64| [("id", Value::from(id)), ("a", (id % 10).into())].into_iter().collect::<Value>();
        // More than one step of them.
        for id in 0..3000 {
            match id % 3 {
                0 => documents.put(&document(id)).unwrap(),
                time => documents.put_expiring(&document(id), Expiry::At(time * 1000)).unwrap(),
            }
        }
        let of_another = b"\0\0\0\0\0\0\0\x01nobody".as_slice();
        let make_again = |ruin: &dyn Fn(&mut WriteTransaction, &mut Definition)| {
            let mut lost = definition(&documents);
            database
                .transaction(|tx| {
                    ruin(tx, &mut lost);
                    tx.set_definition("documents", lost.entry(1)?).map(drop)
                })
                .unwrap();
            assert_eq!(database.make_indexes_again().unwrap(), []);
            assert_eq!(database.check().unwrap().problems, Vec::<String>::new());
            let count = |id: u64| database.snapshot().bytes_table(id).len().unwrap();
            count(definition(&documents).expiry_id)
        };
        let lose = |tx: &mut WriteTransaction, lost: &mut Definition| {
            tx.clear_table(lost.expiry_id).unwrap();
            tx.bytes_table(lost.expiry_id).put(of_another, b"").unwrap();
        };
        assert_eq!(make_again(&lose), 2000, "and none of what nobody has");
        // A file that was made up may say that they are where the documents are.
        let mix_up = |_: &mut WriteTransaction, lost: &mut Definition| lost.expiry_id = lost.id;
        assert_eq!(make_again(&mix_up), 2000);

        clock.0.store(1000, Ordering::Relaxed);
        assert_eq!(documents.count(Query::new()).unwrap(), 2000);
        clock.0.store(2000, Ordering::Relaxed);
        assert_eq!(documents.count(Query::new()).unwrap(), 1000);
        while database.remove_expired().unwrap() == Progress::More {}
        assert_eq!(database.snapshot().bytes_table(definition(&documents).id).len().unwrap(), 1000);
        assert_eq!(database.check().unwrap().problems, Vec::<String>::new());
    }
}
