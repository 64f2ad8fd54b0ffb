//! redb, with indexes kept by hand: what a program does that has no collections.

use std::path::Path;

use redb::{Builder, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::city::City;
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::engine::{Durability, Settings};
use crate::bench::peers::locked_version;

const CITIES: TableDefinition<u64, &[u8]> = TableDefinition::new("cities");
const BY_CODE: TableDefinition<&str, u64> = TableDefinition::new("cities by code");
const BY_POPULATION: TableDefinition<(u64, u64), ()> = TableDefinition::new("cities by population");

pub(crate) struct Redb {
    database: Database,
    durability: redb::Durability,
}

pub(crate) struct RedbView {
    cities: ReadOnlyTable<u64, &'static [u8]>,
    by_code: ReadOnlyTable<&'static str, u64>,
    by_population: ReadOnlyTable<(u64, u64), ()>,
}

/// A document as postcard writes it: the fields in this order, without their names. The key is not repeated.
#[derive(Serialize, Deserialize)]
struct Record<'r> {
    code: &'r str,
    name: &'r str,
    country: &'r str,
    feature_code: &'r str,
    admin_code: &'r str,
    population: u64,
    lat: f64,
    lon: f64,
    alt_country: Option<&'r str>,
    muni: Option<&'r str>,
    muni_sub: Option<&'r str>,
}

impl DocumentEngine for Redb {
    const NAME: &'static str = "redb";
    type View<'v> = RedbView;

    fn description() -> String {
        format!(
            "redb {}; documents as postcard {} (no field names), an index is a table of its own, kept by hand in the same \
             transaction; relaxed is Durability::None, synced Durability::Immediate; cache of the whole budget",
            locked_version("redb"),
            locked_version("postcard")
        )
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let path = directory.join("cities.redb");
        let is_new = !path.exists();
        let database = Builder::new().set_cache_size(settings.memory_bytes).create(path)?;
        let durability = match settings.durability {
            Durability::Relaxed => redb::Durability::None,
            Durability::Sync => redb::Durability::Immediate,
        };
        let engine = Self { database, durability };
        if is_new {
            let transaction = engine.database.begin_write()?;
            transaction.open_table(CITIES)?;
            transaction.open_table(BY_CODE)?;
            transaction.open_table(BY_POPULATION)?;
            transaction.commit()?;
        }
        Ok(engine)
    }

    fn insert_batch(&self, cities: Vec<City>) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut table = transaction.open_table(CITIES)?;
            let mut by_code = transaction.open_table(BY_CODE)?;
            let mut by_population = transaction.open_table(BY_POPULATION)?;
            let mut buffer = Vec::new();
            for city in &cities {
                buffer.clear();
                buffer = postcard::to_extend(&Record::of(city), buffer)?;
                if table.insert(city.id, buffer.as_slice())?.is_some()
                    || by_code.insert(city.code.as_str(), city.id)?.is_some()
                {
                    return Err(format!("{} or {} is there already", city.id, city.code).into());
                }
                by_population.insert((city.population, city.id), ())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn set_population(&self, id: u64, population: u64) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut table = transaction.open_table(CITIES)?;
            let mut by_population = transaction.open_table(BY_POPULATION)?;
            let changed = {
                let old = table.get(id)?.ok_or_else(|| format!("no document {id}"))?;
                let record: Record = postcard::from_bytes(old.value())?;
                by_population.remove((record.population, id))?;
                postcard::to_stdvec(&Record { population, ..record })?
            };
            table.insert(id, changed.as_slice())?;
            by_population.insert((population, id), ())?;
        }
        Ok(transaction.commit()?)
    }

    fn read<R>(&self, body: impl FnOnce(&mut RedbView) -> Result<R>) -> Result<R> {
        let transaction = self.database.begin_read()?;
        body(&mut RedbView {
            cities: transaction.open_table(CITIES)?,
            by_code: transaction.open_table(BY_CODE)?,
            by_population: transaction.open_table(BY_POPULATION)?,
        })
    }

    fn close(self) -> Result<()> {
        // Commits without durability are lost unless one with it follows.
        self.database.begin_write()?.commit()?;
        Ok(())
    }
}

impl DocumentView for RedbView {
    fn lookup(&mut self, code: &str) -> Result<Option<City>> {
        let Some(id) = self.by_code.get(code)? else { return Ok(None) };
        Ok(Some(self.city(id.value())?))
    }

    fn range(&mut self, from: u64, limit: usize, mut found: impl FnMut(City)) -> Result<()> {
        for item in self.by_population.range((from, 0)..)?.take(limit) {
            let (_, id) = item?.0.value();
            found(self.city(id)?);
        }
        Ok(())
    }

    fn count(&mut self, from: u64, to: u64) -> Result<u64> {
        let mut count = 0;
        for item in self.by_population.range((from, 0)..=(to, u64::MAX))? {
            item?;
            count += 1;
        }
        Ok(count)
    }
}

impl RedbView {
    fn city(&self, id: u64) -> Result<City> {
        let found = self.cities.get(id)?.ok_or_else(|| format!("no document {id}"))?;
        Ok(postcard::from_bytes::<Record>(found.value())?.into_city(id))
    }
}

impl<'r> Record<'r> {
    fn of(city: &'r City) -> Self {
        Self {
            code: &city.code,
            name: &city.name,
            country: &city.country,
            feature_code: &city.feature_code,
            admin_code: &city.admin_code,
            population: city.population,
            lat: city.lat,
            lon: city.lon,
            alt_country: city.alt_country.as_deref(),
            muni: city.muni.as_deref(),
            muni_sub: city.muni_sub.as_deref(),
        }
    }

    fn into_city(self, id: u64) -> City {
        City {
            id,
            code: self.code.to_owned(),
            name: self.name.to_owned(),
            country: self.country.to_owned(),
            feature_code: self.feature_code.to_owned(),
            admin_code: self.admin_code.to_owned(),
            population: self.population,
            lat: self.lat,
            lon: self.lon,
            alt_country: self.alt_country.map(str::to_owned),
            muni: self.muni.map(str::to_owned),
            muni_sub: self.muni_sub.map(str::to_owned),
        }
    }
}
