//! `lightning delete`

use std::ops::ControlFlow;

use clap::Args;
use lightning_db::{Database, Value};
use serde_json::json;

use super::query::parse_query;
use crate::database::{Access, DatabaseArgs, DurabilityArg, TableTypes, as_slices};
use crate::documents::{CollectionView, parse_key_value};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::rows;
use crate::range::{KeyRangeArgs, parse_key};

/// Delete keys, a range of keys, or the documents that a query finds
#[derive(Args, Debug)]
pub struct Delete {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table or collection
    table: String,
    /// The keys
    #[arg(
        value_name = "KEY",
        allow_negative_numbers = true,
        required_unless_present_any = ["KeyRangeArgs", "query"],
        conflicts_with_all = ["KeyRangeArgs", "query"]
    )]
    keys: Vec<String>,
    #[command(flatten)]
    range: KeyRangeArgs,
    /// The documents of a collection that this query finds
    #[arg(long, value_name = "QUERY", conflicts_with = "KeyRangeArgs")]
    query: Option<String>,
    /// When the write is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
}

impl Delete {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let subject = self.database.table_name(&self.table);
        if let Some(view) = CollectionView::find(&database.snapshot(), &self.database, &self.table)? {
            let deleted = self.documents(&database, &view)?;
            drop(view);
            let subject = self.database.collection_name(&self.table);
            return self.told(&subject, &database, deleted, output);
        }
        if self.query.is_some() {
            // It is not a collection, and the error says what it is.
            CollectionView::open(&database.snapshot(), &self.database, &self.table)?;
        }
        let types = TableTypes::of(&database.snapshot(), &self.database, &self.table)?;
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
        self.told(&subject, &database, deleted.map_err(Failure::engine(&*subject))?, output)
    }

    /// Deletes documents, all of them in one transaction.
    fn documents(&self, database: &Database, view: &CollectionView) -> Outcome<Deleted> {
        let failed = |error| view.failed(error);
        let collection = database.existing_collection::<Value>(&self.table).map_err(failed)?;
        if let Some(query) = &self.query {
            let query = parse_query(query)?;
            let count = database
                .transaction_with(self.durability.into(), |tx| tx.collection(&collection)?.delete_where(query))
                .map_err(failed)?;
            return Ok(Deleted { count, missing: Vec::new() });
        }
        let mut keys: Vec<(String, Value)> =
            self.keys.iter().map(|text| (text.clone(), parse_key_value(text))).collect();
        if keys.is_empty() {
            view.scan(&self.range.document_bounds()?, false, |key, _| {
                keys.push((String::new(), key.clone()));
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let deleted = database.transaction_with(self.durability.into(), |tx| {
            let mut documents = tx.collection(&collection)?;
            let (mut count, mut missing) = (0, Vec::new());
            for (text, key) in keys {
                match documents.delete(key)? {
                    true => count += 1,
                    false if text.is_empty() => {}
                    false => missing.push(format!("'{text}'")),
                }
            }
            Ok(Deleted { count, missing })
        });
        deleted.map_err(failed)
    }

    fn told(&self, subject: &str, database: &Database, deleted: Deleted, output: &mut Output) -> Outcome {
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
