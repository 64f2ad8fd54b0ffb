//! The threads of the database in thousands of orders, chosen by [shuttle](https://docs.rs/shuttle): clients, the thread of
//! background work and the one of barriers over a simulated disk, each going on when and only when the scheduler says so.
//!
//! `cargo xtask test schedules` runs them; there is nothing here in a build without `--cfg shuttle`. A schedule that fails
//! is written to a file, and the message says how to run it again.
#![cfg(shuttle)]

mod background;
mod close;
mod commits;
mod explore;
mod failing_sync;
mod mutants;
mod row_locks;
mod scope;
mod tables;
mod world;
