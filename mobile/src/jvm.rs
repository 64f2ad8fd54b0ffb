//! The entries that Java's virtual machine calls: `dev.lightningdb.internal.Native`.
//!
//! Each is one of `calls.rs`, with arrays of bytes; an error is thrown as `dev.lightningdb.internal.NativeFailure`, which the layer
//! above turns into an exception of its own.

mod open;

use std::panic::{AssertUnwindSafe, catch_unwind};

use jni::JNIEnv;
use jni::objects::{JByteArray, JClass, JValue};
use jni::sys::{jboolean, jbyteArray, jint, jlong};
use lightning_db::Error;

use crate::calls::{self, WriteKind};
use crate::failure::Failure;
use crate::objects::invalid;
use crate::packed;
use crate::table::KeyRange;

/// Runs a call. Nothing unwinds into the virtual machine; what fails is thrown, and `nothing` is what the call gives then.
fn call<'l, R>(env: &mut JNIEnv<'l>, nothing: R, body: impl FnOnce(&mut JNIEnv<'l>) -> Result<R, Failed>) -> R {
    let failed = match catch_unwind(AssertUnwindSafe(|| body(env))) {
        Ok(Ok(result)) => return result,
        Ok(Err(failed)) => failed,
        Err(payload) => Failed::Engine(Failure::panicked(&*payload)),
    };
    match failed {
        Failed::Engine(failure) => {
            if let Err(error) = throw(env, &failure) {
                // Memory is out, or another exception is on its way.
                _ = env.throw_new("java/lang/IllegalStateException", format!("{failure} ({error})"));
            }
        }
        // It is on its way already.
        Failed::Java => {}
    }
    nothing
}

enum Failed {
    Engine(Failure),
    Java,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<jni::errors::Error> for Failed {
    fn from(error: jni::errors::Error) -> Self {
        match error {
            jni::errors::Error::JavaException => Self::Java,
            error => Self::Engine(invalid(format!("the virtual machine did not do as it was asked: {error}")).into()),
        }
    }
}

fn throw(env: &mut JNIEnv<'_>, failure: &Failure) -> jni::errors::Result<()> {
    let Failure::Engine { number, name, is_retryable, text, fields } = failure;
    let mut all = Vec::new();
    for field in fields {
        _ = packed::push(&mut all, field.name.as_bytes());
        _ = packed::push(&mut all, field.value.as_bytes());
    }
    let (name, text) = (env.new_string(name)?, env.new_string(text)?);
    let fields = env.byte_array_from_slice(&all)?;
    let exception = env.new_object(
        "dev/lightningdb/internal/NativeFailure",
        "(ILjava/lang/String;ZLjava/lang/String;[B)V",
        &[
            JValue::Int(i32::from(*number)),
            JValue::Object(&name),
            JValue::Bool(u8::from(*is_retryable)),
            JValue::Object(&text),
            JValue::Object(&fields),
        ],
    )?;
    env.throw(jni::objects::JThrowable::from(exception))
}

fn bytes(env: &JNIEnv<'_>, array: &JByteArray<'_>) -> Result<Vec<u8>, Failed> {
    Ok(env.convert_byte_array(array)?)
}

fn bound(env: &JNIEnv<'_>, array: &JByteArray<'_>) -> Result<Option<Vec<u8>>, Failed> {
    if array.is_null() { Ok(None) } else { bytes(env, array).map(Some) }
}

fn array(env: &JNIEnv<'_>, bytes: &[u8]) -> Result<jbyteArray, Failed> {
    Ok(env.byte_array_from_slice(bytes)?.into_raw())
}

fn array_or_null(env: &JNIEnv<'_>, bytes: Option<&[u8]>) -> Result<jbyteArray, Failed> {
    bytes.map_or(Ok(NULL), |bytes| array(env, bytes))
}

/// So many bytes of rows, as Java has numbers.
fn size(bytes: jint) -> usize {
    usize::try_from(bytes).unwrap_or(1)
}

/// Rows behind the handle of their cursor, which is 0 where they are the last.
fn chunk(env: &JNIEnv<'_>, cursor: u64, rows: &[u8]) -> Result<jbyteArray, Failed> {
    let len =
        i32::try_from(rows.len() + 8).map_err(|_| invalid("the rows are more than an array holds; ask for fewer"))?;
    let array = env.new_byte_array(len)?;
    env.set_byte_array_region(&array, 0, &cursor.to_le_bytes().map(u8::cast_signed))?;
    // SAFETY: bytes with a sign are laid out as those without.
    let signed = unsafe { std::slice::from_raw_parts(rows.as_ptr().cast::<i8>(), rows.len()) };
    env.set_byte_array_region(&array, 8, signed)?;
    Ok(array.into_raw())
}

const NULL: jbyteArray = std::ptr::null_mut();

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_get<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    target: jlong,
    key: JByteArray<'l>,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let key = bytes(env, &key)?;
        calls::get(scope.cast_unsigned(), target.cast_unsigned(), &key, |found| array_or_null(env, found))?
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_getBy<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    collection: jlong,
    index: JByteArray<'l>,
    values: JByteArray<'l>,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let (index, values) = (bytes(env, &index)?, bytes(env, &values)?);
        let (scope, collection) = (scope.cast_unsigned(), collection.cast_unsigned());
        calls::get_by(scope, collection, &index, &values, |found| array_or_null(env, found))?
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_getMany<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    target: jlong,
    keys: JByteArray<'l>,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let keys = bytes(env, &keys)?;
        array(env, &calls::get_many(scope.cast_unsigned(), target.cast_unsigned(), &keys)?)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_put<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    target: jlong,
    mode: jint,
    key: JByteArray<'l>,
    value: JByteArray<'l>,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let WriteKind::Put(mode) = WriteKind::from_number(u64::try_from(mode).unwrap_or(u64::MAX))? else {
            return Err(invalid("deleting is another call").into());
        };
        let (key, value) = (bytes(env, &key)?, bytes(env, &value)?);
        let made = calls::put(scope.cast_unsigned(), target.cast_unsigned(), mode, &key, &value)?;
        array_or_null(env, made.as_deref())
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_delete<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    target: jlong,
    key: JByteArray<'l>,
) -> jboolean {
    call(&mut env, 0, |env| {
        let key = bytes(env, &key)?;
        Ok(u8::from(calls::delete(scope.cast_unsigned(), target.cast_unsigned(), &key)?))
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_batch<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    writes: JByteArray<'l>,
) {
    call(&mut env, (), |env| {
        let writes = bytes(env, &writes)?;
        Ok(calls::batch(scope.cast_unsigned(), calls::packed_writes(&writes))?)
    });
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_query<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    collection: jlong,
    query: JByteArray<'l>,
    size_max: jint,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let query = bytes(env, &query)?;
        let open = calls::query(scope.cast_unsigned(), collection.cast_unsigned(), &query, size(size_max))?;
        chunk(env, open.cursor, &open.rows)
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "one array fewer to take apart")]
extern "system" fn Java_dev_lightningdb_internal_Native_scan<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    scope: jlong,
    table: jlong,
    lower: JByteArray<'l>,
    includes_lower: jboolean,
    upper: JByteArray<'l>,
    includes_upper: jboolean,
    backwards: jboolean,
    limit: jlong,
    size_max: jint,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let range = KeyRange {
            lower: bound(env, &lower)?,
            includes_lower: includes_lower != 0,
            upper: bound(env, &upper)?,
            includes_upper: includes_upper != 0,
        };
        let (scope, table, limit) = (scope.cast_unsigned(), table.cast_unsigned(), limit.cast_unsigned());
        let open = calls::scan(scope, table, &range, backwards != 0, limit, size(size_max))?;
        chunk(env, open.cursor, &open.rows)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_next<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    cursor: jlong,
    size_max: jint,
) -> jbyteArray {
    call(&mut env, NULL, |env| {
        let (rows, is_over) = calls::next(cursor.cast_unsigned(), size(size_max))?;
        chunk(env, if is_over { 0 } else { cursor.cast_unsigned() }, &rows)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_release<'l>(mut env: JNIEnv<'l>, _: JClass<'l>, handle: jlong) {
    call(&mut env, (), |_| Ok(crate::database::release(handle.cast_unsigned())?));
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_stoppable<'l>(
    mut env: JNIEnv<'l>,
    _: JClass<'l>,
    sibling: jlong,
    scope: jlong,
) -> jlong {
    call(&mut env, 0, |_| Ok(crate::stop::stoppable(sibling.cast_unsigned(), scope.cast_unsigned())?.cast_signed()))
}

#[unsafe(no_mangle)]
extern "system" fn Java_dev_lightningdb_internal_Native_stop<'l>(mut env: JNIEnv<'l>, _: JClass<'l>, stoppable: jlong) {
    call(&mut env, (), |_| Ok(crate::stop::stop(stoppable.cast_unsigned())?));
}
