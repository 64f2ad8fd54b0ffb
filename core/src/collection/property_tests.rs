//! Collections against the plainest thing that answers the same: all documents, filtered and sorted.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;
use core::sync::atomic::Ordering;

use proptest::collection::vec as many;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::handle::record_key;
use super::plan::plans;
use super::run::Run;
use super::tests::open;
use super::*;
use crate::document::query::{Condition, Filter, Order, Query, SortOrder, Test};
use crate::document::{Path, Value, cbor};
use crate::engine::Progress;
use crate::env::HandSet;
use crate::error::Error;

const PATHS: [&str; 6] = ["id", "a", "b", "c", "a.x", "b.0"];

#[expect(clippy::large_enum_variant, reason = "there are a few dozen of them")]
#[derive(Clone, Debug)]
enum Step {
    Put(Value, Option<u64>),
    Delete(Value),
    Update(Value, Value),
    Clock(u64),
    Sweep,
    /// With these indexes too.
    Open(Vec<Index>),
    Drop(usize),
    /// Several in one transaction, which goes on whatever one of them says.
    Together(Vec<Value>),
    Ask(Query),
}

fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        6 => (0..4_i128).prop_map(Value::Integer),
        1 => select(vec![1.0, 1.5, -0.0]).prop_map(Value::Float),
        6 => select(vec!["", "a", "A", "á", "ab", "Áb", "b"]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::Bool),
    ]
}

fn key() -> impl Strategy<Value = Value> {
    prop_oneof![12 => single(), 1 => many(single(), 0..3).prop_map(Value::Array)]
}

fn value() -> impl Strategy<Value = Value> {
    let map = || single().prop_map(|value| [("x", value)].into_iter().collect::<Value>());
    prop_oneof![
        12 => single(),
        4 => many(key(), 0..3).prop_map(Value::Array),
        1 => many(map(), 0..3).prop_map(Value::Array),
        1 => map(),
        1 => Just(Value::Float(f64::NAN)),
    ]
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => (0..12_i128).prop_map(Value::Integer),
        1 => select(vec!["a", "b"]).prop_map(Value::from),
        1 => many(0..3_i128, 0..3).prop_map(|parts| parts.into_iter().map(Value::Integer).collect()),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let fields = (option::weighted(0.9, value()), option::weighted(0.9, value()), option::weighted(0.9, single()));
    (id(), fields).prop_map(|(id, (a, b, c))| {
        let fields = [("a", a), ("b", b), ("c", c)].into_iter().filter_map(|(name, value)| Some((name, value?)));
        core::iter::once(("id", id)).chain(fields).collect()
    })
}

fn index() -> impl Strategy<Value = Index> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (subsequence(PATHS.to_vec(), 1..=3).prop_shuffle(), flags, 0..4_u8).prop_map(|(paths, flags, unique)| {
        let paths: Vec<String> = paths.into_iter().map(String::from).collect();
        let (sparse, multi, folded, _) = flags;
        let mut index = Index::on(paths);
        (index.unique, index.sparse, index.multi, index.folded) = (unique == 0, sparse, multi, folded);
        let name = format!("{}{unique}{flags:?}", index.paths.join("_").replace('.', "-"));
        index.named(name.replace(|c: char| !c.is_alphanumeric(), "_"))
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let bound =
        || prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)];
    let numbers = (0..4_i128, 0..4_i128).prop_map(|(a, b)| Test::Range {
        from: Bound::Included(Value::Integer(a)),
        to: Bound::Excluded(Value::Integer(b)),
    });
    let test = prop_oneof![
        4 => many(key(), 1..4).prop_map(Test::In),
        2 => (bound(), bound()).prop_map(|(from, to)| Test::Range { from, to }),
        2 => numbers,
        1 => select(vec!["", "a", "Á", "b"]).prop_map(|text| Test::StartsWith(text.into())),
        1 => any::<bool>().prop_map(Test::Exists),
    ];
    (select(PATHS.to_vec()), test, any::<bool>()).prop_map(|(path, test, folded)| Condition {
        path: Path::parse(path).unwrap(),
        test,
        folded,
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = condition().prop_map(Filter::Condition);
    leaf.prop_recursive(3, 10, 4, |inner| {
        prop_oneof![
            4 => many(inner.clone(), 1..4).prop_map(Filter::All),
            3 => many(inner.clone(), 1..4).prop_map(Filter::Any),
            1 => inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn query() -> impl Strategy<Value = Query> {
    let order = (select(PATHS.to_vec()), any::<bool>())
        .prop_map(|(path, descending)| Order { path: Path::parse(path).unwrap(), descending });
    let slice = (option::of(0..9_u64), prop_oneof![2 => Just(0), 1 => 0..5_u64]);
    (option::weighted(0.9, filter()), many(order, 0..3), any::<bool>(), slice).prop_map(
        |(filter, order, reverse, (limit, offset))| Query { filter, order, reverse, limit, offset, ..Query::default() },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (document(), option::weighted(0.2, 0..40_u64)).prop_map(|(document, at)| Step::Put(document, at)),
        2 => id().prop_map(Step::Delete),
        2 => (id(), single()).prop_map(|(id, value)| Step::Update(id, value)),
        1 => (1..10_u64).prop_map(Step::Clock),
        1 => Just(Step::Sweep),
        2 => many(index(), 1..3).prop_map(Step::Open),
        1 => any::<usize>().prop_map(Step::Drop),
        2 => many(document(), 1..5).prop_map(Step::Together),
        8 => query().prop_map(Step::Ask),
    ];
    (many(index(), 0..4), many(document(), 0..10), many(step, 1..40)).prop_map(|(indexes, documents, steps)| {
        let puts = documents.into_iter().map(|document| Step::Put(document, None));
        core::iter::once(Step::Open(indexes)).chain(puts).chain(steps).collect()
    })
}

/// What there is: encoded key to document and when it goes.
type Model = BTreeMap<Vec<u8>, (Value, Option<u64>)>;

fn key_of(document: &Value) -> Vec<u8> {
    record_key(document.get("id").unwrap()).unwrap().to_vec()
}

/// What a query finds, without limit and offset.
fn found(model: &Model, now_ms: u64, query: &Query) -> Vec<(Vec<u8>, Vec<u8>)> {
    let order = SortOrder::of(query);
    let mut found = Vec::new();
    for (key, (document, expires_ms)) in model {
        let document = cbor::encode(document).unwrap();
        let lives = expires_ms.is_none_or(|at| at > now_ms);
        if lives && query.filter_by().is_none_or(|filter| filter.matches(&document).unwrap()) {
            found.push((order.key(&document, key).unwrap(), (key.clone(), document)));
        }
    }
    found.sort();
    found.into_iter().map(|(_, row)| row).collect()
}

fn sliced(found: &[(Vec<u8>, Vec<u8>)], query: &Query) -> Vec<(Vec<u8>, Vec<u8>)> {
    let limit = query.limit_count().unwrap_or(u64::MAX) as usize;
    found.iter().skip(query.offset_count() as usize).take(limit).cloned().collect()
}

fn ask(people: &Collection<Value>, model: &Model, now_ms: u64, query: Query) {
    // Such as cannot be asked are refused everywhere alike.
    let Ok(normal) = query.clone().normalised() else {
        assert!(people.query(query).is_err());
        return;
    };
    let all = found(model, now_ms, &normal);
    let expected = sliced(&all, &normal);
    let read = people.snapshot().unwrap();
    let mut reader = &read.snapshot;
    for plan in plans(&mut reader, &read.definition, &normal).unwrap() {
        let text = plan.describe(&read.definition);
        let mut run = Run::with_plan(Arc::clone(&read.definition), normal.clone(), plan.clone()).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = run.next(&mut reader).unwrap() {
            rows.push((row.key, row.document));
        }
        assert_eq!(rows, expected, "{text}");
        // In pages that are each read in this way.
        let (mut paged, mut token) = (Vec::new(), None);
        loop {
            let page = Query { limit: Some(2), offset: 0, after: token.take(), ..normal.clone() };
            let mut run = Run::with_plan(Arc::clone(&read.definition), page, plan.clone()).unwrap();
            let before = paged.len();
            while let Some(row) = run.next(&mut reader).unwrap() {
                paged.push((row.key, row.document));
            }
            if paged.len() == before {
                break;
            }
            token = run.token();
        }
        assert_eq!(paged, all, "in pages: {text}");
    }
    assert_eq!(people.count(query.clone()).unwrap(), expected.len() as u64, "counted");
    let rows: Vec<Value> = people.write(|people| people.query(query.clone())).unwrap();
    let documents: Vec<Value> = expected.iter().map(|(_, document)| cbor::decode(document).unwrap()).collect();
    assert_eq!(format!("{rows:?}"), format!("{documents:?}"), "in a transaction");
}

/// Whether an error is one of those that a document may be refused with.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::DuplicateKey { .. } | Error::InvalidDocument { .. })
}

fn run(steps: Vec<Step>) {
    let (storage, clock) = (Arc::default(), Arc::new(HandSet::default()));
    let database = open(&storage, &clock);
    let mut people = database.collection::<Value>("people", Schema::key("id")).unwrap();
    let (mut model, mut now_ms) = (Model::new(), 0);
    for step in steps {
        match step {
            Step::Put(document, at) => {
                let expiry = at.map_or(Expiry::Default, |at| Expiry::At(now_ms + at));
                match people.put_expiring(&document, expiry) {
                    Ok(()) => drop(model.insert(key_of(&document), (document, at.map(|at| now_ms + at)))),
                    Err(error) => assert!(is_refusal(&error), "{error}"),
                }
            }
            Step::Delete(id) => {
                let was_there = model.remove(&record_key(&id).unwrap().to_vec());
                let was_there = was_there.is_some_and(|(_, expires)| expires.is_none_or(|at| at > now_ms));
                assert_eq!(people.delete(id).unwrap(), was_there);
            }
            Step::Update(id, to) => {
                let key = record_key(&id).unwrap().to_vec();
                let changes = crate::document::query::Update::new().set("c", to);
                match people.update(id, &changes) {
                    Ok(true) => changes.apply(&mut model.get_mut(&key).unwrap().0).unwrap(),
                    Ok(false) => assert!(model.get(&key).is_none_or(|(_, at)| at.is_some_and(|at| at <= now_ms))),
                    Err(error) => assert!(is_refusal(&error), "{error}"),
                }
            }
            Step::Clock(by) => {
                now_ms += by;
                clock.0.store(now_ms, Ordering::Relaxed);
            }
            Step::Sweep => while database.remove_expired().unwrap() == Progress::More {},
            Step::Open(indexes) => {
                for index in indexes {
                    match database.collection("people", Schema::key("id").with(index)) {
                        Ok(opened) => people = opened,
                        Err(Error::SchemaMismatch { .. }) => {}
                        Err(error) => assert!(is_refusal(&error), "{error}"),
                    }
                }
            }
            Step::Drop(at) => {
                let definition = Arc::clone(&people.snapshot().unwrap().definition);
                if let Some(index) = definition.indexes.get(at % definition.indexes.len().max(1)) {
                    assert!(people.drop_index(&index.name).unwrap());
                }
            }
            Step::Together(documents) => {
                let kept = people.write(|people| {
                    let mut kept = Vec::new();
                    for document in documents {
                        match people.put(&document) {
                            Ok(()) => kept.push(document),
                            Err(error) => assert!(is_refusal(&error), "{error}"),
                        }
                    }
                    Ok(kept)
                });
                for document in kept.unwrap() {
                    model.insert(key_of(&document), (document, None));
                }
            }
            Step::Ask(query) => ask(&people, &model, now_ms, query),
        }
    }
    ask(&people, &model, now_ms, Query::new());
    let report = database.check().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every plan of every query gives what looking at each document gives, whatever was written, refused, indexed and gone
    /// before; and indexes have what their documents have.
    #[test]
    fn every_plan_gives_what_the_documents_say(steps in steps()) {
        run(steps);
    }
}
