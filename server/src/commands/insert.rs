//! `lightning insert`

use clap::Args;

use super::put::EntryArgs;
use crate::failure::Outcome;
use crate::output::Output;

/// Write one entry or document whose key must not be there yet (exit code 1 if it is)
#[derive(Args, Debug)]
pub struct Insert {
    #[command(flatten)]
    entry: EntryArgs,
}

impl Insert {
    pub fn run(self, _: &mut Output) -> Outcome {
        self.entry.write(true)
    }
}
