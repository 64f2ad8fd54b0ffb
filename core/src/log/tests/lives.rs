//! Many lives of one log, with an engine's duties done by a model: crash, recover, seal, checkpoint, release, go on.

use super::disk::{Disk, Random};
use super::*;
use proptest::prelude::*;

/// What a superblock would hold.
#[derive(Clone)]
struct Checkpoint {
    number: u64,
    position: LogPosition,
    sealed: Vec<SealedSegment>,
    /// Commits up to here are in the tree.
    merged: u64,
}

struct Model {
    disk: Disk,
    log: Log,
    /// All commits that are not undone, and how many of them must survive.
    commits: Commits,
    durable: usize,
    sequence: u64,
    newer: Checkpoint,
    older: Checkpoint,
}

#[derive(Clone, Debug)]
enum Step {
    Commit(usize),
    Sync,
    Mark,
    Checkpoint,
    FailedCommit(usize, usize),
    Kill,
    PowerLoss(u64),
    /// Crash again in the middle of the recovery, before its checkpoint.
    PowerLossTwice(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![4 => 0..500usize, 3 => 500..8000usize, 1 => 50_000..150_000usize];
    prop_oneof![
        12 => size().prop_map(Step::Commit),
        4 => Just(Step::Sync),
        2 => Just(Step::Mark),
        2 => Just(Step::Checkpoint),
        1 => (size(), 0..3usize).prop_map(|(size, writes)| Step::FailedCommit(size, writes)),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerLoss),
        1 => any::<u64>().prop_map(Step::PowerLossTwice),
    ]
}

impl Model {
    fn new() -> Self {
        let disk = Disk::default();
        let log = Log::create(&disk, config(), start()).unwrap();
        let first = Checkpoint { number: 1, position: start(), sealed: Vec::new(), merged: 0 };
        Self { disk, log, commits: Vec::new(), durable: 0, sequence: 0, newer: first.clone(), older: first }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(size) => {
                self.sequence += 1;
                let payload = payload(self.sequence, size);
                self.log.append(&self.disk, self.sequence, &payload).unwrap();
                self.commits.push((self.sequence, payload));
            }
            Step::Sync => self.sync(),
            Step::Mark => self.log.mark(&self.disk).unwrap(),
            Step::Checkpoint => {
                self.sync();
                self.checkpoint(Vec::new(), self.sequence);
            }
            Step::FailedCommit(size, writes) => {
                self.disk.fail_after(writes);
                self.sequence += 1;
                let payload = payload(self.sequence, size);
                let failed = self.log.append(&self.disk, self.sequence, &payload).is_err();
                self.disk.heal();
                if failed {
                    self.log.mark(&self.disk).unwrap();
                } else {
                    self.commits.push((self.sequence, payload));
                }
            }
            Step::Kill => {
                self.durable = self.commits.len();
                self.recover();
            }
            Step::PowerLoss(seed) => {
                self.disk.lose_power(seed);
                self.recover();
            }
            Step::PowerLossTwice(seed) => {
                self.disk.lose_power(seed);
                let (_, end) = self.replay_newer();
                let mut log = Log::resume(&self.disk, LogConfig { incarnation: seed, ..config() }, &end).unwrap();
                log.set_durable(end.last_sequence());
                log.mark(&self.disk).unwrap();
                self.disk.lose_power(seed ^ 1);
                self.recover();
            }
        }
    }

    fn sync(&mut self) {
        let _ = self.disk.sync(FileId::Log).unwrap();
        self.durable = self.commits.len();
        self.log.set_durable(self.commits.last().map_or(0, |commit| commit.0));
    }

    fn checkpoint(&mut self, sealed: Vec<SealedSegment>, merged: u64) {
        let number = self.newer.number + 1;
        let next = Checkpoint { number, position: self.log.position(), sealed, merged };
        self.older = core::mem::replace(&mut self.newer, next);
        self.log.set_checkpoint(number);
        let oldest = self.older.sealed.first().map_or(self.older.position, |segment| segment.start);
        self.log.release(&oldest);
    }

    fn replay_newer(&self) -> (Commits, ReplayEnd) {
        let (mut found, end) = read_from(&self.disk, &self.newer.sealed, self.newer.position).unwrap();
        found.retain(|(sequence, _)| *sequence > self.newer.merged);
        assert!(end.checkpoint <= self.newer.number);
        (found, end)
    }

    fn recover(&mut self) {
        let (found, end) = self.replay_newer();
        let merged = self.commits.iter().take_while(|commit| commit.0 <= self.newer.merged).count();
        let all = &self.commits[merged..];
        assert!(found.len() <= all.len() && found == all[..found.len()], "not a prefix");
        assert!(merged + found.len() >= self.durable, "a synced commit is lost");
        self.commits.truncate(merged + found.len());
        self.check_older();

        self.sequence = end.last_sequence().max(self.newer.merged);
        let incarnation = self.sequence << 8 | self.newer.number;
        self.log = Log::resume(&self.disk, LogConfig { incarnation, ..config() }, &end).unwrap();
        self.sync();
        // Every other recovery leaves the sealed part to be replayed again.
        if self.newer.number.is_multiple_of(2) {
            self.checkpoint(end.segments, self.newer.merged);
        } else {
            self.checkpoint(Vec::new(), self.sequence);
        }
    }

    /// The older superblock gives the same commits, or an error, but never a state that lacks a synced commit unnoticed.
    fn check_older(&self) {
        let Ok((mut found, end)) = read_from(&self.disk, &self.older.sealed, self.older.position) else { return };
        if end.checkpoint > self.older.number {
            return;
        }
        found.retain(|(sequence, _)| *sequence > self.older.merged);
        let expected: Commits = self.commits.iter().filter(|commit| commit.0 > self.older.merged).cloned().collect();
        let durable = expected.len().saturating_sub(self.commits.len() - self.durable.min(self.commits.len()));
        let shown = end.durable_sequence.max(self.newer.merged);
        assert!(found.len() <= expected.len() && found == expected[..found.len()]);
        // What was synced but is not shown by any frame yet lies behind a later life: then only the number tells.
        let lost = expected.get(found.len()..durable).unwrap_or_default();
        assert!(lost.iter().all(|commit| commit.0 > shown), "the older superblock loses commits in silence");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]
    #[test]
    fn a_log_of_many_lives_loses_nothing_synced_and_invents_nothing(steps in proptest::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
        }
        model.step(Step::PowerLoss(1));
        model.step(Step::Kill);
    }
}

#[test]
fn the_older_superblock_is_refused_once_a_later_life_has_committed() {
    let disk = Disk::default();
    let mut log = Log::create(&disk, config(), start()).unwrap();
    log.append(&disk, 1, &payload(1, 100)).unwrap();
    let (_, end) = read(&disk).unwrap();
    let mut log = Log::resume(&disk, config(), &end).unwrap();
    let from = log.position();
    log.set_checkpoint(2);
    log.set_durable(1);
    log.append(&disk, 2, &payload(2, 100)).unwrap();
    log.set_durable(2);
    log.mark(&disk).unwrap();
    // With the checkpoint of the second life all is well.
    assert_eq!(read_from(&disk, &end.segments, from).unwrap().0.len(), 2);
    // Without it commit 2 would be lost: the log shows that it was durable.
    assert!(is_corrupt(&read(&disk).err().unwrap()));
}

#[test]
fn a_later_life_that_only_made_a_checkpoint_shows_its_number() {
    let disk = Disk::default();
    let mut log = Log::create(&disk, config(), start()).unwrap();
    log.append(&disk, 1, &payload(1, 100)).unwrap();
    let (_, end) = read(&disk).unwrap();
    let mut log = Log::resume(&disk, config(), &end).unwrap();
    log.set_checkpoint(9);
    log.append(&disk, 2, &payload(2, 100)).unwrap();
    assert_eq!(read(&disk).unwrap().1.checkpoint, 9);
}

#[test]
fn segments_of_an_earlier_life_stay_in_use_until_released() {
    let (storage, log, _) = written(&[150_000, 10]);
    let checkpoint = log.position();
    let (_, end) = read_from(&storage, &[], checkpoint).unwrap();
    assert_eq!(end.retained.len(), 3, "not newer than the checkpoint, but perhaps the other superblock's");
    assert!(end.segments.is_empty(), "nothing behind the checkpoint");
    let before = log_bytes(&storage);
    let mut resumed = Log::resume(&storage, config(), &end).unwrap();
    for sequence in 3..9 {
        resumed.append(&storage, sequence, &payload(sequence, 100_000)).unwrap();
    }
    let after = log_bytes(&storage);
    let used = 4096 + 3 * SEGMENT as usize;
    assert!(before[4096..used] == after[4096..used]);
    resumed.release(&resumed.position());
    assert_eq!(resumed.regions_in_use(), 1);
}

#[test]
fn a_region_that_the_checkpoint_names_is_not_given_away_for_a_header_read_wrong_once() {
    // The checkpoint goes on behind the last commit, so that nothing but its header tells that the segment is needed.
    let (storage, log, _) = written(&[100, 200]);
    let (bytes, checkpoint) = (log_bytes(&storage), log.position());
    let mut misread = 0;
    for readings in 0..6 {
        for at in 0..64 {
            let disk = Disk::with_log(&bytes);
            disk.misread_after(readings, 4096 + at);
            let Ok((_, end)) = read_from(&disk, &[], checkpoint) else { continue };
            misread += usize::from(disk.has_misread());
            let mut next = Log::resume(&disk, LogConfig { incarnation: 8, ..config() }, &end).unwrap();
            next.append(&disk, 3, &payload(3, 100)).unwrap();
            let _ = disk.sync(FileId::Log).unwrap();
            // Before a checkpoint names the new segment.
            disk.lose_power(at);
            let (found, _) = read_from(&disk, &[], checkpoint)
                .unwrap_or_else(|error| panic!("byte {at} after {readings} readings: {error}"));
            assert!(found.is_empty());
        }
    }
    assert!(misread >= 2 * 64, "{misread}");
}

#[test]
fn the_model_disk_does_tear() {
    let mut different = 0;
    for seed in 0..50 {
        let disk = Disk::default();
        disk.write_at(FileId::Log, 0, &noise(1, 8192)).unwrap();
        let whole = disk.bytes();
        disk.lose_power(seed);
        different += usize::from(disk.bytes() != whole);
    }
    assert!((10..50).contains(&different), "{different}");
    assert_ne!(Random(1).next(), Random(2).next());
}
