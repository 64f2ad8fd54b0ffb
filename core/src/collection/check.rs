//! Proof that collections are whole, after the engine's own: every document is one, under its own key, and every index has
//! exactly the entries that the documents have.
//!
//! **Both ways in one walk.** Each document's entries are asked for in the indexes. No two documents have the same entry,
//! so if all were there, and an index has no more entries than that, then each of its entries is that of a document.
//! Only where the numbers differ are the entries walked too, to say which of them are nobody's.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::definition::{Definition, IndexDefinition};
use super::entries::{Entry, Subject, entries, shown};
use super::stored::Stored;
use super::walk::record_of;
use super::write::{expiry_key, record_key_of};
use crate::db::{Database, Snapshot};
use crate::engine::CheckReport;
use crate::error::{Error, Result};

impl Database {
    /// Reads and verifies everything: checksums, structure, order, counts, that every sector is accounted for, that every
    /// table has a number of its own, and every index of every collection exactly the entries of its documents.
    pub fn check(&self) -> Result<CheckReport> {
        self.check_with(&mut |_| {})
    }

    /// Like [`check`](Self::check), and shows what has been seen so far.
    pub fn check_with(&self, progress: &mut dyn FnMut(&CheckReport)) -> Result<CheckReport> {
        Error::if_cancelled()?;
        let report = self.check_tables(progress)?;
        // Whatever cannot be read for damage is in the report already.
        let is_damaged = !report.is_clean();
        let snapshot = self.snapshot();
        let mut check = Check { snapshot: &snapshot, report, is_damaged, progress };
        let names = match snapshot.collection_names() {
            Ok(names) => names,
            Err(Error::Invalid { .. }) if is_damaged => return Ok(check.report),
            Err(error) => {
                check.failed("the catalogue of tables", error)?;
                return Ok(check.report);
            }
        };
        for name in &names {
            if let Err(error) = check.collection(name) {
                check.failed(&format!("collection '{name}'"), error)?;
            }
        }
        Ok(check.report)
    }
}

struct Check<'c> {
    snapshot: &'c Snapshot,
    report: CheckReport,
    /// The engine has found damage, so that some of it may be met again.
    is_damaged: bool,
    progress: &'c mut dyn FnMut(&CheckReport),
}

/// An index, and how many of the documents' entries it has.
struct Counted {
    index: Arc<IndexDefinition>,
    there: u64,
}

impl Check<'_> {
    fn collection(&mut self, name: &str) -> Result<()> {
        let Some(definition) = self.snapshot.collection_definition(name)? else { return Ok(()) };
        self.report.collections += 1;
        let mut indexes: Vec<Counted> =
            definition.indexes.iter().map(|index| Counted { index: index.clone(), there: 0 }).collect();
        for row in self.snapshot.bytes_table(definition.id).range(..)? {
            let (record, stored) = row?;
            self.report.documents += 1;
            if let Err(error) = self.document(&definition, &mut indexes, &record, &stored) {
                self.failed(&place(&definition, &record), error)?;
            }
            (self.progress)(&self.report);
            Error::if_cancelled()?;
        }
        for Counted { index, there } in indexes {
            let entries = self.snapshot.bytes_table(index.id).len()?;
            self.report.index_entries = self.report.index_entries.saturating_add(entries);
            // More than there are: documents that cannot be read were looked over.
            if entries != there {
                self.entries_of_nobody(&definition, &index)?;
            }
        }
        Ok(())
    }

    fn document(
        &mut self,
        definition: &Definition,
        indexes: &mut [Counted],
        record: &[u8],
        stored: &[u8],
    ) -> Result<()> {
        let Stored { expires_ms, document } = Stored::read(stored)?;
        let key = record_key_of(definition, document)?;
        if *key != *record {
            return Err(Error::invalid(format!("the document says that its key is {}", shown(&key))));
        }
        if let Some(at) = expires_ms
            && self.snapshot.bytes_table(definition.expiry_id).get(&*expiry_key(at, record))?.is_none()
        {
            self.wrong(definition, record, &format!("nothing is noted of its going at {at} ms since 1970"));
        }
        let subject = Subject { collection: &definition.name, key: record, document };
        for Counted { index, there } in indexes {
            let expected = match entries(&subject, index) {
                Ok(expected) => expected,
                // Whoever makes the index will come upon it.
                Err(_) if !index.ready => continue,
                Err(error) => {
                    self.failed(&place(definition, record), error)?;
                    continue;
                }
            };
            for entry in expected {
                match self.value_of(index, &entry)? {
                    Some(value) if value == entry.value(record) => *there += 1,
                    // It is not made for this document yet.
                    _ if !index.ready => {}
                    None => {
                        let what = format!("index '{}' has no entry of it for {}", index.name, said(index, &entry.key));
                        self.wrong(definition, record, &what);
                    }
                    Some(other) => {
                        let what = format!(
                            "the entry of unique index '{}' for {} is that of document {}",
                            index.name,
                            said(index, &entry.key),
                            shown(&other)
                        );
                        self.wrong(definition, record, &what);
                    }
                }
            }
        }
        Ok(())
    }

    fn value_of(&self, index: &IndexDefinition, entry: &Entry) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot.bytes_table(index.id).get(&*entry.key)?.map(|found| found.to_vec()))
    }

    /// Names the entries that no document has.
    fn entries_of_nobody(&mut self, definition: &Definition, index: &IndexDefinition) -> Result<()> {
        for row in self.snapshot.bytes_table(index.id).range(..)? {
            let (key, value) = row?;
            let what = match record_of(index, &key, &value) {
                Ok(record) => match self.snapshot.bytes_table(definition.id).get(record)? {
                    None => Some(format!("names document {}, which is not there", shown(record))),
                    Some(stored) => match self.has(definition, index, record, &stored, (&key, &value)) {
                        true => None,
                        false => Some(format!("names document {}, which has no such entry", shown(record))),
                    },
                },
                Err(_) => Some(String::from("names no document")),
            };
            if let Some(what) = what {
                let (name, index_name) = (&definition.name, &index.name);
                let entry = said(index, &key);
                self.report
                    .add_problem(format!("collection '{name}', index '{index_name}': the entry for {entry} {what}"));
            }
            (self.progress)(&self.report);
            Error::if_cancelled()?;
        }
        Ok(())
    }

    /// Whether a document has this entry. What is wrong with the document itself was found before.
    fn has(
        &self,
        definition: &Definition,
        index: &IndexDefinition,
        record: &[u8],
        stored: &[u8],
        (key, value): (&[u8], &[u8]),
    ) -> bool {
        let Ok(Stored { document, .. }) = Stored::read(stored) else { return true };
        match entries(&Subject { collection: &definition.name, key: record, document }, index) {
            Ok(entries) => entries.iter().any(|entry| *entry.key == *key && entry.value(record) == value),
            Err(_) => index.ready,
        }
    }

    fn wrong(&mut self, definition: &Definition, record: &[u8], what: &str) {
        self.report.add_problem(format!("{}: {what}", place(definition, record)));
    }

    /// What could not be looked at is a problem of the report, unless the looking failed.
    fn failed(&mut self, place: &str, error: Error) -> Result<()> {
        let what = match error {
            Error::Corrupt(_) if self.is_damaged => return Ok(()),
            Error::InvalidDocument(invalid) if invalid.field.is_empty() => invalid.what,
            Error::InvalidDocument(invalid) => format!("field '{}': {}", invalid.field, invalid.what),
            Error::Invalid { what } => what,
            Error::Corrupt(_) | Error::LimitExceeded { .. } | Error::TableTypeMismatch { .. } => error.to_string(),
            error => return Err(error),
        };
        self.report.add_problem(format!("{place}: {what}"));
        Ok(())
    }
}

fn place(definition: &Definition, record: &[u8]) -> String {
    format!("collection '{}', document {}", definition.name, shown(record))
}

/// What an entry is for: its parts, in words.
fn said(index: &IndexDefinition, entry: &[u8]) -> String {
    let (mut rest, mut parts) = (entry, Vec::new());
    for _ in &index.paths {
        match crate::document::key::decode(rest) {
            Ok((value, behind)) => {
                parts.push(value.to_string());
                rest = behind;
            }
            Err(_) => return shown(entry),
        }
    }
    parts.join(" + ")
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use alloc::sync::Arc;

    use crate::collection::{Collection, Expiry, Index, Schema};
    use crate::db::Options;
    use crate::document::{Value, cbor};
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};

    fn person(id: i64, name: &str, email: Option<&str>, tags: &[&str]) -> Value {
        let tags = tags.iter().map(|tag| Value::from(*tag)).collect();
        let mut fields = Vec::from([
            (String::from("id"), Value::from(id)),
            (String::from("name"), Value::from(name)),
            (String::from("tags"), Value::Array(tags)),
        ]);
        if let Some(email) = email {
            fields.push((String::from("email"), Value::from(email)));
        }
        Value::Map(fields)
    }

    /// Four people under four indexes, one of them until a certain time.
    fn people() -> Collection<Value> {
        let environment = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        let database = Database::open_storage(Arc::new(MemoryStorage::new()), environment, options).unwrap();
        let schema = Schema::key("id")
            .index("name")
            .unique("email")
            .with(Index::on("tags").multi())
            .with(Index::on(["name", "email"]).sparse().folded());
        let people = database.collection::<Value>("people", schema).unwrap();
        people.put(&person(1, "Ada", Some("ada@example.org"), &["math", "engine"])).unwrap();
        people.put(&person(2, "Grace", None, &[])).unwrap();
        people.put(&person(3, "Ada", Some("other@example.org"), &["math"])).unwrap();
        people.put_expiring(&person(4, "Élise", None, &["math"]), Expiry::At(5000)).unwrap();
        people
    }

    fn definition(people: &Collection<Value>) -> Definition {
        let entry = people.database().snapshot().definition("people").unwrap().unwrap();
        Definition::of("people", &entry).unwrap()
    }

    fn entry_of(people: &Collection<Value>, index: &str, id: i64) -> Entry {
        let definition = definition(people);
        let document = people.snapshot().unwrap().get_cbor(id).unwrap().unwrap();
        let key = &*record_key_of(&definition, &document).unwrap();
        let subject = Subject { collection: "people", key, document: &document };
        entries(&subject, definition.index(index).unwrap()).unwrap().remove(0)
    }

    /// Writes behind the collection's back, and gives what is then found.
    fn after(people: &Collection<Value>, table: u64, key: &[u8], value: Option<&[u8]>) -> Vec<String> {
        let write = people.database().transaction(|tx| match value {
            Some(value) => tx.bytes_table(table).put(key, value),
            None => tx.bytes_table(table).delete(key).map(drop),
        });
        write.unwrap();
        people.database().check().unwrap().problems
    }

    #[test]
    fn what_is_whole_is_counted() {
        let report = people().database().check().unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!((report.collections, report.documents), (1, 4));
        // Names and emails, the empty tags as null, and of names with emails those who have one.
        assert_eq!(report.index_entries, 4 + 4 + 5 + 2);
    }

    #[test]
    fn an_entry_that_is_missing_is_named() {
        for (index, what) in [
            ("name", "index 'name' has no entry of it for \"Ada\""),
            ("email", "index 'email' has no entry of it for \"ada@example.org\""),
            ("tags", "index 'tags' has no entry of it for \"engine\""),
            ("name+email", "index 'name+email' has no entry of it for \"ada\" + \"ada@example.org\""),
        ] {
            let people = people();
            let id = definition(&people).index(index).unwrap().id;
            let entry = entry_of(&people, index, 1);
            assert_eq!(
                after(&people, id, &entry.key, None),
                [format!("collection 'people', document 1: {what}")],
                "{index}"
            );
        }
    }

    #[test]
    fn an_entry_of_nobody_is_named() {
        let people = people();
        let index = definition(&people).index("name").unwrap().id;
        let forged = |name: &str, id: i64| {
            let mut key = crate::table::KeyBuffer::new();
            crate::document::key::encode(&Value::from(name), &mut key).unwrap();
            crate::document::key::encode(&Value::from(id), &mut key).unwrap();
            key.to_vec()
        };
        let found = after(&people, index, &forged("Zoe", 9), Some(b""));
        assert_eq!(
            found,
            ["collection 'people', index 'name': the entry for \"Zoe\" names document 9, which is not there"]
        );
        let found = after(&people, index, &forged("Zoe", 1), Some(b""));
        let second =
            "collection 'people', index 'name': the entry for \"Zoe\" names document 1, which has no such entry";
        assert_eq!(found.first().map(String::as_str), Some(second));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_unique_entry_of_another_document_is_named_from_both_sides() {
        let people = people();
        let index = definition(&people).index("email").unwrap().id;
        let (entry, third) = (entry_of(&people, "email", 1), entry_of(&people, "email", 3));
        let record = people.database().snapshot().bytes_table(index).get(&*third.key).unwrap().unwrap().to_vec();
        let place = "collection 'people', ";
        assert_eq!(
            after(&people, index, &entry.key, Some(&record)),
            [
                format!(
                    "{place}document 1: the entry of unique index 'email' for \"ada@example.org\" is that of document 3"
                ),
                format!(
                    "{place}index 'email': the entry for \"ada@example.org\" names document 3, which has no such entry"
                ),
            ]
        );
    }

    #[test]
    fn an_index_that_is_not_ready_may_lack_entries_and_have_none_of_nobody() {
        let people = people();
        let mut unready = definition(&people);
        unready.indexes.iter_mut().for_each(|index| Arc::make_mut(index).ready = false);
        people.database().transaction(|tx| tx.set_definition("people", unready.entry(1000).unwrap())).unwrap();
        let index = unready.index("name").unwrap().id;
        let entry = entry_of(&people, "name", 1);
        assert_eq!(after(&people, index, &entry.key, None), Vec::<String>::new());
        let mut of_another = entry_of(&people, "name", 3).key;
        of_another.pop();
        assert_eq!(after(&people, index, &of_another, Some(b"")).len(), 1);
    }

    #[test]
    fn a_note_of_going_that_is_missing_and_documents_that_are_none_are_named() {
        let people = people();
        let Definition { id, expiry_id, .. } = definition(&people);
        let record = super::super::entries::record_key(&Value::from(4)).unwrap();
        let place = "collection 'people', document";
        assert_eq!(
            after(&people, expiry_id, &expiry_key(5000, &record), None),
            [format!("{place} 4: nothing is noted of its going at 5000 ms since 1970")]
        );
        // A note of a document that stays longer by now is none of its business.
        assert_eq!(after(&people, expiry_id, &expiry_key(5000, &record), Some(b"")), Vec::<String>::new());
        assert_eq!(after(&people, expiry_id, &expiry_key(4000, &record), Some(b"")), Vec::<String>::new());

        let mut other = Vec::from([0]);
        other.extend(cbor::encode(&person(5, "Ada", None, &[])).unwrap());
        let found = after(&people, id, &record, Some(&other));
        assert_eq!(found.first(), Some(&format!("{place} 4: the document says that its key is 5")));
        let found = after(&people, id, &record, Some(b"\x07"));
        assert_eq!(found.first(), Some(&format!("{place} 4: a stored document is malformed; run 'lightning check'")));
        assert!(after(&people, id, &record, Some(b"\x00\xa1")).first().unwrap().starts_with(&format!("{place} 4: ")));
    }

    #[test]
    fn a_schema_that_cannot_be_read_is_named() {
        let people = people();
        let mut entry = definition(&people).entry(1000).unwrap();
        entry.options = Vec::from([(String::from("schema"), Vec::from(*b"\xa1"))]);
        people.database().transaction(|tx| tx.set_definition("people", entry)).unwrap();
        let problems = people.database().check().unwrap().problems;
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("collection 'people': "), "{problems:?}");
    }
}
