//! Tables: ordered keys to values, of types that the file records by name.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use lightning_db::{Database, Document, Found, NamedType, Result, Stop, Value, WriteTable, WriteTransaction};

use crate::failure::Failure;
use crate::objects::{self, Object, invalid};
use crate::rows::{Entries, Rows};
use crate::scope::{self, Reading};

type BytesRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// How a key or value crosses: bytes and text as they are, everything else as CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crossing {
    AsItIs,
    Cbor(NamedType),
}

impl Crossing {
    fn of_keys(name: &str) -> Result<Self> {
        Ok(if is_plain(name) { Self::AsItIs } else { Self::Cbor(NamedType::of_keys(name)?) })
    }

    fn of_values(name: &str) -> Result<Self> {
        Ok(if is_plain(name) { Self::AsItIs } else { Self::Cbor(NamedType::of_values(name)?) })
    }

    /// A key that came in, as it is stored.
    pub fn key_in<'b>(&self, key: &'b [u8]) -> Result<Cow<'b, [u8]>> {
        match self {
            Self::AsItIs => Ok(Cow::Borrowed(key)),
            Self::Cbor(named) => Ok(Cow::Owned(<[u8]>::to_vec(&named.encode_key(&Value::from_cbor(key)?)?))),
        }
    }

    /// A stored key, as it crosses.
    pub fn key_out<'b>(&self, key: &'b [u8]) -> Result<Cow<'b, [u8]>> {
        match self {
            Self::AsItIs => Ok(Cow::Borrowed(key)),
            Self::Cbor(named) => named.decode_key(key)?.to_cbor().map(Cow::Owned),
        }
    }

    fn value_in<'b>(&self, value: &'b [u8]) -> Result<Cow<'b, [u8]>> {
        match self {
            Self::AsItIs => Ok(Cow::Borrowed(value)),
            Self::Cbor(named) => named.encode_value(&Value::from_cbor(value)?).map(Cow::Owned),
        }
    }

    /// A stored value, as it crosses.
    pub fn value_out<'b>(&self, value: &'b [u8]) -> Result<Cow<'b, [u8]>> {
        match self {
            Self::AsItIs => Ok(Cow::Borrowed(value)),
            Self::Cbor(named) => named.decode_value(value)?.to_cbor().map(Cow::Owned),
        }
    }
}

impl Crossing {
    /// Whether a value that came in is the one that is stored: one value may have several forms, as the fields of a map have orders.
    fn is_stored(&self, value: &[u8], stored: &[u8]) -> Result<bool> {
        match self {
            Self::AsItIs => Ok(value == stored),
            Self::Cbor(named) => Ok(Value::from_cbor(value)? == named.decode_value(stored)?),
        }
    }
}

/// Whether the bytes that cross are the bytes that are stored. The engine looks whether text is UTF-8 when it is read as such.
fn is_plain(name: &str) -> bool {
    matches!(name, "bytes" | "string")
}

/// A table as it was opened.
pub struct OpenTable {
    pub database: Database,
    pub name: String,
    key: Crossing,
    key_type: String,
    value: Crossing,
    value_type: String,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum WriteMode {
    /// Whatever is there.
    Put,
    /// Only where nothing is there.
    Insert,
    /// Only where something is there.
    Replace,
}

/// What of a table is meant: keys as they cross; without one the end of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct KeyRange {
    /// Where it begins.
    pub lower: Option<Vec<u8>>,
    /// Whether that key is in it.
    pub includes_lower: bool,
    /// Where it ends.
    pub upper: Option<Vec<u8>>,
    /// Whether that key is in it.
    pub includes_upper: bool,
}

impl OpenTable {
    /// Opens a table, and makes it if there is none.
    pub fn open(database: &Database, name: &str, key_type: &str, value_type: &str) -> Result<Self> {
        let table = Self {
            database: database.clone(),
            name: name.to_owned(),
            key: Crossing::of_keys(key_type)?,
            key_type: key_type.to_owned(),
            value: Crossing::of_values(value_type)?,
            value_type: value_type.to_owned(),
        };
        let is_there = database
            .tables()?
            .iter()
            .any(|found| found.name == name && found.key_type == key_type && found.value_type == value_type);
        if !is_there {
            // It is made, or the types that it has are told.
            database.transaction(|tx| table.writing(tx).map(drop))?;
        }
        Ok(table)
    }

    pub fn writing<'t>(&self, tx: &'t mut WriteTransaction) -> Result<WriteTable<'t, &'static [u8], &'static [u8]>> {
        tx.untyped_table(&self.name, &self.key_type, &self.value_type)
    }

    /// Gives `found` the value of each key, one after the other.
    pub fn get<'k>(
        &self,
        scope: u64,
        keys: impl Iterator<Item = Result<&'k [u8]>>,
        mut found: impl FnMut(Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        let mut give = |value: Option<Found<'_, &'static [u8]>>| match value {
            Some(value) => found(Some(&self.value.value_out(value.bytes())?)),
            None => found(None),
        };
        let (reading, _entered) = scope::reading(scope, &self.database)?;
        match reading {
            Reading::Rest(snapshot) => {
                let table = snapshot.untyped_table(&self.name)?;
                for key in keys {
                    Stop::check()?;
                    give(table.get(&*self.key.key_in(key?)?)?)?;
                }
                Ok(())
            }
            Reading::Transaction(transaction) => scope::within(&transaction, |tx| {
                let mut table = self.writing(tx)?;
                for key in keys {
                    Stop::check()?;
                    give(table.get(&*self.key.key_in(key?)?)?)?;
                }
                Ok(())
            }),
        }
    }

    pub fn put(&self, tx: &mut WriteTransaction, mode: WriteMode, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, value) = (self.key.key_in(key)?, self.value.value_in(value)?);
        let mut table = self.writing(tx)?;
        match mode {
            WriteMode::Put => table.put(&*key, &*value),
            WriteMode::Insert => table.insert(&*key, &*value),
            WriteMode::Replace => table.replace(&*key, &*value),
        }
    }

    pub fn delete(&self, tx: &mut WriteTransaction, key: &[u8]) -> Result<bool> {
        let key = self.key.key_in(key)?;
        self.writing(tx)?.delete(&*key)
    }

    fn range(&self, range: &KeyRange) -> Result<BytesRange> {
        let bound = |key: &Option<Vec<u8>>, is_included: bool| -> Result<_> {
            Ok(match key {
                None => Bound::Unbounded,
                Some(key) if is_included => Bound::Included(self.key.key_in(key)?.into_owned()),
                Some(key) => Bound::Excluded(self.key.key_in(key)?.into_owned()),
            })
        };
        Ok((bound(&range.lower, range.includes_lower)?, bound(&range.upper, range.includes_upper)?))
    }

    /// The entries of a range, at most `limit`.
    pub fn scan(&self, scope: u64, range: &KeyRange, backwards: bool, limit: u64) -> Result<Rows> {
        let range = self.range(range)?;
        let (reading, _entered) = scope::reading(scope, &self.database)?;
        let cursor = match reading {
            Reading::Rest(snapshot) => snapshot.untyped_table(&self.name)?.cursor(borrowed(&range))?,
            Reading::Transaction(transaction) => {
                scope::within(&transaction, |tx| self.writing(tx)?.cursor(borrowed(&range)))?
            }
        };
        let (key, value) = (self.key.clone(), self.value.clone());
        Ok(Rows::Entries(Box::new(Entries { cursor, key, value, backwards, begun: false, left: limit })))
    }

    fn count(&self, scope: u64, range: &KeyRange) -> Result<u64> {
        let range = self.range(range)?;
        let (reading, _entered) = scope::reading(scope, &self.database)?;
        match reading {
            Reading::Rest(snapshot) => snapshot.untyped_table(&self.name)?.count(borrowed(&range)),
            Reading::Transaction(transaction) => {
                scope::within(&transaction, |tx| self.writing(tx)?.count(borrowed(&range)))
            }
        }
    }
}

fn borrowed(range: &BytesRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice))
}

/// A table. Reading, writing and scanning it are among the calls that are made most (`calls.rs`); here is the rest.
#[derive(uniffi::Object)]
pub struct Table {
    handle: u64,
}

impl Table {
    pub(crate) fn open(database: u64, name: &str, keys: &str, values: &str) -> Result<Arc<Self>, Failure> {
        let table = OpenTable::open(&objects::database(database)?, name, keys, values)?;
        Ok(Arc::new(Self { handle: objects::insert_beside(database, Object::Table(Arc::new(table)))? }))
    }
}

#[uniffi::export]
impl Table {
    /// One more of a table that is open, by the number of another.
    #[uniffi::constructor]
    pub fn of(number: u64) -> Result<Arc<Self>, Failure> {
        let table = objects::table(number)?;
        Ok(Arc::new(Self { handle: objects::insert_beside(number, Object::Table(table))? }))
    }

    /// The number by which the other calls know it.
    pub fn number(&self) -> u64 {
        self.handle
    }

    /// How many entries a range has.
    pub fn count(&self, scope: u64, range: KeyRange) -> Result<u64, Failure> {
        Ok(objects::table(self.handle)?.count(scope, &range)?)
    }

    /// Deletes a range.
    pub fn delete_range(&self, scope: u64, range: KeyRange) -> Result<(), Failure> {
        let table = objects::table(self.handle)?;
        let range = table.range(&range)?;
        Ok(scope::write(scope, &table.database, |tx| table.writing(tx)?.delete_range(borrowed(&range)))?)
    }

    /// Writes `value` if what is there is `expected`, or nothing where that is null; tells whether it was.
    pub fn compare_and_swap(
        &self,
        scope: u64,
        key: Vec<u8>,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, Failure> {
        let table = objects::table(self.handle)?;
        let key = table.key.key_in(&key)?;
        let value = table.value.value_in(&value)?;
        Ok(scope::write(scope, &table.database, |tx| {
            let mut writing = table.writing(tx)?;
            let found = writing.get(&*key)?.map(|found| found.bytes().to_vec());
            let is_expected = match (&found, &expected) {
                (Some(found), Some(expected)) => table.value.is_stored(expected, found)?,
                (found, expected) => found.is_none() && expected.is_none(),
            };
            if is_expected {
                writing.put(&*key, &*value)?;
            }
            Ok(is_expected)
        })?)
    }

    /// Adds to a number of a table whose values are of type `i64`; gives the sum.
    pub fn increment(&self, scope: u64, key: Vec<u8>, by: i64) -> Result<i64, Failure> {
        let table = objects::table(self.handle)?;
        if table.value_type != "i64" {
            return Err(invalid("only numbers of a table whose values are of type i64 are counted up").into());
        }
        let key = table.key.key_in(&key)?;
        Ok(scope::write(scope, &table.database, |tx| {
            let mut writing = table.writing(tx)?;
            let old = match writing.get(&*key)? {
                Some(found) => found.bytes().try_into().map(i64::from_le_bytes).unwrap_or_default(),
                None => 0,
            };
            let sum = old.checked_add(by).ok_or_else(|| invalid("the sum does not fit 64 bits"))?;
            writing.put(&*key, &sum.to_le_bytes()[..])?;
            Ok(sum)
        })?)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        objects::remove(self.handle);
    }
}
