//! `lightning repair` as someone meets it whose database was damaged.

use std::fs;

use crate::support::Shell;

const ROWS: u64 = 3000;

/// A database closed properly, with rows of which each is told by its key.
fn database(shell: &Shell) {
    let rows: String = (0..ROWS).map(|id| format!("{{\"id\":{id},\"text\":\"number {}\"}}\n", id * 7919)).collect();
    shell.write("rows.jsonl", rows);
    shell.done("import a.ldb t rows.jsonl --key id --key-type i64 --restart");
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

#[cfg(unix)]
#[test]
fn a_damaged_database_in_a_read_only_folder_is_repaired_elsewhere() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};

    let shell = Shell::new();
    fs::create_dir(shell.path("medium")).unwrap();
    let rows: String = (0..ROWS).map(|id| format!("{{\"id\":{id},\"text\":\"number {id}\"}}\n")).collect();
    shell.write("rows.jsonl", rows);
    shell.done("import medium/a.ldb t rows.jsonl --key id --key-type i64");
    destroy(&shell, "medium/a.ldb", [1]);
    let names =
        || -> Vec<_> { fs::read_dir(shell.path("medium")).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    for name in names() {
        fs::set_permissions(shell.path("medium").join(name), fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(shell.path("medium"), fs::Permissions::from_mode(0o555)).unwrap();
    let before = names();

    // Permissions do not count for the superuser, who can give that up where there is `setpriv`.
    let without_privilege = |arguments: &[&str]| -> Output {
        let give_up = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"];
        let can =
            Command::new(give_up[0]).args(&give_up[1..]).arg("true").output().is_ok_and(|ran| ran.status.success());
        let words: Vec<&str> =
            if can { give_up.iter().chain(arguments).copied().collect() } else { arguments.to_vec() };
        Command::new(words[0]).args(&words[1..]).current_dir(shell.path("")).output().unwrap()
    };
    let binary = crate::support::binary().to_str().unwrap();
    let ran = without_privilege(&[binary, "repair", "medium/a.ldb", "--output", "b.ldb"]);
    let told = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{told:?}");
    assert!(told.0.starts_with("3,000 rows of 1 table brought back"), "{told:?}");
    assert_eq!(names(), before, "something was left beside the damaged files");
    assert_eq!(shell.done("count b.ldb t"), "3000\n");
    // The folder takes no new file, and the command says so.
    let ran = without_privilege(&[binary, "repair", "medium/a.ldb", "--output", "medium/b.ldb"]);
    let is_writable = without_privilege(&["touch", "medium/c"]).status.success();
    assert_eq!(ran.status.success(), is_writable, "{}", String::from_utf8_lossy(&ran.stderr));
    fs::set_permissions(shell.path("medium"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_database_that_was_not_closed_is_told_to_have_an_open_end() {
    let shell = Shell::new();
    let (data, log) = crate::safety::killed_import(&shell, "a");
    shell.write("c.ldb", data);
    shell.write("c.ldb-log", log);
    let told = shell.done("repair c.ldb --output d.ldb");
    assert!(
        told.contains("commits at the very end of the log may be missing; the last one found is commit "),
        "{told}"
    );
    assert!(told.trim_end().ends_with(" UTC"), "{told}");
    database(&shell);
    fs::rename(shell.path("a.ldb"), shell.path("closed.ldb")).unwrap();
    assert!(!shell.done("repair closed.ldb --output e.ldb").contains("may be missing"));
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

#[test]
fn collections_come_back_with_their_indexes() {
    let shell = Shell::new();
    let documents: String =
        (0..ROWS).map(|id| format!("{{\"id\":{id},\"code\":\"c{id}\",\"group\":{}}}\n", id % 7)).collect();
    shell.write("documents.jsonl", documents);
    shell.done("import a.ldb t documents.jsonl --key id --index group --unique code");
    let mut data = fs::read(shell.path("a.ldb")).unwrap();
    data[..8192].fill(0);
    shell.write("a.ldb", data);
    let told = shell.done("repair a.ldb --output b.ldb");
    assert!(told.starts_with("3,000 rows of 1 table brought back") && !told.contains("lost:"), "{told}");
    assert_eq!(shell.done("tables b.ldb"), "t  key -> document  3,000 rows\n");
    assert_eq!(
        shell.done("collections b.ldb"),
        "t  key id  3,000 documents\n  index group  plain   3,000 entries\n  index code   unique  3,000 entries\n"
    );
    let ran = shell.run_with(&["explain", "b.ldb", "t", "where code = \"c7\""], "");
    assert!(ran.out.starts_with("plan       index 'code'") && ran.out.contains("found      1 rows"), "{}", ran.out);
    assert_eq!(shell.fails(r#"put b.ldb t 9000 {"code":"c7"}"#, 2).lines().count(), 1);
    shell.done("put b.ldb other k v");
    assert!(shell.done("check b.ldb").starts_with("b.ldb is whole"));
}
