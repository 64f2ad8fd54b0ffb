//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Result, peers};

pub(crate) const HELP: &str = "\
Measures Lightning DB beside other embedded databases: peer-bench [documents --places FILE] [OPTIONS]

  documents       documents with secondary indexes instead of records
  --places FILE   the documents, one in each line

  --records N     records of 16 + 100 bytes in the main data set; 10k, 1M and the like are understood
                  [1M; of documents 200k]
  --rounds N      times each phase is run by each peer, in turn [3]
  --seconds S     time for one sample of a phase that reads [1]
  --peers A,B     beside only these; a wrong name prints the list [all built in;
                  lightning-blake3 and lightning-verify-always only where asked for]
  --without-ours  the others alone
  --phases A,B    only phases whose names begin so, as in: --phases get,put-sync [all]
  --dir PATH      where the databases are made, and removed again [beside the program]
  --json FILE     writes every sample and the medians there
  --quick         a test of life: 100k records or 20k documents, 2 rounds, 0.2 seconds
";

/// What the process is to do.
pub(crate) enum Command {
    Conduct(Options),
    Work(Job),
    Help,
}

/// What is kept in the databases.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// Byte strings under byte strings.
    Records,
    /// Documents with secondary indexes, made of this file of places.
    Documents(PathBuf),
}

impl Subject {
    /// For the heading of the report.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Records => "records of 16 + 100 bytes",
            Self::Documents(_) => "documents",
        }
    }

    /// What a worker's command line says of it.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::Records => Vec::new(),
            Self::Documents(places) => vec!["documents".into(), "--places".into(), places.into()],
        }
    }
}

/// A whole run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) subject: Subject,
    pub(crate) records: u64,
    pub(crate) rounds: u64,
    pub(crate) seconds: f64,
    pub(crate) peers: Vec<&'static str>,
    /// Empty for all.
    pub(crate) phases: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) json: Option<PathBuf>,
}

/// What a worker process is told when it is started.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) subject: Subject,
    pub(crate) peer: String,
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    pub(crate) directory: PathBuf,
}

pub(crate) fn parse() -> Result<Command> {
    use lexopt::prelude::*;

    let mut records = None;
    let mut rounds = None;
    let mut seconds = None;
    let mut peers = None;
    let mut documents = false;
    let mut places = None;
    let mut phases = Vec::new();
    let mut directory = None;
    let mut json = None;
    let mut quick = false;
    let mut without_ours = false;
    let mut worker = None;

    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("records") => records = Some(parse_count(&parser.value()?.string()?)?),
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Long("seconds") => seconds = Some(parser.value()?.parse()?),
            Value(subject) if subject == "documents" => documents = true,
            Long("places") => places = Some(PathBuf::from(parser.value()?)),
            Long("peers") => peers = Some(parser.value()?.string()?),
            Long("phases") => phases = split(&parser.value()?.string()?),
            Long("dir") => directory = Some(PathBuf::from(parser.value()?)),
            Long("json") => json = Some(PathBuf::from(parser.value()?)),
            Long("quick") => quick = true,
            Long("without-ours") => without_ours = true,
            Long("worker") => worker = Some(parser.value()?.string()?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(format!("{}\n\n{HELP}", other.unexpected()).into()),
        }
    }

    let subject = match (documents, places) {
        (false, _) => Subject::Records,
        (true, Some(places)) => Subject::Documents(places),
        (true, None) => return Err("documents: give a file of them with --places".into()),
    };
    let known = peers::names(&subject);
    let mut peers = match peers {
        Some(list) => parse_peers(&list, &known)?,
        None => known.into_iter().filter(|name| !peers::OURS_OTHERWISE.contains(name)).collect(),
    };
    peers.retain(|&peer| peer != peers::OURS || !without_ours);

    let records = records.unwrap_or(match (documents, quick) {
        (false, false) => 1_000_000,
        (false, true) => 100_000,
        (true, false) => 200_000,
        (true, true) => 20_000,
    });
    if records < 1_000 {
        return Err("--records: at least 1,000".into());
    }
    let seconds = seconds.unwrap_or(if quick { 0.2 } else { 1.0 });
    let directory = match directory {
        Some(directory) => directory,
        None => std::env::current_exe()?.with_extension("data"),
    };
    Ok(match worker {
        Some(peer) => Command::Work(Job { subject, peer, records, seconds, directory }),
        None => {
            let rounds = rounds.unwrap_or(if quick { 2 } else { 3 }).max(1);
            Command::Conduct(Options { subject, records, rounds, seconds, peers, phases, directory, json })
        }
    })
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The wanted ones and ours, in the order of the table.
fn parse_peers(list: &str, known: &[&'static str]) -> Result<Vec<&'static str>> {
    let wanted = split(list);
    if let Some(stranger) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("--peers: '{stranger}' is not built in; there are {}", known.join(", ")).into());
    }
    Ok(known.iter().copied().filter(|&name| name == peers::OURS || wanted.iter().any(|wish| wish == name)).collect())
}

/// `1000000`, `1M` and `1000k` are the same.
fn parse_count(text: &str) -> Result<u64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1_000_000),
            None => (text, 1),
        },
    };
    let count = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    count.ok_or_else(|| format!("'{text}' is not a count like 10000, 10k or 1M").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_their_suffix() {
        for (text, count) in [("1000", 1_000), ("10k", 10_000), ("1M", 1_000_000)] {
            assert_eq!(parse_count(text).ok(), Some(count));
        }
        for text in ["", "k", "-1", "1G", "99999999999999999999M"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }
}
