//! What keys promise, tried on arbitrary values and arbitrary bytes.
#![allow(clippy::indexing_slicing)]

use alloc::string::ToString;
use alloc::vec;
use core::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::document::strategies;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = KeyBuffer::new();
    encode(value, &mut out).unwrap();
    out.to_vec()
}

/// Arbitrary bytes, of which many begin as keys do.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(vec![
        END, NULL, TRUE, 0x1d, 0x5f, 0x60, 0x61, 0x66, 0xa1, 0xa2, 0xa3, TIMESTAMP, TEXT, TUPLE,
    ]);
    prop::collection::vec(prop_oneof![first, any::<u8>()], 0..14)
}

/// Order, equality, the way back, and delimiting, of two values.
fn check(a: &Value, b: &Value) -> Result<(), TestCaseError> {
    let (left, right) = (encoded(a), encoded(b));
    let order = a.key_order(b).unwrap();
    prop_assert_eq!(left.cmp(&right), order, "{} and {} as {:x?} and {:x?}", a, b, left, right);
    prop_assert_eq!(a == b, order == Ordering::Equal, "{} and {}", a, b);
    prop_assert!(order == Ordering::Equal || !right.starts_with(&left), "{} is the beginning of {}", a, b);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn keys_of_all_kinds_are_ordered_as_values_and_none_begins_another(a in strategies::key(), b in strategies::key()) {
        check(&a, &b)?;
        check(&b, &a)?;
        check(&a, &a.clone())?;
    }

    #[test]
    fn numbers_of_both_kinds_are_in_one_exact_order(a in strategies::number(), b in strategies::number()) {
        check(&a, &b)?;
        let len_max = if matches!(a, Value::Integer(_)) { 10 } else { 11 };
        prop_assert!(encoded(&a).len() <= len_max);
    }

    #[test]
    fn tuples_are_ordered_by_their_parts(parts in prop::collection::vec(strategies::key(), 0..4), other in strategies::key()) {
        let longer = Value::Array(parts.iter().cloned().chain([other.clone()]).collect());
        check(&Value::Array(parts.clone()), &longer)?;
        let mut changed = parts;
        if let Some(last) = changed.last_mut() {
            *last = other;
        }
        check(&Value::Array(changed), &longer)?;
    }

    #[test]
    fn a_key_comes_back_and_tells_where_it_ends(value in strategies::key(), after in noise()) {
        let bytes = [encoded(&value), after.clone()].concat();
        prop_assert_eq!(decode(&bytes).unwrap(), (value, after.as_slice()));
        prop_assert_eq!(skip(&bytes).unwrap(), after.as_slice());
    }

    #[test]
    fn any_bytes_are_one_key_and_a_rest_or_an_error(bytes in noise(), value in strategies::key(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut damaged = encoded(&value);
        let at = at.index(damaged.len());
        damaged[at] = byte;
        for bytes in [bytes.as_slice(), damaged.as_slice(), damaged.get(..at).unwrap()] {
            let Ok((value, rest)) = decode(bytes) else { continue };
            prop_assert_eq!([encoded(&value).as_slice(), rest].concat(), bytes, "{} has one key", value);
            prop_assert_eq!(skip(bytes).unwrap(), rest);
        }
    }
}

#[test]
fn small_integers_are_short() {
    assert_eq!(encoded(&0.into()).len(), 1);
    assert!((1..256).all(|integer: i32| encoded(&integer.into()).len() == 2 && encoded(&(-integer).into()).len() == 2));
    assert!((256..32_768).all(|integer: i32| encoded(&integer.into()).len() <= 3));
    assert_eq!(encoded(&i64::MAX.into()).len(), 10);
    assert_eq!(encoded(&i64::MIN.into()).len(), 2);
}

#[test]
fn what_is_no_key_is_refused() {
    let told = |value: Value| encode(&value, &mut KeyBuffer::new()).unwrap_err().to_string();
    assert!(told(Value::Float(f64::NAN)).contains("NaN"));
    assert!(told(Value::Float(-f64::NAN)).contains("NaN"));
    assert!(told(Value::Map(vec![])).contains("a map cannot be a key"));
    assert!(told(Value::Array(vec![1.into(), Value::Map(vec![])])).contains("a map"));
    assert!(told(Value::Integer(1 << 64)).contains("18446744073709551616"));
    assert!(told(Value::Integer(i128::MIN)).contains("-2^64"));
    assert!(told(Value::Integer(-(1 << 64) - 1)).contains("-2^64"));
}

#[test]
fn tuples_lie_within_each_other_to_a_limit() {
    let nested = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let key = encoded(&nested(DEPTH_MAX));
    assert_eq!(decode(&key).unwrap(), (nested(DEPTH_MAX), [].as_slice()));
    assert_eq!(encode(&nested(DEPTH_MAX + 1), &mut KeyBuffer::new()).unwrap_err().name(), "LimitExceeded");
    let deeper = [&[TUPLE], key.as_slice(), &[END]].concat();
    assert!(decode(&deeper).is_err());
    assert!(skip(&deeper).is_err());
    assert!(decode(&[TUPLE; 100_000]).is_err());
    assert!(skip(&[TUPLE; 100_000]).is_err());
}
