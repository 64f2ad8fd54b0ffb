//! Importing documents and exporting them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{Shell, binary};

/// A document of every kind, in the typed form, which is what an export with `--typed` prints.
const EVERY_KIND: &str = concat!(
    r#"{"id":1,"null":null,"bool":true,"integer":-7,"big":{"$integer":"18446744073709551615"},"float":2.5,"whole":3.0}"#,
    "\n",
    r#"{"id":2,"nan":{"$float":"nan"},"bytes":{"$bytes":"00ff"},"time":{"$timestamp":-1},"text":"a, \"b\"\nc é"}"#,
    "\n",
    r#"{"id":3,"uuid":{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"},"array":[1,[2.5],{"a":null}],"map":{"b":{"c":[]}}}"#,
    "\n",
    r#"{"id":4,"looks":{"$map":{"$bytes":"00"}},"least":{"$integer":"-18446744073709551616"},"other":{"$oid":"x"}}"#,
    "\n",
);

#[test]
fn every_kind_survives_export_and_import() {
    let shell = Shell::new();
    shell.write("in.jsonl", EVERY_KIND);
    shell.done("import a.ldb t in.jsonl --key id");
    assert_eq!(shell.done("export a.ldb t --typed"), EVERY_KIND);
    for (file, options) in [("out.jsonl", " --typed"), ("out.cbor", ""), ("out.csv", " --typed")] {
        shell.done(&format!("export a.ldb t {file}{options}"));
        let database = format!("{file}.ldb");
        shell.done(&format!("import {database} t {file} --key id"));
        let exported = shell.done(&format!("export {database} t --typed"));
        // A CSV file has the fields of all documents in one order, and these are in that order.
        assert_eq!(exported, EVERY_KIND, "{file}");
    }
}

#[test]
fn kinds_that_json_lacks_are_written_as_text() {
    let shell = Shell::new();
    shell.write("in.jsonl", EVERY_KIND);
    shell.done("import a.ldb t in.jsonl --key id");
    let plain = shell.done("export a.ldb t");
    for part in [
        r#""big":18446744073709551615,"float":2.5,"whole":3.0}"#,
        r#""nan":"nan","bytes":"00ff","time":"1969-12-31T23:59:59.999999Z","#,
        r#""uuid":"00112233-4455-6677-8899-aabbccddeeff","#,
        r#""looks":{"$bytes":"00"},"least":"-18446744073709551616","#,
    ] {
        assert!(plain.contains(part), "{part} in {plain}");
    }
}

#[test]
fn csv_cells_are_values_where_they_are_exactly_that() {
    let shell = Shell::new();
    shell
        .write("a.csv", "\u{feff}id,zip,pop,open,note\r\n1,00100,5.5,true,\"a \"\"b\"\",\r\nc\"\r\n2,20100,,null,\r\n");
    shell.done("import a.ldb t a.csv --key id --text pop --index zip");
    assert_eq!(
        shell.done("export a.ldb t"),
        "{\"id\":1,\"zip\":\"00100\",\"pop\":\"5.5\",\"open\":true,\"note\":\"a \\\"b\\\",\\r\\nc\"}\n\
         {\"id\":2,\"zip\":20100,\"pop\":\"\",\"open\":null}\n"
    );
    assert_eq!(
        shell.done("export a.ldb t --format csv"),
        "id,zip,pop,open,note\n1,00100,5.5,true,\"a \"\"b\"\",\r\nc\"\n2,20100,,null,\n"
    );
    assert_eq!(shell.done("export a.ldb t --format csv --fields open,id,no"), "open,id,no\ntrue,1,\nnull,2,\n");
    assert_eq!(shell.done("export a.ldb t --format csv --fields no"), "no\n\"\"\n\"\"\n");
    shell.write("uneven.csv", "id,a\n1,2\n3\n4,5,6\n7,8\n");
    let ran = shell.run("import a.ldb u uneven.csv --key id --max-errors 2");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told: Vec<_> = ran.err.lines().map(|line| line.split("; ").next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "left out: uneven.csv, line 3: 1 cells, but the header names 2",
            "left out: uneven.csv, line 4: 3 cells, but the header names 2"
        ]
    );
    assert_eq!(shell.done("scan a.ldb u --keys-only"), "1\n7\n");
}

const BAD: &str = "{\"id\":1,\"code\":\"a\"}\n{\"id\":2,\n{\"id\":3,\"code\":\"a\"}\n\n{\"name\":\"no key\"}\n{\"id\":{}}\n\
                   {\"id\":4,\"code\":\"b\"}\n";

#[test]
fn bad_lines_are_reported_and_counted() {
    let shell = Shell::new();
    shell.write("bad.jsonl", BAD);
    let ran = shell.run("import a.ldb t bad.jsonl --key id --unique code --max-errors 4");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with("imported 2 rows into 't' in ") && ran.out.ends_with("; 4 records left out\n"),
        "{}",
        ran.out
    );
    let starts: Vec<_> = ran.err.lines().map(|line| line.split(": ").take(3).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(
        starts,
        [
            "left out: bad.jsonl, line 2: not a JSON object",
            "left out: bad.jsonl, line 3: collection 't', unique index 'code'",
            "left out: bad.jsonl, line 5: collection 't', field 'id'",
            "left out: bad.jsonl, line 6: collection 't', field 'id'",
        ],
        "{}",
        ran.err
    );
    assert_eq!(shell.done("scan a.ldb t --keys-only"), "1\n4\n");
    assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
    let ran = shell.run("import b.ldb t bad.jsonl --key id --unique code --max-errors 9 --json");
    let refused: serde_json::Value = serde_json::from_str(ran.err.lines().next().unwrap()).unwrap();
    assert_eq!((&refused["refused"]["line"], &refused["refused"]["file"]), (&2.into(), &"bad.jsonl".into()));
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["rows"], &told["refused"]), (&2.into(), &4.into()));
}

#[test]
fn one_bad_line_too_many_stops_the_import_and_it_goes_on_when_it_is_put_right() {
    let shell = Shell::new();
    shell.write("bad.jsonl", BAD);
    let told = shell.fails("import a.ldb t bad.jsonl --key id --unique code --max-errors 1", 2);
    assert!(told.contains("bad.jsonl, line 3: ") && told.contains("more than 1 record were wrong"), "{told}");
    assert!(told.ends_with("(1 row before it stored; put it right and go on with --resume)\n"), "{told}");
    assert_eq!(shell.done("scan a.ldb t --keys-only"), "1\n");

    let again = shell.fails("import a.ldb t bad.jsonl --key id", 2);
    assert_eq!(
        again,
        "lightning: a.ldb, table 't': an import of bad.jsonl stopped behind line 2, with 1 row stored; go on with --resume, \
         or begin again with --restart\n"
    );
    let right =
        BAD.replace("{\"id\":3,\"code\":\"a\"}\n\n{\"name\":\"no key\"}\n{\"id\":{}}\n", "{\"id\":3,\"code\":\"c\"}\n");
    shell.write("bad.jsonl", right);
    let told = shell.done("import a.ldb t bad.jsonl --key id --insert --resume");
    assert!(told.starts_with("imported 2 rows behind the 1 of before into 't'"), "{told}");
    assert_eq!(shell.done("scan a.ldb t --keys-only"), "1\n3\n4\n");
    assert_eq!(shell.done("tables a.ldb"), "t  key -> document  3 rows\n", "nothing is left of the note");
}

#[test]
fn another_file_is_not_taken_for_the_one_that_stopped() {
    let shell = Shell::new();
    shell.write("bad.jsonl", BAD);
    shell.fails("import a.ldb t bad.jsonl --key id", 2);
    shell.write("bad.jsonl", BAD.replace("\"a\"", "\"x\""));
    let told = shell.fails("import a.ldb t bad.jsonl --key id --resume", 2);
    assert!(
        told.contains("bad.jsonl is not the file whose import stopped (bad.jsonl), or was changed before line 2"),
        "{told}"
    );
    let told = shell.fails("import a.ldb t missing.jsonl --key id --resume", 2);
    assert!(told.contains("cannot read missing.jsonl"), "{told}");
    shell.write("good.jsonl", "{\"id\":9}\n");
    shell.done("import a.ldb t good.jsonl --key id --restart");
    assert_eq!(shell.done("scan a.ldb t --keys-only"), "1\n9\n");
    assert_eq!(shell.done("tables a.ldb"), "t  key -> document  2 rows\n");
}

#[test]
fn keys_are_inserted_or_replaced_as_asked() {
    let shell = Shell::new();
    shell.write("a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    shell.write("b.jsonl", "{\"id\":2,\"b\":true}\n{\"id\":3,\"b\":true}\n");
    shell.done("import a.ldb t a.jsonl --key id");
    let told = shell.fails("import a.ldb t b.jsonl --insert", 2);
    assert!(told.contains("b.jsonl, line 1: ") && told.ends_with("(nothing is stored)\n"), "{told}");
    let ran = shell.run("import a.ldb t b.jsonl --replace --max-errors 1");
    assert!(ran.code == 0 && ran.err.starts_with("left out: b.jsonl, line 2: "), "{}", ran.err);
    assert_eq!(shell.done("export a.ldb t"), "{\"id\":1}\n{\"id\":2,\"b\":true}\n");
    assert!(shell.fails("import a.ldb t b.jsonl --key b", 2).contains("'id', not at 'b'"));
}

#[test]
fn a_killed_import_goes_on_and_has_every_line_exactly_once() {
    let lines = 20_000;
    for format in ["jsonl", "csv"] {
        let shell = Shell::new();
        let file = format!("rows.{format}");
        let text: String = match format {
            "csv" => std::iter::once("id,code,note\n".to_owned())
                .chain((0..lines).map(|id| format!("{id},c{id},\"a\nb\"\n")))
                .collect(),
            _ => (0..lines).map(|id| format!("{{\"id\":{id},\"code\":\"c{id}\",\"note\":\"a\"}}\n")).collect(),
        };
        shell.write(&file, text);
        let mut kills = 0;
        loop {
            let mut child = Command::new(binary())
                .args(["import", "a.ldb", "t", &file, "--key", "id", "--unique", "code", "--insert"])
                .args(["--batch", "500", "--durability", "relaxed", "--progress", "--resume"])
                .current_dir(shell.path(""))
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            // The third batch of each run is the last that is heard of it, while there is one.
            let mut batches = told.filter(|line| line.starts_with("acknowledged "));
            let is_killed = batches.nth(if kills < 5 { 2 } else { usize::MAX }).is_some();
            if is_killed {
                child.kill().unwrap();
                kills += 1;
            }
            // The kill before may have come behind the end of everything: then all lines are there, and none goes in again.
            if child.wait().unwrap().success() || !is_killed {
                break;
            }
        }
        assert!(kills >= 3, "{kills}");
        assert_eq!(shell.done("count a.ldb t"), format!("{lines}\n"));
        let first = shell.done("scan a.ldb t --limit 1 --keys-only");
        let last = shell.done("scan a.ldb t --limit 1 --keys-only --reverse");
        assert_eq!((first.as_str(), last), ("0\n", format!("{}\n", lines - 1)));
        assert_eq!(shell.done("tables a.ldb").lines().count(), 1, "nothing is left of the note");
        assert!(shell.done("check a.ldb").starts_with("a.ldb is whole"));
    }
}

#[test]
fn standard_input_goes_on_where_it_stopped() {
    let shell = Shell::new();
    let text = "id,a\n1,x\n2\n3,z\n";
    let ran = shell.run_with(&["import", "a.ldb", "t", "-", "--key", "id", "--format", "csv"], text);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let text = "id,a\n1,x\n2,y\n3,z\n";
    let arguments = ["import", "a.ldb", "t", "-", "--key", "id", "--format", "csv", "--insert", "--resume"];
    let ran = shell.run_with(&arguments, text);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        shell.done("export a.ldb t"),
        "{\"id\":1,\"a\":\"x\"}\n{\"id\":2,\"a\":\"y\"}\n{\"id\":3,\"a\":\"z\"}\n"
    );
}

#[test]
fn a_hundred_thousand_lines_are_imported_while_one_waits() {
    let shell = Shell::new();
    let text: String = (0..100_000)
        .map(|id| {
            format!(
                "{{\"id\":{id},\"name\":\"City {id}\",\"country\":\"C{}\",\"population\":{}}}\n",
                id % 97,
                id * 31 % 9973
            )
        })
        .collect();
    shell.write("rows.jsonl", text);
    let told: serde_json::Value =
        serde_json::from_str(&shell.done("import a.ldb t rows.jsonl --key id --index country --json")).unwrap();
    assert_eq!(told["rows"], 100_000);
    // Generous: this is the unoptimized build on a machine that does other things too.
    assert!(told["seconds"].as_f64().is_some_and(|seconds| seconds < 60.0), "{told}");
    assert_eq!(shell.done("count a.ldb t"), "100000\n");
}

#[test]
fn what_belongs_to_collections_is_refused_for_tables_and_the_other_way_round() {
    let shell = Shell::new();
    shell.write("a.jsonl", "{\"id\":1}\n");
    shell.done("import a.ldb t a.jsonl --key id --key-type i64");
    assert!(shell.fails("import a.ldb t a.jsonl --key id --index a", 2).contains("'t' is a plain table"));
    assert!(shell.fails("import b.ldb t a.jsonl --index a", 2).contains("say where the documents' key is, with --key"));
    assert!(!shell.path("b.ldb").exists());
    shell.done("import a.ldb c a.jsonl --key id");
    assert!(shell.fails("import a.ldb c a.jsonl --key-type i64", 2).contains("'c' is a collection"));
    assert!(shell.fails("import a.ldb t a.cbor --format cbor --key id", 2).contains("cannot read a.cbor"));
    assert!(shell.fails("export a.ldb t --format cbor", 2).contains("CBOR is the format of documents"));
    assert!(shell.fails("export a.ldb c --fields id", 2).contains("--fields chooses the columns of a CSV file"));
}

#[test]
fn a_mistyped_key_leaves_nothing_behind() {
    let shell = Shell::new();
    shell.write("a.csv", "code,name\nFI,Finland\n");
    let told = shell.fails("import a.ldb t a.csv --key id", 2);
    assert!(told.contains("a.csv, line 1: there is no column 'id'; there are code, name"), "{told}");
    assert!(!shell.path("a.ldb").exists());
    shell.write("a.jsonl", "{\"code\":\"FI\"}\n");
    let told = shell.fails("import a.ldb t a.jsonl --key id", 2);
    assert!(told.contains("line 1: collection 't', field 'id': it is missing"), "{told}");
    assert_eq!(shell.done("collections a.ldb"), "");
    let ran = shell.run("import a.ldb t a.jsonl --key id --max-errors 1");
    assert!(ran.code == 0 && ran.out.contains("imported 0 rows"), "{}", ran.out);
    assert_eq!(shell.done("tables a.ldb"), "");
    shell.done("import a.ldb t a.jsonl --key code");
    assert_eq!(shell.done("count a.ldb t"), "1\n");
}
