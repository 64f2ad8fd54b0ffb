//! What the page in `spike/` calls: rows put, read back and counted, enough to see that the engine works here.

use lightning_db::{Options, Table};
use wasm_bindgen::prelude::*;

use crate::database::{BrowserDatabase, Place};

const ROWS: Table<'static, u64, &[u8]> = Table::new("rows");
const VALUE_BYTES: usize = 100;
/// Everything of an open database fits into this.
const MEMORY_BYTES: usize = 10 << 20;

/// A database with one table of numbered rows.
#[wasm_bindgen]
pub struct Spike(BrowserDatabase);

#[wasm_bindgen]
impl Spike {
    /// Opens the database `name` on `opfs`, `indexeddb` or in `memory`.
    pub async fn open(storage: String, name: String) -> Result<Spike, JsError> {
        let mut options = Options::default();
        options.memory_budget_bytes = MEMORY_BYTES;
        Ok(Spike(BrowserDatabase::open(place(&storage)?, &name, options).await?))
    }

    /// Puts `count` rows from number `first` on, in one transaction, durable when this returns.
    pub async fn put(&self, first: u32, count: u32) -> Result<(), JsError> {
        self.0
            .transaction(|tx| {
                let mut table = tx.table(ROWS)?;
                for number in numbers(first, count) {
                    table.put(number, &value_of(number)[..])?;
                }
                Ok(())
            })
            .await?;
        // Between messages a worker has time for what a server does in its background thread.
        self.0.step().await?;
        Ok(())
    }

    /// Looks up `count` rows from number `first` on, one by one, and says how many are there and right.
    pub async fn get(&self, first: u32, count: u32) -> Result<u32, JsError> {
        let mut right = 0;
        for number in numbers(first, count) {
            let found = self.0.run(|database| {
                let snapshot = database.snapshot();
                let value = snapshot.table(ROWS)?.get(number)?;
                Ok(value.is_some_and(|value| value.bytes() == value_of(number)))
            });
            right += u32::from(found.await?);
        }
        Ok(right)
    }

    /// Reads the whole table in order and says how many rows there are.
    pub async fn scan(&self) -> Result<u32, JsError> {
        let counted = self.0.run(|database| {
            let mut rows = 0;
            for row in database.snapshot().table(ROWS)?.range(..)? {
                row?;
                rows += 1;
            }
            Ok(rows)
        });
        Ok(counted.await?)
    }

    /// Verifies both files, and says how many problems there are.
    pub async fn check(&self) -> Result<u32, JsError> {
        let report = self.0.run(|database| database.check()).await?;
        Ok(u32::try_from(report.problems.len()).unwrap_or(u32::MAX))
    }

    /// Closes it.
    pub async fn close(self) -> Result<(), JsError> {
        Ok(self.0.close().await?)
    }

    /// Deletes the database `name`, which nobody may have open.
    pub async fn delete(storage: String, name: String) -> Result<(), JsError> {
        Ok(BrowserDatabase::delete(place(&storage)?, &name).await?)
    }
}

fn place(storage: &str) -> Result<Place, JsError> {
    match storage {
        "opfs" => Ok(Place::Opfs),
        "indexeddb" => Ok(Place::IndexedDb),
        "memory" => Ok(Place::Memory),
        _ => Err(JsError::new(&format!("no such storage: {storage}"))),
    }
}

fn numbers(first: u32, count: u32) -> impl Iterator<Item = u64> {
    (u64::from(first)..).take(count as usize)
}

/// Different for each row, and not compressible away.
fn value_of(number: u64) -> [u8; VALUE_BYTES] {
    let mut value = [0; VALUE_BYTES];
    let mut state = number;
    for chunk in value.chunks_mut(8) {
        state = state.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
        chunk.iter_mut().zip(state.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
    value
}
