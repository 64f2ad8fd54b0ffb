//! Keys made for documents that come without one.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::definition::Definition;
use super::entries::NULL_ITEM;
use super::write::{Expiry, Mode, Writer, record_key_of};
use crate::db::{WriteTransaction, note_name};
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
        let record = match record_key_of(&definition, document) {
            Err(_) if mode != Mode::Replace && lacks_key(&definition, document) => {
                return self.put_made(auto, document, expiry).map(Some);
            }
            record => record?,
        };
        // What is there already was counted when it came.
        let number = if auto == AutoKey::Increment && mode != Mode::Replace { number_of(&record) } else { None };
        let number = number.filter(|number| *number > self.tx.risen(definition.id));
        // All that is read is read before anything is written: where bytes are fetched first, the whole call is made again.
        let higher = match number {
            Some(number) if number > highest(self.tx, &definition)? => Some(number),
            _ => None,
        };
        self.put_at(&record, document, mode, expiry)?;
        if let Some(number) = higher {
            self.tx.set_note(&note(&definition), Some(&number.to_le_bytes()))?;
        }
        Ok(None)
    }

    /// Writes a new document under a key that is made for it.
    fn put_made(&mut self, auto: AutoKey, document: &[u8], expiry: Expiry) -> Result<Value> {
        let definition = Arc::clone(&self.definition);
        let next = match auto {
            AutoKey::Increment => Some(next_number(highest(self.tx, &definition)?)?),
            AutoKey::Uuid => None,
        };
        let key = next.map_or_else(|| Value::Uuid(self.tx.next_uuid()), Value::from);
        let mut document = cbor::decode(document)?;
        put_at(&mut document, &definition.key, key.clone())?;
        // Whatever is under a key that was made, it is not to be lost for it.
        self.put(&cbor::encode(&document)?, Mode::Insert, expiry)?;
        if let Some(number) = next {
            self.tx.set_note(&note(&definition), Some(&number.to_le_bytes()))?;
        }
        Ok(key)
    }
}

fn next_number(highest: u64) -> Result<u64> {
    if highest >= NUMBER_MAX {
        return Err(Error::LimitExceeded { what: "a key that is counted up", value: highest, limit: NUMBER_MAX });
    }
    Ok(highest + 1)
}

/// The number that a key is, of those that are counted.
fn number_of(record: &[u8]) -> Option<u64> {
    let number = Value::decode_key(record).ok()?.as_integer()?;
    (number > 0).then(|| u64::try_from(number).unwrap_or(u64::MAX))
}

/// Whether there is nothing, or null, where a document of the collection has its key. Of what is no document, too, nothing is said.
fn lacks_key(definition: &Definition, document: &[u8]) -> bool {
    cbor::validate(document).is_ok()
        && cbor::lookup(document, &definition.key)
            .is_ok_and(|found| !found.crossed && found.single().is_none_or(|item| item == NULL_ITEM))
}

/// Whether a record of the catalogue notes which number was the highest key of a collection.
pub(crate) fn is_counter(key: &[u8], value: &[u8]) -> bool {
    let id = note_name(key).and_then(|name| name.strip_prefix("key-"));
    id.is_some_and(|id| id.parse::<u64>().is_ok()) && value.len() == 8
}

/// Keys are counted up from now on which were not counted for a while, or of which not everything is known.
pub(super) fn count_again(tx: &mut WriteTransaction, definition: &Definition) -> Result<()> {
    let noted = noted(tx, definition)?;
    if noted.is_some() || definition.auto_key == Some(AutoKey::Increment) {
        let highest = noted.unwrap_or(0).max(highest_there(tx, definition)?);
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
    tx.rising_note(definition.id, &note(definition))
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
    fn a_document_that_is_not_counted_is_in_nobody_s_way() {
        let db = open(&Arc::new(MemoryStorage::new()));
        let documents = notes(&db, AutoKey::Increment);
        (0..5).for_each(|_| drop(documents.add(&note("a")).unwrap()));
        // What is read must be at the commit as it was, so whoever reads the note cannot commit after this one.
        let written = |write: &dyn Fn(&mut crate::WriteCollection<'_, Value>)| {
            let mut transaction = db.begin(Isolation::Snapshot);
            write(&mut transaction.collection(&documents).unwrap());
            documents.add(&note("meanwhile")).unwrap();
            transaction.commit().map_err(|error| error.name())
        };
        for key in [Value::from("text"), Value::from(-3), Value::from(1.5), Value::from(0), Value::from(3)] {
            assert_eq!(written(&|documents| documents.put(&with_id(key.clone())).unwrap()), Ok(()), "{key}");
        }
        assert_eq!(written(&|documents| documents.replace(&with_id(2)).unwrap()), Ok(()));
        assert_eq!(written(&|documents| documents.put(&with_id(1000)).unwrap()), Err("Conflict"));
        assert_eq!(written(&|documents| drop(documents.add(&note("b")).unwrap())), Err("Conflict"));
        documents.put(&with_id(1000)).unwrap();
        let undone = documents.write(|documents| {
            documents.put(&with_id(5000))?;
            documents.put(&with_id(4000))?;
            Err::<(), _>(Error::invalid("undone"))
        });
        assert!(undone.is_err());
        documents.put(&with_id(3000)).unwrap();
        assert_eq!(documents.add(&note("c")).unwrap(), Some(3001.into()), "what was undone is not counted");
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
