//! The operations of scripts on the documents of a collection in a transaction, and the parts of operations on collections.

use anyhow::{Context, Result, bail};
use lightning_db::query::Update;
use lightning_db::{AutoKey, Collection, Document, Error, Expiry, Query, Value, WriteCollection};
use serde_json::{Value as Json, json};

use super::script::text;
use super::value::{from_hex, read, write};
use super::{Outcome, done};

/// An operation in a transaction.
pub fn write_documents(documents: &mut WriteCollection<'_, Value>, step: &Json) -> Outcome {
    let document = || read(&step["document"]);
    let key = || read(&step["key"]);
    Ok(match text(step, "do")? {
        "put" => {
            let expiry = expiry(step)?.unwrap_or_default();
            given(document()?.to_cbor().and_then(|cbor| documents.put_cbor_expiring(&cbor, expiry)))
        }
        "putCbor" => done(documents.put_cbor(&from_hex(text(step, "cbor")?)?)),
        "insert" => given(documents.add(&document()?)),
        "replace" => done(documents.replace(&document()?)),
        "get" => given(documents.get(key()?)),
        "delete" => documents.delete(key()?).map(Json::Bool),
        "query" => documents.query(query(step)?).map(|rows| listed(&rows, step)),
        "count" => documents.count(query(step)?).map(|count| json!(count)),
        "update" => documents.update(key()?, &update(step)?).map(Json::Bool),
        "updateWhere" => documents.update_where(query(step)?, &update(step)?).map(|count| json!(count)),
        "deleteWhere" => documents.delete_where(query(step)?).map(|count| json!(count)),
        "swap" => {
            let expected = match &step["expected"] {
                Json::Null => None,
                expected => Some(read(expected)?),
            };
            documents.compare_and_swap(expected.as_ref(), &document()?).map(Json::Bool)
        }
        other => bail!("there is no operation '{other}' of collections"),
    })
}

/// How a collection is, whoever opened it.
pub fn describe(collection: &Collection<Value>) -> Result<Json, Error> {
    let Some(info) = collection.database().snapshot().collection_info(collection.name())? else {
        return Ok(Json::Null);
    };
    let indexes = info.indexes.iter().map(|index| {
        json!({
            "name": index.index.name(), "paths": index.paths, "unique": index.unique, "sparse": index.sparse,
            "multi": index.multi, "folded": index.folded, "ready": index.ready, "entries": index.entries,
        })
    });
    Ok(json!({
        "key": info.key, "version": info.version, "expiresAfterMs": info.expires_after_ms,
        "autoKey": info.auto_key.map(AutoKey::name), "documents": info.documents, "indexes": indexes.collect::<Vec<_>>(),
    }))
}

/// The query of an operation, as a map or as text; without one all documents. What cannot be asked is the database's to say.
pub fn query(step: &Json) -> Result<Query> {
    match step.get("query") {
        None => Ok(Query::new()),
        Some(Json::String(text)) => Ok(Query::parse(text)?),
        Some(query) => Ok(Query::from_value(&read(query)?)?),
    }
}

/// The update of an operation.
pub fn update(step: &Json) -> Result<Update> {
    Ok(Update::from_value(&read(&step["update"])?)?)
}

fn expiry(step: &Json) -> Result<Option<Expiry>> {
    Ok(match step.get("expires") {
        None => None,
        Some(Json::String(word)) if word == "never" => Some(Expiry::Never),
        Some(Json::String(word)) if word == "kept" => Some(Expiry::Kept),
        Some(at) => Some(Expiry::At(at.as_u64().context("expires is a number, 'never' or 'kept'")?)),
    })
}

/// A document, or null.
pub fn given(outcome: Result<Option<Value>, Error>) -> Result<Json, Error> {
    outcome.map(|value| value.as_ref().map_or(Json::Null, write))
}

/// Documents as the operation wants to see them.
pub fn listed(rows: &[Value], step: &Json) -> Json {
    Json::Array(rows.iter().map(|row| shown(row, step)).collect())
}

/// A document, or what is under the field that `keys` names in it.
pub fn shown(row: &Value, step: &Json) -> Json {
    match step.get("keys").and_then(Json::as_str) {
        Some(name) => row.get(name).map_or(Json::Null, write),
        None => write(row),
    }
}
