//! A table's name and types, as a constant.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::marker::PhantomData;

use super::{Key, Value};
use crate::error::{Error, Result};

/// The longest name of a table, in bytes.
pub(crate) const NAME_LEN_MAX: usize = 255;

/// The name of an ordered table and the types of its keys and values.
///
/// ```
/// use lightning_db::Table;
/// const USERS: Table<&str, &[u8]> = Table::new("users");
/// const VISITS: Table<(&str, u64), u32> = Table::new("visits");
/// ```
///
/// The types are recorded in the file when the table is made; opening it with others is
/// [`TableTypeMismatch`](Error::TableTypeMismatch).
pub struct Table<'n, K: Key, V: Value> {
    name: &'n str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'n, K: Key, V: Value> Table<'n, K, V> {
    /// Defines a table. The name is 1 to 255 bytes long and does not begin with a NUL or `_lightning`; this is checked
    /// when the table is opened.
    pub const fn new(name: &'n str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The table's name.
    pub const fn name(&self) -> &'n str {
        self.name
    }

    /// The key type as recorded in the file.
    pub fn key_type(&self) -> String {
        K::type_name()
    }

    /// The value type as recorded in the file.
    pub fn value_type(&self) -> String {
        V::type_name()
    }
}

impl<K: Key, V: Value> Clone for Table<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key, V: Value> Copy for Table<'_, K, V> {}

impl<K: Key, V: Value> fmt::Debug for Table<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({:?}: {} -> {})", self.name, K::type_name(), V::type_name())
    }
}

/// Refuses names that a user's table may not have.
pub(crate) fn validate_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("a table's name is empty; give it 1 to 255 bytes"));
    }
    if name.len() > NAME_LEN_MAX {
        return Err(Error::LimitExceeded {
            what: "the length of a table's name in bytes",
            value: name.len() as u64,
            limit: NAME_LEN_MAX as u64,
        });
    }
    if name.starts_with('\0') || name.starts_with("_lightning") {
        return Err(Error::invalid(format!(
            "table name \"{}\" is reserved for the engine; names begin neither with a NUL nor with '_lightning'",
            name.escape_default()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISITS: Table<(&str, u64), u32> = Table::new("visits");

    #[test]
    fn a_table_is_a_constant_that_knows_its_types() {
        assert_eq!(VISITS.name(), "visits");
        assert_eq!(VISITS.key_type(), "(string, u64)");
        assert_eq!(VISITS.value_type(), "u32");
        assert_eq!(format!("{VISITS:?}"), r#"Table("visits": (string, u64) -> u32)"#);
    }

    #[test]
    fn reserved_empty_and_long_names_are_refused() {
        for good in ["a", "käyttäjät", "_private", "lightning", &"x".repeat(255)] {
            assert_eq!(validate_name(good), Ok(()), "{good}");
        }
        for bad in ["", "\0", "\0next", "_lightning", "_lightning_users", &"x".repeat(256)] {
            assert!(validate_name(bad).is_err(), "{bad:?}");
        }
    }
}
