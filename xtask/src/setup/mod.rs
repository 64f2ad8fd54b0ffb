//! `cargo xtask setup`: installs what is missing, says what it does, and does nothing twice.
//!
//! Every subcommand asks the functions here for what it needs and gets paths back; `setup` merely asks for all of it. A
//! step that changes the system is put to the user first, except in CI and as root in a container.

pub mod apple;
pub mod browser;
pub mod cargo_fuzz;
pub mod debian;
pub mod jvm;
pub mod node;
pub mod rust;
pub mod swift;
pub mod wasm_bindgen;
pub mod wasm_pack;

use std::env;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process;

#[derive(clap::Args)]
pub struct Arguments {
    /// What to prepare for
    #[arg(value_enum, default_values = ["test", "demo"])]
    purposes: Vec<Purpose>,
    /// Do not ask before a step that changes the system
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Purpose {
    /// `cargo xtask test`
    Test,
    /// What `cargo xtask test --all` wants beside: Firefox and WebKit
    Browsers,
    /// `cargo xtask demo`
    Demo,
    /// `cargo xtask bench`
    Bench,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let consent = if arguments.yes { Consent::Given } else { Consent::from_environment() };
    for purpose in &arguments.purposes {
        match purpose {
            Purpose::Test => {
                rust::formatter_and_linter()?;
                rust::bare_metal(consent)?;
                browser(consent)?;
                jvm::maven("kotlin", consent)?;
                swift::find(consent)?;
            }
            Purpose::Browsers => {
                node::required()?;
                browser(consent)?;
                node::package(&node::WS)?;
                browser::firefox(consent)?;
                browser::webkit(consent)?;
            }
            Purpose::Demo => {
                node::required()?;
                browser(consent)?;
            }
            Purpose::Bench => {
                rocksdb(consent)?;
            }
        }
    }
    println!("everything is in place");
    Ok(ExitCode::SUCCESS)
}

fn browser(consent: Consent) -> Result<()> {
    rust::web(consent)?;
    wasm_bindgen::tools()?;
    wasm_pack::program()?;
    node::package(&node::BINARYEN)?;
    node::package(&node::TYPESCRIPT)?;
    node::package(&node::PLAYWRIGHT)?;
    browser::chromium(consent)?;
    browser::chromedriver(consent)?;
    Ok(())
}

/// Installs RocksDB's library, and libclang for its bindings; gives the environment in which the library is found. Its
/// sources would take a quarter of an hour to compile.
pub fn rocksdb(consent: Consent) -> Result<Vec<(&'static str, PathBuf)>> {
    let missing: Vec<&str> =
        ["librocksdb-dev", "libclang-dev"].into_iter().filter(|package| !debian::is_installed(package)).collect();
    debian::install("RocksDB, and libclang for its bindings, which the benchmarks measure", &missing, consent)?;
    let library = find_library("librocksdb.so").context("RocksDB is installed, yet its library is not in /usr/lib")?;
    Ok(vec![("ROCKSDB_LIB_DIR", library), ("ROCKSDB_INCLUDE_DIR", PathBuf::from("/usr/include"))])
}

/// The folder of /usr/lib, or of the one for this architecture in it, that holds `name`.
fn find_library(name: &str) -> Option<PathBuf> {
    let libraries = PathBuf::from("/usr/lib");
    let folders = std::fs::read_dir(&libraries).ok()?.flatten().map(|entry| entry.path());
    std::iter::once(libraries.clone()).chain(folders).find(|folder| folder.join(name).exists())
}

/// Whether steps that change the system may be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Take them.
    Given,
    /// Ask the user before each.
    Ask,
}

impl Consent {
    /// Given in CI and as root in a container, where nobody is there to ask and nobody's machine is changed.
    pub fn from_environment() -> Self {
        let in_ci = env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        let in_container = env::var_os("container").is_some()
            || ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
        if in_ci || (in_container && is_root()) { Consent::Given } else { Consent::Ask }
    }

    /// Puts `step` to the user, unless consent is given already.
    fn obtain(self, step: &str) -> Result<()> {
        if self == Consent::Given {
            println!("setup: {step}");
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            bail!("this needs a change of the system: {step}; run it by hand, or 'cargo xtask setup --yes'");
        }
        print!("setup: {step}. Go ahead? [y/N] ");
        std::io::stdout().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("not done: {step}");
        }
        Ok(())
    }
}

fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
