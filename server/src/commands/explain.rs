//! `lightning explain`

use clap::Args;
use serde_json::json;

use super::query::{QUERY_HELP, parse_query};
use crate::database::ReadArgs;
use crate::documents::CollectionView;
use crate::failure::Outcome;
use crate::output::Output;
use crate::progress::grouped;
use crate::types::on_one_line;

/// Answer a query and tell how: which index was chosen, what was estimated, and what was read
#[derive(Args, Debug)]
#[command(after_help = QUERY_HELP)]
pub struct Explain {
    #[command(flatten)]
    source: ReadArgs,
    /// The collection
    collection: String,
    /// The query
    #[arg(default_value = "", hide_default_value = true)]
    query: String,
}

impl Explain {
    pub fn run(self, output: &mut Output) -> Outcome {
        let query = parse_query(&self.query)?;
        let snapshot = self.source.open()?;
        let view = CollectionView::open(&snapshot, &self.source.database, &self.collection)?;
        let told = view.explain(query)?;
        output.result(
            || {
                let order = if told.is_sorted { "gathered and sorted" } else { "given as they are read" };
                let filter = if told.looks_at_documents { "each document is looked at" } else { "the keys alone tell" };
                format!(
                    "plan       {}\nfilter     {filter}\nrows       {order}\nestimated  {} rows without a limit\nread       \
                     {} index entries, {} documents\nfound      {} rows",
                    on_one_line(&told.plan),
                    grouped(told.estimated_rows),
                    grouped(told.entries_read),
                    grouped(told.documents_read),
                    grouped(told.rows),
                )
            },
            || {
                json!({
                    "plan": told.plan,
                    "index": told.index,
                    "sorted": told.is_sorted,
                    "looks_at_documents": told.looks_at_documents,
                    "estimated_rows": told.estimated_rows,
                    "entries_read": told.entries_read,
                    "documents_read": told.documents_read,
                    "rows": told.rows,
                })
            },
        )
    }
}
