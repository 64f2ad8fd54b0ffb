//! The memtable against a model made of std's map and a list of the ranges deleted, in order.

use super::*;
use crate::codec::slot::ValueRef;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// An owned slot.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Inline(Vec<u8>),
    Extent(ValueRef),
    Tombstone,
}

impl Content {
    fn slot(&self) -> Slot<'_> {
        match self {
            Self::Inline(bytes) => Slot::Inline(bytes),
            Self::Extent(reference) => Slot::Extent(*reference),
            Self::Tombstone => Slot::Tombstone,
        }
    }
}

/// Start, end and sequence of a deleted range.
type Deletion = (Vec<u8>, Option<Vec<u8>>, u64);

#[derive(Clone, Default)]
struct Model {
    points: BTreeMap<Vec<u8>, (Content, u64)>,
    /// Every deletion there was, the last first to count.
    deletions: Vec<Deletion>,
    max_sequence: u64,
}

impl Model {
    fn put(&mut self, key: &[u8], content: Content, sequence: u64) {
        self.points.insert(key.to_vec(), (content, sequence));
        self.max_sequence = self.max_sequence.max(sequence);
    }

    fn delete_range(&mut self, start: &[u8], end: Option<&[u8]>, sequence: u64) {
        if end.is_none_or(|end| start < end) {
            self.points.retain(|key, _| !within(key, start, end));
            self.deletions.push((start.to_vec(), end.map(<[u8]>::to_vec), sequence));
            self.max_sequence = self.max_sequence.max(sequence);
        }
    }

    fn covering(&self, key: &[u8]) -> Option<u64> {
        self.deletions
            .iter()
            .rev()
            .find(|(start, end, _)| within(key, start, end.as_deref()))
            .map(|(.., sequence)| *sequence)
    }

    fn get(&self, key: &[u8]) -> Lookup<'_> {
        match (self.points.get(key), self.covering(key)) {
            (Some((content, sequence)), _) => Lookup::Found { slot: content.slot(), sequence: *sequence },
            (None, Some(sequence)) => Lookup::Covered { sequence },
            (None, None) => Lookup::Absent,
        }
    }

    /// Compares all that can be read, `probes` by themselves.
    fn check(&self, memtable: &Memtable, probes: &[Vec<u8>]) {
        memtable.points.check();
        memtable.intervals.check();
        assert_eq!(memtable.len(), self.points.len());
        assert_eq!(memtable.max_sequence(), self.max_sequence);
        let expected = || {
            self.points.iter().map(|(key, (content, sequence))| Entry {
                key,
                slot: content.slot(),
                sequence: *sequence,
            })
        };
        assert!(memtable.iter().eq(expected()));
        let mut cursor = memtable.cursor();
        assert_eq!(cursor.entry(), None);
        cursor.seek_last();
        for entry in expected().rev() {
            assert_eq!(cursor.entry(), Some(entry));
            cursor.prev();
        }
        assert_eq!(cursor.entry(), None);

        let intervals = self.check_intervals(memtable);
        for probe in probes {
            assert_eq!(memtable.get(probe), self.get(probe), "{probe:?}");
            self.check_seeks(memtable, &intervals, probe);
        }
        for pair in probes.chunks(2) {
            self.check_touched(memtable, &intervals, &pair[0], pair.get(1).map(Vec::as_slice));
        }
    }

    fn check_intervals(&self, memtable: &Memtable) -> Vec<Deletion> {
        let mut intervals = Vec::new();
        let mut cursor = memtable.intervals();
        cursor.seek(&[]);
        while let Some(Interval { start, end, sequence }) = cursor.interval() {
            assert_eq!(self.covering(start), Some(sequence));
            assert_ne!(
                end.and_then(|end| self.covering(end)),
                Some(sequence),
                "neighbours of one commit are one interval"
            );
            intervals.push((start.to_vec(), end.map(<[u8]>::to_vec), sequence));
            cursor.next();
        }
        assert_eq!(memtable.interval_count(), intervals.len());
        for pair in intervals.windows(2) {
            assert!(pair[0].1.as_ref().is_some_and(|end| *end <= pair[1].0), "disjoint");
        }
        assert!(intervals.iter().all(|(start, end, _)| end.as_ref().is_none_or(|end| start < end)));
        intervals
    }

    fn check_seeks(&self, memtable: &Memtable, intervals: &[Deletion], probe: &[u8]) {
        let mut cursor = memtable.cursor();
        cursor.seek(probe);
        assert_eq!(
            cursor.entry().map(|entry| entry.key),
            self.points.range(probe.to_vec()..).next().map(|(key, _)| key.as_slice())
        );
        cursor.prev();
        let before = self.points.range(..probe.to_vec()).next_back().map(|(key, _)| key.as_slice());
        if self.points.range(probe.to_vec()..).next().is_some() {
            assert_eq!(cursor.entry().map(|entry| entry.key), before);
        }
        cursor.seek_before(probe);
        assert_eq!(cursor.entry().map(|entry| entry.key), before);
        cursor.next();
        if before.is_some() {
            assert_eq!(
                cursor.entry().map(|entry| entry.key),
                self.points.range(probe.to_vec()..).next().map(|(key, _)| key.as_slice())
            );
        }

        let start = |cursor: &IntervalCursor| cursor.interval().map(|interval| interval.start.to_vec());
        let mut cursor = memtable.intervals();
        cursor.seek(probe);
        let ending_after =
            intervals.iter().position(|(_, end, _)| end.as_ref().is_none_or(|end| end.as_slice() > probe));
        assert_eq!(start(&cursor), ending_after.map(|at| intervals[at].0.clone()));
        cursor.seek_before(Some(probe));
        let before = intervals.iter().rposition(|(start, ..)| start.as_slice() < probe);
        assert_eq!(start(&cursor), before.map(|at| intervals[at].0.clone()));
        cursor.prev();
        assert_eq!(start(&cursor), before.and_then(|at| at.checked_sub(1)).map(|at| intervals[at].0.clone()));
    }

    fn check_touched(&self, memtable: &Memtable, intervals: &[Deletion], start: &[u8], end: Option<&[u8]>) {
        let step = (self.max_sequence as usize / 4).max(1);
        for since in (0..=self.max_sequence + 1).step_by(step) {
            let points =
                self.points.iter().filter(|(_, (_, sequence))| *sequence > since).map(|(key, _)| key.as_slice());
            let covered = intervals.iter().filter(|(_, end, sequence)| {
                *sequence > since && end.as_ref().is_none_or(|end| end.as_slice() > start)
            });
            let covered = covered.map(|(from, ..)| from.as_slice().max(start));
            let expected = points.chain(covered).filter(|key| within(key, start, end)).min();
            assert_eq!(memtable.touched_since(start, end, since), expected, "{start:?}..{end:?} since {since}");
        }
    }
}

fn within(key: &[u8], start: &[u8], end: Option<&[u8]>) -> bool {
    key >= start && end.is_none_or(|end| key < end)
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Content),
    Extend(Vec<(Vec<u8>, Content)>),
    /// As many keys as told, rising or falling by a stride from a number, after a prefix.
    Series {
        prefix: Vec<u8>,
        from: u16,
        count: u16,
        stride: i16,
        batch: bool,
    },
    DeleteRange(Vec<u8>, Option<Vec<u8>>),
    Snapshot,
    /// Continues with an older snapshot.
    Rollback(usize),
    DropSnapshots,
}

const LONG: &[u8] = b"a prefix that is longer than what a node keeps of it, ";

fn any_prefix() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), Just(vec![0]), Just(vec![0xff; 8]), Just(b"table".to_vec()), Just(LONG.to_vec())]
}

/// Keys that share prefixes, are prefixes of each other, and differ only beyond the head.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop_oneof![
        4 => prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x61, 0xff]), 0..4),
        2 => any::<u16>().prop_map(|number| number.to_be_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (any::<bool>(), any::<u8>()).prop_map(|(high, last)| [[if high { 0xff } else { 0 }; 9].as_slice(), &[last]].concat()),
    ];
    (any_prefix(), tail).prop_map(|(prefix, tail)| [prefix, tail].concat())
}

fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Content::Inline),
        1 => any::<(u64, u64, u32)>().prop_map(|(offset, len, checksum)| Content::Extent(ValueRef { offset, len, checksum: crate::codec::checksum::Digest::Crc32(checksum) })),
        1 => Just(Content::Tombstone),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_key(), any_content()).prop_map(|(key, content)| Step::Put(key, content)),
        2 => prop::collection::vec((any_key(), any_content()), 0..40).prop_map(Step::Extend),
        3 => (any_prefix(), any::<u16>(), 0u16..600, prop_oneof![-3i16..4, Just(257), Just(-4099)], any::<bool>())
            .prop_map(|(prefix, from, count, stride, batch)| Step::Series { prefix, from, count, stride, batch }),
        3 => (any_key(), prop::option::weighted(0.9, any_key())).prop_map(|(start, end)| Step::DeleteRange(start, end)),
        1 => Just(Step::Snapshot),
        1 => any::<usize>().prop_map(Step::Rollback),
        1 => Just(Step::DropSnapshots),
    ]
}

fn series(prefix: &[u8], from: u16, count: u16, stride: i16) -> Vec<(Vec<u8>, Content)> {
    let number = |at: u16| from.wrapping_add(at.wrapping_mul(stride as u16));
    (0..count)
        .map(|at| ([prefix, &number(at).to_be_bytes()].concat(), Content::Inline(at.to_le_bytes().to_vec())))
        .collect()
}

fn slots(entries: &[(Vec<u8>, Content)]) -> impl Iterator<Item = (&[u8], Slot<'_>)> {
    entries.iter().map(|(key, content)| (key.as_slice(), content.slot()))
}

fn run(steps: &[Step]) {
    let mut memtable = Memtable::new();
    let mut model = Model::default();
    let mut snapshots: Vec<(Memtable, Model)> = Vec::new();
    let mut probes: Vec<Vec<u8>> = vec![vec![]];
    for (at, step) in steps.iter().enumerate() {
        // Some commits are of several steps.
        let sequence = 1 + at as u64 / 2;
        match step {
            Step::Put(key, content) => {
                memtable.put(key, content.slot(), sequence);
                model.put(key, content.clone(), sequence);
                probes.extend([key.clone(), [key.as_slice(), &[0]].concat(), key[..key.len() / 2].to_vec()]);
            }
            Step::Extend(entries) => {
                // One in three is in no order, which must be slower only.
                let mut entries = entries.clone();
                if at % 3 > 0 {
                    entries.sort_by(|left, right| left.0.cmp(&right.0));
                }
                memtable.extend_sorted(slots(&entries), sequence);
                entries.into_iter().for_each(|(key, content)| model.put(&key, content, sequence));
                model.max_sequence = sequence;
            }
            Step::Series { prefix, from, count, stride, batch } => {
                let entries = series(prefix, *from, *count, *stride);
                if *batch {
                    memtable.extend_sorted(slots(&entries), sequence);
                } else {
                    slots(&entries).for_each(|(key, slot)| memtable.put(key, slot, sequence));
                }
                probes.extend(entries.iter().step_by(97).map(|(key, _)| key.clone()));
                model.max_sequence = if *batch || *count > 0 { sequence } else { model.max_sequence };
                entries.into_iter().for_each(|(key, content)| model.put(&key, content, sequence));
            }
            Step::DeleteRange(start, end) => {
                memtable.delete_range(start, end.as_deref(), sequence);
                model.delete_range(start, end.as_deref(), sequence);
                probes.extend([start.clone(), [start.as_slice(), &[0]].concat()]);
                probes.extend(end.clone());
            }
            Step::Snapshot => snapshots.push((memtable.clone(), model.clone())),
            Step::Rollback(which) if !snapshots.is_empty() => {
                let (older, older_model) = &snapshots[which % snapshots.len()];
                (memtable, model) = (older.clone(), older_model.clone());
            }
            Step::Rollback(_) => {}
            Step::DropSnapshots => {
                snapshots.iter().for_each(|(memtable, model)| model.check(memtable, &probes[..probes.len().min(20)]));
                snapshots.clear();
            }
        }
    }
    model.check(&memtable, &probes);
    let (cursor, intervals) = (memtable.cursor(), memtable.intervals());
    drop(memtable);
    for (memtable, model) in &snapshots {
        model.check(memtable, &probes);
    }
    drop((cursor, intervals));
}

proptest! {
    #[test]
    fn behaves_as_the_model_and_snapshots_stay_as_they_were(steps in prop::collection::vec(any_step(), 1..60)) {
        run(&steps);
    }

    #[test]
    fn intervals_stay_disjoint_and_the_newest_wins(ranges in prop::collection::vec((0u8..40, 0u8..40, 0u64..3), 1..60)) {
        let (mut memtable, mut model) = (Memtable::new(), Model::default());
        let mut sequence = 1;
        let probes: Vec<_> = (0u8..42).map(|byte| vec![byte]).collect();
        for (from, to, newer) in ranges {
            sequence += newer;
            let end = [to];
            let end = if to == 39 { None } else { Some(end.as_slice()) };
            memtable.delete_range(&[from], end, sequence);
            model.delete_range(&[from], end, sequence);
            model.check(&memtable, &probes);
        }
    }
}

/// Numbers that look random, the same ones at each run.
fn numbers(count: usize) -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
    .take(count)
}

#[test]
fn a_large_map_keeps_its_shape_through_inserts_and_range_deletes() {
    let (mut memtable, mut model) = (Memtable::new(), Model::default());
    let mut snapshots = Vec::new();
    for (at, number) in numbers(60_000).enumerate() {
        let key = number.to_be_bytes();
        memtable.put(&key, Slot::Inline(&key[..5]), at as u64);
        model.put(&key, Content::Inline(key[..5].to_vec()), at as u64);
        if at % 1_000 == 999 {
            // From single keys to large parts of the map.
            let end = number.saturating_add(1 << (at / 1_000)).to_be_bytes();
            memtable.delete_range(&key, Some(&end), at as u64);
            model.delete_range(&key, Some(&end), at as u64);
            memtable.points.check();
        }
        if at % 20_000 == 10_000 {
            snapshots.push((memtable.clone(), model.clone()));
        }
    }
    assert!(model.points.len() > 20_000);
    let probes: Vec<_> = numbers(60_000).step_by(601).map(|number| number.to_be_bytes().to_vec()).collect();
    model.check(&memtable, &probes);
    snapshots.iter().for_each(|(memtable, model)| model.check(memtable, &probes));
    memtable.delete_range(&[], None, 70_000);
    assert_eq!((memtable.len(), memtable.interval_count()), (0, 1));
    assert_eq!(memtable.get(b"any"), Lookup::Covered { sequence: 70_000 });
}

#[test]
fn rising_and_falling_keys_leave_full_nodes() {
    for falling in [false, true] {
        let mut memtable = Memtable::new();
        for number in 0..6_400u64 {
            let number = if falling { 6_400 - number } else { number };
            memtable.put(&number.to_be_bytes(), Slot::Tombstone, 1);
        }
        memtable.points.check();
        assert_eq!(memtable.len(), 6_400);
        assert!(memtable.points.summary().nodes <= 100 + 4, "{:?}", memtable.points.summary());
    }
}

#[test]
fn keys_and_values_of_extreme_lengths_are_kept() {
    let mut memtable = Memtable::new();
    let (long, longer) = (vec![7; 64 << 10], vec![7; (64 << 10) + 1]);
    let value = vec![9; 3 << 20];
    memtable.put(&longer, Slot::Inline(&value), 2);
    memtable.put(&long, Slot::Inline(&[]), 1);
    memtable.put(&[], Slot::Inline(&value), 3);
    assert_eq!(memtable.get(&long), Lookup::Found { slot: Slot::Inline(&[]), sequence: 1 });
    assert_eq!(memtable.get(&longer), Lookup::Found { slot: Slot::Inline(&value), sequence: 2 });
    assert_eq!(memtable.get(&[]), Lookup::Found { slot: Slot::Inline(&value), sequence: 3 });
    assert_eq!(memtable.get(&[7]), Lookup::Absent);
    assert!(memtable.bytes() > (6 << 20));
}

#[test]
fn an_empty_memtable_answers_everything() {
    let mut memtable = Memtable::new();
    assert!(memtable.is_empty());
    memtable.delete_range(b"b", Some(b"b"), 1);
    memtable.delete_range(b"b", Some(b"a"), 1);
    memtable.extend_sorted([], 0);
    Model::default().check(&memtable, &[vec![], vec![1], vec![1, 2]]);
    assert_eq!((memtable.bytes(), memtable.max_sequence()), (0, 0));
}

#[test]
fn many_range_deletes_stay_cheap() {
    let mut memtable = Memtable::new();
    for number in (0..20_000u64).step_by(2) {
        memtable.delete_range(&number.to_be_bytes(), Some(&(number + 1).to_be_bytes()), number);
    }
    assert_eq!(memtable.interval_count(), 10_000);
    // The arena would hold gigabytes if each of them had copied the set.
    assert!(memtable.bytes() < 2 << 20);
    let (first, last) = (0u64.to_be_bytes(), 19_998u64.to_be_bytes());
    assert_eq!(memtable.touched_since(&first, None, 19_997), Some(&last[..]));
    memtable.delete_range(&1u64.to_be_bytes(), Some(&19_998u64.to_be_bytes()), 30_000);
    assert_eq!(memtable.interval_count(), 3);
}

#[test]
fn a_change_copies_only_what_a_snapshot_shares() {
    let mut memtable = Memtable::new();
    for number in 0..10_000u64 {
        memtable.put(&number.to_be_bytes(), Slot::Tombstone, 1);
    }
    let leaf = |memtable: &Memtable, number: u64| {
        let mut cursor = memtable.cursor();
        cursor.seek(&number.to_be_bytes());
        cursor.path.leaf_address()
    };
    let (near, far) = (leaf(&memtable, 5_000), leaf(&memtable, 9_000));
    memtable.put(&5_000u64.to_be_bytes(), Slot::Tombstone, 2);
    assert_eq!(leaf(&memtable, 5_000), near);
    let snapshot = memtable.clone();
    memtable.put(&5_000u64.to_be_bytes(), Slot::Tombstone, 3);
    assert_ne!(leaf(&memtable, 5_000), near);
    assert_eq!(leaf(&snapshot, 5_000), near);
    assert_eq!(leaf(&memtable, 9_000), far);
}

#[cfg(feature = "std")]
#[test]
fn two_threads_change_clones_while_a_third_reads_the_original() {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Memtable>();
    crosses_threads::<MemtableCursor>();
    crosses_threads::<IntervalCursor>();

    let count = if cfg!(miri) { 50 } else { 2_000 };
    let (mut memtable, mut model) = (Memtable::new(), Model::default());
    for number in numbers(count) {
        memtable.put(&number.to_be_bytes(), Slot::Tombstone, 1);
        model.put(&number.to_be_bytes(), Content::Tombstone, 1);
    }
    let change = |thread: u64| {
        let (mut memtable, mut model) = (memtable.clone(), model.clone());
        for number in numbers(2 * count).skip(count / 2) {
            let key = (number ^ (thread * (number & 1))).to_be_bytes();
            let value = vec![thread as u8; number as usize % 300];
            memtable.put(&key, Slot::Inline(&value), 2);
            model.put(&key, Content::Inline(value), 2);
        }
        (memtable, model)
    };
    let probes: Vec<_> = numbers(count / 20).map(|number| number.to_be_bytes().to_vec()).collect();
    std::thread::scope(|scope| {
        let changed = [1, 2].map(|thread| scope.spawn(move || change(thread)));
        for _ in 0..3 {
            model.check(&memtable, &probes);
        }
        for (memtable, model) in changed.map(|thread| thread.join().unwrap()) {
            model.check(&memtable, &probes);
        }
    });
    model.check(&memtable, &probes);
}
