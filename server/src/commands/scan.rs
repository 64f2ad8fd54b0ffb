//! `lightning scan`

use std::ops::ControlFlow;

use clap::Args;

use crate::database::{Access, DatabaseArgs, TableView};
use crate::failure::Outcome;
use crate::output::Output;
use crate::range::KeyRangeArgs;
use crate::types::{decode_key, decode_value};

/// Print the entries of a range of keys, in order
#[derive(Args, Debug)]
pub struct Scan {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table
    table: String,
    #[command(flatten)]
    range: KeyRangeArgs,
    /// At most so many entries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// From the highest key down
    #[arg(long)]
    reverse: bool,
    /// Print the keys alone
    #[arg(long)]
    keys_only: bool,
}

impl Scan {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let view = TableView::open(&database, &self.database, &self.table)?;
        let bounds = self.range.bounds(&view.types.key)?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(());
        }
        view.scan(&bounds, self.reverse, |key, value| {
            let key = decode_key(&view.types.key, key).map_err(|error| view.failed(error))?;
            if self.keys_only {
                output.entry(&key, None)?;
            } else {
                let value = decode_value(&view.types.value, value).map_err(|error| view.failed(error))?;
                output.entry(&key, Some(&value))?;
            }
            left -= 1;
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }
}
