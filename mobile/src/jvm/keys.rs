//! Keys of encrypted databases. Arrays that Java gives are Java's own to wipe; what is copied out of them is wiped here.

use jni::objects::{GlobalRef, JByteArray, JObject};
use jni::sys::{jlong, jvalue};
use jni::{JNIEnv, JavaVM};
use zeroize::Zeroizing;

use super::{Failed, Given, entry};
use crate::encryption::{self, Answer, Ask};

/// The first byte of what `KeyAnswers.ask` gives.
const GIVEN: u8 = 0;
const MISSING: u8 = 1;
const LOCKED: u8 = 2;

/// Bytes that nobody is to find afterwards.
impl<'l> Given<'l> for Zeroizing<Vec<u8>> {
    type Java = JByteArray<'l>;

    fn read(env: &JNIEnv<'l>, given: &JByteArray<'l>) -> Result<Self, Failed> {
        Ok(Self::new(env.convert_byte_array(given)?))
    }
}

/// An object, for later calls of any thread.
impl<'l> Given<'l> for GlobalRef {
    type Java = JObject<'l>;

    fn read(env: &JNIEnv<'l>, given: &JObject<'l>) -> Result<Self, Failed> {
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
    // Not for good: JNA detaches threads that it calls from, and then whoever holds them for attached ends the process.
    let mut env = vm.attach_current_thread()?;
    let given = env.byte_array_from_slice(given)?;
    let answer = call(&mut env, provider, what == Ask::Wrap, &given);
    wipe(&env, &given)?;
    // A thread that was attached keeps what is not given up.
    env.delete_local_ref(given)?;
    let answer = answer?;
    let bytes = env.convert_byte_array(&answer);
    wipe(&env, &answer)?;
    env.delete_local_ref(answer)?;
    let mut bytes = Zeroizing::new(bytes?);
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
}

/// By the virtual machine's own function: what the crate has for calls of all kinds would be 10 kB.
fn call<'l>(
    env: &mut JNIEnv<'l>,
    provider: &GlobalRef,
    wraps: bool,
    given: &JByteArray<'l>,
) -> jni::errors::Result<JByteArray<'l>> {
    let class = env.get_object_class(provider)?;
    let method = env.get_method_id(&class, "ask", "(Z[B)[B");
    env.delete_local_ref(class)?;
    let method = method.inspect_err(|_| _ = env.exception_clear())?;
    let arguments = [jvalue { z: u8::from(wraps) }, jvalue { l: given.as_raw() }];
    let raw = env.get_raw();
    // SAFETY: the environment is this thread's; the method is one of the object's class, and takes these arguments.
    let answer = unsafe {
        let function =
            (**raw).CallObjectMethodA.ok_or(jni::errors::Error::JNIEnvMethodNotFound("CallObjectMethodA"))?;
        function(raw, provider.as_raw(), method.into_raw(), arguments.as_ptr())
    };
    if env.exception_check()? {
        env.exception_clear()?;
        return Err(jni::errors::Error::JavaException);
    }
    // SAFETY: it gives an array of bytes, which is never null.
    Ok(unsafe { JByteArray::from_raw(answer) })
}

fn wipe(env: &JNIEnv<'_>, array: &JByteArray<'_>) -> jni::errors::Result<()> {
    let length = usize::try_from(env.get_array_length(array)?).unwrap_or_default();
    env.set_byte_array_region(array, 0, &vec![0; length])
}
