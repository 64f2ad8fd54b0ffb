//! JSON merge patch (RFC 7396).

use alloc::vec::Vec;

use super::Value;

/// Changes `target` as `patch` says: a map is merged field by field, null removes a field, and anything else takes the
/// place of what was there. New fields come after those that were there.
pub(crate) fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Map(changes) = patch else {
        *target = patch;
        return;
    };
    if !matches!(target, Value::Map(_)) {
        *target = Value::Map(Vec::new());
    }
    let Value::Map(fields) = target else { return };
    for (name, change) in changes {
        let place = fields.iter().position(|(field, _)| *field == name);
        match (place, change) {
            (Some(place), Value::Null) => drop(fields.remove(place)),
            (None, Value::Null) => {}
            (Some(place), change) => {
                if let Some((_, value)) = fields.get_mut(place) {
                    merge_patch(value, change);
                }
            }
            (None, change) => {
                // What is new is merged too: it may hold nulls, which are not to be stored.
                let mut value = Value::Null;
                merge_patch(&mut value, change);
                fields.push((name, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
        fields.into_iter().collect()
    }

    fn array<T: Into<Value>, const N: usize>(elements: [T; N]) -> Value {
        elements.into_iter().collect()
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let null = || Value::Null;
        let check = |mut target: Value, patch: Value, expected: Value| {
            let told = alloc::format!("{target} with {patch}");
            merge_patch(&mut target, patch);
            assert_eq!(target, expected, "{told}");
        };
        check(map([("a", "b".into())]), map([("a", "c".into())]), map([("a", "c".into())]));
        check(map([("a", "b".into())]), map([("b", "c".into())]), map([("a", "b".into()), ("b", "c".into())]));
        check(map([("a", "b".into())]), map([("a", null())]), map([]));
        check(map([("a", "b".into()), ("b", "c".into())]), map([("a", null())]), map([("b", "c".into())]));
        check(map([("a", array(["b"]))]), map([("a", "c".into())]), map([("a", "c".into())]));
        check(map([("a", "c".into())]), map([("a", array(["b"]))]), map([("a", array(["b"]))]));
        check(
            map([("a", map([("b", "c".into())]))]),
            map([("a", map([("b", "d".into()), ("c", null())]))]),
            map([("a", map([("b", "d".into())]))]),
        );
        check(map([("a", array([map([("b", "c".into())])]))]), map([("a", array([1]))]), map([("a", array([1]))]));
        check(array(["a", "b"]), array(["c", "d"]), array(["c", "d"]));
        check(map([("a", "b".into())]), array(["c"]), array(["c"]));
        check(map([("a", "foo".into())]), null(), null());
        check(map([("a", "foo".into())]), "bar".into(), "bar".into());
        check(map([("e", null())]), map([("a", 1.into())]), map([("e", null()), ("a", 1.into())]));
        check(array([1, 2]), map([("a", "b".into()), ("c", null())]), map([("a", "b".into())]));
        let nested = |inner: Value| map([("a", map([("bb", inner)]))]);
        check(map([]), nested(map([("ccc", null())])), nested(map([])));
    }

    #[test]
    fn the_document_of_the_rfc_is_patched() {
        let mut article = map([
            ("title", "Goodbye!".into()),
            ("author", map([("givenName", "John".into()), ("familyName", "Doe".into())])),
            ("tags", array(["example", "sample"])),
            ("content", "This will be unchanged".into()),
        ]);
        let patch = map([
            ("title", "Hello!".into()),
            ("phoneNumber", "+01-123-456-7890".into()),
            ("author", map([("familyName", Value::Null)])),
            ("tags", array(["example"])),
        ]);
        merge_patch(&mut article, patch);
        let expected = map([
            ("title", "Hello!".into()),
            ("author", map([("givenName", "John".into())])),
            ("tags", array(["example"])),
            ("content", "This will be unchanged".into()),
            ("phoneNumber", "+01-123-456-7890".into()),
        ]);
        // The order of fields too.
        assert_eq!(alloc::format!("{article:?}"), alloc::format!("{expected:?}"));
        merge_patch(&mut article, Value::Array(vec![]));
        assert_eq!(article, Value::Array(vec![]));
    }
}
