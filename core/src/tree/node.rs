//! One node.

/// A verified node, uncompressed.
#[derive(Debug)]
pub(crate) struct Node;
