//! The scripts that every binding is held to, run against the engine itself.

use lightning_db_tests::conformance::{folder, script};

#[test]
fn every_script_runs_as_it_says() {
    let mut scripts: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 8, "only {} scripts", scripts.len());
    let mut wrong = Vec::new();
    for script in scripts {
        match script::run(&script) {
            Ok(operations) => assert!(operations > 5, "{} has only {operations} operations", script.display()),
            Err(error) => wrong.push(format!("{}: {error:#}", script.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_script_that_is_not_so_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.jsonl");
    let open = r#"{"do": "open", "collection": "c", "schema": {"key": "id"}}"#;
    let watch = r#"{"do": "watch", "collection": "c", "as": "w"}"#;
    let put = r#"{"do": "put", "collection": "c", "document": {"id": 1}}"#;
    let steps =
        format!(r#"{{"do": "transaction", "steps": [{put}, {}]}}"#, put.replace("}}", r#"}, "fails": "Conflict"}"#));
    for (lines, told) in [
        (vec![open, r#"{"do": "count", "collection": "c", "gives": 1}"#], "it gave 0"),
        (vec![open, r#"{"do": "count", "collection": "c", "give": 0}"#], "has no 'give'"),
        (vec![open, r#"{"do": "counts", "collection": "c"}"#], "no operation 'counts'"),
        (vec![open, r#"{"do": "get", "collection": "c", "key": 1, "fails": "Closed"}"#], "did not fail with"),
        (vec![open, r#"{"do": "get", "collection": "c", "key": {"a": 1}}"#], "Invalid: "),
        (vec![open, r#"{"do": "describe", "collection": "c", "gives": {"version": 2}}"#], "it gave {"),
        (vec![open, watch, r#"{"do": "next", "of": "w", "gives": null}"#], "it gave {"),
        (vec![open, watch, put, r#"{"do": "next", "of": "w", "gives": {"rows": [{"id": 1}]}}"#], "it gave {"),
        (vec![open, &steps], "did not fail with"),
    ] {
        std::fs::write(&path, lines.join("\n")).unwrap();
        let error = script::run(&path).unwrap_err();
        assert!(format!("{error:#}").contains(told), "{lines:?}: {error:#}");
    }
}
