//! Conformance scripts, simulation, crash tests and peer benchmarks of Lightning DB.

#[cfg(feature = "peer-bench")]
pub mod bench;
