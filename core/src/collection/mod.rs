//! Collections: documents in tables, with indexes, queries and what goes with them. Above `db`: whatever is done here is done in
//! transactions, and read from snapshots.
//!
//! A collection is a table of the catalogue with a schema among its options. `write` keeps documents and their index `entries`
//! together, `build` makes indexes over what is there, `plan` chooses how a query is answered, and `run` answers it.
//!
//! **Architecture invariant:** an index that is ready has exactly the entries that its documents have, in every state that any
//! transaction or snapshot sees.

mod ahead;
mod auto_key;
mod build;
mod changed;
mod check;
mod definition;
mod document;
mod entries;
mod expiry;
mod handle;
mod info;
mod live;
mod migrate;
mod plan;
mod position;
#[cfg(all(test, feature = "std"))]
mod property_tests;
mod read;
mod recover;
#[cfg(all(test, feature = "std"))]
mod regressions;
mod row;
mod rows;
mod run;
mod schema;
mod schema_change;
mod schema_form;
mod spans;
mod stored;
#[cfg(all(test, feature = "std"))]
mod tests;
mod transaction;
mod walk;
mod write;

pub use auto_key::AutoKey;
pub(crate) use auto_key::is_counter;
pub use build::IndexProgress;
pub use changed::ChangedDocument;
pub use document::Document;
pub use handle::Collection;
pub use info::{CollectionInfo, IndexInfo};
pub use live::{Difference, Moved, Placed, Removed, RowsChange, Subscription};
pub use migrate::{MigrationStep, Migrations};
pub use rows::{Explanation, ReadCollection, Rows};
pub use schema::{Index, IndexPaths, Schema};
pub use transaction::WriteCollection;
pub use write::Expiry;
