//! Another program takes the files' permissions away while the database is open, and gives them back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lightning_db::{Database, Durability, Error, Options};

use super::Site;
use super::witness::{Witness, whole};

/// No system's user of consequence: nobody.
const NOBODY: &str = "65534";

/// The superuser is refused nothing, so it must not be the superuser.
pub fn around(folder: &Path) -> Vec<String> {
    if !is_superuser(folder) {
        return Vec::new();
    }
    let owner = format!("chown {NOBODY}:{NOBODY} '{}' && exec \"$@\"", folder.display());
    let user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    ["sh", "-c", &owner, "sh"].iter().chain(&user).map(|word| String::from(*word)).collect()
}

/// Whether what `folder`'s owner may not do can be done all the same.
fn is_superuser(folder: &Path) -> bool {
    let probe = folder.join("probe");
    let allowed = fs::write(&probe, "").is_ok()
        && fs::set_permissions(&probe, Permissions::from_mode(0o000)).is_ok()
        && fs::read(&probe).is_ok();
    let _ = fs::remove_file(&probe);
    allowed
}

pub fn run(site: &Site) -> Result<String> {
    let path = site.path();
    let files = [path.clone(), path.with_extension("ldb-log"), site.folder.clone()];
    let mut witness = Witness::new(site.seed, 4000, 800);
    let (start, mut rounds, mut refusals) = (Instant::now(), 0, 0);
    while start.elapsed() < site.seconds || rounds < 5 {
        rounds += 1;
        let mut options = Options::default();
        options.memory_budget_bytes = 4 << 20;
        options.memtable_bytes = Some(128 << 10);
        let database = Database::open(&path, options.clone()).context("with all permissions")?;
        witness.verify_reopened(&database)?;
        commit(&mut witness, &database, 50)?;

        let taken = Taken::from(&files)?;
        // What is open stays open: everything goes on, merges, checkpoints and compaction included.
        commit(&mut witness, &database, 300).context("without permissions")?;
        database.checkpoint()?;
        database.compact()?;
        whole(&database)?;
        witness.verify(&database)?;
        if rounds % 2 == 0 {
            database.close().context("closing without permissions")?;
            drop(database);
            refusals += refused(&path, options.clone(), &taken)?;
            drop(taken);
        } else {
            drop(taken);
            commit(&mut witness, &database, 50).context("with permissions again")?;
            database.close()?;
        }
    }
    let database = Database::open(&path, Options::default())?;
    witness.verify_reopened(&database)?;
    database.close()?;
    Ok(format!(
        "{rounds} times taken and given back; {} transactions, none lost; {refusals} openings refused, each with the reason",
        witness.acknowledged()
    ))
}

fn commit(witness: &mut Witness, database: &Database, times: u32) -> Result<()> {
    for _ in 0..times {
        witness.commit(database, Durability::Relaxed)?;
    }
    Ok(())
}

/// Opening must fail, for this reason and no other: without the folder, with it but without the file.
fn refused(path: &Path, options: Options, taken: &Taken) -> Result<u32> {
    for step in 0..2 {
        match Database::open(path, options.clone()) {
            Ok(_) => bail!("a database that must not be read was opened"),
            Err(Error::Storage(error)) if Error::from((*error).clone()).name() == "PermissionDenied" => {}
            Err(Error::Invalid { what }) if what.contains("ermission") => {}
            Err(error) => bail!("a missing permission is reported as {}: {error}", error.name()),
        }
        if step == 0 {
            fs::set_permissions(
                taken.0.last().map(|taken| &taken.0).context("no folder")?,
                Permissions::from_mode(0o700),
            )?;
        }
    }
    Ok(2)
}

/// Files without permissions, until this goes.
struct Taken(Vec<(PathBuf, Permissions)>);

impl Taken {
    fn from(files: &[PathBuf]) -> Result<Self> {
        let mut taken = Self(Vec::new());
        for file in files {
            let permissions = fs::metadata(file)?.permissions();
            fs::set_permissions(file, Permissions::from_mode(0o000))?;
            taken.0.push((file.clone(), permissions));
        }
        ensure!(fs::read_dir(&files[2]).is_err(), "taking the permissions away had no effect");
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // The folder came last, and without it there is no way to the files.
        for (file, permissions) in self.0.iter().rev() {
            let _ = fs::set_permissions(file, permissions.clone());
        }
    }
}
