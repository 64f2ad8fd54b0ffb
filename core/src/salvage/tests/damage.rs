//! A tenth of all blocks destroyed: what comes back is right, what is not there is reported.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::workload::{Made, Map, Part, Random, environment, options, shown};
use crate::db::Database;
use crate::env::{FileId, MemoryStorage, Storage};
use crate::salvage::{LossKind, SalvageBasis, SalvageReport};
use crate::table::prefix;

const BLOCK: u64 = 4096;

/// Destroyed blocks of both files.
struct Damage {
    blocks: Vec<(FileId, u64)>,
}

impl Damage {
    /// Each block with this chance.
    fn of(made: &mut Made, random: &mut Random, per_cent: u64) -> Self {
        let mut blocks = Vec::new();
        for file in FileId::ALL {
            let bytes = if file == FileId::Data { &mut made.data } else { &mut made.log };
            for block in 0..(bytes.len() as u64).div_ceil(BLOCK) {
                if random.below(100) < per_cent {
                    let range = (block * BLOCK) as usize..(((block + 1) * BLOCK) as usize).min(bytes.len());
                    let len = range.len();
                    let zeros = random.below(2) == 0;
                    let junk = if zeros { alloc::vec![0; len] } else { random.bytes(len) };
                    bytes[range].copy_from_slice(&junk);
                    blocks.push((file, block));
                }
            }
        }
        Self { blocks }
    }

    fn hits(&self, (file, offset, len): Part) -> bool {
        let blocks = offset / BLOCK..=(offset + len.max(1) - 1) / BLOCK;
        self.blocks.iter().any(|(other, block)| *other == file && blocks.contains(block))
    }
}

/// Salvages into memory, and makes sure that the result is whole and the source as it was.
pub(super) fn salvage(made: &Made) -> crate::Result<(Database, SalvageReport)> {
    let source = made.storage();
    let into = Database::open_storage(Arc::new(MemoryStorage::new()), environment(99), options()).unwrap();
    let report = into.salvage(Arc::clone(&source) as Arc<dyn Storage>, &mut |_| {});
    assert!(
        source.contents(FileId::Data) == made.data && source.contents(FileId::Log) == made.log,
        "it was written to"
    );
    let report = report?;
    assert_eq!(into.check().unwrap().problems, Vec::<alloc::string::String>::new());
    Ok((into, report))
}

fn is_reported(report: &SalvageReport, key: &[u8], missing: bool) -> bool {
    let (id, rest) = prefix::split(key).unwrap();
    report.losses.iter().any(|loss| {
        loss.table_id == id
            && loss.from.as_slice() <= rest
            && loss.to.as_ref().is_none_or(|to| rest < to.as_slice())
            && (!missing || loss.kind == LossKind::Records || loss.kind == LossKind::Changes)
    })
}

/// What was judged.
#[derive(Default, Debug)]
pub(super) struct Judged {
    right: usize,
    lost: usize,
    nodes_alone: usize,
    older_checkpoint: usize,
    /// Lost at the end of a log that looks whole.
    behind_the_end: usize,
}

/// Destroys, salvages, and holds the result against all that was committed.
fn judge(seed: u64, per_cent: u64, closed: bool, judged: &mut Judged) {
    let mut random = Random(seed ^ 0x5eed);
    let whole = Made::new(seed, 40 + random.below(160) as usize, closed);
    let map = Map::of(&whole);
    let mut made = Made { data: whole.data.clone(), log: whole.log.clone(), history: whole.history.clone() };
    let damage = Damage::of(&mut made, &mut random, per_cent);
    let (into, report) = salvage(&made).unwrap();
    let found = into.snapshot();
    for (key, versions) in &made.history {
        let now = versions.last().unwrap();
        let back = found.get_raw(key).unwrap();
        let name = shown(key);
        assert!(
            back.is_none() || versions.contains(&back),
            "seed {seed}: {name} came back with a value that it never had"
        );
        if report.basis == SalvageBasis::NodesAlone {
            judged.nodes_alone += 1;
            continue;
        }
        // Where nothing leads to the newest checkpoint any more, the one before it and the log are all there is.
        if report.checkpoint.is_some_and(|number| number < map.checkpoint) {
            judged.older_checkpoint += 1;
            let told = !report.is_complete() || report.log_end.is_some();
            assert!(back == *now || told, "seed {seed}: {name}: {report:?}");
            continue;
        }
        let parts = map.newest(key);
        let intact = !parts.iter().any(|part| damage.hits(*part));
        if back == *now {
            judged.right += 1;
            continue;
        }
        judged.lost += 1;
        let what = match (&back, now) {
            (None, _) => "is missing",
            (Some(_), None) => "had been deleted",
            (Some(_), Some(_)) => "is an older version",
        };
        // A checkpoint that was being made may lead on where the newest superblock is lost. It is as good, but its nodes are
        // others than those of the map.
        let is_other = report.checkpoint.is_some_and(|number| number > map.checkpoint + u64::from(closed));
        assert!(
            !intact || is_other,
            "seed {seed} closed {closed}: {name} {what}, though {parts:?} is intact: {report:?}"
        );
        let in_lost_commit = !report.lost_commits.is_empty() && parts.iter().any(|part| part.0 == FileId::Log);
        // That commits may be missing behind the last one found is all that can be told.
        let commit = map.newest_in_log(key).map(|(commit, _)| commit);
        let is_behind_the_end =
            commit.is_some_and(|commit| report.log_end.is_some_and(|end| end.commit < commit)) && !closed;
        judged.behind_the_end += usize::from(is_behind_the_end && report.is_complete());
        assert!(
            in_lost_commit || is_behind_the_end || is_reported(&report, key, back.is_none()),
            "seed {seed} closed {closed}: {name} {what}, and that is not reported; {parts:?} {report:?}"
        );
    }
    // Nothing came up that was never there.
    for id in 1..=3 {
        let count = found.count_of(id).unwrap();
        let known = made.history.keys().filter(|key| prefix::split(key).unwrap().0 == id);
        assert_eq!(count, known.filter(|key| found.get_raw(key).unwrap().is_some()).count() as u64);
    }
}

#[test]
fn whatever_is_intact_comes_back_and_whatever_does_not_is_reported() {
    let mut judged = Judged::default();
    let seeds: u64 = std::env::var("LIGHTNING_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let first: u64 = std::env::var("LIGHTNING_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        judge(seed, 10, seed % 2 == 0, &mut judged);
    }
    std::println!("{judged:?}");
    assert!(judged.right > 0 && judged.lost > 0, "{judged:?}");
}

#[test]
fn a_log_whose_end_is_zeros_is_told_by_its_last_commit() {
    let mut cut = 0;
    for seed in 0..6 {
        let mut made = Made::new(2 * seed + 1, 100, false);
        let (_, whole) = salvage(&made).unwrap();
        let end = whole.log_end.expect("it was not closed");
        // From where the last commit begins to the end of its segment: what lies before is whole.
        let from = Map::of(&made).log_from(end.commit).expect("the log has commits");
        let to = 4096 + ((from - 4096) / (64 << 10) + 1) * (64 << 10);
        made.log[from as usize..to as usize].fill(0);
        let (_, report) = salvage(&made).unwrap();
        let told = report.log_end.expect("it was not closed");
        assert!(told.commit < end.commit && told.time_ms <= end.time_ms, "{told:?} {end:?}");
        let are_all = whole.commits - report.commits == end.commit - told.commit;
        assert!(are_all || !report.is_complete(), "seed {seed}: {report:#?}");
        cut += usize::from(report.is_complete());
    }
    assert!(cut > 2, "{cut} databases look whole");
    let (_, closed) = salvage(&Made::new(2, 100, true)).unwrap();
    assert_eq!(closed.log_end, None, "nothing is missing of a database that was closed");
}

#[test]
fn a_whole_database_comes_back_whole() {
    for seed in 100..104 {
        let made = Made::new(seed, 80, seed % 2 == 0);
        let (into, report) = salvage(&made).unwrap();
        assert!(report.is_complete(), "seed {seed}: {report:#?}");
        assert_eq!(report.basis, SalvageBasis::Superblock);
        same(&into, &made, seed);
    }
}

/// Everything is there as it was.
pub(super) fn same(into: &Database, made: &Made, seed: u64) {
    let found = into.snapshot();
    for key in made.history.keys() {
        assert!(found.get_raw(key).unwrap().as_ref() == made.now(key), "seed {seed}: {}", shown(key));
    }
}
