//! Adya's direct serialization graph of a history, with order in time beside it.
//!
//! The next version of a key comes from [`History::order`] where it is known. Elsewhere it is recovered as from the lists
//! of Elle (Kingsbury and Alvaro, VLDB 2020): a transaction that had read version v of a key and then wrote w says that
//! w follows v. Two that follow one version are an update lost; both then count as its next, which is right for every edge
//! made of it, whichever came first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::history::{Event, History, Key, Outcome, Shown, Version};

/// Why one transaction must come before another in an order equivalent to a serial one. Values are bits of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// ww: its version was overwritten by the other.
    Write = 1,
    /// wr: its version was read by the other.
    Read = 2,
    /// rw: it read what the other overwrote.
    AntiItem = 4,
    /// rw by a predicate: it saw a range without a key that the other brought into it.
    AntiPredicate = 8,
    /// It ended before the other began, in the same session.
    Session = 16,
    /// It was acknowledged before the other began.
    RealTime = 32,
}

/// All edges by which information flows forward.
pub const DEPENDENCY: u8 = Kind::Write as u8 | Kind::Read as u8;
/// All anti-dependencies.
pub const ANTI: u8 = Kind::AntiItem as u8 | Kind::AntiPredicate as u8;
/// All order in time.
pub const ORDER: u8 = Kind::Session as u8 | Kind::RealTime as u8;

/// One edge, from the transaction in whose list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The later transaction.
    pub to: u32,
    /// Why.
    pub kind: Kind,
    /// Over which key; 0 for order in time.
    pub key: Key,
    /// The version overwritten or read.
    pub version: Option<Version>,
}

/// The graph; nodes are places in [`History::transactions`].
#[derive(Debug)]
pub struct Graph {
    /// Edges by the transaction they come from.
    pub edges: Vec<Vec<Edge>>,
    /// Updates lost: the transaction that read a version and wrote over it, another that had done so too, the key.
    pub lost_updates: Vec<(u32, u32, Key)>,
    /// Which transactions count as committed.
    pub committed: Vec<bool>,
}

impl Graph {
    /// The graph of `history`.
    pub fn new(history: &History) -> Self {
        let count = history.transactions.len();
        let committed = committed(history);
        let mut graph = Self { edges: vec![Vec::new(); count], lost_updates: Vec::new(), committed };
        let versions = Versions::new(history, &graph.committed);
        graph.add_overwrites(&versions);
        for (index, transaction) in history.transactions.iter().enumerate() {
            if !graph.committed[index] {
                continue;
            }
            let reader = index as u32;
            for event in &transaction.events {
                match event {
                    Event::Read { key, seen } => graph.add_read(&versions, reader, *key, *seen, Kind::AntiItem),
                    Event::Scanned { from, to, found, except } => {
                        for &(key, version) in found {
                            let kind = if version.dead { Kind::AntiPredicate } else { Kind::AntiItem };
                            graph.add_read(&versions, reader, key, Some(version), kind);
                        }
                        let found: HashSet<Key> = found.iter().map(|(key, _)| *key).collect();
                        for &key in versions.keys.range(from..to) {
                            let own = except.iter().any(|(from, to)| (*from..*to).contains(&key));
                            if !own && !found.contains(&key) {
                                graph.add_read(&versions, reader, key, None, Kind::AntiPredicate);
                            }
                        }
                    }
                    Event::Wrote { .. } | Event::ReadOwn { .. } => {}
                }
            }
            for &(key, _) in &transaction.installs {
                let Some(base) = transaction.read_before_writing(key) else { continue };
                for next in versions.next(key, base) {
                    if next.writer != reader {
                        graph.lost_updates.push((reader, next.writer, key));
                    }
                }
            }
        }
        graph.add_time(history);
        for edges in &mut graph.edges {
            edges.sort_by_key(|edge| (edge.to, edge.kind, edge.key));
            edges.dedup_by_key(|edge| (edge.to, edge.kind));
        }
        graph
    }

    fn add(&mut self, from: u32, edge: Edge) {
        let ends = self.committed.get(from as usize).zip(self.committed.get(edge.to as usize));
        if from != edge.to && ends == Some((&true, &true)) {
            self.edges[from as usize].push(edge);
        }
    }

    fn add_overwrites(&mut self, versions: &Versions) {
        for ((key, base), next) in &versions.next {
            let Some(base) = base else { continue };
            for version in next {
                let edge = Edge { to: version.writer, kind: Kind::Write, key: *key, version: Some(*base) };
                self.add(base.writer, edge);
            }
        }
    }

    fn add_read(&mut self, versions: &Versions, reader: u32, key: Key, seen: Option<Version>, anti: Kind) {
        if let Some(version) = seen {
            self.add(version.writer, Edge { to: reader, kind: Kind::Read, key, version: seen });
        }
        for next in versions.next(key, seen) {
            self.add(reader, Edge { to: next.writer, kind: anti, key, version: seen });
        }
    }

    /// Order in time, without what follows from the rest of it: an edge to each transaction from those that had ended
    /// before it began, but for those that had ended before one of these began.
    fn add_time(&mut self, history: &History) {
        let mut moments: Vec<(u64, bool, u32)> = Vec::new();
        for (index, transaction) in history.transactions.iter().enumerate().filter(|(index, _)| self.committed[*index])
        {
            moments.push((transaction.began, true, index as u32));
            moments.extend(transaction.ended.map(|ended| (ended, false, index as u32)));
        }
        moments.sort_unstable();
        let mut frontier: Vec<u32> = Vec::new();
        let mut before: HashMap<u32, Vec<u32>> = HashMap::new();
        for (_, begins, index) in moments {
            if !begins {
                let covered = before.remove(&index).unwrap_or_default();
                frontier.retain(|earlier| !covered.contains(earlier));
                frontier.push(index);
                continue;
            }
            for &earlier in &frontier {
                let same =
                    history.transactions[earlier as usize].session == history.transactions[index as usize].session;
                let kind = if same { Kind::Session } else { Kind::RealTime };
                self.add(earlier, Edge { to: index, kind, key: 0, version: None });
            }
            before.insert(index, frontier.clone());
        }
    }

    /// What `edge` from transaction `from` means, in words.
    pub fn words(&self, from: u32, edge: &Edge) -> String {
        let Edge { to, key, version, .. } = edge;
        match edge.kind {
            Kind::Write => format!("T{from} wrote k{key}, and T{to} overwrote it (ww, was {})", Shown(*version)),
            Kind::Read => format!("T{from} wrote k{key}, and T{to} read that (wr, {})", Shown(*version)),
            Kind::AntiItem => {
                format!("T{from} read k{key} as it was before T{to} wrote it (rw, saw {})", Shown(*version))
            }
            Kind::AntiPredicate => {
                format!("T{from} read a range without k{key}, which T{to} brought into it (predicate rw)")
            }
            Kind::Session => format!("T{from} ended before T{to} began, in the same session"),
            Kind::RealTime => format!("T{from} was acknowledged before T{to} began"),
        }
    }
}

/// Unknown outcomes are commits as soon as something of them was seen or has a place in the order.
fn committed(history: &History) -> Vec<bool> {
    let mut committed: Vec<bool> =
        history.transactions.iter().map(|transaction| transaction.outcome == Outcome::Committed).collect();
    let unknown = |version: &Version| {
        history.transactions.get(version.writer as usize).is_some_and(|writer| writer.outcome == Outcome::Unknown)
    };
    let mut seen: Vec<u32> = Vec::new();
    for event in history.transactions.iter().flat_map(|transaction| &transaction.events) {
        match event {
            Event::Read { seen: Some(version), .. } if unknown(version) => seen.push(version.writer),
            Event::Scanned { found, .. } => {
                seen.extend(found.iter().filter(|(_, version)| unknown(version)).map(|(_, version)| version.writer));
            }
            _ => {}
        }
    }
    seen.extend(history.order.values().flatten().filter(|version| unknown(version)).map(|version| version.writer));
    for writer in seen {
        committed[writer as usize] = true;
    }
    committed
}

/// Which version follows which.
struct Versions {
    next: BTreeMap<(Key, Option<Version>), Vec<Version>>,
    keys: BTreeSet<Key>,
    /// Keys of which nobody knows which absence a reader saw: some were deleted and the order is not known.
    ambiguous: HashSet<Key>,
}

impl Versions {
    fn new(history: &History, committed: &[bool]) -> Self {
        let mut versions = Self { next: BTreeMap::new(), keys: BTreeSet::new(), ambiguous: HashSet::new() };
        let writers = || history.transactions.iter().enumerate().filter(|(index, _)| committed[*index]);
        for (key, version) in writers().flat_map(|(_, transaction)| &transaction.installs) {
            versions.keys.insert(*key);
            if version.dead && !history.order.contains_key(key) {
                versions.ambiguous.insert(*key);
            }
        }
        for (key, order) in &history.order {
            let mut base = None;
            for version in order {
                versions.next.insert((*key, base), vec![*version]);
                base = Some(*version);
            }
        }
        for (_, transaction) in writers() {
            for (key, version) in &transaction.installs {
                if history.order.contains_key(key) {
                    continue;
                }
                match transaction.read_before_writing(*key) {
                    Some(None) if versions.ambiguous.contains(key) => {}
                    Some(base) => versions.next.entry((*key, base)).or_default().push(*version),
                    None => {}
                }
            }
        }
        versions
    }

    fn next(&self, key: Key, base: Option<Version>) -> &[Version] {
        if base.is_none() && self.ambiguous.contains(&key) {
            return &[];
        }
        self.next.get(&(key, base)).map_or(&[], Vec::as_slice)
    }
}
