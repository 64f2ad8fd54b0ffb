//! Hostile bytes: what every decoder, and the whole engine, does with files that no honest program wrote.
//!
//! Each [`Target`] takes any bytes and panics where something is wrong. `tests/fuzz` calls the targets with what libFuzzer
//! thinks of, `tests/tests/hostile.rs` with the corpus and mutations of it; a target is one line in [`TARGETS`] and one
//! file in `tests/fuzz/fuzz_targets`.

pub mod corpus;
mod files;
mod metered;
pub mod mutate;
mod open;
mod replay;
mod salvage;

use lightning_db::testing::decoders;
use lightning_db_server::testing as shell;

pub use files::Files;
pub use open::hold;

/// A thing that takes any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the name of its folder in the corpus, unless another target's is used.
    pub name: &'static str,
    /// The folder in the corpus whose bytes it takes.
    pub corpus: &'static str,
    /// What is done with the bytes; panics if something is wrong.
    pub run: fn(&[u8]),
    /// What its bytes are made of.
    pub shape: Shape,
}

/// What the bytes of a target are made of, so that mutations keep enough of it to get somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Numbers, lengths and strings.
    Bytes,
    /// The two [`Files`] of a database.
    Files,
    /// Text.
    Text,
}

const fn target(name: &'static str, corpus: &'static str, run: fn(&[u8]), shape: Shape) -> Target {
    Target { name, corpus, run, shape }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("superblock", "superblock", decoders::superblock, Shape::Bytes),
    target("superblock_resealed", "superblock", decoders::superblock_resealed, Shape::Bytes),
    target("checkpoint_record", "checkpoint_record", decoders::checkpoint_record, Shape::Bytes),
    target("record_head", "checkpoint_record", decoders::record_head, Shape::Bytes),
    target("key_area", "key_area", decoders::key_area, Shape::Bytes),
    target("space", "space", decoders::space, Shape::Bytes),
    target("node", "node", decoders::node, Shape::Bytes),
    target("node_compressed", "node_compressed", decoders::node_compressed, Shape::Bytes),
    target("value_reference", "value_reference", decoders::value_reference, Shape::Bytes),
    target("frame", "frame", decoders::frame, Shape::Bytes),
    target("frame_resealed", "frame", decoders::frame_resealed, Shape::Bytes),
    target("operations", "operations", decoders::operations, Shape::Bytes),
    target("log", "log", open::log, Shape::Files),
    target("log_resealed", "log", open::log_resealed, Shape::Files),
    target("increment", "increment", decoders::increment, Shape::Bytes),
    target("increment_resealed", "increment", decoders::increment_resealed, Shape::Bytes),
    target("archive_piece", "increment", decoders::archive_piece, Shape::Bytes),
    target("replay", "increment", replay::replay, Shape::Bytes),
    target("definition", "definition", decoders::definition, Shape::Bytes),
    target("keys", "keys", decoders::keys, Shape::Bytes),
    target("values", "values", decoders::values, Shape::Bytes),
    target("document_key", "document_key", decoders::document_key, Shape::Bytes),
    target("document", "document", decoders::document, Shape::Bytes),
    target("path", "path", decoders::path, Shape::Text),
    target("query_text", "query_text", decoders::query_text, Shape::Text),
    target("query_cbor", "query_cbor", decoders::query_cbor, Shape::Bytes),
    target("open", "open", open::open, Shape::Files),
    target("open_resealed", "open", open::open_resealed, Shape::Files),
    target("salvage", "open", salvage::salvage, Shape::Files),
    target("salvage_resealed", "open", salvage::salvage_resealed, Shape::Files),
    target("csv", "csv", shell::csv, Shape::Text),
    target("json_lines", "json_lines", shell::json_lines, Shape::Text),
    target("typed_text", "typed_text", shell::typed_text, Shape::Text),
    target("stored_as", "stored_as", shell::stored_as, Shape::Bytes),
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
