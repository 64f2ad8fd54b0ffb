//! The builder, and the form that its queries have.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

use super::*;
use crate::document::{Path, Value};

fn normal(filter: impl Into<Where>) -> Option<Filter> {
    Query::new().filter(filter).normalised().unwrap().filter
}

fn refused(query: Query) -> alloc::string::String {
    query.normalised().unwrap_err().to_string()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn one(text: &str, test: Test) -> Filter {
    Filter::Condition(Condition { path: path(text), test, folded: false })
}

#[test]
fn the_builder_makes_the_tree_that_it_says() {
    let token = PageToken::from_bytes([1, 2]);
    let query = Query::new()
        .filter(
            field("age").between(30, 40).and(field("country").equals("FI")).or(field("name").starts_with("A").fold()),
        )
        .order_by("age")
        .descending()
        .order_by("name")
        .limit(10)
        .offset(5)
        .after(token.clone())
        .select(["name", "age"]);
    let query = query.normalised().unwrap();
    let age = Test::Range { from: Bound::Included(30.into()), to: Bound::Included(40.into()) };
    let name = Condition { path: path("name"), test: Test::StartsWith("A".into()), folded: true };
    let expected = Filter::Any(vec![
        Filter::All(vec![one("age", age), one("country", Test::In(vec!["FI".into()]))]),
        Filter::Condition(name),
    ]);
    assert_eq!(query.filter_by(), Some(&expected));
    assert_eq!(
        query.order(),
        [Order { path: path("age"), descending: true }, Order { path: path("name"), descending: false }]
    );
    assert_eq!((query.limit_count(), query.offset_count()), (Some(10), 5));
    assert_eq!(query.after_token(), Some(&token));
    assert_eq!(query.fields(), [path("name"), path("age")]);
    assert_eq!(query.clone().normalised(), Ok(query));
}

#[test]
fn all_and_any_are_flat_and_hold_at_least_two() {
    let (a, b, c) = (field("a").equals(1), field("b").equals(2), field("c").equals(3));
    let [fa, fb, fc] = [&a, &b, &c].map(|filter| filter.clone().build().unwrap());
    let all = Some(Filter::All(vec![fa.clone(), fb.clone(), fc.clone()]));
    assert_eq!(normal(a.clone().and(b.clone().and(c.clone()))), all);
    assert_eq!(normal(a.clone().and(b.clone()).and(c.clone())), all);
    assert_eq!(
        normal(Filter::All(vec![Filter::Any(vec![fa.clone()]), Filter::All(vec![fb.clone(), fc.clone()])])),
        all
    );
    assert_eq!(normal(a.clone().or(b.clone().or(c))), Some(Filter::Any(vec![fa.clone(), fb.clone(), fc])));
    assert_eq!(normal(not(not(a.clone()))), Some(fa.clone()));
    assert_eq!(normal(not(field("a").exists())), Some(one("a", Test::Exists(false))));
    assert_eq!(Query::new().filter(a).filter(b).normalised().unwrap().filter, Some(Filter::All(vec![fa, fb])));
}

#[test]
fn what_nothing_can_be_is_found_and_what_everything_is_too() {
    let (a, nothing) = (field("a").equals(1), field("b").between(5, 3));
    let fa = a.clone().build().unwrap();
    assert_eq!(normal(nothing.clone()), Some(Filter::nothing()));
    assert_eq!(
        normal(field("b").range((Bound::Excluded(5.into()), Bound::Included(5.0.into())))),
        Some(Filter::nothing())
    );
    assert_eq!(normal(field("b").is_in(Vec::<Value>::new())), Some(Filter::nothing()));
    assert_eq!(normal(a.clone().and(nothing.clone())), Some(Filter::nothing()));
    assert_eq!(normal(a.clone().or(nothing.clone())), Some(fa));
    assert_eq!(normal(not(nothing.clone())), None);
    assert_eq!(normal(a.or(not(nothing.clone()))), None);
    assert_eq!(normal(not(not(nothing))), Some(Filter::nothing()));
}

#[test]
fn values_are_in_order_each_once() {
    let values = [Value::from("x"), 3.into(), 1.into(), 3.0.into(), Value::Null, "x".into()];
    let expected = vec![Value::Null, 1.into(), 3.into(), "x".into()];
    assert_eq!(normal(field("a").is_in(values)), Some(one("a", Test::In(expected))));
    assert_eq!(normal(field("a").between(3, 3.0)), Some(one("a", Test::In(vec![3.into()]))));
    assert_eq!(normal(field("a").is_null()), Some(one("a", Test::In(vec![Value::Null]))));
}

#[test]
fn reverse_turns_the_order_around_and_keys_follow_its_last_path() {
    let query = |query: Query| query.normalised().unwrap();
    let ordered = query(Query::new().order_by("a").order_by("b").descending().order_by("a").reverse());
    assert_eq!(
        ordered.order(),
        [Order { path: path("a"), descending: true }, Order { path: path("b"), descending: false }]
    );
    assert_eq!((ordered.is_reverse(), ordered.keys_descend()), (false, false));
    let keys = query(Query::new().reverse());
    assert_eq!((keys.is_reverse(), keys.keys_descend()), (true, true));
    assert!(!query(Query::new().reverse().reverse()).keys_descend());
    assert!(query(Query::new().order_by("a").descending()).keys_descend());
}

#[test]
fn what_cannot_be_asked_is_told_with_its_path_when_the_query_is_used() {
    let check = |query: Query, expected: &str| {
        let message = refused(query);
        assert!(message.contains(expected), "{message}");
    };
    let filter = |filter: Where| Query::new().filter(filter);
    check(filter(field("a..b").equals(1).and(field("").equals(2))), "\"a..b\" is no path");
    check(Query::new().order_by("x."), "\"x.\" is no path");
    check(Query::new().select(["ok", ".x"]), "\".x\" is no path");
    check(Query::new().descending(), "'descending' follows 'order_by'");
    check(filter(field("a.b").equals(Value::Map(vec![]))), "'a.b' cannot be compared with {}: a map cannot be a key");
    check(filter(field("age").above(f64::NAN)), "'age' cannot be compared with NaN");
    check(filter(field("age").equals(Value::Array(vec![f64::NAN.into()]))), "'age' cannot be compared with [NaN]");
    check(filter(field("age").between(1, "x")), "'age' is asked for a range from integer to text");
    check(filter(field("age").above(Value::Null)), "'age' is compared with null as the end of a range");
    check(
        filter(field("age").range((Bound::Unbounded, Bound::Unbounded))),
        "'age' is asked for a range without an end",
    );
    check(filter(field("age").equals(Value::Integer(1 << 64))), "'age' cannot be compared with 18446744073709551616: ");
    // Said even where the rest already finds nothing.
    check(filter(field("b").between(5, 3).and(field("age").between(1, "x"))), "'age'");
}

#[test]
fn queries_have_limits() {
    let check = |query: Query, expected: &str| {
        let message = refused(query);
        assert!(message.contains(expected), "{message}");
    };
    let conditions = |count: i64| (1..count).fold(field("a").equals(0), |filter, at| filter.or(field("a").equals(at)));
    let deep = |count: usize| (1..count).fold(field("a").equals(0), |filter, _| not(filter));
    Query::new().filter(conditions(256)).normalised().unwrap();
    check(Query::new().filter(conditions(257)), "the number of conditions is 257, more than the limit of 256");
    Query::new().filter(deep(64)).normalised().unwrap();
    check(Query::new().filter(deep(65)), "the depth of the filter is 65, more than the limit of 64");
    Query::new().filter(field("a").is_in(0..1000)).normalised().unwrap();
    check(Query::new().filter(field("a").is_in(0..1001)), "the number of values of one 'in' is 1001");
    let orders = |count: usize| (0..count).fold(Query::new(), |query, at| query.order_by(&at.to_string()));
    orders(16).normalised().unwrap();
    check(orders(17), "the number of paths in the order is 17");
    check(Query::new().select((0..257).map(|at| at.to_string())), "the number of fields selected is 257");
}
