//! Conformance scripts, simulation, crash tests and peer benchmarks of Lightning DB.
