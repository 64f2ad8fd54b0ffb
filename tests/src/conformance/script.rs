//! Runs the scripts of `tests/conformance`: one operation a line, and what must come of it. Every binding has such a runner.
//!
//! A line is a JSON object. `do` is the operation; `gives` is what it must give, `fails` the name of the error it must fail with;
//! with neither it must succeed. Values and keys are in the form of [`value`](super::value), queries, updates and schemas in that of
//! `Query::from_value`, `Update::from_value` and `Schema::from_value`. Lines that begin with `#` are for people.
//!
//! | `do` | with | gives |
//! |---|---|---|
//! | `clock` | `ms`: the wall clock from now on | |
//! | `reopen` | | |
//! | `open` | `collection`, `schema`; `migrations`: `{"1": UPDATE}` for each document | |
//! | `put`, `insert`, `replace` | `collection`, `document`; `expiresMs` | |
//! | `get`, `delete` | `collection`, `key` | the document or null; whether it was there |
//! | `getBy` | `collection`, `index`, `values` | the document or null |
//! | `update` | `collection`, `key`, `update` | whether it was there |
//! | `swap` | `collection`, `expected` (a document or null), `document` | whether it was |
//! | `query` | `collection`, `query` | the documents, or with `keys: true` what is under `key` in each |
//! | `pages` | `collection`, `query` | the pages, one after the other, as lists of documents or keys |
//! | `explain` | `collection`, `query` | `{"index": …, "sorted": …}` |
//! | `count` | `collection`, `query` | how many |
//! | `min`, `max` | `collection`, `path`, `query` | the value or null |
//! | `deleteWhere`, `updateWhere` | `collection`, `query`, `update` | how many |
//! | `dropIndex` | `collection`, `index` | whether there was one |
//! | `dropCollection` | `collection` | whether there was one |
//! | `removeExpired` | | |
//! | `transaction` | `steps`: operations; one that fails undoes all | |
//! | `begin` | `as`: a name, `isolation` | |
//! | `commit`, `rollback` | `in`: the name | |
//! | `check` | | problems found, as a number |
//!
//! An operation with `in` is done in the transaction of that name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use lightning_db::env::{Clock, MemoryStorage, SeededEntropy, Storage};
use lightning_db::query::Update;
use lightning_db::{
    Collection, Database, Environment, Error, Expiry, Isolation, Migrations, Options, Progress, Query, Schema,
    Transaction, Value, WriteTransaction,
};
use serde_json::{Value as Json, json};

use super::value::{read, write};

/// A clock that scripts set.
#[derive(Debug, Default)]
struct ScriptClock(AtomicU64);

impl Clock for ScriptClock {
    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn monotonic_ns(&self) -> u64 {
        0
    }
}

/// A script under way.
struct Script {
    storage: Arc<MemoryStorage>,
    clock: Arc<ScriptClock>,
    database: Option<Database>,
    collections: HashMap<String, Collection<Value>>,
    transactions: HashMap<String, Transaction>,
}

/// Runs one script; gives how many operations it has.
pub fn run(path: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut script = Script {
        storage: Arc::default(),
        clock: Arc::default(),
        database: None,
        collections: HashMap::new(),
        transactions: HashMap::new(),
    };
    script.open()?;
    let mut operations = 0;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let step: Json = serde_json::from_str(line).with_context(|| format!("line {}", at + 1))?;
        script.step(&step).with_context(|| format!("line {}: {line}", at + 1))?;
        operations += 1;
    }
    Ok(operations)
}

impl Script {
    fn open(&mut self) -> Result<()> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let env = Environment { clock, entropy: Arc::new(SeededEntropy::new(1)) };
        let mut options = Options::default();
        options.background_thread = false;
        let storage = Arc::clone(&self.storage) as Arc<dyn Storage>;
        self.database = Some(Database::open_storage(storage, env, options)?);
        Ok(())
    }

    fn database(&self) -> Result<&Database> {
        self.database.as_ref().context("the database is not open")
    }

    /// Does one operation and looks whether what must come of it does.
    fn step(&mut self, step: &Json) -> Result<()> {
        let outcome = match self.perform(step) {
            // What cannot be asked is found while it is read.
            Err(error) => Err(error.downcast::<Error>()?),
            Ok(outcome) => outcome,
        };
        match (step.get("fails"), outcome) {
            (Some(name), Err(error)) => ensure!(name == error.name(), "failed with {}: {error}", error.name()),
            (Some(name), Ok(_)) => bail!("it did not fail with {name}"),
            (None, Err(error)) => bail!("{}: {error}", error.name()),
            (None, Ok(given)) => {
                if let Some(expected) = step.get("gives") {
                    ensure!(*expected == given, "it gave {given}");
                }
            }
        }
        Ok(())
    }

    /// The inner result is the database's, the outer one the script's.
    fn perform(&mut self, step: &Json) -> Result<Result<Json, Error>> {
        let what = text(step, "do")?;
        Ok(match what {
            "clock" => {
                self.clock.0.store(step["ms"].as_u64().context("ms is a number")?, Ordering::Relaxed);
                Ok(Json::Null)
            }
            "reopen" => {
                self.transactions.clear();
                self.collections.clear();
                let closed = self.database()?.close();
                self.database = None;
                self.open()?;
                closed.map(|()| Json::Null)
            }
            "open" => self.open_collection(step)?,
            "dropCollection" => self.database()?.drop_collection(text(step, "collection")?).map(Json::Bool),
            "removeExpired" => {
                while self.database()?.remove_expired()? == Progress::More {}
                Ok(Json::Null)
            }
            "check" => self.database()?.check().map(|report| json!(report.problems.len())),
            "begin" => {
                let isolation = match text(step, "isolation")? {
                    "readCommitted" => Isolation::ReadCommitted,
                    "snapshot" => Isolation::Snapshot,
                    "serializable" => Isolation::Serializable,
                    other => bail!("there is no isolation '{other}'"),
                };
                let transaction = self.database()?.begin(isolation);
                self.transactions.insert(text(step, "as")?.to_owned(), transaction);
                Ok(Json::Null)
            }
            "commit" => self.transaction(step)?.commit().map(|()| Json::Null),
            "rollback" => {
                drop(self.transaction(step)?);
                Ok(Json::Null)
            }
            "transaction" => {
                let steps = step["steps"].as_array().context("steps is a list")?;
                let database = self.database()?.clone();
                let mut mistake = None;
                let outcome = database.transaction(|tx| {
                    for step in steps {
                        match self.write(tx, step) {
                            Ok(Ok(given)) => {
                                if step.get("gives").is_some_and(|expected| *expected != given) {
                                    mistake = Some(anyhow::anyhow!("{step} gave {given}"));
                                }
                            }
                            Ok(Err(error)) => return Err(error),
                            Err(error) => mistake = Some(error),
                        }
                    }
                    Ok(())
                });
                if let Some(mistake) = mistake {
                    return Err(mistake);
                }
                outcome.map(|()| Json::Null)
            }
            _ => match step.get("in") {
                Some(name) => {
                    let name = name.as_str().context("in is a name")?.to_owned();
                    let mut transaction = self.transactions.remove(&name).context("there is no such transaction")?;
                    let outcome = self.write(&mut transaction, step);
                    self.transactions.insert(name, transaction);
                    outcome?
                }
                None => self.alone(what, step)?,
            },
        })
    }

    fn transaction(&mut self, step: &Json) -> Result<Transaction> {
        self.transactions.remove(text(step, "in")?).context("there is no such transaction")
    }

    fn collection(&self, step: &Json) -> Result<&Collection<Value>> {
        self.collections.get(text(step, "collection")?).context("the script has not opened this collection")
    }

    fn open_collection(&mut self, step: &Json) -> Result<Result<Json, Error>> {
        let (name, schema) = (text(step, "collection")?, read(&step["schema"])?);
        let schema = match Schema::from_value(&schema) {
            Ok(schema) => schema,
            Err(error) => return Ok(Err(error)),
        };
        let mut migrations = Migrations::new();
        for (from, update) in step["migrations"].as_object().into_iter().flatten() {
            let update = Update::from_value(&read(update)?)?;
            migrations = migrations.documents(from.parse()?, move |document| update.apply(document));
        }
        let opened = self.database()?.collection_with(name, schema, migrations, &mut |_| {});
        Ok(opened.map(|collection| {
            self.collections.insert(name.to_owned(), collection);
            Json::Null
        }))
    }

    /// An operation that is a transaction of its own, or reads what is now.
    fn alone(&mut self, what: &str, step: &Json) -> Result<Result<Json, Error>> {
        let collection = self.collection(step)?.clone();
        let documents = || -> Result<_> { Ok(collection.query(query(step)?)) };
        Ok(match what {
            "getBy" => {
                let values = step["values"].as_array().context("values is a list")?;
                let values = values.iter().map(read).collect::<Result<Vec<Value>>>()?;
                given(collection.get_by(text(step, "index")?, values))
            }
            "query" => match documents()? {
                Ok(rows) => rows.collect::<Result<Vec<_>, _>>().map(|rows| listed(&rows, step)),
                Err(error) => Err(error),
            },
            "pages" => {
                let (mut pages, mut token) = (Vec::new(), None);
                loop {
                    let query = match token.take() {
                        Some(token) => query(step)?.after(token),
                        None => query(step)?,
                    };
                    let mut rows = collection.query(query)?;
                    let page = rows.by_ref().collect::<Result<Vec<_>, _>>()?;
                    token = rows.page_token();
                    if page.is_empty() {
                        break;
                    }
                    pages.push(listed(&page, step));
                }
                Ok(Json::Array(pages))
            }
            "explain" => {
                collection.explain(query(step)?).map(|how| json!({"index": how.index, "sorted": how.is_sorted}))
            }
            "count" => collection.count(query(step)?).map(|count| json!(count)),
            "min" => given(collection.snapshot()?.min(text(step, "path")?, query(step)?)),
            "max" => given(collection.snapshot()?.max(text(step, "path")?, query(step)?)),
            "get" => given(collection.get(read(&step["key"])?)),
            "dropIndex" => collection.drop_index(text(step, "index")?).map(Json::Bool),
            _ => {
                let (database, mut mistake) = (self.database()?.clone(), None);
                let outcome = database.transaction(|tx| match self.write(tx, step) {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        mistake = Some(error);
                        Ok(Json::Null)
                    }
                });
                if let Some(mistake) = mistake {
                    return Err(mistake);
                }
                outcome
            }
        })
    }

    /// An operation in a transaction.
    fn write(&self, tx: &mut WriteTransaction, step: &Json) -> Result<Result<Json, Error>> {
        let mut documents = match tx.collection(self.collection(step)?) {
            Ok(documents) => documents,
            Err(error) => return Ok(Err(error)),
        };
        let document = || read(&step["document"]);
        let key = || read(&step["key"]);
        let update = || -> Result<_> { Ok(Update::from_value(&read(&step["update"])?)) };
        let done = |outcome: Result<(), Error>| outcome.map(|()| Json::Null);
        Ok(match text(step, "do")? {
            "put" => match step.get("expiresMs") {
                Some(at) => done(
                    documents.put_expiring(&document()?, Expiry::At(at.as_u64().context("expiresMs is a number")?)),
                ),
                None => done(documents.put(&document()?)),
            },
            "insert" => done(documents.insert(&document()?)),
            "replace" => done(documents.replace(&document()?)),
            "get" => given(documents.get(key()?)),
            "delete" => documents.delete(key()?).map(Json::Bool),
            "query" => documents.query(query(step)?).map(|rows| listed(&rows, step)),
            "count" => documents.count(query(step)?).map(|count| json!(count)),
            "update" => match update()? {
                Ok(update) => documents.update(key()?, &update).map(Json::Bool),
                Err(error) => Err(error),
            },
            "updateWhere" => match update()? {
                Ok(update) => documents.update_where(query(step)?, &update).map(|count| json!(count)),
                Err(error) => Err(error),
            },
            "deleteWhere" => documents.delete_where(query(step)?).map(|count| json!(count)),
            "swap" => {
                let expected = match &step["expected"] {
                    Json::Null => None,
                    expected => Some(read(expected)?),
                };
                documents.compare_and_swap(expected.as_ref(), &document()?).map(Json::Bool)
            }
            other => bail!("there is no operation '{other}'"),
        })
    }
}

/// The query of an operation; without one all documents.
fn query(step: &Json) -> Result<Query> {
    match step.get("query") {
        None => Ok(Query::new()),
        Some(query) => Ok(Query::from_value(&read(query)?)?),
    }
}

fn given(outcome: Result<Option<Value>, Error>) -> Result<Json, Error> {
    outcome.map(|value| value.as_ref().map_or(Json::Null, write))
}

/// Documents, or what is under the field that `keys` names in each.
fn listed(rows: &[Value], step: &Json) -> Json {
    let shown = |row: &Value| match (row, step.get("keys").and_then(Json::as_str)) {
        (Value::Map(fields), Some(key)) => {
            fields.iter().find(|(name, _)| name == key).map_or(Json::Null, |(_, value)| write(value))
        }
        (row, _) => write(row),
    };
    Json::Array(rows.iter().map(shown).collect())
}

fn text<'j>(step: &'j Json, name: &str) -> Result<&'j str> {
    step[name].as_str().with_context(|| format!("'{name}' is a text"))
}
