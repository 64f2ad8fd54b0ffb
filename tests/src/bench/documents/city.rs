//! The documents: places of the world.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bench::Result;

/// One document. Every database keeps these fields under these names and gives them back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct City {
    /// The primary key: the place's number in the file.
    pub(crate) id: u64,
    /// Country and name, and a number where that is not enough. Has a unique index.
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) country: String,
    pub(crate) feature_code: String,
    pub(crate) admin_code: String,
    /// Has an index that is not unique: a quarter of the places give none, which is 0.
    pub(crate) population: u64,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alt_country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) muni: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) muni_sub: Option<String>,
}

/// A line of the file, whose `id` is our `code`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    name: String,
    country: String,
    feature_code: String,
    admin_code: String,
    population: u64,
    lat: f64,
    lon: f64,
    alt_country: Option<String>,
    muni: Option<String>,
    muni_sub: Option<String>,
}

impl City {
    /// Reads the places of `file`, one a line, and repeats them from the start, told apart by a suffix to code and name,
    /// until there are `count`.
    pub(crate) fn read(file: &Path, count: u64) -> Result<Vec<Self>> {
        let lines = BufReader::new(File::open(file).map_err(|error| format!("{}: {error}", file.display()))?).lines();
        let mut cities = Vec::with_capacity(count as usize);
        for (id, line) in (0..count).zip(lines) {
            cities.push(Self::from_line(id, serde_json::from_str(&line?)?));
        }
        let real = cities.len() as u64;
        if real == 0 {
            return Err(format!("{} is empty", file.display()).into());
        }
        for id in real..count {
            let repeated = cities[(id % real) as usize].again(id, id / real + 1);
            cities.push(repeated);
        }
        Ok(cities)
    }

    fn from_line(id: u64, line: Line) -> Self {
        let Line { id: code, name, country, feature_code, admin_code, population, lat, lon, .. } = line;
        let Line { alt_country, muni, muni_sub, .. } = line;
        Self { id, code, name, country, feature_code, admin_code, population, lat, lon, alt_country, muni, muni_sub }
    }

    /// The same place for the `time`th time, as another.
    fn again(&self, id: u64, time: u64) -> Self {
        Self { id, code: format!("{} #{time}", self.code), name: format!("{} #{time}", self.name), ..self.clone() }
    }

    /// A number that differs for different places, for sums over many: the same small work for every database.
    #[inline]
    pub(crate) fn fingerprint(&self) -> u64 {
        let texts = self.code.len() + self.name.len() + self.country.len();
        let optional = self.muni.as_ref().map_or(0, String::len) + self.muni_sub.as_ref().map_or(0, String::len);
        let mut hash = self.id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.population;
        for part in [texts as u64, optional as u64, self.lat.to_bits(), self.lon.to_bits()] {
            hash = (hash ^ part).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29);
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_repeated_as_others_until_there_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.jsonl");
        let line = |id: &str| {
            format!(
                r#"{{"id":"{id}","name":"A","country":"AD","featureCode":"P","adminCode":"1","population":7,"lat":1,"lon":2.5}}"#
            )
        };
        std::fs::write(&path, format!("{}\n{}\n", line("AD/A"), line("AD/B"))).unwrap();
        let cities = City::read(&path, 5).unwrap();
        let codes: Vec<&str> = cities.iter().map(|city| city.code.as_str()).collect();
        assert_eq!(codes, ["AD/A", "AD/B", "AD/A #2", "AD/B #2", "AD/A #3"]);
        assert_eq!((cities[4].id, cities[4].name.as_str(), cities[4].population), (4, "A #3", 7));
        assert_ne!(cities[2].fingerprint(), cities[0].fingerprint());
    }
}
