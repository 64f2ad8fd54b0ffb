//! Records as rows of a table, in its types.

use lightning_db::KeyBuffer;

use crate::database::TableTypes;
use crate::records::{Record, RecordValue};
use crate::types::{Datum, Type, encode_key, encode_value};

/// Turns records into rows, in the table's types: those recorded, those asked for, or those of the first record.
pub struct RowEncoder {
    pub types: Option<TableTypes>,
    pub key_type: Option<Type>,
    pub value_type: Option<Type>,
}

impl RowEncoder {
    /// The encoded key and value.
    pub fn encode(&mut self, record: &Record<'_>) -> Result<(KeyBuffer, Vec<u8>), String> {
        if self.types.is_none() {
            self.types = Some(self.infer(record)?);
        }
        let Some(types) = &self.types else { return Err("the table has no types".to_owned()) };
        let key = Datum::from_json(&types.key, &record.key).map_err(|what| {
            format!("key {what}, which is the table's key type; another can be chosen for a new table with --key-type")
        })?;
        let mut key_bytes = KeyBuffer::new();
        encode_key(&types.key, &key, &mut key_bytes).map_err(|error| error.to_string())?;
        let value = match (&record.value, &types.value) {
            (RecordValue::Document(text), Type::String) => Datum::Text(text.as_ref().into()),
            (RecordValue::Document(text), Type::Bytes) => Datum::Bytes(text.as_bytes().into()),
            (RecordValue::Document(_), kind) => {
                return Err(format!("a JSON object is not {}, which is the table's value type", kind.with_article()));
            }
            (RecordValue::Plain(json), kind) => Datum::from_json(kind, json).map_err(|what| {
                format!("value {what}, which is the table's value type; another can be chosen for a new table with --value-type")
            })?,
        };
        let value = encode_value(&types.value, &value).map_err(|error| error.to_string())?.into_owned();
        Ok((key_bytes, value))
    }

    fn infer(&self, first: &Record<'_>) -> Result<TableTypes, String> {
        let key = match &self.key_type {
            Some(kind) => kind.clone(),
            None => match Type::infer(&first.key) {
                Some(kind @ (Type::String | Type::Signed(_) | Type::Unsigned(_))) => kind,
                _ => return Err(format!("{} as a key: give its type with --key-type", first.key)),
            },
        };
        let value = match (&self.value_type, &first.value) {
            (Some(kind), _) => kind.clone(),
            (None, RecordValue::Document(_)) => Type::String,
            (None, RecordValue::Plain(json)) => Type::infer(json).unwrap_or(Type::String),
        };
        Ok(TableTypes { key, value })
    }
}
