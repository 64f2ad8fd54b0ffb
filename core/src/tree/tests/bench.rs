//! Times of this layer alone, on a million records in memory. Run with
//! `cargo test --release -p lightning-db --lib tree::tests::bench -- --ignored --nocapture --test-threads 1`.

use alloc::vec::Vec;
use std::hint::black_box;
use std::println;
use std::time::Instant;

use super::store::SEAL;
use crate::codec::checksum::Digest;
use crate::codec::compress::Compression;
use crate::codec::slot::{Slot, ValueRef};
use crate::error::Result;
use crate::tree::cursor::TreeCursor;
use crate::tree::get::get;
use crate::tree::layout::Layout;
use crate::tree::merge::{Change, Changes, Merge, Mode, Progress};
use crate::tree::node::Node;
use crate::tree::{NodeRef, NodeSink, NodeSizes, NodeSource, Root, TreeKind, damaged};

const RECORDS: u64 = 1_000_000;

#[derive(Default)]
struct Written {
    stored: Vec<(NodeRef, Vec<u8>)>,
    end: u64,
    freed: u64,
}

impl NodeSink for Written {
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, mut stored: Vec<u8>) -> Result<NodeRef> {
        let checksum = SEAL.close(&mut stored, self.end, TreeKind::Base, 1);
        let reference = NodeRef { offset: self.end, len: stored.len() as u32, checksum };
        self.end += (stored.len() as u64).next_multiple_of(64);
        self.stored.push((reference, stored));
        Ok(reference)
    }

    fn free(&mut self, reference: NodeRef) {
        self.freed += u64::from(reference.len).next_multiple_of(64);
    }

    fn free_value(&mut self, _: ValueRef) {}
}

/// Parsed nodes by grain.
struct Resident(Vec<Option<Node>>);

impl Resident {
    fn new(written: &Written) -> Self {
        let mut nodes = alloc::vec![None; (written.end / 64) as usize];
        for (reference, stored) in &written.stored {
            nodes[(reference.offset / 64) as usize] = Some(Node::parse(stored).unwrap());
        }
        Self(nodes)
    }
}

impl NodeSource for Resident {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        let node = self.0.get((reference.offset / 64) as usize).and_then(Option::as_ref);
        node.cloned().ok_or_else(|| damaged(reference, "absent"))
    }
}

struct Sorted<'a> {
    keys: &'a [[u8; 16]],
    values: &'a [u8],
    at: usize,
}

impl Changes for Sorted<'_> {
    fn peek(&mut self) -> Result<Option<Change<'_>>> {
        let Some(key) = self.keys.get(self.at) else { return Ok(None) };
        let from = self.at * 31 % (self.values.len() - 100);
        Ok(Some(Change::Point { key, slot: Slot::Inline(&self.values[from..from + 100]) }))
    }

    fn advance(&mut self) -> Result<()> {
        self.at += 1;
        Ok(())
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn keys(random: &mut Random, count: u64) -> Vec<[u8; 16]> {
    let mut keys: Vec<[u8; 16]> = (0..count)
        .map(|_| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&random.next().to_be_bytes());
            key[8..].copy_from_slice(&random.next().to_be_bytes());
            key
        })
        .collect();
    keys.sort_unstable();
    keys
}

fn merge(
    base: Option<Root>,
    source: &Resident,
    keys: &[[u8; 16]],
    values: &[u8],
    compression: Compression,
    sink: &mut Written,
) -> Option<Root> {
    let mut merge = Merge::new(base, Mode::DropTombstones, NodeSizes::default(), compression, None);
    let mut changes = Sorted { keys, values, at: 0 };
    loop {
        if let Progress::Done(root) = merge.step(source, &mut changes, sink, 10_000).unwrap() {
            return root;
        }
    }
}

fn timed<T>(what: &str, count: u64, work: impl FnOnce() -> T) -> T {
    let start = cpu_time_ns();
    let result = work();
    let elapsed_ns = cpu_time_ns() - start;
    println!("{what:<52} {:>9.1} ns each, {:>8.1} ms", elapsed_ns / count as f64, elapsed_ns / 1e6);
    result
}

/// Processor time of this thread where the system tells it, so that other work on the machine counts less.
fn cpu_time_ns() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_nanos() as f64;
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(wall)
}

#[test]
#[ignore = "measures time"]
fn loading() {
    let mut random = Random(88172645463325252);
    let keys_all = keys(&mut random, RECORDS);
    let values: Vec<u8> = (0..1 << 16).map(|_| random.next() as u8).collect();
    for _ in 0..5 {
        let mut sink = Discarded { end: 0 };
        timed("sorted load, nodes discarded", RECORDS, || {
            let mut merge = Merge::new(None, Mode::DropTombstones, NodeSizes::default(), Compression::None, None);
            let mut changes = Sorted { keys: &keys_all, values: &values, at: 0 };
            while merge.step(&Resident(Vec::new()), &mut changes, &mut sink, 10_000).unwrap() == Progress::More {}
        });
    }
}

struct Discarded {
    end: u64,
}

impl NodeSink for Discarded {
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, stored: Vec<u8>) -> Result<NodeRef> {
        let reference = NodeRef { offset: self.end, len: stored.len() as u32, checksum: Digest::Crc32(0) };
        self.end += (stored.len() as u64).next_multiple_of(64);
        black_box(stored);
        Ok(reference)
    }

    fn free(&mut self, _: NodeRef) {}

    fn free_value(&mut self, _: ValueRef) {}
}

#[test]
#[ignore = "measures time"]
fn a_million_records() {
    let mut random = Random(88172645463325252);
    let keys_all = keys(&mut random, RECORDS);
    let values: Vec<u8> = (0..1 << 16).map(|_| random.next() as u8).collect();
    let empty = Resident(Vec::new());

    let mut lz4 = Written::default();
    timed("sorted load, LZ4 tried on random values", RECORDS, || {
        merge(None, &empty, &keys_all, &values, Compression::Lz4, &mut lz4)
    });
    let mut written = Written::default();
    let root =
        timed("sorted load", RECORDS, || merge(None, &empty, &keys_all, &values, Compression::None, &mut written));
    let height = root.unwrap().height;
    println!(
        "{} nodes, height {height}, {:.2} bytes a record beside key and value",
        written.stored.len(),
        written.end as f64 / RECORDS as f64 - 116.0,
    );
    timed("verifying the structure of all nodes, per node", written.stored.len() as u64, || {
        written.stored.iter().for_each(|(_, stored)| {
            black_box(Layout::verify(stored).unwrap());
        });
    });
    let source = Resident::new(&written);

    let order: Vec<[u8; 16]> = (0..RECORDS).map(|_| keys_all[(random.next() % RECORDS) as usize]).collect();
    for _ in 0..2 {
        timed("get, random keys", RECORDS, || {
            for key in &order {
                black_box(get(&source, root, key).unwrap().unwrap().slot());
            }
        });
    }
    for (what, hot) in [("get, 2000 hot keys", 2000), ("get, 20 hot keys", 20)] {
        let order: Vec<[u8; 16]> = (0..RECORDS).map(|n| order[((random.next() ^ n) % hot) as usize]).collect();
        timed(what, RECORDS, || {
            for key in &order {
                black_box(get(&source, root, key).unwrap().unwrap().slot());
            }
        });
    }
    let mut cursor = TreeCursor::new(&source, root);
    timed("seek, random keys", RECORDS / 4, || {
        for key in &order[..order.len() / 4] {
            black_box(cursor.seek(key).unwrap());
        }
    });
    timed("seek, then 10 entries", RECORDS / 4, || {
        for key in &order[..order.len() / 4] {
            cursor.seek(key).unwrap();
            for _ in 0..10 {
                black_box(cursor.entry());
                black_box(cursor.next().unwrap());
            }
        }
    });
    timed("scan forward, 5 times", 5 * RECORDS, || {
        for _ in 0..5 {
            let mut cursor = TreeCursor::new(&source, root);
            while cursor.next().unwrap() {
                black_box(cursor.entry());
            }
        }
    });
    timed("scan backward, 5 times", 5 * RECORDS, || {
        for _ in 0..5 {
            let mut cursor = TreeCursor::new(&source, root);
            let mut on = cursor.seek_last().unwrap();
            while on {
                black_box(cursor.entry());
                on = cursor.prev().unwrap();
            }
        }
    });
    timed("1000 entries again and again, forward", 5 * RECORDS, || {
        let mut cursor = TreeCursor::new(&source, root);
        for _ in 0..5 * RECORDS / 1000 {
            cursor.seek(&keys_all[5000]).unwrap();
            for _ in 0..1000 {
                black_box(cursor.entry());
                cursor.next().unwrap();
            }
        }
    });

    for (what, count) in [("merge of 100000 random records", 100_000), ("merge of 2000 random records", 2_000)] {
        let new = keys(&mut random, count);
        let mut sink = Written { end: written.end, ..Written::default() };
        timed(what, count, || merge(root, &source, &new, &values, Compression::None, &mut sink));
        let bytes = sink.end - written.end;
        println!(
            "  {} nodes written, {:.1} times the data, tree grows by {:.1} bytes a record",
            sink.stored.len(),
            bytes as f64 / (count * 116) as f64,
            (bytes as f64 - sink.freed as f64) / count as f64,
        );
    }
}
