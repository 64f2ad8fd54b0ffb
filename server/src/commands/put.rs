//! `lightning put`

use std::borrow::Cow;
use std::io::Read;

use clap::Args;
use lightning_db::{Database, KeyBuffer, Value};

use crate::database::{Access, DatabaseArgs, DurabilityArg, TableTypes};
use crate::documents::{CollectionView, parse_key_value, read_json, set_key};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::range::parse_key;
use crate::types::{Datum, Type, encode_value};

/// Write one entry or document, whether or not the key is there; makes the database and the table if there are none
#[derive(Args, Debug)]
pub struct Put {
    #[command(flatten)]
    entry: EntryArgs,
}

impl Put {
    pub fn run(self, _: &mut Output) -> Outcome {
        self.entry.write(false)
    }
}

/// The entry to write, and the types of the table if it is to be made.
#[derive(Args, Debug)]
pub struct EntryArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table or collection
    table: String,
    /// The key
    #[arg(allow_negative_numbers = true)]
    key: String,
    /// The value, or the document as JSON, where the key may be left out; - reads it from standard input, to its end
    #[arg(allow_negative_numbers = true)]
    value: String,
    /// The key type of a new table [default: string]
    #[arg(long, value_name = "TYPE", value_parser = parse_type)]
    key_type: Option<Type>,
    /// The value type of a new table [default: string]
    #[arg(long, value_name = "TYPE", value_parser = parse_value_type)]
    value_type: Option<Type>,
    /// When the write is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
}

impl EntryArgs {
    /// Puts the entry, or inserts it where there may be none.
    pub fn write(self, refuse_existing: bool) -> Outcome {
        let database = self.database.open(Access::Create)?;
        if let Some(view) = CollectionView::find(&database.snapshot(), &self.database, &self.table)? {
            return self.write_document(&database, view, refuse_existing);
        }
        let recorded = TableTypes::find(&database.snapshot(), &self.database, &self.table)?;
        let types = table_types(&self.table, recorded, self.key_type, self.value_type)?;
        let key: KeyBuffer = parse_key(&types.key, &self.key)?;
        let value = if self.value == "-" { read_value(&types.value)? } else { text_value(&types.value, &self.value)? };
        let written = database.transaction_with(self.durability.into(), |tx| {
            let mut table = tx.untyped_table(&self.table, &types.key.to_string(), &types.value.to_string())?;
            if refuse_existing { table.insert(&key, &value) } else { table.put(&key, &value) }
        });
        written.map_err(Failure::engine(self.database.table_name(&self.table)))?;
        database.close().map_err(Failure::engine(self.database.name()))
    }
}

impl EntryArgs {
    fn write_document(&self, database: &Database, view: CollectionView, refuse_existing: bool) -> Outcome {
        if self.key_type.is_some() || self.value_type.is_some() {
            return Err(Failure::usage(format!(
                "'{}' is a collection; --key-type and --value-type are for plain tables",
                self.table
            )));
        }
        let text = if self.value == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map_err(Failure::file("standard input"))?;
            Cow::Owned(text)
        } else {
            Cow::Borrowed(&*self.value)
        };
        let mut document = read_json(&text)
            .map_err(|error| Failure::usage(format!("a document of '{}' is a JSON object: {error}", self.table)))?;
        set_key(&mut document, &view.key, &parse_key_value(&self.key)).map_err(Failure::Usage)?;
        let failed = |error| view.failed(error);
        let collection = database.existing_collection::<Value>(&self.table).map_err(failed)?;
        let written = database.transaction_with(self.durability.into(), |tx| {
            let mut documents = tx.collection(&collection)?;
            if refuse_existing { documents.insert(&document) } else { documents.put(&document) }
        });
        written.map_err(failed)?;
        drop((collection, view));
        database.close().map_err(Failure::engine(self.database.name()))
    }
}

/// Reads a type's name given as an option.
pub fn parse_type(name: &str) -> Result<Type, String> {
    Type::known(name).ok_or_else(|| {
        "types are string, bytes, bytes[N], bool, f64, unit, u8 to u128, i8 to i128; for keys also (string, u64) and string?"
            .to_owned()
    })
}

/// Reads the name of a type of values given as an option.
pub fn parse_value_type(name: &str) -> Result<Type, String> {
    let kind = parse_type(name)?;
    if !kind.is_for_values() {
        return Err(format!("only keys can be {}; keep such values as JSON text, in a string", kind.with_article()));
    }
    Ok(kind)
}

/// The recorded types, or for a new table those asked for; asking for others than the recorded is refused.
fn table_types(
    table: &str,
    recorded: Option<TableTypes>,
    key: Option<Type>,
    value: Option<Type>,
) -> Outcome<TableTypes> {
    let Some(recorded) = recorded else {
        return Ok(TableTypes { key: key.unwrap_or(Type::String), value: value.unwrap_or(Type::String) });
    };
    recorded.agree(table, key.as_ref(), value.as_ref())?;
    Ok(recorded)
}

fn text_value(kind: &Type, text: &str) -> Outcome<Vec<u8>> {
    let value = Datum::from_text(kind, text).map_err(|error| Failure::Usage(format!("value {error}")))?;
    let bytes = encode_value(kind, &value).map_err(|error| Failure::Usage(format!("value '{text}': {error}")))?;
    Ok(bytes.into_owned())
}

/// Standard input as a value: for text and bytes exactly what it holds, for others the text without white space around.
fn read_value(kind: &Type) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::file("standard input"))?;
    if let Type::Bytes | Type::Other(_) = kind {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| Failure::Usage(format!("standard input is not UTF-8 text: {error}")))?;
    if *kind == Type::String { Ok(text.into_bytes()) } else { text_value(kind, text.trim()) }
}
