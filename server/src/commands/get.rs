//! `lightning get`

use clap::Args;

use crate::database::{Access, DatabaseArgs, TableView};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::range::parse_key;
use crate::types::{decode_key, decode_value};

/// Print the values of keys
#[derive(Args, Debug)]
pub struct Get {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table
    table: String,
    /// The keys
    #[arg(required = true, value_name = "KEY", allow_negative_numbers = true)]
    keys: Vec<String>,
    /// Print the values' bytes exactly as stored, nothing between or after them
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl Get {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let view = TableView::open(&database, &self.database, &self.table)?;
        let keys = self.keys.iter().map(|key| parse_key(&view.types.key, key)).collect::<Outcome<Vec<_>>>()?;
        let mut missing = Vec::new();
        for (text, key) in self.keys.iter().zip(&keys) {
            let Some(value) = view.get(key)? else {
                missing.push(format!("'{text}'"));
                continue;
            };
            if self.raw {
                output.raw(&value)?;
                continue;
            }
            let value = decode_value(&view.types.value, &value).map_err(|error| view.failed(error))?;
            if output.is_json() {
                let key = decode_key(&view.types.key, key).map_err(|error| view.failed(error))?;
                output.entry(&key, Some(&value))?;
            } else {
                output.datum(&value)?;
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let keys = if missing.len() == 1 { "key" } else { "keys" };
        Err(Failure::NotFound(format!("{}: no {keys} {}", self.database.table_name(&self.table), missing.join(", "))))
    }
}
