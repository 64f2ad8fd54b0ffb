//! Importing and exporting files.

use crate::support::Shell;

const CITIES: &str = r#"{"id": 2, "name": "Turku",  "pop": 195000}
{"id": 1, "name": "Oulu \"north\"", "at": {"lat": 65.0}}
{"id": 10, "name": "Pori"}
"#;

#[test]
fn records_are_stored_whole_under_their_key() {
    let shell = Shell::new();
    shell.write("cities.jsonl", CITIES);
    let told = shell.done("import a.ldb cities cities.jsonl --key id --key-type i64");
    assert!(told.starts_with("imported 3 rows into 'cities' in "), "{told}");
    assert_eq!(shell.done("tables a.ldb"), "cities  i64 -> string  3 rows\n");
    assert_eq!(shell.done("scan a.ldb cities --keys-only"), "1\n2\n10\n");
    assert_eq!(shell.done("get a.ldb cities 1"), "{\"id\":1,\"name\":\"Oulu \\\"north\\\"\",\"at\":{\"lat\":65.0}}\n");
}

#[test]
fn what_was_exported_is_imported_to_the_same_table() {
    let shell = Shell::new();
    shell.write("cities.jsonl", CITIES);
    shell.done("import a.ldb cities cities.jsonl --key name --key-type string");
    for format in ["jsonl", "csv"] {
        shell.done(&format!("export a.ldb cities out.{format}"));
        shell.done(&format!("import b-{format}.ldb cities out.{format}"));
        let [before, after] =
            ["a", &format!("b-{format}")].map(|name| shell.done(&format!("scan {name}.ldb cities --json")));
        assert_eq!(before, after, "{format}");
    }
    assert_eq!(shell.done("export a.ldb cities"), shell.read("out.jsonl"));
    shell.done("export a.ldb cities records.jsonl --records --prefix T");
    assert_eq!(shell.read("records.jsonl"), "{\"id\":2,\"name\":\"Turku\",\"pop\":195000}\n");
    shell.done("import c.ldb cities records.jsonl --key id --key-type i64");
    assert_eq!(shell.done("count c.ldb cities"), "1\n");
    assert!(!shell.path("out.jsonl.partial").exists());
}

#[test]
fn every_type_survives_export_and_import() {
    let shell = Shell::new();
    for (table, types, key, value) in [
        ("a", "--key-type u128 --value-type f64", "340282366920938463463374607431768211455", "2"),
        ("b", "--key-type bytes --value-type bytes", "0x00", "0xff0a"),
        ("c", "--key-type (string?,bool) --value-type bool", "[null,true]", "false"),
        ("d", "--key-type f64 --value-type i8", "-1.5", "-8"),
        ("e", "--key-type bytes[2] --value-type unit", "ab", "null"),
        ("f", "--key-type string --value-type string", "[1]", "\"x\""),
    ] {
        shell.done(&format!("put a.ldb {table} {types} {key} {value}"));
        shell.done(&format!("export a.ldb {table} {table}.jsonl"));
        shell.done(&format!("import b.ldb {table} {table}.jsonl {types}"));
        assert_eq!(
            shell.done(&format!("get b.ldb {table} {key}")),
            shell.done(&format!("get a.ldb {table} {key}")),
            "{table}"
        );
    }
}

#[test]
fn the_record_at_fault_is_named_and_those_before_it_are_stored() {
    let shell = Shell::new();
    shell.write("bad.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":\"x\"}\n{\"id\":4}\n");
    assert_eq!(
        shell.fails("import a.ldb t bad.jsonl --key id --key-type i64", 2),
        "lightning: bad.jsonl, line 3: key 'x' is not an i64, which is the table's key type; another can be chosen for a new \
         table with --key-type (2 rows before it stored; put it right and go on with --resume)\n"
    );
    assert_eq!(shell.done("count a.ldb t"), "2\n");
    shell.done("import a.ldb u bad.jsonl --key id --key-type string");
    assert_eq!(shell.done("scan a.ldb u --keys-only"), "1\n2\n4\nx\n");
}

#[test]
fn rows_are_acknowledged_batch_by_batch() {
    let shell = Shell::new();
    let lines: String = (0..25).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    let ran = shell.run_with(
        &["import", "a.ldb", "t", "-", "--key", "id", "--key-type", "i64", "--batch", "10", "--progress", "--json"],
        &lines,
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, "acknowledged 10\nacknowledged 20\nacknowledged 25\n"));
    assert!(ran.out.contains("\"rows\":25,"), "{}", ran.out);
    assert_eq!(shell.done("count a.ldb t"), "25\n");
}

#[test]
fn csv_lines_become_records_of_text() {
    let shell = Shell::new();
    shell.write("a.csv", "zip,name\n00123,\"Ada, the first\"\n00045,Bo\n");
    shell.done("import a.ldb people a.csv --key zip --key-type string");
    let expected = "{\"key\":\"00045\",\"value\":{\"zip\":\"00045\",\"name\":\"Bo\"}}\n\
                    {\"key\":\"00123\",\"value\":{\"zip\":\"00123\",\"name\":\"Ada, the first\"}}\n";
    assert_eq!(shell.done("scan a.ldb people --json"), expected);
    assert!(
        shell.fails("import a.ldb people a.csv --key id", 2).contains("there is no column 'id'; there are zip, name")
    );
}

#[test]
fn an_import_that_cannot_begin_leaves_no_database() {
    let shell = Shell::new();
    assert!(shell.fails("import a.ldb t missing.jsonl --key id", 2).contains("cannot read missing.jsonl"));
    shell.fails("import a.ldb t missing.jsonl --key a..b", 2);
    assert!(!shell.path("a.ldb").exists());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let shell = Shell::new();
    shell.write("a.jsonl", "\u{feff}{\"id\":1}\r\n{\"id\":2}\r\n");
    shell.done("import a.ldb t a.jsonl --key id --key-type i64");
    assert_eq!(shell.done("scan a.ldb t"), "1\t{\"id\":1}\n2\t{\"id\":2}\n");
}

#[test]
fn an_import_of_nothing_says_so() {
    let shell = Shell::new();
    shell.write("empty.jsonl", "");
    let told = shell.done("import a.ldb t empty.jsonl --key id");
    assert_eq!(
        told,
        "nothing imported: empty.jsonl has no records; no table 't' was made, because the first record makes it\n"
    );
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
    shell.done("put a.ldb t k v");
    let told = shell.done("import a.ldb t empty.jsonl --key id");
    assert_eq!(told, "nothing imported: empty.jsonl has no records; table 't' is as it was\n");
    assert_eq!(shell.done("count a.ldb t"), "1\n");
}
