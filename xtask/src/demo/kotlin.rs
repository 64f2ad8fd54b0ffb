//! The sample program in Kotlin and the command `lightning`, in turn on one file.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cities::Cities;
use super::native::{Lightning, heading, remove_database};
use crate::package::mobile;
use crate::setup::Consent;
use crate::{process, workspace};

const DATABASE: &str = "kotlin.ldb";

pub fn run() -> Result<()> {
    let folder = workspace::cache("demo")?;
    let cities = Cities::prepare(&folder)?;
    let lightning = Lightning::build(&folder)?;
    let sample = mobile::sample_in_kotlin(Consent::from_environment())?;

    heading("The shell writes, Kotlin reads");
    remove_database(&folder.join(DATABASE))?;
    let file = cities.path.to_str().context("the cache folder's name is not Unicode")?;
    lightning.show(&[
        "import",
        DATABASE,
        "cities",
        file,
        "--key",
        "id",
        "--index",
        "country",
        "--index",
        "population",
    ])?;
    let places = |arguments: &[&str]| -> Result<String> {
        println!("\n$ places {DATABASE} {}", arguments.join(" "));
        let mut command = Command::new(sample.get_program());
        command.args(sample.get_args()).arg(DATABASE).args(arguments).current_dir(&folder);
        let said = process::output(&mut command)?;
        print!("{said}");
        Ok(said)
    };
    ensure!(places(&["get", "FI/Tampere"])?.contains("202,687"), "Tampere has another population");
    ensure!(places(&["largest", "FI"])?.lines().next().is_some_and(|line| line.contains("Helsinki")), "not Helsinki");
    ensure!(places(&["find", "sao pau"])?.contains("São Paulo"), "São Paulo was not found");

    heading("Kotlin writes, the shell reads");
    places(&["add", "FI/Salama", "Salama", "7"])?;
    places(&["grow", "FI/Salama", "35"])?;
    let said = process::output(&mut lightning.command(&["--json", "get", DATABASE, "cities", "FI/Salama"]))?;
    print!("{said}");
    ensure!(said.contains("42"), "the shell reads something else than Kotlin wrote");
    lightning.show(&["check", DATABASE])?;
    println!("\nPASS: both read what the other wrote");
    Ok(())
}
