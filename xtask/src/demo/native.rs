//! The command `lightning` on a real data set: import, look up, scan, count; then an import killed half-way, after which
//! everything that was acknowledged must be there.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::cities::Cities;
use crate::{process, workspace};

/// Rows of one commit in the import that is killed: small, so that it is killed between many.
const KILLED_BATCH: &str = "500";

pub fn run() -> Result<()> {
    let folder = workspace::cache("demo")?;
    let cities = Cities::prepare(&folder)?;
    let lightning = Lightning::build(&folder)?;

    heading("Import, and ask");
    remove_database(&folder.join("cities.ldb"))?;
    let file = cities.path.to_str().context("the cache folder's name is not Unicode")?;
    lightning.show(&["import", "cities.ldb", "cities", file, "--key", "id", "--progress"])?;
    lightning.show(&["get", "cities.ldb", "cities", "FI/Tampere"])?;
    lightning.show(&["scan", "cities.ldb", "cities", "--from", "FI/T", "--below", "FI/U", "--limit", "5"])?;
    lightning.show(&["scan", "cities.ldb", "cities", "--prefix", "JP/", "--reverse", "--limit", "3", "--keys-only"])?;
    lightning.show(&["count", "cities.ldb", "cities", "--prefix", "FR/"])?;
    lightning.show(&["count", "cities.ldb", "cities"])?;
    let count = lightning.count("cities.ldb")?;
    ensure!(count == cities.ids.len(), "{count} rows are there, {} were imported", cities.ids.len());

    heading("Kill an import half-way, and reopen");
    remove_database(&folder.join("killed.ldb"))?;
    let acknowledged = lightning.killed_import(file, cities.ids.len() / 2)?;
    println!("killed with SIGKILL after {acknowledged} of {} rows were acknowledged", cities.ids.len());
    lightning.show(&["check", "killed.ldb"])?;
    lightning.show(&["stats", "killed.ldb"])?;
    let present = lightning.keys("killed.ldb")?;
    let lost = cities.ids.iter().take(acknowledged).filter(|id| !present.contains(*id)).count();
    println!("acknowledged: {acknowledged}, present: {}, lost: {lost}", present.len());
    ensure!(lost == 0, "{lost} acknowledged rows are lost");
    ensure!(present.len() < cities.ids.len(), "everything was stored before the kill, so nothing was shown");

    heading("Go on with the import, to the end");
    lightning.show(&["import", "killed.ldb", "cities", file, "--key", "id", "--resume"])?;
    let count = lightning.count("killed.ldb")?;
    ensure!(count == cities.ids.len(), "{count} rows are there, {} were imported", cities.ids.len());
    lightning.show(&["check", "killed.ldb"])?;
    println!("\nPASS: {count} places; every acknowledged row survived the kill");
    println!("the databases are in {}", folder.display());
    Ok(())
}

/// The program, run in the folder of the demonstration.
pub struct Lightning {
    program: PathBuf,
    folder: PathBuf,
}

impl Lightning {
    pub fn build(folder: &Path) -> Result<Self> {
        process::run(process::cargo()?.args([
            "build",
            "--release",
            "-p",
            "lightning-db-server",
            "--bin",
            "lightning",
        ]))?;
        let program = workspace::target()?.join("release").join(format!("lightning{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { program, folder: folder.to_owned() })
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder);
        command
    }

    /// Runs it as a user would, and tells how long it took.
    pub fn show(&self, arguments: &[&str]) -> Result<()> {
        println!("\n$ lightning {}", arguments.join(" "));
        let start = Instant::now();
        let status = self.command(arguments).status().context("cannot run lightning")?;
        println!("  ({:.0} ms)", start.elapsed().as_secs_f64() * 1e3);
        ensure!(status.success(), "lightning {} ended with {status}", arguments.join(" "));
        Ok(())
    }

    /// What it prints.
    pub fn output(&self, arguments: &[&str]) -> Result<String> {
        process::output(&mut self.command(arguments))
    }

    fn count(&self, database: &str) -> Result<usize> {
        let text = process::output(&mut self.command(&["--json", "count", database, "cities"]))?;
        let counted: serde_json::Value = serde_json::from_str(&text)?;
        let count = counted["count"].as_u64().with_context(|| format!("not a count: {text}"))?;
        Ok(usize::try_from(count)?)
    }

    pub fn keys(&self, database: &str) -> Result<HashSet<String>> {
        let text = process::output(&mut self.command(&["--json", "scan", database, "cities", "--keys-only"]))?;
        text.lines()
            .map(|line| {
                let entry: serde_json::Value = serde_json::from_str(line)?;
                Ok(entry["key"].as_str().with_context(|| format!("not a key: {line}"))?.to_owned())
            })
            .collect()
    }

    /// Starts an import and kills it once `enough` rows are acknowledged. Gives the rows acknowledged before it died.
    fn killed_import(&self, file: &str, enough: usize) -> Result<usize> {
        let arguments = ["import", "killed.ldb", "cities", file, "--key", "id", "--batch", KILLED_BATCH, "--progress"];
        println!("\n$ lightning {}", arguments.join(" "));
        let mut child = self.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let messages = child.stderr.take().context("the import's messages cannot be read")?;
        let (mut acknowledged, mut killed) = (0, false);
        for line in BufReader::new(messages).lines() {
            let line = line?;
            match line.strip_prefix("acknowledged ") {
                Some(rows) => acknowledged = rows.trim().parse().with_context(|| format!("not a count: {line}"))?,
                None => println!("{line}"),
            }
            if acknowledged >= enough && !killed {
                child.kill()?;
                killed = true;
            }
        }
        let status = child.wait()?;
        if !killed || ended_by_itself(status) {
            bail!("the import ended with {status} before it could be killed");
        }
        Ok(acknowledged)
    }
}

#[cfg(unix)]
fn ended_by_itself(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal().is_none()
}

#[cfg(not(unix))]
fn ended_by_itself(status: ExitStatus) -> bool {
    status.success()
}

pub fn remove_database(path: &Path) -> Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-log");
    for file in [path, Path::new(&log)] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn heading(text: &str) {
    println!("\n== {text}");
}
