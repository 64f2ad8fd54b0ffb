//! From the tree back to text.

use core::fmt::{self, Display, Formatter, Write};
use core::ops::Bound;

use super::token::{begins_name, continues_name, is_reserved};
use crate::document::query::{Condition, Filter, Order, PageToken, Query, Test};
use crate::document::text::{write_hex, write_text};
use crate::document::{Path, Value};

/// As text that [`Query::parse`] reads as the same query. Only what cannot be asked has no such text.
impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut clauses = Clauses { f, is_first: true };
        if !self.fields.is_empty() {
            write!(clauses.next()?, "select {}", list(&self.fields, PathText))?;
        }
        if let Some(filter) = &self.filter {
            write!(clauses.next()?, "{}{filter}", if self.fields.is_empty() { "" } else { "where " })?;
        }
        if !self.order.is_empty() {
            write!(clauses.next()?, "order by {}", list(&self.order, OrderText))?;
        }
        if self.reverse {
            clauses.next()?.write_str("reverse")?;
        }
        if let Some(limit) = self.limit {
            write!(clauses.next()?, "limit {limit}")?;
        }
        if self.offset != 0 {
            write!(clauses.next()?, "offset {}", self.offset)?;
        }
        if let Some(token) = &self.after {
            write!(clauses.next()?, "after \"{token}\"")?;
        }
        Ok(())
    }
}

/// As hexadecimal digits.
impl Display for PageToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_hex(self.as_bytes(), f)
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All(filters) if filters.is_empty() => f.write_str("true"),
            Filter::Any(filters) if filters.is_empty() => f.write_str("false"),
            Filter::All(filters) => {
                join(filters, " and ", |filter| matches!(filter, Filter::All(_) | Filter::Any(_)), f)
            }
            Filter::Any(filters) => join(filters, " or ", |filter| matches!(filter, Filter::Any(_)), f),
            Filter::Not(filter) => {
                f.write_str("not ")?;
                enclosed(filter, matches!(**filter, Filter::All(_) | Filter::Any(_)), f)
            }
            Filter::Condition(condition) => condition.fmt(f),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let path = PathText(&self.path);
        match &self.test {
            Test::In(values) => match values.as_slice() {
                [Value::Null] => write!(f, "{path} is null"),
                [value] => write!(f, "{path} = {}", Literal(value)),
                values => write!(f, "{path} in [{}]", list(values, Literal)),
            },
            Test::Range { from: Bound::Included(from), to: Bound::Included(to) } => {
                write!(f, "{path} between {} and {}", Literal(from), Literal(to))
            }
            Test::Range { from, to } => {
                if let Bound::Included(value) | Bound::Excluded(value) = from
                    && !matches!(to, Bound::Unbounded)
                {
                    write!(f, "{} {} ", Literal(value), if matches!(from, Bound::Included(_)) { "<=" } else { "<" })?;
                }
                write!(f, "{path}")?;
                match (from, to) {
                    (_, Bound::Included(value)) => write!(f, " <= {}", Literal(value)),
                    (_, Bound::Excluded(value)) => write!(f, " < {}", Literal(value)),
                    (Bound::Included(value), Bound::Unbounded) => write!(f, " >= {}", Literal(value)),
                    (Bound::Excluded(value), Bound::Unbounded) => write!(f, " > {}", Literal(value)),
                    (Bound::Unbounded, Bound::Unbounded) => f.write_str(" between null and null"),
                }
            }
            Test::StartsWith(prefix) => {
                write!(f, "{path} starts with ")?;
                write_text(prefix, f)
            }
            Test::Exists(true) => return write!(f, "{path} exists"),
            Test::Exists(false) => return write!(f, "{path} does not exist"),
        }?;
        if self.folded { f.write_str(" ignoring case") } else { Ok(()) }
    }
}

/// Puts spaces between clauses.
struct Clauses<'f, 'o> {
    f: &'f mut Formatter<'o>,
    is_first: bool,
}

impl<'o> Clauses<'_, 'o> {
    fn next(&mut self) -> Result<&mut Formatter<'o>, fmt::Error> {
        if !core::mem::take(&mut self.is_first) {
            self.f.write_char(' ')?;
        }
        Ok(self.f)
    }
}

fn join(filters: &[Filter], word: &str, needs: fn(&Filter) -> bool, f: &mut Formatter<'_>) -> fmt::Result {
    for (place, filter) in filters.iter().enumerate() {
        if place > 0 {
            f.write_str(word)?;
        }
        enclosed(filter, needs(filter), f)?;
    }
    Ok(())
}

fn enclosed(filter: &Filter, needs: bool, f: &mut Formatter<'_>) -> fmt::Result {
    if needs { write!(f, "({filter})") } else { filter.fmt(f) }
}

/// Items as `text` has them, with commas between them.
fn list<'i, T, D>(items: &'i [T], text: fn(&'i T) -> D) -> List<'i, T, D> {
    List { items, text }
}

struct List<'i, T, D> {
    items: &'i [T],
    text: fn(&'i T) -> D,
}

impl<T, D: Display> Display for List<'_, T, D> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, item) in self.items.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            (self.text)(item).fmt(f)?;
        }
        Ok(())
    }
}

struct OrderText<'o>(&'o Order);

impl Display for OrderText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", PathText(&self.0.path), if self.0.descending { " desc" } else { "" })
    }
}

/// A path, with backquotes where a name needs them.
struct PathText<'p>(&'p Path);

impl Display for PathText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_single = self.0.names().len() == 1;
        for (place, name) in self.0.names().enumerate() {
            if place > 0 {
                f.write_char('.')?;
            }
            let begins = name.chars().next().is_some_and(if place == 0 { begins_name } else { continues_name });
            if begins && name.chars().all(continues_name) && !(is_single && is_reserved(name)) {
                f.write_str(name)?;
            } else {
                write!(f, "`{}`", name.replace('`', "``"))?;
            }
        }
        Ok(())
    }
}

/// A value as the language has it; a map, which no query can hold, as messages have it.
struct Literal<'v>(&'v Value);

impl Display for Literal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Float(float) if float.is_infinite() => {
                f.write_str(if *float > 0.0 { "infinity" } else { "-infinity" })
            }
            Value::Text(text) => write_text(text, f),
            Value::Bytes(bytes) => {
                f.write_str("bytes(\"")?;
                write_hex(bytes, f)?;
                f.write_str("\")")
            }
            // These are short, so all of them is shown.
            value @ Value::Timestamp(_) => write!(f, "timestamp(\"{value}\")"),
            value @ Value::Uuid(_) => write!(f, "uuid(\"{value}\")"),
            Value::Array(values) => write!(f, "[{}]", list(values, Literal)),
            value @ (Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Map(_)) => {
                value.fmt(f)
            }
        }
    }
}
