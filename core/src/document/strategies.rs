//! Arbitrary values for property tests, among which the edges are common.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::Value;

/// Any number but NaN.
pub fn number() -> impl Strategy<Value = Value> {
    // Around powers of two, where integers and floats meet and part.
    let near_powers = (0..=64_u32, -3..=3_i128, any::<bool>()).prop_map(|(power, by, negative)| {
        let integer = (1_i128 << power) + by;
        if negative { -integer } else { integer }.clamp(-(1 << 64), (1 << 64) - 1)
    });
    let special = prop::sample::select(alloc::vec![
        0.0,
        -0.0,
        0.5,
        -1.5,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1.0 - f64::EPSILON / 2.0,
        18_446_744_073_709_551_616.0,
        -18_446_744_073_709_551_616.0,
        36_893_488_147_419_103_232.0,
    ]);
    prop_oneof![
        (-300..300_i128).prop_map(Value::Integer),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        near_powers.clone().prop_map(Value::Integer),
        near_powers.prop_map(|integer| Value::Float(integer as f64)),
        (-300..300_i32).prop_map(|eighths| Value::Float(f64::from(eighths) / 8.0)),
        special.prop_map(Value::Float),
        any::<u64>().prop_map(f64::from_bits).prop_filter("is a key", |float| !float.is_nan()).prop_map(Value::Float),
        // Subnormal.
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits & !(0x7ff << 52)))),
    ]
}

/// Any text, of few letters.
pub fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["[\0-\x03ab]", Just("é".into()), Just("\u{10ffff}".into())], 0..5)
        .prop_map(|parts: Vec<String>| parts.concat())
}

/// Bytes among which the special ones are common.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![0u8..3, 0xfeu8..=0xff, any::<u8>()], 0..8)
}

/// What is no array and no map.
pub fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        number(),
        prop_oneof![any::<i64>(), -3_000_000..3_000_000_i64].prop_map(Value::Timestamp),
        text().prop_map(Value::Text),
        bytes().prop_map(Value::Bytes),
        prop_oneof![any::<[u8; 16]>(), Just([0; 16]), Just([0xff; 16])].prop_map(Value::Uuid),
    ]
}

/// What can be a key.
pub fn key() -> impl Strategy<Value = Value> {
    single().prop_recursive(4, 16, 4, |part| prop::collection::vec(part, 0..4).prop_map(Value::Array))
}

/// Any value.
pub fn value() -> impl Strategy<Value = Value> {
    let single = prop_oneof![8 => single(), 1 => Just(Value::Float(f64::NAN))];
    single.prop_recursive(4, 32, 6, |part| {
        prop_oneof![prop::collection::vec(part.clone(), 0..5).prop_map(Value::Array), map_of(part)]
    })
}

/// Any document.
pub fn document() -> impl Strategy<Value = Value> {
    map_of(value())
}

fn map_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(("[a-c]{0,2}", value), 0..6).prop_map(|mut fields| {
        let mut names = Vec::new();
        fields.retain(|(name, _)| {
            let is_new = !names.contains(name);
            names.push(name.clone());
            is_new
        });
        Value::Map(fields)
    })
}
