//! What is right: the answers, worked out from the documents themselves.

use super::city::City;

/// The documents as they are now, in the order of the index over `population`.
pub(crate) struct Answers<'c> {
    cities: &'c [City],
    /// By population, then by id.
    order: Vec<(u64, u64)>,
}

impl<'c> Answers<'c> {
    /// For documents whose ids are their positions.
    pub(crate) fn new(cities: &'c [City]) -> Self {
        let mut order: Vec<(u64, u64)> = cities.iter().map(|city| (city.population, city.id)).collect();
        order.sort_unstable();
        Self { cities, order }
    }

    /// How many populations are at least `from` and at most `to`.
    pub(crate) fn count(&self, from: u64, to: u64) -> u64 {
        (self.first_above(to) - self.first_from(from)) as u64
    }

    /// The first `limit` documents with a population of at least `from`.
    pub(crate) fn range(&self, from: u64, limit: usize) -> impl Iterator<Item = &'c City> {
        self.order[self.first_from(from)..].iter().take(limit).map(|(_, id)| &self.cities[*id as usize])
    }

    /// The population that `count` documents later in the order has, at most the last.
    pub(crate) fn later(&self, from: u64, count: usize) -> u64 {
        let index = (self.first_from(from) + count).min(self.order.len().saturating_sub(1));
        self.order[index].0
    }

    fn first_from(&self, population: u64) -> usize {
        self.order.partition_point(|&(other, _)| other < population)
    }

    fn first_above(&self, population: u64) -> usize {
        self.order.partition_point(|&(other, _)| other <= population)
    }
}
