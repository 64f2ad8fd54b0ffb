//! Queries and updates as maps: the form in which other languages hand them over, and scripts hold them.
//!
//! ```text
//! {"where": FILTER, "orderBy": [{"path": "age", "descending": true}], "reverse": false, "limit": 10, "offset": 0,
//!  "after": BYTES, "select": ["name"]}
//!
//! FILTER    {"all": [FILTER…]}   {"any": [FILTER…]}   {"not": FILTER}   CONDITION
//! CONDITION {"path": "age", TEST}, with "fold": true beside it to ignore case and accents
//! TEST      "equals": VALUE   "in": [VALUE…]   "startsWith": "A"   "exists": true
//!           "from" or "above": VALUE and/or "to" or "below": VALUE
//! UPDATE    [{"set": "name", "value": VALUE}, {"increment": "visits", "by": 1}, {"remove": "draft"}, {"patch": {…}}]
//! ```
//!
//! All members of a query may be left out, or null. A member that is not one of these is an error.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

use super::ast::{Condition, Filter, Order, Query, Test};
use super::limits::{DEPTH_MAX, within};
use super::token::PageToken;
use super::update::{FieldChange, Update};
use crate::document::{Path, Value, cbor};
use crate::error::{Error, Result};

impl Query {
    /// Reads a query from a map.
    ///
    /// ```
    /// # use lightning_db::{Query, Value, field};
    /// let age: Value = [("path", Value::from("age")), ("from", 30.into())].into_iter().collect();
    /// let map: Value = [("where", age), ("limit", 10.into())].into_iter().collect();
    /// assert_eq!(Query::from_value(&map)?, Query::new().filter(field("age").from(30)).limit(10));
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn from_value(value: &Value) -> Result<Self> {
        let map = Members::of("the query", value)?;
        map.only(&["where", "orderBy", "reverse", "limit", "offset", "after", "select"])?;
        let mut query = Query::new();
        query.filter = map.given("where").map(|value| filter(value, 1)).transpose()?;
        for value in map.list("orderBy")? {
            let order = Members::of("an order", value)?;
            order.only(&["path", "descending"])?;
            query.order.push(Order { path: order.path()?, descending: order.bool("descending")? });
        }
        query.reverse = map.bool("reverse")?;
        query.limit = map.count("limit")?;
        query.offset = map.count("offset")?.unwrap_or(0);
        query.after = map
            .given("after")
            .map(|value| value.as_bytes().map(PageToken::from_bytes).ok_or_else(|| map.wrong("after", "bytes")))
            .transpose()?;
        for value in map.list("select")? {
            query.fields.push(Path::parse(value.as_str().ok_or_else(|| map.wrong("select", "texts"))?)?);
        }
        Ok(query)
    }

    /// Reads a query from a map as CBOR.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self> {
        Self::from_value(&cbor::decode(bytes)?)
    }

    /// The query as CBOR that [`from_cbor`](Query::from_cbor) reads as the same. Fails with what the builder holds, and where
    /// filters lie deeper within each other than CBOR may, about 30.
    pub fn to_cbor(&self) -> Result<Vec<u8>> {
        cbor::encode(&self.to_value()?)
    }

    /// The query as a map that [`from_value`](Query::from_value) reads as the same; fails with what the builder holds.
    pub fn to_value(&self) -> Result<Value> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let mut members: Vec<(&str, Value)> = Vec::new();
        if let Some(filter) = &self.filter {
            members.push(("where", filter_value(filter)));
        }
        if !self.order.is_empty() {
            members.push(("orderBy", self.order.iter().map(order_value).collect()));
        }
        if self.reverse {
            members.push(("reverse", true.into()));
        }
        if let Some(limit) = self.limit {
            members.push(("limit", limit.into()));
        }
        if self.offset != 0 {
            members.push(("offset", self.offset.into()));
        }
        if let Some(token) = &self.after {
            members.push(("after", token.as_bytes().into()));
        }
        if !self.fields.is_empty() {
            members.push(("select", self.fields.iter().map(path_value).collect()));
        }
        Ok(members.into_iter().collect())
    }
}

impl Update {
    /// Reads an update from a list of changes.
    pub fn from_value(value: &Value) -> Result<Self> {
        let changes =
            value.as_array().ok_or_else(|| Error::invalid(format!("an update is a list of changes, not {value}")))?;
        changes.iter().map(change).collect::<Result<Vec<_>>>().map(Into::into)
    }

    /// Reads an update from a list of changes as CBOR.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self> {
        Self::from_value(&cbor::decode(bytes)?)
    }

    /// The update as CBOR that [`from_cbor`](Update::from_cbor) reads as the same.
    pub fn to_cbor(&self) -> Result<Vec<u8>> {
        cbor::encode(&self.to_value()?)
    }

    /// The update as a list that [`from_value`](Update::from_value) reads as the same; fails with what the builder holds.
    pub fn to_value(&self) -> Result<Value> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        Ok(self.changes.iter().map(change_value).collect())
    }
}

/// A map whose members have names that are known.
struct Members<'v> {
    /// What the map stands for.
    what: &'static str,
    map: &'v Value,
    members: &'v [(String, Value)],
}

impl<'v> Members<'v> {
    fn of(what: &'static str, map: &'v Value) -> Result<Self> {
        let members = map.as_map().ok_or_else(|| Error::invalid(format!("{what} is a map, not {map}")))?;
        Ok(Self { what, map, members })
    }

    /// Refuses members of other names.
    fn only(&self, known: &[&str]) -> Result<()> {
        match self.members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(self.error(&format!("has an unknown member '{name}'; there are {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.iter().find_map(|(member, value)| (member == name).then_some(value))
    }

    /// A member that may be left out or null.
    fn given(&self, name: &str) -> Option<&'v Value> {
        self.get(name).filter(|value| !value.is_null())
    }

    fn bool(&self, name: &str) -> Result<bool> {
        let read = |value: &Value| value.as_bool().ok_or_else(|| self.wrong(name, "true or false"));
        self.given(name).map_or(Ok(false), read)
    }

    fn count(&self, name: &str) -> Result<Option<u64>> {
        let read = |value: &Value| {
            let count = value.as_integer().and_then(|integer| u64::try_from(integer).ok());
            count.ok_or_else(|| self.wrong(name, "a whole number, at least 0"))
        };
        self.given(name).map(read).transpose()
    }

    fn list(&self, name: &str) -> Result<&'v [Value]> {
        let read = |value: &'v Value| value.as_array().ok_or_else(|| self.wrong(name, "a list"));
        self.given(name).map_or(Ok(&[]), read)
    }

    fn text(&self, name: &str) -> Result<&'v str> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| self.wrong(name, "a text"))
    }

    fn path(&self) -> Result<Path> {
        Path::parse(self.text("path")?)
    }

    #[cold]
    fn wrong(&self, name: &str, expected: &str) -> Error {
        self.error(&match self.get(name) {
            Some(found) => format!("has {found} as '{name}'; that is to be {expected}"),
            None => format!("has no member '{name}'; that is to be {expected}"),
        })
    }

    #[cold]
    fn error(&self, what: &str) -> Error {
        Error::invalid(format!("{} {} {what}", self.what, self.map))
    }
}

fn filter(value: &Value, depth: usize) -> Result<Filter> {
    within("the depth of the filter", depth, DEPTH_MAX)?;
    let map = Members::of("a filter", value)?;
    let filters = |filters: &Value, name| -> Result<Vec<Filter>> {
        map.only(&[name])?;
        let filters = filters.as_array().ok_or_else(|| map.wrong(name, "a list of filters"))?;
        filters.iter().map(|value| filter(value, depth + 1)).collect()
    };
    if let Some(all) = map.get("all") {
        filters(all, "all").map(Filter::All)
    } else if let Some(any) = map.get("any") {
        filters(any, "any").map(Filter::Any)
    } else if let Some(not) = map.get("not") {
        map.only(&["not"])?;
        Ok(Filter::Not(Box::new(filter(not, depth + 1)?)))
    } else {
        condition(value).map(Filter::Condition)
    }
}

/// The members that are tests; those of a range are two of them.
const RANGE: [&str; 4] = ["from", "above", "to", "below"];

fn condition(value: &Value) -> Result<Condition> {
    let map = Members::of("the condition", value)?;
    map.only(&["path", "fold", "equals", "in", "startsWith", "exists", "from", "above", "to", "below"])?;
    let (path, folded) = (map.path()?, map.bool("fold")?);
    let end = |included, excluded| match (map.get(included), map.get(excluded)) {
        (Some(_), Some(_)) => Err(map.error(&format!("has both '{included}' and '{excluded}'"))),
        (Some(value), None) => Ok(Bound::Included(value.clone())),
        (None, Some(value)) => Ok(Bound::Excluded(value.clone())),
        (None, None) => Ok(Bound::Unbounded),
    };
    let mut tests = Vec::with_capacity(1);
    if let Some(value) = map.get("equals") {
        tests.push(Test::In(vec![value.clone()]));
    }
    if let Some(values) = map.get("in") {
        tests.push(Test::In(values.as_array().ok_or_else(|| map.wrong("in", "a list of values"))?.to_vec()));
    }
    if map.get("startsWith").is_some() {
        tests.push(Test::StartsWith(map.text("startsWith")?.into()));
    }
    if let Some(exists) = map.get("exists") {
        tests.push(Test::Exists(exists.as_bool().ok_or_else(|| map.wrong("exists", "true or false"))?));
    }
    if RANGE.iter().any(|name| map.get(name).is_some()) {
        tests.push(Test::Range { from: end("from", "above")?, to: end("to", "below")? });
    }
    match (tests.pop(), tests.is_empty()) {
        (Some(test), true) => Ok(Condition { path, test, folded }),
        (Some(_), false) => Err(map.error("has several tests; join conditions with 'all'")),
        (None, _) => Err(map.error("has no test, as 'equals' or 'from'")),
    }
}

fn change(value: &Value) -> Result<FieldChange> {
    let map = Members::of("the change", value)?;
    let path = |name| Path::parse(map.text(name)?);
    let operand = |name| map.get(name).cloned().ok_or_else(|| map.wrong(name, "a value"));
    if map.get("set").is_some() {
        map.only(&["set", "value"])?;
        Ok(FieldChange::Set(path("set")?, operand("value")?))
    } else if map.get("increment").is_some() {
        map.only(&["increment", "by"])?;
        Ok(FieldChange::Increment(path("increment")?, operand("by")?))
    } else if map.get("remove").is_some() {
        map.only(&["remove"])?;
        Ok(FieldChange::Remove(path("remove")?))
    } else {
        map.only(&["set", "increment", "remove", "patch"])?;
        Ok(FieldChange::Patch(operand("patch")?))
    }
}

fn filter_value(filter: &Filter) -> Value {
    let list = |name: &str, filters: &[Filter]| map([(name, filters.iter().map(filter_value).collect())]);
    match filter {
        Filter::All(filters) => list("all", filters),
        Filter::Any(filters) => list("any", filters),
        Filter::Not(filter) => map([("not", filter_value(filter))]),
        Filter::Condition(condition) => condition_value(condition),
    }
}

fn condition_value(condition: &Condition) -> Value {
    let mut members = vec![("path", path_value(&condition.path))];
    match &condition.test {
        Test::In(values) => members.push(match values.as_slice() {
            [value] => ("equals", value.clone()),
            values => ("in", Value::Array(values.to_vec())),
        }),
        Test::Range { from, to } => {
            let mut end = |bound: &Bound<Value>, included, excluded| match bound {
                Bound::Included(value) => members.push((included, value.clone())),
                Bound::Excluded(value) => members.push((excluded, value.clone())),
                Bound::Unbounded => {}
            };
            end(from, "from", "above");
            end(to, "to", "below");
        }
        Test::StartsWith(prefix) => members.push(("startsWith", prefix.as_str().into())),
        Test::Exists(exists) => members.push(("exists", (*exists).into())),
    }
    if condition.folded {
        members.push(("fold", true.into()));
    }
    members.into_iter().collect()
}

fn order_value(order: &Order) -> Value {
    let mut members = vec![("path", path_value(&order.path))];
    if order.descending {
        members.push(("descending", true.into()));
    }
    members.into_iter().collect()
}

fn change_value(change: &FieldChange) -> Value {
    match change {
        FieldChange::Set(path, value) => map([("set", path_value(path)), ("value", value.clone())]),
        FieldChange::Increment(path, by) => map([("increment", path_value(path)), ("by", by.clone())]),
        FieldChange::Remove(path) => map([("remove", path_value(path))]),
        FieldChange::Patch(patch) => map([("patch", patch.clone())]),
    }
}

fn path_value(path: &Path) -> Value {
    Value::Text(path.to_string())
}

fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::query::arbitrary;
    use crate::document::query::{field, not};

    fn list<const N: usize>(values: [Value; N]) -> Value {
        values.into_iter().collect()
    }

    #[test]
    fn maps_say_what_the_builder_does() {
        let value = map([
            (
                "where",
                map([(
                    "all",
                    list([
                        map([("path", "age".into()), ("from", 30.into()), ("to", 40.into())]),
                        map([("path", "name".into()), ("startsWith", "A".into()), ("fold", true.into())]),
                        map([(
                            "any",
                            list([
                                map([("path", "n".into()), ("above", 1.into())]),
                                map([("path", "n".into()), ("below", 0.into())]),
                                map([("path", "n".into()), ("equals", Value::Null)]),
                            ]),
                        )]),
                        map([("not", map([("path", "deleted".into()), ("exists", true.into())]))]),
                        map([("path", "tags".into()), ("in", list(["x".into(), "y".into()]))]),
                    ]),
                )]),
            ),
            (
                "orderBy",
                list([map([("path", "age".into()), ("descending", true.into())]), map([("path", "name".into())])]),
            ),
            ("limit", 10.into()),
            ("offset", 5.0.into()),
            ("after", Value::Bytes(vec![1, 2])),
            ("select", list(["name".into(), "a.b".into()])),
            ("reverse", Value::Null),
        ]);
        let n = field("n");
        let filter = field("age")
            .between(30, 40)
            .and(field("name").starts_with("A").fold())
            .and(n.above(1).or(n.below(0)).or(n.is_null()))
            .and(not(field("deleted").exists()))
            .and(field("tags").is_in(["x", "y"]));
        let expected = Query::new()
            .filter(filter)
            .order_by("age")
            .descending()
            .order_by("name")
            .limit(10)
            .offset(5)
            .after(PageToken::from_bytes([1, 2]))
            .select(["name", "a.b"]);
        assert_eq!(Query::from_value(&value).unwrap(), expected);
        assert_eq!(Query::from_value(&map([])).unwrap(), Query::new());
        assert!(Query::new().order_by("..").to_value().is_err());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let check = |value: &Value, expected: &str| {
            let message = Query::from_value(value).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        let condition = |members: &[(&str, Value)]| {
            map([("where", members.iter().map(|(name, value)| (*name, value.clone())).collect())])
        };
        check(&3.into(), "the query is a map, not 3");
        check(
            &map([("limt", 3.into())]),
            "the query {\"limt\":3} has an unknown member 'limt'; there are where, orderBy",
        );
        check(&map([("limit", (-3).into())]), "has -3 as 'limit'; that is to be a whole number, at least 0");
        check(&map([("offset", 0.5.into())]), "has 0.5 as 'offset'");
        check(&map([("after", "x".into())]), "has \"x\" as 'after'; that is to be bytes");
        check(&map([("select", list([3.into()]))]), "as 'select'; that is to be texts");
        check(&map([("select", list(["a..b".into()]))]), "\"a..b\" is no path");
        check(&map([("orderBy", list([map([("path", "a".into()), ("desc", true.into())])]))]), "unknown member 'desc'");
        check(&map([("orderBy", list([map([])]))]), "an order {} has no member 'path'; that is to be a text");
        check(&condition(&[("path", "a".into()), ("frm", 3.into())]), "has an unknown member 'frm'");
        check(&condition(&[("path", "a".into())]), "{\"path\":\"a\"} has no test");
        check(&condition(&[("path", "a".into()), ("equals", 1.into()), ("from", 1.into())]), "has several tests");
        check(
            &condition(&[("path", "a".into()), ("above", 1.into()), ("from", 1.into())]),
            "has both 'from' and 'above'",
        );
        check(&condition(&[("path", "a".into()), ("in", 1.into())]), "has 1 as 'in'; that is to be a list of values");
        check(
            &condition(&[("path", "a".into()), ("startsWith", 1.into())]),
            "has 1 as 'startsWith'; that is to be a text",
        );
        check(
            &condition(&[("path", "a".into()), ("exists", 1.into())]),
            "has 1 as 'exists'; that is to be true or false",
        );
        check(&condition(&[("equals", 1.into())]), "has no member 'path'");
        check(&condition(&[("all", list([])), ("any", list([]))]), "has an unknown member 'any'");
        check(&condition(&[("all", 3.into())]), "has 3 as 'all'; that is to be a list of filters");
        let deep =
            (0..100).fold(map([("path", "a".into()), ("exists", true.into())]), |filter, _| map([("not", filter)]));
        check(&map([("where", deep)]), "the depth of the filter is 65, more than the limit of 64");
    }

    #[test]
    fn updates_are_lists_of_changes() {
        let update = Update::new().set("a", 1).increment("b.c", -1).remove("d").patch(map([("e", Value::Null)]));
        let value = update.to_value().unwrap();
        let expected = r#"[{"set":"a","value":1},{"increment":"b.c","by":-1},{"remove":"d"},{"patch":{"e":null}}]"#;
        assert_eq!(value.to_string(), expected);
        assert_eq!(Update::from_value(&value).unwrap(), update);
        let check = |value: Value, expected: &str| {
            let message = Update::from_value(&value).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(3.into(), "an update is a list of changes, not 3");
        check(list([map([("set", "a".into())])]), "has no member 'value'");
        check(list([map([("set", "a".into()), ("value", 1.into()), ("by", 1.into())])]), "unknown member 'by'");
        check(
            list([map([("delete", "a".into())])]),
            "unknown member 'delete'; there are set, increment, remove, patch",
        );
    }

    proptest! {
        #[test]
        fn a_query_as_a_map_reads_as_the_same(query in arbitrary::query()) {
            let unbounded = |filter: &Filter| {
                let mut found = false;
                filter.for_each_condition(&mut |condition| {
                    found |= matches!(condition.test, Test::Range { from: Bound::Unbounded, to: Bound::Unbounded });
                });
                found
            };
            prop_assume!(!query.filter.as_ref().is_some_and(unbounded));
            prop_assert_eq!(Query::from_value(&query.to_value().unwrap()).unwrap(), query);
        }

        #[test]
        fn any_value_is_a_query_or_an_error(value in arbitrary::value()) {
            let _ = Query::from_value(&value);
            let _ = Query::from_value(&map([("where", value.clone())]));
            let _ = Update::from_value(&value);
        }
    }
}
