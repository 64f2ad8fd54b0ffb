//! Changes of fields, for updates of documents by key or by query.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::document::value::{INTEGER_MAX, INTEGER_MIN};
use crate::document::{Path, Value};
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
    error: Option<Error>,
}

/// One change of a document.
///
/// A path leads through maps, and makes those that are missing; in an array a number leads to the element of that place, and
/// no element is made. Null counts as missing.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldChange {
    /// Writes a value.
    Set(Path, Value),
    /// Adds a number to the one that is there; what is missing counts from 0. Integers stay integers, exactly, unless
    /// a float is added.
    Increment(Path, Value),
    /// Takes a field away; a missing one is none the less missing afterwards. An element of an array cannot be taken away.
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
    /// Makes the change. Where it fails, what was made of maps by then stays.
    fn apply(&self, document: &mut Value) -> Result<()> {
        match self {
            FieldChange::Set(path, value) => *place(document, path)? = value.clone(),
            FieldChange::Increment(path, by) => {
                let place = place(document, path)?;
                *place = sum(path, place, by)?;
            }
            FieldChange::Remove(path) => remove(document, path)?,
            FieldChange::Patch(patch) => merge(document, patch),
        }
        if matches!(document, Value::Map(_)) {
            return Ok(());
        }
        Err(Error::invalid(format!("a document is a map, and the patch would make it {document}")))
    }
}

/// The place at the end of a path, made if it is missing.
fn place<'v>(document: &'v mut Value, path: &Path) -> Result<&'v mut Value> {
    let mut value = document;
    for (depth, segment) in path.segments().iter().enumerate() {
        if value.is_null() && depth > 0 {
            *value = Value::Map(Vec::new());
        }
        value = match value {
            Value::Map(fields) => {
                let at = match fields.iter().position(|(name, _)| **name == *segment.name) {
                    Some(at) => at,
                    None => {
                        fields.push((segment.name.as_ref().into(), Value::Null));
                        fields.len() - 1
                    }
                };
                fields.get_mut(at).map(|(_, value)| value)
            }
            Value::Array(elements) => {
                let at = segment.place.and_then(|place| usize::try_from(place).ok());
                at.and_then(|at| elements.get_mut(at))
            }
            _ => None,
        }
        .ok_or_else(|| no_way(path, depth))?;
    }
    Ok(value)
}

fn remove(document: &mut Value, path: &Path) -> Result<()> {
    let mut value = document;
    let last = path.segments().len().saturating_sub(1);
    for (depth, segment) in path.segments().iter().enumerate() {
        value = match value {
            Value::Map(fields) => {
                let Some(at) = fields.iter().position(|(name, _)| **name == *segment.name) else { return Ok(()) };
                if depth == last {
                    fields.remove(at);
                    return Ok(());
                }
                match fields.get_mut(at) {
                    Some((_, value)) => value,
                    None => return Ok(()),
                }
            }
            Value::Array(elements) => {
                if depth == last {
                    return Err(Error::invalid(format!(
                        "'{path}' is an element of an array, which an update cannot take away; set the array"
                    )));
                }
                let at = segment.place.and_then(|place| usize::try_from(place).ok());
                match at.and_then(|at| elements.get_mut(at)) {
                    Some(value) => value,
                    None => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
    }
    Ok(())
}

#[cold]
fn no_way(path: &Path, depth: usize) -> Error {
    let before: Vec<&str> = path.names().take(depth).collect();
    let before = Path::of(before).map_or_else(|_| String::from("the document"), |path| format!("'{path}'"));
    Error::invalid(format!("there is no '{path}' to change: {before} is neither a map nor an array with that element"))
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
fn merge(_a: &mut Value, _b: &Value) {}
