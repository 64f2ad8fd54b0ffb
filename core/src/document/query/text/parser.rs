//! From text to the tree, by recursive descent.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

use super::token::{self, INFINITY, Placed, Token, error_at, is_reserved};
use super::{NESTING_MAX, literal};
use crate::document::query::{Condition, Filter, Order, PageToken, Query, Test};
use crate::document::{Path, Value};
use crate::error::{Error, Result};

/// Reads a whole query.
pub(super) fn parse(text: &str) -> Result<Query> {
    let mut parser = Parser { text, next: token::next(text, 0)?, nesting: 0 };
    let query = parser.query()?;
    if parser.next.token != Token::End {
        return Err(parser.error("expected 'and', 'or', 'order by', 'reverse', 'limit', 'offset', 'after' or the end"));
    }
    Ok(query)
}

struct Parser<'t> {
    text: &'t str,
    /// What is read next.
    next: Placed<'t>,
    /// Parentheses, `not`s and brackets that are open.
    nesting: usize,
}

/// The signs that compare.
#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    NotEqual,
    Above,
    From,
    Below,
    To,
}

impl<'t> Parser<'t> {
    fn query(&mut self) -> Result<Query> {
        let mut query = Query::new();
        if self.word("select")? {
            query.fields = self.list(Self::path)?;
        }
        let is_where = self.word("where")?;
        if is_where || !self.is_clause() {
            query.filter = Some(self.filter()?);
        }
        if self.word("order")? {
            self.expect("by")?;
            query.order = self.list(Self::order)?;
        }
        query.reverse = self.word("reverse")?;
        if self.word("limit")? {
            query.limit = Some(self.count()?);
        }
        if self.word("offset")? {
            query.offset = self.count()?;
        }
        if self.word("after")? {
            let read = |text: &str| literal::bytes(text).map(PageToken::from_bytes);
            query.after = Some(self.text_as("a page token, hexadecimal digits in quotes", read)?);
        }
        Ok(query)
    }

    /// Whether there is no filter, but what may follow it.
    fn is_clause(&self) -> bool {
        match self.next.token {
            Token::End => true,
            Token::Word(word) => {
                ["order", "reverse", "limit", "offset", "after"].iter().any(|clause| clause.eq_ignore_ascii_case(word))
            }
            _ => false,
        }
    }

    fn filter(&mut self) -> Result<Filter> {
        let mut any = vec![self.both()?];
        while self.word("or")? {
            any.push(self.both()?);
        }
        Ok(joined(any, Filter::Any))
    }

    fn both(&mut self) -> Result<Filter> {
        let mut all = vec![self.one()?];
        while self.word("and")? {
            all.push(self.one()?);
        }
        Ok(joined(all, Filter::All))
    }

    fn one(&mut self) -> Result<Filter> {
        if self.word("not")? {
            return self.nested(|parser| Ok(Filter::Not(Box::new(parser.one()?))));
        }
        if self.sign("(")? {
            let filter = self.nested(Self::filter)?;
            self.expect_sign(")")?;
            return Ok(filter);
        }
        let Some(value) = self.value()? else { return self.condition() };
        match (self.comparison()?, value) {
            (Some(comparison), value) => self.turned(value, comparison),
            (None, Value::Bool(true)) => Ok(Filter::All(Vec::new())),
            (None, Value::Bool(false)) => Ok(Filter::nothing()),
            (None, _) => Err(self.error("expected one of = < <= > >= and a name")),
        }
    }

    /// A condition that begins with its value, and perhaps has another behind the path.
    fn turned(&mut self, value: Value, comparison: Comparison) -> Result<Filter> {
        let (path, at) = (self.path()?, self.next.clone());
        // `30 < age` is `age > 30`.
        let comparison = match comparison {
            Comparison::Above => Comparison::Below,
            Comparison::From => Comparison::To,
            Comparison::Below => Comparison::Above,
            Comparison::To => Comparison::From,
            same => same,
        };
        let (mut from, mut to) = match range(comparison, value) {
            Ok(bounds) => bounds,
            Err(value) => return self.finish(path, comparison, value),
        };
        if let Some(second) = self.comparison()? {
            let value = self.expect_value()?;
            let misfit = |_value| error_at(self.text, at.start, at.end, "expected both signs to point the same way");
            match (range(second, value).map_err(misfit)?, &from, &to) {
                ((Bound::Unbounded, end), _, Bound::Unbounded) => to = end,
                ((begin, Bound::Unbounded), Bound::Unbounded, _) => from = begin,
                _ => return Err(misfit(Value::Null)),
            }
        }
        let folded = self.folded()?;
        Ok(Filter::Condition(Condition { path, test: Test::Range { from, to }, folded }))
    }

    fn condition(&mut self) -> Result<Filter> {
        let path = self.path()?;
        if let Some(comparison) = self.comparison()? {
            let value = self.expect_value()?;
            return self.finish(path, comparison, value);
        }
        let mut negated = false;
        let test = if self.word("between")? {
            let from = self.expect_value()?;
            self.expect("and")?;
            Test::Range { from: Bound::Included(from), to: Bound::Included(self.expect_value()?) }
        } else if self.word("in")? {
            self.expect_sign("[")?;
            Test::In(self.values()?)
        } else if self.word("starts")? {
            self.expect("with")?;
            Test::StartsWith(self.text_as("a text in quotes", |text| Some(text.into()))?)
        } else if self.word("is")? {
            negated = self.word("not")?;
            self.expect("null")?;
            Test::In(vec![Value::Null])
        } else if self.word("exists")? {
            Test::Exists(true)
        } else if self.word("does")? {
            self.expect("not")?;
            self.expect("exist")?;
            Test::Exists(false)
        } else {
            let what = "expected one of = != < <= > >= 'between', 'in', 'starts with', 'exists', 'is null'";
            return Err(self.error(what));
        };
        let folded = !matches!(test, Test::Exists(_)) && self.folded()?;
        let condition = Filter::Condition(Condition { path, test, folded });
        Ok(if negated { Filter::Not(Box::new(condition)) } else { condition })
    }

    /// The condition of a path, a sign and a value, that were read.
    fn finish(&mut self, path: Path, comparison: Comparison, value: Value) -> Result<Filter> {
        let folded = self.folded()?;
        let test = match range(comparison, value) {
            Ok((from, to)) => Test::Range { from, to },
            Err(value) => Test::In(vec![value]),
        };
        let condition = Filter::Condition(Condition { path, test, folded });
        let negated = matches!(comparison, Comparison::NotEqual);
        Ok(if negated { Filter::Not(Box::new(condition)) } else { condition })
    }

    fn folded(&mut self) -> Result<bool> {
        let folded = self.word("ignoring")?;
        if folded {
            self.expect("case")?;
        }
        Ok(folded)
    }

    fn comparison(&mut self) -> Result<Option<Comparison>> {
        let comparison = match self.next.token {
            Token::Sign("=") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign(">") => Comparison::Above,
            Token::Sign(">=") => Comparison::From,
            Token::Sign("<") => Comparison::Below,
            Token::Sign("<=") => Comparison::To,
            _ => return Ok(None),
        };
        self.step()?;
        Ok(Some(comparison))
    }

    fn order(&mut self) -> Result<Order> {
        let path = self.path()?;
        let descending = self.word("desc")?;
        if !descending {
            self.word("asc")?;
        }
        Ok(Order { path, descending })
    }

    fn path(&mut self) -> Result<Path> {
        let path = match &self.next.token {
            Token::Word(word) if is_reserved(word) => {
                let what =
                    format!("expected a name; '{word}' is a word of the language, so as a name it is written `{word}`");
                return Err(self.error(&what));
            }
            Token::Word(word) => Path::of([*word]),
            Token::Names(names) => Path::of(names.iter().map(String::as_str)),
            _ => return Err(self.error("expected a name")),
        };
        let path = path.map_err(|error| self.error(&format!("{error}")))?;
        self.step()?;
        Ok(path)
    }

    fn count(&mut self) -> Result<u64> {
        let Token::Number(number) = self.next.token else { return Err(self.error("expected a whole number")) };
        let count = number.parse().map_err(|_error| self.error("expected a whole number, at least 0"))?;
        self.step()?;
        Ok(count)
    }

    fn expect_value(&mut self) -> Result<Value> {
        match self.value()? {
            Some(value) => Ok(value),
            None if matches!(self.next.token, Token::Word(_)) => {
                Err(self.error("expected a value; a text is written in quotes"))
            }
            None => Err(self.error("expected a value")),
        }
    }

    /// The value that is next, if it is one.
    fn value(&mut self) -> Result<Option<Value>> {
        let value = match &self.next.token {
            Token::Number(number) => self.number(number)?,
            Token::Text(text) => Value::Text(text.clone()),
            Token::Sign("-") => {
                self.step()?;
                self.expect(INFINITY)?;
                return Ok(Some(Value::Float(f64::NEG_INFINITY)));
            }
            Token::Sign("[") => {
                self.step()?;
                return Ok(Some(Value::Array(self.nested(Self::values)?)));
            }
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                INFINITY => Value::Float(f64::INFINITY),
                "timestamp" => {
                    let what = "a moment as \"2026-11-21T10:00:00Z\", with at most six digits of a second";
                    return self.called(what, |text| literal::timestamp(text).map(Value::Timestamp));
                }
                "uuid" => {
                    let what = "a UUID as \"00112233-4455-6677-8899-aabbccddeeff\"";
                    return self.called(what, |text| literal::uuid(text).map(Value::Uuid));
                }
                "bytes" => {
                    let what = "two hexadecimal digits for each byte, in quotes";
                    return self.called(what, |text| literal::bytes(text).map(Value::Bytes));
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.step()?;
        Ok(Some(value))
    }

    /// A value of a word and a text in parentheses; without the parentheses the word is a name.
    fn called(&mut self, what: &str, read: impl FnOnce(&str) -> Option<Value>) -> Result<Option<Value>> {
        if token::next(self.text, self.next.end)?.token != Token::Sign("(") {
            return Ok(None);
        }
        self.step()?;
        self.step()?;
        let value = self.text_as(what, read)?;
        self.expect_sign(")")?;
        Ok(Some(value))
    }

    fn number(&self, number: &str) -> Result<Value> {
        if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            let integer = number.parse().ok().filter(|integer| (-(1 << 64)..1_i128 << 64).contains(integer));
            return integer.map(Value::Integer).ok_or_else(|| self.error("integers are from -2^64 to 2^64 - 1"));
        }
        // Of what else could be read as a float there are only words, which do not begin with a digit.
        let float = number.parse::<f64>().ok().filter(|float| float.is_finite());
        float.map(Value::Float).ok_or_else(|| self.error("expected a number, at most 1.8e308"))
    }

    /// Values up to the bracket that closes.
    fn values(&mut self) -> Result<Vec<Value>> {
        if self.sign("]")? {
            return Ok(Vec::new());
        }
        let values = self.list(Self::expect_value)?;
        self.expect_sign("]")?;
        Ok(values)
    }

    /// At least one, with commas between them.
    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.sign(",")? {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn text_as<T>(&mut self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let found = if let Token::Text(text) = &self.next.token { read(text) } else { None };
        let found = found.ok_or_else(|| self.error(&format!("expected {what}")))?;
        self.step()?;
        Ok(found)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting >= NESTING_MAX {
            return Err(self.error("more than 64 parentheses, brackets and 'not's are within each other"));
        }
        self.nesting += 1;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    /// Goes on behind `word`, if it is next.
    fn word(&mut self, word: &str) -> Result<bool> {
        let is_next = matches!(self.next.token, Token::Word(next) if next.eq_ignore_ascii_case(word));
        if is_next {
            self.step()?;
        }
        Ok(is_next)
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.word(word)? { Ok(()) } else { Err(self.error(&format!("expected '{word}'"))) }
    }

    fn sign(&mut self, sign: &str) -> Result<bool> {
        let is_next = matches!(self.next.token, Token::Sign(next) if next == sign);
        if is_next {
            self.step()?;
        }
        Ok(is_next)
    }

    fn expect_sign(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign)? { Ok(()) } else { Err(self.error(&format!("expected '{sign}'"))) }
    }

    fn step(&mut self) -> Result<()> {
        self.next = token::next(self.text, self.next.end)?;
        Ok(())
    }

    fn error(&self, what: &str) -> Error {
        error_at(self.text, self.next.start, self.next.end, what)
    }
}

/// What is greater or less than a value; the value itself for the signs of equality.
fn range(comparison: Comparison, value: Value) -> Result<(Bound<Value>, Bound<Value>), Value> {
    match comparison {
        Comparison::Above => Ok((Bound::Excluded(value), Bound::Unbounded)),
        Comparison::From => Ok((Bound::Included(value), Bound::Unbounded)),
        Comparison::Below => Ok((Bound::Unbounded, Bound::Excluded(value))),
        Comparison::To => Ok((Bound::Unbounded, Bound::Included(value))),
        Comparison::Equal | Comparison::NotEqual => Err(value),
    }
}

fn joined(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        last => {
            filters.extend(last);
            join(filters)
        }
    }
}
