//! Point reads and counts through the layers of one version.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cursor::MergedCursor;
use super::layer::Layer;
use super::lease::{Leased, Source};
use super::nodes::Nodes;
use super::short::{ShortValue, ShortWindow};
use super::values::ValueReader;
use super::version::{Layers, Version};
use crate::cache::Hashed;
use crate::codec::slot::{Slot, ValueRef};
use crate::error::Result;
use crate::memtable::{Lookup, Memtable};
use crate::testing::Mutant;
use crate::tree::{self, Found};

/// A value found: borrowed from a memtable, copied, held in its node, still in its own extent, or read from there.
#[derive(Debug)]
pub(crate) enum FoundValue<'a> {
    Memtable(&'a [u8]),
    Short(ShortValue),
    Node(Found),
    Extent(HeldValue),
    Whole(Vec<u8>),
}

/// A value in its own extent, and the state that keeps it there; none for one that a transaction has written itself.
#[derive(Clone, Debug)]
pub(crate) struct HeldValue {
    pub value: ValueRef,
    pub layers: Option<Arc<Layers>>,
}

impl HeldValue {
    fn in_version(version: &Version, value: ValueRef) -> Self {
        Self { value, layers: Some(Arc::clone(&version.layers)) }
    }

    pub(crate) fn reader(self, nodes: &Arc<Nodes>) -> ValueReader {
        ValueReader::new(nodes, self.value, self.layers)
    }
}

/// Looks `key` up in one memtable: `None` when it says nothing, `Some(None)` when it says there is no such key.
pub(crate) fn get_in_memtable<'a>(memtable: &'a Memtable, key: &[u8]) -> Option<Option<FoundValue<'a>>> {
    match memtable.get(key) {
        Lookup::Found { slot: Slot::Inline(value), .. } => Some(Some(FoundValue::Memtable(value))),
        Lookup::Found { slot: Slot::Extent(value), .. } => {
            Some(Some(FoundValue::Extent(HeldValue { value, layers: None })))
        }
        Lookup::Found { slot: Slot::Tombstone, .. } | Lookup::Covered { .. } => Some(None),
        Lookup::Absent => None,
    }
}

/// The value of `key` in `version`.
pub(crate) fn get<'a>(version: &'a Version, nodes: &Arc<Nodes>, key: &[u8]) -> Result<Option<FoundValue<'a>>> {
    look(version, nodes, key, |value| Ok(Some(FoundValue::Short(value.copy()))), |found| found)
}

/// Looks `key` up. A short value that is where it was found before goes to `short`, where it is, so that it is copied only
/// once; what is found in any other way, or not, goes to `other`.
#[inline]
pub(crate) fn look<'a, R>(
    version: &'a Version,
    nodes: &Arc<Nodes>,
    key: &[u8],
    short: impl FnOnce(ShortWindow<'_>) -> R,
    other: impl FnOnce(Result<Option<FoundValue<'a>>>) -> R,
) -> R {
    let layers = &*version.layers;
    if layers.base.is_some() && version.is_base_alone() {
        nodes.look_at_point(layers.base_since, key, short, |hashed| other(look_in_base(version, nodes, key, hashed)))
    } else {
        other(look_in_all(version, nodes, key))
    }
}

/// Shows the value of `key` to `see`, where it is as long as it is in memory. `see` must not read from storage.
pub(crate) fn show<R>(
    version: &Version,
    nodes: &Arc<Nodes>,
    key: &[u8],
    see: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>> {
    let layers = &*version.layers;
    let (found, see) = if layers.base.is_some() && version.is_base_alone() {
        match nodes.show_at_point(layers.base_since, key, see) {
            Ok(seen) => return Ok(Some(seen)),
            Err((see, hashed)) => (look_in_base(version, nodes, key, hashed)?, see),
        }
    } else {
        (look_in_all(version, nodes, key)?, see)
    };
    Ok(match found {
        None => None,
        Some(FoundValue::Memtable(bytes)) => Some(see(bytes)),
        Some(FoundValue::Short(value)) => Some(see(value.bytes())),
        Some(FoundValue::Node(found)) => Some(see(inline(&found))),
        Some(FoundValue::Extent(value)) => Some(see(&value.reader(nodes).read_all()?)),
        Some(FoundValue::Whole(bytes)) => Some(see(&bytes)),
    })
}

#[inline(never)]
fn look_in_all<'a>(version: &'a Version, nodes: &Arc<Nodes>, key: &[u8]) -> Result<Option<FoundValue<'a>>> {
    if let Some(said) = get_above(version, nodes, key)? {
        return Ok(said);
    }
    let since = version.layers.base_since;
    let short = |value: ShortWindow<'_>| Ok(Some(FoundValue::Short(value.copy())));
    nodes.look_at_point(since, key, short, |hashed| look_in_base(version, nodes, key, hashed))
}

#[inline(never)]
fn look_in_base<'a>(
    version: &'a Version,
    nodes: &Arc<Nodes>,
    key: &[u8],
    hashed: Hashed,
) -> Result<Option<FoundValue<'a>>> {
    let layers = &*version.layers;
    let Some(base) = &layers.base else { return Ok(None) };
    nodes.look_in_base(base, layers, key, hashed, |place| {
        let Some(place) = place? else { return Ok(None) };
        Ok(match place.slot() {
            Slot::Inline(value) => match ShortValue::new(value) {
                Some(value) => Some(FoundValue::Short(value)),
                None => Some(FoundValue::Node(place.to_found())),
            },
            Slot::Extent(value) => Some(FoundValue::Extent(HeldValue::in_version(version, value))),
            Slot::Tombstone => None,
        })
    })
}

/// Says that keys will be looked up soon.
pub(crate) fn prefetch<'k>(version: &Version, nodes: &Nodes, keys: impl Iterator<Item = &'k [u8]>) {
    if version.layers.base.is_some() {
        nodes.prefetch(keys);
    }
}

/// What the layers above the base say of `key`: `None` when it is nothing, `Some(None)` when there is no such key.
#[inline(never)]
fn get_above<'a>(version: &'a Version, nodes: &Arc<Nodes>, key: &[u8]) -> Result<Option<Option<FoundValue<'a>>>> {
    let layers = &version.layers;
    let held = |mut said: Option<FoundValue<'a>>| {
        if let Some(FoundValue::Extent(held)) = &mut said {
            held.layers = Some(Arc::clone(layers));
        }
        layers.lease.require().map(|()| Some(said))
    };
    if let Some(said) = get_in_memtable(&version.memtable, key) {
        return held(said);
    }
    for frozen in &layers.frozen {
        if let Some(said) = get_in_memtable(&frozen.memtable, key) {
            return held(said);
        }
    }
    for layer in &layers.runs {
        let moved = layer.merged_below.as_ref().is_some_and(|floor| key < &**floor);
        if moved && !Mutant::MergedPartStillRead.is_active() {
            continue;
        }
        if let Some(points) = &layer.run.points
            && let Some(found) = nodes.find(&layers.lease, points, key)?
        {
            return Ok(Some(match found.slot() {
                Slot::Inline(_) => Some(FoundValue::Node(found)),
                Slot::Extent(value) => Some(FoundValue::Extent(HeldValue::in_version(version, value))),
                Slot::Tombstone => None,
            }));
        }
        if layer.run.intervals.is_some()
            && Layer::run(layer, &Source::of(layers, nodes)).coverage(key)?.is_some_and(|coverage| coverage.covered)
        {
            return Ok(Some(None));
        }
    }
    Ok(None)
}

impl FoundValue<'_> {
    /// Length in bytes, without reading a value in its own extent.
    pub(crate) fn len(&self) -> u64 {
        match self {
            FoundValue::Memtable(bytes) => bytes.len() as u64,
            FoundValue::Short(value) => value.bytes().len() as u64,
            FoundValue::Node(found) => inline(found).len() as u64,
            FoundValue::Extent(held) => held.value.len,
            FoundValue::Whole(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes, read from the extent if need be.
    pub(crate) fn to_vec(&self, nodes: &Arc<Nodes>) -> Result<Vec<u8>> {
        match self {
            FoundValue::Memtable(bytes) => Ok(bytes.to_vec()),
            FoundValue::Short(value) => Ok(value.bytes().to_vec()),
            FoundValue::Node(found) => Ok(inline(found).to_vec()),
            FoundValue::Extent(held) => held.clone().reader(nodes).read_all(),
            FoundValue::Whole(bytes) => Ok(bytes.clone()),
        }
    }
}

/// The bytes of a record that was found inline.
pub(crate) fn inline(found: &Found) -> &[u8] {
    match found.slot() {
        Slot::Inline(bytes) => bytes,
        _ => &[],
    }
}

/// Keys from `from` to before `to`: the base's from its inner nodes' counts, then one probe for each key that an upper
/// layer puts or deletes.
pub(crate) fn count(
    version: &Version,
    changes: Option<&Memtable>,
    nodes: &Arc<Nodes>,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<u64> {
    let mut upper: Vec<Layer> = changes.and_then(Layer::memtable).into_iter().collect();
    let layers = &version.layers;
    upper.extend(Layer::memtable(&version.memtable));
    upper.extend(layers.frozen.iter().filter_map(|frozen| Layer::memtable(&frozen.memtable)));
    let (source, leased) = (Source::of(layers, nodes), Leased { nodes, lease: &layers.lease });
    upper.extend(layers.runs.iter().map(|run| Layer::run(run, &source)));
    let deletes_ranges = changes.is_some_and(|changes| changes.interval_count() > 0)
        || version.memtable.interval_count() > 0
        || layers.frozen.iter().any(|frozen| frozen.memtable.interval_count() > 0)
        || layers.runs.iter().any(|layer| layer.run.intervals.is_some());
    if deletes_ranges {
        return count_by_walking(version, changes, nodes, from, to);
    }
    let mut count = match &layers.base {
        Some(base) => tree::count_range(&leased, Some(*base), from, to)?,
        None => 0,
    };
    if upper.is_empty() {
        return Ok(count);
    }
    let mut cursor = MergedCursor::for_merge(upper);
    cursor.seek(from)?;
    while let Some((key, slot)) = cursor.entry() {
        if to.is_some_and(|to| key >= to) {
            break;
        }
        let below = tree::get(&leased, layers.base, key)?.is_some();
        match (slot, below) {
            (Slot::Tombstone, true) => count = count.saturating_sub(1),
            (Slot::Tombstone, false) | (_, true) => {}
            (_, false) => count += 1,
        }
        cursor.next()?;
    }
    Ok(count)
}

/// Entries of one layer that are walked to estimate how many there are; of more, its length says how many.
const ESTIMATE_STEPS_MAX: usize = 256;

/// About how many keys there are from `from` to before `to`: what the base has, and what upper layers have in trees as their inner
/// nodes say, in memory by walking a little. An entry that overwrites or deletes another counts as one more.
pub(crate) fn estimate(
    version: &Version,
    changes: Option<&Memtable>,
    nodes: &Arc<Nodes>,
    from: &[u8],
    to: &[u8],
) -> Result<u64> {
    let layers = &*version.layers;
    let leased = Leased { nodes, lease: &layers.lease };
    let mut count = match &layers.base {
        Some(base) => tree::count_range(&leased, Some(*base), from, Some(to))?,
        None => 0,
    };
    for layer in &layers.runs {
        count += tree::count_range(&leased, layer.run.points, from, Some(to))?;
    }
    let frozen = layers.frozen.iter().map(|frozen| &frozen.memtable);
    for memtable in changes.into_iter().chain([&version.memtable]).chain(frozen) {
        let mut cursor = memtable.cursor();
        cursor.seek(from);
        let mut steps = 0;
        while steps < ESTIMATE_STEPS_MAX && cursor.entry().is_some_and(|entry| entry.key < to) {
            steps += 1;
            cursor.next();
        }
        count += if steps < ESTIMATE_STEPS_MAX { steps } else { memtable.len() / 2 } as u64;
    }
    Ok(count)
}

fn count_by_walking(
    version: &Version,
    changes: Option<&Memtable>,
    nodes: &Arc<Nodes>,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<u64> {
    let mut cursor = match changes {
        Some(changes) => MergedCursor::with_changes(changes, version, nodes),
        None => MergedCursor::new(version, nodes),
    };
    cursor.seek(from)?;
    let mut count = 0;
    while let Some((key, _)) = cursor.entry() {
        if to.is_some_and(|to| key >= to) {
            break;
        }
        count += 1;
        cursor.next()?;
    }
    Ok(count)
}
