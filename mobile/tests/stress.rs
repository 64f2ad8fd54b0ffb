//! Many threads open, read, write, scan, give up and close the same things at once, and go on using what others have closed. What is
//! wrong with that is found under AddressSanitizer; here, that every answer is one that may be given.
#![allow(unsafe_code, reason = "calls as C makes them")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::ffi::{CStr, CString};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, ptr, slice};

use lightning_db_mobile::c::*;

const THREADS: u64 = 4;
const ROUNDS: u64 = 1500;
/// Handles that all threads share, live or long given up.
const SHARED: usize = 24;

/// Errors that a handle, or a scope, of somebody else's may give: closed, of another kind, suspended, given up, in conflict, full.
const ALLOWED: [i32; 9] = [
    LIGHTNING_OK,
    LIGHTNING_MISSING,
    12, // Closed
    14, // Conflict
    15, // TransactionTooOld
    28, // Invalid
    29, // Suspended
    31, // Cancelled
    16, // NoLongerKept
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn bytes(bytes: &[u8]) -> lightning_bytes {
    lightning_bytes { data: bytes.as_ptr(), len: bytes.len() }
}

/// The bytes of a buffer, which is freed.
fn taken(buffer: lightning_buffer) -> Vec<u8> {
    if buffer.data.is_null() {
        return Vec::new();
    }
    // SAFETY: a buffer of the library's, freed once.
    unsafe {
        let copy = slice::from_raw_parts(buffer.data, buffer.len).to_vec();
        lightning_free(buffer);
        copy
    }
}

fn allow(what: &str, status: i32) -> i32 {
    if !ALLOWED.contains(&status) {
        // SAFETY: the last error of this thread, until its next call.
        let text = unsafe { lightning_last_error().as_ref().map(|error| CStr::from_ptr(error.text).to_owned()) };
        panic!("{what}: {status} {text:?}");
    }
    status
}

const NO_BUFFER: lightning_buffer = lightning_buffer { data: ptr::null_mut(), len: 0, capacity: 0 };

fn open(path: &CStr) -> u64 {
    let options = lightning_options {
        must_exist: false,
        read_only: false,
        durability: LIGHTNING_RELAXED,
        memory_budget_bytes: 4 << 20,
        feed_retention_bytes: 0,
        key: 0,
        encryption: LIGHTNING_AES_256_GCM,
    };
    let mut database = 0;
    // SAFETY: a path that ends with a zero byte, and places that may be written.
    let status = unsafe { lightning_open(path.as_ptr(), &raw const options, &raw mut database) };
    // Another thread may have closed it a moment ago, whose calls keep its files until they end.
    assert!(status == LIGHTNING_OK || status == 9, "{status}");
    database
}

fn table(database: u64) -> u64 {
    let mut table = 0;
    // SAFETY: texts that end with a zero byte, and a place that may be written.
    allow("table", unsafe {
        lightning_table(database, c"notes".as_ptr(), c"string".as_ptr(), c"bytes".as_ptr(), &raw mut table)
    });
    table
}

/// What one thread does with handles of its own and of others.
fn work(path: &CStr, shared: &[AtomicU64], all: &Mutex<Vec<u64>>, seed: u64) {
    let mut random = Random(seed);
    let mut value = [0_u8; 600];
    for round in 0..ROUNDS {
        let any = |random: &mut Random| shared[random.below(SHARED as u64) as usize].load(Ordering::Relaxed);
        let (database, target, scope) = (any(&mut random), any(&mut random), any(&mut random));
        let scope = if random.below(3) == 0 { scope } else { LIGHTNING_NOW };
        let key = format!("key {}", random.below(300));
        let mut made = 0;
        // SAFETY: pointers to what lives here, with their lengths; handles may be any number.
        unsafe {
            match random.below(16) {
                0 => made = open(path),
                1 | 2 => made = table(database),
                3 => drop(allow("snapshot", lightning_snapshot(database, &raw mut made))),
                4 => drop(allow("begin", lightning_begin(database, &raw mut made))),
                5 => drop(allow("stoppable", lightning_stoppable(target, scope, &raw mut made))),
                6 => drop(allow("stop", lightning_stop(any(&mut random)))),
                7 | 8 => {
                    let mut length = usize::MAX;
                    let capacity = random.below(700) as usize;
                    let place = value.as_mut_ptr();
                    let capacity = capacity.min(value.len());
                    let status = lightning_get(scope, target, bytes(key.as_bytes()), place, capacity, &raw mut length);
                    if allow("get", status) == LIGHTNING_OK && length <= capacity {
                        assert!(value[..length].iter().all(|byte| usize::from(*byte) == length % 251), "{length}");
                    }
                }
                9 | 10 => {
                    let length = random.below(600) as usize;
                    let written = vec![(length % 251) as u8; length];
                    let mode = random.below(4) as u8;
                    let mut made = NO_BUFFER;
                    let put = lightning_put(scope, target, mode, bytes(key.as_bytes()), bytes(&written), &raw mut made);
                    assert!(put == 27 || allow("put", put) <= LIGHTNING_OK || put > 0);
                    taken(made);
                }
                11 => drop(allow("delete", lightning_delete(scope, target, bytes(key.as_bytes())))),
                12 => {
                    let (mut rows, mut cursor) = (NO_BUFFER, 0);
                    let status = lightning_scan(
                        scope,
                        target,
                        ptr::null(),
                        random.below(2) == 0,
                        u64::MAX,
                        1 + random.below(2000) as usize,
                        &raw mut rows,
                        &raw mut cursor,
                    );
                    allow("scan", status);
                    taken(rows);
                    made = cursor;
                }
                13 => {
                    let (mut rows, mut is_over) = (NO_BUFFER, false);
                    let status = lightning_next(any(&mut random), 500, &raw mut rows, &raw mut is_over);
                    allow("next", status);
                    taken(rows);
                }
                14 => {
                    let mut keys = Vec::new();
                    for key in [&b"key 1"[..], b"key 2", key.as_bytes()] {
                        keys.extend_from_slice(&(key.len() as u32).to_le_bytes());
                        keys.extend_from_slice(key);
                    }
                    // What is cut is refused.
                    keys.truncate(keys.len() - random.below(2) as usize);
                    let mut values = NO_BUFFER;
                    allow("get many", lightning_get_many(scope, target, bytes(&keys), &raw mut values));
                    taken(values);
                }
                _ => match random.below(6) {
                    0 => drop(allow("commit", lightning_commit(any(&mut random)))),
                    1 => drop(allow("trim", lightning_trim_memory(database, random.below(2) as u8, ptr::null_mut()))),
                    2 if round % 50 == 0 => {
                        allow("suspend", lightning_suspend(database));
                        let resumed = lightning_resume(database, 100);
                        // Another thread may have closed it meanwhile, and one may have it again.
                        assert!(resumed == 9 || allow("resume", resumed) <= 0 || resumed > 0);
                    }
                    3 => drop(allow("close", lightning_close(any(&mut random)))),
                    // Twice.
                    _ => {
                        let handle = any(&mut random);
                        lightning_release(handle);
                        lightning_release(handle);
                    }
                },
            }
        }
        if made != 0 {
            all.lock().unwrap().push(made);
            // What was there stays open, or is given up, or is given up twice.
            let before = shared[random.below(SHARED as u64) as usize].swap(made, Ordering::Relaxed);
            match random.below(4) {
                0 => {}
                1 => {
                    lightning_close(before);
                }
                _ => {
                    lightning_release(before);
                    lightning_close(before);
                }
            }
        }
    }
}

#[test]
fn threads_that_use_what_others_close_get_answers_that_may_be_given() {
    let folder = std::env::temp_dir().join(format!("lightning-stress-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = CString::new(folder.join("app.ldb").to_str().unwrap()).unwrap();
    let shared: Vec<AtomicU64> = (0..SHARED).map(|_| AtomicU64::new(0)).collect();
    let first = open(&path);
    shared[0].store(first, Ordering::Relaxed);
    let notes = table(first);
    shared[1].store(notes, Ordering::Relaxed);
    let made = Mutex::new(vec![first, notes]);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (path, shared, made) = (&path, &shared, &made);
            scope.spawn(move || work(path, shared, made, thread + 1));
        }
    });
    // Nothing of it keeps the file, and what was committed is whole.
    for handle in made.into_inner().unwrap() {
        lightning_close(handle);
    }
    let path = path.to_str().unwrap();
    let database = lightning_db::Database::open(path, lightning_db::Options::default()).unwrap();
    assert_eq!(database.check().unwrap().problems, Vec::<String>::new());
    database.close().unwrap();
    fs::remove_dir_all(&folder).unwrap();
}

/// A place in the table has had so many owners: numbers of earlier ones stand for nothing.
#[test]
fn numbers_of_places_that_were_used_again_stand_for_nothing() {
    let folder = std::env::temp_dir().join(format!("lightning-generations-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = CString::new(folder.join("app.ldb").to_str().unwrap()).unwrap();
    let database = open(&path);
    let notes = table(database);
    let mut earlier = Vec::new();
    for _ in 0..2000 {
        let mut snapshot = 0;
        // SAFETY: a place that may be written.
        assert_eq!(unsafe { lightning_snapshot(database, &raw mut snapshot) }, LIGHTNING_OK);
        lightning_release(snapshot);
        earlier.push(snapshot);
    }
    let mut all = earlier.clone();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), earlier.len(), "no number is given twice");
    for snapshot in earlier {
        // SAFETY: no place for the value, which is not asked for.
        let status = unsafe { lightning_get(snapshot, notes, bytes(b"a"), ptr::null_mut(), 0, ptr::null_mut()) };
        assert_eq!(status, 12);
        assert_eq!(lightning_close(snapshot), LIGHTNING_OK, "closing twice does nothing");
    }
    // SAFETY: as above.
    let status = unsafe { lightning_get(0, notes, bytes(b"a"), ptr::null_mut(), 0, ptr::null_mut()) };
    assert_eq!(status, LIGHTNING_MISSING);
    assert_eq!(lightning_close(database), LIGHTNING_OK);
    fs::remove_dir_all(&folder).unwrap();
}
