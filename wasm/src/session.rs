//! The operations that JavaScript asks of a database, and what it holds between them: collections, transactions, cursors.
//!
//! Operations are numbered, see [`Operation`]; their arguments stand at each. An operation that lacks bytes which must be
//! fetched first has had no effect and is performed again.
//!
//! Browsers compile a function as a whole when it is first called, and whoever opens a database waits for it. So each operation is
//! a function of its own, `inline(never)`, and the one that chooses between them is short.

mod backup;
mod collections;
mod held;
#[cfg(feature = "encryption")]
mod keys;
mod kinds;
mod live;
mod maintenance;
mod once;
mod tables;

use lightning_db::{Database, Error, Isolation, Result, WriteTransaction};

use crate::wire::{self, Answer, Arguments, invalid, put};
use held::{Held, HeldMap};
use once::Once;

/// Handles of cursors and the like that one database holds at most.
const HELD_MAX: usize = 10_000;

/// An open database and what its clients hold of it.
pub struct Session {
    database: Database,
    held: HeldMap,
    once: Once,
    #[cfg(feature = "encryption")]
    gate: keys::Gate,
    #[cfg(feature = "encryption")]
    changing: Option<keys::Changing>,
}

/// Where an operation reads or writes: 0 is the database as it is now; others are snapshots and transactions.
pub const NOW: u32 = 0;

macro_rules! operations {
    ($($(#[$meta:meta])* $name:ident = $number:literal,)*) => {
        /// The operations. The same numbers stand in `npm/src/protocol.ts`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation { $($(#[$meta])* $name = $number,)* }

        impl Operation {
            fn of(number: u8) -> Option<Self> {
                match number {
                    $($(#[$meta])* $number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    // Handles.
    OpenCollection = 0x01,
    OpenTable = 0x02,
    Begin = 0x03,
    Commit = 0x04,
    Release = 0x05,
    Next = 0x06,
    Number = 0x07,
    // The schema.
    Collections = 0x08,
    DropCollection = 0x09,
    DropIndex = 0x0a,
    DropTable = 0x0b,
    NextMigration = 0x0c,
    Migrate = 0x0d,
    OlderCollection = 0x0e,
    FinishMigration = 0x0f,
    // Reading documents.
    Get = 0x10,
    GetMany = 0x11,
    GetBy = 0x12,
    Query = 0x13,
    Count = 0x14,
    Extreme = 0x15,
    Explain = 0x16,
    // Writing documents.
    Put = 0x20,
    Delete = 0x21,
    Update = 0x22,
    UpdateWhere = 0x23,
    DeleteWhere = 0x24,
    Swap = 0x25,
    Batch = 0x2f,
    // Tables.
    TableGet = 0x30,
    TableGetMany = 0x31,
    TableScan = 0x32,
    TableCount = 0x33,
    TablePut = 0x38,
    TableDelete = 0x39,
    TableDeleteRange = 0x3a,
    TableSwap = 0x3b,
    TableIncrement = 0x3c,
    // What follows the data.
    Watch = 0x40,
    Heard = 0x41,
    Changes = 0x42,
    NextChanges = 0x43,
    // The database.
    Stats = 0x50,
    Check = 0x51,
    Checkpoint = 0x52,
    Compact = 0x53,
    RemoveExpired = 0x54,
    Sync = 0x55,
    Outcome = 0x56,
    Backup = 0x58,
    NextBackup = 0x59,
    // Keys of encrypted databases.
    #[cfg(feature = "encryption")]
    Unlock = 0x60,
    #[cfg(feature = "encryption")]
    Keys = 0x61,
    #[cfg(feature = "encryption")]
    AddKey = 0x62,
    #[cfg(feature = "encryption")]
    RemoveKey = 0x63,
    #[cfg(feature = "encryption")]
    Reencrypt = 0x64,
    #[cfg(feature = "encryption")]
    Reencryption = 0x65,
    #[cfg(feature = "encryption")]
    StepReencryption = 0x66,
}

impl Operation {
    /// Whether it is done inside a transaction, and gets one of its own where it is asked for alone.
    fn writes(self) -> bool {
        use Operation::{
            Delete, DeleteWhere, FinishMigration, Put, Swap, TableDelete, TableDeleteRange, TableIncrement, TablePut,
            TableSwap, Update, UpdateWhere,
        };
        matches!(
            self,
            Put | Delete
                | Update
                | UpdateWhere
                | DeleteWhere
                | Swap
                | FinishMigration
                | TablePut
                | TableDelete
                | TableDeleteRange
                | TableSwap
                | TableIncrement
        )
    }

    /// Whether it commits by itself, and is to do that once.
    fn is_once(self, args: &[u8]) -> bool {
        use Operation::{Batch, Commit, DropCollection, DropIndex, DropTable, Outcome};
        match self {
            Batch | Commit | DropCollection | DropIndex | DropTable | Outcome => true,
            _ => self.writes() && Arguments::new(args).handle().is_ok_and(|scope| scope == NOW),
        }
    }

    /// Whether something may have to be made durable after it.
    pub fn commits(number: u8) -> bool {
        use Operation::{
            Batch, Commit, DropCollection, DropIndex, DropTable, Migrate, NextMigration, OpenCollection, OpenTable,
            Outcome, RemoveExpired, Sync,
        };
        #[cfg(feature = "encryption")]
        if number == Self::StepReencryption as u8 {
            return true;
        }
        Self::of(number).is_some_and(|operation| {
            operation.writes()
                || matches!(
                    operation,
                    Batch
                        | Commit
                        | DropCollection
                        | DropIndex
                        | DropTable
                        | Migrate
                        | NextMigration
                        | OpenCollection
                        | OpenTable
                        | Outcome
                        | RemoveExpired
                        | Sync
                )
        })
    }
}

impl Session {
    pub fn new(database: Database) -> Self {
        Self {
            database,
            held: HeldMap::new(HELD_MAX),
            once: Once::default(),
            #[cfg(feature = "encryption")]
            gate: keys::Gate::default(),
            #[cfg(feature = "encryption")]
            changing: None,
        }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// From now on clients other than the first are to show a key of the database before they ask anything else.
    #[cfg(feature = "encryption")]
    pub fn require_keys(&mut self) {
        self.gate.close();
    }

    /// Performs the operation at a place of a request of `client`; gives the status of its answer, which is appended to `out`. Nothing
    /// of that stays if it fails.
    pub fn perform(&mut self, client: u32, place: u64, number: u8, arguments: &[u8], out: &mut Vec<u8>) -> Result<u8> {
        if place == 0 {
            self.once.begin();
        }
        let operation = Operation::of(number).ok_or_else(|| invalid("this build does not know the operation"))?;
        #[cfg(feature = "encryption")]
        self.gate.require(client, operation)?;
        if operation == Operation::Number {
            self.once.count(&self.database, place, &mut Arguments::new(arguments))?;
            return done(&mut Answer::new(out)).map(|()| wire::ANSWER);
        }
        let numbered = self.once.numbered(place, operation, arguments);
        if let Some(numbered) = numbered
            && let Some(frame) = self.once.answer(&self.database, numbered)?
            && let Some((status, item)) = frame.split_first()
        {
            out.extend_from_slice(item);
            return Ok(*status);
        }
        self.once.doing(numbered);
        let outcome = self.perform_now(client, operation, arguments, out);
        if let Err(error) = &outcome {
            self.once.failed(error);
        }
        outcome.map(|()| wire::ANSWER)
    }

    fn perform_now(&mut self, client: u32, operation: Operation, arguments: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.held.serve(client);
        let args = &mut Arguments::new(arguments);
        let answer = &mut Answer::new(out);
        if operation.writes() {
            let scope = args.handle()?;
            return self
                .write_in(scope, answer, &mut |held, tx, answer| perform_write(held, tx, operation, args, answer));
        }
        match operation {
            Operation::OpenCollection | Operation::OpenTable => {
                let number = args.handle()?;
                let opened = if operation == Operation::OpenTable {
                    self.open_table(number, args, answer)
                } else {
                    self.open_collection(number, args, answer)
                };
                opened.inspect_err(|why| self.held.failed(number, why))
            }
            Operation::Begin => self.begin(client, args, answer),
            Operation::Commit => {
                let transaction = self.held.transaction(args.handle()?)?;
                done(answer)?;
                let commits = self.once.remember(transaction, DONE)?;
                transaction.commit()?;
                self.once.done(commits);
                Ok(())
            }
            Operation::Release => {
                self.held.remove(args.handle()?);
                done(answer)
            }
            Operation::Next => self.next(args, answer),
            Operation::Batch => self.batch(args, answer),
            Operation::Collections => self.collections(answer),
            Operation::DropCollection => {
                let name = args.text()?;
                self.transact(answer, &mut |_, tx, answer| put(answer.bool(tx.drop_collection(name)?)))
            }
            Operation::DropIndex => {
                let (number, index) = (args.handle()?, args.text()?);
                self.transact(answer, &mut |held, tx, answer| {
                    put(answer.bool(tx.drop_index(held.collection(number)?.name(), index)?))
                })
            }
            Operation::NextMigration => self.next_migration(client, args, answer),
            Operation::Migrate => self.migrate(args, answer),
            Operation::OlderCollection => self.older_collection(args, answer),
            Operation::DropTable => {
                let name = args.text()?;
                self.transact(answer, &mut |_, tx, answer| put(answer.bool(tx.drop_table(name)?)))
            }
            Operation::Get
            | Operation::GetMany
            | Operation::GetBy
            | Operation::Count
            | Operation::Extreme
            | Operation::Explain => self.read_collection(operation, args, answer),
            Operation::Query => self.query(client, args, answer),
            Operation::TableGet | Operation::TableGetMany | Operation::TableCount => {
                self.read_table(operation, args, answer)
            }
            Operation::TableScan => self.scan_table(client, args, answer),
            Operation::Watch => self.watch(client, args, answer),
            Operation::Heard => self.heard(args, answer),
            Operation::Changes => self.changes(client, args, answer),
            Operation::NextChanges => self.next_changes(args, answer),
            Operation::Backup => self.backup(client, answer),
            Operation::NextBackup => self.next_backup(args, answer),
            #[cfg(feature = "encryption")]
            Operation::Unlock
            | Operation::Keys
            | Operation::AddKey
            | Operation::RemoveKey
            | Operation::Reencrypt
            | Operation::Reencryption
            | Operation::StepReencryption => self.keys(client, operation, arguments, answer),
            _ => self.maintain(operation, args, answer),
        }
    }

    /// Forgets what a client held, because it is gone.
    pub fn disconnect(&mut self, client: u32) {
        self.held.remove_client(client);
        #[cfg(feature = "encryption")]
        self.gate.forget(client);
    }

    /// `[kind]`: 0 a snapshot, else a transaction: 1 read committed, 2 snapshot isolation, 3 serializable. Gives its handle; of a
    /// snapshot `[handle, position for a feed]`.
    #[inline(never)]
    fn begin(&mut self, client: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let isolation = match args.number()? {
            0 => {
                let snapshot = self.database.snapshot();
                let position = snapshot.position().to_bytes();
                let number = self.held.keep(client, Held::Snapshot(snapshot))?;
                return put(answer.array(2).u32(number).bytes(&position));
            }
            1 => Isolation::ReadCommitted,
            2 => Isolation::Snapshot,
            3 => Isolation::Serializable,
            _ => return Err(invalid("there is no such isolation")),
        };
        let transaction = self.database.begin(isolation);
        self.held.insert(client, Held::Transaction(Box::new(transaction)), answer)
    }

    /// `[[operation as bytes…]]`: all of them in one transaction. Gives nothing.
    #[inline(never)]
    fn batch(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let count = args.list()?;
        let operations = (0..count).map(|_| args.bytes()).collect::<Result<Vec<_>>>()?;
        self.transact(answer, &mut |held, tx, answer| {
            let mut each = Vec::new();
            for bytes in &operations {
                let (number, rest) = bytes.split_first().ok_or_else(|| invalid("an operation has a number"))?;
                let operation = Operation::of(*number).filter(|operation| operation.writes());
                let operation = operation.ok_or_else(|| invalid("a batch holds writes alone"))?;
                let mut arguments = Arguments::new(rest);
                if arguments.handle()? != NOW {
                    return Err(invalid("a batch is a transaction of its own"));
                }
                each.clear();
                perform_write(held, tx, operation, &mut arguments, &mut Answer::new(&mut each))?;
            }
            done(answer)
        })
    }

    /// Runs `body` in a transaction of its own, with which is remembered what it answers.
    fn transact(&mut self, answer: &mut Answer<'_>, body: &mut Body<'_>) -> Result<()> {
        let (held, once, begin) = (&self.held, &mut self.once, answer.end());
        let commits = self.database.transaction(|tx| {
            body(held, tx, answer)?;
            once.remember(tx, answer.since(begin))
        })?;
        self.once.done(commits);
        Ok(())
    }

    /// Runs `body` in the transaction `scope`, or in one of its own.
    fn write_in(&mut self, scope: u32, answer: &mut Answer<'_>, body: &mut Body<'_>) -> Result<()> {
        if scope == NOW {
            return self.transact(answer, body);
        }
        let mut transaction = self.held.take_transaction(scope)?;
        let outcome = body(&self.held, &mut transaction, answer);
        self.held.give_back(scope, transaction);
        outcome
    }
}

fn perform_write(
    held: &HeldMap,
    tx: &mut WriteTransaction,
    operation: Operation,
    args: &mut Arguments<'_>,
    answer: &mut Answer<'_>,
) -> Result<()> {
    match operation {
        Operation::TablePut
        | Operation::TableDelete
        | Operation::TableDeleteRange
        | Operation::TableSwap
        | Operation::TableIncrement => tables::write(held.table(args.handle()?)?, tx, operation, args, answer),
        _ => collections::write(held.collection(args.handle()?)?, tx, operation, args, answer),
    }
}

/// What a transaction does.
type Body<'b> = dyn FnMut(&HeldMap, &mut WriteTransaction, &mut Answer<'_>) -> Result<()> + 'b;

/// The answer of what gives nothing.
const DONE: &[u8] = &[0xf6];

/// What gives nothing.
fn done(answer: &mut Answer<'_>) -> Result<()> {
    put(answer.null())
}

/// An answer that is CBOR already.
fn put_item(answer: &mut Answer<'_>, item: &[u8]) {
    answer.raw(item);
}

fn closed(what: &str) -> Error {
    wire::invalid(&format!("this {what} has ended"))
}
