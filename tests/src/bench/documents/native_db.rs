//! native_db: typed structs with secondary keys, on redb.

use std::path::Path;
use std::sync::OnceLock;

use native_db::transaction::RTransaction;
use native_db::{Builder, Database, Models, ToKey, native_db};
use native_model::{Model, native_model};
use serde::{Deserialize, Serialize};

use super::city::City;
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::engine::Settings;
use crate::bench::peers::locked_version;

pub(crate) struct NativeDb {
    database: Database<'static>,
}

pub(crate) struct NativeDbView<'v> {
    transaction: RTransaction<'v>,
}

/// A document as native_db wants it: as [`City`], but with its attributes, and no field left out, which bincode cannot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[native_model(id = 1, version = 1)]
#[native_db]
struct Record {
    #[primary_key]
    id: u64,
    #[secondary_key(unique)]
    code: String,
    name: String,
    country: String,
    feature_code: String,
    admin_code: String,
    #[secondary_key]
    population: u64,
    lat: f64,
    lon: f64,
    alt_country: Option<String>,
    muni: Option<String>,
    muni_sub: Option<String>,
}

impl DocumentEngine for NativeDb {
    const NAME: &'static str = "native-db";
    const RELAXED: bool = false;
    type View<'v> = NativeDbView<'v>;

    fn description() -> String {
        format!(
            "native_db {} on redb 2; documents as bincode (no field names), a unique and a plain secondary key; every \
             commit is synced; cache of the whole budget",
            locked_version("native_db")
        )
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let path = directory.join("cities.native-db");
        let mut builder = Builder::new();
        builder.set_cache_size(settings.memory_bytes);
        let database = if path.exists() { builder.open(models()?, path)? } else { builder.create(models()?, path)? };
        Ok(Self { database })
    }

    fn insert_batch(&self, cities: Vec<City>) -> Result<()> {
        let transaction = self.database.rw_transaction()?;
        for city in cities {
            transaction.insert(Record::from(city))?;
        }
        Ok(transaction.commit()?)
    }

    fn set_population(&self, id: u64, population: u64) -> Result<()> {
        let transaction = self.database.rw_transaction()?;
        let old: Record = transaction.get().primary(id)?.ok_or_else(|| format!("no document {id}"))?;
        let new = Record { population, ..old.clone() };
        transaction.update(old, new)?;
        Ok(transaction.commit()?)
    }

    fn read<R>(&self, body: impl FnOnce(&mut NativeDbView<'_>) -> Result<R>) -> Result<R> {
        body(&mut NativeDbView { transaction: self.database.r_transaction()? })
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl DocumentView for NativeDbView<'_> {
    fn lookup(&mut self, code: &str) -> Result<Option<City>> {
        let found: Option<Record> = self.transaction.get().secondary(RecordKey::code, code)?;
        Ok(found.map(City::from))
    }

    fn range(&mut self, from: u64, limit: usize, mut found: impl FnMut(City)) -> Result<()> {
        let scan = self.transaction.scan().secondary::<Record>(RecordKey::population)?;
        for record in scan.range(from..)?.take(limit) {
            found(record?.into());
        }
        Ok(())
    }

    fn count(&mut self, from: u64, to: u64) -> Result<u64> {
        let scan = self.transaction.scan().secondary::<Record>(RecordKey::population)?;
        let mut count = 0;
        for record in scan.range(from..=to)? {
            record?;
            count += 1;
        }
        Ok(count)
    }
}

/// What the databases hold. It must outlive them.
fn models() -> Result<&'static Models> {
    static MODELS: OnceLock<Models> = OnceLock::new();
    if let Some(models) = MODELS.get() {
        return Ok(models);
    }
    let mut models = Models::new();
    models.define::<Record>()?;
    Ok(MODELS.get_or_init(|| models))
}

impl From<City> for Record {
    fn from(city: City) -> Self {
        let City {
            id,
            code,
            name,
            country,
            feature_code,
            admin_code,
            population,
            lat,
            lon,
            alt_country,
            muni,
            muni_sub,
        } = city;
        Self { id, code, name, country, feature_code, admin_code, population, lat, lon, alt_country, muni, muni_sub }
    }
}

impl From<Record> for City {
    fn from(record: Record) -> Self {
        let Record { id, code, name, country, feature_code, admin_code, population, .. } = record;
        let Record { lat, lon, alt_country, muni, muni_sub, .. } = record;
        Self { id, code, name, country, feature_code, admin_code, population, lat, lon, alt_country, muni, muni_sub }
    }
}
