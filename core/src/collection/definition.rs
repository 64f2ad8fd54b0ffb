//! A collection's schema as the catalogue keeps it, with the numbers of its tables.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::auto_key::AutoKey;
use super::schema::{INDEXES_MAX, Index, Schema};
use crate::db::Snapshot;
use crate::document::{Path, Value, cbor};
use crate::error::{Error, Result, TableTypeMismatch};
use crate::table::catalogue::{SCHEMA_OPTION, TableEntry};

/// What the catalogue says of keys and values of a collection.
pub(crate) use crate::document::KEY_TYPE;
pub(crate) const VALUE_TYPE: &str = "document";

/// A collection as it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    /// The table of its documents.
    pub id: u64,
    pub name: String,
    pub key: Path,
    pub version: u32,
    /// The version that its documents are being brought to, one after the other.
    pub migrating_to: Option<u32>,
    pub expires_after_ms: Option<u64>,
    /// How documents that have no key get one.
    pub auto_key: Option<AutoKey>,
    /// The table of when documents go.
    pub expiry_id: u64,
    pub indexes: Vec<Arc<IndexDefinition>>,
}

/// One of its indexes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IndexDefinition {
    /// The table of its entries.
    pub id: u64,
    pub name: String,
    pub paths: Vec<Path>,
    pub unique: bool,
    pub sparse: bool,
    pub multi: bool,
    pub folded: bool,
    /// It has all documents. Until then it is kept with each write, and not read.
    pub ready: bool,
}

impl Definition {
    /// A collection without documents or indexes.
    pub(super) fn new(name: &str, schema: &Schema, id: u64, expiry_id: u64) -> Result<Self> {
        Ok(Self {
            id,
            name: String::from(name),
            key: Path::parse(&schema.key)?,
            version: schema.version,
            migrating_to: None,
            expires_after_ms: schema.expires_after_ms,
            auto_key: schema.auto_key,
            expiry_id,
            indexes: Vec::new(),
        })
    }

    /// Reads the definition of `name`. A table that is no collection is an error.
    pub(crate) fn of(name: &str, entry: &TableEntry) -> Result<Self> {
        let Some(schema) = entry.option(SCHEMA_OPTION).filter(|_| entry.value_type == VALUE_TYPE) else {
            return Err(Error::TableTypeMismatch(Box::new(TableTypeMismatch {
                table: String::from(name),
                recorded: format!("{} to {}", entry.key_type, entry.value_type),
                requested: format!("{KEY_TYPE} to {VALUE_TYPE}"),
            })));
        };
        let schema = cbor::decode(schema)?;
        Self::read(name, entry.id, &schema).ok_or_else(|| {
            Error::invalid(format!(
                "the schema of collection '{name}' in the catalogue is damaged; run 'lightning check'"
            ))
        })
    }

    /// What the catalogue is to hold.
    pub(super) fn entry(&self, created_ms: u64) -> Result<TableEntry> {
        let options = Vec::from([(String::from(SCHEMA_OPTION), cbor::encode(&self.to_value())?)]);
        Ok(TableEntry {
            id: self.id,
            key_type: String::from(KEY_TYPE),
            value_type: String::from(VALUE_TYPE),
            created_ms,
            options,
        })
    }

    pub(crate) fn index(&self, name: &str) -> Option<&IndexDefinition> {
        self.indexes.iter().find(|index| index.name == name).map(|index| &**index)
    }

    /// Where it is noted how far a migration is.
    pub(super) fn migration_note(&self) -> String {
        format!("migrate-{}", self.id)
    }

    fn to_value(&self) -> Value {
        let mut fields = Vec::from([
            (String::from("key"), Value::Text(self.key.to_string())),
            (String::from("version"), Value::Integer(self.version.into())),
            (String::from("expiry_id"), Value::Integer(self.expiry_id.into())),
            (String::from("indexes"), Value::Array(self.indexes.iter().map(|index| index.to_value()).collect())),
        ]);
        if let Some(after_ms) = self.expires_after_ms {
            fields.push((String::from("expires_after_ms"), Value::Integer(after_ms.into())));
        }
        if let Some(auto) = self.auto_key {
            fields.push((String::from("auto_key"), Value::Text(String::from(auto.name()))));
        }
        if let Some(version) = self.migrating_to {
            fields.push((String::from("migrating_to"), Value::Integer(version.into())));
        }
        Value::Map(fields)
    }

    /// The newest version that a document may have.
    pub(super) fn newest_version(&self) -> u32 {
        self.migrating_to.unwrap_or(self.version)
    }

    fn read(name: &str, id: u64, value: &Value) -> Option<Self> {
        let indexes = match member(value, "indexes")? {
            Value::Array(indexes) if indexes.len() <= INDEXES_MAX => indexes,
            _ => return None,
        };
        Some(Self {
            id,
            name: String::from(name),
            key: path(member(value, "key")?)?,
            version: number(member(value, "version")?)?.try_into().ok()?,
            expires_after_ms: optional(value, "expires_after_ms")?,
            auto_key: match member(value, "auto_key") {
                None => None,
                Some(Value::Text(name)) => Some(AutoKey::of(name)?),
                Some(_) => return None,
            },
            migrating_to: optional(value, "migrating_to")?.map(u32::try_from).transpose().ok()?,
            expiry_id: number(member(value, "expiry_id")?)?,
            indexes: indexes.iter().map(|index| IndexDefinition::read(index).map(Arc::new)).collect::<Option<_>>()?,
        })
    }
}

impl Snapshot {
    /// The names of all collections.
    pub(super) fn collection_names(&self) -> Result<Vec<String>> {
        let tables = self.tables()?.into_iter().filter(|table| table.value_type == VALUE_TYPE);
        Ok(tables.map(|table| table.name).collect())
    }

    /// The collection of this name; `None` where there is none.
    pub(super) fn collection_definition(&self, name: &str) -> Result<Option<Definition>> {
        let entry = self.definition(name)?.filter(|entry| entry.value_type == VALUE_TYPE);
        entry.map(|entry| Definition::of(name, &entry)).transpose()
    }
}

impl IndexDefinition {
    /// An index that has no entries yet.
    pub(super) fn new(index: &Index, id: u64, ready: bool) -> Result<Self> {
        let Index { paths, unique, sparse, multi, folded, .. } = index;
        let paths = paths.iter().map(|path| Path::parse(path)).collect::<Result<_>>()?;
        let (unique, sparse, multi, folded) = (*unique, *sparse, *multi, *folded);
        Ok(Self { id, name: index.name(), paths, unique, sparse, multi, folded, ready })
    }

    /// Whether it holds what `index` asks for.
    pub(super) fn is_as(&self, index: &Index) -> bool {
        let paths = self.paths.iter().map(ToString::to_string);
        let asked = index.paths.iter().map(|path| Path::parse(path).map(|path| path.to_string()).unwrap_or_default());
        paths.eq(asked)
            && (self.unique, self.sparse, self.multi, self.folded)
                == (index.unique, index.sparse, index.multi, index.folded)
    }

    /// Where it is noted how far the making of it is.
    pub(super) fn build_note(&self) -> String {
        format!("build-{}", self.id)
    }

    /// In words, for messages.
    pub(crate) fn describe(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(ToString::to_string).collect();
        let mut text = paths.join(" + ");
        for (said, word) in
            [(self.unique, "unique"), (self.sparse, "sparse"), (self.multi, "multi"), (self.folded, "folded")]
        {
            if said {
                text.push(' ');
                text.push_str(word);
            }
        }
        text
    }

    fn to_value(&self) -> Value {
        let mut fields = Vec::from([
            (String::from("name"), Value::Text(self.name.clone())),
            (String::from("id"), Value::Integer(self.id.into())),
            (
                String::from("paths"),
                Value::Array(self.paths.iter().map(|path| Value::Text(path.to_string())).collect()),
            ),
        ]);
        for (name, said) in self.flags() {
            if said {
                fields.push((String::from(name), Value::Bool(true)));
            }
        }
        Value::Map(fields)
    }

    fn flags(&self) -> [(&'static str, bool); 5] {
        [
            ("unique", self.unique),
            ("sparse", self.sparse),
            ("multi", self.multi),
            ("folded", self.folded),
            ("ready", self.ready),
        ]
    }

    fn read(value: &Value) -> Option<Self> {
        let flag = |name| matches!(member(value, name), Some(Value::Bool(true)));
        let Value::Array(paths) = member(value, "paths")? else { return None };
        let Value::Text(name) = member(value, "name")? else { return None };
        if paths.is_empty() {
            return None;
        }
        Some(Self {
            id: number(member(value, "id")?)?,
            name: name.clone(),
            paths: paths.iter().map(path).collect::<Option<_>>()?,
            unique: flag("unique"),
            sparse: flag("sparse"),
            multi: flag("multi"),
            folded: flag("folded"),
            ready: flag("ready"),
        })
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Map(members) = value else { return None };
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn number(value: &Value) -> Option<u64> {
    let Value::Integer(number) = value else { return None };
    u64::try_from(*number).ok()
}

/// A number that may be missing; `None` if something else is there.
fn optional(value: &Value, name: &str) -> Option<Option<u64>> {
    member(value, name).map_or(Some(None), |value| number(value).map(Some))
}

fn path(value: &Value) -> Option<Path> {
    let Value::Text(path) = value else { return None };
    Path::parse(path).ok()
}
