//! The sample in Swift and the command `lightning` on one file, in turn; and the sample killed while it writes.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::cities::Cities;
use super::native::{Lightning, heading, remove_database};
use crate::package::{self, mobile};
use crate::setup::{Consent, swift};
use crate::{process, workspace};

/// The folder of the databases: in the package, which is all that the sample sees where Swift has a root of its own.
const FOLDER: &str = ".build/exchange";

pub fn run() -> Result<()> {
    let cities = Cities::prepare(&workspace::cache("demo")?)?;
    let swift = swift::find(Consent::from_environment())?;
    let package = package::swift::stage(mobile::Profile::Dist)?;
    process::run(&mut swift.command(&package, "build --package-path Sample -c release"))?;
    let folder = package.join(FOLDER);
    fs::create_dir_all(&folder)?;
    fs::copy(&cities.path, folder.join("cities.jsonl"))?;
    let lightning = Lightning::build(&folder)?;
    let sample = Sample { swift, package };

    heading("Written by the command, read and changed in Swift");
    remove_database(&folder.join("shell.ldb"))?;
    lightning.show(&["import", "shell.ldb", "cities", "cities.jsonl", "--key", "id", "--index", "population"])?;
    ensure!(sample.show("shell.ldb")?.starts_with(&format!("{} places", cities.ids.len())), "Swift counts others");
    let before = population(&sample.show("shell.ldb get FI/Tampere")?)?;
    sample.show("shell.ldb country FI")?;
    sample.show("shell.ldb search sao")?;
    sample.show("shell.ldb grow FI/Tampere 1000")?;

    heading("Changed in Swift, read by the command");
    lightning.show(&["get", "shell.ldb", "cities", "FI/Tampere"])?;
    let row: serde_json::Value =
        serde_json::from_str(&lightning.output(&["--json", "get", "shell.ldb", "cities", "FI/Tampere"])?)?;
    ensure!(row.to_string().contains(&format!("\"population\":{}", before + 1000)), "the command reads {row}");
    ensure!(
        row.to_string().contains("featureCode"),
        "an update in Swift took a field away that it does not know: {row}"
    );
    lightning.show(&["collections", "shell.ldb"])?;
    lightning.show(&["check", "shell.ldb"])?;

    heading("Killed while it writes, and opened again");
    remove_database(&folder.join("killed.ldb"))?;
    let acknowledged = sample.killed_load(cities.ids.len() / 4)?;
    println!("killed with SIGKILL after {acknowledged} of {} places were acknowledged", cities.ids.len());
    ensure!(!sample.show("killed.ldb")?.starts_with("0 places"), "Swift finds nothing");
    lightning.show(&["check", "killed.ldb"])?;
    let present: HashSet<String> = lightning.keys("killed.ldb")?;
    let lost = cities.ids.iter().take(acknowledged).filter(|id| !present.contains(*id)).count();
    ensure!(lost == 0, "{lost} acknowledged places are lost");
    ensure!(present.len() < cities.ids.len(), "everything was written before the kill, so nothing was shown");
    println!("\nPASS: acknowledged: {acknowledged}, present: {}, lost: 0", present.len());
    Ok(())
}

/// The program, run in the folder of the databases.
struct Sample {
    swift: swift::Swift,
    package: std::path::PathBuf,
}

impl Sample {
    fn command(&self, arguments: &str) -> Command {
        self.swift.shell(&self.package, &format!("cd {FOLDER} && exec ../../Sample/.build/release/cities {arguments}"))
    }

    /// Runs it as a user would; what it printed.
    fn show(&self, arguments: &str) -> Result<String> {
        println!("\n$ cities {arguments}");
        let output = process::output(&mut self.command(arguments))?;
        print!("{output}");
        Ok(output)
    }

    /// Starts to load and kills it once `enough` places are acknowledged. Gives how many were before it died.
    fn killed_load(&self, enough: usize) -> Result<usize> {
        println!("\n$ cities killed.ldb load cities.jsonl");
        let mut child = self.command("killed.ldb load cities.jsonl").stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("what the sample says cannot be read")?).lines();
        let (mut acknowledged, mut killed) = (0, false);
        for line in lines {
            let line = line?;
            acknowledged = line.strip_prefix("acknowledged ").and_then(|count| count.parse().ok()).context(line)?;
            if acknowledged >= enough && !killed {
                child.kill()?;
                killed = true;
            }
        }
        if child.wait()?.success() || !killed {
            bail!("the sample came to its end before it could be killed");
        }
        Ok(acknowledged)
    }
}

/// `FI/Tampere, 202687 inhabitants`.
fn population(line: &str) -> Result<u64> {
    let number = line.split(", ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|number| number.parse().ok());
    number.with_context(|| format!("not a place: {line}"))
}
