//! The catalogue: table 0, which holds the definition of every other table under its name. It is read and written like
//! any table, so making or dropping one is part of the transaction that does it.
//!
//! Names that begin with a NUL are the engine's own: they hold no definitions.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::KeyBuffer;
use super::prefix::{CATALOGUE, encode_prefix, end_of, split};
use crate::codec::bytes::{Reader, Writer};
use crate::error::{Error, Result};

/// The layout of [`TableEntry`]; another number means that a newer version of the engine wrote it.
const LAYOUT: u8 = 1;

/// The option that makes a table a collection: its schema.
pub(crate) const SCHEMA_OPTION: &str = "schema";

/// The definition of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableEntry {
    /// The number in front of the table's keys; never given again after the table is dropped. Never 0.
    pub id: u64,
    /// [Name](super::Stored::type_name) of the key type.
    pub key_type: String,
    /// Name of the value type.
    pub value_type: String,
    /// When the table was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whatever else is known of the table, in the order of its names. Options this version does not know are kept as they are.
    pub options: Vec<(String, Vec<u8>)>,
}

impl TableEntry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u8(LAYOUT);
        out.put_varint(self.id);
        out.put_prefixed(self.key_type.as_bytes());
        out.put_prefixed(self.value_type.as_bytes());
        out.put_u64(self.created_ms);
        for (name, value) in &self.options {
            out.put_prefixed(name.as_bytes());
            out.put_prefixed(value);
        }
        out
    }

    /// Reads the definition stored under `name`, which is only for the message.
    pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        match reader.u8() {
            Some(LAYOUT) => {}
            Some(layout) => {
                return Err(Error::Unsupported {
                    what: format!("layout {layout} of the definition of table '{name}'"),
                    remedy: "open the database with the version that wrote it, or a newer one",
                });
            }
            None => return Err(damaged(name)),
        }
        Self::read(&mut reader).ok_or_else(|| damaged(name))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut entry = Self {
            id: reader.varint().filter(|&id| id != CATALOGUE)?,
            key_type: text(reader)?,
            value_type: text(reader)?,
            created_ms: reader.u64()?,
            options: Vec::new(),
        };
        while !reader.is_empty() {
            let name = text(reader)?;
            // In order and each once, so that a definition has one form.
            if entry.options.last().is_some_and(|(last, _)| *last >= name) {
                return None;
            }
            entry.options.push((name, reader.prefixed()?.to_vec()));
        }
        Some(entry)
    }

    /// What is known under `name`.
    pub(crate) fn option(&self, name: &str) -> Option<&[u8]> {
        self.options.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }
}

/// Where the definition of the table `name` is.
pub(crate) fn entry_key(name: &str) -> KeyBuffer {
    let mut key = KeyBuffer::new();
    encode_prefix(CATALOGUE, &mut key);
    key.extend(name.as_bytes());
    key
}

/// The name in a key of the catalogue; `None` for the engine's own keys and those of other tables.
pub(crate) fn entry_name(key: &[u8]) -> Option<&str> {
    let (id, name) = split(key)?;
    if id != CATALOGUE || name.first().is_none_or(|&first| first == 0) {
        return None;
    }
    str::from_utf8(name).ok()
}

/// From (inclusive) and to (exclusive) where in the key space all definitions are.
pub(crate) fn entry_bounds() -> (KeyBuffer, KeyBuffer) {
    let mut from = entry_key("");
    from.push(1);
    (from, end_of(CATALOGUE))
}

/// Where the number for the next table is kept, as a little-endian `u64`; absent it is 1.
pub(crate) fn next_id_key() -> KeyBuffer {
    entry_key("\0next-id")
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    str::from_utf8(reader.prefixed()?).ok().map(String::from)
}

fn damaged(name: &str) -> Error {
    Error::invalid(format!("the definition of table '{name}' in the catalogue is damaged; run 'lightning check'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = TableEntry> {
        let options = prop::collection::btree_map(".{0,6}", prop::collection::vec(any::<u8>(), 0..6), 0..4);
        (1..=u64::MAX, ".{0,9}", ".{0,9}", any::<u64>(), options).prop_map(
            |(id, key_type, value_type, created_ms, options)| TableEntry {
                id,
                key_type,
                value_type,
                created_ms,
                options: options.into_iter().collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn a_definition_comes_back_with_options_nobody_knows(entry in entry()) {
            prop_assert_eq!(TableEntry::decode("t", &entry.encode()), Ok(entry));
        }

        #[test]
        fn a_changed_definition_is_refused_or_read_never_a_panic(
            entry in entry(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = entry.encode();
            let at = at.index(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Ok(entry) = TableEntry::decode("t", &bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }

        #[test]
        fn names_lie_within_the_bounds_in_their_order(a in "[^\0].{0,6}", b in "[^\0].{0,6}") {
            let (from, to) = entry_bounds();
            let (key, other) = (entry_key(&a), entry_key(&b));
            prop_assert!(*from <= *key && *key < *to);
            prop_assert_eq!(entry_name(&key), Some(a.as_str()));
            prop_assert_eq!(key.cmp(&other), a.cmp(&b));
        }
    }

    #[test]
    fn the_engines_own_keys_are_no_tables() {
        let (from, _) = entry_bounds();
        assert!(*next_id_key() < *from);
        assert_eq!(entry_name(&next_id_key()), None);
        assert_eq!(entry_name(&[]), None);
        assert_eq!(entry_name(&[1, b'a']), None);
    }

    #[test]
    fn a_newer_layout_says_so() {
        let error = TableEntry::decode("users", &[9]).unwrap_err();
        assert_eq!(error.name(), "Unsupported");
        assert_eq!(TableEntry::decode("users", &[]).unwrap_err().name(), "Invalid");
    }
}
