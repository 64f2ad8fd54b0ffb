//! What can be wrong with a history, and at which level it may not be.
//!
//! Sources: Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations for Distributed Transactions",
//! 1999 (G0 to G2, PL-1 to PL-3, PL-SI); Adya, Liskov and O'Neil, "Generalized Isolation Level Definitions", ICDE 2000;
//! Berenson and others, "A Critique of ANSI SQL Isolation Levels", SIGMOD 1995 (lost update, read skew, write skew,
//! phantom); Cerone and Gotsman, "Analysing Snapshot Isolation", JACM 2018 (which cycles snapshot isolation has);
//! Kingsbury and Alvaro, "Elle", VLDB 2020 (internal consistency, nonadjacent cycles, order in time).

use std::collections::HashSet;
use std::fmt::Write;

use lightning_db::Isolation;

use super::cycles::{Cycle, Pattern, Rule, shortest};
use super::graph::{ANTI, DEPENDENCY, Graph, Kind, ORDER};
use super::history::{Event, History, Key, Outcome, Version};

/// A way in which a history is not serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// A transaction did not see its own last write.
    Internal,
    /// Adya's G1a: something was read of a transaction that was aborted.
    AbortedRead,
    /// Adya's G1b: a version was read that its writer had overwritten itself.
    IntermediateRead,
    /// Adya's G0: transactions overwrote each other's writes in a circle.
    WriteCycle,
    /// Adya's G1c: information flowed in a circle.
    CircularFlow,
    /// Two transactions read one version and both wrote over it (Berenson's P4): a special case of G-single.
    LostUpdate,
    /// Adya's G-single: a cycle with one anti-dependency, over a key (Berenson's A5A, and A2 when the key is read twice).
    ReadSkew,
    /// G-single with a predicate: a range read once more held something new (Berenson's A3), or the like.
    PhantomRead,
    /// A cycle with several anti-dependencies, none following another.
    Nonadjacent,
    /// Adya's G2-item: a cycle with several anti-dependencies over keys (Berenson's A5B).
    WriteSkew,
    /// Adya's G2: a cycle with several anti-dependencies, at least one of a range that was read.
    PhantomSkew,
    /// A cycle that is one only because a transaction began after another's acknowledgement, or followed it in a session.
    RealTime,
}

/// All of them, in the order in which they are told.
pub const ANOMALIES: [Anomaly; 12] = [
    Anomaly::Internal,
    Anomaly::AbortedRead,
    Anomaly::IntermediateRead,
    Anomaly::WriteCycle,
    Anomaly::CircularFlow,
    Anomaly::LostUpdate,
    Anomaly::ReadSkew,
    Anomaly::PhantomRead,
    Anomaly::Nonadjacent,
    Anomaly::WriteSkew,
    Anomaly::PhantomSkew,
    Anomaly::RealTime,
];

impl Anomaly {
    /// Its name in the literature, and in words.
    pub fn name(self) -> &'static str {
        match self {
            Anomaly::Internal => "internal inconsistency",
            Anomaly::AbortedRead => "G1a, aborted read",
            Anomaly::IntermediateRead => "G1b, intermediate read",
            Anomaly::WriteCycle => "G0, write cycle",
            Anomaly::CircularFlow => "G1c, circular information flow",
            Anomaly::LostUpdate => "G-single, lost update",
            Anomaly::ReadSkew => "G-single, read skew",
            Anomaly::PhantomRead => "G-single by a predicate, phantom read",
            Anomaly::Nonadjacent => "G-nonadjacent",
            Anomaly::WriteSkew => "G2-item, write skew",
            Anomaly::PhantomSkew => "G2, phantom",
            Anomaly::RealTime => "real time",
        }
    }

    /// Whether `level` promises that it never happens. `RealTime` is looked for with what each level promises about it.
    ///
    /// Read committed is PL-2: G1 is proscribed (of which G0 is a case). Snapshot isolation is PL-SI: further every cycle
    /// in which no two anti-dependencies follow each other. Serializable is PL-3: every cycle.
    pub fn is_proscribed(self, level: Isolation) -> bool {
        match self {
            Anomaly::Internal
            | Anomaly::AbortedRead
            | Anomaly::IntermediateRead
            | Anomaly::WriteCycle
            | Anomaly::CircularFlow
            | Anomaly::RealTime => true,
            Anomaly::LostUpdate | Anomaly::ReadSkew | Anomaly::PhantomRead | Anomaly::Nonadjacent => {
                level != Isolation::ReadCommitted
            }
            Anomaly::WriteSkew | Anomaly::PhantomSkew => level == Isolation::Serializable,
        }
    }

    /// The cycles that it is; none for what is no cycle, and for the lost update, which the graph has by itself.
    fn pattern(self, level: Isolation) -> Option<Pattern> {
        const WRITE: u8 = Kind::Write as u8;
        const ITEM: u8 = Kind::AntiItem as u8;
        const PREDICATE: u8 = Kind::AntiPredicate as u8;
        let plain = |pivot, others| Pattern { pivot, others, rule: Rule::Anywhere, another_anti: false };
        Some(match self {
            Anomaly::WriteCycle => plain(WRITE, WRITE),
            Anomaly::CircularFlow => plain(Kind::Read as u8, DEPENDENCY),
            Anomaly::ReadSkew => plain(ITEM, DEPENDENCY),
            Anomaly::PhantomRead => plain(PREDICATE, DEPENDENCY),
            Anomaly::Nonadjacent => {
                Pattern { rule: Rule::NotAdjacent, another_anti: true, ..plain(ANTI, DEPENDENCY | ANTI) }
            }
            Anomaly::WriteSkew => Pattern { another_anti: true, ..plain(ITEM, DEPENDENCY | ITEM) },
            Anomaly::PhantomSkew => Pattern { another_anti: true, ..plain(PREDICATE, DEPENDENCY | ANTI) },
            Anomaly::RealTime => {
                let rule = match level {
                    // Each read sees at least what was acknowledged before its transaction began.
                    Isolation::ReadCommitted => Rule::AfterOrder,
                    // The snapshot is not older than the transaction.
                    Isolation::Snapshot => Rule::NotAdjacent,
                    Isolation::Serializable => Rule::Anywhere,
                };
                Pattern { rule, ..plain(ORDER, DEPENDENCY | ANTI | ORDER) }
            }
            Anomaly::Internal | Anomaly::AbortedRead | Anomaly::IntermediateRead | Anomaly::LostUpdate => return None,
        })
    }
}

/// One anomaly that a history has.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub anomaly: Anomaly,
    /// The shortest example of it: transactions, keys, versions.
    pub words: String,
    /// How many steps the example has.
    pub len: usize,
}

/// Every anomaly of `history`, each with its shortest example, whether `level` proscribes it or not.
pub fn find(history: &History, level: Isolation) -> Vec<Finding> {
    let graph = Graph::new(history);
    let mut found = reads(history, &graph);
    let lost = graph.lost_updates.first().map(|&(first, second, key)| {
        let words = format!("T{first} and T{second} both read k{key} and wrote over what they had read");
        (words, vec![first, second])
    });
    if let Some((words, transactions)) = lost {
        found.push(Finding { anomaly: Anomaly::LostUpdate, words: tell(history, words, &transactions), len: 2 });
    }
    for anomaly in ANOMALIES {
        let Some(pattern) = anomaly.pattern(level) else { continue };
        if anomaly == Anomaly::RealTime && found.iter().any(|finding: &Finding| finding.anomaly.is_proscribed(level)) {
            // It is wrong whenever what happened.
            continue;
        }
        if let Some(cycle) = shortest(&graph, &pattern) {
            found.push(Finding { anomaly, len: cycle.len(), words: in_words(history, &graph, &cycle) });
        }
    }
    found.sort_by_key(|finding| finding.anomaly);
    found
}

/// The shortest of `found` that `level` proscribes, as a message.
pub fn violation(found: &[Finding], level: Isolation) -> Option<String> {
    let proscribed = found.iter().filter(|finding| finding.anomaly.is_proscribed(level));
    let worst = proscribed.min_by_key(|finding| (finding.len, finding.anomaly))?;
    Some(format!("{} at level {level:?}, which proscribes it:\n{}", worst.anomaly.name(), worst.words))
}

/// What is wrong with single reads.
fn reads(history: &History, graph: &Graph) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let installed: HashSet<(Key, Version)> =
        history.transactions.iter().flat_map(|transaction| transaction.installs.iter().copied()).collect();
    let mut note = |anomaly, words: String, transactions: &[u32]| {
        if !found.iter().any(|finding: &Finding| finding.anomaly == anomaly) {
            found.push(Finding { anomaly, words: tell(history, words, transactions), len: 1 });
        }
    };
    for (index, transaction) in history.transactions.iter().enumerate() {
        let reader = index as u32;
        for event in &transaction.events {
            if let Event::ReadOwn { key, seen, expected } = event
                && seen != expected
            {
                let words = format!("T{reader} read k{key} and did not get what it had left there itself");
                note(Anomaly::Internal, words, &[reader]);
            }
            if !graph.committed[index] {
                continue;
            }
            let seen: Vec<(Key, Version)> = match event {
                Event::Read { key, seen: Some(version) } => vec![(*key, *version)],
                Event::Scanned { found, .. } => found.clone(),
                _ => continue,
            };
            for (key, version) in seen {
                let writer = version.writer;
                let outcome = history.transactions.get(writer as usize).map(|writer| writer.outcome);
                if outcome.is_none_or(|outcome| outcome == Outcome::Aborted) {
                    let words = format!("T{reader} read k{key} = {version}, and T{writer} was aborted");
                    note(Anomaly::AbortedRead, words, &[writer, reader]);
                } else if !installed.contains(&(key, version)) {
                    let words = format!("T{reader} read k{key} = {version}, which T{writer} had overwritten itself");
                    note(Anomaly::IntermediateRead, words, &[writer, reader]);
                }
            }
        }
    }
    found
}

fn in_words(history: &History, graph: &Graph, cycle: &Cycle) -> String {
    let mut words = String::new();
    for (from, edge) in cycle {
        let _ = writeln!(words, "  {}", graph.words(*from, edge));
    }
    let transactions: Vec<u32> = cycle.iter().map(|(from, _)| *from).collect();
    tell(history, words.trim_end().to_string(), &transactions)
}

/// `words`, and what these transactions did.
fn tell(history: &History, mut words: String, transactions: &[u32]) -> String {
    let mut transactions = transactions.to_vec();
    transactions.sort_unstable();
    transactions.dedup();
    for index in transactions {
        if let Some(transaction) = history.transactions.get(index as usize) {
            let _ = write!(words, "\n    T{index}, {transaction}");
        }
    }
    words
}
