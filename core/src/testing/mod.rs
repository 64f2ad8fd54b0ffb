//! What the tests of this repository reach inside for. Only with the feature `testing`, and no part of the interface.

pub mod decoders;
