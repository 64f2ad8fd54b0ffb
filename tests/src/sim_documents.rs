//! Deterministic simulation of collections: one seed makes a [`Plan`](plan::Plan) of everything that will happen to documents
//! and indexes, [`run`](run::run) carries it out on a database over a simulated disk, and every answer is compared with
//! a [`State`](state::State), which is documents in plain maps and knows indexes only as rules.
//!
//! **What is simulated**: writes by handles, in transactions (of which some steps fail and the rest is committed all the
//! same) and by clients beside each other at every isolation level; queries, counted and page by page; indexes that are made
//! while others write, and dropped; migrations; documents that go by themselves; crashes and power loss at any I/O.
//! After each opening, and whenever the plan says so, everything is compared and `check` finds every index as its documents
//! are.
//!
//! Disk, clock and tuning are those of [`sim`](crate::sim). The wall clock stands still but for what the plan says, so
//! that it is always certain which documents are gone.

pub mod action;
mod clients;
pub mod filter;
pub mod index;
pub mod plan;
mod recovery;
pub mod run;
pub mod shrink;
pub mod state;
