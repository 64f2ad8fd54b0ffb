//! The database a command works on: opening it, finding tables and their types, reading and writing encoded rows.

use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lightning_db::{Database, Durability, Options, RecoveryStage, Snapshot, TableInfo};

use crate::failure::{Failure, Outcome};
use crate::key::KeyArgs;
use crate::range::Bounds;
use crate::types::Type;

/// Which file, and how to open it.
#[derive(Args, Debug)]
pub struct DatabaseArgs {
    /// The database file
    #[arg(value_name = "DATABASE")]
    pub path: PathBuf,
    /// Memory for caches and unwritten changes, in MB [default: 64]
    #[arg(long, value_name = "MB", global = true, value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    memory: Option<u64>,
    /// How much of the log to keep for increments of backups, in MB [default: 0]
    #[arg(long, value_name = "MB", global = true, value_parser = clap::value_parser!(u64).range(..=1 << 20))]
    keep_log: Option<u64>,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Which database, and as it was when.
#[derive(Args, Debug)]
pub struct ReadArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// As it was when this snapshot was made, which 'snapshot create' has named
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
}

impl ReadArgs {
    /// Opens the database for reading, and what is to be seen of it.
    pub fn open(&self) -> Outcome<Snapshot> {
        let database = self.database.open(Access::Read)?;
        match &self.snapshot {
            None => Ok(database.snapshot()),
            Some(name) => database.snapshot_named(name).map_err(Failure::engine(self.database.name())),
        }
    }
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DurabilityArg {
    /// When it survives a power loss
    #[default]
    Sync,
    /// When it survives a killed process; it is synced within a second
    Periodic,
    /// When it survives a killed process
    Relaxed,
}

impl From<DurabilityArg> for Durability {
    fn from(durability: DurabilityArg) -> Self {
        match durability {
            DurabilityArg::Sync => Durability::Sync,
            DurabilityArg::Periodic => Durability::Periodic { interval_ms: 1000 },
            DurabilityArg::Relaxed => Durability::Relaxed,
        }
    }
}

/// What a command is going to do to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    /// Write, and make the database if there is none.
    Create,
}

impl DatabaseArgs {
    /// Opens the database.
    pub fn open(&self, access: Access) -> Outcome<Database> {
        self.open_with(access, &mut |_| {})
    }

    /// Opens the database, and tells each stage of its recovery.
    pub fn open_with(&self, access: Access, stage: &mut dyn FnMut(RecoveryStage)) -> Outcome<Database> {
        if access != Access::Create && !self.path.exists() {
            return Err(Failure::usage(format!(
                "there is no database {}; check the path, or make one with 'put' or 'import'",
                self.path.display()
            )));
        }
        let mut options = Options::default();
        options.create = access == Access::Create;
        options.read_only = access == Access::Read;
        options.memory_budget_bytes = self.memory_budget_bytes();
        options.feed_retention_bytes = self.keep_log.unwrap_or_default() << 20;
        self.key.apply(&mut options, !self.path.exists())?;
        Database::open_with(&self.path, options, stage).map_err(Failure::opening(self.name()))
    }

    /// What the database may use in memory.
    pub fn memory_budget_bytes(&self) -> usize {
        let default = Options::default().memory_budget_bytes;
        self.memory.and_then(|megabytes| usize::try_from(megabytes << 20).ok()).unwrap_or(default)
    }

    /// For messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// What an error in a table happened to.
    pub fn table_name(&self, table: &str) -> String {
        format!("{}, table '{table}'", self.path.display())
    }

    /// What an error in a collection happened to; the error itself names the collection.
    pub fn collection_name(&self, name: &str) -> String {
        format!("{}, collection '{name}'", self.path.display())
    }
}

/// The types of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableTypes {
    pub key: Type,
    pub value: Type,
}

impl TableTypes {
    /// The types of a table that exists.
    pub fn of(snapshot: &Snapshot, args: &DatabaseArgs, table: &str) -> Outcome<Self> {
        let tables = snapshot.tables().map_err(Failure::engine(args.name()))?;
        match tables.iter().find(|info| info.name == table) {
            Some(info) => Ok(Self::from(info)),
            None => {
                let names: Vec<_> = tables.iter().map(|info| format!("'{}'", info.name)).collect();
                let there_are =
                    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
                Err(Failure::usage(format!("{} has no table '{table}'; {there_are}", args.name())))
            }
        }
    }

    /// The types of a table, if it exists.
    pub fn find(snapshot: &Snapshot, args: &DatabaseArgs, table: &str) -> Outcome<Option<Self>> {
        let tables = snapshot.tables().map_err(Failure::engine(args.name()))?;
        Ok(tables.iter().find(|info| info.name == table).map(Self::from))
    }

    /// Refuses types asked for that are not the recorded ones.
    pub fn agree(&self, table: &str, key: Option<&Type>, value: Option<&Type>) -> Outcome {
        for (what, recorded, asked) in [("key", &self.key, key), ("value", &self.value, value)] {
            if let Some(asked) = asked
                && asked != recorded
            {
                return Err(Failure::usage(format!(
                    "table '{table}' has {what} type {recorded}, not {asked}; leave out --{what}-type, or choose another table"
                )));
            }
        }
        Ok(())
    }
}

impl From<&TableInfo> for TableTypes {
    fn from(info: &TableInfo) -> Self {
        Self { key: Type::parse(&info.key_type), value: Type::parse(&info.value_type) }
    }
}

/// A consistent view of one table, to read from.
pub struct TableView {
    snapshot: Snapshot,
    table: String,
    subject: String,
    pub types: TableTypes,
}

impl TableView {
    pub fn open(snapshot: &Snapshot, args: &DatabaseArgs, table: &str) -> Outcome<Self> {
        let subject = args.table_name(table);
        let types = TableTypes::of(snapshot, args, table)?;
        Ok(Self { snapshot: snapshot.clone(), table: table.to_owned(), subject, types })
    }

    pub fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let found = self
            .snapshot
            .untyped_table(&self.table)
            .and_then(|table| Ok(table.get(key)?.map(|found| found.bytes().to_vec())));
        found.map_err(|error| self.failed(error))
    }

    pub fn count(&self, bounds: &Bounds) -> Outcome<u64> {
        let count = self.snapshot.untyped_table(&self.table).and_then(|table| table.count(as_slices(bounds)));
        count.map_err(|error| self.failed(error))
    }

    /// Calls `each` with every row in the range, until it says [`Break`](ControlFlow::Break).
    pub fn scan(
        &self,
        bounds: &Bounds,
        reverse: bool,
        mut each: impl FnMut(&[u8], &[u8]) -> Outcome<ControlFlow<()>>,
    ) -> Outcome {
        let table = self.snapshot.untyped_table(&self.table).map_err(|error| self.failed(error))?;
        let mut cursor = table.cursor(as_slices(bounds)).map_err(|error| self.failed(error))?;
        let mut row = if reverse { cursor.last() } else { cursor.first() };
        while let Some((key, value)) = row.map_err(|error| self.failed(error))? {
            if each(key, value)?.is_break() {
                break;
            }
            row = if reverse { cursor.prev() } else { cursor.next() };
        }
        Ok(())
    }

    /// An error that happened in this table.
    pub fn failed(&self, error: lightning_db::Error) -> Failure {
        Failure::engine(&*self.subject)(error)
    }
}

/// The same range, borrowed.
pub fn as_slices(bounds: &Bounds) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice))
}
