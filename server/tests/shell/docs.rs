//! The examples in the manual are run, and what they print is what it says.

use std::process::{Command, Stdio};

use crate::support::Shell;

/// Runs every ```console block of docs/shell.md, one after another in one folder. `…` in expected output stands for
/// anything on that line; a line `[exit code N]` after the output for a command that fails.
#[test]
fn the_examples_in_the_manual_are_true() {
    let manual = std::fs::read_to_string("../docs/shell.md").unwrap();
    let shell = Shell::new();
    let mut examples = 0;
    for block in manual.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for example in block.split("$ ").skip(1) {
            let (command, expected) = split_command(example);
            let printed = run(&shell, &command);
            assert!(matches(&printed, expected), "$ {command}\nprinted:\n{printed}\nthe manual says:\n{expected}");
            examples += 1;
        }
    }
    assert!(examples > 10, "{examples} examples were found");
}

/// The command, with the lines a `\` or a here-document continues it by, and the output that follows.
fn split_command(example: &str) -> (String, &str) {
    let first = example.split_inclusive('\n').next().unwrap_or_default();
    let end = match first.split_once("<<'") {
        Some((_, rest)) => {
            let word = rest.split('\'').next().unwrap_or_default();
            let end = format!("\n{word}\n");
            example.find(&end).map_or(example.len(), |at| at + end.len())
        }
        None => first.len(),
    };
    let (command, expected) = example.split_at(end);
    (command.to_owned(), expected)
}

fn run(shell: &Shell, command: &str) -> String {
    let folder = crate::support::binary().parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .env("PATH", path)
        .current_dir(shell.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut printed = String::from_utf8(output.stdout).unwrap();
    if let Some(code @ 1..) = output.status.code() {
        printed.push_str(&format!("[exit code {code}]\n"));
    }
    printed
}

fn matches(printed: &str, expected: &str) -> bool {
    let (printed, expected): (Vec<_>, Vec<_>) =
        (printed.trim_end().lines().collect(), expected.trim_end().lines().collect());
    printed.len() == expected.len()
        && printed.iter().zip(expected).all(|(line, pattern)| match pattern.split_once('…') {
            Some((start, end)) => line.starts_with(start) && line.ends_with(end),
            None => *line == pattern,
        })
}
