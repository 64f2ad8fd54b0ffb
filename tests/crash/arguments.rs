//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::child;
use crate::scenario::Scenario;

pub const USAGE: &str = "\
usage: crash [--kills N] [--scenario S]... [--seed N] [--jobs N] [--dir FOLDER] [--lightning PROGRAM]
       crash --power-loss [--cuts N] [--scenario S]... [--seed N] [--jobs N] [--dir FOLDER]
       crash --list

  --kills N             kill N processes, over all scenarios (300)
  --power-loss          cut the power of a disk instead, on a FUSE file system (as root)
  --cuts N              cut it N times, over all scenarios (300)
  --scenario S          only this scenario; may be repeated
  --seed N              what commits hold and when kills come (another one each time)
  --jobs N              scenarios at a time (4)
  --dir FOLDER          where databases are made (the system's folder for temporary files)
  --lightning PROGRAM   the command, which some scenarios kill (the one beside this program)
  --list                tell what scenarios there are";

/// What to do.
#[derive(Debug)]
pub enum Command {
    Kill(Kill),
    Cut(Cuts),
    Child(child::Arguments),
    List,
    Help,
}

/// Killing processes.
#[derive(Debug)]
pub struct Kill {
    pub kills: u64,
    pub scenarios: Vec<&'static Scenario>,
    pub seed: Option<u64>,
    pub jobs: usize,
    pub folder: PathBuf,
    pub lightning: Option<PathBuf>,
}

/// Cutting the power.
#[derive(Debug)]
pub struct Cuts {
    pub cuts: u64,
    pub scenarios: Vec<&'static Scenario>,
    pub seed: Option<u64>,
    pub jobs: usize,
    pub folder: PathBuf,
}

pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.first().is_some_and(|first| first == "child") {
        arguments.remove(0);
        return parse_child(lexopt::Parser::from_args(arguments)).map(Command::Child);
    }
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut kill =
        Kill { kills: 300, scenarios: Vec::new(), seed: None, jobs: 4, folder: std::env::temp_dir(), lightning: None };
    let (mut power_loss, mut cuts) = (false, 300);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("power-loss") => power_loss = true,
            Long("cuts") => cuts = parser.value()?.parse()?,
            Long("kills") => kill.kills = parser.value()?.parse()?,
            Long("scenario") => kill.scenarios.push(scenario(&mut parser)?),
            Long("seed") => kill.seed = Some(parser.value()?.parse()?),
            Long("jobs") => kill.jobs = parser.value()?.parse()?,
            Long("dir") => kill.folder = parser.value()?.into(),
            Long("lightning") => kill.lightning = Some(parser.value()?.into()),
            Long("list") => return Ok(Command::List),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if power_loss {
        let Kill { scenarios, seed, jobs, folder, .. } = kill;
        return Ok(Command::Cut(Cuts { cuts, scenarios, seed, jobs, folder }));
    }
    Ok(Command::Kill(kill))
}

fn parse_child(mut parser: lexopt::Parser) -> Result<child::Arguments, lexopt::Error> {
    let (mut chosen, mut seed, mut database, mut ledger, mut commits) = (None, 0, None, None, None);
    let (mut prefill, mut verify, mut write_back, mut stage) = (false, false, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("scenario") => chosen = Some(scenario(&mut parser)?),
            Long("seed") => seed = parser.value()?.parse()?,
            Long("database") => database = Some(parser.value()?.into()),
            Long("ledger") => ledger = Some(parser.value()?.into()),
            Long("commits") => commits = Some(parser.value()?.parse()?),
            Long("tell-stage") => stage = Some(parser.value()?.parse()?),
            Long("prefill") => prefill = true,
            Long("verify") => verify = true,
            Long("write-back") => write_back = true,
            other => return Err(other.unexpected()),
        }
    }
    let (Some(scenario), Some(database), Some(ledger)) = (chosen, database, ledger) else {
        return Err("a child is told its scenario, database and ledger".into());
    };
    Ok(child::Arguments { scenario, seed, database, ledger, commits, prefill, verify, stage, write_back })
}

fn scenario(parser: &mut lexopt::Parser) -> Result<&'static Scenario, lexopt::Error> {
    let name = parser.value()?.string()?;
    Scenario::named(&name).ok_or_else(|| format!("there is no scenario '{name}'; --list tells them").into())
}
