//! `lightning get`

use clap::Args;
use lightning_db::{Document, Value};

use crate::database::{ReadArgs, TableView};
use crate::documents::{CollectionView, JsonForm, parse_key_value, write_json};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::range::parse_key;
use crate::types::{decode_key, decode_value};

/// Print the values of keys, or the documents of a collection
#[derive(Args, Debug)]
pub struct Get {
    #[command(flatten)]
    source: ReadArgs,
    /// The table or collection
    table: String,
    /// The keys
    #[arg(required = true, value_name = "KEY", allow_negative_numbers = true)]
    keys: Vec<String>,
    /// Print the values' bytes exactly as stored, nothing between or after them; of documents their CBOR
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl Get {
    pub fn run(self, output: &mut Output) -> Outcome {
        let snapshot = self.source.open()?;
        if let Some(view) = CollectionView::find(&snapshot, &self.source.database, &self.table)? {
            return self.documents(&view, output);
        }
        let view = TableView::open(&snapshot, &self.source.database, &self.table)?;
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
        self.told(&self.source.database.table_name(&self.table), &missing, "")
    }

    fn documents(&self, view: &CollectionView, output: &mut Output) -> Outcome {
        let (mut missing, mut hint) = (Vec::new(), String::new());
        for text in &self.keys {
            let key = parse_key_value(text);
            let Some(document) = view.get(&key)? else {
                if key.as_str().is_none() {
                    hint = format!("; where the key is text, give it in quotes: '\"{text}\"'");
                }
                missing.push(format!("'{text}'"));
                continue;
            };
            if self.raw {
                output.raw(&document)?;
                continue;
            }
            let document = Value::from_cbor(&document).map_err(|error| view.failed(error))?;
            if output.is_json() {
                output.document(&key, Some(&document))?;
            } else {
                let mut json = String::new();
                write_json(&document, JsonForm::Plain, &mut json);
                output.line(&json)?;
            }
        }
        self.told(&self.source.database.collection_name(&self.table), &missing, &hint)
    }

    fn told(&self, subject: &str, missing: &[String], hint: &str) -> Outcome {
        if missing.is_empty() {
            return Ok(());
        }
        let keys = if missing.len() == 1 { "key" } else { "keys" };
        Err(Failure::NotFound(format!("{subject}: no {keys} {}{hint}", missing.join(", "))))
    }
}
