//! The operations of scripts on tables.

use std::marker::PhantomData;
use std::ops::Bound;

use anyhow::{Context, Result, bail};
use lightning_db::{Database, Error, Key, Lend, Snapshot, Stored, StoredValue, Table, Value, WriteTransaction};
use serde_json::{Value as Json, json};

use super::value::{read, write};
use super::{Outcome, done};

/// A table of types that the script names.
pub trait ScriptTable {
    /// Makes it, unless it is there.
    fn make(&self, database: &Database) -> Result<(), Error>;
    /// An operation that reads.
    fn read(&self, snapshot: &Snapshot, step: &Json) -> Outcome;
    /// An operation in a transaction.
    fn write(&self, tx: &mut WriteTransaction, step: &Json) -> Outcome;
}

/// The table of a name and the names of its types.
pub fn table(name: &str, keys: &str, values: &str) -> Result<Box<dyn ScriptTable>> {
    macro_rules! types {
        ($($keys:literal $values:literal => $key:ty, $value:ty;)*) => {
            match (keys, values) {
                $(($keys, $values) => Ok(Box::new(Typed::<$key, $value> { name: name.into(), types: PhantomData })),)*
                _ => bail!("no script has a table of {keys} to {values}"),
            }
        };
    }
    types! {
        "string" "string" => &'static str, &'static str;
        "string" "bytes" => &'static str, &'static [u8];
        "string" "i64" => &'static str, i64;
        "bytes" "bytes" => &'static [u8], &'static [u8];
        "bool" "string" => bool, &'static str;
        "u64" "string" => u64, &'static str;
        "i64" "u64" => i64, u64;
        "f64" "f64" => f64, f64;
        "(string, u64)" "string" => (&'static str, u64), &'static str;
        "u64?" "bool" => Option<u64>, bool;
    }
}

/// A type as the values of scripts.
trait Shown: Stored {
    fn from_value(value: Value) -> Option<Self::Owned>;
    fn to_value(owned: Self::Owned) -> Value;
}

macro_rules! shown {
    ($($type:ty, $value:ident => $from:expr;)*) => {$(
        impl Shown for $type {
            fn from_value($value: Value) -> Option<Self::Owned> {
                $from
            }
            fn to_value(owned: Self::Owned) -> Value {
                owned.into()
            }
        }
    )*};
}

shown! {
    &'static str, value => value.as_str().map(String::from);
    &'static [u8], value => value.as_bytes().map(Vec::from);
    bool, value => value.as_bool();
    u64, value => value.as_integer()?.try_into().ok();
    i64, value => value.as_i64();
    f64, value => value.as_f64();
}

impl Shown for Option<u64> {
    fn from_value(value: Value) -> Option<Option<u64>> {
        if value.is_null() { Some(None) } else { u64::from_value(value).map(Some) }
    }
    fn to_value(owned: Option<u64>) -> Value {
        owned.into()
    }
}

impl Shown for (&'static str, u64) {
    fn from_value(value: Value) -> Option<(String, u64)> {
        let [text, number] = value.as_array()? else { return None };
        Some((<&str>::from_value(text.clone())?, u64::from_value(number.clone())?))
    }
    fn to_value((text, number): (String, u64)) -> Value {
        Value::Array(vec![text.into(), number.into()])
    }
}

struct Typed<K, V> {
    name: String,
    types: PhantomData<fn() -> (K, V)>,
}

/// What both a snapshot's table and a transaction's do alike.
macro_rules! read_alike {
    ($table:ident, $step:ident, $what:ident) => {
        match $what {
            "get" => {
                let found = $table
                    .get(argument::<K>($step, "key")?)
                    .and_then(|found| found.map(|found| found.into_owned()).transpose());
                found.map(|value| value.map_or(Json::Null, |value| write(&V::to_value(value))))
            }
            "count" => $table.count(bounds::<K>($step)?).map(|count| json!(count)),
            "range" => {
                let rows = $table.range(bounds::<K>($step)?).and_then(|rows| {
                    let limit = $step.get("limit").and_then(Json::as_u64).map_or(usize::MAX, |limit| limit as usize);
                    if $step.get("reverse") == Some(&Json::Bool(true)) {
                        rows.rev().take(limit).collect::<Result<Vec<_>, _>>()
                    } else {
                        rows.take(limit).collect()
                    }
                });
                rows.map(|rows| {
                    let pair = |(key, value)| json!([write(&K::to_value(key)), write(&V::to_value(value))]);
                    Json::Array(rows.into_iter().map(pair).collect())
                })
            }
            other => bail!("there is no operation '{other}' of tables"),
        }
    };
}

impl<K, V> Typed<K, V>
where
    K: Key + Shown,
    V: StoredValue + Shown,
    K::Owned: Lend<K>,
    V::Owned: Lend<V>,
{
    fn definition(&self) -> Table<'_, K, V> {
        Table::new(&self.name)
    }

    fn increment(&self, tx: &mut WriteTransaction, step: &Json) -> Outcome {
        let mut table = match tx.table(Table::<K, i64>::new(&self.name)) {
            Ok(table) => table,
            Err(error) => return Ok(Err(error)),
        };
        let by = step["by"].as_i64().context("by is an integer")?;
        Ok(table.increment(argument::<K>(step, "key")?, by).map(|sum| write(&sum.into())))
    }
}

impl<K, V> ScriptTable for Typed<K, V>
where
    K: Key + Shown,
    V: StoredValue + Shown,
    K::Owned: Lend<K>,
    V::Owned: Lend<V>,
{
    fn make(&self, database: &Database) -> Result<(), Error> {
        database.table(self.definition()).map(drop)
    }

    fn read(&self, snapshot: &Snapshot, step: &Json) -> Outcome {
        let table = match snapshot.table(self.definition()) {
            Ok(table) => table,
            Err(error) => return Ok(Err(error)),
        };
        let what = super::script::text(step, "do")?;
        Ok(read_alike!(table, step, what))
    }

    fn write(&self, tx: &mut WriteTransaction, step: &Json) -> Outcome {
        let what = super::script::text(step, "do")?;
        if what == "increment" {
            return self.increment(tx, step);
        }
        let mut table = match tx.table(self.definition()) {
            Ok(table) => table,
            Err(error) => return Ok(Err(error)),
        };
        let key = || argument::<K>(step, "key");
        let value = || argument::<V>(step, "value");
        Ok(match what {
            "put" => done(table.put(key()?, value()?)),
            "insert" => done(table.insert(key()?, value()?)),
            "replace" => done(table.replace(key()?, value()?)),
            "delete" => table.delete(key()?).map(Json::Bool),
            "deleteRange" => done(table.delete_range(bounds::<K>(step)?)),
            "swap" => {
                let expected = match &step["expected"] {
                    Json::Null => None,
                    _ => Some(argument::<V>(step, "expected")?),
                };
                let lent = expected.as_ref().map(Lend::lend);
                let bytes = lent.as_ref().map(V::encode);
                let bytes = bytes.as_ref().map(AsRef::as_ref);
                table.compare_and_swap(key()?, bytes, value()?).map(Json::Bool)
            }
            _ => read_alike!(table, step, what),
        })
    }
}

/// A member of an operation as a type's value.
fn argument<T: Shown>(step: &Json, name: &str) -> Result<T::Owned> {
    let value = read(step.get(name).with_context(|| format!("it has no '{name}'"))?)?;
    T::from_value(value).with_context(|| format!("'{name}' is no {}", T::type_name()))
}

/// From where to where.
type Bounds<K> = (Bound<<K as Stored>::Owned>, Bound<<K as Stored>::Owned>);

/// `from` or `above`, and `to` or `below`.
fn bounds<K: Key + Shown>(step: &Json) -> Result<Bounds<K>> {
    let bound = |included, excluded| -> Result<Bound<K::Owned>> {
        Ok(if step.get(included).is_some() {
            Bound::Included(argument::<K>(step, included)?)
        } else if step.get(excluded).is_some() {
            Bound::Excluded(argument::<K>(step, excluded)?)
        } else {
            Bound::Unbounded
        })
    };
    Ok((bound("from", "above")?, bound("to", "below")?))
}
