//! A collection at one moment, to read from.

use std::ops::ControlFlow;

use lightning_db::{CollectionInfo, Error, Explanation, Path, Query, ReadCollection, Snapshot, Value};

use crate::database::{DatabaseArgs, as_slices};
use crate::failure::{Failure, Outcome};
use crate::range::Bounds;

/// A consistent view of one collection.
pub struct CollectionView {
    snapshot: Snapshot,
    read: ReadCollection<Value>,
    database: String,
    subject: String,
    pub info: CollectionInfo,
    pub key: Path,
}

impl CollectionView {
    /// The collection of this name; `None` where there is none.
    pub fn find(snapshot: &Snapshot, args: &DatabaseArgs, name: &str) -> Outcome<Option<Self>> {
        let subject = args.collection_name(name);
        let failed = |error| Failure::engine(&*subject)(error);
        let Some(info) = snapshot.collection_info(name).map_err(failed)? else { return Ok(None) };
        let read = snapshot.existing_collection(name).map_err(failed)?;
        let key = Path::parse(&info.key).map_err(failed)?;
        Ok(Some(Self { snapshot: snapshot.clone(), read, database: args.name(), subject, info, key }))
    }

    /// The collection of this name. A plain table is told apart from a name that is not there.
    pub fn open(snapshot: &Snapshot, args: &DatabaseArgs, name: &str) -> Outcome<Self> {
        match Self::find(snapshot, args, name)? {
            Some(view) => Ok(view),
            None => Err(no_collection(snapshot, args, name)?),
        }
    }

    pub fn get(&self, key: &Value) -> Outcome<Option<Vec<u8>>> {
        self.read.get_cbor(key.clone()).map_err(|error| self.failed(error))
    }

    pub fn count(&self, query: Query) -> Outcome<u64> {
        self.read.count(query).map_err(|error| self.failed(error))
    }

    pub fn explain(&self, query: Query) -> Outcome<Explanation> {
        self.read.explain(query).map_err(|error| self.failed(error))
    }

    /// Calls `each` with every document that a query finds, as CBOR, until it says [`Break`](ControlFlow::Break).
    pub fn query(&self, query: Query, mut each: impl FnMut(&[u8]) -> Outcome<ControlFlow<()>>) -> Outcome {
        let mut rows = self.read.query(query).map_err(|error| self.failed(error))?;
        while let Some(document) = rows.next_cbor().map_err(|error| self.failed(error))? {
            if each(&document)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Calls `each` with every key in the range and its document, until it says [`Break`](ControlFlow::Break).
    pub fn scan(
        &self,
        bounds: &Bounds,
        reverse: bool,
        mut each: impl FnMut(&Value, &[u8]) -> Outcome<ControlFlow<()>>,
    ) -> Outcome {
        let failed = |error| self.failed(error);
        let table = self.snapshot.untyped_table(&self.info.name).map_err(failed)?;
        let mut cursor = table.cursor(as_slices(bounds)).map_err(failed)?;
        let mut row = if reverse { cursor.last() } else { cursor.first() };
        while let Some((key, _)) = row.map_err(failed)? {
            let key = Value::decode_key(key).map_err(failed)?;
            // A document that has expired is there no more, though its record may be.
            if let Some(document) = self.get(&key)?
                && each(&key, &document)?.is_break()
            {
                break;
            }
            row = if reverse { cursor.prev() } else { cursor.next() };
        }
        Ok(())
    }

    /// An error that happened in this collection.
    pub fn failed(&self, error: lightning_db::Error) -> Failure {
        let names_it_itself = matches!(
            error,
            Error::DuplicateKey { .. }
                | Error::InvalidDocument { .. }
                | Error::SchemaMismatch { .. }
                | Error::SchemaTooNew { .. }
        );
        Failure::engine(if names_it_itself { &*self.database } else { &*self.subject })(error)
    }
}

/// Why there is no collection of this name.
fn no_collection(snapshot: &Snapshot, args: &DatabaseArgs, name: &str) -> Outcome<Failure> {
    let failed = |error| Failure::engine(args.name())(error);
    let is_table = snapshot.tables().map_err(failed)?.iter().any(|table| table.name == name);
    if is_table {
        return Ok(Failure::usage(format!(
            "'{name}' of {} is a plain table, not a collection of documents; use 'scan', 'get' and 'count', or import it \
             into a collection with 'import --key'",
            args.name()
        )));
    }
    let names: Vec<_> = snapshot.collections().map_err(failed)?.iter().map(|info| format!("'{}'", info.name)).collect();
    let there_are = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    Ok(Failure::usage(format!("{} has no collection '{name}'; {there_are}", args.name())))
}
