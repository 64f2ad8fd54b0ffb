//! The interface for C: `include/lightning.h`.
//!
//! A narrow one: opening, and the calls that are made most. Every function gives [`LIGHTNING_OK`], [`LIGHTNING_MISSING`], or the
//! number of an error, of which [`lightning_last_error`] tells the rest. Objects are handles, which any thread may use.
//!
//! **What is asked of callers**, and is all that is unsafe here: pointers are null only where it says so; a pointer and a length
//! name as many bytes that may be read, which nobody changes during the call; a place for a result may be written; text ends with a
//! zero byte; a buffer is freed once. Handles may be any number: those that stand for nothing give an error.

#![allow(non_camel_case_types, reason = "names of C")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{mem, ptr, slice};

use lightning_db::Result;
use zeroize::Zeroizing;

use crate::calls::{self, Opened, WriteKind};
use crate::collection::Collection;
use crate::database;
use crate::encryption::{self, Answer, Ask, Encryption};
use crate::failure::Failure;
use crate::objects::{self, Object, invalid};
use crate::opened;
use crate::options::OpenOptions;
use crate::scope;
use crate::stop;
use crate::table::{KeyRange, OpenTable};
use crate::transaction::{self, Durability, Isolation};

/// It is done.
pub const LIGHTNING_OK: i32 = 0;
/// It is done; there is nothing under the key.
pub const LIGHTNING_MISSING: i32 = -1;
/// The scope of a call that is a transaction, or a snapshot, of its own.
pub const LIGHTNING_NOW: u64 = 0;
const _: () = assert!(LIGHTNING_NOW == scope::NOW);

/// Writes whatever is there.
pub const LIGHTNING_PUT: u8 = 0;
/// Writes only where nothing is there.
pub const LIGHTNING_INSERT: u8 = 1;
/// Writes only where something is there.
pub const LIGHTNING_REPLACE: u8 = 2;
/// Deletes; only in a batch.
pub const LIGHTNING_DELETE: u8 = 3;

/// Acknowledged when it is on the medium.
pub const LIGHTNING_SYNC: u8 = 0;
/// Acknowledged at once, and on the medium a second later.
pub const LIGHTNING_PERIODIC: u8 = 1;
/// Acknowledged at once; a power loss may take it.
pub const LIGHTNING_RELAXED: u8 = 2;

/// How a new database is encrypted: by AES-256-GCM.
pub const LIGHTNING_AES_256_GCM: u8 = 0;
/// By ChaCha20-Poly1305, which is faster where the processor has no instructions for AES.
pub const LIGHTNING_CHACHA20_POLY1305: u8 = 1;

/// What a [`lightning_key_provider`] gives when the device is locked, and keeps its keys to itself until it is unlocked.
pub const LIGHTNING_DEVICE_LOCKED: i32 = 30;
/// Bytes that the answer of a [`lightning_key_provider`] has at most.
pub const LIGHTNING_ANSWER_MAX: usize = 512;

/// Gives back what was not read lately.
pub const LIGHTNING_TRIM_MODERATE: u8 = 0;
/// Gives back all that can be read again.
pub const LIGHTNING_TRIM_ALL: u8 = 1;

/// Bytes of the caller's; `data` may be null where `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lightning_bytes {
    /// The first of them.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// Bytes of the library's: give them back with [`lightning_free`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lightning_buffer {
    /// The first of them; null where there is no buffer.
    pub data: *mut u8,
    /// How many.
    pub len: usize,
    /// For [`lightning_free`].
    pub capacity: usize,
}

/// How a database is opened. All zero is the usual way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lightning_options {
    /// Fail where there is no database.
    pub must_exist: bool,
    /// Refuse every write.
    pub read_only: bool,
    /// `LIGHTNING_SYNC`, `LIGHTNING_PERIODIC` or `LIGHTNING_RELAXED`.
    pub durability: u8,
    /// Memory for everything together, in bytes; 0 is 10 MB.
    pub memory_budget_bytes: u64,
    /// The change feed keeps so many bytes of the newest commits.
    pub feed_retention_bytes: u64,
    /// What opens an encrypted database, or 0. A new one that is given a key is encrypted, and this is its first key.
    pub key: u64,
    /// `LIGHTNING_AES_256_GCM` or `LIGHTNING_CHACHA20_POLY1305`: how a new database is encrypted, if it gets a key.
    pub encryption: u8,
}

/// Somebody who keeps a key and gives it to nobody: a keychain, a key management service. Its functions are called from any thread, and
/// from several at once; `given` is there until they return. They write at most `LIGHTNING_ANSWER_MAX` bytes to `answer`, and how many
/// to `length`, and give `LIGHTNING_OK`. `LIGHTNING_DEVICE_LOCKED`, or anything else for what fails, with a text for people in `answer`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lightning_key_provider {
    /// What each of them is given.
    pub context: *mut c_void,
    /// Encrypts a key of 32 bytes so that only `unwrap` gives it back.
    pub wrap: Option<
        unsafe extern "C" fn(context: *mut c_void, given: lightning_bytes, answer: *mut u8, length: *mut usize) -> i32,
    >,
    /// The key, 32 bytes, that `wrap` has encrypted so; `LIGHTNING_MISSING` if it has not.
    pub unwrap: Option<
        unsafe extern "C" fn(context: *mut c_void, given: lightning_bytes, answer: *mut u8, length: *mut usize) -> i32,
    >,
    /// Called once, after the last call of the others; it may be null.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

/// Keys of a table; a bound whose `data` is null is the end of the table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lightning_range {
    /// Where it begins.
    pub lower: lightning_bytes,
    /// Where it ends.
    pub upper: lightning_bytes,
    /// Whether the key where it begins is not in it.
    pub excludes_lower: bool,
    /// Whether the key where it ends is in it.
    pub includes_upper: bool,
}

/// What went wrong in the last call of a thread that did not give `LIGHTNING_OK` or `LIGHTNING_MISSING`.
#[repr(C)]
pub struct lightning_error {
    /// Its number, which the call gave.
    pub number: i32,
    /// Whether the same call may succeed when it is made again.
    pub is_retryable: bool,
    /// Its name, the same in every language.
    pub name: *const c_char,
    /// What happened, where, and what to do.
    pub text: *const c_char,
    /// The parts of it that programs look at: names and values in turn, a null pointer at the end.
    pub fields: *const *const c_char,
}

/// The last error of a thread, and what its pointers point to.
struct LastError {
    error: lightning_error,
    /// Behind the pointers of `error`: they are moved with it, and neither is changed.
    _texts: Vec<CString>,
    _fields: Vec<*const c_char>,
}

thread_local! {
    static LAST_ERROR: RefCell<Option<LastError>> = const { RefCell::new(None) };
}

impl LastError {
    fn new(failure: &Failure) -> Self {
        let Failure::Engine { number, name, is_retryable, text, fields } = failure;
        // A zero byte would end the text.
        let text_of = |text: &str| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        let mut texts = vec![text_of(name), text_of(text)];
        texts.extend(fields.iter().flat_map(|field| [text_of(&field.name), text_of(&field.value)]));
        let mut pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        pointers.push(ptr::null());
        let error = lightning_error {
            number: i32::from(*number),
            is_retryable: *is_retryable,
            name: pointers[0],
            text: pointers[1],
            fields: pointers[2..].as_ptr(),
        };
        Self { error, _texts: texts, _fields: pointers }
    }
}

/// Runs a call. Nothing unwinds into C.
fn call(body: impl FnOnce() -> Result<i32, Failure>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::panicked(&*payload),
    };
    let number = i32::from(failure.number());
    LAST_ERROR.set(Some(LastError::new(&failure)));
    number
}

/// # Safety
/// `bytes` is as the module says.
unsafe fn read<'b>(bytes: lightning_bytes) -> &'b [u8] {
    if bytes.len == 0 || bytes.data.is_null() {
        return &[];
    }
    // SAFETY: the caller says that so many bytes may be read.
    unsafe { slice::from_raw_parts(bytes.data, bytes.len) }
}

/// # Safety
/// `text` is as the module says.
unsafe fn read_text<'b>(text: *const c_char) -> Result<&'b str> {
    if text.is_null() {
        return Err(invalid("a text is null"));
    }
    // SAFETY: the caller says that it ends with a zero byte.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| invalid("a text is not UTF-8"))
}

/// # Safety
/// `place` is null or may be written.
unsafe fn give<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller says that it may be written.
        unsafe { place.write(value) };
    }
}

impl lightning_buffer {
    const NONE: Self = Self { data: ptr::null_mut(), len: 0, capacity: 0 };

    fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = mem::ManuallyDrop::new(bytes);
        Self { data: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
    }
}

/// Released when the last key that it stands for is.
struct Provider(lightning_key_provider);

// SAFETY: whoever gave it has promised that any thread may call it.
unsafe impl Send for Provider {}
// SAFETY: and several at once.
unsafe impl Sync for Provider {}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: the caller's promise; nobody calls it any more.
            unsafe { release(self.0.context) };
        }
    }
}

impl Provider {
    fn ask(&self, ask: Ask, given: &[u8]) -> Answer {
        let function = match ask {
            Ask::Wrap => self.0.wrap,
            Ask::Unwrap => self.0.unwrap,
        };
        let Some(function) = function else { return Answer::Failed("its function is null".into()) };
        let mut answer = Zeroizing::new(vec![0; LIGHTNING_ANSWER_MAX]);
        let mut length = 0;
        let given = lightning_bytes { data: given.as_ptr(), len: given.len() };
        // SAFETY: the caller's promise; so many bytes may be written.
        let status = unsafe { function(self.0.context, given, answer.as_mut_ptr(), &raw mut length) };
        answer.truncate(length);
        let text = |answer: &[u8]| String::from_utf8_lossy(answer).into_owned();
        match status {
            LIGHTNING_OK => Answer::Given(answer),
            LIGHTNING_MISSING => Answer::Missing,
            LIGHTNING_DEVICE_LOCKED => Answer::Locked(text(&answer)),
            _ => Answer::Failed(text(&answer)),
        }
    }
}

/// The last error of this thread, until its next call; null where there was none.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_last_error() -> *const lightning_error {
    LAST_ERROR.with_borrow(|last| last.as_ref().map_or(ptr::null(), |last| &raw const last.error))
}

/// How many objects are open in this process, of all databases: where it grows, something is not given up.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_open_objects() -> u64 {
    objects::count()
}

/// Frees a buffer.
///
/// # Safety
/// It came from this library, and was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_free(buffer: lightning_buffer) {
    if !buffer.data.is_null() {
        // SAFETY: it is a vector's, taken apart in `lightning_buffer::new`.
        drop(unsafe { Vec::from_raw_parts(buffer.data, buffer.len, buffer.capacity) });
    }
}

/// Opens the database at `path`. `options` may be null.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_open(
    path: *const c_char,
    options: *const lightning_options,
    database: *mut u64,
) -> i32 {
    call(|| {
        let mut chosen = OpenOptions::default();
        // SAFETY: not null, so it may be read.
        if let Some(options) = unsafe { options.as_ref() } {
            chosen.create = !options.must_exist;
            chosen.read_only = options.read_only;
            chosen.durability = match options.durability {
                LIGHTNING_SYNC => None,
                LIGHTNING_PERIODIC => Some(Durability::Periodic),
                LIGHTNING_RELAXED => Some(Durability::Relaxed),
                _ => return Err(invalid("a durability is 0, 1 or 2").into()),
            };
            chosen.memory_budget_bytes = Some(options.memory_budget_bytes).filter(|bytes| *bytes > 0);
            chosen.feed_retention_bytes = options.feed_retention_bytes;
            chosen.key = options.key;
            chosen.encryption = match options.encryption {
                LIGHTNING_AES_256_GCM => None,
                LIGHTNING_CHACHA20_POLY1305 => Some(Encryption::ChaCha20Poly1305),
                _ => return Err(invalid("an encryption is 0 or 1").into()),
            };
        }
        // SAFETY: the caller's promise.
        unsafe { give(database, opened::open(read_text(path)?, &chosen)?) };
        Ok(LIGHTNING_OK)
    })
}

/// A key of 32 bytes, for [`lightning_open`]. Keys are given up with [`lightning_release`] once they were used; what they were made of is
/// the caller's to wipe.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_raw_key(bytes: lightning_bytes, key: *mut u64) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { give(key, encryption::raw(read(bytes))?) };
        Ok(LIGHTNING_OK)
    })
}

/// A passphrase, as UTF-8, from which Argon2id derives the key.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_passphrase_key(text: lightning_bytes, key: *mut u64) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { give(key, encryption::passphrase(Zeroizing::new(read(text).to_vec()))?) };
        Ok(LIGHTNING_OK)
    })
}

/// A key that somebody keeps. Whatever this gives, `release` is called.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_provider_key(provider: lightning_key_provider, key: *mut u64) -> i32 {
    let provider = Provider(provider);
    call(|| {
        let handle = encryption::provider(move |ask, given| provider.ask(ask, given))?;
        // SAFETY: the caller's promise.
        unsafe { give(key, handle) };
        Ok(LIGHTNING_OK)
    })
}

/// Lets one key more open a database, at most eight, which all lead to the same data; `slot` is what it is removed by, and may be null.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_add_key(database: u64, key: u64, slot: *mut u8) -> i32 {
    call(|| {
        let taken = objects::database(database)?.add_key(&encryption::required(key)?)?;
        // SAFETY: the caller's promise.
        unsafe { give(slot, taken) };
        Ok(LIGHTNING_OK)
    })
}

/// The key in a slot opens a database no more. The last key stays.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_remove_key(database: u64, slot: u8) -> i32 {
    call(|| Ok(objects::database(database)?.remove_key(slot).map(|()| LIGHTNING_OK)?))
}

/// Gives a database up; the last one who does so closes it.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_close(database: u64) -> i32 {
    call(|| Ok(opened::close(database).map(|()| LIGHTNING_OK)?))
}

/// Lets go of the files of a database, for everybody in this process who has it open: what is committed is brought into them, they are
/// closed, and the lock on them is given up. Calls that need them give the error Suspended until [`lightning_resume`]. Whatever this
/// gives, they are closed.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_suspend(database: u64) -> i32 {
    call(|| Ok(opened::suspend(database).map(|()| LIGHTNING_OK)?))
}

/// Takes the files again. As long as another process has them, that is tried for so many milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_resume(database: u64, wait_ms: u64) -> i32 {
    call(|| Ok(opened::resume(database, wait_ms).map(|()| LIGHTNING_OK)?))
}

/// Gives memory back: `LIGHTNING_TRIM_MODERATE` or `LIGHTNING_TRIM_ALL`. `held` is how many bytes are kept; it may be null.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_trim_memory(database: u64, level: u8, held: *mut u64) -> i32 {
    call(|| {
        let level = match level {
            LIGHTNING_TRIM_MODERATE => database::TrimLevel::Moderate,
            LIGHTNING_TRIM_ALL => database::TrimLevel::All,
            _ => return Err(invalid("a level is 0 or 1").into()),
        };
        let bytes = database::trim_memory(database, level)?;
        // SAFETY: the caller's promise.
        unsafe { give(held, bytes) };
        Ok(LIGHTNING_OK)
    })
}

/// A scope like `scope`, which is `LIGHTNING_NOW`, a snapshot or a transaction, whose calls another thread can give up with
/// [`lightning_stop`], those of cursors opened in it as well. Until [`lightning_release`].
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_stoppable(database: u64, scope: u64, stoppable: *mut u64) -> i32 {
    call(|| {
        let handle = stop::stoppable(database, scope)?;
        // SAFETY: the caller's promise.
        unsafe { give(stoppable, handle) };
        Ok(LIGHTNING_OK)
    })
}

/// Gives up the calls that are made in a scope of [`lightning_stoppable`]: those that take long end soon, and those to come at once, with
/// the error Cancelled. Nothing of a write that is given up is kept.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_stop(stoppable: u64) -> i32 {
    call(|| Ok(stop::stop(stoppable).map(|()| LIGHTNING_OK)?))
}

/// Opens a table, and makes it if there is none. Types are named as the file does: `string`, `bytes`, `u64`, `(string, u64)`. Keys and
/// values of type `string` and `bytes` cross as they are, those of others as CBOR.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_table(
    database: u64,
    name: *const c_char,
    keys: *const c_char,
    values: *const c_char,
    table: *mut u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let (name, keys, values) = unsafe { (read_text(name)?, read_text(keys)?, read_text(values)?) };
        let open = OpenTable::open(&objects::database(database)?, name, keys, values)?;
        // SAFETY: the caller's promise.
        unsafe { give(table, objects::insert_beside(database, Object::Table(open.into()))?) };
        Ok(LIGHTNING_OK)
    })
}

/// Opens a collection, and makes it and its indexes where they are not there. The schema is CBOR; without one it is opened as it is.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_collection(
    database: u64,
    name: *const c_char,
    schema: lightning_bytes,
    collection: *mut u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let (name, schema) = unsafe { (read_text(name)?, read(schema)) };
        let open = Collection::open_core(&objects::database(database)?, name, Some(schema).filter(|s| !s.is_empty()))?;
        // SAFETY: the caller's promise.
        unsafe { give(collection, objects::insert_beside(database, Object::Collection(Arc::new(open)))?) };
        Ok(LIGHTNING_OK)
    })
}

/// The database as it is now; its handle is a scope for reading, until [`lightning_release`].
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_snapshot(database: u64, snapshot: *mut u64) -> i32 {
    call(|| {
        let handle =
            objects::insert_beside(database, Object::Snapshot(Arc::new(objects::database(database)?.snapshot())))?;
        // SAFETY: the caller's promise.
        unsafe { give(snapshot, handle) };
        Ok(LIGHTNING_OK)
    })
}

/// Begins a serializable transaction; its handle is a scope for reading and writing, until [`lightning_commit`], or
/// [`lightning_release`], which undoes it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_begin(database: u64, transaction: *mut u64) -> i32 {
    call(|| {
        let handle = transaction::begin(database, Isolation::Serializable)?;
        // SAFETY: the caller's promise.
        unsafe { give(transaction, handle) };
        Ok(LIGHTNING_OK)
    })
}

/// Makes everything of a transaction permanent, or nothing. It is over then, whatever comes of it.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_commit(transaction: u64) -> i32 {
    call(|| transaction::commit(transaction).map(|()| LIGHTNING_OK))
}

/// Gives up a key, table, collection, cursor, snapshot, transaction or stoppable scope. A number that stands for nothing is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn lightning_release(handle: u64) {
    _ = call(|| Ok(opened::release(handle).map(|()| LIGHTNING_OK)?));
}

/// Reads the value or document of a key. `length` is how long it is; where that is more than `capacity`, nothing was copied, and it is
/// asked for again.
///
/// # Safety
/// As the module says; `capacity` bytes may be written at `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_get(
    scope: u64,
    target: u64,
    key: lightning_bytes,
    value: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let key = unsafe { read(key) };
        // SAFETY: the caller's promise; what is found is the engine's, so it is not where the caller writes.
        Ok(calls::get(scope, target, key, |found| unsafe { copy(found, value, capacity, length) })?)
    })
}

/// Reads the document that has these values in a unique index, one for each of its paths: `index` is its name, UTF-8, `values` are CBOR and
/// packed as keys are for [`lightning_get_many`]. `length` and `capacity` are as for [`lightning_get`].
///
/// # Safety
/// As the module says; `capacity` bytes may be written at `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_get_by(
    scope: u64,
    collection: u64,
    index: lightning_bytes,
    values: lightning_bytes,
    value: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let (index, values) = unsafe { (read(index), read(values)) };
        // SAFETY: the caller's promise; what is found is the engine's, so it is not where the caller writes.
        Ok(calls::get_by(scope, collection, index, values, |found| unsafe { copy(found, value, capacity, length) })?)
    })
}

/// # Safety
/// As the module says; `capacity` bytes may be written at `value`, and none of them are `found`'s.
unsafe fn copy(found: Option<&[u8]>, value: *mut u8, capacity: usize, length: *mut usize) -> i32 {
    let Some(found) = found else { return LIGHTNING_MISSING };
    // SAFETY: the caller's promise.
    unsafe {
        give(length, found.len());
        if found.len() <= capacity && !value.is_null() {
            ptr::copy_nonoverlapping(found.as_ptr(), value, found.len());
        }
    }
    LIGHTNING_OK
}

/// Reads the values or documents of many keys. Keys and values are packed: each with its length before it, 4 bytes, lowest first; a
/// length of 0xffffffff stands for a key that is missing.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_get_many(
    scope: u64,
    target: u64,
    keys: lightning_bytes,
    values: *mut lightning_buffer,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { give(values, lightning_buffer::new(calls::get_many(scope, target, read(keys))?)) };
        Ok(LIGHTNING_OK)
    })
}

/// Writes a value under a key; or a document, whose key lies in it. `mode` is `LIGHTNING_PUT`, `LIGHTNING_INSERT` or
/// `LIGHTNING_REPLACE`. Where a document's key is made, `made` is that, as CBOR; it may be null.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_put(
    scope: u64,
    target: u64,
    mode: u8,
    key: lightning_bytes,
    value: lightning_bytes,
    made: *mut lightning_buffer,
) -> i32 {
    call(|| {
        let WriteKind::Put(mode) = WriteKind::from_number(mode.into())? else {
            return Err(invalid("deleting is another call").into());
        };
        // SAFETY: the caller's promise.
        let key_made = calls::put(scope, target, mode, unsafe { read(key) }, unsafe { read(value) })?;
        // SAFETY: the caller's promise.
        unsafe {
            if !made.is_null() {
                give(made, key_made.map_or(lightning_buffer::NONE, lightning_buffer::new));
            }
        }
        Ok(LIGHTNING_OK)
    })
}

/// Deletes what is under a key: `LIGHTNING_MISSING` where nothing was.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_delete(scope: u64, target: u64, key: lightning_bytes) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let was_there = calls::delete(scope, target, unsafe { read(key) })?;
        Ok(if was_there { LIGHTNING_OK } else { LIGHTNING_MISSING })
    })
}

/// Does all writes in one transaction, or none. They are packed: of each what it does (`LIGHTNING_PUT` to `LIGHTNING_DELETE`) and its
/// table or collection, 8 bytes each, lowest first; then the key and the value, each with its length before it, 4 bytes.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_batch(scope: u64, writes: lightning_bytes) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        calls::batch(scope, calls::packed_writes(unsafe { read(writes) }))?;
        Ok(LIGHTNING_OK)
    })
}

/// Begins a query, CBOR, and gives documents, packed, until they have so many bytes; `cursor` is for [`lightning_next`], or 0 where
/// these are all. Without a query all documents are given.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_query(
    scope: u64,
    collection: u64,
    query: lightning_bytes,
    bytes: usize,
    rows: *mut lightning_buffer,
    cursor: *mut u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(calls::query(scope, collection, read(query), bytes)?, rows, cursor) }
    })
}

/// Begins a scan of a table, and gives entries, each its key and then its value, packed, until they have so many bytes; `cursor` is for
/// [`lightning_next`], or 0 where these are all. `range` may be null: all entries.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_scan(
    scope: u64,
    table: u64,
    range: *const lightning_range,
    backwards: bool,
    limit: u64,
    bytes: usize,
    rows: *mut lightning_buffer,
    cursor: *mut u64,
) -> i32 {
    call(|| {
        let mut keys = KeyRange::default();
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(range) = range.as_ref() {
                let bound = |bytes: lightning_bytes| (!bytes.data.is_null()).then(|| read(bytes).to_vec());
                keys.lower = bound(range.lower);
                keys.upper = bound(range.upper);
                keys.includes_lower = !range.excludes_lower;
                keys.includes_upper = range.includes_upper;
            }
            opened(calls::scan(scope, table, &keys, backwards, limit, bytes)?, rows, cursor)
        }
    })
}

/// # Safety
/// `rows` and `cursor` are null or may be written.
unsafe fn opened(open: Opened, rows: *mut lightning_buffer, cursor: *mut u64) -> Result<i32, Failure> {
    if rows.is_null() || cursor.is_null() {
        objects::remove(open.cursor);
        return Err(invalid("there is no place for the rows, or for the cursor").into());
    }
    // SAFETY: not null, and the caller's promise.
    unsafe {
        give(rows, lightning_buffer::new(open.rows));
        give(cursor, open.cursor);
    }
    Ok(LIGHTNING_OK)
}

/// The rows that follow, packed, until they have so many bytes. Behind the last `is_over` is true, and the cursor is released.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lightning_next(
    cursor: u64,
    bytes: usize,
    rows: *mut lightning_buffer,
    is_over: *mut bool,
) -> i32 {
    call(|| {
        let (next, over) = calls::next(cursor, bytes)?;
        // SAFETY: the caller's promise.
        unsafe {
            give(rows, lightning_buffer::new(next));
            give(is_over, over);
        }
        Ok(LIGHTNING_OK)
    })
}
