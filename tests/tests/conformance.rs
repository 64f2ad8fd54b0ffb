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
