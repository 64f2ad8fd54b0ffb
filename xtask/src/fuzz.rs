//! `cargo xtask fuzz`: libFuzzer against every decoder, and against whole files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo};
use crate::setup::{cargo_fuzz, rust};
use crate::workspace;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these targets; all if none is named
    targets: Vec<String>,
    /// How long to search, for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Print the names of the targets
    #[arg(long)]
    list: bool,
    /// Make the seeds of the corpus anew, from real databases, and do nothing else
    #[arg(long)]
    make_corpus: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let all = targets()?;
    if arguments.list {
        all.iter().for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.make_corpus {
        let mut make = cargo()?;
        make.args(["run", "-p", "lightning-db-tests", "--features", "testing", "--bin", "hostile-corpus"]);
        process::run(&mut make)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = arguments.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target '{unknown}'; there are {}", all.join(", "));
    }
    let chosen = if arguments.targets.is_empty() { &all } else { &arguments.targets };
    search(chosen, arguments.seconds)?;
    Ok(ExitCode::SUCCESS)
}

/// Every target for so many seconds.
pub fn search_all(seconds: u64) -> Result<()> {
    search(&targets()?, seconds)
}

fn search(targets: &[String], seconds: u64) -> Result<()> {
    rust::nightly()?;
    let tool = cargo_fuzz::tool()?;
    let mut broken = Vec::new();
    for target in targets {
        // Kept between runs, beside the corpus that is committed.
        let found = workspace::cache("fuzz")?.join(target);
        fs::create_dir_all(&found)?;
        let mut command = cargo_fuzz::command(&tool, &folder())?;
        command.arg("run").args(["--fuzz-dir", "."]).arg(target).arg(&found).arg(corpus(target)?).arg("--");
        command.args(["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-max_len={}", length_max(target)));
        if process::run(&mut command).is_err() {
            broken.push(target.as_str());
        }
    }
    if !broken.is_empty() {
        bail!("these do not hold: {}; what broke them lies in tests/fuzz/artifacts", broken.join(", "));
    }
    println!("{} targets held for {seconds} s each", targets.len());
    Ok(())
}

/// The names of the files of `fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let name = |path: PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| name(entry.path())).collect();
    names.sort();
    Ok(names)
}

/// The seeds of a target: those of its name, or of the target that it is a variant of.
fn corpus(target: &str) -> Result<PathBuf> {
    let own = |name: &str| Path::new("corpus").join(name);
    let named = target.trim_end_matches("_resealed");
    let of = match named {
        "record_head" => "checkpoint_record",
        "archive_piece" | "replay" => "increment",
        "salvage" => "open",
        own => own,
    };
    [target, named, of]
        .map(own)
        .into_iter()
        .find(|path| folder().join(path).is_dir())
        .with_context(|| format!("there is no corpus of {target}; make it with: cargo xtask fuzz --make-corpus"))
}

/// Packed files are long, everything else is found with less.
fn length_max(target: &str) -> u32 {
    if ["open", "log", "salvage"].iter().any(|name| target.starts_with(name)) { 1 << 16 } else { 1 << 13 }
}

fn folder() -> PathBuf {
    workspace::root().join("tests/fuzz")
}

/// The stable run: what CI tries of the same targets.
pub fn smoke() -> Result<Command> {
    let mut command = cargo()?;
    command.args(["test", "-p", "lightning-db-tests", "--features", "testing", "--test", "hostile"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds() {
        let targets = targets().unwrap();
        assert!(targets.len() > 20, "{targets:?}");
        for target in targets {
            corpus(&target).unwrap();
        }
    }
}
