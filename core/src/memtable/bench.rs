//! What the memtable's operations cost beside std's map. Run by hand, optimised:
//! `cargo test --release -p lightning-db --lib memtable::bench -- --ignored --nocapture`

use super::*;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::hint::black_box;
use std::println;
use std::time::Instant;

const ENTRIES: usize = 60_000;

/// Has every result made.
fn each<T>(results: impl Iterator<Item = T>) {
    results.for_each(|result| {
        black_box(result);
    });
}

/// Runs `work` on `count` things some times and prints the least time that one took.
fn measure<T>(name: &str, count: usize, mut prepare: impl FnMut() -> T, mut work: impl FnMut(&mut T)) {
    let mut least = f64::INFINITY;
    for _ in 0..9 {
        let mut state = prepare();
        let start = Instant::now();
        work(&mut state);
        least = least.min(start.elapsed().as_nanos() as f64 / count as f64);
    }
    println!("{name:<52}{least:>8.1} ns");
}

fn random_keys() -> Vec<[u8; 16]> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    (0..ENTRIES).map(|_| core::array::from_fn(|_| next()[3])).collect()
}

fn rising_keys() -> Vec<[u8; 16]> {
    (0..ENTRIES as u128).map(|number| (number << 3 | 7 << 120).to_be_bytes()).collect()
}

fn filled(keys: &[[u8; 16]], value: &[u8]) -> Memtable {
    let mut memtable = Memtable::new();
    keys.iter().for_each(|key| memtable.put(key, Slot::Inline(value), 1));
    memtable
}

#[test]
#[ignore = "prints times, proves nothing"]
fn times() {
    let value = [7u8; 100];
    for (order, keys) in [("random", random_keys()), ("rising", rising_keys())] {
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        println!("\n{ENTRIES} {order} keys of 16 bytes, values of {}", value.len());

        measure("put, new memtable", ENTRIES, || (), |()| drop(black_box(filled(&keys, &value))));
        measure(
            "  std insert",
            ENTRIES,
            || (),
            |()| {
                let mut map = BTreeMap::new();
                keys.iter().for_each(|key| drop(map.insert(key.to_vec(), value.to_vec())));
                drop(black_box(map));
            },
        );
        let full = filled(&keys, &value);
        // Found in an order that is neither theirs nor that of the memory.
        let shuffled: Vec<[u8; 16]> = (0..ENTRIES).map(|at| keys[at * 7_919 % ENTRIES]).collect();
        let map: BTreeMap<Vec<u8>, Vec<u8>> = keys.iter().map(|key| (key.to_vec(), value.to_vec())).collect();
        let summary = full.points.summary();
        println!("{} nodes of {} bytes, {} bytes in all", summary.nodes, node::Node::bytes(), full.bytes());

        let more: Vec<[u8; 16]> =
            keys.iter().step_by(6).map(|key| (u128::from_be_bytes(*key) + 1).to_be_bytes()).collect();
        measure(
            "put among 60,000",
            more.len(),
            || filled(&keys, &value),
            |full| {
                more.iter().for_each(|key| full.put(key, Slot::Inline(&value), 2));
            },
        );
        measure(
            "  std insert among 60,000",
            more.len(),
            || map.clone(),
            |map| {
                more.iter().for_each(|key| drop(map.insert(key.to_vec(), value.to_vec())));
            },
        );
        measure(
            "overwrite",
            ENTRIES,
            || filled(&keys, &value),
            |full| {
                keys.iter().for_each(|key| full.put(key, Slot::Inline(&value), 2));
            },
        );
        measure(
            "  std overwrite",
            ENTRIES,
            || map.clone(),
            |map| {
                keys.iter().for_each(|key| drop(map.insert(key.to_vec(), value.to_vec())));
            },
        );
        measure("extend_sorted, all", ENTRIES, Memtable::new, |memtable| {
            memtable.extend_sorted(sorted.iter().map(|key| (&key[..], Slot::Inline(&value))), 1);
        });
        measure(
            "extend_sorted, every 8th, among 60,000",
            ENTRIES / 8,
            || filled(&keys, &value),
            |full| {
                full.extend_sorted(sorted.iter().step_by(8).map(|key| (&key[..], Slot::Inline(&value))), 1);
            },
        );
        measure(
            "put after a snapshot, each time",
            ENTRIES / 8,
            || filled(&keys, &value),
            |full| {
                for key in keys.iter().step_by(8) {
                    let snapshot = full.clone();
                    full.put(key, Slot::Inline(&value), 2);
                    black_box(snapshot);
                }
            },
        );

        measure("get", ENTRIES, || (), |()| each(shuffled.iter().map(|key| full.get(key))));
        measure(
            "get and read a byte of the value",
            ENTRIES,
            || (),
            |()| {
                for key in &shuffled {
                    if let Lookup::Found { slot: Slot::Inline(value), .. } = full.get(key) {
                        black_box(value[50]);
                    }
                }
            },
        );
        measure(
            "  std get and read a byte",
            ENTRIES,
            || (),
            |()| {
                each(shuffled.iter().map(|key| map.get(&key[..]).map(|value| value[50])));
            },
        );
        measure("get, absent", more.len(), || (), |()| each(more.iter().map(|key| full.get(key))));
        measure(
            "seek",
            ENTRIES,
            || full.cursor(),
            |cursor| {
                for key in &shuffled {
                    cursor.seek(key);
                    black_box(cursor.entry());
                }
            },
        );
        measure(
            "cursor step and entry",
            ENTRIES,
            || full.cursor(),
            |cursor| {
                cursor.seek(&[]);
                while let Some(entry) = cursor.entry() {
                    black_box(entry);
                    cursor.next();
                }
            },
        );
        measure(
            "cursor step back and entry",
            ENTRIES,
            || full.cursor(),
            |cursor| {
                cursor.seek_last();
                while let Some(entry) = cursor.entry() {
                    black_box(entry);
                    cursor.prev();
                }
            },
        );
        measure("iter", ENTRIES, || (), |()| each(full.iter()));
        measure(
            "  std iter, reading a byte",
            ENTRIES,
            || (),
            |()| {
                each(map.iter().map(|(key, value)| (key[0], value[0])));
            },
        );
        measure(
            "touched_since, whole range, nothing newer",
            1,
            || (),
            |()| each([full.touched_since(&[], None, 1)].iter()),
        );
        measure("drop, an entry", ENTRIES, || Some(filled(&keys, &value)), |full| drop(full.take()));
        measure("  std drop, an entry", ENTRIES, || Some(map.clone()), |map| drop(map.take()));
    }

    println!("\nwhole memtables");
    measure(
        "new, one put, drop",
        1_000,
        || (),
        |()| {
            for key in 0..1_000u64 {
                let mut memtable = Memtable::new();
                memtable.put(&key.to_be_bytes(), Slot::Inline(&value), 1);
                black_box(memtable);
            }
        },
    );
    measure("delete_range, disjoint, of 10,000", 10_000, Memtable::new, |memtable| {
        for number in (0..20_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).step_by(2) {
            memtable.delete_range(&number.to_be_bytes(), Some(&number.saturating_add(1).to_be_bytes()), number);
        }
    });
    measure("delete_range, overlapping, of 10,000", 10_000, Memtable::new, |memtable| {
        for number in (0..20_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).step_by(2) {
            memtable.delete_range(&number.to_be_bytes(), Some(&number.saturating_add(1 << 54).to_be_bytes()), number);
        }
    });
}
