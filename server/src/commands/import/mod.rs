//! `lightning import`

mod batch;
mod row;
mod store;
mod unfinished;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};

use clap::Args;
use lightning_db::{CollectionInfo, Database, Index, Path, Schema};
use serde_json::json;

use super::index::index_on;
use super::put::{parse_type, parse_value_type};
use crate::database::{Access, DatabaseArgs, DurabilityArg, TableTypes};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{self, Progress, Rate, Unit, grouped};
use crate::records::{BytesRead, FieldPath, Format, Place, Records, Shape};
use crate::types::Type;
use batch::{Batch, BatchLimits, Encoder, Refusal};
use row::RowEncoder;
use store::{Mode, Store, Target};
use unfinished::{Unfinished, fingerprint};

/// Batches that may wait for the one being committed.
const BATCHES_AHEAD: usize = 2;

/// Import JSON Lines, CSV or CBOR into a collection or a table; makes the database and what it imports into
///
/// With --key, each record is a document, and the field of that path is its key: they become a collection, which has
/// indexes and can be queried. Cells of a CSV file become numbers, true, false and null where they are exactly that, and
/// text otherwise; an empty cell leaves the field out.
///
/// Without --key, and into a plain table, each record is an object with the fields key and value (as 'export' writes a
/// table), or a CSV line with these columns. With --key and --key-type or --value-type, a plain table of JSON text is made.
///
/// Records are committed in batches, each wholly or not at all, with a note of how far the import is: after a crash, or a
/// record that stopped it, the same command with --resume goes on behind the last batch. When standard error is no
/// terminal, --progress prints 'acknowledged N' after each batch: N records are then stored as --durability promises.
#[derive(Args, Debug)]
pub struct Import {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The collection or table
    #[arg(value_name = "COLLECTION")]
    table: String,
    /// The file; - reads standard input
    file: String,
    /// The field that is the key: id, or address.city
    #[arg(long, value_name = "PATH")]
    key: Option<String>,
    /// An index on a field, or with + between them on several together: country, country+city
    #[arg(long, value_name = "PATHS")]
    index: Vec<String>,
    /// An index of which no two documents may have the same entry
    #[arg(long, value_name = "PATHS")]
    unique: Vec<String>,
    /// An index on an array, with an entry for each of its elements
    #[arg(long, value_name = "PATHS")]
    multi: Vec<String>,
    /// An index without regard to case and accents
    #[arg(long, value_name = "PATHS")]
    folded: Vec<String>,
    /// A CSV column that is text, even where a cell looks like a number
    #[arg(long, value_name = "FIELD")]
    text: Vec<String>,
    /// The format [default: by the file's name, else jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Refuse records whose key is there already, instead of writing over them
    #[arg(long, conflicts_with = "replace")]
    insert: bool,
    /// Refuse records whose key is not there
    #[arg(long)]
    replace: bool,
    /// Leave out up to so many records that cannot be stored, and report each with its line; the next one stops the import
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_errors: u64,
    /// Records committed together; fewer where --memory is short
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Go on behind the last batch of an import that stopped; from the beginning if none did
    #[arg(long, conflicts_with = "restart")]
    resume: bool,
    /// Begin again, though an import stopped half-way
    #[arg(long)]
    restart: bool,
    /// When a batch is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
    /// The key type of a new plain table [default: that of the first record: string, or i64 for whole numbers]
    #[arg(long, value_name = "TYPE", value_parser = parse_type)]
    key_type: Option<Type>,
    /// The value type of a new plain table [default: that of the first record; string for whole records]
    #[arg(long, value_name = "TYPE", value_parser = parse_value_type)]
    value_type: Option<Type>,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Import {
    pub fn run(self, output: &mut Output) -> Outcome {
        // Before a database is made for it.
        let schema = self.schema()?;
        if self.file != "-" {
            std::fs::metadata(&self.file).map_err(Failure::file(format!("cannot read {}", self.file)))?;
            if !self.database.path.exists() {
                let (shape, ..) = self.kind(schema.clone(), None, None)?;
                Records::open(&self.file, self.format, shape, Place::default())?;
            }
        }
        let database = self.database.open(Access::Create)?;
        let failed = |error| Failure::engine(self.database.name())(error);
        let info = database.snapshot().collection_info(&self.table).map_err(failed)?;
        let recorded = match info {
            None => TableTypes::find(&database.snapshot(), &self.database, &self.table)?,
            Some(_) => None,
        };
        let is_new = info.is_none() && recorded.is_none();
        let (shape, encoder, target) = self.kind(schema, info, recorded)?;

        let at = self.begin(&database)?;
        let records = Records::open(&self.file, Some(at.format), shape, at.place)?;
        let told = Told {
            json: output.is_json(),
            name: records.name().to_owned(),
            unit: records.unit(),
            bytes_read: records.bytes_read(),
            rate: Rate::start(),
            before: at.stored,
        };
        let progress = Progress::start(records.bytes_total(), Unit::Bytes, self.progress);
        let mut store = Store {
            database: &database,
            name: &self.table,
            subject: self.database.table_name(&self.table),
            target,
            mode: self.mode(),
            durability: self.durability.into(),
            errors_max: self.max_errors,
            is_noted: at.batches > 0,
            at,
        };
        if let Target::Collection { .. } = store.target {
            store.subject = self.database.name();
        }
        if self.restart {
            forget(&database, &self.table).map_err(failed)?;
        }
        // A transaction has a tenth of the memory; a batch is committed at half of that, however few records it has.
        let limits = BatchLimits { rows: self.batch as usize, bytes: self.database.memory_budget_bytes() / 20 };

        // Reading and encoding go on while a batch is being committed.
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        let (stored, read) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| batch::read(records, encoder, limits, sender));
            let stored = store_all(&mut store, receiver, &progress, &told);
            let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (stored, read)
        });
        progress.finish();
        let is_collection = matches!(store.target, Target::Collection { opened: Some(_), .. });
        let (at, is_noted) = (store.at, store.is_noted);
        if is_new && is_collection && at.stored == 0 && stored.is_ok() {
            // Made for records of which none could be stored, perhaps with a key path that was mistyped.
            database.drop_collection(&self.table).map_err(failed)?;
            forget(&database, &self.table).map_err(failed)?;
        }
        let stopped = stored?;
        let closed = database.close().map_err(Failure::engine(self.database.name()));
        if let Some(refusal) = stopped {
            return Err(self.stopped(&told, &refusal, &at, is_noted));
        }
        read?;
        closed?;
        self.finished(output, &told, &at, is_new)
    }

    /// Where the import begins: at the beginning of the file, or where it stopped.
    fn begin(&self, database: &Database) -> Outcome<Unfinished> {
        let found = Unfinished::find(database, &self.table).map_err(Failure::engine(self.database.name()))?;
        let format = self.format.unwrap_or_else(|| Format::of_name(&self.file));
        let Some(found) = found.filter(|_| !self.restart) else {
            let (file, place) = (self.file.clone(), Place::default());
            return Ok(Unfinished { file, format, place, batches: 0, stored: 0, refused: 0, fingerprint: None });
        };
        let Unfinished { file, place, stored, .. } = &found;
        let source = if file == "-" { "standard input" } else { file };
        if !self.resume {
            return Err(Failure::usage(format!(
                "{}: an import of {source} stopped behind line {}, with {} stored; go on with --resume, or begin again \
                 with --restart",
                self.database.table_name(&self.table),
                grouped(place.lines),
                progress::rows(*stored),
            )));
        }
        let now = fingerprint(&self.file, place.bytes).map_err(Failure::file(format!("cannot read {}", self.file)))?;
        if now != found.fingerprint || found.format != format {
            return Err(Failure::usage(format!(
                "{} is not the file whose import stopped ({source}), or was changed before line {}, where it stopped; give \
                 that file, or begin again with --restart",
                self.file,
                grouped(place.lines + 1),
            )));
        }
        Ok(Unfinished { file: self.file.clone(), refused: 0, ..found })
    }

    /// The schema asked for, with a key path that may be missing.
    fn schema(&self) -> Outcome<(Option<String>, Vec<Index>)> {
        if let Some(key) = &self.key {
            // A table's records are found by their own kind of path; both must be well-formed.
            Path::parse(key.strip_prefix('/').unwrap_or(key))
                .map_err(|error| Failure::usage(format!("--key: {error}")))?;
        }
        let plain = self.index.iter().map(|paths| index_on(paths));
        let unique = self.unique.iter().map(|paths| index_on(paths).map(Index::unique));
        let multi = self.multi.iter().map(|paths| index_on(paths).map(Index::multi));
        let folded = self.folded.iter().map(|paths| index_on(paths).map(Index::folded));
        let indexes = plain.chain(unique).chain(multi).chain(folded).collect::<Outcome<Vec<_>>>()?;
        Ok((self.key.clone(), indexes))
    }

    /// What the records are, and what they are stored in.
    fn kind(
        &self,
        (key, indexes): (Option<String>, Vec<Index>),
        info: Option<CollectionInfo>,
        recorded: Option<TableTypes>,
    ) -> Outcome<(Shape, Encoder, Target)> {
        let has_types = self.key_type.is_some() || self.value_type.is_some();
        let documents = |schema: Schema| {
            if has_types {
                return Err(Failure::usage(format!(
                    "'{}' is a collection; --key-type and --value-type are for plain tables",
                    self.table
                )));
            }
            let schema = indexes.iter().cloned().fold(schema, Schema::with);
            let target = Target::Collection { schema, opened: None };
            Ok((target, Encoder::Documents))
        };
        let shape = |key: &str| {
            let key = Path::parse(key).map_err(|error| Failure::usage(format!("--key: {error}")))?;
            Ok(Shape::Documents { key, text: self.text.clone() })
        };
        match (info, key, recorded) {
            (Some(info), key, _) => {
                let shape = shape(&info.key)?;
                let (target, encoder) = documents(Schema::key(key.unwrap_or(info.key)).version(info.version))?;
                Ok((shape, encoder, target))
            }
            (None, Some(key), None) if !has_types => {
                let shape = shape(&key)?;
                let (target, encoder) = documents(Schema::key(key))?;
                Ok((shape, encoder, target))
            }
            (None, key, recorded) => {
                if !indexes.is_empty() || !self.text.is_empty() {
                    return Err(Failure::usage(if recorded.is_some() {
                        format!("'{}' is a plain table; only collections have indexes and --text", self.table)
                    } else {
                        "indexes and --text are for collections; say where the documents' key is, with --key".to_owned()
                    }));
                }
                if let Some(recorded) = &recorded {
                    recorded.agree(&self.table, self.key_type.as_ref(), self.value_type.as_ref())?;
                }
                let key = key.as_deref().map(FieldPath::parse).transpose().map_err(Failure::Usage)?;
                let (key_type, value_type) = (self.key_type.clone(), self.value_type.clone());
                let encoder = RowEncoder { types: recorded, key_type, value_type };
                Ok((Shape::Rows { key }, Encoder::Rows(Box::new(encoder)), Target::Table))
            }
        }
    }

    fn mode(&self) -> Mode {
        match (self.insert, self.replace) {
            (true, _) => Mode::Insert,
            (_, true) => Mode::Replace,
            _ => Mode::Put,
        }
    }

    /// The record at fault, and what to do.
    fn stopped(&self, told: &Told, refusal: &Refusal, at: &Unfinished, is_noted: bool) -> Failure {
        let limit = match self.max_errors {
            0 => String::new(),
            max => format!("; more than {} were wrong (--max-errors)", progress::records(max)),
        };
        let stored = progress::rows(at.stored);
        let remedy = match (is_noted, refusal.is_final) {
            (true, false) => format!("{stored} before it stored; put it right and go on with --resume"),
            (true, true) => format!("{stored} before it stored; nothing behind it can be read"),
            (false, _) => "nothing is stored".to_owned(),
        };
        Failure::Usage(format!("{}{limit} ({remedy})", told.place_of(refusal)))
    }

    fn finished(&self, output: &mut Output, told: &Told, at: &Unfinished, is_new: bool) -> Outcome {
        let rows = at.stored - told.before;
        let (seconds, per_second) = (told.rate.seconds(), told.rate.per_second(rows));
        output.result(
            || {
                let refused = match at.refused {
                    0 => String::new(),
                    count => format!("; {} left out", progress::records(count)),
                };
                if rows == 0 && refused.is_empty() {
                    return self.nothing_imported(told, is_new);
                }
                let (rows, per_second) = (progress::rows(rows), grouped(per_second));
                let behind = match told.before {
                    0 => String::new(),
                    before => format!(" behind the {} of before", grouped(before)),
                };
                format!(
                    "imported {rows}{behind} into '{}' in {seconds:.2} s ({per_second} rows/s){refused}",
                    self.table
                )
            },
            || {
                json!({
                    "table": self.table,
                    "rows": rows,
                    "rows_before": told.before,
                    "refused": at.refused,
                    "seconds": seconds,
                    "rows_per_second": per_second,
                })
            },
        )
    }

    /// What happened where there was no record.
    fn nothing_imported(&self, told: &Told, is_new: bool) -> String {
        if told.before > 0 {
            return format!("nothing was left to import into '{}'", self.table);
        }
        let source = &told.name;
        let table = if is_new {
            format!("no table '{}' was made, because the first record makes it", self.table)
        } else {
            format!("table '{}' is as it was", self.table)
        };
        format!("nothing imported: {source} has no records; {table}")
    }
}

/// An import into `name` that is unfinished will not go on.
pub fn forget(database: &Database, name: &str) -> lightning_db::Result<()> {
    match Unfinished::find(database, name) {
        Ok(None) => Ok(()),
        _ => database.transaction(|tx| Unfinished::forget(tx, name)),
    }
}

/// What is told while records are stored.
struct Told {
    json: bool,
    name: String,
    unit: &'static str,
    bytes_read: BytesRead,
    rate: Rate,
    /// Records that an earlier run has stored.
    before: u64,
}

impl Told {
    fn place_of(&self, refusal: &Refusal) -> String {
        format!("{}, {} {}: {}", self.name, self.unit, refusal.line, refusal.why)
    }
}

/// Commits every batch; gives the record that stopped the import.
fn store_all(
    store: &mut Store<'_>,
    batches: Receiver<Batch>,
    progress: &Progress,
    told: &Told,
) -> Outcome<Option<Refusal>> {
    for batch in batches {
        if batch.len() == 0 && !store.is_noted {
            continue;
        }
        let before = store.at.stored;
        let stored = store.commit(&batch, progress)?;
        for refusal in &stored.refused {
            if told.json {
                let refused = json!({ "file": told.name, told.unit: refusal.line, "message": refusal.why });
                progress.stays(&json!({ "refused": refused }).to_string());
            } else {
                progress.stays(&format!("left out: {}", told.place_of(refusal)));
            }
        }
        if store.at.stored > before {
            progress.acknowledged(store.at.stored);
        }
        progress.at(told.bytes_read.load(Ordering::Relaxed), || {
            let rows = store.at.stored;
            format!("{} rows  {} rows/s", grouped(rows), grouped(told.rate.per_second(rows - told.before)))
        });
        if stored.stopped.is_some() {
            return Ok(stored.stopped);
        }
    }
    Ok(None)
}

/// Encodes all of `records` as an import does, with these types or those of the first record; gives the rows.
#[cfg(feature = "testing")]
pub(crate) fn encode_all(records: Records, key_type: Option<Type>, value_type: Option<Type>) -> Result<usize, String> {
    let encoder = Encoder::Rows(Box::new(RowEncoder { types: None, key_type, value_type }));
    encode(records, encoder)
}

/// Encodes all of `records` as an import into a collection does; gives the documents.
#[cfg(feature = "testing")]
pub(crate) fn encode_documents(records: Records) -> Result<usize, String> {
    encode(records, Encoder::Documents)
}

#[cfg(feature = "testing")]
fn encode(records: Records, encoder: Encoder) -> Result<usize, String> {
    let (sender, receiver) = sync_channel(1);
    let limits = BatchLimits { rows: usize::MAX, bytes: usize::MAX };
    batch::read(records, encoder, limits, sender).map_err(|failure| failure.to_string())?;
    let Ok(batch) = receiver.recv() else { return Ok(0) };
    for at in 0..batch.len() {
        match batch.content(at) {
            Some(batch::Content::Wrong(refusal)) => return Err(refusal.why.clone()),
            Some(batch::Content::Row { .. }) => {}
            None => return Err("a record without bytes".to_owned()),
        }
        assert!(batch.place(at).bytes <= batch.place(at + 1).bytes, "places go forwards");
    }
    Ok(batch.len())
}
