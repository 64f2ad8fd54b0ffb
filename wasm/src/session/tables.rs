//! Operations on tables: keys of any type to values of any type, which JavaScript sees as its own.

use std::ops::Bound;
use std::rc::Rc;

use lightning_db::{Cursor, Document, Error, Found, Key, KeyBuffer, Result, Value, WriteTransaction};

use super::held::{Held, Scan};
use super::{NOW, Operation, Session, done, put_item};
use crate::wire::{Answer, Arguments, invalid, put};

type BytesRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);
type BytesCursor = Cursor<&'static [u8], &'static [u8]>;

/// A table as one client has opened it.
#[derive(PartialEq, Eq)]
pub struct OpenTable {
    name: String,
    key: Kind,
    key_type: String,
    value: Kind,
    value_type: String,
}

/// How keys and values are written: of any kind, or of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A key of every kind; as a value its CBOR.
    Any,
    Text,
    Bytes,
    Unsigned,
    Signed,
    Float,
}

impl Kind {
    fn of(type_name: &str, any: &str) -> Result<Self> {
        Ok(match type_name {
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "u64" => Self::Unsigned,
            "i64" => Self::Signed,
            "f64" => Self::Float,
            other if other == any => Self::Any,
            other => {
                let what = format!("a table of {other}, which JavaScript does not read");
                return Err(Error::Unsupported { what, remedy: "open it in the language that made it" });
            }
        })
    }

    fn encode_key(self, value: &Value) -> Result<KeyBuffer> {
        let mut key = KeyBuffer::new();
        match (self, value) {
            (Self::Any, value) => <Value as Key>::encode(value, &mut key)?,
            (Self::Text, Value::Text(text)) => <&str as Key>::encode(&text.as_str(), &mut key)?,
            (Self::Bytes, Value::Bytes(bytes)) => <&[u8] as Key>::encode(&bytes.as_slice(), &mut key)?,
            (Self::Unsigned, Value::Integer(number)) => {
                <u64 as Key>::encode(&u64::try_from(*number).map_err(|_| wrong(value))?, &mut key)?;
            }
            (Self::Signed, Value::Integer(number)) => {
                <i64 as Key>::encode(&i64::try_from(*number).map_err(|_| wrong(value))?, &mut key)?;
            }
            (Self::Float, Value::Integer(_) | Value::Float(_)) => {
                <f64 as Key>::encode(&value.as_f64().unwrap_or_default(), &mut key)?;
            }
            _ => return Err(wrong(value)),
        }
        Ok(key)
    }

    fn put_key(self, answer: &mut Answer<'_>, key: &[u8]) -> Result<()> {
        match self {
            Self::Any => {
                put_item(answer, &<Value as Key>::decode(key)?.to_cbor()?);
                Ok(())
            }
            Self::Text => put(answer.str(<&str as Key>::decode(key)?)),
            Self::Bytes => put(answer.bytes(key)),
            Self::Unsigned => put(answer.u64(<u64 as Key>::decode(key)?)),
            Self::Signed => put(answer.i64(<i64 as Key>::decode(key)?)),
            Self::Float => put(answer.f64(<f64 as Key>::decode(key)?)),
        }
    }

    /// The bytes to store for a value that crossed as one item.
    fn encode_value(self, item: &[u8]) -> Result<Vec<u8>> {
        if self == Self::Any {
            return Ok(item.to_vec());
        }
        let value = Value::from_cbor(item)?;
        Ok(match (self, &value) {
            (Self::Text, Value::Text(text)) => text.as_bytes().to_vec(),
            (Self::Bytes, Value::Bytes(bytes)) => bytes.clone(),
            (Self::Unsigned, Value::Integer(number)) => {
                u64::try_from(*number).map_err(|_| wrong(&value))?.to_le_bytes().to_vec()
            }
            (Self::Signed, Value::Integer(number)) => {
                i64::try_from(*number).map_err(|_| wrong(&value))?.to_le_bytes().to_vec()
            }
            (Self::Float, Value::Integer(_) | Value::Float(_)) => {
                value.as_f64().unwrap_or_default().to_le_bytes().to_vec()
            }
            _ => return Err(wrong(&value)),
        })
    }

    fn put_value(self, answer: &mut Answer<'_>, stored: &[u8]) -> Result<()> {
        let number = || <[u8; 8]>::try_from(stored).map_err(|_| invalid("these are not the 8 bytes of a number"));
        match self {
            Self::Any => {
                put_item(answer, stored);
                Ok(())
            }
            Self::Text => {
                let text = str::from_utf8(stored).map_err(|_| invalid("a value of type string is no UTF-8"))?;
                put(answer.str(text))
            }
            Self::Bytes => put(answer.bytes(stored)),
            Self::Unsigned => put(answer.u64(u64::from_le_bytes(number()?))),
            Self::Signed => put(answer.i64(i64::from_le_bytes(number()?))),
            Self::Float => put(answer.f64(f64::from_le_bytes(number()?))),
        }
    }
}

#[cold]
fn wrong(value: &Value) -> Error {
    Error::Invalid { what: format!("a {} is not of the table's type", value.kind()) }
}

impl Session {
    /// `[handle, name, key type, value type]`: opens it under the handle that the client chose. A table that is not there is made by the first write.
    pub(super) fn open_table(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let number = args.handle()?;
        let (name, key_type, value_type) = (args.text()?, args.text()?, args.text()?);
        let found = self.database.tables()?.into_iter().find(|table| table.name == name);
        if let Some(found) = found
            && (found.key_type != key_type || found.value_type != value_type)
        {
            return Err(Error::TableTypeMismatch {
                table: name.to_owned(),
                recorded: format!("{} to {}", found.key_type, found.value_type),
                requested: format!("{key_type} to {value_type}"),
            });
        }
        let table = OpenTable {
            name: name.to_owned(),
            key: Kind::of(key_type, "key")?,
            key_type: key_type.to_owned(),
            value: Kind::of(value_type, "value")?,
            value_type: value_type.to_owned(),
        };
        self.held.open(number, Held::Table(Rc::new(table)))?;
        done(answer)
    }

    /// `[scope, table, …]`: a key, a list of keys, or a range.
    pub(super) fn read_table(
        &mut self,
        operation: Operation,
        args: &mut Arguments<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let (scope, number) = (args.handle()?, args.handle()?);
        let table = Rc::clone(self.held.table(number)?);
        match operation {
            Operation::TableCount => {
                let range = range(&table, args)?;
                let count = match self.snapshot(scope)? {
                    Some(snapshot) => match snapshot.untyped_table(&table.name) {
                        Err(Error::NoSuchTable { .. }) => 0,
                        opened => opened?.count(borrowed(&range))?,
                    },
                    None => {
                        let tx = self.held.transaction(scope)?;
                        table.open(tx)?.count(borrowed(&range))?
                    }
                };
                put(answer.u64(count))
            }
            _ => {
                let many = operation == Operation::TableGetMany;
                let keys = if many { args.values()? } else { vec![args.value()?] };
                if many {
                    put(answer.array(keys.len() as u64))?;
                }
                match self.snapshot(scope)? {
                    Some(snapshot) => {
                        let opened = match snapshot.untyped_table(&table.name) {
                            Err(Error::NoSuchTable { .. }) => None,
                            opened => Some(opened?),
                        };
                        for key in &keys {
                            let key = table.key.encode_key(key)?;
                            let found = match &opened {
                                Some(opened) => opened.get(key.as_slice())?,
                                None => None,
                            };
                            table.put_found(answer, found)?;
                        }
                    }
                    None => {
                        let mut opened = table.open(self.held.transaction(scope)?)?;
                        for key in &keys {
                            let key = table.key.encode_key(key)?;
                            table.put_found(answer, opened.get(key.as_slice())?)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// `[scope, table, range, backwards, limit, bytes]`: entries until they have so many bytes. Gives `[cursor or 0, [key, value…]]`,
    /// each value as a byte string that holds it.
    pub(super) fn scan_table(&mut self, client: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let (scope, number) = (args.handle()?, args.handle()?);
        let table = Rc::clone(self.held.table(number)?);
        let range = range(&table, args)?;
        let (backwards, limit, bytes) = (args.bool()?, args.number()?, args.number()?);
        let cursor = match self.snapshot(scope)? {
            Some(snapshot) => match snapshot.untyped_table(&table.name) {
                Err(Error::NoSuchTable { .. }) => return put(answer.array(2).u32(0).array(0)),
                opened => opened?.cursor(borrowed(&range))?,
            },
            None => table.open(self.held.transaction(scope)?)?.cursor(borrowed(&range))?,
        };
        let mut scan = Box::new(Scan { table, cursor, backwards, begun: false, left: limit });
        let (entries, is_over) = scan.gather(bytes)?;
        let cursor = if is_over { 0 } else { self.held.keep(client, Held::Scan(scan))? };
        put_entries(answer, cursor, &entries)
    }

    /// What a scope reads; `None` for a transaction.
    fn snapshot(&mut self, scope: u32) -> Result<Option<lightning_db::Snapshot>> {
        if scope == NOW {
            return Ok(Some(self.database.snapshot()));
        }
        match self.held.get(scope) {
            Some(Held::Snapshot(snapshot)) => Ok(Some(snapshot.clone())),
            Some(Held::Transaction(_)) => Ok(None),
            _ => Err(super::closed("snapshot or transaction")),
        }
    }
}

impl OpenTable {
    fn open<'t>(
        &self,
        tx: &'t mut WriteTransaction,
    ) -> Result<lightning_db::WriteTable<'t, &'static [u8], &'static [u8]>> {
        tx.untyped_table(&self.name, &self.key_type, &self.value_type)
    }

    /// The value, or undefined.
    fn put_found(&self, answer: &mut Answer<'_>, found: Option<Found<'_, &'static [u8]>>) -> Result<()> {
        match found {
            Some(found) => self.value.put_value(answer, found.bytes()),
            None => put(answer.undefined()),
        }
    }
}

/// Entries as they cross, and how many they are.
pub struct Entries {
    bytes: Vec<u8>,
    count: u64,
}

impl Scan {
    /// Entries until they have so many bytes; whether they were the last.
    pub fn gather(&mut self, bytes_max: u64) -> Result<(Entries, bool)> {
        let mut entries = Entries { bytes: Vec::new(), count: 0 };
        let table = Rc::clone(&self.table);
        while (entries.bytes.len() as u64) < bytes_max {
            if self.left == 0 {
                return Ok((entries, true));
            }
            let entry = match step(&mut self.cursor, self.begun, self.backwards) {
                Ok(entry) => entry,
                Err(error) if error.not_resident().is_some() && entries.count > 0 => break,
                Err(error) => return Err(error),
            };
            let Some((key, value)) = entry else { return Ok((entries, true)) };
            let mut answer = Answer::new(&mut entries.bytes);
            table.key.put_key(&mut answer, key)?;
            if table.value == Kind::Any {
                put(answer.bytes(value))?;
            } else {
                // As a byte string that holds the item, as the others.
                let mut item = Vec::with_capacity(value.len() + 9);
                table.value.put_value(&mut Answer::new(&mut item), value)?;
                put(answer.bytes(&item))?;
            }
            entries.count += 1;
            self.begun = true;
            self.left -= 1;
        }
        Ok((entries, false))
    }
}

fn step(cursor: &mut BytesCursor, begun: bool, backwards: bool) -> Result<Option<(&[u8], &[u8])>> {
    match (begun, backwards) {
        (false, false) => cursor.first(),
        (false, true) => cursor.last(),
        (true, false) => cursor.next(),
        (true, true) => cursor.prev(),
    }
}

pub(super) fn put_entries(answer: &mut Answer<'_>, cursor: u32, entries: &Entries) -> Result<()> {
    put(answer.array(2).u32(cursor).array(entries.count * 2))?;
    put_item(answer, &entries.bytes);
    Ok(())
}

/// Writes inside a transaction: `[mode, key, value]`, `[key]` or `[range]` after scope and table.
pub(super) fn write(
    table: &OpenTable,
    tx: &mut WriteTransaction,
    operation: Operation,
    args: &mut Arguments<'_>,
    answer: &mut Answer<'_>,
) -> Result<()> {
    match operation {
        Operation::TablePut => {
            let mode = args.number()?;
            let key = table.key.encode_key(&args.value()?)?;
            let value = table.value.encode_value(args.item()?)?;
            let mut opened = table.open(tx)?;
            match mode {
                0 => opened.put(key.as_slice(), value)?,
                1 => opened.insert(key.as_slice(), value)?,
                _ => opened.replace(key.as_slice(), value)?,
            }
            done(answer)
        }
        Operation::TableDelete => {
            let key = table.key.encode_key(&args.value()?)?;
            put(answer.bool(table.open(tx)?.delete(key.as_slice())?))
        }
        _ => {
            let range = range(table, args)?;
            table.open(tx)?.delete_range(borrowed(&range))?;
            done(answer)
        }
    }
}

/// `[from or undefined, is it included, to or undefined, is it included]`
fn range(table: &OpenTable, args: &mut Arguments<'_>) -> Result<BytesRange> {
    let mut bound = || -> Result<_> {
        let key = match args.bound()? {
            None => None,
            Some(item) => Some(table.key.encode_key(&Value::from_cbor(item)?)?.to_vec()),
        };
        Ok(match (key, args.bool()?) {
            (None, _) => Bound::Unbounded,
            (Some(key), true) => Bound::Included(key),
            (Some(key), false) => Bound::Excluded(key),
        })
    };
    Ok((bound()?, bound()?))
}

fn borrowed(range: &BytesRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice))
}
