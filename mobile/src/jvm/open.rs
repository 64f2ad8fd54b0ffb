//! Opening and closing, transactions and snapshots: what every program does at its start, or again and again. By JNA the first of these
//! calls would take longer than the engine needs to open a database.

use jni::JNIEnv;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jboolean, jbyteArray, jint, jlong};
use lightning_db::{Document, Schema, Update, Value};

use super::{Failed, NULL, array, bound, bytes, call};
use crate::collection::Collection;
use crate::objects::{self, Object, invalid};
use crate::options::OpenOptions;
use crate::table::OpenTable;
use crate::transaction::{Durability, Isolation};
use crate::{database, snapshot, transaction};

fn text(env: &JNIEnv<'_>, array: &JByteArray<'_>) -> Result<String, Failed> {
    String::from_utf8(bytes(env, array)?).map_err(|_| invalid("text is not UTF-8").into())
}

/// A number that is none where it is negative.
fn given<N: TryFrom<jlong>>(number: jlong) -> Option<N> {
    if number < 0 { None } else { N::try_from(number).ok() }
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "one for each option")]
extern "system" fn Java_dev_lightningdb_internal_Native_open<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    path: JByteArray<'l>,
    create: jboolean,
    read_only: jboolean,
    durability: jint,
    memory_budget_bytes: jlong,
    file_bytes_max: jlong,
    feed_retention_bytes: jlong,
    scrub_interval_s: jlong,
) -> jlong {
    call(&mut env, 0, |env| {
        let options = OpenOptions {
            create: create != 0,
            read_only: read_only != 0,
            durability: Some(match durability {
                0 => Durability::Sync,
                1 => Durability::Periodic,
                _ => Durability::Relaxed,
            }),
            memory_budget_bytes: given(memory_budget_bytes),
            file_bytes_max: given(file_bytes_max),
            feed_retention_bytes: given(feed_retention_bytes).unwrap_or_default(),
            scrub_interval_s: given(scrub_interval_s),
        };
        Ok(database::open(&text(env, &path)?, &options)?.cast_signed())
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_close<'l>(mut env: JNIEnv<'l>, _: JClass<'l>, database: jlong) {
    call(&mut env, (), |_| Ok(database::close(database.cast_unsigned())?));
}

/// Gives 0 where documents are of an older version, which are to be migrated first.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_collection<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    database: jlong,
    name: JByteArray<'l>,
    schema: JByteArray<'l>,
) -> jlong {
    call(&mut env, 0, |env| {
        let handle = database.cast_unsigned();
        let (name, schema) = (text(env, &name)?, bound(env, &schema)?);
        let database = objects::database(handle)?;
        if let Some(schema) = &schema
            && database.next_migration(&name, &Schema::from_value(&Value::from_cbor(schema)?)?)?.is_some()
        {
            return Ok(0);
        }
        let collection = Collection::open_core(&database, &name, schema.as_deref())?;
        Ok(objects::insert_beside(handle, Object::Collection(collection))?.cast_signed())
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_table<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    database: jlong,
    name: JByteArray<'l>,
    keys: JByteArray<'l>,
    values: JByteArray<'l>,
) -> jlong {
    call(&mut env, 0, |env| {
        let handle = database.cast_unsigned();
        let (name, keys, values) = (text(env, &name)?, text(env, &keys)?, text(env, &values)?);
        let table = OpenTable::open(&objects::database(handle)?, &name, &keys, &values)?;
        Ok(objects::insert_beside(handle, Object::Table(table.into()))?.cast_signed())
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_begin<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    database: jlong,
    isolation: jint,
) -> jlong {
    call(&mut env, 0, |_| {
        let isolation = match isolation {
            0 => Isolation::ReadCommitted,
            1 => Isolation::Snapshot,
            _ => Isolation::Serializable,
        };
        Ok(transaction::begin(database.cast_unsigned(), isolation)?.cast_signed())
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_commit<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    transaction: jlong,
) {
    call(&mut env, (), |_| transaction::commit(transaction.cast_unsigned()).map_err(Failed::Engine));
}

/// Gives its handle and the newest commit that it sees, 8 bytes each.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_snapshot<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    database: jlong,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let (handle, sequence) = snapshot::open(database.cast_unsigned())?;
        array(env, &[handle.to_le_bytes(), sequence.to_le_bytes()].concat())
    })
}

/// How many documents a query finds.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_count<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    collection: jlong,
    query: JByteArray<'l>,
) -> jlong {
    call(&mut env, 0, |env| {
        let query = crate::calls::read_query(&bytes(env, &query)?)?;
        let collection = objects::collection(collection.cast_unsigned())?;
        let count = crate::scope::read(scope.cast_unsigned(), &collection, |documents| documents.count(query))?;
        Ok(jlong::try_from(count).unwrap_or(jlong::MAX))
    })
}

/// Changes fields of a document; false where there is none.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_update<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    collection: jlong,
    key: JByteArray<'l>,
    changes: JByteArray<'l>,
) -> jboolean {
    call(&mut env, 0, |env| {
        let (key, changes) = (Value::from_cbor(&bytes(env, &key)?)?, Update::from_cbor(&bytes(env, &changes)?)?);
        let collection = objects::collection(collection.cast_unsigned())?;
        let is_there = crate::scope::write(scope.cast_unsigned(), collection.database(), |tx| {
            tx.collection(&collection)?.update(key, &changes)
        })?;
        Ok(u8::from(is_there))
    })
}
