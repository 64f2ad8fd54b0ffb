//! Leaves that are read in their order, for a copy of all: with their neighbours in the file at once, past the cache, whose
//! nodes are those that readers and writers come back to.

use alloc::vec::Vec;

use super::nodes::Nodes;
use crate::env::FileId;
use crate::env::sync::Mutex;
use crate::error::{Error, Result};
use crate::tree::NodeRef;
use crate::tree::node::{Node, NodeView};

/// Bytes that are read at once, at most, unless one leaf is longer.
const WINDOW_BYTES: u64 = 128 << 10;
/// Between two leaves so many bytes that nobody wants are read rather than left out.
const GAP_BYTES: u64 = 8 << 10;

/// What was read last. A clone begins without it.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    offset: u64,
    bytes: Vec<u8>,
    /// Up to here reading together failed: one by one it is told which leaf is damaged, and the others are had.
    alone_until: u64,
}

impl Clone for ReadAhead {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl ReadAhead {
    /// The bytes of leaf `index` of `parent`, proven, as they are stored once they are opened. `None` where that leaf is to be
    /// read alone, by whoever reads twice before it judges.
    pub(super) fn stored(
        &self,
        nodes: &Nodes,
        parent: &Node,
        index: usize,
        reference: &NodeRef,
    ) -> Result<Option<Vec<u8>>> {
        let mut window = self.window.lock();
        if window.find(reference).is_none() && !window.fill(nodes, parent.view(), index, reference)? {
            return Ok(None);
        }
        let Some(stored) = window.find(reference).map(<[u8]>::to_vec) else { return Ok(None) };
        drop(window);
        Ok(nodes.seal().open(stored, reference).ok())
    }
}

impl Window {
    fn find(&self, reference: &NodeRef) -> Option<&[u8]> {
        let at = usize::try_from(reference.offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(at..at.checked_add(reference.len as usize)?)
    }

    /// Reads the leaf and those that follow it, as long as each lies behind the one before it and near it.
    fn fill(&mut self, nodes: &Nodes, parent: NodeView<'_>, index: usize, first: &NodeRef) -> Result<bool> {
        let end_of = |leaf: &NodeRef| leaf.offset.saturating_add(u64::from(leaf.len));
        let end = end_of(first);
        if first.offset < self.alone_until || u64::from(first.len) > WINDOW_BYTES {
            return Ok(false);
        }
        let following = (index + 1..parent.children()).map_while(|index| parent.child(index));
        let reached = following.scan(end, |end, leaf| {
            let is_near = leaf.offset.checked_sub(*end).is_some_and(|gap| gap <= GAP_BYTES);
            *end = end_of(&leaf);
            (is_near && *end - first.offset <= WINDOW_BYTES).then_some(*end)
        });
        let end = reached.last().unwrap_or(end);
        let mut bytes = core::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.resize((end - first.offset) as usize, 0);
        let read = nodes.storage().read_at(FileId::Data, first.offset, &mut bytes).map_err(Error::from);
        match read {
            Ok(()) => {
                (self.offset, self.bytes) = (first.offset, bytes);
                Ok(true)
            }
            Err(error) if error.passes() => Err(error),
            Err(_) => {
                self.alone_until = end;
                Ok(false)
            }
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::db::{Database, Options};
    use crate::engine::{Compression, Environment};
    use crate::env::{Failing, FixedClock, SeededEntropy};
    use crate::table::Table;

    const T: Table<u32, &[u8]> = Table::new("t");

    #[test]
    fn where_neighbours_cannot_be_read_a_leaf_is_read_alone() {
        let failing = Arc::new(Failing::default());
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, compression: Compression::None, ..Options::default() };
        let db = Database::open_storage(failing.clone(), env, options).unwrap();
        db.transaction(|tx| (0..2_000).try_for_each(|key| tx.table(T)?.put(key, [7; 100]))).unwrap();
        db.compact().unwrap();
        let engine = Arc::clone(&db.snapshot().engine);
        let root = engine.version().layers.base.unwrap();
        assert_eq!(root.height, 1);
        let parent = engine.nodes.read_uncached(&root.node).unwrap();
        let leaf = |index| parent.view().child(index).unwrap();
        let stored = |ahead: &ReadAhead, index| ahead.stored(&engine.nodes, &parent, index, &leaf(index)).unwrap();
        let ahead = ReadAhead::default();
        assert!((0..5).all(|index| stored(&ahead, index).is_some()));
        *failing.unreadable.lock().unwrap() = Some(leaf(3).offset + 10);
        let ahead = ReadAhead::default();
        for index in 0..3 {
            assert_eq!(stored(&ahead, index), None);
            assert!(engine.nodes.read_uncached(&leaf(index)).is_ok());
        }
        assert!(engine.nodes.read_uncached(&leaf(3)).is_err());
    }
}
