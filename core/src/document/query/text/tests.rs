use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::ops::Bound;

use proptest::prelude::*;

use super::literal;
use crate::document::query::arbitrary;
use crate::document::query::{Condition, Filter, PageToken, Query, Test, Where, field, not};
use crate::document::{Path, Value};

fn parsed(text: &str) -> Query {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What the text asks for is what the builder asks for.
fn check(text: &str, expected: impl Into<Where>) {
    assert_eq!(parsed(text), Query::new().filter(expected), "{text}");
}

#[test]
fn the_language_says_what_the_builder_does() {
    let age = || field("age");
    check("age = 30", age().equals(30));
    check("where age != 30", not(age().equals(30)));
    check("age < 30.5", age().below(30.5));
    check("age<=-3e2", age().to(-300.0));
    check("age > -3", age().above(-3));
    check("AGE >= 30", field("AGE").from(30));
    check("age between 30 AND 40", age().between(30, 40));
    check("30 <= age <= 40", age().between(30, 40));
    check("40 > age >= 30", age().range((Bound::Included(30.into()), Bound::Excluded(40.into()))));
    check("30 < age", age().above(30));
    check("30 = age", age().equals(30));
    check("tags in [\"x\", 'y']", field("tags").is_in(["x", "y"]));
    check("tags in []", field("tags").is_in([""; 0]));
    check("name starts with \"A\" ignoring case", field("name").starts_with("A").fold());
    check("name = \"ada\" ignoring case", field("name").equals("ada").fold());
    check("deleted exists", field("deleted").exists());
    check("not deleted exists", not(field("deleted").exists()));
    check(
        "deleted does not exist",
        Filter::Condition(Condition {
            path: Path::parse("deleted").unwrap(),
            test: Test::Exists(false),
            folded: false,
        }),
    );
    check("a is null", field("a").is_null());
    check("a is not null", not(field("a").is_null()));
    check("a.b.0 = null", field("a.b.0").is_null());
    check("true", Filter::All(vec![]));
    check("false", Filter::nothing());
    check("true = a", field("a").equals(true));
    check("`order`.`x y`.`a``b`.`.` = 1", field(r"order.x y.a`b.\.").equals(1));
    check("bytes = bytes(\"00fF\")", field("bytes").equals(vec![0u8, 255]));
    check("t >= timestamp(\"2026-11-21T10:00:00Z\")", field("t").from(Value::Timestamp(1_795_255_200_000_000)));
    check("u = uuid(\"00000000-0000-0000-0000-0000000000ff\")", field("u").equals(Value::Uuid(255_u128.to_be_bytes())));
    check(
        "a in [infinity, -infinity, [1, []]]",
        field("a").is_in([
            Value::from(f64::INFINITY),
            f64::NEG_INFINITY.into(),
            Value::Array(vec![1.into(), Value::Array(vec![])]),
        ]),
    );
    check(r#"a = "\"\\\/\n\u00e9\ud83d\ude00'" "#, field("a").equals("\"\\/\né😀'"));
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let [a, b, c] = ["a", "b", "c"].map(|name| field(name).exists());
    check("a exists or b exists and not c exists", a.clone().or(b.clone().and(not(c.clone()))));
    check("(a exists or b exists) and c exists", a.clone().or(b.clone()).and(c.clone()));
    check("not (a exists and b exists)", not(a.clone().and(b.clone())));
    let [a, b, c] = [a, b, c].map(|filter| filter.build().unwrap());
    check("a exists and (b exists and c exists)", Filter::All(vec![a, Filter::All(vec![b, c])]));
}

#[test]
fn clauses_come_after_the_filter() {
    let text = "select name, a.b where age between 30 and 40 order by age desc, name asc, c reverse limit 10 offset 5 after \"00ff\"";
    let expected = Query::new()
        .filter(field("age").between(30, 40))
        .select(["name", "a.b"])
        .order_by("age")
        .descending()
        .order_by("name")
        .order_by("c")
        .reverse()
        .limit(10)
        .offset(5)
        .after(PageToken::from_bytes([0, 255]));
    assert_eq!(parsed(text), expected);
    assert_eq!(parsed(""), Query::new());
    assert_eq!(parsed(" \n"), Query::new());
    assert_eq!(parsed("limit 3"), Query::new().limit(3));
    assert_eq!(parsed("select a"), Query::new().select(["a"]));
    assert_eq!(parsed("select a b exists"), Query::new().select(["a"]).filter(field("b").exists()));
    assert_eq!(expected.to_string(), text.replace(" asc", ""));
}

#[test]
fn errors_say_where_and_what_was_expected() {
    let check = |text: &str, expected: &str| {
        let error = Query::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("the query, at {expected}"), "{text}");
    };
    check(
        "age",
        "its end (character 4): expected one of = != < <= > >= 'between', 'in', 'starts with', 'exists', 'is null'",
    );
    check("age = Ada", "'Ada' (character 7): expected a value; a text is written in quotes");
    check("é = ", "its end (character 5): expected a value");
    check(
        "age > 3 age < 4",
        "'age' (character 9): expected 'and', 'or', 'order by', 'reverse', 'limit', 'offset', 'after' or the end",
    );
    check(
        "and = 3",
        "'and' (character 1): expected a name; 'and' is a word of the language, so as a name it is written `and`",
    );
    check("(a exists", "its end (character 10): expected ')'");
    check("a in 3", "'3' (character 6): expected '['");
    check("a in [3", "its end (character 8): expected ']'");
    check("a.b. = 3", "' ' (character 5): expected a name after the dot");
    check("`a = 3", "'`a = 3' (character 1): the name has no backquote at its end");
    check("`` = 3", "'``' (character 1): \"\" is no path: no name in it may be empty");
    check("a = \"x", "'\"x' (character 5): the text has no quote at its end");
    check("a = 12x", "'12x' (character 5): expected a number, at most 1.8e308");
    check("a = 1e999", "'1e999' (character 5): expected a number, at most 1.8e308");
    check("a = 18446744073709551616", "'18446744073709551616' (character 5): integers are from -2^64 to 2^64 - 1");
    check("a ~ 3", "'~' (character 3): expected a name, a value or a sign");
    check("limit -3", "'-3' (character 7): expected a whole number, at least 0");
    check("a exists limit", "its end (character 15): expected a whole number");
    check("order age", "'age' (character 7): expected 'by'");
    check("after \"0\"", "'\"0\"' (character 7): expected a page token, hexadecimal digits in quotes");
    check("3 < a > 4", "'>' (character 7): expected both signs to point the same way");
    check("3 < a = 4", "'=' (character 7): expected both signs to point the same way");
    check("3 and a exists", "'and' (character 3): expected one of = < <= > >= and a name");
    check(
        "t > timestamp(\"2026-02-29\")",
        "'\"2026-02-29\"' (character 15): expected a moment as \"2026-11-21T10:00:00Z\", with at most six digits of a second",
    );
    check("t > uuid(1)", "'1' (character 10): expected a UUID as \"00112233-4455-6677-8899-aabbccddeeff\"");
    assert!(Query::parse(r#"a = "\x""#).unwrap_err().to_string().contains(r"'\x' (character 6): expected an escape"));
    assert!(Query::parse(r#"a = "\ud83d\u0041""#).unwrap_err().to_string().contains("expected an escape"));
    let cut = Query::parse(&format!("a = \"{}", "é".repeat(60))).unwrap_err().to_string();
    assert_eq!(cut, format!("the query, at '\"{}...' (character 5): the text has no quote at its end", "é".repeat(39)));
    let long = Query::parse(&"a".repeat((1 << 20) + 1)).unwrap_err().to_string();
    assert_eq!(long, "the length of the query, in bytes, is 1048577, more than the limit of 1048576");
}

#[test]
fn what_is_nested_too_deep_is_an_error_and_no_overflow() {
    let nested = |open: &str, count: usize, middle: &str, close: &str| {
        Query::parse(&format!("{}{middle}{}", open.repeat(count), close.repeat(count)))
    };
    nested("(", 64, "a exists", ")").unwrap();
    for (open, middle, close) in [("(", "a exists", ")"), ("not ", "a exists", ""), ("[", "", "]")] {
        let error = nested(open, 100_000, middle, close).unwrap_err().to_string();
        assert!(error.contains("more than 64 parentheses"), "{error}");
    }
}

#[test]
fn moments_are_read_as_they_are_shown() {
    let check = |text: &str, micros: Option<i64>| assert_eq!(literal::timestamp(text), micros, "{text}");
    check("1970-01-01", Some(0));
    check("1970-01-01T00:00:00Z", Some(0));
    check("1970-01-01 02:00:00.5+02:00", Some(500_000));
    check("1969-12-31t23:59:59.999999z", Some(-1));
    check("2000-02-29T12:30:00-00:30", Some(951_829_200_000_000));
    check("-290308-12-21T19:59:05.224192Z", Some(i64::MIN));
    check("+294247-01-10T04:00:54.775807Z", Some(i64::MAX));
    check("+294247-01-10T04:00:54.775808Z", None);
    check("-290308-12-21T19:59:05.224191Z", None);
    for wrong in [
        "",
        "x",
        "2026",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-01-32",
        "2100-02-29",
        "26-01-01",
        "2026-1-1",
        "+-01-01",
        "2026-01-01T",
        "2026-01-01T00:00:00",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00+-1:00",
        "2026-01-01T00:00:00Zx",
        "2026-01-01T00:00:00:00Z",
        "é-é-é",
        "+2026-+1-01",
        "2026-01-01-01",
    ] {
        check(wrong, None);
    }
    for wrong in [
        "",
        "0",
        "00112233-4455-6677-8899-aabbccddeef",
        "0011223-34455-6677-8899-aabbccddeeff",
        "00112233445566778899aabbccddeeff",
    ] {
        assert_eq!(literal::uuid(wrong), None, "{wrong}");
    }
}

proptest! {
    /// Whatever can be asked can be written down.
    #[test]
    fn a_query_that_is_printed_and_read_is_the_same(query in arbitrary::query()) {
        let Ok(normal) = query.clone().normalised() else { return Ok(()) };
        let text = query.to_string();
        let again = Query::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(again.normalised().unwrap(), normal.clone(), "{}", text);
        // The normal form exactly, the kinds of numbers included.
        let text = normal.to_string();
        let again = Query::parse(&text).unwrap();
        prop_assert_eq!(format!("{again:?}"), format!("{normal:?}"), "{}", text);
    }

    /// What was read is printed so that it is read as the very same tree.
    #[test]
    fn what_was_read_is_printed_as_it_was_read(words in proptest::collection::vec(prop::sample::select(vec![
        "a", "b.c", "=", "!=", "<", "<=", ">", "and", "or", "not", "(", ")", "1", "-2.5", "\"x\"", "null", "true", "in", "[", "]",
        ",", "between", "starts", "with", "exists", "does", "exist", "is", "ignoring", "case", "order", "by", "desc", "limit",
        "3", "select", "where", "reverse", "bytes(\"00\")", "infinity", "-", "a = 1", "b exists", "'", "`", "\\",
    ]), 0..14)) {
        let text = words.join(" ");
        if let Ok(query) = Query::parse(&text) {
            let again = Query::parse(&query.to_string());
            prop_assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, crate::Error>(query)), "{}", text);
        }
    }

    #[test]
    fn any_moment_is_read_as_it_is_shown(micros in prop_oneof![any::<i64>(), (-80_000_000_000_000_000..0_i64)]) {
        prop_assert_eq!(literal::timestamp(&Value::Timestamp(micros).to_string()), Some(micros));
    }

    /// Any text is a query or an error.
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = Query::parse(&text);
    }
}

#[test]
fn deep_queries_of_programs_are_printed() {
    let deep = (0..60).fold(field("a").exists().build().unwrap(), |filter, _| Filter::Not(Box::new(filter)));
    let text: String = Query::new().filter(deep.clone()).to_string();
    assert_eq!(parsed(&text), Query::new().filter(deep));
}
