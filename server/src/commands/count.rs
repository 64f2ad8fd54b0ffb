//! `lightning count`

use clap::Args;
use serde_json::json;

use crate::database::{Access, DatabaseArgs, TableView};
use crate::failure::Outcome;
use crate::output::Output;
use crate::range::KeyRangeArgs;

/// Print the number of entries in a range of keys
#[derive(Args, Debug)]
pub struct Count {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table
    table: String,
    #[command(flatten)]
    range: KeyRangeArgs,
}

impl Count {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let view = TableView::open(&database, &self.database, &self.table)?;
        let count = view.count(&self.range.bounds(&view.types.key)?)?;
        output.result(|| count.to_string(), || json!({ "count": count }))
    }
}
