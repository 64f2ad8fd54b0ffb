//! What follows the data: live results, and the feed of all commits.

use std::cell::Cell;
use std::rc::Rc;

use lightning_db::{Change, Difference, Document, FeedPosition, Result, Since, Subscription, Value};

use super::collections::{Chunk, Raw, query};
use super::held::Held;
use super::tables::put_entries;
use super::{Session, closed, done};
use crate::wire::{self, Answer, Arguments, invalid, put};

/// A live result and whether its client is to be told.
pub struct Live {
    subscription: Subscription<Raw>,
    /// Something may be new.
    ready: Rc<Cell<bool>>,
    /// The client has heard what it was last told.
    heard: bool,
}

impl Session {
    /// `[collection, query]`. Gives its handle; then come events `[handle, rows now, sequence, [place removed…],
    /// [[place before, place now, row]…], [[place now, row]…]]`, or `[handle]` with the error that ended it.
    #[inline(never)]
    pub(super) fn watch(&mut self, client: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let collection = self.held.collection(args.handle()?)?.clone();
        let subscription = collection.watch(query(args)?)?;
        let ready = Rc::new(Cell::new(true));
        let flag = Rc::clone(&ready);
        subscription.on_ready(move || flag.set(true));
        self.held.insert(client, Held::Live(Box::new(Live { subscription, ready, heard: true })), answer)
    }

    /// `[live result]`: its client has heard the last event, and may be sent the next.
    pub(super) fn heard(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        if let Some(Held::Live(live)) = self.held.get(args.handle()?) {
            live.heard = true;
        }
        done(answer)
    }

    /// Whether anyone follows a live result: without that there are no events.
    pub fn has_live(&self) -> bool {
        self.held.has_live()
    }

    /// Gives `tell(client, frames)` what is new in live results whose clients listen.
    pub fn events(&mut self, tell: &mut dyn FnMut(u32, Vec<u8>)) -> Result<()> {
        let now_ms = js_sys::Date::now() as u64;
        let mut ended = Vec::new();
        for (client, number, live) in self.held.live() {
            let is_due = live.ready.get() || live.subscription.wake_at_ms().is_some_and(|at| at <= now_ms);
            if !(is_due && live.heard) {
                continue;
            }
            live.ready.set(false);
            match live.subscription.try_next_cbor() {
                Ok(None) => {}
                Ok(Some(difference)) => {
                    live.heard = false;
                    tell(client, event(number, &difference));
                }
                Err(error) if error.not_resident().is_some() => {
                    live.ready.set(true);
                    return Err(error);
                }
                Err(error) => {
                    ended.push(number);
                    let mut frames = Vec::new();
                    wire::frame(&mut frames, wire::EVENT, |out| put(Answer::new(out).array(1).u32(number)))?;
                    wire::failure(&mut frames, &error);
                    tell(client, frames);
                }
            }
        }
        ended.into_iter().for_each(|number| self.held.remove(number));
        Ok(())
    }

    /// When a row of a live result goes by itself.
    pub fn wake_at_ms(&mut self) -> Option<u64> {
        self.held.live().filter_map(|(_, _, live)| live.subscription.wake_at_ms()).min()
    }

    /// `[since]`: null from now on, true from the oldest that is kept, else the bytes of a position. Gives `[handle, position]`.
    #[inline(never)]
    pub(super) fn changes(&mut self, client: u32, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let since = match args.value()? {
            Value::Null => Since::Now,
            Value::Bool(true) => Since::Oldest,
            Value::Bytes(bytes) => Since::Position(FeedPosition::from_bytes(&bytes)?),
            _ => return Err(invalid("a feed begins now, with the oldest commit, or at a position")),
        };
        let feed = self.database.changes(since)?;
        let position = feed.position().to_bytes();
        let number = self.held.keep(client, Held::Feed(Box::new(feed)))?;
        put(answer.array(2).u32(number).bytes(&position))
    }

    /// `[feed, bytes]`. Gives commits until they have so many bytes, none at the end: a list of
    /// `[sequence, milliseconds since 1970, position, [change…]]`; a change is `[table, key, id, value]`, `[table, key, id]` when
    /// it was deleted, or `[table, from, null, to or null, true]` for a range. Keys and values are as they are stored; the id is
    /// the key as a value where keys of the table are of every kind, as those of collections, and else undefined.
    #[inline(never)]
    pub(super) fn next_changes(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let (number, bytes_max) = (args.handle()?, args.number()?);
        let tables = self.database.tables()?;
        let of_every_kind: Vec<_> =
            tables.iter().filter(|table| table.key_type == "key").map(|table| &table.name).collect();
        let put_id = |list: &mut Answer<'_>, table: &str, key: &[u8]| {
            let id = of_every_kind.iter().any(|name| *name == table).then(|| Value::decode_key(key));
            match id {
                Some(Ok(id)) => put(list.raw(&id.to_cbor()?)),
                _ => put(list.undefined()),
            }
        };
        let Some(Held::Feed(feed)) = self.held.get(number) else { return Err(closed("feed")) };
        let (mut commits, mut count, mut bytes) = (Vec::new(), 0, Vec::new());
        while (bytes.len() as u64) < bytes_max {
            let commit = match feed.next() {
                Ok(Some(commit)) => commit,
                Ok(None) => break,
                Err(error) if error.not_resident().is_some() && count > 0 => break,
                Err(error) => return Err(error),
            };
            count += 1;
            commits.clear();
            let mut changes = 0;
            let mut list = Answer::new(&mut commits);
            for change in commit.changes() {
                changes += 1;
                match change {
                    Change::Put { table, key, value } => {
                        put(list.array(4).str(table).bytes(key))?;
                        put_id(&mut list, table, key)?;
                        match value.read()? {
                            Some(value) => put(list.bytes(&value))?,
                            None => put(list.null())?,
                        }
                    }
                    Change::Delete { table, key } => {
                        put(list.array(3).str(table).bytes(key))?;
                        put_id(&mut list, table, key)?;
                    }
                    Change::DeleteRange { table, from, to } => {
                        put(list.array(5).str(table).bytes(from).null())?;
                        match to {
                            Some(to) => put(list.bytes(to))?,
                            None => put(list.null())?,
                        }
                        put(list.bool(true))?;
                    }
                    _ => changes -= 1,
                }
            }
            let mut out = Answer::new(&mut bytes);
            let position = commit.position().to_bytes();
            put(out.array(4).u64(commit.sequence()).u64(commit.time_ms()).bytes(&position).array(changes))?;
            bytes.extend_from_slice(&commits);
        }
        put(answer.array(count))?;
        answer.raw(&bytes);
        Ok(())
    }

    /// `[cursor, bytes]`: what follows, as at first.
    pub(super) fn next(&mut self, args: &mut Arguments<'_>, answer: &mut Answer<'_>) -> Result<()> {
        let (number, bytes) = (args.handle()?, args.number()?);
        let is_over = match self.held.get(number) {
            Some(Held::Rows(rows)) => {
                let (chunk, is_over) = Chunk::gather(rows, bytes)?;
                chunk.put(answer, if is_over { 0 } else { number }, rows.page_token())?;
                is_over
            }
            Some(Held::Scan(scan)) => {
                let (entries, is_over) = scan.gather(bytes)?;
                put_entries(answer, if is_over { 0 } else { number }, &entries)?;
                is_over
            }
            _ => return Err(closed("cursor")),
        };
        if is_over {
            self.held.remove(number);
        }
        Ok(())
    }
}

fn event(number: u32, difference: &Difference<Vec<u8>>) -> Vec<u8> {
    let mut frames = Vec::new();
    let written = wire::frame(&mut frames, wire::EVENT, |out| {
        let mut answer = Answer::new(out);
        put(answer.array(6).u32(number).u64(difference.len as u64).u64(difference.sequence))?;
        put(answer.array(difference.removed.len() as u64))?;
        for removed in &difference.removed {
            put(answer.u64(removed.at as u64))?;
        }
        put(answer.array(difference.changed.len() as u64))?;
        for moved in &difference.changed {
            put(answer.array(3).u64(moved.from as u64).u64(moved.at as u64).bytes(&moved.row))?;
        }
        put(answer.array(difference.added.len() as u64))?;
        for placed in &difference.added {
            put(answer.array(2).u64(placed.at as u64).bytes(&placed.row))?;
        }
        Ok(())
    });
    debug_assert!(written.is_ok(), "writing into memory does not fail");
    frames
}
