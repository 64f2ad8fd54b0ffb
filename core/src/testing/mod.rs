//! What the tests of this repository reach inside for. Only with the feature `testing`, and no part of the interface.

#[cfg(feature = "testing")]
pub mod decoders;
pub mod mutant;

pub(crate) use mutant::Mutant;
