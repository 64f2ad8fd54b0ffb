//! Filters and orders on encoded documents against the same on values.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{Condition, Filter, Query, SortOrder, Test, arbitrary, field, naive, not};
use crate::document::{Path, Value, cbor, key};
use crate::table::KeyBuffer;

fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().collect()
}

#[test]
fn conditions_mean_what_the_language_says() {
    let document = map([
        ("age", 36.into()),
        ("name", "Ada Lovelace".into()),
        ("city", "Málaga".into()),
        ("gone", Value::Null),
        ("tags", Value::Array(vec!["x".into(), 7.into(), Value::Null, Value::Array(vec![1.into(), 2.into()])])),
        ("empty", Value::Array(vec![])),
        ("homes", Value::Array(vec![map([("no", 1.into())]), map([("no", 5.into())]), map([])])),
        ("map", map([("a", 1.into())])),
        ("nan", f64::NAN.into()),
    ]);
    let bytes = cbor::encode(&document).unwrap();
    let check = |filter: super::Where, expected: bool| {
        let filter = filter.build().unwrap();
        assert_eq!(filter.matches(&bytes).unwrap(), expected, "{filter}");
        assert_eq!(naive::finds(&filter, &document), expected, "{filter}");
    };
    check(field("age").equals(36.0), true);
    check(field("age").between(36, 40), true);
    check(field("age").above(36), false);
    check(field("age").below("z"), false);
    check(field("age").above(true), false);
    check(field("name").starts_with("Ada"), true);
    check(field("name").starts_with(""), true);
    check(field("age").starts_with(""), false);
    check(field("name").starts_with("ada"), false);
    check(field("name").starts_with("ADA").fold(), true);
    check(field("city").equals("malaga").fold(), true);
    check(field("city").between("mal", "malb").fold(), true);
    // Missing and null are the same.
    for path in ["gone", "missing", "age.x", "map.b", "tags.x.y", "tags.9"] {
        check(field(path).is_null(), true);
        check(field(path).exists(), false);
        check(field(path).is_in([Value::from(1), Value::Null]), true);
        check(field(path).from(Value::from(false)), false);
        check(not(field(path).above(30)), true);
    }
    // Elements answer, the array does not.
    check(field("tags").equals("x"), true);
    check(field("tags").equals(7).and(field("tags").equals("x")), true);
    check(field("tags").between(6, 8), true);
    check(field("tags").is_null(), true);
    check(field("tags").exists(), true);
    check(field("tags").equals(Value::Array(vec![1.into(), 2.into()])), true);
    check(field("tags").equals(1), false);
    check(field("tags.3").equals(1), true);
    check(field("tags.0").equals("x"), true);
    check(field("tags.1").equals("x"), false);
    check(field("empty").exists(), true);
    check(field("empty").is_null(), false);
    check(field("empty").equals(Value::Array(vec![])), false);
    check(field("homes.no").equals(5), true);
    check(field("homes.no").above(5), false);
    check(field("homes.no").is_null(), false);
    check(field("homes.1.no").equals(5), true);
    // What is no key is found by 'exists' alone.
    for path in ["map", "nan"] {
        check(field(path).exists(), true);
        check(field(path).is_null(), false);
        check(field(path).above(f64::NEG_INFINITY), false);
    }
}

#[test]
fn filters_of_no_one_s_normal_form_are_judged_too() {
    let bytes = cbor::encode(&map([("a", 1.into())])).unwrap();
    assert!(Filter::All(vec![]).matches(&bytes).unwrap());
    assert!(!Filter::nothing().matches(&bytes).unwrap());
    assert!(field("a").between(2, 1).build().unwrap().matches(&bytes).is_ok_and(|matches| !matches));
    let error = field("a").between(1, "x").build().unwrap().matches(&bytes).unwrap_err();
    assert!(alloc::format!("{error}").contains("'a' is asked for a range"));
}

#[test]
fn results_are_in_the_order_asked_for() {
    let documents = [
        map([("a", 2.into()), ("b", "x".into())]),
        map([("a", 1.0.into()), ("b", "y".into())]),
        map([("a", 1.into()), ("b", "z".into())]),
        map([]),
        map([("a", map([]))]),
        map([("a", "t".into())]),
    ];
    let order = |query: Query| -> Vec<usize> {
        let order = SortOrder::of(&query.normalised().unwrap());
        let key = |at, document| order.key(&cbor::encode(document).unwrap(), &[at as u8]).unwrap();
        let mut keyed: Vec<_> = documents.iter().enumerate().map(|(at, document)| (key(at, document), at)).collect();
        keyed.sort();
        keyed.into_iter().map(|(_, at)| at).collect()
    };
    assert_eq!(order(Query::new()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(order(Query::new().reverse()), [5, 4, 3, 2, 1, 0]);
    assert_eq!(order(Query::new().order_by("a")), [3, 1, 2, 0, 5, 4]);
    assert_eq!(order(Query::new().order_by("a").descending()), [4, 5, 0, 2, 1, 3]);
    assert_eq!(order(Query::new().order_by("a").order_by("b").descending()), [3, 2, 1, 0, 5, 4]);
    assert_eq!(order(Query::new().order_by("a").order_by("b").descending().reverse()), [4, 5, 0, 1, 2, 3]);
}

proptest! {
    #[test]
    fn encoded_documents_are_judged_as_their_values_are(
        filter in arbitrary::filter(),
        documents in proptest::collection::vec(arbitrary::document(), 1..6),
    ) {
        let Ok(normal) = filter.clone().normalised() else { return Ok(()) };
        let compiled = filter.compiled().unwrap();
        for document in &documents {
            let found = compiled.matches(&cbor::encode(document).unwrap()).unwrap();
            prop_assert_eq!(found, naive::finds(&filter, document), "{} in {}", filter, document);
            prop_assert_eq!(found, naive::finds(&normal, document), "{} in {}", normal, document);
        }
    }

    /// Conditions on a field that is there, which random documents rarely are.
    #[test]
    fn a_value_answers_a_condition_as_its_key_lies_in_the_spans(
        condition in arbitrary::condition(),
        value in prop_oneof![arbitrary::key(), arbitrary::value()],
    ) {
        let path = Path::parse("a").unwrap();
        let filter = Filter::Condition(Condition { path, ..condition });
        let Ok(normal) = filter.clone().normalised() else { return Ok(()) };
        let document = map([("a", value.clone())]);
        let found = naive::finds(&filter, &document);
        prop_assert_eq!(filter.matches(&cbor::encode(&document).unwrap()).unwrap(), found, "{} in {}", filter, document);

        let Filter::Condition(condition) = normal else { return Ok(()) };
        let spans = condition.spans().unwrap();
        prop_assert!(spans.iter().all(|span| span.start < span.end), "{:?}", spans);
        prop_assert!(spans.iter().zip(spans.iter().skip(1)).all(|(a, b)| a.end <= b.start), "{:?}", spans);
        let mut key = KeyBuffer::new();
        let encoded = if condition.folded {
            cbor::encode_folded_key_of(&cbor::encode(&value).unwrap(), &mut key)
        } else {
            key::encode(&value, &mut key)
        };
        if encoded.is_ok() && (!matches!(value, Value::Array(_)) || matches!(condition.test, Test::Exists(_))) {
            // Whatever follows the part in an entry.
            for rest in [&[][..], &[0], &[0xff; 3]] {
                let entry = [key.as_slice(), rest].concat();
                let spanned = spans.iter().any(|span| span.contains(&entry));
                prop_assert_eq!(spanned, found, "{} in {}", condition, document);
            }
        }
    }

    #[test]
    fn sort_keys_are_in_the_order_of_the_documents(
        query in arbitrary::query(),
        a in arbitrary::document(),
        b in arbitrary::document(),
        keys in any::<(u16, u16)>(),
    ) {
        let query = Query { filter: None, ..query }.normalised().unwrap();
        let order = SortOrder::of(&query);
        let keys = (keys.0.to_be_bytes(), keys.1.to_be_bytes());
        let key = |document: &Value, key: &[u8]| order.key(&cbor::encode(document).unwrap(), key).unwrap();
        let expected = naive::compare(query.order(), query.keys_descend(), (&a, &keys.0), (&b, &keys.1));
        prop_assert_eq!(key(&a, &keys.0).cmp(&key(&b, &keys.1)), expected, "{} of {} and {}", query, a, b);
    }
}
