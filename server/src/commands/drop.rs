//! `lightning drop`

use clap::Args;
use lightning_db::Database;
use serde_json::json;

use super::import::forget;
use crate::database::{Access, DatabaseArgs, TableTypes};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::rows;

/// Delete a collection with its documents and indexes, or a table with everything in it
#[derive(Args, Debug)]
pub struct DropCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The collection or table
    #[arg(value_name = "COLLECTION")]
    name: String,
}

impl DropCommand {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        // Where there is nothing of this name, the error says what there is.
        TableTypes::of(&database.snapshot(), &self.database, &self.name)?;
        let failed = |error| Failure::engine(self.database.name())(error);
        let (count, kind) = self.dropped(&database).map_err(failed)?;
        database.close().map_err(failed)?;
        output.result(
            || format!("dropped {kind} '{}' with {}", self.name, rows(count)),
            || json!({ "dropped": self.name, "rows": count }),
        )
    }

    /// Gives how many rows it had, and what it was.
    fn dropped(&self, database: &Database) -> lightning_db::Result<(u64, &'static str)> {
        let snapshot = database.snapshot();
        let count = snapshot.untyped_table(&self.name)?.len()?;
        let is_collection = snapshot.collection_info(&self.name)?.is_some();
        drop(snapshot);
        if is_collection {
            database.drop_collection(&self.name)?;
        } else {
            database.transaction(|tx| tx.drop_table(&self.name))?;
        }
        forget(database, &self.name)?;
        Ok((count, if is_collection { "collection" } else { "table" }))
    }
}
