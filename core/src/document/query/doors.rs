//! Doors for tests that feed the readers of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used)]

use alloc::format;
use alloc::string::ToString;

use super::{Query, SortOrder, Update};
use crate::document::{Value, cbor};

/// Reads a query from text, and prints it.
pub fn query_text(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(query) = Query::parse(text) {
        let printed = query.to_string();
        let again = Query::parse(&printed).unwrap();
        assert_eq!(format!("{again:?}"), format!("{query:?}"), "printed as {printed}");
        // An empty map, to have some document.
        ask(query, &[0xa0]);
    }
}

/// Reads a query, and an update, from CBOR, and uses them on the document that the same bytes are.
pub fn query_cbor(bytes: &[u8]) {
    let Ok(value) = cbor::decode(bytes) else { return };
    if let Ok(update) = Update::from_value(&value) {
        assert_eq!(Update::from_value(&update.to_value().unwrap()).unwrap(), update);
        let mut document = Value::Map(alloc::vec![("a".into(), 1.into())]);
        if update.apply(&mut document).is_ok() {
            assert!(matches!(document, Value::Map(_)));
        }
    }
    if let Ok(query) = Query::from_value(&value) {
        assert_eq!(Query::from_value(&query.to_value().unwrap()).unwrap(), query);
        ask(query, bytes);
    }
}

/// Does with a query what planner and executor do.
fn ask(query: Query, document: &[u8]) {
    let Ok(query) = query.normalised() else { return };
    assert_eq!(query.clone().normalised().unwrap(), query, "the form of the form is the same");
    let printed = Query::parse(&query.to_string()).unwrap();
    assert_eq!(printed.normalised().unwrap().fingerprint(), query.fingerprint());
    if let Some(filter) = query.filter_by() {
        filter.for_each_condition(&mut |condition| {
            let spans = condition.spans().unwrap();
            assert!(spans.iter().all(|span| span.start < span.end), "{spans:?}");
            assert!(spans.iter().zip(spans.iter().skip(1)).all(|(a, b)| a.end <= b.start), "{spans:?}");
        });
        filter.compiled().unwrap().matches(document).unwrap();
    }
    SortOrder::of(&query).key(document, b"key").unwrap();
}
