//! Deterministic simulation of collections: one seed makes a [`Plan`](plan::Plan) of everything that will happen to documents
//! and indexes, [`run`](run::run) carries it out on a database over a simulated disk, and every answer is compared with
//! a [`State`](state::State), which is documents in plain maps and knows indexes only as rules.
//!
//! **What is simulated**: writes by handles, in transactions (of which some steps fail and the rest is committed all the
//! same) and by clients beside each other at every isolation level; queries, of all fields and of some, counted, and page by
//! page while others write; the lowest and the highest value; live results; indexes that are made while others write, and
//! dropped; migrations; documents that go by themselves; crashes, power loss, failing and wrong I/O and full disks at any
//! I/O.
//! After each opening, and whenever the plan says so, everything is compared and `check` finds every index as its documents
//! are.
//!
//! Disk, clock and tuning are those of [`sim`](crate::sim). The wall clock stands still but for what the plan says, so
//! that it is always certain which documents are gone.

pub mod action;
mod bring;
mod calls;
mod clients;
mod clock;
mod compare;
pub mod filter;
pub mod index;
pub mod plan;
mod questions;
mod recovery;
pub mod run;
pub mod shrink;
pub mod state;
mod watch;
