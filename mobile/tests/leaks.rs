//! What was opened and given up is gone: handles, files, threads. A process of its own, so that nobody else opens any.

#![allow(unsafe_code, reason = "calls as C makes them")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::ffi::CString;
use std::fs;
use std::ptr;

use lightning_db_mobile::c::*;

const OPENS: usize = 1000;

fn bytes(bytes: &[u8]) -> lightning_bytes {
    lightning_bytes { data: bytes.as_ptr(), len: bytes.len() }
}

/// Open files and threads.
fn held() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn nothing_is_left_of_thousands_of_opens() {
    for encrypted in [false, true] {
        opens(encrypted);
    }
}

fn opens(encrypted: bool) {
    let folder = std::env::temp_dir().join(format!("lightning-leaks-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = CString::new(folder.join("app.ldb").to_str().unwrap()).unwrap();
    let (name, strings, any) = (c"notes", c"string", c"bytes");
    let mut options = lightning_options {
        must_exist: false,
        read_only: false,
        durability: LIGHTNING_RELAXED,
        memory_budget_bytes: 2 << 20,
        feed_retention_bytes: 0,
        key: 0,
        encryption: LIGHTNING_AES_256_GCM,
    };
    let mut before = None;
    for round in 0..OPENS {
        let (mut database, mut table, mut snapshot, mut transaction, mut scope, mut cursor) = (0, 0, 0, 0, 0, 0);
        let mut rows = lightning_buffer { data: ptr::null_mut(), len: 0, capacity: 0 };
        if encrypted {
            // SAFETY: bytes that live here, and a place that may be written.
            let made = unsafe { lightning_raw_key(bytes(&[7; 32]), &raw mut options.key) };
            assert_eq!(made, LIGHTNING_OK);
        }
        // SAFETY: pointers to what lives here; texts end with a zero byte.
        unsafe {
            assert_eq!(lightning_open(path.as_ptr(), &raw const options, &raw mut database), LIGHTNING_OK);
            // It is needed no more.
            lightning_release(options.key);
            let opened = lightning_table(database, name.as_ptr(), strings.as_ptr(), any.as_ptr(), &raw mut table);
            assert_eq!(opened, LIGHTNING_OK);
            if round == 0 {
                for key in [b"a", b"b", b"c"] {
                    let put = lightning_put(0, table, LIGHTNING_PUT, bytes(key), bytes(b"value"), ptr::null_mut());
                    assert_eq!(put, LIGHTNING_OK);
                }
            }
            assert_eq!(lightning_snapshot(database, &raw mut snapshot), LIGHTNING_OK);
            assert_eq!(lightning_begin(database, &raw mut transaction), LIGHTNING_OK);
            assert_eq!(lightning_stoppable(database, snapshot, &raw mut scope), LIGHTNING_OK);
            let all = ptr::null();
            let scanned = lightning_scan(scope, table, all, false, u64::MAX, 1, &raw mut rows, &raw mut cursor);
            assert_eq!(scanned, LIGHTNING_OK);
            lightning_free(rows);
        }
        assert_ne!(cursor, 0);
        assert_eq!(lightning_open_objects(), 6);
        // All that is open in it goes with it.
        assert_eq!(lightning_close(database), LIGHTNING_OK);
        assert_eq!(lightning_open_objects(), 0);
        for closed in [table, snapshot, transaction, scope, cursor, database] {
            lightning_release(closed);
        }
        // SAFETY: as above.
        let found = unsafe { lightning_get(0, table, bytes(b"a"), ptr::null_mut(), 0, ptr::null_mut()) };
        assert!(found > 0, "it is closed");
        if round == 10 {
            before = Some(held());
        }
    }
    assert_eq!(before, Some(held()));
    fs::remove_dir_all(&folder).unwrap();
}
