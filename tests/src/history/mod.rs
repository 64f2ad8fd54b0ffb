//! A checker for isolation anomalies, after Adya: it looks at what transactions read and wrote, and at nothing else.
//!
//! [`history`](mod@history) is what was recorded, [`record`] records it, [`graph`] makes of it the dependencies between
//! transactions, [`cycles`] finds cycles in those, and [`anomalies`] names them and says which level proscribes which.
//! [`workload`] makes histories: many clients in one thread, interleaved by a seed, on the engine over a simulated disk
//! with crashes ([`lightning`]) or on stores broken on purpose ([`flawed`]), by which the checker is known to see.
//! [`threads`] makes histories with real threads and real files.
//!
//! The checker takes time linear in the history, but for looking for the shortest example of what it found.
//!
//! **Architecture invariant:** the checker believes nothing the engine says about itself. What commits the engine says a
//! transaction saw tells only which of several deletions of one key was meant by "nothing there", and which keys a count
//! was of.

pub mod anomalies;
pub mod cycles;
pub mod flawed;
pub mod graph;
#[allow(clippy::module_inception, reason = "it is the history itself")]
pub mod history;
pub mod ledger;
pub mod lightning;
pub mod operations;
pub mod record;
pub mod store;
pub mod threads;
pub mod workload;

#[cfg(test)]
mod tests;
