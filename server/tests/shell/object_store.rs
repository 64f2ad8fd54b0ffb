//! Backups in object stores: what goes there comes back, and what fails leaves nothing behind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lightning_db::{Database, Options, Table};

use crate::s3::{SECRET, Store, Wrong};
use crate::support::{Shell, binary};

const TABLE: Table<'_, u64, &[u8]> = Table::new("t");
const PART: (&str, &str) = ("PUT", "partNumber=");
const BEGIN: (&str, &str) = ("POST", "uploads");
const COMPLETE: (&str, &str) = ("POST", "uploadId=");
const FIRST_BLOCK: (&str, &str) = ("GET", "");

/// A database whose backup takes three parts, and a store.
fn with_store() -> (Shell, Store) {
    let store = Store::start();
    let shell = Shell::with_environment(store.environment());
    let database = Database::open(shell.path("a.ldb"), Options::default()).unwrap();
    let mut state = 1_u64;
    // Not to be compressed.
    let mut random = |len| -> Vec<u8> {
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    };
    for number in 0..180 {
        database.table(TABLE).unwrap().put(number, random(100_000).as_slice()).unwrap();
    }
    database.close().unwrap();
    (shell, store)
}

fn require_same(shell: &Shell, one: &str, other: &str) {
    assert!(shell.done(&format!("export {one} t")) == shell.done(&format!("export {other} t")), "{one}, {other}");
    shell.done(&format!("check {other}"));
}

/// No object, no part, and nothing of a database that was to be restored.
fn require_nothing(shell: &Shell, store: &Store, new: &str) {
    assert_eq!(store.names(), Vec::<String>::new());
    assert_eq!(store.state().uploads.len(), 0, "parts are left");
    for suffix in ["", "-log", "-lock", "-partial", "-partial-log", "-partial-lock"] {
        assert!(!shell.path(&format!("{new}{suffix}")).exists(), "{new}{suffix}");
    }
}

#[test]
fn a_backup_in_a_store_is_verified_and_restored() {
    let (shell, store) = with_store();
    let told = shell.done("backup a.ldb s3://bucket/daily/sunday.ldb");
    assert!(told.starts_with("copied a.ldb into s3://bucket/daily/sunday.ldb: 18"), "{told}");
    assert_eq!(store.names(), ["daily/sunday.ldb"]);
    assert_eq!(store.state().uploads.len(), 0);
    let parts = store.state().requests.iter().filter(|request| request.contains("partNumber=")).count();
    assert_eq!(parts, 3);
    // The same bytes that a file gets.
    shell.done("backup a.ldb here.ldb");
    assert_eq!(
        store.state().objects["daily/sunday.ldb"].bytes.len(),
        std::fs::read(shell.path("here.ldb")).unwrap().len()
    );

    assert!(shell.done("verify s3://bucket/daily/sunday.ldb").contains("is whole: 18"));
    shell.done("restore b.ldb s3://bucket/daily/sunday.ldb");
    require_same(&shell, "a.ldb", "b.ldb");
    assert!(shell.fails("restore b.ldb s3://bucket/daily/sunday.ldb", 2).contains("'b.ldb' exists"));
    let told = shell.fails("backup a.ldb s3://bucket/daily/sunday.ldb", 2);
    assert!(told.contains("s3://bucket/daily/sunday.ldb: it exists; name an object that does not"), "{told}");
}

#[test]
fn increments_and_archives_are_read_from_and_written_to_a_store() {
    let (shell, store) = with_store();
    shell.done("put a.ldb days --key-type u64 1 rain --keep-log 64");
    shell.done("backup a.ldb s3://bucket/sunday.ldb --keep-log 64");
    shell.done("put a.ldb days 2 sun --keep-log 64");
    shell.done("archive on a.ldb --folder pieces --keep-log 64");
    shell.done("backup a.ldb s3://bucket/monday.inc --since s3://bucket/sunday.ldb --keep-log 64");
    for day in 3..8 {
        shell.done(&format!("put a.ldb days {day} snow --keep-log 64"));
    }
    shell.done("backup a.ldb s3://bucket/tuesday.inc --since s3://bucket/monday.inc --keep-log 64");
    assert_eq!(store.names(), ["monday.inc", "sunday.ldb", "tuesday.inc"]);
    let all = "s3://bucket/sunday.ldb s3://bucket/monday.inc s3://bucket/tuesday.inc";
    assert!(shell.done(&format!("verify {all}")).contains("its increments are whole: 6 commits"));
    shell.done(&format!("restore b.ldb {all}"));
    assert_eq!(shell.done("scan b.ldb days"), shell.done("scan a.ldb days"));

    // What any tool has put there; three pages of a list.
    for piece in std::fs::read_dir(shell.path("pieces")).unwrap() {
        let piece = piece.unwrap();
        store.put(&format!("archive/{}", piece.file_name().to_str().unwrap()), std::fs::read(piece.path()).unwrap());
    }
    store.put("archive/not-a-piece", "");
    assert_eq!(store.names().iter().filter(|name| name.starts_with("archive/")).count(), 6);
    let told = shell.done("restore c.ldb s3://bucket/sunday.ldb s3://bucket/monday.inc s3://bucket/archive/");
    assert!(told.contains("6 commits are from increments"), "{told}");
    assert_eq!(shell.done("scan c.ldb days"), shell.done("scan a.ldb days"));
    let told = shell.fails("restore d.ldb s3://bucket/sunday.ldb s3://bucket/archive/", 2);
    assert!(told.contains("are missing"), "{told}");
}

#[test]
fn an_increment_to_standard_output_is_the_one_of_a_file() {
    let (shell, store) = with_store();
    shell.done("backup a.ldb s3://bucket/sunday.ldb --keep-log 64");
    shell.done("put a.ldb days 2 sun --keep-log 64");
    let bytes = shell.piped("backup a.ldb - --since s3://bucket/sunday.ldb --keep-log 64", b"");
    store.put("monday.inc", bytes);
    assert!(shell.done("verify s3://bucket/sunday.ldb s3://bucket/monday.inc").contains("whole: 1 commit,"));
}

#[test]
fn what_fails_for_a_while_is_tried_again() {
    let (shell, store) = with_store();
    store.fails(BEGIN, 0, 1, Wrong::Status(503));
    store.fails(PART, 0, 2, Wrong::Status(500));
    store.fails(PART, 1, 1, Wrong::Cut);
    store.fails(PART, 0, 1, Wrong::Slow(Duration::from_millis(300)));
    store.fails(COMPLETE, 0, 1, Wrong::Status(500));
    shell.done("backup a.ldb s3://bucket/a");
    store.fails(FIRST_BLOCK, 0, 1, Wrong::Status(500));
    store.fails(FIRST_BLOCK, 1, 2, Wrong::CutInside);
    store.fails(FIRST_BLOCK, 1, 1, Wrong::Cut);
    shell.done("restore b.ldb s3://bucket/a");
    require_same(&shell, "a.ldb", "b.ldb");
}

#[test]
fn an_upload_that_fails_leaves_nothing() {
    let (shell, store) = with_store();
    for (requests, after, wrong, code) in [
        (BEGIN, 0, Wrong::Status(500), 5),
        (PART, 0, Wrong::Status(403), 5),
        (PART, 1, Wrong::Status(500), 5),
        (PART, 2, Wrong::Cut, 5),
        (COMPLETE, 0, Wrong::Status(500), 5),
        (COMPLETE, 0, Wrong::Cut, 5),
    ] {
        store.fails(requests, after, usize::MAX, wrong);
        let told = shell.fails("backup a.ldb s3://bucket/a", code);
        assert!(told.starts_with("lightning: s3://bucket/a: the store "), "{requests:?} {wrong:?}: {told}");
        assert!(!told.contains(SECRET), "{told}");
        require_nothing(&shell, &store, "b.ldb");
        store.works_again();
    }
}

#[test]
fn a_killed_upload_leaves_nothing_that_is_seen() {
    let (shell, store) = with_store();
    store.fails(PART, 1, usize::MAX, Wrong::Slow(Duration::from_secs(20)));
    let mut command = Command::new(binary());
    command.args(["backup", "a.ldb", "s3://bucket/a"]).current_dir(shell.path("")).envs(store.environment());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !store.state().requests.iter().any(|request| request.contains("partNumber=3")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it uploads nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.names(), Vec::<String>::new());
    store.works_again();
    shell.done("backup a.ldb s3://bucket/a");
}

#[test]
fn an_upload_whose_last_answer_is_lost_is_done() {
    let (shell, store) = with_store();
    store.fails(COMPLETE, 0, 1, Wrong::AnswerLost);
    shell.done("backup a.ldb s3://bucket/a");
    assert_eq!(store.names(), ["a"]);
}

#[test]
fn an_object_that_appears_meanwhile_is_not_overwritten() {
    let (shell, store) = with_store();
    store.fails(COMPLETE, 0, 1, Wrong::Overtaken);
    assert!(shell.fails("backup a.ldb s3://bucket/a", 2).contains("it exists"));
    assert_eq!(store.state().objects["a"].bytes, b"of another");
    assert_eq!(store.state().uploads.len(), 0);
}

#[test]
fn who_may_only_write_makes_backups_and_overwrites_none() {
    let (shell, store) = with_store();
    store.fails(("HEAD", ""), 0, usize::MAX, Wrong::Status(403));
    shell.done("backup a.ldb s3://bucket/a");
    assert!(shell.fails("backup a.ldb s3://bucket/a", 2).contains("it exists"));
    let careless =
        shell.again_with([store.environment(), vec![("AWS_CONDITIONAL_PUT".into(), "disabled".into())]].concat());
    assert!(careless.fails("backup a.ldb s3://bucket/b", 5).contains("the store refuses this"));
    assert_eq!((store.names(), store.state().uploads.len()), (vec!["a".to_owned()], 0));
}

#[test]
fn a_restore_that_fails_leaves_nothing() {
    let (shell, store) = with_store();
    shell.done("backup a.ldb s3://bucket/a");
    let backup = store.state().objects.remove("a").unwrap().bytes;
    let refuse = |bytes: Vec<u8>, code| {
        store.put("a", bytes);
        let told = shell.fails("restore b.ldb s3://bucket/a", code);
        store.state().objects.clear();
        require_nothing(&shell, &store, "b.ldb");
        told
    };
    // Inside values, not in the padding behind them.
    for at in [1, 2, 4].map(|share| backup.len() * share / 7) {
        let mut damaged = backup.clone();
        damaged[at] ^= 1;
        refuse(damaged, 3);
    }
    refuse(backup[..backup.len() / 2].to_vec(), 3);
    refuse(b"a text".to_vec(), 3);
    store.fails(FIRST_BLOCK, 2, usize::MAX, Wrong::Status(500));
    let told = refuse(backup.clone(), 5);
    assert!(told.contains("'s3://bucket/a': the store cannot be reached, or fails"), "{told}");
    store.works_again();
    // Another object takes its place after the first block.
    store.fails(FIRST_BLOCK, 1, usize::MAX, Wrong::Overtaken);
    let told = refuse(backup, 5);
    assert!(told.contains("somebody has put another object in its place"), "{told}");
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let (shell, store) = with_store();
    let told = shell.fails("backup a.ldb s3://other/a", 2);
    assert!(told.contains("s3://other/a: the store has no bucket 'other'; check the address"), "{told}");
    for command in
        ["restore b.ldb s3://bucket/none", "verify s3://bucket/none", "backup a.ldb c --since s3://bucket/none"]
    {
        let told = shell.fails(command, 2);
        assert!(told.contains("'s3://bucket/none' is not there: the store has no such object"), "{told}");
    }
    let told = shell.fails("restore b.ldb s3://other/a", 2);
    assert!(told.contains("the store has no bucket 'other'"), "{told}");
    let told = shell.fails("backup a.ldb s3://key:secret@bucket/a", 2);
    assert!(told.contains("keys do not belong in an address"), "{told}");

    let with = |name: &str, value: &str| {
        let mut environment = store.environment();
        environment.push((name.to_owned(), value.to_owned()));
        shell.again_with(environment)
    };
    let stranger = with("AWS_ACCESS_KEY_ID", "somebody");
    for command in ["backup a.ldb s3://bucket/a", "restore b.ldb s3://bucket/a", "verify s3://bucket/a"] {
        let told = stranger.fails(command, 5);
        assert!(told.contains("the store refuses this; check AWS_ACCESS_KEY_ID"), "{told}");
        assert!(told.contains("InvalidAccessKeyId"), "{told}");
    }
    let nobody = with("AWS_ENDPOINT", "http://127.0.0.1:1");
    let told = nobody.fails("backup a.ldb s3://bucket/a", 5);
    assert!(told.contains("the store cannot be reached, or fails; check AWS_ENDPOINT"), "{told}");
    require_nothing(&shell, &store, "b.ldb");
}
