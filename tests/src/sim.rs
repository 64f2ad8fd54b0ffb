//! Deterministic simulation: one seed makes a [`Plan`] of everything that will happen (transactions, reads, snapshots,
//! background steps, faults, crashes), [`run`](run::run) carries it out on an engine over a simulated disk and compares
//! every answer with a [`Model`](model::Model), and [`shrink`](shrink::shrink) makes a failing plan small.
//!
//! A plan is plain data: nothing in it depends on what the engine answers. So parts can be left out of it and it still
//! means something.

pub mod action;
pub mod clients;
pub mod clock;
mod compare;
pub mod damage;
pub mod draft;
pub mod engine;
pub mod every_crash;
pub mod large;
pub mod lightning;
pub mod model;
pub mod plan;
mod recovery;
pub mod reference;
pub mod run;
pub mod shrink;
pub mod span;
pub mod unclosed;
