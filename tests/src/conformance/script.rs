//! Runs the scripts of `tests/conformance`, as the `README.md` there describes them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use lightning_db::env::{Clock, MemoryStorage, SeededEntropy, Storage};
use lightning_db::{
    Collection, Database, Environment, Error, FeedPosition, Isolation, Migrations, Options, PageToken, Progress, Query,
    Rows, Schema, Since, Snapshot, Transaction, Value, WriteTransaction,
};
use serde_json::{Value as Json, json};

use super::document::{describe, given, listed, query, shown, update, write_documents};
use super::live::{Feed, Watch};
use super::table::{ScriptTable, table};
use super::value::read;
use super::{Outcome, done};

/// What an operation may have beside its name.
const MEMBERS: &[&str] = &[
    "above",
    "after",
    "as",
    "at",
    "below",
    "by",
    "cbor",
    "collection",
    "do",
    "document",
    "expected",
    "expires",
    "fails",
    "feedRetentionBytes",
    "from",
    "gives",
    "in",
    "index",
    "isolation",
    "key",
    "keys",
    "limit",
    "migrations",
    "ms",
    "of",
    "path",
    "query",
    "reverse",
    "schema",
    "since",
    "steps",
    "table",
    "to",
    "update",
    "value",
    "values",
];

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

/// What a script has given a name with `as`.
#[expect(clippy::large_enum_variant, reason = "there are a few of them")]
enum Named {
    Transaction(Transaction),
    Snapshot(Snapshot),
    Rows(Rows<Value>),
    Watch(Watch),
    Feed(Feed),
    Token(PageToken),
    Position([u8; FeedPosition::BYTES]),
}

/// A script under way.
struct Script {
    storage: Arc<MemoryStorage>,
    clock: Arc<ScriptClock>,
    database: Option<Database>,
    /// Databases that were opened so far.
    openings: u64,
    collections: HashMap<String, Collection<Value>>,
    /// Names of all collections there ever were.
    known: HashSet<String>,
    tables: HashMap<String, Box<dyn ScriptTable>>,
    named: HashMap<String, Named>,
}

/// Runs one script; gives how many operations it has.
pub fn run(path: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut script = Script {
        storage: Arc::default(),
        clock: Arc::default(),
        database: None,
        openings: 0,
        collections: HashMap::new(),
        known: HashSet::new(),
        tables: HashMap::new(),
        named: HashMap::new(),
    };
    script.open(&Json::Null)?;
    let mut operations = 0;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let step: Json = serde_json::from_str(line).with_context(|| format!("line {}", at + 1))?;
        only_known_members(&step).with_context(|| format!("line {}: {line}", at + 1))?;
        script.step(&step).with_context(|| format!("line {}: {line}", at + 1))?;
        operations += 1;
    }
    Ok(operations)
}

impl Script {
    fn open(&mut self, step: &Json) -> Result<()> {
        self.openings += 1;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let env = Environment { clock, entropy: Arc::new(SeededEntropy::new(self.openings)) };
        let mut options = Options::default();
        options.background_thread = false;
        options.feed_retention_bytes = step.get("feedRetentionBytes").and_then(Json::as_u64).unwrap_or(0);
        let storage = Arc::clone(&self.storage) as Arc<dyn Storage>;
        self.database = Some(Database::open_storage(storage, env, options)?);
        Ok(())
    }

    fn database(&self) -> Result<&Database> {
        self.database.as_ref().context("the database is not open")
    }

    /// Does one operation and looks whether what must come of it does.
    fn step(&mut self, step: &Json) -> Result<()> {
        compare(step, flat(self.perform(step))?)
    }

    fn perform(&mut self, step: &Json) -> Outcome {
        let what = text(step, "do")?;
        Ok(match what {
            "clock" => {
                self.clock.0.store(step["ms"].as_u64().context("ms is a number")?, Ordering::Relaxed);
                Ok(Json::Null)
            }
            "close" => done(self.database()?.close()),
            "reopen" => {
                self.forget();
                done(self.database()?.close())?;
                self.database = None;
                self.open(step)?;
                Ok(Json::Null)
            }
            "newDatabase" => {
                self.forget();
                self.database = None;
                self.storage = Arc::default();
                self.open(step)?;
                Ok(Json::Null)
            }
            "removeExpired" => {
                while self.database()?.remove_expired()? == Progress::More {}
                Ok(Json::Null)
            }
            "check" => self.database()?.check().map(|report| json!(report.problems.len())),
            "open" => self.open_collection(step)?,
            "openExisting" => {
                let name = text(step, "collection")?;
                let opened = self.database()?.existing_collection(name);
                self.opened(name, opened)
            }
            "openTable" => {
                let (name, types) = (text(step, "table")?, (text(step, "keys")?, text(step, "values")?));
                let table = table(name, types.0, types.1)?;
                let made = table.make(self.database()?);
                if made.is_ok() {
                    self.tables.insert(name.to_owned(), table);
                }
                done(made)
            }
            "dropCollection" => self.database()?.drop_collection(text(step, "collection")?).map(Json::Bool),
            "dropTable" => {
                let name = text(step, "table")?;
                self.database()?.transaction(|tx| tx.drop_table(name)).map(Json::Bool)
            }
            "begin" => {
                let isolation = match text(step, "isolation")? {
                    "readCommitted" => Isolation::ReadCommitted,
                    "snapshot" => Isolation::Snapshot,
                    "serializable" => Isolation::Serializable,
                    other => bail!("there is no isolation '{other}'"),
                };
                let transaction = self.database()?.begin(isolation);
                self.name(step, Named::Transaction(transaction))
            }
            "commit" => match self.named.remove(text(step, "in")?) {
                Some(Named::Transaction(mut transaction)) => done(transaction.commit()),
                _ => bail!("there is no such transaction"),
            },
            "rollback" => match self.named.remove(text(step, "in")?) {
                Some(Named::Transaction(_)) => Ok(Json::Null),
                _ => bail!("there is no such transaction"),
            },
            "drop" => {
                self.named.remove(text(step, "of")?).context("there is nothing of this name")?;
                Ok(Json::Null)
            }
            "transaction" => self.closure(step)?,
            "snapshot" => {
                let snapshot = self.database()?.snapshot();
                self.name(step, Named::Snapshot(snapshot))
            }
            "watch" => {
                let watch = self.collection(step)?.watch(self.query_after(step)?)?;
                self.name(step, Named::Watch(Watch::new(watch)))
            }
            "changes" => {
                let feed = self.database()?.changes(self.since(step)?)?;
                self.name(step, Named::Feed(Feed::new(feed)))
            }
            "position" => {
                let position = match step.get("of") {
                    None => self.database()?.snapshot().position(),
                    Some(_) => match self.of(step)? {
                        Named::Feed(feed) => feed.feed.position(),
                        _ => bail!("this has no position"),
                    },
                };
                self.name(step, Named::Position(position.to_bytes()))
            }
            "rows" => {
                let rows = self.collection(step)?.query(query(step)?)?;
                self.name(step, Named::Rows(rows))
            }
            "next" => {
                let known = std::mem::take(&mut self.known);
                let next = match self.of(step)? {
                    Named::Watch(watch) => watch.next(step),
                    Named::Feed(feed) => feed.next(&known),
                    Named::Rows(rows) => {
                        Ok(rows.next().transpose().map(|row| row.map_or(Json::Null, |row| shown(&row, step))))
                    }
                    _ => bail!("this has no next"),
                };
                self.known = known;
                next?
            }
            "page" => self.page(step)?,
            _ => match step.get("in") {
                Some(name) => {
                    let name = name.as_str().context("in is a name")?.to_owned();
                    let Some(Named::Transaction(mut transaction)) = self.named.remove(&name) else {
                        bail!("there is no such transaction")
                    };
                    let outcome = flat(self.write(&mut transaction, step));
                    self.named.insert(name, Named::Transaction(transaction));
                    outcome?
                }
                None => self.alone(what, step)?,
            },
        })
    }

    /// Ends all that hangs on the database.
    fn forget(&mut self) {
        self.named.retain(|_, named| matches!(named, Named::Token(_) | Named::Position(_)));
        self.collections.clear();
        self.tables.clear();
    }

    fn name(&mut self, step: &Json, named: Named) -> Result<Json, Error> {
        if let Some(name) = step["as"].as_str() {
            self.named.insert(name.to_owned(), named);
        }
        Ok(Json::Null)
    }

    fn of(&mut self, step: &Json) -> Result<&mut Named> {
        self.named.get_mut(text(step, "of")?).context("there is nothing of this name")
    }

    fn collection(&self, step: &Json) -> Result<&Collection<Value>> {
        self.collections.get(text(step, "collection")?).context("the script has not opened this collection")
    }

    fn table(&self, step: &Json) -> Result<Option<&dyn ScriptTable>> {
        let Some(name) = step.get("table").and_then(Json::as_str) else { return Ok(None) };
        self.tables.get(name).map(|table| Some(&**table)).context("the script has not opened this table")
    }

    fn opened(&mut self, name: &str, opened: Result<Collection<Value>, Error>) -> Result<Json, Error> {
        self.collections.insert(name.to_owned(), opened?);
        self.known.insert(name.to_owned());
        Ok(Json::Null)
    }

    fn open_collection(&mut self, step: &Json) -> Outcome {
        let (name, schema) = (text(step, "collection")?, Schema::from_value(&read(&step["schema"])?)?);
        let mistake = RefCell::new(None);
        let mut migrations = Migrations::new();
        for (from, how) in step["migrations"].as_object().into_iter().flatten() {
            let (from, mistake) = (from.parse()?, &mistake);
            migrations = match how.get("transaction") {
                None => {
                    let change = update(&json!({"update": how}))?;
                    migrations.documents(from, move |document| change.apply(document))
                }
                Some(steps) => {
                    let steps = steps.as_array().context("the transaction is a list")?;
                    migrations.transaction(from, move |documents| {
                        all(steps, mistake, |step| write_documents(documents, step))
                    })
                }
            };
        }
        let opened = self.database()?.collection_with(name, schema, migrations, &mut |_| {});
        match mistake.into_inner() {
            Some(mistake) => Err(mistake),
            None => Ok(self.opened(name, opened)),
        }
    }

    fn closure(&self, step: &Json) -> Outcome {
        let steps = step["steps"].as_array().context("steps is a list")?;
        let mistake = RefCell::new(None);
        let outcome = self.database()?.transaction(|tx| all(steps, &mistake, |step| self.write(tx, step)));
        match mistake.into_inner() {
            Some(mistake) => Err(mistake),
            None => Ok(done(outcome)),
        }
    }

    /// An operation that is a transaction of its own, or reads what is now, or what a snapshot sees.
    fn alone(&self, what: &str, step: &Json) -> Outcome {
        let now;
        let snapshot = match step.get("at") {
            None => {
                now = self.database()?.snapshot();
                &now
            }
            Some(name) => match self.named.get(name.as_str().context("at is a name")?) {
                Some(Named::Snapshot(snapshot)) => snapshot,
                _ => bail!("there is no such snapshot"),
            },
        };
        if let Some(table) = self.table(step)?
            && matches!(what, "get" | "range" | "count")
        {
            return table.read(snapshot, step);
        }
        if step.get("table").is_some() {
            return self.in_one(step);
        }
        let collection = self.collection(step)?;
        // What asks the catalogue by itself.
        match what {
            "describe" => return Ok(describe(collection)),
            "dropIndex" => return Ok(collection.drop_index(text(step, "index")?).map(Json::Bool)),
            _ => {}
        }
        let documents = snapshot.collection(collection)?;
        Ok(match what {
            "get" => given(documents.get(read(&step["key"])?)),
            "getMany" => documents.get_many(values(step, "keys")?).map(|found| {
                found.iter().map(|found| found.as_ref().map_or(Json::Null, super::value::write)).collect()
            }),
            "getBy" => given(documents.get_by(text(step, "index")?, values(step, "values")?)),
            "query" => documents.query(query(step)?)?.collect::<Result<Vec<_>, _>>().map(|rows| listed(&rows, step)),
            "pages" => {
                let (mut pages, mut token) = (Vec::new(), None);
                loop {
                    let query = query(step)?;
                    let mut rows = documents.query(match token.take() {
                        Some(token) => query.after(token),
                        None => query,
                    })?;
                    let page = rows.by_ref().collect::<Result<Vec<_>, _>>()?;
                    token = rows.page_token();
                    if page.is_empty() {
                        break;
                    }
                    pages.push(listed(&page, step));
                }
                Ok(Json::Array(pages))
            }
            "explain" => documents.explain(query(step)?).map(|how| {
                json!({"index": how.index, "sorted": how.is_sorted, "filtered": how.looks_at_documents, "rows": how.rows})
            }),
            "count" => documents.count(query(step)?).map(|count| json!(count)),
            "min" => given(documents.min(text(step, "path")?, query(step)?)),
            "max" => given(documents.max(text(step, "path")?, query(step)?)),
            _ => self.in_one(step)?,
        })
    }

    /// An operation that is a transaction of its own.
    fn in_one(&self, step: &Json) -> Outcome {
        let mut mistake = None;
        let outcome = self.database()?.transaction(|tx| match flat(self.write(tx, step)) {
            Ok(outcome) => outcome,
            Err(error) => {
                mistake = Some(error);
                Ok(Json::Null)
            }
        });
        mistake.map_or(Ok(outcome), Err)
    }

    /// An operation in a transaction.
    fn write(&self, tx: &mut WriteTransaction, step: &Json) -> Outcome {
        if let Some(table) = self.table(step)? {
            return table.write(tx, step);
        }
        match tx.collection(self.collection(step)?) {
            Ok(mut documents) => write_documents(&mut documents, step),
            Err(error) => Ok(Err(error)),
        }
    }

    fn page(&mut self, step: &Json) -> Outcome {
        let mut rows = self.collection(step)?.query(self.query_after(step)?)?;
        let page = rows.by_ref().collect::<Result<Vec<_>, _>>()?;
        if let Some(token) = rows.page_token() {
            self.name(step, Named::Token(token))?;
        }
        Ok(Ok(listed(&page, step)))
    }

    /// The query of an operation, behind the page that `after` names.
    fn query_after(&self, step: &Json) -> Result<Query> {
        let query = query(step)?;
        Ok(match step.get("after").and_then(Json::as_str) {
            None => query,
            Some(name) => match self.named.get(name) {
                Some(Named::Token(token)) => query.after(PageToken::from_bytes(token.as_bytes())),
                _ => bail!("there is no such token"),
            },
        })
    }

    fn since(&self, step: &Json) -> Result<Since> {
        let bytes = match &step["since"] {
            Json::String(word) if word == "now" => return Ok(Since::Now),
            Json::String(word) if word == "oldest" => return Ok(Since::Oldest),
            Json::String(name) => match self.named.get(name) {
                Some(Named::Position(bytes)) => bytes.to_vec(),
                _ => bail!("there is no such position"),
            },
            bytes => read(bytes)?.as_bytes().context("since is a name or bytes")?.to_vec(),
        };
        Ok(FeedPosition::from_bytes(&bytes)?.into())
    }
}

/// Does operations one after the other and compares what they give, up to the first that fails and is not said to.
fn all(
    steps: &[Json],
    mistake: &RefCell<Option<anyhow::Error>>,
    mut perform: impl FnMut(&Json) -> Outcome,
) -> Result<(), Error> {
    for step in steps {
        match flat(perform(step)) {
            Ok(Err(error)) if step.get("fails").is_none() => return Err(error),
            outcome => {
                if let Err(error) = outcome.and_then(|outcome| compare(step, outcome)) {
                    mistake.borrow_mut().get_or_insert(error.context(step.to_string()));
                }
            }
        }
    }
    Ok(())
}

/// What the database cannot be asked is found while an operation is read, and is the database's error too.
fn flat(outcome: Outcome) -> Outcome {
    outcome.or_else(|error| Ok(Err(error.downcast::<Error>()?)))
}

fn compare(step: &Json, outcome: Result<Json, Error>) -> Result<()> {
    match (step.get("fails"), outcome) {
        (Some(name), Err(error)) => ensure!(name == error.name(), "failed with {}: {error}", error.name()),
        (Some(name), Ok(_)) => bail!("it did not fail with {name}"),
        (None, Err(error)) => bail!("{}: {error}", error.name()),
        (None, Ok(given)) => match step.get("gives") {
            Some(expected) if is_told_in_part(step) => {
                let members = expected.as_object().context("it gives an object")?;
                ensure!(members.iter().all(|(name, value)| given.get(name) == Some(value)), "it gave {given}");
            }
            Some(expected) => ensure!(*expected == given, "it gave {given}"),
            None => {}
        },
    }
    Ok(())
}

/// Of what is told of a plan or a collection, only what the script names must be so.
fn is_told_in_part(step: &Json) -> bool {
    matches!(step["do"].as_str(), Some("explain" | "describe"))
}

/// Refuses what is written wrong, which would say nothing.
fn only_known_members(step: &Json) -> Result<()> {
    let members = step.as_object().context("an operation is an object")?;
    for name in members.keys() {
        ensure!(MEMBERS.contains(&name.as_str()), "an operation has no '{name}'");
    }
    ensure!(!(members.contains_key("gives") && members.contains_key("fails")), "it cannot give something and fail");
    for inner in ["steps", "transaction"].iter().filter_map(|name| members.get(*name)?.as_array()) {
        inner.iter().try_for_each(only_known_members)?;
    }
    Ok(())
}

fn values(step: &Json, name: &str) -> Result<Vec<Value>> {
    step[name].as_array().with_context(|| format!("'{name}' is a list"))?.iter().map(read).collect()
}

/// A member that is a text.
pub fn text<'j>(step: &'j Json, name: &str) -> Result<&'j str> {
    step[name].as_str().with_context(|| format!("'{name}' is a text"))
}
