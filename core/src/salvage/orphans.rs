//! Leaves whose parents are lost, found by looking at the whole file; and which of them are current.
//!
//! A leaf that belongs below a destroyed inner node has all its keys in that node's range, the right tree and the right age.
//! Leftovers of freed space look the same. Two things tell them apart:
//! - **Space.** The space map, where its page is whole, counts the grains in use in each sector. What the trees still
//!   refer to, what waits to be reused, and the record and the map themselves account for some; a leaf that needs more
//!   grains than are left is in no use.
//! - **Age.** Leaves of one base never overlap, and a leaf is replaced as a whole. So a leaf that shares a key range with a
//!   newer one is not current, and neither is anything in it. (Leaves of one run are all of one age, and whatever they
//!   say is the same.)
//!
//! Memory is bounded: what is found is kept in key order up to a limit, and what is beyond waits for another pass.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::Salvage;
use super::grains::Grains;
use super::trees::Tree;
use super::walk::{Bounds, Met, walk};
use crate::codec::cipher::Unit;
use crate::engine::CheckpointRecord;
use crate::error::Result;
use crate::hashing::HashMap;
use crate::space::{Extent, GRAINS_PER_SECTOR, SECTOR_BYTES, SECTORS_PER_PAGE, Superblock};
use crate::tree::node::NodeView;
use crate::tree::{Header, NodeRef, Seal, TreeKind};

/// What the candidates of one pass may take.
const CANDIDATE_BYTES_MAX: usize = 32 << 20;
/// What one takes beside its keys, about.
const CANDIDATE_BYTES: usize = 160;

/// Which leaves are looked for.
pub(super) struct Wanted<'w> {
    pub tree: &'w Tree<'w>,
    /// In key order.
    pub ranges: &'w [Bounds],
    /// Keys below this were dealt with in earlier passes.
    pub from: &'w [u8],
}

/// A leaf that may be current.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub node: NodeRef,
    pub kind: TreeKind,
    pub age: u32,
    pub first: Vec<u8>,
    /// The last key; of intervals the end of the last, `None` without end.
    pub last: Option<Vec<u8>>,
}

impl Leaf {
    pub(super) fn new(node: NodeRef, header: &Header, view: &NodeView<'_>) -> Self {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        view.key_into(0, &mut first);
        let end = view.keys().saturating_sub(1);
        view.key_into(end, &mut last);
        let last = match (header.tree, view.slot(end)) {
            (TreeKind::RunIntervals, Some(crate::codec::slot::Slot::Inline(to))) => {
                (!to.is_empty()).then(|| to.to_vec())
            }
            _ => Some(last),
        };
        Self { node, kind: header.tree, age: header.age, first, last }
    }

    fn bytes(&self) -> usize {
        self.first.len() + self.last.as_ref().map_or(0, Vec::len) + CANDIDATE_BYTES
    }

    fn extent(&self) -> Extent {
        Extent { offset: self.node.offset, len: u64::from(self.node.len) }
    }

    /// Whether anything of it lies at or after `key`.
    fn reaches(&self, key: &[u8]) -> bool {
        self.last.as_ref().is_none_or(|last| last.as_slice() >= key)
    }
}

/// Candidates in key order, as many as one pass may hold.
pub(super) struct Orphans {
    pub leaves: Vec<Leaf>,
    /// Where the next pass begins, if there is one.
    pub next_pass: Option<Vec<u8>>,
}

impl Orphans {
    /// Leaves of one tree, wholly inside its lost ranges.
    pub(super) fn find(work: &Salvage<'_>, wanted: &Wanted<'_>) -> Result<Self> {
        let tree = wanted.tree;
        let age = tree.age as u32;
        Self::collect(work, wanted.from, |leaf| {
            let right_age = match tree.kind {
                // Ages are compared as what is left of longer numbers.
                TreeKind::Base => age.wrapping_sub(leaf.age) < 1 << 31,
                _ => age == leaf.age,
            };
            let inside = |range: &Bounds| {
                let last_fits = match (tree.kind, &leaf.last) {
                    (TreeKind::RunIntervals, _) => true,
                    (_, Some(last)) => range.hold(last),
                    (_, None) => false,
                };
                range.hold(&leaf.first) && last_fits
            };
            leaf.kind == tree.kind && right_age && wanted.ranges.iter().any(inside)
        })
    }

    /// All leaves that `is_wanted`, from the key `from` on, as many as memory may hold.
    pub(super) fn collect(work: &Salvage<'_>, from: &[u8], is_wanted: impl Fn(&Leaf) -> bool) -> Result<Self> {
        let mut found: BTreeMap<(Vec<u8>, u64), Leaf> = BTreeMap::new();
        let mut bytes = 0;
        let mut cut: Option<Vec<u8>> = None;
        let mut grains = Grains::new(work.source);
        while let Some((node, header, parsed)) = grains.next_node(&work.beginning.seal)? {
            if header.level > 0 {
                continue;
            }
            let leaf = Leaf::new(node, &header, &parsed.view());
            if !leaf.reaches(from) || cut.as_ref().is_some_and(|cut| leaf.first >= *cut) || !is_wanted(&leaf) {
                continue;
            }
            bytes += leaf.bytes();
            found.insert((leaf.first.clone(), leaf.node.offset), leaf);
            while bytes > CANDIDATE_BYTES_MAX && found.len() > 1 {
                let Some((_, last)) = found.pop_last() else { break };
                bytes -= last.bytes();
                cut = Some(cut.map_or(last.first.clone(), |cut| cut.min(last.first)));
            }
        }
        let mut leaves: Vec<Leaf> = found.into_values().collect();
        // A leaf that reaches over the cut is judged beside those it overlaps there.
        while let Some(end) = &cut {
            let over =
                leaves.iter().filter(|leaf| leaf.kind == TreeKind::Base && leaf.first < *end && leaf.reaches(end));
            let Some(first) = over.map(|leaf| leaf.first.clone()).min().filter(|first| first.as_slice() > from) else {
                break;
            };
            cut = Some(first);
        }
        if let Some(end) = &mut cut {
            if end.as_slice() <= from {
                // More leaves begin with one key than fit: a file made up. Go on behind it.
                *end = from.to_vec();
                end.push(0);
            }
            leaves.retain(|leaf| leaf.first < *end);
        }
        Ok(Self { leaves, next_pass: cut })
    }

    /// Those that are current, oldest first.
    pub(super) fn current(
        self,
        work: &Salvage<'_>,
        superblock: &Superblock,
        record: &CheckpointRecord,
        trees: &[Tree<'_>],
        tree: &Tree<'_>,
    ) -> Result<Vec<Leaf>> {
        let mut leaves = self.leaves;
        let left = grains_left(work, superblock, record, trees, &leaves)?;
        leaves.retain(|leaf| {
            sectors(leaf.extent()).all(|(sector, grains)| left.get(&sector).is_none_or(|&left| grains <= left))
        });
        if tree.kind == TreeKind::Base {
            let newest = tree.age as u32;
            leaves.sort_by_key(|leaf| newest.wrapping_sub(leaf.age));
            leaves = without_replaced(leaves);
            leaves.reverse();
        }
        Ok(leaves)
    }
}

/// Of leaves that come newest first, those that share no key range with a newer one.
pub(super) fn without_replaced(leaves: Vec<Leaf>) -> Vec<Leaf> {
    // Disjoint ranges of keys that newer leaves span: first to last.
    let mut spans: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut current = Vec::new();
    let mut of_one_age: Vec<Leaf> = Vec::new();
    let mut leaves = leaves.into_iter().peekable();
    while let Some(leaf) = leaves.next() {
        let last = leaf.last.clone().unwrap_or_default();
        let before = spans.range(..=last).next_back();
        let replaced = before.is_some_and(|(_, end)| *end >= leaf.first);
        let age = leaf.age;
        of_one_age.push(leaf.clone());
        if !replaced {
            current.push(leaf);
        }
        if leaves.peek().is_none_or(|next| next.age != age) {
            for leaf in of_one_age.drain(..) {
                add_span(&mut spans, leaf.first, leaf.last.unwrap_or_default());
            }
        }
    }
    current
}

fn add_span(spans: &mut BTreeMap<Vec<u8>, Vec<u8>>, mut first: Vec<u8>, mut last: Vec<u8>) {
    while let Some((start, end)) = spans.range(..=last.clone()).next_back().filter(|(_, end)| **end >= first) {
        let start = start.clone();
        last = last.max(end.clone());
        first = first.min(start.clone());
        spans.remove(&start);
    }
    spans.insert(first, last);
}

/// The sectors of an extent, and its grains in each.
fn sectors(extent: Extent) -> impl Iterator<Item = (u64, u64)> {
    let grains = extent.grains();
    let first = grains.start / GRAINS_PER_SECTOR;
    let last = grains.end.saturating_sub(1) / GRAINS_PER_SECTOR;
    (first..=last).map(move |sector| {
        let from = grains.start.max(sector * GRAINS_PER_SECTOR);
        let to = grains.end.min((sector + 1) * GRAINS_PER_SECTOR);
        (sector, to - from)
    })
}

/// For the sectors of these leaves: the grains in use that nothing known accounts for. Nothing is said of sectors whose
/// page of the map is lost.
fn grains_left(
    work: &Salvage<'_>,
    superblock: &Superblock,
    record: &CheckpointRecord,
    trees: &[Tree<'_>],
    leaves: &[Leaf],
) -> Result<HashMap<u64, u64>> {
    let mut left: HashMap<u64, u64> = HashMap::default();
    let mut asked: Vec<u64> = leaves.iter().flat_map(|leaf| sectors(leaf.extent())).map(|(sector, _)| sector).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut page: Option<(u64, Option<Vec<u8>>)> = None;
    for sector in asked {
        let number = sector / SECTORS_PER_PAGE;
        if page.as_ref().is_none_or(|(have, _)| *have != number) {
            page = Some((number, read_page(work, record, number)?));
        }
        if let Some((_, Some(counts))) = &page
            && let Some(&count) = counts.get((sector % SECTORS_PER_PAGE) as usize)
        {
            left.insert(sector, u64::from(count));
        }
    }
    if left.is_empty() {
        return Ok(left);
    }
    let mut account = |extent: Extent| {
        // A made-up extent may be of any length; a node or a record is not.
        if extent.len > 1 << 30 || extent.offset.checked_add(extent.len).is_none() {
            return;
        }
        for (sector, grains) in sectors(extent) {
            if let Some(left) = left.get_mut(&sector) {
                *left = left.saturating_sub(grains);
            }
        }
    };
    account(superblock.record_and_copy());
    record.map_pages.iter().for_each(|&(offset, _)| account(Extent { offset, len: SECTOR_BYTES }));
    record.pending.iter().for_each(|free| account(free.extent));
    for tree in trees {
        walk(&work.nodes, tree.kind, tree.root, &mut |met| {
            Ok(match met {
                Met::Reference(node, level) => {
                    account(Extent { offset: node.offset, len: u64::from(node.len) });
                    level > 0
                }
                _ => true,
            })
        })?;
    }
    Ok(left)
}

/// A page of the space map, if it is whole.
fn read_page(work: &Salvage<'_>, record: &CheckpointRecord, number: u64) -> Result<Option<Vec<u8>>> {
    let Some((offset, proof)) = usize::try_from(number).ok().and_then(|at| record.map_pages.get(at)) else {
        return Ok(None);
    };
    let mut page = vec![0; SECTOR_BYTES as usize];
    work.source.read(*offset, &mut page)?;
    let Seal { checksum, envelope, .. } = &work.beginning.seal;
    Ok(envelope.verify(*checksum, Unit::MapPage, *offset, proof, &mut page).then_some(page))
}
