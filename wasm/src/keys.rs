//! Keys of encrypted databases, as they come from JavaScript.
//!
//! ```text
//! key = [1, bytes]                                a raw key
//!     | [2, bytes]                                a passphrase, as UTF-8
//!     | [3, [[wrapped, bytes or null]…], new]     somebody who keeps a key; null for what it has not wrapped
//! new = null | [bytes, wrapped]                   a key that was drawn and wrapped
//! ```
//!
//! Whoever keeps a key in JavaScript answers later, and the engine asks while it is waited for. So its answers come along, and
//! what lacks one fails with what is wanted, `KeyWanted`: it had no effect and is asked again with the answers.
//!
//! What holds a key here is wiped when it is done with, the bytes that it came in too; what JavaScript has of it is its own to wipe.

use std::cell::RefCell;
use std::sync::Arc;

use lightning_db::{Encryption, EncryptionKey, Error, KeyProvider, Result};
use zeroize::{Zeroize, Zeroizing};

use crate::wire::{self, Arguments, invalid};

const KEY_BYTES: usize = 32;

const RAW: u64 = 1;
const PASSPHRASE: u64 = 2;
const PROVIDER: u64 = 3;

/// The name of the error of what lacks an answer; its fields are what is to be unwrapped, or none where a new key is to be wrapped.
const WANTED: &str = "KeyWanted";

/// Nobody reads it: what comes in its place is [`WANTED`].
const NOT_ASKED: &str = "whoever keeps the key was not asked";

thread_local! {
    /// What the last operation with a key lacked.
    static LACKING: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The next argument as the cipher of a new database. WebAssembly has no instructions for AES, so it is the other one unless it is said.
pub fn cipher(args: &mut Arguments<'_>) -> Result<Encryption> {
    let Some(item) = args.optional_item()? else { return Ok(Encryption::ChaCha20Poly1305) };
    match Arguments::new(item).text()? {
        "aes-256-gcm" => Ok(Encryption::Aes256Gcm),
        "chacha20-poly1305" => Ok(Encryption::ChaCha20Poly1305),
        _ => Err(invalid("there is no such cipher")),
    }
}

/// The next argument as a key; `None` for null.
pub fn read(args: &mut Arguments<'_>) -> Result<Option<EncryptionKey>> {
    LACKING.take();
    let Some(item) = args.optional_item()? else { return Ok(None) };
    let mut args = Arguments::new(item);
    args.list()?;
    Ok(Some(match args.number()? {
        RAW => {
            let mut key = key_bytes(args.bytes()?)?;
            let made = EncryptionKey::raw(key);
            key.zeroize();
            made
        }
        PASSPHRASE => {
            let text = std::str::from_utf8(args.bytes()?).map_err(|_| invalid("a passphrase is not UTF-8"))?;
            if text.is_empty() {
                return Err(invalid("an empty passphrase protects nothing"));
            }
            EncryptionKey::passphrase(text)
        }
        PROVIDER => {
            #[allow(clippy::arc_with_non_send_sync, reason = "there is one thread")]
            let answers = Arc::new(Answers::read(&mut args)?);
            EncryptionKey::provider(answers)
        }
        _ => return Err(invalid("there is no such kind of key")),
    }))
}

/// As [`read`], where there must be one.
pub fn required(args: &mut Arguments<'_>) -> Result<EncryptionKey> {
    read(args)?.ok_or_else(|| invalid("no key was given"))
}

/// Appends the frame of what was lacking, if that is the error; false where it is another.
pub fn lacking(out: &mut Vec<u8>, error: &Error) -> bool {
    if !matches!(error, Error::WrongKey { what } if what == NOT_ASKED) {
        return false;
    }
    LACKING.with_borrow(|wanted| {
        let written = wire::frame(out, wire::FAILURE, |out| {
            let mut answer = wire::Answer::new(out);
            answer.array(2 + wanted.len() as u64).str(WANTED).bool(false);
            for wrapped in wanted {
                answer.bytes(wrapped);
            }
            wire::put(&mut answer)
        });
        written.is_ok()
    })
}

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What somebody who keeps a key has answered.
struct Answers {
    unwrapped: Vec<(Vec<u8>, Option<Key>)>,
    new: Option<(Key, Vec<u8>)>,
}

impl Answers {
    fn read(args: &mut Arguments<'_>) -> Result<Self> {
        let mut unwrapped = Vec::new();
        for _ in 0..args.list()? {
            args.list()?;
            let wrapped = args.bytes()?.to_vec();
            let key = args.optional_item()?;
            let key = key.map(|key| key_bytes(Arguments::new(key).bytes()?).map(Zeroizing::new)).transpose()?;
            unwrapped.push((wrapped, key));
        }
        let new = match args.optional_item()? {
            None => None,
            Some(item) => {
                let mut pair = Arguments::new(item);
                pair.list()?;
                Some((Zeroizing::new(key_bytes(pair.bytes()?)?), pair.bytes()?.to_vec()))
            }
        };
        Ok(Self { unwrapped, new })
    }
}

impl KeyProvider for Answers {
    fn wrap(&self, _: &[u8; KEY_BYTES]) -> Result<Vec<u8>> {
        LACKING.take();
        Err(not_here())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Option<[u8; KEY_BYTES]>> {
        if let Some((_, key)) = self.unwrapped.iter().find(|(of, _)| of == wrapped) {
            return Ok(key.as_deref().copied());
        }
        LACKING.with_borrow_mut(|wanted| wanted.push(wrapped.to_vec()));
        Err(not_here())
    }

    fn wrapped_before(&self) -> Option<([u8; KEY_BYTES], Vec<u8>)> {
        self.new.as_ref().map(|(key, wrapped)| (**key, wrapped.clone()))
    }
}

fn not_here() -> Error {
    Error::WrongKey { what: NOT_ASKED.into() }
}

fn key_bytes(bytes: &[u8]) -> Result<[u8; KEY_BYTES]> {
    bytes.try_into().map_err(|_| Error::Invalid {
        what: format!("a key has {KEY_BYTES} bytes, not {}; a text is a passphrase", bytes.len()),
    })
}
