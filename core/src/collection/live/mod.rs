//! Live results: what a query finds now, and after each commit that changes it.
//!
//! A commit only notes which documents it wrote (`feed`), of those that are rows or may become rows (`held`, `found`), and wakes
//! nobody for others; whoever follows the result reads those, and nothing else, when it asks (`follow`), and brings the rows that it
//! holds up to date (`rows`). So a writer pays next to nothing, and a slow receiver gets
//! the newest state instead of a queue. Of a query with a limit a few rows more are held than it gives, so that
//! another can move up; when none is left, those that follow are read.
//!
//! **Architecture invariant:** rows that are given are what the query finds in one snapshot. Every document that a commit up to
//! that snapshot wrote was noted before, or passed over because it cannot be a row there (`feed`), because the snapshot is taken only
//! when all its commits were told.

#[cfg(all(test, feature = "std"))]
mod bench;
mod change;
mod feed;
mod follow;
mod found;
mod held;
#[cfg(all(test, feature = "std"))]
mod passing_tests;
mod rows;
mod subscription;
#[cfg(all(test, feature = "std"))]
mod tests;

pub use change::{Difference, Moved, Placed, Removed, RowsChange};
pub use subscription::Subscription;
