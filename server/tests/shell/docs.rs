//! The examples in the manual are run, and what they print is what it says.

use std::process::{Command, Stdio};

use crate::support::Shell;

#[test]
fn the_examples_in_the_manual_are_true() {
    run_examples("../docs/shell.md");
}

#[test]
fn the_examples_in_the_guide_to_operations_are_true() {
    run_examples("../docs/operations.md");
}

/// Every finding has its section, and none is told of that there is not.
#[test]
fn the_guide_to_operations_says_what_to_do_about_every_finding() {
    let found_by = ["../core/src/engine/health.rs", "src/commands/health.rs"];
    let mut names: Vec<String> = found_by.iter().flat_map(|path| names_in(path)).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    let guide = std::fs::read_to_string("../docs/operations.md").unwrap();
    let mut sections: Vec<_> = guide.lines().filter_map(|line| Some(line.strip_prefix("### ")?.to_owned())).collect();
    sections.sort();
    assert_eq!(names, sections);
    for name in names {
        assert!(guide.contains(&format!("| `{name}` |")), "'{name}' is not in the table");
    }
}

/// The names of findings in a source file: what follows how bad they are.
fn names_in(path: &str) -> Vec<String> {
    let source = std::fs::read_to_string(path).unwrap();
    let parts = source.split("Severity::").skip(1);
    let names = parts.filter_map(|part| {
        let (_, rest) = part.split_once(',').filter(|(severity, _)| severity.chars().all(char::is_alphabetic))?;
        let rest = rest.trim_start();
        let name = rest.strip_prefix("name: ").unwrap_or(rest).strip_prefix('"')?.split('"').next()?;
        Some(name.to_owned()).filter(|name| !name.is_empty())
    });
    names.filter(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')).collect()
}

/// Runs every ```console block of a page, one after another in one folder. `…` in expected output stands for
/// anything on that line; a line `[exit code N]` after the output for a command that fails.
fn run_examples(path: &str) {
    let manual = std::fs::read_to_string(path).unwrap();
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
