//! The entries that Java's virtual machine calls: `dev.lightningdb.internal.Native`.
//!
//! Each is one of `calls.rs`, with arrays of bytes; an error is thrown as `dev.lightningdb.internal.NativeFailure`, which the layer
//! above turns into an exception of its own.

mod keys;
mod open;

use std::panic::{AssertUnwindSafe, catch_unwind};

use jni::JNIEnv;
use jni::objects::{JByteArray, JLongArray, JThrowable, JValue};
use jni::sys::{jboolean, jbyteArray, jint, jlong, jvalue};
use lightning_db::Error;

use crate::calls::{self, WriteKind};
use crate::failure::Failure;
use crate::objects::{self, invalid};
use crate::packed;
use crate::table::KeyRange;

/// Runs a call. Nothing unwinds into the virtual machine; what fails is thrown, and `nothing` is what the call gives then.
fn call<'l, R>(env: &mut JNIEnv<'l>, nothing: R, body: &mut dyn FnMut(&mut JNIEnv<'l>) -> Result<R, Failed>) -> R {
    match catch_unwind(AssertUnwindSafe(|| body(env))) {
        Ok(Ok(result)) => return result,
        Ok(Err(failed)) => failed.throw(env),
        Err(payload) => Failed::Engine(Failure::panicked(&*payload)).throw(env),
    }
    nothing
}

enum Failed {
    Engine(Failure),
    Java,
}

impl Failed {
    #[cold]
    fn throw(self, env: &mut JNIEnv<'_>) {
        // What Java has thrown is on its way already.
        if let Self::Engine(failure) = self
            && let Err(error) = throw(env, &failure)
        {
            // Memory is out, or another exception is on its way.
            _ = throw_text(env, &format!("{failure} ({error})"));
        }
    }
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
    let arguments = [
        JValue::Int(i32::from(*number)),
        JValue::Object(&name),
        JValue::Bool(u8::from(*is_retryable)),
        JValue::Object(&text),
        JValue::Object(&fields),
    ];
    // SAFETY: the arguments are what the signature says.
    unsafe {
        throw_new(
            env,
            "dev/lightningdb/internal/NativeFailure",
            "(ILjava/lang/String;ZLjava/lang/String;[B)V",
            &arguments.map(|argument| argument.as_jni()),
        )
    }
}

fn throw_text(env: &mut JNIEnv<'_>, text: &str) -> jni::errors::Result<()> {
    let text = env.new_string(text)?;
    let arguments = [JValue::Object(&text).as_jni()];
    // SAFETY: one text, as the signature says.
    unsafe { throw_new(env, "java/lang/IllegalStateException", "(Ljava/lang/String;)V", &arguments) }
}

/// Throws a new object of `class`. That the arguments are those of a signature is not looked at: a parser of signatures would take more
/// of the library than all of its entries.
///
/// # Safety
///
/// The arguments are as many as the signature of the constructor has, and of its types.
unsafe fn throw_new(
    env: &mut JNIEnv<'_>,
    class: &str,
    signature: &str,
    arguments: &[jvalue],
) -> jni::errors::Result<()> {
    let class = env.find_class(class)?;
    let constructor = env.get_method_id(&class, "<init>", signature)?;
    // SAFETY: the constructor is of that class, and the caller vouches for the arguments.
    let exception = unsafe { env.new_object_unchecked(&class, constructor, arguments)? };
    env.throw(JThrowable::from(exception))
}

/// An argument, as Java gives it and as a call takes it.
trait Given<'l>: Sized {
    type Java;

    fn read(env: &JNIEnv<'l>, given: &Self::Java) -> Result<Self, Failed>;
}

/// Bytes.
impl<'l> Given<'l> for Vec<u8> {
    type Java = JByteArray<'l>;

    fn read(env: &JNIEnv<'l>, given: &JByteArray<'l>) -> Result<Self, Failed> {
        Ok(env.convert_byte_array(given)?)
    }
}

/// Bytes, or null.
impl<'l> Given<'l> for Option<Vec<u8>> {
    type Java = JByteArray<'l>;

    fn read(env: &JNIEnv<'l>, given: &JByteArray<'l>) -> Result<Self, Failed> {
        if given.is_null() { Ok(None) } else { Vec::read(env, given).map(Some) }
    }
}

/// Numbers.
impl<'l> Given<'l> for Vec<i64> {
    type Java = JLongArray<'l>;

    fn read(env: &JNIEnv<'l>, given: &JLongArray<'l>) -> Result<Self, Failed> {
        let mut numbers = vec![0; usize::try_from(env.get_array_length(given)?).unwrap_or_default()];
        env.get_long_array_region(given, 0, &mut numbers)?;
        Ok(numbers)
    }
}

/// Text as bytes: Java's own form of text would have to be made from it.
impl<'l> Given<'l> for String {
    type Java = JByteArray<'l>;

    fn read(env: &JNIEnv<'l>, given: &JByteArray<'l>) -> Result<Self, Failed> {
        Self::from_utf8(Vec::read(env, given)?).map_err(|_| invalid("text is not UTF-8").into())
    }
}

/// A handle, or a number that has no sign.
impl<'l> Given<'l> for u64 {
    type Java = jlong;

    fn read(_: &JNIEnv<'l>, given: &jlong) -> Result<Self, Failed> {
        Ok(given.cast_unsigned())
    }
}

/// A number that has one.
impl<'l> Given<'l> for i64 {
    type Java = jlong;

    fn read(_: &JNIEnv<'l>, given: &jlong) -> Result<Self, Failed> {
        Ok(*given)
    }
}

/// A number that is none where it is negative.
impl<'l> Given<'l> for Option<u64> {
    type Java = jlong;

    fn read(_: &JNIEnv<'l>, given: &jlong) -> Result<Self, Failed> {
        Ok(u64::try_from(*given).ok())
    }
}

/// One of some, or a size, as Java has numbers.
impl<'l> Given<'l> for jint {
    type Java = jint;

    fn read(_: &JNIEnv<'l>, given: &jint) -> Result<Self, Failed> {
        Ok(*given)
    }
}

impl<'l> Given<'l> for bool {
    type Java = jboolean;

    fn read(_: &JNIEnv<'l>, given: &jboolean) -> Result<Self, Failed> {
        Ok(*given != 0)
    }
}

/// A function that Java calls: `$env` is the virtual machine, the arguments are read as their types, `$nothing` is what it gives where it
/// throws.
macro_rules! entry {
    ($(#[$about:meta])* fn $name:ident($env:ident $(, $argument:ident: $type:ty)* $(,)?) -> $gives:ty, or $nothing:expr, $body:block) => {
        $(#[$about])*
        #[unsafe(no_mangle)]
        extern "system" fn $name<'l>(
            mut env: jni::JNIEnv<'l>,
            _: jni::objects::JClass<'l>,
            $($argument: <$type as $crate::jvm::Given<'l>>::Java,)*
        ) -> $gives {
            $crate::jvm::call(&mut env, $nothing, &mut |$env| {
                $(let $argument = <$type as $crate::jvm::Given>::read($env, &$argument)?;)*
                $body
            })
        }
    };
}
use entry;

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

entry! {
    fn Java_dev_lightningdb_internal_Native_get(env, scope: u64, target: u64, key: Vec<u8>) -> jbyteArray, or NULL, {
        calls::get(scope, target, &key, |found| array_or_null(env, found))?
    }
}

entry! {
    /// As `get`, for the keys that most collections have: an array of Java's less.
    fn Java_dev_lightningdb_internal_Native_getNumbered(env, scope: u64, collection: u64, key: i64) -> jbyteArray, or NULL, {
        let collection = objects::collection(collection)?;
        calls::get_document(scope, &collection, key.into(), |found| array_or_null(env, found))?
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_getBy(
        env, scope: u64, collection: u64, index: Vec<u8>, values: Vec<u8>,
    ) -> jbyteArray, or NULL, {
        calls::get_by(scope, collection, &index, &values, |found| array_or_null(env, found))?
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_getMany(env, scope: u64, target: u64, keys: Vec<u8>) -> jbyteArray, or NULL, {
        array(env, &calls::get_many(scope, target, &keys)?)
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_put(
        env, scope: u64, target: u64, mode: jint, key: Vec<u8>, value: Vec<u8>,
    ) -> jbyteArray, or NULL, {
        let WriteKind::Put(mode) = WriteKind::from_number(u64::try_from(mode).unwrap_or(u64::MAX))? else {
            return Err(invalid("deleting is another call").into());
        };
        array_or_null(env, calls::put(scope, target, mode, &key, &value)?.as_deref())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_delete(env, scope: u64, target: u64, key: Vec<u8>) -> jboolean, or 0, {
        Ok(u8::from(calls::delete(scope, target, &key)?))
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_batch(env, scope: u64, writes: Vec<u8>) -> (), or (), {
        Ok(calls::batch(scope, calls::packed_writes(&writes))?)
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_query(
        env, scope: u64, collection: u64, query: Vec<u8>, size_max: jint,
    ) -> jbyteArray, or NULL, {
        let open = calls::query(scope, collection, &query, size(size_max))?;
        chunk(env, open.cursor, &open.rows)
    }
}

entry! {
    #[allow(clippy::too_many_arguments, reason = "one array fewer to take apart")]
    fn Java_dev_lightningdb_internal_Native_scan(
        env,
        scope: u64,
        table: u64,
        lower: Option<Vec<u8>>,
        includes_lower: bool,
        upper: Option<Vec<u8>>,
        includes_upper: bool,
        backwards: bool,
        limit: u64,
        size_max: jint,
    ) -> jbyteArray, or NULL, {
        let range = KeyRange { lower, includes_lower, upper, includes_upper };
        let open = calls::scan(scope, table, &range, backwards, limit, size(size_max))?;
        chunk(env, open.cursor, &open.rows)
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_next(env, cursor: u64, size_max: jint) -> jbyteArray, or NULL, {
        let (rows, is_over) = calls::next(cursor, size(size_max))?;
        chunk(env, if is_over { 0 } else { cursor }, &rows)
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_release(env, handle: u64) -> (), or (), {
        Ok(crate::opened::release(handle)?)
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_stoppable(env, sibling: u64, scope: u64) -> jlong, or 0, {
        Ok(crate::stop::stoppable(sibling, scope)?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_stop(env, stoppable: u64) -> (), or (), {
        Ok(crate::stop::stop(stoppable)?)
    }
}
