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
    shell.done("import a.ldb t a.jsonl --key id --key-type i64");
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
    let page = shell.done("man");
    assert_eq!(page, shell.read("pages/lightning.1"));
    assert!(page.contains("\n.SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ndone\n"), "{page}");
    assert!(!page.contains("EXTRA"), "{page}");
}

#[test]
fn arguments_that_are_not_understood_are_told_in_json_too() {
    let shell = Shell::new();
    for arguments in [
        "--json bogus",
        "--json",
        "get --json",
        "scan a.ldb t --json --limit x",
        "--json put a.ldb t k v --value-type (u8,u8)",
    ] {
        let ran = shell.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments}");
        let error: serde_json::Value =
            serde_json::from_str(&ran.err).unwrap_or_else(|_| panic!("{arguments}: {}", ran.err));
        let message = error["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n') && !message.contains("Usage:"), "{message}");
    }
    // Behind `--` it is a value.
    assert!(shell.fails("put -- --json", 2).contains("Usage:"));
}

#[test]
fn every_command_answers_in_json_and_nothing_else() {
    let shell = Shell::new();
    shell.write("a.jsonl", "{\"id\":1,\"text\":\"a\"}\n{\"id\":2}\n");
    for arguments in [
        "import a.ldb t a.jsonl --key id",
        "put a.ldb u k v",
        "get a.ldb t 1 2",
        "get a.ldb t 1 3",
        "scan a.ldb t",
        "count a.ldb t",
        "tables a.ldb",
        "stats a.ldb",
        "check a.ldb",
        "compact a.ldb",
        "export a.ldb t",
        "export a.ldb t out.jsonl",
        "delete a.ldb t 1 7",
        "insert a.ldb u k v",
    ] {
        let ran = shell.run(&format!("{arguments} --json"));
        for line in ran.out.lines().chain(ran.err.lines()) {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{arguments}: {line}");
        }
    }
}

#[test]
fn names_from_a_file_cannot_steer_a_terminal() {
    let shell = Shell::new();
    let name = "\u{1b}[31mred\nlist";
    assert_eq!(shell.run_with(&["put", "a.ldb", name, "k", "v"], "").code, 0);
    assert_eq!(shell.done("tables a.ldb"), "\\u{1b}[31mred\\nlist  string -> string  1 row\n");
    let told = shell.run_with(&["get", "a.ldb", name, "k\r"], "");
    assert_eq!(told.err, "lightning: a.ldb, table '\\u{1b}[31mred\\nlist': no key 'k\\r'\n");
    assert!(!shell.fails("get a.ldb other k", 2).contains('\u{1b}'));
}

#[test]
fn a_key_of_any_length_makes_no_endless_message() {
    let shell = Shell::new();
    shell.done("put a.ldb t k v");
    let key = "k".repeat(100_000);
    let missing = shell.run_with(&["get", "a.ldb", "t", &key], "");
    assert_eq!(missing.code, 1);
    assert!(missing.err.len() < 3000 && missing.err.contains(" … "), "{} bytes", missing.err.len());
    let refused = shell.run_with(&["put", "a.ldb", "t", &key, "v"], "");
    assert_eq!(refused.code, 2, "{}", refused.err);
    let limit = "the length of a key in bytes is 100000, more than the limit of 65536\n";
    assert!(refused.err.ends_with(limit), "{}", refused.err);
}

#[test]
fn a_standard_error_that_takes_nothing_changes_no_exit_code() {
    let shell = Shell::new();
    shell.done("put a.ldb t k v");
    for (arguments, code) in [("get a.ldb t nokey", 1), ("check none.ldb", 2), ("check a.ldb --progress", 0)] {
        let command = format!("exec {} {arguments} >/dev/null 2>/dev/full", crate::support::binary().display());
        let status =
            std::process::Command::new("sh").args(["-c", &command]).current_dir(shell.path("")).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments}");
    }
}

#[test]
fn values_are_not_of_types_that_only_keys_have() {
    let shell = Shell::new();
    let told = shell.fails("put a.ldb t k 1 --value-type u8?", 2);
    assert!(told.contains("only keys can be a u8?"), "{told}");
    assert!(!shell.path("a.ldb").exists());
}
