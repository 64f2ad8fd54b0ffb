//! `lightning count`

use std::ops::ControlFlow;

use clap::Args;
use serde_json::json;

use super::query::{QUERY_HELP, parse_query};
use crate::database::{ReadArgs, TableView};
use crate::documents::CollectionView;
use crate::failure::Outcome;
use crate::output::Output;
use crate::range::KeyRangeArgs;

/// Print the number of entries in a range of keys, or of documents that a query finds
#[derive(Args, Debug)]
#[command(after_help = QUERY_HELP)]
pub struct Count {
    #[command(flatten)]
    source: ReadArgs,
    /// The table or collection
    table: String,
    /// Of a collection: the query that the documents answer to
    #[arg(default_value = "", hide_default_value = true, conflicts_with = "KeyRangeArgs")]
    query: String,
    #[command(flatten)]
    range: KeyRangeArgs,
}

impl Count {
    pub fn run(self, output: &mut Output) -> Outcome {
        let snapshot = self.source.open()?;
        if let Some(view) = CollectionView::find(&snapshot, &self.source.database, &self.table)? {
            let count = self.documents(&view)?;
            return output.result(|| count.to_string(), || json!({ "count": count }));
        }
        if !self.query.is_empty() {
            // It is not a collection, and the error says what it is.
            CollectionView::open(&snapshot, &self.source.database, &self.table)?;
        }
        let view = TableView::open(&snapshot, &self.source.database, &self.table)?;
        let count = view.count(&self.range.bounds(&view.types.key)?)?;
        output.result(|| count.to_string(), || json!({ "count": count }))
    }

    fn documents(&self, view: &CollectionView) -> Outcome<u64> {
        if self.range.is_all() {
            return view.count(parse_query(&self.query)?);
        }
        let mut count = 0;
        view.scan(&self.range.document_bounds()?, false, |_, _| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }
}
