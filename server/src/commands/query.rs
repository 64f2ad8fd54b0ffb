//! `lightning query`

use std::io::IsTerminal;
use std::ops::ControlFlow;

use clap::Args;
use lightning_db::{Document, Query, Value};

use crate::database::ReadArgs;
use crate::documents::{CollectionView, JsonForm, write_json};
use crate::failure::{Failure, Outcome};
use crate::grid::Grid;
use crate::output::Output;

/// How a query is written, for the help of every command that takes one.
pub const QUERY_HELP: &str = "\
Queries:
  where country = \"FI\" and population > 100000 order by population desc limit 10
  where age between 30 and 40 or tags in [\"x\", \"y\"]
  where name starts with \"hel\" ignoring case
  where not (email exists)
  select name, population where address.city = \"Oulu\"
Words in quotes are text; timestamp(\"2024-01-01\"), uuid(\"…\") and bytes(\"00ff\") are values of these kinds.";

/// Find documents of a collection
///
/// On a terminal the documents are shown as a table, elsewhere, and with --json, as JSON, one on each line.
#[derive(Args, Debug)]
#[command(after_help = QUERY_HELP)]
pub struct QueryCommand {
    #[command(flatten)]
    source: ReadArgs,
    /// The collection
    collection: String,
    /// The query; all documents without it
    #[arg(default_value = "", hide_default_value = true)]
    query: String,
    /// Show a table, also where standard output is no terminal
    #[arg(long, conflicts_with_all = ["json", "typed"])]
    table: bool,
    /// As JSON that keeps the kinds that JSON lacks: {"$bytes": "00ff"}
    #[arg(long)]
    typed: bool,
}

impl QueryCommand {
    pub fn run(self, output: &mut Output) -> Outcome {
        let query = parse_query(&self.query)?;
        let snapshot = self.source.open()?;
        let view = CollectionView::open(&snapshot, &self.source.database, &self.collection)?;
        if self.table || (!output.is_json() && !self.typed && std::io::stdout().is_terminal()) {
            return show_table(&view, query, output);
        }
        let form = if self.typed { JsonForm::Typed } else { JsonForm::Plain };
        let mut line = String::new();
        view.query(query, |document| {
            let document = Value::from_cbor(document).map_err(|error| view.failed(error))?;
            line.clear();
            write_json(&document, form, &mut line);
            output.line(&line)?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// Shows the documents in columns, one for each field.
fn show_table(view: &CollectionView, query: Query, output: &mut Output) -> Outcome {
    let mut grid = Grid::new();
    view.query(query, |document| {
        let document = Value::from_cbor(document).map_err(|error| view.failed(error))?;
        grid.row(document, output)?;
        Ok(ControlFlow::Continue(()))
    })?;
    grid.finish(output)
}

/// Reads a query. What cannot be asked is an error of the command line.
pub fn parse_query(text: &str) -> Outcome<Query> {
    Query::parse(text).map_err(|error| Failure::usage(error.to_string()))
}
