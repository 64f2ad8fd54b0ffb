//! Documents as people and files have them: JSON, cells of CSV files, keys typed on a command line. What a document is, and
//! its bytes, are the engine's ([`lightning_db::Value`]).

mod cell;
mod encoded;
mod json;
mod key;
mod view;

pub use cell::{read_cell, write_cell};
pub use encoded::Encoded;
pub use json::{JsonForm, read_json, write_json};
pub use key::{key_beginning, key_bounds, parse_key_value, set_key};
pub use view::CollectionView;
