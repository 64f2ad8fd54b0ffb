//! The commands, one file each: its arguments, and what it does.

pub mod backup;
pub mod check;
pub mod collections;
pub mod compact;
pub mod completions;
pub mod count;
pub mod delete;
pub mod drop;
pub mod explain;
pub mod export;
pub mod get;
pub mod import;
pub mod index;
pub mod insert;
pub mod key;
pub mod man;
pub mod put;
pub mod query;
pub mod repair;
pub mod restore;
pub mod scan;
pub mod stats;
pub mod tables;
pub mod verify;
pub mod watch;
