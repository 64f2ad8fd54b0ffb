//! `lightning tables`

use clap::Args;
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::rows;
use crate::types::on_one_line;

/// List the tables, their types and how many rows they have; collections among them, as key -> document
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
        let names: Vec<String> = tables.iter().map(|table| on_one_line(&table.name)).collect();
        let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (table, name) in tables.iter().zip(&names) {
            let count = snapshot.untyped_table(&table.name).and_then(|table| table.len()).map_err(failed)?;
            output.result(
                || {
                    let (keys, values) = (on_one_line(&table.key_type), on_one_line(&table.value_type));
                    format!("{name:name_width$}  {keys} -> {values}  {}", rows(count))
                },
                || {
                    json!({
                        "name": table.name,
                        "key_type": table.key_type,
                        "value_type": table.value_type,
                        "created_ms": table.created_ms,
                        "rows": count,
                    })
                },
            )?;
        }
        Ok(())
    }
}
