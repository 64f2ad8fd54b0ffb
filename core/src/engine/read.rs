//! Point reads and counts through the layers of one version.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cursor::MergedCursor;
use super::layer::Layer;
use super::nodes::{Nodes, Place};
use super::short::ShortValue;
use super::values::ValueReader;
use super::version::Version;
use crate::codec::slot::{Slot, ValueRef};
use crate::error::Result;
use crate::memtable::{Lookup, Memtable};
use crate::tree::{self, Found};

/// A value found: borrowed from a memtable, copied, held in its node, still in its own extent, or read from there.
#[derive(Debug)]
pub(crate) enum FoundValue<'a> {
    Memtable(&'a [u8]),
    Short(ShortValue),
    Node(Found),
    Extent(ValueRef),
    Whole(Vec<u8>),
}

/// Looks `key` up in one memtable: `None` when it says nothing, `Some(None)` when it says there is no such key.
pub(crate) fn get_in_memtable<'a>(memtable: &'a Memtable, key: &[u8]) -> Option<Option<FoundValue<'a>>> {
    match memtable.get(key) {
        Lookup::Found { slot: Slot::Inline(value), .. } => Some(Some(FoundValue::Memtable(value))),
        Lookup::Found { slot: Slot::Extent(value), .. } => Some(Some(FoundValue::Extent(value))),
        Lookup::Found { slot: Slot::Tombstone, .. } | Lookup::Covered { .. } => Some(None),
        Lookup::Absent => None,
    }
}

/// The value of `key` in `version`.
pub(crate) fn get<'a>(version: &'a Version, nodes: &Arc<Nodes>, key: &[u8]) -> Result<Option<FoundValue<'a>>> {
    look(version, nodes, key, |seen| Ok(seen?.map(Seen::keep)))
}

/// A value that was found, where it is.
pub(crate) enum Seen<'p, 'a> {
    /// In some layer above the base.
    Above(FoundValue<'a>),
    /// Inline in a leaf of the base.
    Leaf(Place<'p>, &'p [u8]),
    /// In its own extent.
    Extent(ValueRef),
}

impl<'a> Seen<'_, 'a> {
    #[inline]
    pub(crate) fn keep(self) -> FoundValue<'a> {
        match self {
            Seen::Above(found) => found,
            Seen::Leaf(place, value) => match place.short(value) {
                Some(value) => FoundValue::Short(value),
                None => FoundValue::Node(place.to_found()),
            },
            Seen::Extent(value) => FoundValue::Extent(value),
        }
    }
}

/// Looks `key` up and lets `take` have the value where it is, without a copy. `take` must not read from storage.
#[inline]
pub(crate) fn look<'a, R>(
    version: &'a Version,
    nodes: &Arc<Nodes>,
    key: &[u8],
    take: impl FnOnce(Result<Option<Seen<'_, 'a>>>) -> R,
) -> R {
    let layers = &*version.layers;
    if !version.is_base_alone() {
        match get_above(version, nodes, key) {
            Ok(None) => {}
            Ok(Some(said)) => return take(Ok(said.map(Seen::Above))),
            Err(error) => return take(Err(error)),
        }
    }
    let Some(base) = &layers.base else { return take(Ok(None)) };
    nodes.look_in_base(base, layers.base_since, key, |place| {
        take(match place {
            Ok(Some(place)) => Ok(match place.slot() {
                Slot::Inline(value) => Some(Seen::Leaf(place, value)),
                Slot::Extent(value) => Some(Seen::Extent(value)),
                Slot::Tombstone => None,
            }),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
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
    if let Some(said) = get_in_memtable(&version.memtable, key) {
        return Ok(Some(said));
    }
    let layers = &*version.layers;
    for frozen in &layers.frozen {
        if let Some(said) = get_in_memtable(&frozen.memtable, key) {
            return Ok(Some(said));
        }
    }
    for layer in &layers.runs {
        if layer.merged_below.as_ref().is_some_and(|floor| key < &**floor) {
            continue;
        }
        if let Some(points) = &layer.run.points
            && let Some(found) = nodes.find(points, key)?
        {
            return Ok(Some(match found.slot() {
                Slot::Inline(_) => Some(FoundValue::Node(found)),
                Slot::Extent(value) => Some(FoundValue::Extent(value)),
                Slot::Tombstone => None,
            }));
        }
        if layer.run.intervals.is_some()
            && Layer::run(layer, nodes).coverage(key)?.is_some_and(|coverage| coverage.covered)
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
            FoundValue::Extent(value) => value.len,
            FoundValue::Whole(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes, read from the extent if need be.
    pub(crate) fn to_vec(&self, nodes: &Arc<Nodes>) -> Result<Vec<u8>> {
        match self {
            FoundValue::Memtable(bytes) => Ok(bytes.to_vec()),
            FoundValue::Short(value) => Ok(value.bytes().to_vec()),
            FoundValue::Node(found) => Ok(inline(found).to_vec()),
            FoundValue::Extent(value) => ValueReader::new(nodes, *value).read_all(),
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
    let layers = &*version.layers;
    upper.extend(Layer::memtable(&version.memtable));
    upper.extend(layers.frozen.iter().filter_map(|frozen| Layer::memtable(&frozen.memtable)));
    upper.extend(layers.runs.iter().map(|run| Layer::run(run, nodes)));
    let deletes_ranges = changes.is_some_and(|changes| changes.interval_count() > 0)
        || version.memtable.interval_count() > 0
        || layers.frozen.iter().any(|frozen| frozen.memtable.interval_count() > 0)
        || layers.runs.iter().any(|layer| layer.run.intervals.is_some());
    if deletes_ranges {
        return count_by_walking(version, changes, nodes, from, to);
    }
    let mut count = match &layers.base {
        Some(base) => tree::count_range(&**nodes, Some(*base), from, to)?,
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
        let below = tree::get(&**nodes, layers.base, key)?.is_some();
        match (slot, below) {
            (Slot::Tombstone, true) => count = count.saturating_sub(1),
            (Slot::Tombstone, false) | (_, true) => {}
            (_, false) => count += 1,
        }
        cursor.next()?;
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
