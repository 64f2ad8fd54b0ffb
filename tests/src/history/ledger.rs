//! The order of commits, where one thread drives everything and so knows it, and with it the versions of every key.

use std::collections::BTreeMap;

use super::history::{Key, Version};
use super::record::Changes;

/// All commits in order, and what each installed.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    versions: BTreeMap<Key, Vec<(u64, Version)>>,
    /// Which transaction each commit was.
    writers: Vec<u32>,
}

impl Ledger {
    /// How many commits there were.
    pub fn len(&self) -> u64 {
        self.writers.len() as u64
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.writers.is_empty()
    }

    /// Adds a commit; gives what it installs: deletions only of what was there.
    pub fn commit(&mut self, writer: u32, changes: &Changes) -> Vec<(Key, Version)> {
        let now = self.len();
        let alive = |key: &Key| self.at(*key, now).is_some_and(|version| !version.dead);
        let mut installs: BTreeMap<Key, Version> = BTreeMap::new();
        // Numbers that no write of the transaction has.
        let mut nth = 1 << 20;
        for &(from, to) in &changes.ranges {
            for key in (from..to).filter(alive) {
                nth += 1;
                installs.insert(key, Version { writer, nth, dead: true });
            }
        }
        for (key, version) in &changes.points {
            if !version.dead || alive(key) {
                installs.insert(*key, *version);
            }
        }
        self.writers.push(writer);
        for (key, version) in &installs {
            self.versions.entry(*key).or_default().push((now + 1, *version));
        }
        installs.into_iter().collect()
    }

    /// The version of `key` after the first `commits`.
    pub fn at(&self, key: Key, commits: u64) -> Option<Version> {
        let versions = self.versions.get(&key)?;
        versions.iter().rev().find(|(number, _)| *number <= commits).map(|(_, version)| *version)
    }

    /// The deletion that a reader saw who sees the first `commits` and found nothing: the last one up to there.
    pub fn absent(&self, key: Key, commits: u64) -> Option<Version> {
        let versions = self.versions.get(&key)?;
        let dead = versions.iter().rev().find(|(number, version)| *number <= commits && version.dead);
        dead.map(|(_, version)| *version)
    }

    /// Forgets all but the first `commits`, which is what a crash left; gives the transactions that are lost.
    pub fn cut(&mut self, commits: u64) -> Vec<u32> {
        let lost = self.writers.split_off((commits as usize).min(self.writers.len()));
        for versions in self.versions.values_mut() {
            versions.retain(|(number, _)| *number <= commits);
        }
        self.versions.retain(|_, versions| !versions.is_empty());
        lost
    }

    /// The versions of each key in order.
    pub fn order(&self) -> BTreeMap<Key, Vec<Version>> {
        let versions = |of: &Vec<(u64, Version)>| of.iter().map(|(_, version)| *version).collect();
        self.versions.iter().map(|(key, of)| (*key, versions(of))).collect()
    }
}
