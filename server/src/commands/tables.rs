//! `lightning tables`

use clap::Args;
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::grouped;

/// List the tables, their types and how many rows they have
#[derive(Args, Debug)]
pub struct Tables {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Tables {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let failed = |error| Failure::engine(self.database.name())(error);
        let snapshot = database.snapshot();
        let tables = snapshot.tables().map_err(failed)?;
        let name_width = tables.iter().map(|table| table.name.chars().count()).max().unwrap_or(0);
        for table in &tables {
            let rows = snapshot.untyped_table(&table.name).and_then(|table| table.len()).map_err(failed)?;
            output.result(
                || {
                    let (name, keys, values) = (&table.name, &table.key_type, &table.value_type);
                    format!(
                        "{name:name_width$}  {keys} -> {values}  {} {}",
                        grouped(rows),
                        if rows == 1 { "row" } else { "rows" }
                    )
                },
                || {
                    json!({
                        "name": table.name,
                        "key_type": table.key_type,
                        "value_type": table.value_type,
                        "created_ms": table.created_ms,
                        "rows": rows,
                    })
                },
            )?;
        }
        Ok(())
    }
}
