//! `lightning delete`

use clap::Args;
use serde_json::json;

use crate::database::{Access, DatabaseArgs, DurabilityArg, TableTypes, as_slices};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::rows;
use crate::range::{KeyRangeArgs, parse_key};

/// Delete keys, or a range of keys
#[derive(Args, Debug)]
pub struct Delete {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table
    table: String,
    /// The keys
    #[arg(
        value_name = "KEY",
        allow_negative_numbers = true,
        required_unless_present = "KeyRangeArgs",
        conflicts_with = "KeyRangeArgs"
    )]
    keys: Vec<String>,
    #[command(flatten)]
    range: KeyRangeArgs,
    /// When the write is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
}

impl Delete {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let subject = self.database.table_name(&self.table);
        let types = TableTypes::of(&database, &self.database, &self.table)?;
        let keys = self.keys.iter().map(|key| parse_key(&types.key, key)).collect::<Outcome<Vec<_>>>()?;
        let bounds = if keys.is_empty() { Some(self.range.bounds(&types.key)?) } else { None };
        let deleted = database.transaction_with(self.durability.into(), |tx| {
            let mut table = tx.untyped_table(&self.table, &types.key.to_string(), &types.value.to_string())?;
            if let Some(bounds) = &bounds {
                let count = table.count(as_slices(bounds))?;
                table.delete_range(as_slices(bounds))?;
                return Ok(Deleted { count, missing: Vec::new() });
            }
            let mut missing = Vec::new();
            for (text, key) in self.keys.iter().zip(&keys) {
                if !table.delete(key)? {
                    missing.push(format!("'{text}'"));
                }
            }
            Ok(Deleted { count: (keys.len() - missing.len()) as u64, missing })
        });
        let deleted = deleted.map_err(Failure::engine(&*subject))?;
        database.close().map_err(Failure::engine(self.database.name()))?;
        output.result(|| format!("deleted {}", rows(deleted.count)), || json!({ "deleted": deleted.count }))?;
        if deleted.missing.is_empty() {
            return Ok(());
        }
        Err(Failure::NotFound(format!("{subject}: not there: {}", deleted.missing.join(", "))))
    }
}

struct Deleted {
    count: u64,
    missing: Vec<String>,
}
