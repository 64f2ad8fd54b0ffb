//! The limit on keys, in terms of what the application gave.

use crate::engine::KEY_BYTES_MAX;
use crate::error::{Error, Result};
use crate::table::prefix;

/// Keys are at most this long, in bytes, as their type encodes them: text and bytes are their own encoding.
pub(crate) const OWN_BYTES_MAX: usize = 64 * 1024;
const _: () = assert!(OWN_BYTES_MAX + prefix::LEN_MAX <= KEY_BYTES_MAX);

/// Refuses a key, with its table's prefix, that is too long without it.
#[inline]
pub(super) fn check_key_length(key: &[u8]) -> Result<()> {
    if key.len() <= OWN_BYTES_MAX { Ok(()) } else { check_long(key) }
}

#[cold]
fn check_long(key: &[u8]) -> Result<()> {
    let own = prefix::split(key).map_or(key, |(_, own)| own);
    if own.len() <= OWN_BYTES_MAX {
        return Ok(());
    }
    Err(Error::LimitExceeded {
        what: "the length of a key in bytes",
        value: own.len() as u64,
        limit: OWN_BYTES_MAX as u64,
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::table::KeyBuffer;

    #[test]
    fn the_length_and_the_limit_are_those_of_the_key_without_its_tables_number() {
        for table in [1, 0xef, 0xf0, u64::MAX] {
            let key = |len: usize| {
                let mut key = KeyBuffer::new();
                prefix::encode_prefix(table, &mut key);
                [&key, vec![b'k'; len].as_slice()].concat()
            };
            assert_eq!(check_key_length(&key(65_536)), Ok(()), "table {table}");
            for len in [65_537, 100_000] {
                let refused = check_key_length(&key(len)).unwrap_err();
                let told = alloc::format!("{refused}");
                let expected = alloc::format!("the length of a key in bytes is {len}, more than the limit of 65536");
                assert_eq!(told, expected, "table {table}");
            }
        }
    }
}
