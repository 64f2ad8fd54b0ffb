//! Documents as values.

#![deny(clippy::indexing_slicing)]

mod path;
pub mod query;
mod text;
mod value;

pub use path::Path;
pub use value::Value;
