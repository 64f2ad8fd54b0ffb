//! What clients hold between operations, by number.

use std::rc::Rc;

use lightning_db::{Backup, ChangeFeed, Collection, Cursor, Error, MigrationStep, Result, Rows, Snapshot, Transaction};

use super::closed;
use super::collections::Raw;
use super::live::Live;
use super::tables::OpenTable;
use crate::wire::{Answer, put};

pub enum Held {
    Collection(Collection<Raw>),
    Table(Rc<OpenTable>),
    /// A collection or table that could not be opened, and why.
    Failed(Error),
    Snapshot(Snapshot),
    Transaction(Box<Transaction>),
    /// A transaction that an operation is using.
    Used,
    Rows(Box<Rows<Raw>>),
    Scan(Box<Scan>),
    Live(Box<Live>),
    Feed(Box<ChangeFeed>),
    Migration(Box<MigrationStep>),
    Backup(Box<Backup>),
}

/// A range of a table that is being read.
pub struct Scan {
    pub table: Rc<OpenTable>,
    pub cursor: Cursor<&'static [u8], &'static [u8]>,
    pub backwards: bool,
    pub begun: bool,
    /// Entries that are still wanted.
    pub left: u64,
}

pub struct HeldMap {
    places: Vec<Option<(u32, Held)>>,
    free: Vec<u32>,
    max: usize,
    /// How many of them are live results.
    live: usize,
    /// Collections and tables, by client and the number that it chose: whoever serves it next opens them under the same.
    /// In order: a tree would be more code than all that is done with it.
    opened: Vec<((u32, u32), Held)>,
    /// Whose operation is performed.
    client: u32,
}

impl HeldMap {
    pub fn new(max: usize) -> Self {
        Self { places: Vec::new(), free: Vec::new(), max, live: 0, opened: Vec::new(), client: 0 }
    }

    /// What follows is done for this client.
    pub fn serve(&mut self, client: u32) {
        self.client = client;
    }

    /// Keeps it for a client; its number is the answer.
    pub fn insert(&mut self, client: u32, held: Held, answer: &mut Answer<'_>) -> Result<()> {
        let number = self.keep(client, held)?;
        put(answer.u32(number))
    }

    pub fn keep(&mut self, client: u32, held: Held) -> Result<u32> {
        let at = match self.free.pop() {
            Some(at) => at,
            None if self.places.len() >= self.max => {
                let (value, limit) = (self.places.len() as u64 + 1, self.max as u64);
                return Err(Error::LimitExceeded { what: "open cursors, transactions and live results", value, limit });
            }
            None => {
                self.places.push(None);
                self.places.len() as u32 - 1
            }
        };
        self.live += usize::from(matches!(held, Held::Live(_)));
        if let Some(place) = self.places.get_mut(at as usize) {
            *place = Some((client, held));
        }
        Ok(at + 1)
    }

    /// Keeps a collection or table under the number that the client chose, in the place of what it has there.
    pub fn open(&mut self, number: u32, held: Held) -> Result<()> {
        match self.place_of(number) {
            Ok(at) => {
                if let Some((_, place)) = self.opened.get_mut(at) {
                    *place = held;
                }
            }
            Err(at) if self.opened.len() < self.max => self.opened.insert(at, ((self.client, number), held)),
            Err(_) => {
                let limit = self.max as u64;
                return Err(Error::LimitExceeded { what: "open collections and tables", value: limit + 1, limit });
            }
        }
        Ok(())
    }

    /// What is under this number could not be opened: who asks something of it before having heard that hears the same.
    pub fn failed(&mut self, number: u32, why: &Error) {
        let is_over = why.not_resident().is_none() && !matches!(why, Error::Pending(_));
        if let Err(at) = self.place_of(number)
            && is_over
            && self.opened.len() < self.max
        {
            self.opened.insert(at, ((self.client, number), Held::Failed(why.clone())));
        }
    }

    /// Where what the client has open under this number is, or would be.
    fn place_of(&self, number: u32) -> std::result::Result<usize, usize> {
        self.opened.binary_search_by_key(&(self.client, number), |(key, _)| *key)
    }

    fn opened(&self, number: u32) -> Option<&Held> {
        self.opened.get(self.place_of(number).ok()?).map(|(_, held)| held)
    }

    pub fn get(&mut self, number: u32) -> Option<&mut Held> {
        self.places.get_mut((number as usize).checked_sub(1)?)?.as_mut().map(|(_, held)| held)
    }

    pub fn remove(&mut self, number: u32) {
        let Some(at) = number.checked_sub(1) else { return };
        if let Some((_, held)) = self.places.get_mut(at as usize).and_then(Option::take) {
            self.live -= usize::from(matches!(held, Held::Live(_)));
            self.free.push(at);
        }
    }

    pub fn remove_client(&mut self, client: u32) {
        self.opened.retain(|((of, _), _)| *of != client);
        for number in 1..=self.places.len() as u32 {
            if matches!(self.places.get(number as usize - 1), Some(Some((of, _))) if *of == client) {
                self.remove(number);
            }
        }
    }

    /// Whether anyone follows a live result.
    pub fn has_live(&self) -> bool {
        self.live > 0
    }

    /// All live results of all clients, with their numbers.
    pub fn live(&mut self) -> impl Iterator<Item = (u32, u32, &mut Live)> {
        (1..).zip(&mut self.places).filter_map(|(number, place)| match place {
            Some((client, Held::Live(live))) => Some((*client, number, &mut **live)),
            _ => None,
        })
    }

    pub fn collection(&self, number: u32) -> Result<&Collection<Raw>> {
        match self.opened(number) {
            Some(Held::Collection(collection)) => Ok(collection),
            Some(Held::Failed(why)) => Err(why.clone()),
            _ => Err(closed("collection")),
        }
    }

    pub fn table(&self, number: u32) -> Result<&Rc<OpenTable>> {
        match self.opened(number) {
            Some(Held::Table(table)) => Ok(table),
            Some(Held::Failed(why)) => Err(why.clone()),
            _ => Err(closed("table")),
        }
    }

    pub fn transaction(&mut self, number: u32) -> Result<&mut Transaction> {
        match self.get(number) {
            Some(Held::Transaction(transaction)) => Ok(transaction),
            _ => Err(closed("transaction")),
        }
    }

    /// Lends a transaction to an operation that looks at other handles, too.
    pub fn take_transaction(&mut self, number: u32) -> Result<Box<Transaction>> {
        match self.get(number) {
            Some(held @ Held::Transaction(_)) => match std::mem::replace(held, Held::Used) {
                Held::Transaction(transaction) => Ok(transaction),
                _ => Err(closed("transaction")),
            },
            _ => Err(closed("transaction")),
        }
    }

    pub fn give_back(&mut self, number: u32, transaction: Box<Transaction>) {
        if let Some(held @ Held::Used) = self.get(number) {
            *held = Held::Transaction(transaction);
        }
    }
}
