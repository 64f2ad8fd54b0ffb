//! Changes of fields, for updates of documents by key or by query.

use alloc::format;
use alloc::vec::Vec;

use crate::document::value::{INTEGER_MAX, INTEGER_MIN};
use crate::document::{Path, Value, merge_patch, put_at, remove_at};
use crate::error::{Error, Result};

/// What an update does to each of its documents: changes of fields, one after another.
///
/// ```
/// # use lightning_db::query::Update;
/// # use lightning_db::Value;
/// let mut ada: Value = [("name", Value::from("Ada")), ("visits", 2.into())].into_iter().collect();
/// Update::new().increment("visits", 1).set("home.city", "London").remove("name").apply(&mut ada)?;
/// assert_eq!(ada.to_string(), r#"{"visits":3,"home":{"city":"London"}}"#);
/// # Ok::<(), lightning_db::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    pub(crate) changes: Vec<FieldChange>,
    /// The first thing said to the builder that cannot be done.
    pub(super) error: Option<Error>,
}

/// One change of a document.
///
/// A path leads through maps, and makes those that are missing; in an array a number leads to the element of that place, or
/// to the next, which is made. Null counts as missing.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldChange {
    /// Writes a value.
    Set(Path, Value),
    /// Adds a number to the one that is there; what is missing counts from 0. Integers stay integers, exactly, unless
    /// a float is added.
    Increment(Path, Value),
    /// Takes a field away, or an element of an array, and those behind it move up. What is missing stays so.
    Remove(Path),
    /// Changes what the patch names, as RFC 7396 has it: null takes a field away, a map goes on within, the rest replaces.
    Patch(Value),
}

impl Update {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a value under `path`.
    #[must_use]
    pub fn set(self, path: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.at(path, |path| FieldChange::Set(path, value))
    }

    /// Adds a number, which may be negative.
    #[must_use]
    pub fn increment(self, path: &str, by: impl Into<Value>) -> Self {
        let by = by.into();
        self.at(path, |path| FieldChange::Increment(path, by))
    }

    /// Takes a field away.
    #[must_use]
    pub fn remove(self, path: &str) -> Self {
        self.at(path, FieldChange::Remove)
    }

    /// Merges a patch, as RFC 7396 has it.
    #[must_use]
    pub fn patch(mut self, patch: impl Into<Value>) -> Self {
        self.changes.push(FieldChange::Patch(patch.into()));
        self
    }

    /// The changes, in the order in which they are made.
    pub fn changes(&self) -> &[FieldChange] {
        &self.changes
    }

    /// Makes the changes, or none of them and tells which field refuses.
    pub fn apply(&self, document: &mut Value) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let mut changed = document.clone();
        self.changes.iter().try_for_each(|change| change.apply(&mut changed))?;
        *document = changed;
        Ok(())
    }

    fn at(mut self, path: &str, change: impl FnOnce(Path) -> FieldChange) -> Self {
        match Path::parse(path) {
            Ok(path) => self.changes.push(change(path)),
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }
}

impl From<Vec<FieldChange>> for Update {
    fn from(changes: Vec<FieldChange>) -> Self {
        Self { changes, error: None }
    }
}

impl FieldChange {
    /// Makes the change, or not and tells why.
    fn apply(&self, document: &mut Value) -> Result<()> {
        match self {
            FieldChange::Set(path, value) => put_at(document, path, value.clone())?,
            FieldChange::Increment(path, by) => {
                let sum = sum(path, document.at(path).unwrap_or(&Value::Null), by)?;
                put_at(document, path, sum)?;
            }
            FieldChange::Remove(path) => drop(remove_at(document, path)),
            FieldChange::Patch(patch) => merge_patch(document, patch.clone()),
        }
        if matches!(document, Value::Map(_)) {
            return Ok(());
        }
        Err(Error::invalid(format!("a document is a map, and the patch would make it {document}")))
    }
}

fn sum(path: &Path, value: &Value, by: &Value) -> Result<Value> {
    let not_a_number = |what: &str, value: &Value| {
        Error::invalid(format!("'{path}' cannot be incremented: {what} is {value}, which is no number"))
    };
    match (value, by) {
        (_, Value::Null) => Err(not_a_number("what is to be added", by)),
        (Value::Null, Value::Integer(_) | Value::Float(_)) => Ok(by.clone()),
        (Value::Integer(value), Value::Integer(by)) => value
            .checked_add(*by)
            .filter(|sum| (INTEGER_MIN..=INTEGER_MAX).contains(sum))
            .map(Value::Integer)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "'{path}' cannot be incremented: {value} and {by} are beyond what an integer holds, -2^64 to 2^64 - 1"
                ))
            }),
        (Value::Integer(_) | Value::Float(_), Value::Integer(_) | Value::Float(_)) => {
            let (a, b) = (value.as_f64().unwrap_or(f64::NAN), by.as_f64().unwrap_or(f64::NAN));
            let sum = a + b;
            if sum.is_finite() || !(a.is_finite() && b.is_finite()) {
                return Ok(Value::Float(sum));
            }
            Err(Error::invalid(format!("'{path}' cannot be incremented: {value} and {by} are beyond what a float holds")))
        }
        (Value::Integer(_) | Value::Float(_), by) => Err(not_a_number("what is to be added", by)),
        (value, _) => Err(not_a_number("it", value)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
        fields.into_iter().collect()
    }

    fn document() -> Value {
        map([
            ("n", 1.into()),
            ("f", 0.5.into()),
            ("gone", Value::Null),
            ("t", "text".into()),
            ("in", map([("a", 1.into()), ("b", 2.into())])),
            ("list", Value::Array(vec![1.into(), map([("a", 1.into())])])),
        ])
    }

    /// What becomes of the document above, as text without what stays.
    #[track_caller]
    fn check(update: Update, path: &str, expected: &str) {
        let mut changed = document();
        update.apply(&mut changed).unwrap();
        let shown = changed.at(&Path::parse(path).unwrap()).map(ToString::to_string);
        assert_eq!(shown.as_deref().unwrap_or("missing"), expected, "{update:?}");
    }

    #[track_caller]
    fn refused(update: Update, expected: &str) {
        let mut changed = document();
        let message = update.apply(&mut changed).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(changed, document(), "a refused update changes nothing");
    }

    #[test]
    fn fields_are_set_where_the_path_leads() {
        let update = Update::new;
        check(update().set("n", "x"), "n", "\"x\"");
        check(update().set("new", 1), "new", "1");
        check(update().set("x.y.z", 1), "x", r#"{"y":{"z":1}}"#);
        check(update().set("gone.y", 1), "gone", r#"{"y":1}"#);
        check(update().set("in.b", 3).set("in.c", 4), "in", r#"{"a":1,"b":3,"c":4}"#);
        check(update().set("list.0", 9).set("list.1.b", 2).set("list.2", 3), "list", r#"[9,{"a":1,"b":2},3]"#);
        refused(update().set("n", 2).set("t.x", 1), "\"x\" of the path t.x is to be in a map");
        refused(update().set("list.3", 1), "\"3\" of the path list.3 is no place in an array of 2");
        refused(update().set("a..b", 1).set("n", 1), "\"a..b\" is no path");
    }

    #[test]
    fn numbers_are_incremented_exactly_or_not_at_all() {
        let update = Update::new;
        check(update().increment("n", 2).increment("n", -5), "n", "-2");
        check(update().increment("new", 2), "new", "2");
        check(update().increment("gone", 2.5), "gone", "2.5");
        check(update().increment("in.c", 1), "in.c", "1");
        check(update().increment("f", 1), "f", "1.5");
        check(update().increment("n", 0.5), "n", "1.5");
        check(update().set("n", 9_007_199_254_740_993_i64).increment("n", 2), "n", "9007199254740995");
        check(update().set("n", f64::INFINITY).increment("n", 2), "n", "inf");
        refused(update().increment("t", 1), "'t' cannot be incremented: it is \"text\", which is no number");
        refused(
            update().increment("n", "x"),
            "'n' cannot be incremented: what is to be added is \"x\", which is no number",
        );
        refused(update().increment("new", Value::Null), "'new' cannot be incremented: what is to be added is null");
        refused(update().increment("new", "x"), "'new' cannot be incremented");
        refused(update().increment("in", 1), "'in' cannot be incremented: it is {");
        refused(
            update().set("n", u64::MAX).increment("n", 1),
            "'n' cannot be incremented: 18446744073709551615 and 1 are beyond",
        );
        refused(update().set("n", f64::MAX).increment("n", f64::MAX), "are beyond what a float holds");
    }

    #[test]
    fn fields_are_removed_and_missing_ones_are_missing_anyway() {
        let update = Update::new;
        check(update().remove("in.a"), "in", r#"{"b":2}"#);
        check(update().remove("n"), "n", "missing");
        check(update().remove("x.y").remove("t.x").remove("list.7.a"), "t", "\"text\"");
        check(update().remove("list.1.a"), "list", "[1,{}]");
        check(update().remove("list.0"), "list", r#"[{"a":1}]"#);
    }

    #[test]
    fn patches_are_merged() {
        let update = Update::new;
        let patch = map([
            ("in", map([("a", Value::Null), ("c", 3.into())])),
            ("t", Value::Null),
            ("n", map([("x", 1.into())])),
        ]);
        check(update().patch(patch.clone()), "in", r#"{"b":2,"c":3}"#);
        check(update().patch(patch.clone()), "t", "missing");
        check(update().patch(patch), "n", r#"{"x":1}"#);
        refused(update().patch(3), "a document is a map, and the patch would make it 3");
    }
}
