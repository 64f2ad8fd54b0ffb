//! Checking, figures and compaction.

use crate::support::Shell;

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn with_rows(count: u64) -> Shell {
    let shell = Shell::new();
    let rows: String = (0..count).map(|id| format!("{{\"id\":{id},\"text\":\"number {}\"}}\n", id * 7919)).collect();
    shell.write("rows.jsonl", rows);
    shell.done("import a.ldb t rows.jsonl --key id --key-type i64");
    shell
}

#[test]
fn a_check_tells_what_it_verified() {
    let shell = with_rows(5_000);
    let report = json(&shell.done("check a.ldb --json"));
    assert_eq!((&report["clean"], &report["clean_close"]), (&true.into(), &true.into()));
    assert_eq!(report["records"], 5_000, "{report}");
    // The definition of the table, and the number for the next.
    assert_eq!(report["catalogue_records"], 2, "{report}");
    let text = shell.done("check a.ldb");
    assert!(text.contains("  5,000  in tables") && text.contains("  2  in the catalogue"), "{text}");
    assert_eq!(report["problems"], serde_json::json!([]));

    let ran = shell.run("check a.ldb --progress");
    assert_eq!(ran.code, 0);
    for stage in [
        " 1 of 12  read superblocks",
        " 2 of 12  read checkpoint record",
        " 3 of 12  read space map",
        "verify pages, values, order, counts and space",
    ] {
        assert!(ran.err.lines().any(|line| line == stage), "'{stage}' is not in {}", ran.err);
    }
}

#[test]
fn files_with_zstandard_and_blake3_are_opened() {
    use lightning_db::{Checksum, Compression, Database, Options, Table};
    let shell = Shell::new();
    let mut options = Options::default();
    options.compression = Compression::Zstd;
    options.checksum = Checksum::Blake3;
    let database = Database::open(shell.path("a.ldb"), options).unwrap();
    database.table(Table::<&str, &str>::new("t")).unwrap().put("key", "value").unwrap();
    drop(database);
    shell.done("put a.ldb t other thing");
    let figures = json(&shell.done("stats a.ldb --json"));
    assert_eq!((&figures["compression"], &figures["checksum"]), (&"Zstandard".into(), &"BLAKE3".into()));
    assert_eq!(json(&shell.done("check a.ldb --json"))["clean"], true);
}

#[test]
fn a_compaction_tells_its_stages() {
    let shell = with_rows(5_000);
    let ran = shell.run("compact a.ldb --progress");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for stage in ["8 of 12  reserve values", "12 of 12  done", "write checkpoint"] {
        assert!(ran.err.lines().any(|line| line.trim() == stage), "'{stage}' is not in {}", ran.err);
    }
    assert_eq!(shell.run("compact a.ldb").err, "", "nothing is told where nobody asked");
}

#[test]
fn a_check_writes_nothing() {
    let shell = with_rows(1_000);
    let before = std::fs::read(shell.path("a.ldb")).unwrap();
    shell.done("check a.ldb");
    shell.done("stats a.ldb");
    shell.done("scan a.ldb t --limit 1");
    assert!(before == std::fs::read(shell.path("a.ldb")).unwrap());
}

#[test]
fn figures_are_for_people_and_for_programs() {
    let shell = with_rows(1_000);
    let figures = json(&shell.done("stats a.ldb --json"));
    assert_eq!(figures["tables"], 1);
    assert!(figures["base_entries"].as_u64() >= Some(1_000), "{figures}");
    assert_eq!(figures["memory_budget_bytes"], 64 << 20);
    assert_eq!(json(&shell.done("stats a.ldb --json --memory 16"))["memory_budget_bytes"], 16 << 20);
    assert_eq!((&figures["compression"], &figures["checksum"]), (&"LZ4".into(), &"CRC-32".into()));
    let text = shell.done("stats a.ldb");
    for name in ["made with", "records", "file", "log", "memory", "cache", "commits"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "'{name}' is not in {text}");
    }
}

#[test]
fn compaction_gives_back_the_space_of_deleted_rows() {
    let shell = with_rows(50_000);
    shell.done("delete a.ldb t --from 100");
    let report = json(&shell.done("compact a.ldb --json"));
    assert!(report["bytes_after"].as_u64() < Some(200_000), "{report}");
    assert_eq!(report["bytes_after"], std::fs::metadata(shell.path("a.ldb")).unwrap().len());
    assert_eq!(shell.done("count a.ldb t"), "100\n");
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
}

#[test]
fn ten_megabytes_of_memory_are_enough() {
    let shell = with_rows(10);
    let rows: String = (0..60_000).map(|id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "x".repeat(200))).collect();
    shell.write("rows.jsonl", rows);
    shell.done("import a.ldb t rows.jsonl --key id --key-type i64 --memory 10 --batch 1000000");
    assert_eq!(shell.done("count a.ldb t --memory 10"), "60000\n");
    assert!(shell.done("check a.ldb --memory 10").starts_with("a.ldb is whole"));
}

#[test]
fn values_of_any_length_come_back() {
    let shell = Shell::new();
    let long = "0123456789abcdef".repeat(1 << 18);
    assert_eq!(shell.run_with(&["put", "a.ldb", "t", "long", "-"], &long).code, 0);
    assert!(shell.done("get a.ldb t long --raw") == long);
    shell.done("export a.ldb t out.jsonl");
    shell.done("import b.ldb t out.jsonl");
    assert!(shell.done("get b.ldb t long --raw") == long);
}

#[test]
fn a_backup_is_a_database_of_its_own() {
    let shell = with_rows(5_000);
    let ran = shell.run("backup a.ldb copy.ldb --progress");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.lines().any(|line| line == " 1 of 12  read superblocks"), "{}", ran.err);
    assert!(ran.out.contains("5,002 records"), "{}", ran.out);
    let report = json(&shell.done("check copy.ldb --json"));
    assert_eq!((&report["clean"], &report["records"]), (&true.into(), &5_000.into()));
    assert_eq!(shell.done("get copy.ldb t 77"), shell.done("get a.ldb t 77"));
    shell.done("put copy.ldb t 5001 {}");
    assert_eq!(json(&shell.done("check a.ldb --json"))["records"], 5_000);

    let again = shell.run("backup a.ldb copy.ldb");
    assert!(again.code != 0 && again.err.contains("exists"), "{}", again.err);
    assert!(shell.run("backup none.ldb other.ldb").code != 0);
}

#[test]
fn a_backup_and_its_increments_give_back_any_commit() {
    let shell = with_rows(3_000);
    shell.done("backup a.ldb base.ldb --keep-log 16");
    let at = |sequence: u64| {
        json(&shell.done(&format!("restore at{sequence}.ldb base.ldb 1.inc 2.inc --to-sequence {sequence} --json")))
    };
    shell.done("put a.ldb t 1 {\"new\":1} --keep-log 16");
    shell.done("delete a.ldb t 2 --keep-log 16");
    shell.done("backup a.ldb 1.inc --since base.ldb --keep-log 16");
    shell.done("put a.ldb t 1 {\"new\":2} --keep-log 16");
    let ran = shell.run("backup a.ldb 2.inc --since 1.inc --keep-log 16");
    assert!(ran.code == 0 && ran.out.contains(": 1 commit, "), "{} {}", ran.out, ran.err);

    let verified = json(&shell.done("verify base.ldb 1.inc 2.inc --json"));
    let (first, last) = (verified["from_sequence"].as_u64().unwrap(), verified["to_sequence"].as_u64().unwrap());
    assert_eq!((last - first, &verified["commits"]), (3, &3.into()));

    let restored = json(&shell.done("restore all.ldb base.ldb 1.inc 2.inc --json"));
    assert_eq!((&restored["sequence"], &restored["left_out"]), (&last.into(), &false.into()));
    assert_eq!(shell.done("scan all.ldb t"), shell.done("scan a.ldb t"));
    assert_eq!(json(&shell.done("check all.ldb --json"))["clean"], true);

    assert_eq!(at(first + 1)["left_out"], true);
    assert!(shell.done(&format!("get at{}.ldb t 1", first + 1)).contains("\"new\":1"));
    assert!(shell.done(&format!("get at{}.ldb t 2", first + 1)).contains('{'));
    at(first + 2);
    assert_eq!(shell.run(&format!("get at{}.ldb t 2", first + 2)).code, 1, "it was deleted by that commit");
    // All were made in the past, none before 2020.
    let now = json(&shell.done("restore now.ldb base.ldb 1.inc 2.inc --to-time 2100-01-01T00:00:00Z --json"));
    assert_eq!(now["sequence"], last);
    let never = shell.fails("restore never.ldb base.ldb 1.inc 2.inc --to-time 2020-01-01T00:00:00Z", 2);
    assert!(never.contains("restore an earlier backup"), "{never}");
}

#[test]
fn an_archive_gives_back_any_commit_whoever_writes() {
    let shell = with_rows(1_000);
    let status = json(&shell.done("archive on a.ldb --hold 8 --json"));
    assert_eq!((&status["on"], &status["pieces"]), (&true.into(), &0.into()));
    shell.done("backup a.ldb base.ldb --retain 1");
    let first = status["archived"].as_u64().unwrap();
    let long = "x".repeat(20_000);
    shell.done(&format!("put a.ldb t 1 {{\"long\":\"{long}\"}}"));
    shell.done("put a.ldb t 1 {\"short\":1}");
    shell.done("delete a.ldb t 2");
    let status = json(&shell.done("archive status a.ldb --json"));
    assert_eq!((&status["archived"], &status["newest"]), (&(first + 3).into(), &(first + 3).into()));
    assert_eq!((&status["gap"], &status["failed"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(status["retained"]["after"], first);

    let verified = json(&shell.done("verify base.ldb a.ldb-archive --json"));
    assert_eq!((&verified["commits"], &verified["to_sequence"]), (&3.into(), &(first + 3).into()));
    let restored =
        json(&shell.done(&format!("restore b.ldb base.ldb a.ldb-archive --to-sequence {} --json", first + 1)));
    assert_eq!(restored["sequence"], first + 1);
    assert!(shell.done("get b.ldb t 1").contains(&long));
    shell.done("restore c.ldb base.ldb a.ldb-archive");
    assert_eq!(shell.done("scan c.ldb t"), shell.done("scan a.ldb t"));

    // A copy is not archived; in the folder of the other it could not be.
    assert!(shell.done("archive status b.ldb").contains("is not archived"));
    let ran = shell.run("archive on b.ldb --folder a.ldb-archive");
    assert!(ran.code != 0 && ran.err.contains("of another history"), "{}", ran.err);

    let pruned = json(&shell.done("archive prune a.ldb --json"));
    assert_eq!(pruned["pieces"], 0);
    shell.done("archive off a.ldb");
    shell.done("put a.ldb t 3 {}");
    let ran = shell.run(&format!("restore d.ldb base.ldb a.ldb-archive --to-sequence {}", first + 4));
    assert!(ran.code != 0 && ran.err.contains("give those that follow"), "{}", ran.err);
}

#[test]
fn a_backup_goes_through_a_pipe() {
    let shell = with_rows(3_000);
    let copy = shell.piped("backup a.ldb - --limit-rate 100", b"");
    shell.write("copy.ldb", &copy);
    assert_eq!(json(&shell.done("check copy.ldb --json"))["clean"], true);
    let restored = json(&String::from_utf8(shell.piped("restore b.ldb - --json", &copy)).unwrap());
    assert_eq!(restored["left_out"], false);
    assert_eq!(shell.done("scan b.ldb t"), shell.done("scan a.ldb t"));
    let ran = shell.run_with(&["restore", "c.ldb", "-"], "no database");
    assert!(ran.code != 0 && !shell.path("c.ldb").exists(), "{}", ran.err);
}

#[test]
fn a_named_snapshot_shows_what_was_there() {
    let shell = with_rows(200);
    shell.done("snapshot create a.ldb before");
    let before = shell.done("scan a.ldb t");
    shell.done("delete a.ldb t 7");
    shell.done("put a.ldb t 8 {\"new\":1}");
    shell.done("compact a.ldb");
    assert_eq!(shell.done("scan a.ldb t --snapshot before"), before);
    assert_eq!(shell.done("count a.ldb t --snapshot before").trim(), "200");
    assert_eq!(shell.done("count a.ldb t").trim(), "199");
    let listed = json(&shell.done("snapshot list a.ldb --json"));
    assert_eq!(listed["name"], "before");
    assert!(listed["held_bytes"].as_u64().unwrap() > 0);
    assert_eq!(json(&shell.done("check a.ldb --json"))["clean"], true);
    let ran = shell.run("get a.ldb t 7 --snapshot after");
    assert!(ran.code != 0 && ran.err.contains("there is no snapshot 'after'"), "{}", ran.err);
    shell.done("snapshot drop a.ldb before");
    assert_eq!(shell.done("snapshot list a.ldb"), "");
}

#[test]
fn what_cannot_be_restored_is_told_and_leaves_nothing() {
    let shell = with_rows(100);
    shell.done("backup a.ldb base.ldb --keep-log 16");
    shell.done("put a.ldb t 1 {} --keep-log 16");
    shell.done("backup a.ldb 1.inc --since base.ldb --keep-log 16");
    shell.done("put a.ldb t 2 {} --keep-log 16");
    shell.done("backup a.ldb 2.inc --since 1.inc --keep-log 16");
    let refused = |line: &str, code: i32, says: &str| {
        let ran = shell.run(line);
        assert!(ran.code == code && ran.err.contains(says), "{line}: {} {}", ran.code, ran.err);
        assert!(!shell.path("x.ldb").exists() && !shell.path("x.ldb-partial").exists(), "{line}");
    };
    refused("restore x.ldb base.ldb 2.inc", 2, "goes on after commit");
    refused("restore x.ldb base.ldb 1.inc --to-sequence 999999", 2, "give those that follow");
    refused("restore x.ldb base.ldb 1.inc --to-time yesterday", 2, "write it like");
    refused("restore x.ldb 1.inc", 3, "not a Lightning DB database");
    refused("restore a.ldb base.ldb", 2, "exists");
    refused("verify a.ldb 1.inc", 2, "no backup");
    refused("verify base.ldb base.ldb", 2, "no increment");
    refused("backup a.ldb 1.inc --since base.ldb", 2, "exists");

    let mut bytes = std::fs::read(shell.path("1.inc")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(shell.path("1.inc"), &bytes).unwrap();
    refused("restore x.ldb base.ldb 1.inc", 3, "the backup is damaged");
    refused("verify base.ldb 1.inc", 3, "the backup is damaged");
    bytes.truncate(middle);
    std::fs::write(shell.path("1.inc"), &bytes).unwrap();
    refused("verify base.ldb 1.inc", 3, "cut");
}

#[test]
fn what_cannot_be_restored_is_said_with_what_to_do() {
    let shell = with_rows(10);
    assert!(shell.fails("archive prune a.ldb", 2).contains("a.ldb is not archived; 'archive on' begins that"));
    shell.done("backup a.ldb sunday.ldb");
    shell.done("archive on a.ldb --folder pieces --keep 30 --keep-size 100");
    shell.done("put a.ldb t 1 one");
    let status = shell.done("archive status a.ldb");
    assert!(status.contains("\n           1 piece, "), "{status}");
    assert!(status.contains("\nfolder     pieces; keeps 30 days and at most 100.00 MiB\n"), "{status}");

    std::fs::create_dir(shell.path("empty")).unwrap();
    for (arguments, told) in [
        ("sunday.ldb a.ldb", "'a.ldb' is no increment of a backup; give what 'backup --since' made"),
        ("sunday.ldb empty", "'empty' has no piece of an archive in it; check the path"),
        ("sunday.ldb none", "b.ldb: 'none' is not there: "),
        ("a.ldb pieces", "'a.ldb': this is no backup, or it was written to"),
        ("sunday.ldb pieces --to-time 2020-01-01T00:00:00Z", "which is later; restore an earlier backup"),
        ("sunday.ldb pieces --to-sequence 1000", "before 1000; give those that follow, too"),
    ] {
        let refused = shell.fails(&format!("restore b.ldb {arguments}"), 2);
        assert!(refused.contains(told), "{arguments}: {refused}");
        assert!(!shell.path("b.ldb").exists() && !shell.path("b.ldb-partial").exists());
    }
    assert!(shell.done("restore b.ldb sunday.ldb pieces").ends_with("; 1 commit is from increments\n"));
    // Nothing keeps the log.
    for number in 0..3 {
        shell.done(&format!("put a.ldb t {number} again"));
        shell.done("compact a.ldb");
    }
    let refused = shell.fails("backup a.ldb monday.inc --since sunday.ldb", 2);
    assert!(refused.contains("make a whole backup, and keep more of the log with --keep-log"), "{refused}");
    assert!(shell.fails("verify a.ldb", 2).contains("'check' verifies any database"));
}
