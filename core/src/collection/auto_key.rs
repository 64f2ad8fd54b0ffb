//! Keys made for documents that come without one.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::definition::Definition;
use super::entries::NULL_ITEM;
use super::write::{Expiry, Mode, Writer};
use crate::db::WriteTransaction;
use crate::document::{Value, cbor, put_at};
use crate::error::{Error, Result};
use crate::table::KeyBuffer;

/// Numbers are counted up to here: what all languages hold exactly.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// How keys are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoKey {
    /// 1, 2, 3 …: each one more than the highest number that ever was a key of the collection. None is given again, not after
    /// its document was deleted and not after a crash.
    Increment,
    /// A UUID of version 7 (RFC 9562): above all that this process made before, and made anywhere without asking anybody.
    Uuid,
}

impl AutoKey {
    /// Its name in schemas.
    pub fn name(self) -> &'static str {
        match self {
            Self::Increment => "increment",
            Self::Uuid => "uuid",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Increment, Self::Uuid].into_iter().find(|auto| auto.name() == name)
    }
}

/// Where it is noted which number was the highest key.
pub(super) fn note(definition: &Definition) -> String {
    format!("key-{}", definition.id)
}

impl Writer<'_> {
    /// Writes a document, which is given a key if it has none and the collection makes keys. Gives a key that was made.
    pub(crate) fn put_keyed(&mut self, document: &[u8], mode: Mode, expiry: Expiry) -> Result<Option<Value>> {
        let definition = Arc::clone(&self.definition);
        let Some(auto) = definition.auto_key else { return self.put(document, mode, expiry).map(|_| None) };
        // All that is read is read before anything is written: where bytes are fetched first, the whole call is made again.
        let highest = match auto {
            AutoKey::Increment => highest(self.tx, &definition)?,
            AutoKey::Uuid => 0,
        };
        let mut made = None;
        if mode != Mode::Replace && lacks_key(&definition, document) {
            let key = match auto {
                AutoKey::Uuid => Value::Uuid(self.tx.next_uuid()),
                AutoKey::Increment if highest < NUMBER_MAX => Value::Integer((highest + 1).into()),
                AutoKey::Increment => {
                    let (value, limit) = (highest, NUMBER_MAX);
                    return Err(Error::LimitExceeded { what: "a key that is counted up", value, limit });
                }
            };
            let mut document = cbor::decode(document)?;
            put_at(&mut document, &definition.key, key.clone())?;
            made = Some((key, cbor::encode(&document)?));
        }
        // Whatever is under a key that was made, it is not to be lost for it.
        let mode = if made.is_some() { Mode::Insert } else { mode };
        let record = self.put(made.as_ref().map_or(document, |(_, document)| document), mode, expiry)?;
        if auto == AutoKey::Increment
            && let Some(number) = Value::decode_key(&record)?.as_integer()
            && number > highest.into()
        {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            self.tx.set_note(&note(&definition), Some(&number.to_le_bytes()))?;
        }
        Ok(made.map(|(key, _)| key))
    }
}

/// Whether there is nothing, or null, where a document of the collection has its key. Of what is no document, too, nothing is said.
fn lacks_key(definition: &Definition, document: &[u8]) -> bool {
    cbor::validate(document).is_ok()
        && cbor::lookup(document, &definition.key)
            .is_ok_and(|found| !found.crossed && found.single().is_none_or(|item| item == NULL_ITEM))
}

/// Keys are counted up from now on, which were not counted for a while.
pub(super) fn count_again(tx: &mut WriteTransaction, definition: &Definition) -> Result<()> {
    if let Some(noted) = noted(tx, definition)? {
        let highest = noted.max(highest_there(tx, definition)?);
        tx.set_note(&note(definition), Some(&highest.to_le_bytes()))?;
    }
    Ok(())
}

/// The highest number that ever was a key.
fn highest(tx: &mut WriteTransaction, definition: &Definition) -> Result<u64> {
    match noted(tx, definition)? {
        Some(number) => Ok(number),
        // Documents were there before keys were made for them.
        None => highest_there(tx, definition),
    }
}

fn noted(tx: &mut WriteTransaction, definition: &Definition) -> Result<Option<u64>> {
    let noted = tx.unique_note(&note(definition))?;
    Ok(noted.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
}

/// The highest number that is a key now.
fn highest_there(tx: &mut WriteTransaction, definition: &Definition) -> Result<u64> {
    let mut end = KeyBuffer::new();
    Value::Float(f64::INFINITY).encode_key(&mut end)?;
    let mut table = tx.bytes_table(definition.id);
    let last = table.range(..=&*end)?.next_back().transpose()?;
    let number = last.and_then(|(key, _)| Value::decode_key(&key).ok()?.as_f64());
    // As much as fits: what lies beyond is no number that can be followed.
    Ok(number.map_or(0, |number| number as u64))
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::sync::Arc;
    use std::vec::Vec;

    use super::*;
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
    use crate::{Collection, Database, Isolation, Options, Query, Schema};

    fn open(storage: &Arc<MemoryStorage>) -> Database {
        let environment = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        Database::open_storage(storage.clone(), environment, options).unwrap()
    }

    fn notes(db: &Database, auto: AutoKey) -> Collection<Value> {
        db.collection("notes", Schema::key("id").auto_key(auto)).unwrap()
    }

    fn note(text: &str) -> Value {
        [("text", Value::from(text))].into_iter().collect()
    }

    fn with_id(id: impl Into<Value>) -> Value {
        [("id", id.into())].into_iter().collect()
    }

    #[test]
    fn a_number_is_never_given_again() {
        let storage = Arc::new(MemoryStorage::new());
        let db = open(&storage);
        let documents = notes(&db, AutoKey::Increment);
        assert_eq!(documents.add(&note("a")).unwrap(), Some(1.into()));
        assert_eq!(documents.add(&with_id(7)).unwrap(), None, "it has one");
        assert_eq!(documents.add(&note("b")).unwrap(), Some(8.into()));
        assert!(documents.delete(8).unwrap());
        documents.put(&with_id("text")).unwrap();
        documents.put(&with_id(-3)).unwrap();
        documents.put(&with_id(11.5)).unwrap();
        assert_eq!(documents.add(&note("c")).unwrap(), Some(9.into()));
        let undone = documents.write(|documents| {
            documents.add(&note("d"))?;
            Err::<(), _>(Error::invalid("undone"))
        });
        assert!(undone.is_err());
        documents.delete_where(Query::new()).unwrap();
        db.close().unwrap();
        let db = open(&storage);
        let documents = db.existing_collection::<Value>("notes").unwrap();
        assert_eq!(documents.add(&note("e")).unwrap(), Some(10.into()));
        assert_eq!(documents.get(10).unwrap().unwrap().to_string(), r#"{"text":"e","id":10}"#);
        db.drop_collection("notes").unwrap();
        assert_eq!(notes(&db, AutoKey::Increment).add(&note("f")).unwrap(), Some(1.into()), "another collection");
        assert!(db.check().unwrap().is_clean());
    }

    #[test]
    fn counting_begins_behind_what_was_there_before() {
        let db = open(&Arc::new(MemoryStorage::new()));
        let documents = db.collection::<Value>("notes", Schema::key("id")).unwrap();
        assert_eq!(documents.add(&note("a")).unwrap_err().name(), "InvalidDocument");
        for key in [Value::from(41), Value::from(40.5), Value::from("text"), Value::Bool(true)] {
            documents.put(&with_id(key)).unwrap();
        }
        assert_eq!(notes(&db, AutoKey::Increment).add(&note("a")).unwrap(), Some(42.into()));
        let info = db.snapshot().collection_info("notes").unwrap().unwrap();
        assert_eq!(info.auto_key, Some(AutoKey::Increment));
        assert!(matches!(notes(&db, AutoKey::Uuid).add(&note("b")).unwrap(), Some(Value::Uuid(_))));
        assert_eq!(documents.replace(&note("c")).unwrap_err().name(), "InvalidDocument", "of what?");
    }

    #[test]
    fn what_was_put_while_nothing_was_counted_is_counted_later_and_never_overwritten() {
        let db = open(&Arc::new(MemoryStorage::new()));
        assert_eq!(notes(&db, AutoKey::Increment).add(&note("a")).unwrap(), Some(1.into()));
        notes(&db, AutoKey::Uuid).put(&with_id(8)).unwrap();
        let documents = notes(&db, AutoKey::Increment);
        assert_eq!(documents.add(&note("b")).unwrap(), Some(9.into()));
        assert_eq!(documents.count(Query::new()).unwrap(), 3);
    }

    #[test]
    fn transactions_at_once_never_get_the_same_number() {
        let db = open(&Arc::new(MemoryStorage::new()));
        let documents = notes(&db, AutoKey::Increment);
        for isolation in [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable] {
            let mut one = db.begin(isolation);
            let mut other = db.begin(isolation);
            let first = one.collection(&documents).unwrap().add(&note("one")).unwrap();
            assert_eq!(other.collection(&documents).unwrap().add(&note("other")).unwrap(), first);
            one.commit().unwrap();
            assert_eq!(other.commit().unwrap_err().name(), "Conflict", "{isolation:?}");
        }
        assert_eq!(documents.len().unwrap(), 3);
    }

    #[test]
    fn numbers_end_where_not_all_languages_hold_them() {
        let db = open(&Arc::new(MemoryStorage::new()));
        let documents = notes(&db, AutoKey::Increment);
        documents.put(&with_id((1_i64 << 53) - 2)).unwrap();
        assert_eq!(documents.add(&note("a")).unwrap(), Some(((1_i64 << 53) - 1).into()));
        assert_eq!(documents.add(&note("b")).unwrap_err().name(), "LimitExceeded");
        documents.put(&with_id(Value::Integer(u64::MAX.into()))).unwrap();
        assert_eq!(documents.add(&note("b")).unwrap_err().name(), "LimitExceeded");
    }

    #[test]
    fn uuids_are_in_the_order_in_which_they_were_made_and_lie_where_the_path_leads() {
        let db = open(&Arc::new(MemoryStorage::new()));
        let schema = Schema::key("meta.id").auto_key(AutoKey::Uuid);
        let documents = db.collection::<Value>("deep", schema).unwrap();
        let made: Vec<Value> = (0..50).map(|_| documents.add(&note("a")).unwrap().unwrap()).collect();
        let path = crate::Path::parse("meta.id").unwrap();
        let found: Vec<Value> =
            documents.query(Query::new()).unwrap().map(|row| row.unwrap().at(&path).unwrap().clone()).collect();
        assert_eq!(found, made);
        let wrong: Value = [("meta", Value::from(1))].into_iter().collect();
        assert_eq!(documents.add(&wrong).unwrap_err().name(), "Invalid");
        assert_eq!(documents.len().unwrap(), 50);
    }
}
