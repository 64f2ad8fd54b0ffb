//! Conformance scripts, simulation, crash tests and peer benchmarks of Lightning DB.
//!
//! **Architecture invariant:** everything here reaches the engine through its public interface, as any application would;
//! only with the feature `testing` are there doors into it, for hostile bytes and deliberate bugs.

#[cfg(feature = "peer-bench")]
pub mod bench;
pub mod conformance;
pub mod expiry;
pub mod history;
#[cfg(feature = "testing")]
pub mod hostile;
pub mod live_results;
pub mod looks;
pub mod memory;
#[cfg(feature = "testing")]
pub mod mutants;
pub mod paging;
pub mod random;
pub mod reencryption;
pub mod sim;
pub mod sim_disk;
pub mod sim_documents;
pub mod storage_suite;
