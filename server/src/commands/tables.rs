//! `lightning tables`

use clap::Args;
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// List the tables and their types
#[derive(Args, Debug)]
pub struct Tables {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Tables {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let tables = database.tables().map_err(Failure::engine(self.database.name()))?;
        if output.is_json() {
            return tables.iter().try_for_each(|table| {
                output.json(&json!({ "name": table.name, "key_type": table.key_type, "value_type": table.value_type }))
            });
        }
        let name_width = tables.iter().map(|table| table.name.chars().count()).max().unwrap_or(0);
        tables.iter().try_for_each(|table| {
            output.line(&format!("{:name_width$}  {} -> {}", table.name, table.key_type, table.value_type))
        })
    }
}
