//! What is open in this process: opened more than once by its path a database is the same one, and closed when everybody has.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use lightning_db::env::{Clock, SystemClock, SystemEntropy, canonical_name};
use lightning_db::{Database, Environment, Error, Result};

use crate::archive;
use crate::files::Files;
use crate::objects::{self, Object, Owner, locked};
use crate::options::OpenOptions;

/// A database, shared by those in this process who opened it.
pub struct Opened {
    pub database: Database,
    owner: Owner,
    /// How many handles of it there are; changed with [`OPEN`] held. Not the number of references: calls have some for a moment.
    handles: AtomicU64,
    /// Where it is among those that are shared; none for one in memory, or for tests.
    path: Option<PathBuf>,
    /// None for one in memory.
    pub files: Option<Arc<Files>>,
    /// As whoever opened it first has chosen.
    options: OpenOptions,
    /// Held by whoever suspends or resumes it.
    suspending: Mutex<()>,
    /// None but for tests.
    pub clock: Option<Arc<HandClock>>,
}

/// What is open in this process, by path. Held while one is closed, so that nobody is given what is about to be closed.
static OPEN: Mutex<Vec<(PathBuf, Shared)>> = Mutex::new(Vec::new());
/// Told when the opening of one is over.
static OPENED: Condvar = Condvar::new();

/// What those in this process who open a path find.
enum Shared {
    Open(Weak<Opened>),
    /// Somebody opens it. That may take foreign code, which gives the key, so nothing is held meanwhile.
    Opening(ThreadId),
}

/// An opening that is under way; over when it is dropped.
struct Opening(PathBuf);

impl Drop for Opening {
    fn drop(&mut self) {
        let by = thread::current().id();
        locked(&OPEN).retain(|(name, shared)| *name != self.0 || !matches!(shared, Shared::Opening(id) if *id == by));
        OPENED.notify_all();
    }
}

/// The time of a database for tests.
#[derive(Debug, Default)]
pub struct HandClock {
    /// How long something takes is as everywhere.
    system: SystemClock,
    /// Milliseconds since 1970.
    set_ms: AtomicU64,
}

impl HandClock {
    /// In milliseconds since 1970.
    pub fn set(&self, ms: u64) {
        self.set_ms.store(ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn monotonic_ns(&self) -> u64 {
        self.system.monotonic_ns()
    }

    fn wall_ms(&self) -> u64 {
        self.set_ms.load(Ordering::Relaxed)
    }
}

/// Opens the database at a path, on the calling thread; gives its handle.
pub fn open(path: &str, options: &OpenOptions) -> Result<u64> {
    let name = canonical_name(path)?;
    let opening = match share(path, &name, options)? {
        Found::Handle(handle) => {
            let opened = objects::opened(handle)?;
            // Whoever comes later needs a key, too. It may be foreign code that has it.
            opened.database.require_key(objects::key(options.key)?.as_ref()).inspect_err(|_| _ = close(handle))?;
            return Ok(handle);
        }
        Found::Nothing(opening) => opening,
    };
    let files = Arc::new(Files::open(path, options.mode())?);
    let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    let database = Database::open_storage(Arc::clone(&files) as _, environment, options.to_core()?)?;
    archive::go_on(&database, files.path());
    let opened = Opened { path: Some(name.clone()), ..Opened::new(database, Some(files), options, None) };
    let opened = Arc::new(opened);
    let mut open = locked(&OPEN);
    let handle = opened.another()?;
    put(&mut open, name, Shared::Open(Arc::downgrade(&opened)));
    drop(open);
    drop(opening);
    Ok(handle)
}

/// From now on those who open this name find that.
fn put(open: &mut Vec<(PathBuf, Shared)>, name: PathBuf, shared: Shared) {
    open.retain(|(known, _)| *known != name);
    open.push((name, shared));
}

enum Found {
    /// One more of one that is open.
    Handle(u64),
    /// It is the caller's to open.
    Nothing(Opening),
}

/// One more handle of what is open under this name, unless it is to be opened first.
fn share(path: &str, name: &PathBuf, options: &OpenOptions) -> Result<Found> {
    let mut open = locked(&OPEN);
    loop {
        match open.iter().find(|(known, _)| known == name).map(|(_, shared)| shared) {
            Some(Shared::Opening(by)) if *by == thread::current().id() => {
                return Err(Error::Invalid {
                    what: format!(
                        "'{path}' is being opened, with a key that waits for this; the key is to come from elsewhere"
                    ),
                });
            }
            Some(Shared::Opening(_)) => open = OPENED.wait(open).unwrap_or_else(PoisonError::into_inner),
            Some(Shared::Open(opened)) if let Some(opened) = opened.upgrade() => {
                if let Some(other) = opened.options.difference(options) {
                    return Err(Error::Invalid {
                        what: format!(
                            "'{path}' is open in this process with other options: {other}; open it with the same"
                        ),
                    });
                }
                return Ok(Found::Handle(opened.another()?));
            }
            Some(Shared::Open(_)) | None => {
                put(&mut open, name.clone(), Shared::Opening(thread::current().id()));
                return Ok(Found::Nothing(Opening(name.clone())));
            }
        }
    }
}

/// One more handle of the same database.
pub fn another(handle: u64) -> Result<u64> {
    let _open = locked(&OPEN);
    objects::opened(handle)?.another()
}

/// Gives a handle up; closes the database with the last one.
pub fn close(handle: u64) -> Result<()> {
    let mut open = locked(&OPEN);
    let Some(Object::Database(opened)) = objects::remove(handle) else { return Ok(()) };
    if opened.handles.fetch_sub(1, Ordering::Relaxed) > 1 {
        return Ok(());
    }
    if let Some(path) = &opened.path {
        open.retain(|(name, _)| name != path);
    }
    let result = opened.database.close();
    // The files are locked for as long as anything holds the database.
    objects::remove_all_of(opened.owner);
    result
}

/// Gives up a handle of any kind.
pub fn release(handle: u64) -> Result<()> {
    if let Ok(Object::Database(_)) = objects::get(handle) {
        return close(handle);
    }
    drop(objects::remove(handle));
    Ok(())
}

impl Opened {
    pub fn new(
        database: Database,
        files: Option<Arc<Files>>,
        options: &OpenOptions,
        clock: Option<Arc<HandClock>>,
    ) -> Self {
        let options = options.clone();
        let (owner, handles, suspending) = (Owner::new(), AtomicU64::new(0), Mutex::new(()));
        Self { database, owner, handles, path: None, files, options, suspending, clock }
    }

    /// For one that nobody shares: its handle.
    pub fn apart(self) -> Result<u64> {
        self.handles.store(1, Ordering::Relaxed);
        objects::insert(self.owner, Object::Database(Arc::new(self)))
    }

    /// One more handle of it, with [`OPEN`] held.
    fn another(self: &Arc<Self>) -> Result<u64> {
        let handle = objects::insert(self.owner, Object::Database(Arc::clone(self)))?;
        self.handles.fetch_add(1, Ordering::Relaxed);
        Ok(handle)
    }

    fn suspend(&self) -> Result<()> {
        let _suspending = locked(&self.suspending);
        let suspended = self.database.suspend();
        if matches!(suspended, Err(Error::Closed)) {
            return suspended;
        }
        // Whatever is left in the log: an application that keeps a lock is killed.
        let given_back = self.files.as_ref().map_or(Ok(()), |files| files.give_back());
        suspended.and(given_back)
    }

    /// Waits until it is not suspended, for `limit` at most; whether it is not.
    pub fn wait_until_resumed(&self, limit: Duration) -> bool {
        self.files.as_ref().is_none_or(|files| files.wait_until_open(limit))
    }

    fn resume(&self, wait: Duration) -> Result<()> {
        let _suspending = locked(&self.suspending);
        if let Some(files) = &self.files {
            files.take_again(wait)?;
        }
        self.database.resume().inspect_err(|_| {
            // Nobody can use them, so nobody is to be kept out.
            if let Some(files) = &self.files {
                _ = files.give_back();
            }
        })
    }
}

/// Lets go of the files of a database, for everybody in this process who has it open.
pub fn suspend(handle: u64) -> Result<()> {
    objects::opened(handle)?.suspend()
}

/// Takes them again. As long as another process has them, that is tried for so many milliseconds.
pub fn resume(handle: u64, wait_ms: u64) -> Result<()> {
    objects::opened(handle)?.resume(Duration::from_millis(wait_ms))
}
