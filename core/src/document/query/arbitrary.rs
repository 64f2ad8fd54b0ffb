//! Any queries, and documents that they find now and then, for property tests.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

use proptest::collection::vec as many;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::{Condition, Filter, Order, PageToken, Query, Test};
use crate::document::{Path, Value};

/// Names of fields: mostly a few, so that documents have what queries ask for.
pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "0", "1"]).prop_map(String::from),
        1 => prop::sample::select(vec!["and", "Limit", "order", "x y", "`", "a`b", "a.b", r"\", "é", "$_1", "-", "infinity", "bytes", "\n"])
            .prop_map(String::from),
    ]
}

pub(super) fn path() -> impl Strategy<Value = Path> {
    many(name(), 1..4).prop_map(|names| Path::of(names.iter().map(String::as_str)).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[abAé]{0,3}", 1 => any::<String>()]
}

/// Values that are no containers.
fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::Bool),
        6 => (-3..4_i128).prop_map(Value::Integer),
        1 => prop::sample::select(vec![-(1 << 64), (1_i128 << 64) - 1, 1 << 53, (1 << 53) + 1]).prop_map(Value::Integer),
        3 => prop::sample::select(vec![0.0, -0.0, 1.0, 1.5, -2.5, 9_007_199_254_740_992.0, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY])
            .prop_map(Value::Float),
        1 => any::<f64>().prop_map(|float| Value::Float(if float.is_nan() { 0.5 } else { float })),
        6 => text().prop_map(Value::Text),
        1 => many(any::<u8>(), 0..3).prop_map(Value::Bytes),
        1 => (-2..3_i64).prop_map(Value::Timestamp),
        1 => any::<i64>().prop_map(Value::Timestamp),
        1 => any::<[u8; 16]>().prop_map(Value::Uuid),
    ]
}

/// Values that can be keys.
pub(super) fn key() -> impl Strategy<Value = Value> {
    prop_oneof![9 => single(), 1 => many(single(), 0..3).prop_map(Value::Array)]
}

/// Values as documents hold them: with maps, arrays of them, NaN.
pub(super) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![12 => single(), 1 => Just(Value::Float(f64::NAN))];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![many(inner.clone(), 0..4).prop_map(Value::Array), fields(inner).prop_map(Value::Map)]
    })
}

fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::btree_map(name(), value, 0..5).prop_map(|fields| fields.into_iter().collect())
}

pub(super) fn document() -> impl Strategy<Value = Value> {
    fields(value()).prop_map(Value::Map)
}

fn bound() -> impl Strategy<Value = Bound<Value>> {
    prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn test() -> impl Strategy<Value = Test> {
    // Two of one kind are more often a range.
    let numbers = (any::<u8>(), -3..4_i128, -3..4_i128).prop_map(|(kinds, a, b)| {
        let bound = |value, excluded| if excluded { Bound::Excluded(value) } else { Bound::Included(value) };
        Test::Range {
            from: bound(Value::Integer(a), kinds & 1 == 0),
            to: bound(Value::Float(b as f64), kinds & 2 == 0),
        }
    });
    prop_oneof![
        3 => many(key(), 0..4).prop_map(Test::In),
        2 => (bound(), bound()).prop_map(|(from, to)| Test::Range { from, to }),
        2 => numbers,
        1 => text().prop_map(Test::StartsWith),
        1 => any::<bool>().prop_map(Test::Exists),
    ]
}

pub(super) fn condition() -> impl Strategy<Value = Condition> {
    (path(), test(), any::<bool>()).prop_map(|(path, test, folded)| Condition { path, test, folded })
}

pub(super) fn filter() -> impl Strategy<Value = Filter> {
    let leaf = condition().prop_map(Filter::Condition);
    leaf.prop_recursive(4, 16, 4, |inner| {
        Union::new([
            many(inner.clone(), 0..4).prop_map(Filter::All).boxed(),
            many(inner.clone(), 0..4).prop_map(Filter::Any).boxed(),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))).boxed(),
        ])
    })
}

/// Any query, such as cannot be asked among them.
pub(super) fn query() -> impl Strategy<Value = Query> {
    let order = (path(), any::<bool>()).prop_map(|(path, descending)| Order { path, descending });
    let page = (option::of(any::<u64>()), prop_oneof![Just(0), any::<u64>()], option::of(many(any::<u8>(), 0..12)));
    let parts = (option::of(filter()), many(order, 0..3), any::<bool>(), page, many(path(), 0..3));
    parts.prop_map(|(filter, order, reverse, (limit, offset, after), fields)| Query {
        filter,
        order,
        reverse,
        limit,
        offset,
        after: after.map(PageToken::from_bytes),
        fields,
        error: None,
    })
}
