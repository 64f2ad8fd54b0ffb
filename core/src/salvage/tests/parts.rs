//! One part of a database destroyed at a time.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::damage::{salvage, same};
use super::workload::{Made, environment, options, raw};
use crate::db::Database;
use crate::engine::Verify;
use crate::env::{FileId, MemoryStorage, Storage};
use crate::salvage::begin;
use crate::salvage::source::Source;
use crate::salvage::trees::trees_of;
use crate::salvage::{LossKind, SalvageBasis};
use crate::table::catalogue::{TableEntry, entry_key};
use crate::{AutoKey, Schema, Table, Value};

#[test]
fn without_superblocks_everything_comes_back() {
    for seed in 1..7 {
        let mut made = Made::new(seed, 100, seed % 2 == 0);
        made.data[..8192].fill(0);
        let (into, report) = salvage(&made).unwrap();
        assert_eq!(report.basis, SalvageBasis::Copy);
        assert!(report.is_complete(), "seed {seed}: {report:#?}");
        same(&into, &made, seed);
    }
}

#[test]
fn without_one_superblock_everything_comes_back() {
    for seed in 1..7 {
        for slot in [0, 4096] {
            let mut made = Made::new(seed, 100, seed % 2 == 0);
            made.data[slot..slot + 4096].fill(0xff);
            let (into, report) = salvage(&made).unwrap();
            assert!(report.is_complete(), "seed {seed}: {report:#?}");
            same(&into, &made, seed);
        }
    }
}

#[test]
fn without_the_inner_nodes_everything_comes_back() {
    let mut destroyed = 0;
    for seed in 1..9 {
        let mut made = Made::new(seed, 160, seed % 2 == 0);
        let source = Source::open(made.storage()).unwrap();
        let beginning = begin::find(&source).unwrap();
        let (_, record) = beginning.checkpoint.as_ref().unwrap();
        for tree in trees_of(record).iter().filter(|tree| tree.root.height > 0) {
            let root = tree.root.node;
            made.data[root.offset as usize..][..root.len as usize].fill(0);
            destroyed += 1;
        }
        let (into, report) = salvage(&made).unwrap();
        assert!(report.is_complete(), "seed {seed}: {report:#?}");
        same(&into, &made, seed);
    }
    assert!(destroyed > 8, "{destroyed}");
}

#[test]
fn without_the_log_what_was_in_the_trees_comes_back() {
    let mut lost = 0;
    for seed in 1..6 {
        let mut made = Made::new(2 * seed + 1, 100, false);
        let whole =
            Made { data: made.data.clone(), log: core::mem::take(&mut made.log), history: made.history.clone() };
        let (_, report) = salvage(&made).unwrap();
        assert!(!report.lost_commits.is_empty(), "{report:#?}");
        assert!(report.losses.is_empty(), "{report:#?}");
        let (_, with_log) = salvage(&whole).unwrap();
        lost += with_log.commits;
    }
    assert!(lost > 0);
}

#[test]
fn a_table_whose_definition_is_lost_gets_a_name() {
    let made = Made::new(4, 60, true);
    let (into, report) = salvage(&made).unwrap();
    drop(into);
    assert_eq!(report.tables, 3);
    // The leaf that holds the catalogue is the first of the base; with one record in each block, no other goes with it.
    let source = Source::open(made.storage()).unwrap();
    let beginning = begin::find(&source).unwrap();
    let nodes = crate::engine::Nodes::new(made.storage(), beginning.seal, (1 << 20, 1 << 20), Verify::Resident);
    let (_, record) = beginning.checkpoint.as_ref().unwrap();
    let mut first = None;
    for tree in trees_of(record) {
        let mut here = None;
        crate::salvage::walk::walk(&nodes, tree.kind, tree.root, &mut |met| {
            if let crate::salvage::walk::Met::Reference(node, 0) = met {
                here.get_or_insert(*node);
            }
            Ok(true)
        })
        .unwrap();
        first = first.or(here);
    }
    let first = first.unwrap();
    let mut made = made;
    made.data[first.offset as usize..][..first.len as usize].fill(7);
    let (into, report) = salvage(&made).unwrap();
    assert_eq!(report.renamed.len(), 3, "{report:#?}");
    assert_eq!(report.renamed[1].0, "recovered-2");
    assert!(report.losses.iter().any(|loss| loss.table_id == 0 && loss.kind == LossKind::Records), "{report:#?}");
    let snapshot = into.snapshot();
    let table = snapshot.untyped_table("recovered-3").unwrap();
    let (key, value) =
        made.history.iter().rev().find_map(|(key, versions)| Some((key, versions.last()?.as_ref()?))).unwrap();
    assert!(key.starts_with(&raw(3, 0)[..1]));
    assert_eq!(table.get(&key[1..]).unwrap().unwrap().bytes(), value.as_slice());
    drop(snapshot);
    // A number is not given again.
    into.transaction(|tx| tx.table::<u64, &[u8]>(crate::Table::new("new")).map(drop)).unwrap();
    assert_eq!(into.snapshot().names_by_id().unwrap().get(&4).map(|name| &**name), Some("new"));
}

#[test]
fn without_any_record_the_nodes_alone_bring_back_what_was_never_deleted() {
    for seed in [3, 5, 8] {
        let mut made = Made::new(seed, 100, seed % 2 == 0);
        let source = Source::open(made.storage()).unwrap();
        let id = begin::find(&source).unwrap().seal.database_id;
        made.data[4096..8192].fill(0);
        // A superblock is left, but no record, nor a copy that leads to one.
        let mut at = 8192;
        while at < made.data.len() {
            if made.data[at..].starts_with(b"LightnDB") {
                let end = (at + 2048).min(made.data.len());
                made.data[at..end].fill(0);
            }
            at += 64;
        }
        let record = u64::from_le_bytes(made.data[96..104].try_into().unwrap()) as usize;
        made.data[record..record + 256].fill(0);
        let (into, report) = salvage(&made).unwrap();
        assert_eq!(report.basis, SalvageBasis::NodesAlone);
        assert_eq!(made.data[16..32], id);
        let found = into.snapshot();
        let (mut same, mut all) = (0, 0);
        for (key, versions) in &made.history {
            if let Some(back) = found.get_raw(key).unwrap() {
                assert!(versions.contains(&Some(back)), "seed {seed}");
            }
            if let Some(now) = made.now(key) {
                all += 1;
                same += usize::from(found.get_raw(key).unwrap().as_ref() == Some(now));
            }
        }
        assert!(same * 100 >= all * 90, "seed {seed}: {same} of {all}: {report:#?}");
    }
}

#[test]
fn a_cut_file_gives_what_is_left() {
    for seed in 1..5 {
        let made = Made::new(seed, 100, seed % 2 == 0);
        for part in [1, 3, 5, 7] {
            let cut = Made {
                data: made.data[..made.data.len() * part / 8].to_vec(),
                log: made.log.clone(),
                history: made.history.clone(),
            };
            let (into, _) = salvage(&cut).unwrap();
            let found = into.snapshot();
            for (key, versions) in &made.history {
                let back = found.get_raw(key).unwrap();
                assert!(back.is_none() || versions.contains(&back));
            }
        }
    }
}

#[test]
fn a_table_that_a_made_up_file_names_twice_keeps_one_name() {
    let storage = Arc::new(MemoryStorage::new());
    let made = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, environment(1), options()).unwrap();
    made.transaction(|tx| tx.table::<u64, u64>(Table::new("one"))?.put(1, 2)).unwrap();
    let entry =
        TableEntry { id: 1, key_type: "bytes".into(), value_type: "bytes".into(), created_ms: 0, options: Vec::new() };
    made.transaction(|tx| tx.put_raw(&entry_key("twin"), &entry.encode())).unwrap();
    made.close().unwrap();
    let files =
        Made { data: storage.contents(FileId::Data), log: storage.contents(FileId::Log), history: BTreeMap::new() };
    let (into, report) = salvage(&files).unwrap();
    assert_eq!((report.tables, report.records), (1, 1));
    let names: Vec<_> = into.tables().unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["one"]);
}

#[test]
fn a_key_that_was_made_is_not_made_again() {
    let document = || [("text", Value::from("a"))].into_iter().collect::<Value>();
    let collection = |db: &Database| {
        db.collection::<Value>("notes", Schema::key("id").auto_key(AutoKey::Increment).index("text")).unwrap()
    };
    for is_note_lost in [false, true] {
        let storage = Arc::new(MemoryStorage::new());
        let made = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, environment(1), options()).unwrap();
        let documents = collection(&made);
        (0..5).for_each(|_| drop(documents.add(&document()).unwrap()));
        documents.delete(5).unwrap();
        if is_note_lost {
            let id = made.snapshot().definition("notes").unwrap().unwrap().id;
            let note = entry_key(&alloc::format!("\0key-{id}"));
            assert!(made.snapshot().get_raw(&note).unwrap().is_some());
            made.transaction(|tx| tx.delete_raw(&note)).unwrap();
        }
        made.close().unwrap();
        let files =
            Made { data: storage.contents(FileId::Data), log: storage.contents(FileId::Log), history: BTreeMap::new() };
        let (into, report) = salvage(&files).unwrap();
        assert_eq!((report.losses.len(), report.records), (0, 4));
        let documents = collection(&into);
        // From here on none is given again, whatever was known of those before.
        documents.delete(4).unwrap();
        let next = if is_note_lost { 5 } else { 6 };
        assert_eq!(documents.add(&document()).unwrap(), Some(next.into()));
    }
}
