//! Exit codes, messages and help.

use crate::support::Shell;

#[test]
fn a_missing_database_or_table_is_a_mistake_on_the_command_line() {
    let shell = Shell::new();
    let told = shell.fails("get none.ldb t k", 2);
    assert_eq!(told, "lightning: there is no database none.ldb; check the path, or make one with 'put' or 'import'\n");
    assert!(!shell.path("none.ldb").exists());
    shell.done("put a.ldb t k v");
    assert_eq!(shell.fails("get a.ldb u k", 2), "lightning: a.ldb has no table 'u'; it has 't'\n");
}

#[test]
fn a_file_that_is_no_database_is_told_apart() {
    let shell = Shell::new();
    shell.write("a.ldb", "just text, and long enough to be looked at ".repeat(1000));
    let told = shell.fails("tables a.ldb", 3);
    assert!(told.starts_with("lightning: a.ldb: not a Lightning DB database"), "{told}");
}

#[test]
fn errors_are_json_where_output_is() {
    let shell = Shell::new();
    let told = shell.fails("--json get none.ldb t k", 2);
    let error: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(error["error"]["name"], "Usage");
    assert_eq!(error["error"]["exit_code"], 2);
}

#[test]
fn wrong_arguments_are_exit_code_2() {
    let shell = Shell::new();
    for arguments in ["", "nonsense", "get", "scan a.ldb t --limit x", "scan a.ldb t --from a --above b", "--bogus"] {
        shell.fails(arguments, 2);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    use std::process::{Command, Stdio};
    let shell = Shell::new();
    let lines: String =
        (0..20_000).map(|id| format!("{{\"id\":{id},\"text\":\"some more text in each line\"}}\n")).collect();
    shell.write("a.jsonl", lines);
    shell.done("import a.ldb t a.jsonl --key id");
    let mut child = Command::new(crate::support::binary())
        .args(["scan", "a.ldb", "t"])
        .current_dir(shell.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn the_help_and_the_manual_tell_the_exit_codes() {
    let shell = Shell::new();
    for text in [shell.done("--help"), shell.done("man"), std::fs::read_to_string("../docs/shell.md").unwrap()] {
        for code in
            ["not found", "the command line or the input is not valid", "the database is damaged", "the storage failed"]
        {
            assert!(text.contains(code), "'{code}' is not in {text}");
        }
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(shell.done(&format!("completions {name}")).contains("lightning"), "{name}");
    }
    shell.done("man pages");
    assert!(shell.read("pages/lightning-import.1").contains("acknowledged N"));
}
