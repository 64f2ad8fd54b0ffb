//! An application that remembers what it was promised.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use lightning_db::{Database, Durability, Error, Table};
use lightning_db_tests::random::Random;
use lightning_db_tests::sim::action::Value;

/// Its only table.
pub const TABLE: Table<'static, u64, &'static [u8]> = Table::new("witness");

/// Every key and its value.
pub type Rows = BTreeMap<u64, Value>;

/// Writes transactions that its seed decides, and knows which were acknowledged.
#[derive(Clone, Debug)]
pub struct Witness {
    random: Random,
    keys: u64,
    value_bytes_max: u64,
    next_tag: u32,
    /// What is acknowledged.
    rows: Rows,
    /// What was before the last transaction that is acknowledged, and before the one before.
    before: [Rows; 2],
    /// What may be there instead, after a commit that was not acknowledged: nothing acknowledged came after it.
    doubtful: Vec<Rows>,
    acknowledged: u64,
    refused: u64,
}

impl Witness {
    /// Writes `keys` different keys, and values of up to this length, most of them short.
    pub fn new(seed: u64, keys: u64, value_bytes_max: u64) -> Self {
        Self {
            random: Random::new(seed),
            keys,
            value_bytes_max,
            next_tag: 0,
            rows: Rows::new(),
            before: Default::default(),
            doubtful: Vec::new(),
            acknowledged: 0,
            refused: 0,
        }
    }

    /// Transactions acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Every acknowledged key and its value.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Transactions answered by an error.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The next transaction.
    pub fn commit(&mut self, database: &Database, durability: Durability) -> Result<(), Error> {
        let changes = self.changes();
        let outcome = database.transaction_with(durability, |tx| {
            let mut table = tx.table(TABLE)?;
            for (key, value) in &changes {
                match value {
                    Some(value) => table.put(key, value.bytes().as_slice())?,
                    None => drop(table.delete(key)?),
                }
            }
            Ok(())
        });
        match &outcome {
            Ok(()) => self.acknowledge(&changes),
            Err(_) => {
                self.refused += 1;
                let mut rows = self.rows.clone();
                apply(&mut rows, &changes);
                self.doubtful.push(rows);
            }
        }
        outcome
    }

    /// What the next transaction would be, had it been acknowledged: for the witness of another process.
    pub fn skip(&mut self) {
        let changes = self.changes();
        self.acknowledge(&changes);
    }

    /// The transaction after the last acknowledged one may have reached the file although nobody heard of it.
    pub fn doubt_next(&mut self) {
        let mut next = self.clone();
        next.skip();
        self.doubtful.push(next.rows);
    }

    /// Compares all of an open database with what was acknowledged.
    pub fn verify(&self, database: &Database) -> Result<()> {
        let found = read(database)?;
        match difference(&self.rows, &found) {
            None => Ok(()),
            Some(difference) => bail!("after {} acknowledged transactions: {difference}", self.acknowledged),
        }
    }

    /// As [`verify`](Self::verify), after opening again without a clean close before: a transaction that was not
    /// acknowledged may be there, whole. Whether one is.
    pub fn verify_reopened(&mut self, database: &Database) -> Result<bool> {
        let found = read(database)?;
        let doubtful = std::mem::take(&mut self.doubtful).into_iter().find(|rows| *rows == found);
        let adopted = doubtful.is_some();
        self.rows = doubtful.unwrap_or_else(|| std::mem::take(&mut self.rows));
        self.verify(database)?;
        whole(database)?;
        Ok(adopted)
    }

    /// Whether all that is wrong with the database is that the last transaction, or the last two, are not there, nor any
    /// part of them.
    pub fn lacks_last(&self, database: &Database) -> Result<bool> {
        Ok(self.before.contains(&read(database)?))
    }

    fn acknowledge(&mut self, changes: &[(u64, Option<Value>)]) {
        let mut rows = self.rows.clone();
        apply(&mut rows, changes);
        // One that changes nothing commits nothing, and takes no place in the log.
        if rows != self.rows {
            self.before.swap(0, 1);
            self.before[0] = std::mem::replace(&mut self.rows, rows);
        }
        self.doubtful.clear();
        self.acknowledged += 1;
    }

    fn changes(&mut self) -> Vec<(u64, Option<Value>)> {
        let len = self.random.skewed(20).max(1);
        (0..len)
            .map(|_| {
                let key = self.random.below(self.keys);
                let len = self.random.skewed(self.value_bytes_max).max(4) as u32;
                self.next_tag += 1;
                let value = Value { tag: self.next_tag, len };
                (key, (!self.random.chance(1, 5)).then_some(value))
            })
            .collect()
    }
}

/// `check` finds nothing.
pub fn whole(database: &Database) -> Result<()> {
    let report = database.check().context("check")?;
    if !report.is_clean() {
        bail!("check found: {}", report.problems.join("; "));
    }
    Ok(())
}

fn apply(rows: &mut Rows, changes: &[(u64, Option<Value>)]) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(rows.insert(*key, *value)),
            None => drop(rows.remove(key)),
        }
    }
}

fn read(database: &Database) -> Result<Rows> {
    let snapshot = database.snapshot();
    let table = match snapshot.table(TABLE) {
        Err(Error::NoSuchTable { .. }) => return Ok(Rows::new()),
        table => table?,
    };
    let mut rows = Rows::new();
    for entry in table.range(..)? {
        let (key, bytes) = entry?;
        let tag = bytes.first_chunk().map_or(0, |tag| u32::from_le_bytes(*tag));
        let value = Value { tag, len: u32::try_from(bytes.len())? };
        if value.bytes() != bytes {
            bail!("key {key} holds {} bytes that nobody wrote", bytes.len());
        }
        rows.insert(key, value);
    }
    Ok(rows)
}

fn difference(expected: &Rows, found: &Rows) -> Option<String> {
    expected
        .keys()
        .chain(found.keys())
        .find(|key| expected.get(key) != found.get(key))
        .map(|key| format!("key {key}: {:?} instead of {:?}", found.get(key), expected.get(key)))
}
