//! `lightning repair` as someone meets it whose database was damaged.

use std::fs;

use crate::support::Shell;

const ROWS: u64 = 3000;

/// A database closed properly, with rows of which each is told by its key.
fn database(shell: &Shell) {
    let rows: String = (0..ROWS).map(|id| format!("{{\"id\":{id},\"text\":\"number {}\"}}\n", id * 7919)).collect();
    shell.write("rows.jsonl", rows);
    shell.done("import a.ldb t rows.jsonl --key id");
}

/// Destroys these sectors.
fn destroy(shell: &Shell, name: &str, sectors: impl IntoIterator<Item = usize>) {
    let mut bytes = fs::read(shell.path(name)).unwrap();
    for sector in sectors {
        let end = bytes.len().min((sector + 1) * 4096);
        bytes[sector * 4096..end].fill(0xdb);
    }
    fs::write(shell.path(name), bytes).unwrap();
}

#[test]
fn what_is_whole_comes_back_and_the_rest_is_listed_and_the_damaged_file_is_left_alone() {
    let shell = Shell::new();
    database(&shell);
    let sectors = fs::metadata(shell.path("a.ldb")).unwrap().len() as usize / 4096;
    destroy(&shell, "a.ldb", (0..sectors).filter(|sector| sector % 9 == 4));
    let before =
        (fs::read(shell.path("a.ldb")).unwrap(), fs::metadata(shell.path("a.ldb")).unwrap().modified().unwrap());
    let mut only_read = fs::metadata(shell.path("a.ldb")).unwrap().permissions();
    only_read.set_readonly(true);
    fs::set_permissions(shell.path("a.ldb"), only_read).unwrap();

    let ran = shell.run("repair a.ldb --output b.ldb");
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("lost: table 't', keys from ") && ran.err.contains("not everything"),
        "{}{}",
        ran.out,
        ran.err
    );
    let after =
        (fs::read(shell.path("a.ldb")).unwrap(), fs::metadata(shell.path("a.ldb")).unwrap().modified().unwrap());
    assert!(before == after, "the damaged file was changed");
    assert!(!shell.path("a.ldb-lock").exists());

    assert!(shell.done("check b.ldb").starts_with("b.ldb is whole"));
    let json: serde_json::Value = {
        let ran = shell.run("repair a.ldb --output c.ldb --json");
        assert_eq!(ran.code, 3);
        serde_json::from_str(&ran.out).unwrap()
    };
    let rows: u64 = shell.done("count b.ldb t").trim().parse().unwrap();
    assert_eq!(json["records"], rows);
    assert_eq!(json["complete"], false);
    assert!(rows > ROWS / 2 && rows < ROWS, "{rows}");
    // Each row that is missing is in a range that is listed, and the ranges say how many.
    let lost = json["lost"].as_array().unwrap();
    let found = shell.done("scan b.ldb t --keys-only");
    let found: std::collections::BTreeSet<u64> = found.lines().map(|key| key.parse().unwrap()).collect();
    let bound = |text: &serde_json::Value| text.as_str().and_then(|text| text.parse::<u64>().ok());
    for id in (0..ROWS).filter(|id| !found.contains(id)) {
        let is_listed = lost.iter().any(|range| {
            bound(&range["from"]).is_none_or(|from| from <= id) && bound(&range["before"]).is_none_or(|to| id < to)
        });
        assert!(is_listed, "{id} is missing in {lost:?}");
    }
    assert_eq!(lost.iter().map(|range| range["records"].as_u64().unwrap()).sum::<u64>(), ROWS - rows);
}

#[test]
fn without_superblocks_everything_comes_back() {
    let shell = Shell::new();
    database(&shell);
    destroy(&shell, "a.ldb", [0, 1]);
    shell.fails("check a.ldb", 3);
    assert!(shell.done("repair a.ldb -o b.ldb").starts_with("3,000 rows of 1 table brought back"));
    assert_eq!(shell.done("count b.ldb t"), "3000\n");
    assert_eq!(shell.done("get b.ldb t 77"), "{\"id\":77,\"text\":\"number 609763\"}\n");
}

#[test]
fn what_exists_is_not_written_over_and_what_failed_leaves_nothing() {
    let shell = Shell::new();
    database(&shell);
    shell.write("b.ldb", "mine");
    assert!(shell.fails("repair a.ldb --output b.ldb", 2).contains("exists"));
    assert_eq!(shell.read("b.ldb"), "mine");
    assert!(shell.fails("repair a.ldb --output a.ldb", 2).contains("exists"));
    shell.write("c.ldb-log", "mine");
    assert!(shell.fails("repair a.ldb --output c.ldb", 2).contains("exists"));
    shell.write("text.txt", "no database at all");
    assert!(shell.fails("repair text.txt --output d.ldb", 3).contains("starts with 'no database"));
    assert!(shell.fails("repair missing.ldb --output d.ldb", 2).contains("there is no database"));
    for name in ["d.ldb", "d.ldb-log", "d.ldb-lock", "missing.ldb"] {
        assert!(!shell.path(name).exists(), "{name}");
    }
}
