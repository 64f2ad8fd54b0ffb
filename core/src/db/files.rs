//! Databases in files: opened by path, and shared when one process opens one path twice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::database::{Database, Shared};
use super::options::Options;
use crate::engine::{Environment, RecoveryStage};
use crate::env::{FileStorage, OpenMode, SystemClock, SystemEntropy, canonical_name};
use crate::error::{Error, Result};

static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Shared>>>> = Mutex::new(None);

fn registry() -> MutexGuard<'static, Option<HashMap<PathBuf, Weak<Shared>>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    /// Opens the database in the file `path` and the log beside it (`path` + `-log`), making it if there is none.
    ///
    /// Opening a path that this process has open already gives another handle of the same database; its options stay.
    /// One that another process has open is [`Error::Locked`].
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_with(path, options, &mut |_| {})
    }

    /// Like [`open`](Self::open), and tells each stage as it begins.
    pub fn open_with(
        path: impl AsRef<Path>,
        options: Options,
        progress: &mut dyn FnMut(RecoveryStage),
    ) -> Result<Self> {
        let name = canonical_name(path.as_ref())?;
        // Held over the opening, so that two threads do not open one path at once.
        let mut registry = registry();
        let open = registry.get_or_insert_default();
        if let Some(shared) = open.get(&name).and_then(Weak::upgrade) {
            // What a passphrase takes holds up nobody else.
            drop(registry);
            #[cfg(feature = "encryption")]
            shared.engine.require_key(options.key.as_ref())?;
            if shared.options.read_only && !options.read_only {
                return Err(Error::Locked { holder: String::from("this process, for reading only") });
            }
            return Ok(Self { shared });
        }
        let mode = OpenMode { read_only: options.read_only, create: options.create && !options.read_only };
        let storage = FileStorage::open(path, mode)?;
        let env = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
        let mut database = Self::open_storage_with(Arc::new(storage), env, options, progress)?;
        if let Some(shared) = Arc::get_mut(&mut database.shared) {
            shared.registered = Some(name.clone());
        }
        database.shared.go_on_archiving();
        open.insert(name, Arc::downgrade(&database.shared));
        Ok(database)
    }
}

impl Shared {
    /// This process no longer has the database open.
    pub(super) fn deregister(&self) {
        let Some(name) = &self.registered else { return };
        if let Some(open) = registry().as_mut()
            && open.get(name).is_some_and(|other| core::ptr::eq(other.as_ptr(), self))
        {
            open.remove(name);
        }
    }
}
