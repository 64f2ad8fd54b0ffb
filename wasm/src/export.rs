//! What JavaScript calls: a database, opened on a storage, that answers requests.

use std::rc::Rc;
use std::sync::Arc;

use lightning_db::env::{FileId, MemoryStorage, Storage};
use lightning_db::{Database, Document, Durability, Environment, Error, Options, Progress, Result, Value};
use wasm_bindgen::prelude::*;
#[cfg(feature = "encryption")]
use zeroize::Zeroizing;

use crate::environment::{JsClock, JsEntropy};
use crate::handles::{FileHandle, HandleStorage};
use crate::indexed_db::IndexedDb;
#[cfg(feature = "encryption")]
use crate::keys;
use crate::session::{Operation, Session};
#[cfg(feature = "encryption")]
use crate::wire::Arguments;
use crate::wire::{self, invalid, next_frame};

/// Entries that one step of background work handles: a step is over before anyone notices.
const STEP_ENTRIES: usize = 1024;
const MEMORY_BUDGET_BYTES: usize = 32 << 20;
/// Grown files are charged to the origin's quota.
const LOG_SEGMENT_BYTES: u32 = 512 << 10;

/// An open database. Everything is asked of it by [`call`](Self::call); errors are frames of the answer, and what is thrown
/// is the frame of an error, too.
#[wasm_bindgen]
pub struct Engine {
    session: Session,
    place: Place,
}

enum Place {
    Handles(Arc<HandleStorage>),
    IndexedDb(Rc<IndexedDb>),
    Memory,
}

#[wasm_bindgen]
impl Engine {
    /// Opens the database of this name in IndexedDB; or, for reading, as if the bytes of `restored` were in its place: closing makes
    /// it so, in one transaction, and dropped before, everything stays as it was.
    #[wasm_bindgen(js_name = openIndexedDb)]
    pub async fn open_indexed_db(
        name: String,
        options: Vec<u8>,
        restored: Option<js_sys::Uint8Array>,
    ) -> Result<Engine, Vec<u8>> {
        #[cfg(feature = "encryption")]
        let options = Zeroizing::new(options);
        let open = async {
            let options = read_options(&options)?;
            let driver = Rc::new(IndexedDb::open(&name).await?);
            let opened = Self::open_driver(driver.clone(), options, restored).await;
            if opened.is_err() {
                driver.rest().await;
            }
            opened
        };
        open.await.map_err(thrown)
    }

    /// As [`call`](Self::call), on any storage.
    #[wasm_bindgen(js_name = callLater)]
    pub async fn call_later(&mut self, client: u32, request: Vec<u8>, durable: bool) -> Vec<u8> {
        #[cfg(feature = "encryption")]
        let request = Zeroizing::new(request);
        let Place::IndexedDb(driver) = &self.place else { return self.answer(client, &request, durable) };
        let driver = Rc::clone(driver);
        let mut answers = Answers::default();
        let mut rest = request.as_slice();
        while let Some(next) = next_frame(rest) {
            let Ok(frame) = next.inspect_err(|error| wire::failure(&mut answers.out, error)) else { break };
            rest = frame.rest;
            let outcome = loop {
                let (session, out, place) = (&mut self.session, &mut answers.out, answers.count);
                let perform =
                    || wire::answer_frame(out, |out| session.perform(client, place, frame.first, frame.body, out));
                match driver.run(perform).await {
                    // What it did is not done again: it waits for what it wrote.
                    Err(Error::Pending(_)) => match self.flush().await {
                        Ok(()) => {}
                        Err(error) => break Err(error),
                    },
                    outcome => break outcome,
                }
            };
            answers.took(frame.first, outcome);
        }
        let settled = if !answers.commits {
            Ok(())
        } else if durable {
            self.sync().await
        } else {
            self.flush().await
        };
        answers.settled(settled)
    }

    /// Does one bounded piece of background work; whether there is more.
    pub fn step(&mut self) -> Result<bool, Vec<u8>> {
        self.session.database().step().map(|progress| progress == Progress::More).map_err(thrown)
    }

    /// As [`step`](Self::step), on any storage.
    #[wasm_bindgen(js_name = stepLater)]
    pub async fn step_later(&mut self) -> Result<bool, Vec<u8>> {
        let Place::IndexedDb(driver) = &self.place else { return self.step() };
        let driver = Rc::clone(driver);
        let step = async {
            let progress = match driver.run(|| self.session.database().step()).await {
                // It goes on when what it waits for is complete.
                Err(Error::Pending(_)) => Progress::More,
                progress => progress?,
            };
            self.flush().await?;
            Ok(progress == Progress::More)
        };
        step.await.map_err(thrown)
    }

    /// Whether anyone follows a live result: without that nothing is to be told, and nothing wakes.
    #[wasm_bindgen(js_name = hasLive)]
    pub fn has_live(&self) -> bool {
        self.session.has_live()
    }

    /// Calls `tell(client, frames)` for each client that is to hear of live results.
    pub fn events(&mut self, tell: &js_sys::Function) -> Result<(), Vec<u8>> {
        self.session.events(&mut teller(tell)).map_err(thrown)
    }

    /// As [`events`](Self::events), on any storage.
    #[wasm_bindgen(js_name = eventsLater)]
    pub async fn events_later(&mut self, tell: js_sys::Function) -> Result<(), Vec<u8>> {
        let Place::IndexedDb(driver) = &self.place else { return self.events(&tell) };
        let driver = Rc::clone(driver);
        driver.run(|| self.session.events(&mut teller(&tell))).await.map_err(thrown)
    }

    /// When the next row of a live result goes by itself, in milliseconds since 1970.
    #[wasm_bindgen(js_name = wakeAtMs)]
    pub fn wake_at_ms(&mut self) -> Option<f64> {
        self.session.wake_at_ms().map(|at| at as f64)
    }

    /// Forgets what a client held, because it is gone.
    pub fn disconnect(&mut self, client: u32) {
        self.session.disconnect(client);
    }

    /// Brings everything into the data file and closes the database. What is asked of it afterwards fails.
    pub fn close(&mut self) -> Result<(), Vec<u8>> {
        self.session.database().close().map_err(thrown)
    }

    /// As [`close`](Self::close), on any storage.
    #[wasm_bindgen(js_name = closeLater)]
    pub async fn close_later(&mut self) -> Result<(), Vec<u8>> {
        let Place::IndexedDb(driver) = &self.place else { return self.close() };
        let driver = Rc::clone(driver);
        let close = async {
            loop {
                match driver.run(|| self.session.database().close()).await {
                    Err(Error::Pending(_)) => self.flush().await?,
                    Err(error) => return Err(error),
                    Ok(()) => return self.flush().await,
                }
            }
        };
        let closed = close.await;
        driver.rest().await;
        closed.map_err(thrown)
    }
}

#[cfg(not(feature = "encryption"))]
#[wasm_bindgen]
impl Engine {
    /// Opens the database in two files, given as synchronous access handles.
    #[wasm_bindgen(js_name = openFiles)]
    pub fn open_files(name: &str, data: FileHandle, log: FileHandle, options: &[u8]) -> Result<Engine, Vec<u8>> {
        Self::in_files(name, data, log, options).map_err(thrown)
    }

    /// Opens a database in memory.
    #[wasm_bindgen(js_name = openMemory)]
    pub fn open_memory(options: &[u8]) -> Result<Engine, Vec<u8>> {
        Self::in_memory(options).map_err(thrown)
    }

    /// Answers a request of `client` on files or in memory; `durable` makes what it commits survive a power loss before it
    /// returns.
    pub fn call(&mut self, client: u32, request: &[u8], durable: bool) -> Vec<u8> {
        self.answer(client, request, durable)
    }
}

/// The same for who may send a key along: the bytes are wiped.
#[cfg(feature = "encryption")]
#[wasm_bindgen]
impl Engine {
    /// Opens the database in two files, given as synchronous access handles.
    #[wasm_bindgen(js_name = openFiles)]
    pub fn open_files(name: &str, data: FileHandle, log: FileHandle, options: Vec<u8>) -> Result<Engine, Vec<u8>> {
        Self::in_files(name, data, log, &Zeroizing::new(options)).map_err(thrown)
    }

    /// Opens a database in memory.
    #[wasm_bindgen(js_name = openMemory)]
    pub fn open_memory(options: Vec<u8>) -> Result<Engine, Vec<u8>> {
        Self::in_memory(&Zeroizing::new(options)).map_err(thrown)
    }

    /// Answers a request of `client` on files or in memory; `durable` makes what it commits survive a power loss before it
    /// returns.
    pub fn call(&mut self, client: u32, request: Vec<u8>, durable: bool) -> Vec<u8> {
        self.answer(client, &Zeroizing::new(request), durable)
    }

    /// From now on clients other than the first are to show a key of the database before they ask anything else.
    #[wasm_bindgen(js_name = requireKeys)]
    pub fn require_keys(&mut self) {
        self.session.require_keys();
    }
}

impl Engine {
    fn in_files(name: &str, data: FileHandle, log: FileHandle, options: &[u8]) -> Result<Self> {
        #[allow(clippy::arc_with_non_send_sync, reason = "there is one thread")]
        let storage = Arc::new(HandleStorage::new(name, data, log)?);
        let shared: Arc<dyn Storage> = storage.clone();
        let database = Database::open_storage(shared, environment(), read_options(options)?)?;
        Ok(Self { session: Session::new(database), place: Place::Handles(storage) })
    }

    fn in_memory(options: &[u8]) -> Result<Self> {
        #[allow(clippy::arc_with_non_send_sync, reason = "there is one thread")]
        let storage = Arc::new(MemoryStorage::new());
        let database = Database::open_storage(storage, environment(), read_options(options)?)?;
        Ok(Self { session: Session::new(database), place: Place::Memory })
    }

    fn answer(&mut self, client: u32, request: &[u8], durable: bool) -> Vec<u8> {
        let mut answers = Answers::default();
        let mut rest = request;
        while let Some(next) = next_frame(rest) {
            let Ok(frame) = next.inspect_err(|error| wire::failure(&mut answers.out, error)) else { break };
            rest = frame.rest;
            let place = answers.count;
            let outcome = wire::answer_frame(&mut answers.out, |out| {
                self.session.perform(client, place, frame.first, frame.body, out)
            });
            answers.took(frame.first, outcome);
        }
        let settled = match &self.place {
            Place::Handles(storage) => storage.settle().map_err(Error::from),
            _ => Ok(()),
        };
        let durable = durable && answers.commits;
        answers.settled(settled.and_then(|()| if durable { self.session.database().sync() } else { Ok(()) }))
    }

    async fn open_driver(
        driver: Rc<IndexedDb>,
        options: Options,
        restored: Option<js_sys::Uint8Array>,
    ) -> Result<Self> {
        if let Some(file) = &restored {
            replace(&*driver.storage(), file)?;
        }
        let open = || Database::open_storage(driver.storage(), environment(), options.clone());
        let database = driver.run(open).await?;
        let engine = Self { session: Session::new(database), place: Place::IndexedDb(driver) };
        if restored.is_none() {
            engine.flush().await?;
        }
        Ok(engine)
    }

    /// Waits until all that was committed survives a power loss.
    async fn sync(&self) -> Result<()> {
        let Place::IndexedDb(driver) = &self.place else { return self.session.database().sync() };
        loop {
            match driver.run(|| self.session.database().sync()).await {
                Err(Error::Pending(_)) => self.flush().await?,
                outcome => return outcome,
            }
        }
    }

    /// Writes what the storage has collected, and tells the engine which of its barriers are complete.
    async fn flush(&self) -> Result<()> {
        let Place::IndexedDb(driver) = &self.place else { return Ok(()) };
        let flushed = driver.flush().await;
        for ticket in flushed.tickets {
            let outcome = flushed.result.clone().map_err(|error| error.message);
            self.session.database().complete_sync(ticket, outcome);
        }
        Ok(flushed.result?)
    }
}

/// The answers to one request.
#[derive(Default)]
struct Answers {
    out: Vec<u8>,
    /// Where the answers to commits begin, until it is known whether they are durable.
    unsettled: Vec<usize>,
    commits: bool,
    begin: usize,
    /// Of operations.
    count: u64,
}

impl Answers {
    fn took(&mut self, number: u8, outcome: Result<()>) {
        match outcome {
            Ok(()) if Operation::commits(number) => {
                self.commits = true;
                self.unsettled.push(self.begin);
            }
            Ok(()) => {}
            Err(error) => wire::failure(&mut self.out, &error),
        }
        self.begin = self.out.len();
        self.count += 1;
    }

    /// All of them. Where what was committed could not be kept, that is the answer to each commit.
    fn settled(self, outcome: Result<()>) -> Vec<u8> {
        let Err(error) = outcome else { return self.out };
        let error = match error {
            Error::OutcomeUnknown { .. } => error,
            other => Error::OutcomeUnknown { cause: other.to_string() },
        };
        let mut answers = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.out.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(Ok(frame)) = next_frame(rest) else { break };
            let end = self.out.len() - frame.rest.len();
            if self.unsettled.contains(&at) {
                wire::failure(&mut answers, &error);
            } else {
                answers.extend_from_slice(self.out.get(at..end).unwrap_or_default());
            }
            at = end;
        }
        answers
    }
}

fn teller(tell: &js_sys::Function) -> impl FnMut(u32, Vec<u8>) {
    // Whoever listens does not throw.
    move |client, frames| drop(tell.call2(&JsValue::NULL, &client.into(), &js_sys::Uint8Array::from(frames.as_slice())))
}

fn environment() -> Environment {
    Environment { clock: Arc::new(JsClock), entropy: Arc::new(JsEntropy) }
}

/// Puts a database in the place of another, up to the next flush in memory.
fn replace(storage: &dyn Storage, file: &js_sys::Uint8Array) -> Result<()> {
    storage.set_len(FileId::Log, 0)?;
    storage.set_len(FileId::Data, 0)?;
    let mut piece = vec![0; 1 << 16];
    for at in (0..file.length()).step_by(piece.len()) {
        let part = file.subarray(at, (at + piece.len() as u32).min(file.length()));
        let bytes = piece.get_mut(..part.length() as usize).unwrap_or_default();
        part.copy_to(bytes);
        storage.write_at(FileId::Data, at.into(), bytes)?;
    }
    // What is flushed is to survive a power loss.
    let _ = storage.sync(FileId::Data)?;
    Ok(())
}

/// Options as a map, `{"memoryBudgetBytes": 33554432, …}`; what is left out is as everywhere in browsers.
fn read_options(options: &[u8]) -> Result<Options> {
    let mut read = Options::default();
    // Each request makes durable what it has committed, all of it together.
    read.durability = Durability::Relaxed;
    read.memory_budget_bytes = MEMORY_BUDGET_BYTES;
    read.step_entries = STEP_ENTRIES;
    read.log_segment_bytes = LOG_SEGMENT_BYTES;
    #[cfg(feature = "encryption")]
    let options = {
        // Behind them stand cipher and key, which is copied nowhere else.
        let mut items = Arguments::new(options);
        let map = items.item()?;
        read.encryption = keys::cipher(&mut items)?;
        read.key = keys::read(&mut items)?;
        map
    };
    let Value::Map(members) = Value::from_cbor(options)? else { return Err(invalid("options are a map")) };
    for (name, value) in members {
        let number = || value.as_integer().and_then(|number| u64::try_from(number).ok());
        let size = || number().and_then(|number| usize::try_from(number).ok());
        let is_read = match name.as_str() {
            "memoryBudgetBytes" => size().map(|bytes| read.memory_budget_bytes = bytes),
            "memtableBytes" => size().map(|bytes| read.memtable_bytes = Some(bytes)),
            "fileBytesMax" => number().map(|bytes| read.limits.file_bytes_max = bytes),
            "logBytesMax" => number().map(|bytes| read.limits.log_bytes_max = Some(bytes)),
            "feedRetentionBytes" => number().map(|bytes| read.feed_retention_bytes = bytes),
            "readOnly" => value.as_bool().map(|read_only| read.read_only = read_only),
            "create" => value.as_bool().map(|create| read.create = create),
            _ => None,
        };
        if is_read.is_none() {
            return Err(Error::Invalid { what: format!("'{name}' is no option with such a value") });
        }
    }
    Ok(read)
}

fn thrown(error: Error) -> Vec<u8> {
    let mut frame = Vec::new();
    wire::failure(&mut frame, &error);
    frame
}
