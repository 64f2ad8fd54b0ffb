//! `cargo xtask bench`: the benchmarks against other databases, in one run.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::demo::cities::Cities;
use crate::package::{self, mobile, npm};
use crate::process::{self, cargo};
use crate::setup::{self, Consent, browser, node, swift};
use crate::workspace;

/// The other databases that the benchmark program can be built with, one feature each.
const PEERS: [&str; 6] = ["canopydb", "fjall", "lmdb", "redb", "rocksdb", "sqlite"];
/// Those of them, and others, that keep documents.
const DOCUMENT_PEERS: [&str; 3] = ["native-db", "redb", "sqlite"];
/// The first argument that asks for the benchmark of documents.
const DOCUMENTS: &str = "documents";
/// The first argument that asks for the benchmark in a browser.
const BROWSER: &str = "browser";
/// The first argument that asks for the benchmark in Node.
const NODE: &str = "node";
/// The first argument that asks for the benchmark of the package for Kotlin.
const KOTLIN: &str = "kotlin";
/// The first argument that asks for the benchmark in Swift.
const SWIFT: &str = "swift";

/// The first argument that asks what backups cost.
const BACKUP: &str = "backup";

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// 'documents', 'backup', 'browser', 'node', 'kotlin' or 'swift' for those, and arguments of the benchmark program; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match arguments.rest.split_first() {
        Some((first, rest)) if first == BROWSER => in_browser(Consent::from_environment(), rest)?,
        Some((first, rest)) if first == NODE => in_node(Consent::from_environment(), rest)?,
        Some((first, rest)) if first == KOTLIN => in_kotlin(Consent::from_environment(), rest)?,
        Some((first, rest)) if first == SWIFT => in_swift(Consent::from_environment(), rest)?,
        Some((first, rest)) if first == BACKUP => of_backups(rest)?,
        _ => measure(&arguments.rest)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The package for Swift beside SQLite's interface for C.
fn in_swift(consent: Consent, arguments: &[String]) -> Result<()> {
    let swift = swift::find(consent)?;
    let package = package::swift::stage(package::mobile::Profile::Dist)?;
    // SwiftPM does not look anew which files a package has that another one names by its path.
    _ = std::fs::remove_file(package.join("Benchmarks/.build/release.yaml"));
    let run = format!("run --package-path Benchmarks -c release bench {}", arguments.join(" "));
    process::run(&mut swift.command(&package, &run))
}

/// What a backup costs those who write meanwhile.
fn of_backups(arguments: &[String]) -> Result<()> {
    process::run(
        cargo()?.args(["run", "--release", "-p", "lightning-db-tests", "--bin", "backup-bench", "--"]).args(arguments),
    )
}

/// The npm package beside the databases that web pages use, in Chromium.
fn in_browser(consent: Consent, arguments: &[String]) -> Result<()> {
    npm::build(consent)?;
    process::run(
        browser::pages(consent)?
            .arg(workspace::root().join("tests/browser-bench/run.mjs"))
            .arg(node::package(&node::BROWSER_PEERS)?)
            .args(arguments),
    )
}

/// The npm package beside the databases that programs in Node use.
fn in_node(consent: Consent, arguments: &[String]) -> Result<()> {
    npm::build(consent)?;
    process::run(
        Command::new("node")
            .arg(workspace::root().join("tests/node-bench/run.mjs"))
            .arg(workspace::root().join("wasm/npm/dist"))
            .arg(node::package(&node::NODE_PEERS)?)
            .args(arguments),
    )
}

/// The package for Kotlin beside databases that programs on Java use.
fn in_kotlin(consent: Consent, arguments: &[String]) -> Result<()> {
    let mut benchmark = mobile::benchmark_in_kotlin(consent)?;
    benchmark.args(arguments).args(["--engine", &mobile::engine_micros()?]);
    process::run(&mut benchmark)
}

/// Short runs against one database that takes little to build: whether the program works, not how fast anything is.
pub fn quick() -> Result<()> {
    measure(&["--quick", "--peers", "redb"].map(str::to_owned))?;
    measure(&[DOCUMENTS, "--quick", "--peers", "redb"].map(str::to_owned))
}

fn measure(arguments: &[String]) -> Result<()> {
    let is_of_documents = arguments.first().is_some_and(|first| first == DOCUMENTS);
    let peers = asked_for(arguments, if is_of_documents { &DOCUMENT_PEERS } else { &PEERS });
    let features: Vec<String> =
        std::iter::once("peer-bench".to_owned()).chain(peers.iter().map(|peer| format!("peer-{peer}"))).collect();
    let mut command = cargo()?;
    if peers.contains(&"rocksdb") {
        command.envs(setup::rocksdb(Consent::from_environment())?);
    }
    // Where only the help is asked for there are no peers.
    let places =
        (is_of_documents && !peers.is_empty()).then(|| Cities::prepare(&workspace::cache("demo")?)).transpose()?;
    process::run(
        command
            .args(["run", "--release", "-p", "lightning-db-tests", "--bin", "peer-bench", "--features"])
            .arg(features.join(","))
            .arg("--")
            .args(arguments)
            .args(places.into_iter().flat_map(|places| ["--places".into(), places.path.into_os_string()])),
    )
}

/// What is to be built: some of these databases take minutes to compile, so only those that will be measured. A wrong
/// name gets all of them, for then the program lists what there is.
fn asked_for(arguments: &[String], known: &[&'static str]) -> Vec<&'static str> {
    let mut arguments = arguments.iter();
    let list = loop {
        match arguments.next().map(|argument| argument.split_once('=').unwrap_or((argument, ""))) {
            None => return known.to_vec(),
            Some(("--help" | "-h", "")) => return Vec::new(),
            Some(("--peers", "")) => break arguments.next().map_or("", String::as_str),
            Some(("--peers", list)) => break list,
            Some(_) => {}
        }
    };
    // What is measured without a database, under the name raw, is always there, and so is Lightning DB with other choices.
    let mut peers = Vec::new();
    for name in list.split(',').filter(|name| *name != "raw" && !name.starts_with("lightning")) {
        match known.iter().find(|peer| **peer == name) {
            Some(peer) => peers.push(*peer),
            None => return known.to_vec(),
        }
    }
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_measured_is_built() {
        let peers = |line: &str| asked_for(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), &PEERS);
        assert_eq!(peers("--quick --peers redb"), ["redb"]);
        assert_eq!(peers("--peers=lmdb,raw,redb --quick"), ["lmdb", "redb"]);
        assert_eq!(peers("--quick"), PEERS);
        assert_eq!(peers("--peers nonsense"), PEERS);
        assert!(peers("--help").is_empty());
    }
}
