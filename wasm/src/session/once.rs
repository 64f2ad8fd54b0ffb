//! Requests that are numbered, so that one that comes again is not done again: what a client sends to the next owner of the
//! files when the one before went away without an answer. See [`Requests`].

use lightning_db::{Database, Error, Requests, Result, WriteTransaction};

use super::Operation;
use crate::wire::{self, Arguments, invalid};

/// What is known of clients is looked up again beyond so many.
const CLIENTS_MAX: usize = 64;
/// A longer error is told once, and only that it was one is remembered.
const FAILURE_BYTES_MAX: usize = 1024;

/// An operation that has a number.
#[derive(Clone, Copy)]
pub struct Numbered {
    client: u64,
    number: u64,
}

/// The numbers of the operations of one request, and what is known of clients, the one that asked last at the end.
#[derive(Default)]
pub struct Once {
    clients: Vec<Requests>,
    /// The client, the number of its next operation, and the place of that.
    counted: Option<(u64, u64, u64)>,
    /// What is being done.
    doing: Option<Numbered>,
    /// What it answers: the frame without its length.
    frame: Vec<u8>,
}

impl Once {
    /// A new request: its operations have no numbers yet.
    pub fn begin(&mut self) {
        self.counted = None;
    }

    /// `[client, number, heard]`: what follows is numbered from `number` on. The client has heard the answers up to `heard`.
    pub fn count(&mut self, database: &Database, place: u64, args: &mut Arguments<'_>) -> Result<()> {
        let client = args.bytes()?.try_into().map(u64::from_be_bytes);
        let client = client.map_err(|_| invalid("the id of a client has 8 bytes"))?;
        let (number, heard) = (args.number()?, args.number()?);
        // Before anything can fail: what follows is done with its number, or not at all.
        self.counted = Some((client, number, place + 1));
        database.heard(self.clients(database, client)?, heard);
        Ok(())
    }

    /// The operation at a place of the request, if it is one that commits.
    pub fn numbered(&self, place: u64, operation: Operation, args: &[u8]) -> Option<Numbered> {
        let (client, first, begin) = self.counted?;
        let number = first.checked_add(place.checked_sub(begin)?)?;
        operation.is_once(args).then_some(Numbered { client, number })
    }

    /// The frame that answered it, where it was done before.
    pub fn answer(&mut self, database: &Database, Numbered { client, number }: Numbered) -> Result<Option<Vec<u8>>> {
        let requests = self.clients(database, client)?;
        database.answer(requests, number)
    }

    /// From here on this is being done, or nothing that has a number.
    pub fn doing(&mut self, numbered: Option<Numbered>) {
        self.doing = numbered;
    }

    /// What is being done has this answer; says so in the transaction that does it. Whether that commits anything.
    pub fn remember(&mut self, tx: &mut WriteTransaction, answer: &[u8]) -> Result<bool> {
        let Some(Numbered { client, number }) = self.doing else { return Ok(false) };
        let Some(requests) = self.clients.last().filter(|of| of.client() == client) else { return Ok(false) };
        self.frame.clear();
        self.frame.push(wire::ANSWER);
        self.frame.extend_from_slice(answer);
        tx.remember(requests, number, &self.frame)
    }

    /// It was done; `committed` with what was remembered.
    pub fn done(&mut self, committed: bool) {
        let Some(Numbered { client, number }) = self.doing.take() else { return };
        if let Some(requests) = self.clients.last_mut().filter(|of| of.client() == client) {
            requests.answered(number, &self.frame, committed);
        }
    }

    /// It failed, and committed nothing.
    pub fn failed(&mut self, error: &Error) {
        // Done again when what it lacks was fetched.
        if error.not_resident().is_some() || matches!(error, Error::Pending(_)) {
            return;
        }
        self.frame.clear();
        wire::failure(&mut self.frame, error);
        if self.frame.len() > FAILURE_BYTES_MAX {
            self.frame.clear();
            wire::failure(&mut self.frame, &invalid("it failed, for a reason too long to be remembered"));
        }
        self.frame.drain(..wire::LENGTH_BYTES);
        self.done(false);
    }

    fn clients(&mut self, database: &Database, client: u64) -> Result<&mut Requests> {
        if self.clients.last().is_some_and(|last| last.client() == client) {
            return self.clients.last_mut().ok_or(Error::Closed);
        }
        let requests = match self.clients.iter().rposition(|of| of.client() == client) {
            Some(at) => self.clients.remove(at),
            None => database.requests(client)?,
        };
        if self.clients.len() >= CLIENTS_MAX {
            self.clients.remove(0);
        }
        self.clients.push(requests);
        self.clients.last_mut().ok_or(Error::Closed)
    }
}
