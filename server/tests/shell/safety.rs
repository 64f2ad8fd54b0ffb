//! What holds when processes are killed, files are damaged, disks are full, and two want the same database.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::support::{Shell, binary};

fn rows(count: u64) -> String {
    (0..count)
        .map(|id| format!("{{\"id\":{id},\"text\":\"some text that is the same in all {count} rows\"}}\n"))
        .collect()
}

/// The two files of a database whose import of 1000 rows, over and over, was killed after at least 3 times.
pub fn killed_import(shell: &Shell, name: &str) -> (Vec<u8>, Vec<u8>) {
    let database = format!("{name}.ldb");
    let mut child = importing_into(shell, &database, &[]);
    acknowledged(&mut child, 3000);
    child.kill().unwrap();
    child.wait().unwrap();
    let files = [database.clone(), format!("{database}-log")].map(|file| std::fs::read(shell.path(&file)).unwrap());
    files.into()
}

fn importing(shell: &Shell, arguments: &[&str]) -> Child {
    importing_into(shell, "a.ldb", arguments)
}

/// An import that reads from a pipe, so that it stays open as long as the test likes.
fn importing_into(shell: &Shell, database: &str, arguments: &[&str]) -> Child {
    Command::new(binary())
        .args(["import", database, "t", "-", "--key", "id", "--key-type", "i64", "--batch", "1000", "--progress"])
        .args(arguments)
        .current_dir(shell.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Feeds rows until the import has acknowledged `least` of them; gives how many it has.
fn acknowledged(child: &mut Child, least: u64) -> u64 {
    let mut input = child.stdin.take().unwrap();
    // It goes on until the import is gone and the pipe breaks.
    std::thread::spawn(move || while input.write_all(rows(1000).as_bytes()).is_ok() {});
    let lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let counts = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    counts.into_iter().find(|count| *count >= least).unwrap()
}

#[test]
fn what_was_acknowledged_survives_a_killed_import() {
    for durability in ["sync", "periodic", "relaxed"] {
        let shell = Shell::new();
        let numbered: String = (0..200_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        let mut child = importing(&shell, &["--durability", durability]);
        let mut input = child.stdin.take().unwrap();
        std::thread::spawn(move || input.write_all(numbered.as_bytes()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = (&mut lines).map_while(Result::ok).find(|line| line == "acknowledged 3000");
        assert!(line.is_some(), "{durability}");
        child.kill().unwrap();
        child.wait().unwrap();
        let told = lines.map_while(Result::ok).last().unwrap_or("acknowledged 3000".into());
        let promised: u64 = told.strip_prefix("acknowledged ").unwrap().parse().unwrap();

        let count: u64 = shell.done("count a.ldb t").trim().parse().unwrap();
        assert!(
            count >= promised && count.is_multiple_of(1000),
            "{durability}: {count} of {promised} acknowledged rows"
        );
        let last = shell.done("scan a.ldb t --reverse --limit 1 --keys-only");
        assert_eq!(last.trim().parse(), Ok(count - 1), "{durability}: the first rows, without a gap");
        assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"), "{durability}");
        shell.done(&format!("put a.ldb t {count} {{}}"));
    }
}

#[test]
fn a_database_that_is_open_elsewhere_is_left_alone() {
    let shell = Shell::new();
    let mut child = importing(&shell, &[]);
    acknowledged(&mut child, 1000);
    let told = shell.fails("put a.ldb t 1 x", 4);
    assert!(told.starts_with("lightning: a.ldb: the database is open in"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
    shell.done("put a.ldb t 1 x");
}

#[test]
fn damage_is_found_and_never_printed_as_data() {
    let shell = Shell::new();
    shell.write("rows.jsonl", rows(20_000));
    shell.done("import a.ldb t rows.jsonl --key id --key-type i64");
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
    let whole = shell.done("scan a.ldb t");

    // The leaves hold nearly all bytes of the file, so one in its middle is hit.
    let path = shell.path("a.ldb");
    let mut bytes = std::fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 0x40;
    std::fs::write(&path, bytes).unwrap();

    let ran = shell.run("check a.ldb");
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("damaged: ") || ran.err.contains("damaged"), "{}{}", ran.out, ran.err);
    let ran = shell.run("scan a.ldb t");
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(whole.starts_with(&ran.out), "what was printed before the damage was met is sound");
    let json: serde_json::Value = serde_json::from_str(&shell.run("check a.ldb --json").out).unwrap();
    assert_eq!(json["clean"], false);
}

#[test]
fn a_full_disk_is_told_as_such_and_harms_nothing() {
    let shell = Shell::new();
    shell.write("rows.jsonl", rows(100_000));
    shell.done("put a.ldb t 1 x --key-type i64");
    // A limit on the size of files stands in for the disk: 2 MiB, in the shell's blocks of 512 bytes.
    let limited =
        format!("trap '' XFSZ; ulimit -f 4096; exec {} import a.ldb t rows.jsonl --key id", binary().display());
    let output = Command::new("sh").args(["-c", &limited]).current_dir(shell.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
    assert_eq!(shell.run("get a.ldb t 1").code, 0);
    assert!(shell.fails("import a.ldb t rows.jsonl --key id", 2).contains("go on with --resume"));
    shell.done("import a.ldb t rows.jsonl --key id --resume");
    assert_eq!(shell.done("count a.ldb t"), "100000\n");
}

#[test]
fn output_that_cannot_be_written_is_a_storage_failure() {
    let shell = Shell::new();
    shell.done("put a.ldb t a 1");
    let told = shell.fails("export a.ldb t /dev/full", 5);
    assert!(told.starts_with("lightning: "), "{told}");
    assert_eq!(shell.fails("export a.ldb t no/such/folder.jsonl", 2).lines().count(), 1);
}

#[test]
fn figures_read_after_a_crash_tell_the_log_that_was_replayed() {
    let shell = Shell::new();
    killed_import(&shell, "a");
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let replayed = json(&shell.done("check a.ldb --json"))["replayed_commits"].as_u64();
    let figures = json(&shell.done("stats a.ldb --json"));
    // Three commits of 1000 rows are 200 KB or so, and nothing else has merged them.
    assert!(replayed >= Some(1) && figures["log_bytes"].as_u64() >= Some(10_000), "{replayed:?} {figures}");
    assert!(!shell.done("stats a.ldb").contains("log        0 B"), "{figures}");
    shell.done("put a.ldb t 1 {}");
    assert_eq!(json(&shell.done("stats a.ldb --json"))["log_bytes"], 0, "after a clean close");
}
