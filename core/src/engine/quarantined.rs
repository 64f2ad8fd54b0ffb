//! Which keys are behind what was found damaged.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::lease::Leased;
use super::state::Engine;
use crate::error::{Error, Result};
use crate::space::Extent;
use crate::tree::{NodeRef, NodeSource, Root};

/// A damaged extent of the data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub extent: Extent,
    /// From the first key that may be lost to the first that is not, the latter empty where there is no bound. `None` for
    /// the extent of a value: which key that has, a check tells.
    pub keys: Option<(Vec<u8>, Vec<u8>)>,
}

impl Engine {
    /// What was found damaged since the database was opened. The nodes above leaves are looked at, those that are damaged
    /// themselves left out.
    pub(crate) fn quarantined(&self) -> Result<Vec<Damaged>> {
        let mut wanted: BTreeMap<u64, u64> = self.nodes.quarantine().extents();
        let version = self.version();
        let layers = &version.layers;
        let leased = Leased { nodes: &self.nodes, lease: &layers.lease };
        let runs = layers.runs.iter().flat_map(|layer| [layer.run.points, layer.run.intervals]);
        let mut found = Vec::new();
        for root in runs.chain([layers.base]).flatten() {
            if wanted.is_empty() {
                break;
            }
            find_in(&leased, &root, &mut wanted, &mut found)?;
        }
        found.extend(wanted.into_iter().map(|(offset, len)| Damaged { extent: Extent { offset, len }, keys: None }));
        found.sort_by_key(|damaged| damaged.extent.offset);
        Ok(found)
    }
}

/// Takes out of `wanted` the nodes that the tree refers to.
fn find_in(source: &Leased<'_>, root: &Root, wanted: &mut BTreeMap<u64, u64>, found: &mut Vec<Damaged>) -> Result<()> {
    let mut todo: Vec<(NodeRef, u8, Vec<u8>, Vec<u8>)> = Vec::from([(root.node, root.height, Vec::new(), Vec::new())]);
    while let Some((reference, level, low, high)) = todo.pop() {
        Error::if_cancelled()?;
        if let Some(len) = wanted.remove(&reference.offset) {
            let extent = Extent { offset: reference.offset, len };
            found.push(Damaged { extent, keys: Some((low, high)) });
            continue;
        }
        if level == 0 || wanted.is_empty() {
            continue;
        }
        let node = match source.node(&reference) {
            Ok(node) => node,
            Err(error) if error.passes() => return Err(error),
            // It has just joined what is damaged.
            Err(_) => {
                let extent = Extent { offset: reference.offset, len: u64::from(reference.len) };
                found.push(Damaged { extent, keys: Some((low, high)) });
                continue;
            }
        };
        let view = node.view();
        let mut from = low;
        for index in 0..view.children() {
            let Some(child) = view.child(index) else { break };
            let mut to = high.clone();
            if index < view.keys() {
                view.key_into(index, &mut to);
            }
            // Leaves are not read: those that are not wanted are passed.
            if level > 1 || wanted.contains_key(&child.offset) {
                todo.push((child, level - 1, core::mem::take(&mut from), to.clone()));
            }
            from = to;
        }
    }
    Ok(())
}
