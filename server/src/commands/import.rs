//! `lightning import`

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clap::Args;
use lightning_db::{Database, KeyBuffer};
use serde_json::json;

use super::put::{parse_type, parse_value_type};
use crate::database::{Access, DatabaseArgs, DurabilityArg, TableTypes};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{self, Progress, Rate, Unit, grouped};
use crate::records::{FieldPath, Format, Record, RecordValue, Records};
use crate::types::{Datum, Type, encode_key, encode_value};

/// What the engine keeps in memory for a row beside its bytes, at most.
const ROW_OVERHEAD_BYTES: usize = 128;
/// Batches that may wait for the one being committed.
const BATCHES_AHEAD: usize = 2;

/// Import JSON Lines or CSV into a table; makes the database and the table if there are none
///
/// With --key, each record is stored whole, as JSON text, under the value of that field. Without, each record is an
/// object with the fields key and value (as 'export' writes it), or a CSV line with these columns. A row whose key is
/// there already is overwritten.
///
/// Rows are committed in batches, each wholly or not at all. When standard error is no terminal, --progress prints
/// 'acknowledged N' after each batch: the first N records are then stored as --durability promises. If a record is
/// refused, those before it are stored and the message names its line; put it right and import again.
#[derive(Args, Debug)]
pub struct Import {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table
    table: String,
    /// The file; - reads standard input
    file: String,
    /// The field that is the key: id, or address.city
    #[arg(long, value_name = "PATH", value_parser = FieldPath::parse)]
    key: Option<FieldPath>,
    /// The key type of a new table [default: that of the first record: string, or i64 for whole numbers]
    #[arg(long, value_name = "TYPE", value_parser = parse_type)]
    key_type: Option<Type>,
    /// The value type of a new table [default: that of the first record; string for whole records]
    #[arg(long, value_name = "TYPE", value_parser = parse_value_type)]
    value_type: Option<Type>,
    /// The format [default: by the file's name, else jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Rows committed together
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// When a batch is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Import {
    pub fn run(self, output: &mut Output) -> Outcome {
        let records = Records::open(&self.file, self.format, self.key.clone())?;
        let database = self.database.open(Access::Create)?;
        let recorded = TableTypes::find(&database, &self.database, &self.table)?;
        if let Some(recorded) = &recorded {
            recorded.agree(&self.table, self.key_type.as_ref(), self.value_type.as_ref())?;
        }
        let is_new = recorded.is_none();
        let rate = Rate::start();
        let (bytes_read, bytes_total) = (records.bytes_read(), records.bytes_total());
        let progress = Progress::start(bytes_total, Unit::Bytes, self.progress);

        // Reading and encoding go on while a batch is being committed.
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        let (stored, read) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.read(records, recorded, sender));
            let mut rows = 0;
            let stored = self.store(&database, receiver, |batch_rows| {
                rows += batch_rows;
                progress.acknowledged(rows);
                progress.at(bytes_read.load(Ordering::Relaxed), || {
                    format!("{} rows  {} rows/s", grouped(rows), grouped(rate.per_second(rows)))
                });
            });
            let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (stored.map(|()| rows), read)
        });
        progress.finish();
        let rows = stored?;
        let closed = database.close().map_err(Failure::engine(self.database.name()));
        if let Err(failure) = read {
            return Err(match failure {
                Failure::Usage(what) => Failure::Usage(format!("{what} (stored before it: {})", progress::rows(rows))),
                other => other,
            });
        }
        closed?;
        let (seconds, per_second) = (rate.seconds(), rate.per_second(rows));
        output.result(
            || {
                if rows == 0 {
                    return self.nothing_imported(is_new);
                }
                let (rows, per_second) = (progress::rows(rows), grouped(per_second));
                format!("imported {rows} into '{}' in {seconds:.2} s ({per_second} rows/s)", self.table)
            },
            || json!({ "table": self.table, "rows": rows, "seconds": seconds, "rows_per_second": per_second }),
        )
    }

    /// What happened where there was no record.
    fn nothing_imported(&self, is_new: bool) -> String {
        let source = if self.file == "-" { "standard input" } else { &self.file };
        let table = if is_new {
            format!("no table '{}' was made, because the first record makes it", self.table)
        } else {
            format!("table '{}' is as it was", self.table)
        };
        format!("nothing imported: {source} has no records; {table}")
    }

    /// Reads and encodes all records. The rows before a record that is refused are sent.
    fn read(&self, mut records: Records, recorded: Option<TableTypes>, batches: SyncSender<Batch>) -> Outcome {
        let mut encoder =
            RowEncoder { types: recorded, key_type: self.key_type.clone(), value_type: self.value_type.clone() };
        let mut batch = Batch::default();
        // A transaction has a tenth of the memory; a batch is committed at half of that, however few rows it has.
        let batch_bytes_max = self.database.memory_budget_bytes() / 20;
        let result = loop {
            let encoded = match records.next() {
                Ok(Some(record)) => encoder.encode(&record, &mut batch),
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            };
            if let Err(what) = encoded {
                break Err(records.refused(&what));
            }
            if batch.rows.len() >= self.batch as usize || batch.memory_bytes() >= batch_bytes_max {
                batch.types.clone_from(&encoder.types);
                // The other end is gone only when storing has failed, and that is what will be told.
                if batches.send(std::mem::take(&mut batch)).is_err() {
                    return Ok(());
                }
            }
        };
        if !batch.rows.is_empty() {
            batch.types = encoder.types;
            _ = batches.send(batch);
        }
        result
    }

    /// Commits each batch, and says how many rows it had.
    fn store(&self, database: &Database, batches: Receiver<Batch>, mut acknowledged: impl FnMut(u64)) -> Outcome {
        for batch in batches {
            let Some(types) = &batch.types else { continue };
            let (key_type, value_type) = (types.key.to_string(), types.value.to_string());
            let committed = database.transaction_with(self.durability.into(), |tx| {
                let mut table = tx.untyped_table(&self.table, &key_type, &value_type)?;
                batch.rows().try_for_each(|(key, value)| table.put(key, value))
            });
            committed.map_err(Failure::engine(self.database.table_name(&self.table)))?;
            acknowledged(batch.rows.len() as u64);
        }
        Ok(())
    }
}

/// Encoded rows, end to end.
#[derive(Default)]
struct Batch {
    types: Option<TableTypes>,
    bytes: Vec<u8>,
    /// Where the key and the value of each row end in `bytes`.
    rows: Vec<(usize, usize)>,
}

impl Batch {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.rows.push((key_end, self.bytes.len()));
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * ROW_OVERHEAD_BYTES
    }

    fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.rows.iter().map(move |&(key_end, end)| {
            let key = self.bytes.get(start..key_end).unwrap_or_default();
            start = end;
            (key, self.bytes.get(key_end..end).unwrap_or_default())
        })
    }
}

/// Turns records into rows, in the table's types: those recorded, those asked for, or those of the first record.
struct RowEncoder {
    types: Option<TableTypes>,
    key_type: Option<Type>,
    value_type: Option<Type>,
}

impl RowEncoder {
    fn encode(&mut self, record: &Record<'_>, batch: &mut Batch) -> Result<(), String> {
        if self.types.is_none() {
            self.types = Some(self.infer(record)?);
        }
        let Some(types) = &self.types else { return Ok(()) };
        let key = Datum::from_json(&types.key, &record.key).map_err(|what| {
            format!("key {what}, which is the table's key type; another can be chosen for a new table with --key-type")
        })?;
        let mut key_bytes = KeyBuffer::new();
        encode_key(&types.key, &key, &mut key_bytes).map_err(|error| error.to_string())?;
        let value = match (&record.value, &types.value) {
            (RecordValue::Document(text), Type::String) => Datum::Text(text.as_ref().into()),
            (RecordValue::Document(text), Type::Bytes) => Datum::Bytes(text.as_bytes().into()),
            (RecordValue::Document(_), kind) => {
                return Err(format!("a JSON object is not {}, which is the table's value type", kind.with_article()));
            }
            (RecordValue::Plain(json), kind) => Datum::from_json(kind, json).map_err(|what| {
                format!("value {what}, which is the table's value type; another can be chosen for a new table with --value-type")
            })?,
        };
        let value_bytes = encode_value(&types.value, &value).map_err(|error| error.to_string())?;
        batch.push(&key_bytes, &value_bytes);
        Ok(())
    }

    fn infer(&self, first: &Record<'_>) -> Result<TableTypes, String> {
        let key = match &self.key_type {
            Some(kind) => kind.clone(),
            None => match Type::infer(&first.key) {
                Some(kind @ (Type::String | Type::Signed(_) | Type::Unsigned(_))) => kind,
                _ => return Err(format!("{} as a key: give its type with --key-type", first.key)),
            },
        };
        let value = match (&self.value_type, &first.value) {
            (Some(kind), _) => kind.clone(),
            (None, RecordValue::Document(_)) => Type::String,
            (None, RecordValue::Plain(json)) => Type::infer(json).unwrap_or(Type::String),
        };
        Ok(TableTypes { key, value })
    }
}

/// Encodes all of `records` as an import does, with these types or those of the first record; gives the rows.
#[cfg(feature = "testing")]
pub(crate) fn encode_all(
    mut records: Records,
    key_type: Option<Type>,
    value_type: Option<Type>,
) -> Result<usize, String> {
    let mut encoder = RowEncoder { types: None, key_type, value_type };
    let mut batch = Batch::default();
    while let Some(record) = records.next().map_err(|failure| failure.to_string())? {
        encoder.encode(&record, &mut batch)?;
    }
    assert_eq!(batch.rows().map(|(key, value)| key.len() + value.len()).sum::<usize>(), batch.bytes.len());
    Ok(batch.rows.len())
}
