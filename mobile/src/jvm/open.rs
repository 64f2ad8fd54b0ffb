//! Opening and closing, transactions and snapshots: what every program does at its start, or again and again. By JNA the first of these
//! calls would take longer than the engine needs to open a database.

use std::sync::Arc;

use jni::sys::{jboolean, jbyteArray, jint, jlong};
use lightning_db::{Document, Schema, Update, Value};

use super::{Failed, NULL, array, entry};
use crate::collection::Collection;
use crate::encryption::Encryption;
use crate::limits::Limits;
use crate::objects::{self, Object};
use crate::opened;
use crate::options::OpenOptions;
use crate::table::OpenTable;
use crate::transaction::{Durability, Isolation};
use crate::{snapshot, transaction};

entry! {
    #[allow(clippy::too_many_arguments, reason = "one for each option")]
    fn Java_dev_lightningdb_internal_Native_open(
        env,
        path: String,
        create: bool,
        read_only: bool,
        durability: jint,
        memory_budget_bytes: Option<u64>,
        limits: Vec<i64>,
        feed_retention_bytes: Option<u64>,
        scrub_interval_s: Option<u64>,
        key: u64,
        encryption: jint,
    ) -> jlong, or 0, {
        let durability = Some(match durability {
            0 => Durability::Sync,
            1 => Durability::Periodic,
            _ => Durability::Relaxed,
        });
        let options = OpenOptions {
            create,
            read_only,
            durability,
            memory_budget_bytes,
            limits: Some(Limits::from_numbers(&limits)),
            feed_retention_bytes: feed_retention_bytes.unwrap_or_default(),
            scrub_interval_s: scrub_interval_s.and_then(|seconds| seconds.try_into().ok()),
            key,
            encryption: Some(if encryption == 0 { Encryption::Aes256Gcm } else { Encryption::ChaCha20Poly1305 }),
        };
        Ok(opened::open(&path, &options)?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_close(env, database: u64) -> (), or (), {
        Ok(opened::close(database)?)
    }
}

entry! {
    /// Gives 0 where documents are of an older version, which are to be migrated first.
    fn Java_dev_lightningdb_internal_Native_collection(
        env, handle: u64, name: String, schema: Option<Vec<u8>>,
    ) -> jlong, or 0, {
        let database = objects::database(handle)?;
        if let Some(schema) = &schema
            && database.next_migration(&name, &Schema::from_value(&Value::from_cbor(schema)?)?)?.is_some()
        {
            return Ok(0);
        }
        let collection = Collection::open_core(&database, &name, schema.as_deref())?;
        Ok(objects::insert_beside(handle, Object::Collection(Arc::new(collection)))?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_table(
        env, handle: u64, name: String, keys: String, values: String,
    ) -> jlong, or 0, {
        let table = OpenTable::open(&objects::database(handle)?, &name, &keys, &values)?;
        Ok(objects::insert_beside(handle, Object::Table(table.into()))?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_begin(env, database: u64, isolation: jint) -> jlong, or 0, {
        let isolation = match isolation {
            0 => Isolation::ReadCommitted,
            1 => Isolation::Snapshot,
            _ => Isolation::Serializable,
        };
        Ok(transaction::begin(database, isolation)?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_commit(env, transaction: u64) -> (), or (), {
        transaction::commit(transaction).map_err(Failed::Engine)
    }
}

entry! {
    /// Gives its handle and the newest commit that it sees, 8 bytes each.
    /// That of a name, or as the database is now.
    fn Java_dev_lightningdb_internal_Native_snapshot(env, database: u64, name: Option<Vec<u8>>) -> jbyteArray, or NULL, {
        let name = name.map(String::from_utf8).transpose().map_err(|_| objects::invalid("text is not UTF-8"))?;
        let (handle, sequence) = snapshot::open(database, name.as_deref())?;
        array(env, &[handle.to_le_bytes(), sequence.to_le_bytes()].concat())
    }
}

entry! {
    /// How many documents a query finds.
    fn Java_dev_lightningdb_internal_Native_count(env, scope: u64, collection: u64, query: Vec<u8>) -> jlong, or 0, {
        let query = crate::calls::read_query(&query)?;
        let collection = objects::collection(collection)?;
        let count = crate::scope::read(scope, &collection, |documents| documents.count(query))?;
        Ok(jlong::try_from(count).unwrap_or(jlong::MAX))
    }
}

entry! {
    /// Changes fields of a document; false where there is none.
    fn Java_dev_lightningdb_internal_Native_update(
        env, scope: u64, collection: u64, key: Vec<u8>, changes: Vec<u8>,
    ) -> jboolean, or 0, {
        let (key, changes) = (Value::from_cbor(&key)?, Update::from_cbor(&changes)?);
        let collection = objects::collection(collection)?;
        let is_there = crate::scope::write(scope, collection.database(), |tx| {
            tx.collection(&collection)?.update(key, &changes)
        })?;
        Ok(u8::from(is_there))
    }
}
