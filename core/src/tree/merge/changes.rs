//! What a merge applies to its base.

use crate::codec::slot::Slot;
use crate::error::Result;

/// One change, or one deleted interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// The key maps to this now.
    Point {
        /// The whole key.
        key: &'a [u8],
        /// Its new value, or a tombstone.
        slot: Slot<'a>,
    },
    /// Every entry of the base with `start <= key < end` is gone. A point with such a key beats it.
    Interval {
        /// The first key deleted.
        start: &'a [u8],
        /// The first key not deleted; `None` deletes to the end.
        end: Option<&'a [u8]>,
    },
}

impl<'a> Change<'a> {
    /// The first key concerned.
    pub(crate) fn key(&self) -> &'a [u8] {
        match self {
            Change::Point { key, .. } => key,
            Change::Interval { start, .. } => start,
        }
    }
}

/// Changes in key order: points with strictly ascending keys, intervals that do not overlap, each interval at its start
/// and before a point with the same key. Points within an interval follow it.
pub(crate) trait Changes {
    /// The change this stands on; `None` after the last. Called again without [`Changes::advance`] it gives the same.
    /// After `NotResident` the call is repeated.
    fn peek(&mut self) -> Result<Option<Change<'_>>>;
    /// Goes on to the next change. After `NotResident` the call is repeated, and must not have moved.
    fn advance(&mut self) -> Result<()>;
}
