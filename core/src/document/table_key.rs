//! Values as keys of a table: of every kind, in the one order of all values.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Value, key};
use crate::error::{Error, Result};
use crate::table::{Key, KeyBuffer, Lend, Stored};

/// The name of the key type that holds every kind of value: that of collections, too.
pub(crate) const TYPE_NAME: &str = "key";

impl Stored for Value {
    type Borrowed<'a> = Self;
    type Owned = Self;

    fn type_name() -> String {
        String::from(TYPE_NAME)
    }

    fn into_owned(borrowed: Self) -> Self {
        borrowed
    }
}

macro_rules! lent {
    ($($lender:ty)*) => {$(
        impl Lend<Value> for $lender {
            fn lend(&self) -> Value {
                self.to_owned().into()
            }
        }
    )*};
}

lent!(Value bool i32 i64 u32 u64 f64 str String [u8] Vec<u8>);

impl Key for Value {
    fn encode(key: &Value, out: &mut KeyBuffer) -> Result<()> {
        key::encode(key, out)
    }

    fn decode(bytes: &[u8]) -> Result<Value> {
        match key::decode(bytes)? {
            (value, []) => Ok(value),
            (_, rest) => {
                let at = bytes.len() - rest.len();
                Err(Error::invalid(alloc::format!(
                    "a key of type {TYPE_NAME} ends after {at} of {} bytes",
                    bytes.len()
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_all_of_its_bytes() {
        let mut bytes = KeyBuffer::new();
        <Value as Key>::encode(&Value::from(7), &mut bytes).unwrap();
        assert_eq!(<Value as Key>::decode(&bytes).unwrap(), Value::Integer(7));
        bytes.push(0);
        assert!(<Value as Key>::decode(&bytes).is_err());
    }
}
