//! Keys of encrypted databases. Arrays that Java gives are Java's own to wipe; what is copied out of them is wiped here.

use jni::objects::{GlobalRef, JByteArray, JObject, JValue};
use jni::sys::jlong;
use jni::{JNIEnv, JavaVM};
use zeroize::Zeroizing;

use super::{Failed, Given, entry};
use crate::encryption::{self, Answer, Ask};

/// Local references that one call of the provider makes.
const REFERENCES: i32 = 8;

/// The first byte of what `KeyAnswers.ask` gives.
const GIVEN: u8 = 0;
const MISSING: u8 = 1;
const LOCKED: u8 = 2;

/// Bytes that nobody is to find afterwards.
impl<'l> Given<'l> for Zeroizing<Vec<u8>> {
    type Java = JByteArray<'l>;

    fn read(env: &JNIEnv<'l>, given: JByteArray<'l>) -> Result<Self, Failed> {
        Ok(Self::new(env.convert_byte_array(given)?))
    }
}

/// An object, for later calls of any thread.
impl<'l> Given<'l> for GlobalRef {
    type Java = JObject<'l>;

    fn read(env: &JNIEnv<'l>, given: JObject<'l>) -> Result<Self, Failed> {
        Ok(env.new_global_ref(given)?)
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_rawKey(env, bytes: Zeroizing<Vec<u8>>) -> jlong, or 0, {
        Ok(encryption::raw(&bytes)?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_passphraseKey(env, text: Zeroizing<Vec<u8>>) -> jlong, or 0, {
        Ok(encryption::passphrase(text)?.cast_signed())
    }
}

entry! {
    fn Java_dev_lightningdb_internal_Native_providerKey(env, provider: GlobalRef) -> jlong, or 0, {
        let vm = env.get_java_vm()?;
        let key = encryption::provider(move |what, given| {
            ask(&vm, &provider, what, given).unwrap_or_else(|error| Answer::Failed(error.to_string()))
        })?;
        Ok(key.cast_signed())
    }
}

/// Calls `KeyAnswers.ask`, which throws nothing: a byte that says how it went is before what it gives.
fn ask(vm: &JavaVM, provider: &GlobalRef, what: Ask, given: &[u8]) -> jni::errors::Result<Answer> {
    let mut env = vm.attach_current_thread_as_daemon()?;
    // A thread that stays attached keeps what was not given up.
    env.with_local_frame(REFERENCES, |env| {
        let given = env.byte_array_from_slice(given)?;
        let arguments = [JValue::Bool(u8::from(what == Ask::Wrap)), JValue::Object(&given)];
        let answered = env.call_method(provider, "ask", "(Z[B)[B", &arguments).and_then(|answer| answer.l());
        if answered.is_err() {
            _ = env.exception_clear();
        }
        let answer = JByteArray::from(answered?);
        let mut bytes = Zeroizing::new(env.convert_byte_array(&answer)?);
        wipe(env, &answer)?;
        wipe(env, &given)?;
        if bytes.is_empty() {
            return Ok(Answer::Failed("it gave nothing".into()));
        }
        let how = bytes.remove(0);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match how {
            GIVEN => Answer::Given(bytes),
            MISSING => Answer::Missing,
            LOCKED => Answer::Locked(text(&bytes)),
            _ => Answer::Failed(text(&bytes)),
        })
    })
}

fn wipe(env: &JNIEnv<'_>, array: &JByteArray<'_>) -> jni::errors::Result<()> {
    let length = usize::try_from(env.get_array_length(array)?).unwrap_or_default();
    env.set_byte_array_region(array, 0, &vec![0; length])
}
