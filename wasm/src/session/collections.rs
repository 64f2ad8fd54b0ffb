//! Operations on collections.

use lightning_db::{
    AutoKey, Collection, Document, Expiry, PageToken, Query, ReadCollection, Result, Rows, Schema, Update, Value,
    WriteCollection, WriteTransaction,
};

use super::held::Held;
use super::{NOW, Operation, Session, closed, done, put_item};
use crate::wire::{Answer, Arguments, invalid, put};

/// A document as it crosses: CBOR that nobody here looks into.
pub struct Raw(Vec<u8>);

impl Document for Raw {
    fn to_cbor(&self) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn from_cbor(cbor: &[u8]) -> Result<Self> {
        Ok(Self(cbor.to_vec()))
    }
}

impl Session {
    /// `[handle, name, schema or null]`: opens it under the handle that the client chose.
    #[inline(never)]
    pub(super) fn open_collection(
        &mut self,
        number: u32,
        args: &mut Arguments<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let name = args.text()?;
        let collection = match args.optional_item()? {
            Some(schema) => {
                let schema = Schema::from_value(&Value::from_cbor(schema)?)?;
                self.database.collection(name, schema)?
            }
            None => self.database.existing_collection(name)?,
        };
        self.held.open(number, Held::Collection(collection))?;
        done(answer)
    }

    /// `[name, schema]`. Gives null when the collection may be opened with it, else `[step, version, [document…]]`: documents of that
    /// version, each in a byte string, which are to become the next.
    #[inline(never)]
    pub(super) fn next_migration(
        &mut self,
        client: u32,
        args: &mut Arguments<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let name = args.text()?;
        let schema = Schema::from_value(&args.value()?)?;
        let Some(step) = self.database.next_migration(name, &schema)? else { return done(answer) };
        let documents = step.documents().map(|document| document.map(<[u8]>::to_vec)).collect::<Result<Vec<_>>>()?;
        let version = step.version();
        let number = self.held.keep(client, Held::Migration(Box::new(step)))?;
        put(answer.array(3).u32(number).u32(version).array(documents.len() as u64))?;
        documents.iter().try_for_each(|document| put(answer.bytes(document)))
    }

    /// `[step, false, [document…]]`: what became of its documents; or `[step, true, changes]`: the same changes of each.
    #[inline(never)]
    pub(super) fn migrate(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let number = args.handle()?;
        let Some(Held::Migration(step)) = self.held.get(number) else { return Err(closed("migration")) };
        let changed = if args.bool()? {
            let changes = update(args)?;
            let change = |document: Result<&[u8]>| {
                let mut document = Value::from_cbor(document?)?;
                changes.apply(&mut document).map(|()| document)
            };
            step.documents().map(change).collect::<Result<_>>()?
        } else {
            args.values()?
        };
        match self.database.migrate_documents(step, &changed) {
            // It goes on with the same step when what it lacks was fetched.
            Err(error) if error.not_resident().is_some() => return Err(error),
            outcome => {
                self.held.remove(number);
                outcome?;
            }
        }
        done(answer)
    }

    /// `[handle, name, schema]`: the collection whose documents are of an older version, to be changed in one transaction, under the
    /// handle that the client chose.
    #[inline(never)]
    pub(super) fn older_collection(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let number = args.handle()?;
        let (name, schema) = (args.text()?, Schema::from_value(&args.value()?)?);
        let collection = self.database.older_collection(name, &schema)?;
        self.held.open(number, Held::Collection(collection))?;
        done(answer)
    }

    /// Gives a list of `[name, key, version, expires after ms or null, how keys are made or null, documents, [[name, [paths], unique, sparse, multi, folded, ready, entries]…]]`.
    #[inline(never)]
    pub(super) fn collections(&mut self, answer: &mut Answer<'_>) -> Result<()> {
        let collections = self.database.snapshot().collections()?;
        put(answer.array(collections.len() as u64))?;
        for info in collections {
            put(answer.array(7).str(&info.name).str(&info.key).u32(info.version))?;
            match info.expires_after_ms {
                Some(after) => put(answer.u64(after))?,
                None => put(answer.null())?,
            }
            put(answer
                .optional_str(info.auto_key.map(AutoKey::name))
                .u64(info.documents)
                .array(info.indexes.len() as u64))?;
            for index in info.indexes {
                put(answer.array(8).str(&index.index.name()).array(index.paths.len() as u64))?;
                for path in &index.paths {
                    put(answer.str(path))?;
                }
                put(answer.bool(index.unique).bool(index.sparse).bool(index.multi).bool(index.folded))?;
                put(answer.bool(index.ready).u64(index.entries))?;
            }
        }
        Ok(())
    }

    /// `[scope, collection, …]`
    pub(super) fn read_collection(
        &mut self,
        operation: Operation,
        args: &mut Arguments<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<()> {
        let (scope, number) = (args.handle()?, args.handle()?);
        let is_explain = operation == Operation::Explain;
        if let Some(mut documents) = self.at_rest(scope, number)? {
            return if is_explain {
                explain(&documents, args, answer)
            } else {
                read(&mut documents, operation, args, answer)
            };
        }
        let collection = self.held.collection(number)?.clone();
        let transaction = self.held.transaction(scope)?;
        let mut documents = transaction.collection(&collection)?;
        if is_explain {
            return Err(invalid(
                "how a query is answered is asked of the database or of a snapshot, not of a transaction",
            ));
        }
        read(&mut documents, operation, args, answer)
    }

    /// `[scope, collection, query, bytes, pages]`: rows until they have so many bytes. Gives
    /// `[cursor or 0, page token or null, [row…]]`, each row CBOR in a byte string; a token where `pages` is true.
    #[inline(never)]
    pub(super) fn query(&mut self, client: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let (scope, number) = (args.handle()?, args.handle()?);
        let (query, bytes, pages) = (query(args)?, args.number()?, args.bool()?);
        if let Some(documents) = self.at_rest(scope, number)? {
            let mut rows = Box::new(documents.query(query)?);
            let (chunk, is_over) = Chunk::gather(&mut rows, bytes)?;
            let token = if pages { rows.page_token() } else { None };
            let cursor = if is_over { 0 } else { self.held.keep(client, Held::Rows(rows))? };
            return chunk.put(answer, cursor, token);
        }
        let collection = self.held.collection(number)?.clone();
        let mut chunk = Chunk::default();
        for row in self.held.transaction(scope)?.collection(&collection)?.query(query)? {
            chunk.push(&row.0);
        }
        chunk.put(answer, 0, None)
    }

    /// A collection where it does not change: now, or in a snapshot. `None` in a transaction.
    fn at_rest(&mut self, scope: u32, number: u32) -> Result<Option<ReadCollection<Raw>>> {
        let collection = self.held.collection(number)?.clone();
        if scope == NOW {
            return collection.snapshot().map(Some);
        }
        match self.held.get(scope) {
            Some(Held::Snapshot(snapshot)) => snapshot.collection(&collection).map(Some),
            _ => Ok(None),
        }
    }
}

/// A collection at rest, or in a transaction: what is read of both alike.
trait Reads {
    fn get(&mut self, key: Value) -> Result<Option<Vec<u8>>>;
    fn get_by(&mut self, index: &str, values: Vec<Value>) -> Result<Option<Vec<u8>>>;
    fn count(&mut self, query: Query) -> Result<u64>;
    fn extreme(&mut self, path: &str, query: Query, highest: bool) -> Result<Option<Value>>;
}

macro_rules! reads {
    ($($collection:ty)*) => {$(
        impl Reads for $collection {
            fn get(&mut self, key: Value) -> Result<Option<Vec<u8>>> {
                self.get_cbor(key)
            }

            fn get_by(&mut self, index: &str, values: Vec<Value>) -> Result<Option<Vec<u8>>> {
                self.get_cbor_by(index, values)
            }

            fn count(&mut self, query: Query) -> Result<u64> {
                <$collection>::count(self, query)
            }

            fn extreme(&mut self, path: &str, query: Query, highest: bool) -> Result<Option<Value>> {
                if highest { self.max(path, query) } else { self.min(path, query) }
            }
        }
    )*};
}

reads!(ReadCollection<Raw> WriteCollection<'_, Raw>);

/// After scope and collection: `[key]`, `[[key…]]`, `[index, [value…]]`, `[query]` or `[query, path, highest]`.
fn read(
    documents: &mut dyn Reads,
    operation: Operation,
    args: &mut Arguments<'_>,
    answer: &mut Answer<'_>,
) -> Result<()> {
    match operation {
        Operation::Get => put_document(answer, documents.get(args.value()?)?),
        Operation::GetMany => {
            let count = args.list()?;
            put(answer.array(count))?;
            (0..count).try_for_each(|_| put_document(answer, documents.get(args.value()?)?))
        }
        Operation::GetBy => {
            let index = args.text()?;
            put_document(answer, documents.get_by(index, args.values()?)?)
        }
        Operation::Count => put(answer.u64(documents.count(query(args)?)?)),
        _ => {
            let (query, path, highest) = (query(args)?, args.text()?, args.bool()?);
            put_item(answer, &documents.extreme(path, query, highest)?.unwrap_or_default().to_cbor()?);
            Ok(())
        }
    }
}

/// `[query]`
fn explain(documents: &ReadCollection<Raw>, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
    let how = documents.explain(query(args)?)?;
    put(answer.array(8).str(&how.plan).optional_str(how.index.as_deref()))?;
    put(answer.bool(how.is_sorted).bool(how.looks_at_documents).u64(how.estimated_rows))?;
    put(answer.u64(how.rows).u64(how.entries_read).u64(how.documents_read))
}

/// Rows that cross together.
#[derive(Default)]
pub(super) struct Chunk {
    count: u64,
    /// Each in a byte string.
    rows: Vec<u8>,
}

impl Chunk {
    /// Rows until they have so many bytes; whether they were the last.
    pub(super) fn gather(rows: &mut Rows<Raw>, bytes_max: u64) -> Result<(Self, bool)> {
        let mut chunk = Self::default();
        while (chunk.rows.len() as u64) < bytes_max {
            match rows.next_cbor_with(|row| chunk.push(row)) {
                Ok(Some(())) => {}
                Ok(None) => return Ok((chunk, true)),
                // What there is goes first; the cursor stays where it is.
                Err(error) if error.not_resident().is_some() && chunk.count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok((chunk, false))
    }

    fn push(&mut self, row: &[u8]) {
        Answer::new(&mut self.rows).bytes(row);
        self.count += 1;
    }

    pub(super) fn put(&self, answer: &mut Answer<'_>, cursor: u32, token: Option<PageToken>) -> Result<()> {
        put(answer.array(3).u32(cursor))?;
        match token {
            Some(token) => put(answer.bytes(token.as_bytes()))?,
            None => put(answer.null())?,
        }
        put(answer.array(self.count).raw(&self.rows))
    }
}

fn put_document(answer: &mut Answer<'_>, document: Option<Vec<u8>>) -> Result<()> {
    match document {
        Some(document) => {
            put_item(answer, &document);
            Ok(())
        }
        None => done(answer),
    }
}

/// Writes inside a transaction: `[…]` after scope and collection.
pub(super) fn write(
    collection: &Collection<Raw>,
    tx: &mut WriteTransaction,
    operation: Operation,
    args: &mut Arguments<'_>,
    answer: &mut Answer<'_>,
) -> Result<()> {
    let mut documents = tx.collection(collection)?;
    match operation {
        Operation::Put => match put_one(&mut documents, args)? {
            Some(key) => {
                put_item(answer, &key.to_cbor()?);
                Ok(())
            }
            None => done(answer),
        },
        Operation::Delete => put(answer.bool(documents.delete(args.value()?)?)),
        Operation::Update => {
            let key = args.value()?;
            put(answer.bool(documents.update(key, &update(args)?)?))
        }
        Operation::UpdateWhere => {
            let query = query(args)?;
            put(answer.u64(documents.update_where(query, &update(args)?)?))
        }
        Operation::DeleteWhere => put(answer.u64(documents.delete_where(query(args)?)?)),
        Operation::FinishMigration => {
            documents.finish_migration(args.handle()?)?;
            done(answer)
        }
        _ => {
            let expected = args.optional_item()?.map(|document| Raw(document.to_vec()));
            let new = Raw(args.item()?.to_vec());
            put(answer.bool(documents.compare_and_swap(expected.as_ref(), &new)?))
        }
    }
}

/// `[mode, expiry, document]`: mode 0 puts, 1 inserts, 2 replaces, 3 puts CBOR that comes in a byte string; expiry null is the
/// schema's, false never, true as it was, else milliseconds since 1970. Gives the key, if it was made.
fn put_one(documents: &mut WriteCollection<'_, Raw>, args: &mut Arguments<'_>) -> Result<Option<Value>> {
    let mode = args.number()?;
    let expiry = match args.value()? {
        Value::Null => Expiry::Default,
        Value::Bool(false) => Expiry::Never,
        Value::Bool(true) => Expiry::Kept,
        other => match other.as_integer().and_then(|at| at.try_into().ok()) {
            Some(at) => Expiry::At(at),
            None => return Err(invalid("the time when a document goes is in milliseconds since 1970")),
        },
    };
    let document = if mode == 3 { args.bytes()? } else { args.item()? };
    match (mode, expiry) {
        (0 | 3, expiry) => documents.put_cbor_expiring(document, expiry),
        (1, Expiry::Default) => documents.add_cbor(document),
        (2, Expiry::Default) => documents.replace(&Raw(document.to_vec())).map(|()| None),
        _ => Err(invalid("only put takes a time when the document goes")),
    }
}

pub(super) fn query(args: &mut Arguments<'_>) -> Result<Query> {
    match args.optional_item()? {
        Some(query) => Query::from_cbor(query),
        None => Ok(Query::new()),
    }
}

fn update(args: &mut Arguments<'_>) -> Result<Update> {
    Update::from_cbor(args.item()?)
}
