//! `lightning scan`

use std::ops::ControlFlow;

use clap::Args;
use lightning_db::{Document, Value};

use crate::database::{ReadArgs, TableView};
use crate::documents::CollectionView;
use crate::failure::Outcome;
use crate::output::Output;
use crate::range::KeyRangeArgs;
use crate::types::{decode_key, decode_value};

/// Print the entries of a range of keys, in their order
#[derive(Args, Debug)]
pub struct Scan {
    #[command(flatten)]
    source: ReadArgs,
    /// The table or collection
    table: String,
    #[command(flatten)]
    range: KeyRangeArgs,
    /// At most so many entries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// From the highest key down
    #[arg(long)]
    reverse: bool,
    /// Print the keys alone
    #[arg(long)]
    keys_only: bool,
}

impl Scan {
    pub fn run(self, output: &mut Output) -> Outcome {
        let snapshot = self.source.open()?;
        if let Some(view) = CollectionView::find(&snapshot, &self.source.database, &self.table)? {
            return self.documents(&view, output);
        }
        let view = TableView::open(&snapshot, &self.source.database, &self.table)?;
        let bounds = self.range.bounds(&view.types.key)?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(());
        }
        view.scan(&bounds, self.reverse, |key, value| {
            let key = decode_key(&view.types.key, key).map_err(|error| view.failed(error))?;
            if self.keys_only {
                output.entry(&key, None)?;
            } else {
                let value = decode_value(&view.types.value, value).map_err(|error| view.failed(error))?;
                output.entry(&key, Some(&value))?;
            }
            left -= 1;
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    fn documents(&self, view: &CollectionView, output: &mut Output) -> Outcome {
        let mut left = self.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(());
        }
        view.scan(&self.range.document_bounds()?, self.reverse, |key, document| {
            if self.keys_only {
                output.document(key, None)?;
            } else {
                let document = Value::from_cbor(document).map_err(|error| view.failed(error))?;
                output.document(key, Some(&document))?;
            }
            left -= 1;
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }
}
