//! Operations on tables: keys of any type to values of any type, which JavaScript sees as its own.

use std::ops::Bound;
use std::rc::Rc;

use lightning_db::{Cursor, Document, Error, Found, Result, TableInfo, Value, WriteTransaction};

use super::held::{Held, Scan};
use super::kinds::Kind;
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

impl Session {
    /// `[handle, name, key type, value type]`: opens it under the handle that the client chose. The table is made if there is none.
    #[inline(never)]
    pub(super) fn open_table(&mut self, number: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let (name, key_type, value_type) = (args.text()?, args.text()?, args.text()?);
        let table = OpenTable {
            name: name.to_owned(),
            key: Kind::of_keys(key_type)?,
            key_type: key_type.to_owned(),
            value: Kind::of_values(value_type)?,
            value_type: value_type.to_owned(),
        };
        match self.database.snapshot().untyped_table(name) {
            Ok(_) if self.has_types(&table)? => {}
            // It is made, or the types that it has are told.
            Ok(_) | Err(Error::NoSuchTable { .. }) => self.database.transaction(|tx| table.open(tx).map(drop))?,
            Err(error) => return Err(error),
        }
        self.held.open(number, Held::Table(Rc::new(table)))?;
        done(answer)
    }

    fn has_types(&self, table: &OpenTable) -> Result<bool> {
        let all = self.database.tables()?;
        let is_it = |found: &TableInfo| found.name == table.name;
        Ok(all
            .iter()
            .find(|found| is_it(found))
            .is_some_and(|found| found.key_type == table.key_type && found.value_type == table.value_type))
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
                    Some(snapshot) => snapshot.untyped_table(&table.name)?.count(borrowed(&range))?,
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
                        let opened = snapshot.untyped_table(&table.name)?;
                        for key in &keys {
                            let key = table.key.encode_key(key)?;
                            table.put_found(answer, opened.get(key.as_slice())?)?;
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
    #[inline(never)]
    pub(super) fn scan_table(&mut self, client: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let (scope, number) = (args.handle()?, args.handle()?);
        let table = Rc::clone(self.held.table(number)?);
        let range = range(&table, args)?;
        let (backwards, limit, bytes) = (args.bool()?, args.number()?, args.number()?);
        let cursor = match self.snapshot(scope)? {
            Some(snapshot) => snapshot.untyped_table(&table.name)?.cursor(borrowed(&range))?,
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

/// Writes inside a transaction, after scope and table: `[mode, key, value]`, `[key]`, `[key, expected or undefined, value]`,
/// `[key, by]` or `[range]`.
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
        Operation::TableSwap => {
            let key = table.key.encode_key(&args.value()?)?;
            let expected = args.bound()?;
            let new = table.value.encode_value(args.item()?)?;
            let mut opened = table.open(tx)?;
            let is_expected = match (opened.get(key.as_slice())?, expected) {
                (None, None) => true,
                (Some(found), Some(expected)) => table.value.is_stored(expected, found.bytes())?,
                _ => false,
            };
            if is_expected {
                opened.put(key.as_slice(), new)?;
            }
            put(answer.bool(is_expected))
        }
        Operation::TableIncrement => {
            if table.value_type != "i64" {
                return Err(invalid("only numbers of a table whose values are of type i64 are counted up"));
            }
            let key = table.key.encode_key(&args.value()?)?;
            let by = args.signed()?;
            let mut opened = table.open(tx)?;
            let old = match opened.get(key.as_slice())? {
                Some(found) => found.bytes().try_into().map(i64::from_le_bytes).unwrap_or_default(),
                None => 0,
            };
            let sum = old.checked_add(by).ok_or_else(|| invalid("the sum does not fit 64 bits"))?;
            opened.put(key.as_slice(), sum.to_le_bytes())?;
            put(answer.i64(sum))
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
