//! Deterministic simulation: one seed makes a [`Plan`] of everything that will happen (transactions, reads, snapshots,
//! background steps, faults, crashes), [`run`](run::run) carries it out on an engine over a simulated disk and compares
//! every answer with a [`Model`](model::Model), and [`shrink`](shrink::shrink) makes a failing plan small.
//!
//! **What is simulated**: clients with interactive transactions beside each other ([`clients`]), closed transactions, reads,
//! held snapshots, background steps, crashes and power loss at any I/O, faults of the disk, time that passes, jumps and
//! stands still ([`clock`]), a reader of the change feed ([`replica`]), somebody who keeps backups, with increments or an archive ([`keeper`], [`archive`]), somebody who gives states a name ([`named`]), changes of keys and encrypting everything anew, syncs that complete later, and what befalls the files themselves ([`fate`]).
//!
//! **To add something** (a watcher, an index, a backup):
//! - an *action* is a variant of [`Action`](action::Action), made from the seed in [`plan`] (with a share of the dice), and
//!   carried out in `Runner::carry_out` of [`run`]; if it calls the engine, by a method of [`Engine`](engine::Engine), which
//!   [`lightning`] answers with the database and [`reference`] as simply as can be. If leaving parts of it out makes it
//!   simpler, [`shrink`] is told how;
//! - a *question* with one right answer is a variant of [`Query`](action::Query) or of [`TxOp`](action::TxOp): then
//!   [`Tables::ask`](model::Tables::ask) and [`Draft::perform`](draft::Draft::perform) answer it, and it is asked in snapshots,
//!   transactions and by clients at once;
//! - what *may be found* after an accident is decided in [`Model`](model::Model) alone: `recovered`;
//! - a *check* that must hold after every opening stands at the end of `open` in `recovery.rs`, one that must hold for any
//!   snapshot in `compare.rs`;
//! - whoever adds a promise adds a flaw to [`reference`] that breaks it, so that the simulator is known to see.
//!
//! A plan is plain data: nothing in it depends on what the engine answers. So parts can be left out of it and it still
//! means something.

pub mod action;
pub mod archive;
pub mod clients;
pub mod clock;
pub(crate) mod compare;
pub mod damage;
pub mod draft;
pub mod engine;
pub mod every_crash;
pub mod fate;
pub mod keeper;
pub mod large;
pub mod lightning;
pub mod model;
pub mod named;
pub mod plan;
mod recovery;
pub mod reference;
pub mod replica;
pub mod run;
pub mod shrink;
pub mod span;
pub mod unclosed;
