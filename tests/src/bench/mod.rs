//! The benchmark against other embedded databases: the same data, the same durability, the same disk, one run.
//!
//! The *conductor* ([`conductor`]) starts one *worker* process for each peer ([`worker`]) and hands them the
//! *phases* ([`phase`]) one by one: in every round each peer runs the phase once, and the peer that starts
//! changes from round to round, so that a slow minute of the machine hits all of them. A worker generates its data
//! ([`data`]), drives its peer through one trait ([`engine`]), checks every value it reads and answers with
//! metrics, of which the conductor prints the medians ([`report`]).
//!
//! A second benchmark, of documents with secondary indexes, runs in the same frame ([`documents`]).
//!
//! A process for each peer keeps allocators, caches and the kernel's accounting (bytes written, peak memory) apart,
//! and lets one be killed. Nothing here is used by the engine or its tests.

mod arguments;
mod clock;
mod conductor;
mod data;
mod dataset;
mod documents;
mod engine;
mod kill;
mod loads;
mod machine;
mod measure;
mod peers;
mod phase;
mod process;
mod reads;
mod report;
mod worker;
mod writes;

use arguments::Command;

/// What every fallible function of the benchmark returns: the peers have an error type each.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs the program `peer-bench` with the arguments of this process.
pub fn main() -> Result<()> {
    match arguments::parse()? {
        Command::Conduct(options) => conductor::conduct(&options),
        Command::Work(job) => worker::work(&job),
        Command::Help => {
            print!("{}", arguments::HELP);
            Ok(())
        }
    }
}
