//! Lightning DB: a collection, through the public interface.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lightning_db::query::Update;
use lightning_db::{Collection, Database, Query, ReadCollection, Schema, field};

use super::city::City;
use super::engine::{DocumentEngine, DocumentView, Watched};
use crate::bench::Result;
use crate::bench::engine::Settings;
use crate::bench::peers::lightning::options;
use crate::bench::peers::{OURS, locked_version};

/// The thread that watches looks this often whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Lightning {
    database: Database,
    cities: Collection<City>,
}

pub(crate) struct LightningView {
    cities: ReadCollection<City>,
}

impl DocumentEngine for Lightning {
    const NAME: &'static str = OURS;
    type View<'v> = LightningView;

    fn description() -> String {
        let version = locked_version("lightning-db");
        format!("Lightning DB {version}; CBOR, a unique and a plain index; compression off, otherwise its defaults")
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let database = Database::open(directory.join("cities.ldb"), options(settings))?;
        let cities = database.collection("cities", Schema::key("id").index("population").unique("code"))?;
        Ok(Self { database, cities })
    }

    fn insert_batch(&self, cities: Vec<City>) -> Result<()> {
        Ok(self.cities.write(|collection| cities.iter().try_for_each(|city| collection.insert(city)))?)
    }

    fn set_population(&self, id: u64, population: u64) -> Result<()> {
        let found = self.cities.update(id, &Update::new().set("population", population))?;
        if found { Ok(()) } else { Err(format!("no document {id}").into()) }
    }

    fn read<R>(&self, body: impl FnOnce(&mut LightningView) -> Result<R>) -> Result<R> {
        body(&mut LightningView { cities: self.cities.snapshot()? })
    }

    /// A thread waits for changes meanwhile, as an application's would.
    fn watching<R>(&self, from: u64, to: u64, body: impl FnOnce() -> Result<R>) -> Result<Option<Watched<R>>> {
        let mut live = self.cities.watch(between(from, to))?;
        let rows = live.try_next_cbor()?.map_or(0, |first| first.len as u64);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| -> Result<u64> {
                let mut changes = 0;
                while !over.load(Ordering::Acquire) {
                    changes += u64::from(live.next_cbor(Some(LOOK))?.is_some());
                }
                Ok(changes + u64::from(live.try_next_cbor()?.is_some()))
            });
            let result = body();
            over.store(true, Ordering::Release);
            let changes = watcher.join().map_err(|_| "the thread that watches panicked")??;
            Ok(Some(Watched { rows, changes, result: result? }))
        })
    }

    fn settle(&self) -> Result<()> {
        Ok(self.database.checkpoint()?)
    }

    fn close(self) -> Result<()> {
        drop(self.cities);
        Ok(self.database.close()?)
    }
}

impl DocumentView for LightningView {
    fn lookup(&mut self, code: &str) -> Result<Option<City>> {
        Ok(self.cities.get_by("code", [code])?)
    }

    fn range(&mut self, from: u64, limit: usize, mut found: impl FnMut(City)) -> Result<()> {
        let query = Query::new().filter(field("population").from(from)).order_by("population").limit(limit as u64);
        for city in self.cities.query(query)? {
            found(city?);
        }
        Ok(())
    }

    fn count(&mut self, from: u64, to: u64) -> Result<u64> {
        Ok(self.cities.count(between(from, to))?)
    }
}

fn between(from: u64, to: u64) -> Query {
    Query::new().filter(field("population").between(from, to))
}
