//! Changing one field of a value.

use alloc::format;
use alloc::vec::Vec;

use super::path::Segment;
use super::{Path, Value};
use crate::error::{Error, Result};

/// Puts `new` where `path` leads. Maps that are not there, or are null, come to be; in an array only an element that is
/// there, or the next, can be put. Fails, and changes nothing, where something else is in the way.
pub(crate) fn put_at(value: &mut Value, path: &Path, new: Value) -> Result<()> {
    check(value, path)?;
    let place = path.segments().iter().try_fold(value, |value, segment| match value {
        Value::Array(elements) => {
            let place = usize::try_from(segment.place?).ok()?;
            if place == elements.len() {
                elements.push(Value::Null);
            }
            elements.get_mut(place)
        }
        value => {
            if !matches!(value, Value::Map(_)) {
                *value = Value::Map(Vec::new());
            }
            let Value::Map(fields) = value else { return None };
            let place = match fields.iter().position(|(name, _)| **name == *segment.name) {
                Some(place) => place,
                None => {
                    fields.push(((*segment.name).into(), Value::Null));
                    fields.len() - 1
                }
            };
            fields.get_mut(place).map(|(_, value)| value)
        }
    });
    match place {
        Some(place) => *place = new,
        // What the check let pass leads somewhere.
        None => return Err(Error::invalid(format!("the path {path} leads nowhere"))),
    }
    Ok(())
}

/// Removes what `path` leads to and gives it; `None`, and nothing changes, if there is nothing. The elements of an array
/// move up.
pub(crate) fn remove_at(value: &mut Value, path: &Path) -> Option<Value> {
    let (last, before) = path.segments().split_last()?;
    let holder = before.iter().try_fold(value, |value, segment| match value {
        Value::Array(elements) => elements.get_mut(usize::try_from(segment.place?).ok()?),
        Value::Map(fields) => fields.iter_mut().find(|(name, _)| **name == *segment.name).map(|(_, value)| value),
        _ => None,
    })?;
    match holder {
        Value::Array(elements) => {
            let place = usize::try_from(last.place?).ok().filter(|place| *place < elements.len())?;
            Some(elements.remove(place))
        }
        Value::Map(fields) => {
            let place = fields.iter().position(|(name, _)| **name == *last.name)?;
            Some(fields.remove(place).1)
        }
        _ => None,
    }
}

/// Whether something can be put there.
fn check(value: &Value, path: &Path) -> Result<()> {
    let mut value = Some(value);
    for segment in path.segments() {
        let name = &*segment.name;
        value = match value {
            None | Some(Value::Null) => return Ok(()),
            Some(map @ Value::Map(_)) => map.get(name),
            Some(Value::Array(elements)) => {
                let place = place_in(elements, segment).ok_or_else(|| {
                    let len = elements.len();
                    Error::invalid(format!(
                        "\"{name}\" of the path {path} is no place in an array of {len}, nor the next"
                    ))
                })?;
                elements.get(place)
            }
            Some(other) => {
                let kind = other.kind();
                return Err(Error::invalid(format!(
                    "\"{name}\" of the path {path} is to be in a map, and there is {kind}"
                )));
            }
        };
    }
    Ok(())
}

fn place_in(elements: &[Value], segment: &Segment) -> Option<usize> {
    usize::try_from(segment.place?).ok().filter(|place| *place <= elements.len())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn document() -> Value {
        [("a", [("b", 1)].into_iter().collect()), ("list", [1, 2].into_iter().collect()), ("none", Value::Null)]
            .into_iter()
            .collect()
    }

    #[track_caller]
    fn check_put(path: &str, expected: &str) {
        let (mut changed, path) = (document(), Path::parse(path).unwrap());
        match put_at(&mut changed, &path, "new".into()) {
            Ok(()) => {
                assert_eq!(changed.to_string(), expected);
                assert_eq!(changed.at(&path), Some(&"new".into()));
            }
            Err(error) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert_eq!(changed, document(), "nothing changes");
            }
        }
    }

    #[test]
    fn what_a_path_leads_to_is_put() {
        check_put("a", r#"{"a":"new","list":[1,2],"none":null}"#);
        check_put("a.b", r#"{"a":{"b":"new"},"list":[1,2],"none":null}"#);
        check_put("a.0.c", r#"{"a":{"b":1,"0":{"c":"new"}},"list":[1,2],"none":null}"#);
        check_put("list.0", r#"{"a":{"b":1},"list":["new",2],"none":null}"#);
        check_put("list.2", r#"{"a":{"b":1},"list":[1,2,"new"],"none":null}"#);
        check_put("list.2.c", r#"{"a":{"b":1},"list":[1,2,{"c":"new"}],"none":null}"#);
        check_put("none.c", r#"{"a":{"b":1},"list":[1,2],"none":{"c":"new"}}"#);
        check_put("new.c", r#"{"a":{"b":1},"list":[1,2],"none":null,"new":{"c":"new"}}"#);
    }

    #[test]
    fn what_is_in_the_way_is_told() {
        check_put("a.b.c", r#""c" of the path a.b.c is to be in a map, and there is integer"#);
        check_put("list.3", r#""3" of the path list.3 is no place in an array of 2, nor the next"#);
        check_put("list.first", r#""first" of the path list.first is no place"#);
    }

    #[test]
    fn what_a_path_leads_to_is_removed() {
        let check = |path: &str, removed: Option<Value>, left: &str| {
            let mut changed = document();
            assert_eq!(remove_at(&mut changed, &Path::parse(path).unwrap()), removed, "{path}");
            assert_eq!(changed.to_string(), left);
        };
        check("none", Some(Value::Null), r#"{"a":{"b":1},"list":[1,2]}"#);
        check("a.b", Some(1.into()), r#"{"a":{},"list":[1,2],"none":null}"#);
        check("list.0", Some(1.into()), r#"{"a":{"b":1},"list":[2],"none":null}"#);
        for absent in ["b", "a.c", "a.b.c", "list.2", "list.b", "list.0.0"] {
            check(absent, None, r#"{"a":{"b":1},"list":[1,2],"none":null}"#);
        }
    }
}
