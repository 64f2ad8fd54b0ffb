//! Files that are no database, or not one that this build can open: each is told apart, and none is touched.

use crate::support::Shell;

/// Every command that opens a database refuses `name` with this exit code, naming the reason, and leaves it as it is.
fn refused(shell: &Shell, name: &str, code: i32, reason: &str) {
    let before = std::fs::read(shell.path(name)).unwrap();
    let beside = || -> Vec<_> {
        let mut names: Vec<_> =
            std::fs::read_dir(shell.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let files = beside();
    for arguments in ["check F", "get F t k", "put F t k v", "tables F", "compact F", "stats F", "delete F t k"] {
        let told = shell.fails(&arguments.replace('F', name), code);
        assert!(told.contains(reason) && told.starts_with(&format!("lightning: {name}: ")), "{arguments}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(before == std::fs::read(shell.path(name)).unwrap(), "{arguments} changed {name}");
        assert_eq!(beside(), files, "{arguments} left something beside {name}");
    }
}

/// A database closed properly, with some rows.
fn database(shell: &Shell) -> Vec<u8> {
    let rows: String = (0..2000).map(|id| format!("{{\"id\":{id},\"text\":\"number {}\"}}\n", id * 7919)).collect();
    shell.write("rows.jsonl", rows);
    shell.done("import a.ldb t rows.jsonl --key id --key-type i64");
    std::fs::read(shell.path("a.ldb")).unwrap()
}

/// Writes `bytes` at `at` in both superblocks, and makes their checksums right.
fn with_superblocks(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    for sector in [0, 4096] {
        file[sector + at..sector + at + bytes.len()].copy_from_slice(bytes);
        let checksum = crc32(&file[sector..sector + 252]).to_le_bytes();
        file[sector + 252..sector + 256].copy_from_slice(&checksum);
    }
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let shell = Shell::new();
    let mut sqlite = b"SQLite format 3\0".to_vec();
    sqlite.resize(8192, 0);
    shell.write("other.db", sqlite);
    refused(&shell, "other.db", 3, "starts with 'SQLite format 3");
    shell.write("note.txt", "hi");
    refused(&shell, "note.txt", 3, "starts with 'hi'");
    // The beginning of an ISO image is zeros, and so is that of many others.
    let mut image = vec![0; 1 << 15];
    image.extend_from_slice(b"\x01CD001 and somebody's only copy of it");
    shell.write("image.iso", image);
    refused(&shell, "image.iso", 3, "begins with zeros");
}

#[test]
fn files_of_newer_versions_are_refused_with_a_way_out() {
    let shell = Shell::new();
    let file = database(&shell);
    shell.write("new.ldb", with_superblocks(file.clone(), 8, &7u32.to_le_bytes()));
    refused(&shell, "new.ldb", 6, "newer version of Lightning DB");
    shell.write("feature.ldb", with_superblocks(file, 32, &(1u64 | 1 << 40).to_le_bytes()));
    refused(&shell, "feature.ldb", 6, "newer version");
}

#[test]
fn a_file_that_was_cut_is_damaged_wherever_it_was_cut() {
    let shell = Shell::new();
    let file = database(&shell);
    for len in [1, 8, 100, 4096, 8192, 8193, file.len() / 2, file.len() - 1] {
        shell.write("cut.ldb", &file[..len]);
        _ = std::fs::remove_file(shell.path("cut.ldb-log"));
        let ran = shell.run("check cut.ldb");
        assert_eq!(ran.code, 3, "{len}: {}{}", ran.out, ran.err);
        let advice = ran.err.contains("restore a backup") || ran.err.contains("not a Lightning DB database");
        assert!(advice && !ran.err.contains("run 'lightning check'"), "{len}: {}", ran.err);
        shell.fails("put cut.ldb t 1 x", 3);
        assert_eq!(std::fs::metadata(shell.path("cut.ldb")).unwrap().len(), len as u64);
    }
}

#[test]
fn an_empty_file_becomes_a_database_only_by_writing() {
    let shell = Shell::new();
    shell.write("empty.ldb", "");
    for arguments in ["check empty.ldb", "get empty.ldb t k", "compact empty.ldb"] {
        assert!(shell.fails(arguments, 3).contains("is empty"));
    }
    assert_eq!(std::fs::metadata(shell.path("empty.ldb")).unwrap().len(), 0);
    shell.done("put empty.ldb t k v");
    assert_eq!(shell.done("get empty.ldb t k"), "v\n");
}

#[test]
fn folders_and_devices_are_no_databases() {
    let shell = Shell::new();
    std::fs::create_dir(shell.path("folder")).unwrap();
    for (name, reason) in [("folder", "is a folder"), (".", "is a folder"), ("/dev/null", "not a regular file")] {
        for command in ["check", "stats", "tables"] {
            let told = shell.fails(&format!("{command} {name}"), 2);
            assert!(told.contains(reason), "{told}");
        }
        assert!(shell.fails(&format!("put {name} t k v"), 2).contains(reason));
    }
    assert!(shell.fails("put no/such/a.ldb t k v", 2).contains("does not exist; make it"));
    shell.done("put a.ldb t k v");
    assert!(shell.fails("put a.ldb/b.ldb t k v", 2).contains("is a file, not a folder"));
}

#[test]
fn a_log_of_another_database_is_told_as_such() {
    let shell = Shell::new();
    let (mut logs, mut databases) = (Vec::new(), Vec::new());
    for name in ["a", "b"] {
        let (data, log) = crate::safety::killed_import(&shell, name);
        databases.push(data);
        logs.push(log);
    }
    shell.write("x.ldb", &databases[0]);
    shell.write("x.ldb-log", &logs[1]);
    refused(&shell, "x.ldb", 3, "this is the log of database");
    shell.write("x.ldb-log", "");
    refused(&shell, "x.ldb", 3, "the file is empty or missing");
    shell.write("x.ldb-log", &logs[0]);
    assert_eq!(shell.done("count x.ldb t"), "1000\n");
}
