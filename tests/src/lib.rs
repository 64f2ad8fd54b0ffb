//! Conformance scripts, simulation, crash tests and peer benchmarks of Lightning DB.

pub mod paging;
pub mod random;
pub mod sim;
pub mod sim_disk;
pub mod storage_suite;
