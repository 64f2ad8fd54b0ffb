//! What only the project's own tests use, behind the feature `testing`. No part of the interface: it changes without notice.

pub mod mutant;

pub(crate) use mutant::Mutant;
