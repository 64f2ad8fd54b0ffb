//! Values above the inline threshold: each in an extent of its own, streamed in and out, verified block by block.
//!
//! An extent holds the value's bytes and then one checksum for each block of 64 KiB; the reference holds the checksum of
//! that table. So a part of a value is verified without reading the rest.
//!
//! A sealed value has the same form: its blocks are encrypted in place, the table is their nonce and then their tags, and the
//! reference holds the tag of the table. Blocks and table take nonces that follow each other. They are bound to the value by
//! each other and to their place by the reference alone, so a value that moves is copied as it is. Noise follows the table up to
//! the end of the sector.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::lease::Source;
use super::nodes::{Nodes, read_exact};
use super::options::VALUE_BYTES_MAX;
use super::state::Engine;
use super::version::Layers;
use crate::codec::checksum::{Checksum, Digest};
use crate::codec::cipher::{Envelope, NONCE_BYTES};
#[cfg(feature = "encryption")]
use crate::codec::cipher::{Unit, following};
use crate::codec::slot::{Slot, ValueRef};
use crate::env::{FileId, Storage, StorageErrorKind};
use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::space::{Extent, SECTOR_BYTES};
use crate::testing::Mutant;
use crate::tree::{Root, TreeCursor};

/// Bytes that one checksum covers.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

fn table_bytes(len: u64, checksum: Checksum) -> u64 {
    let nonce = if checksum.is_tag() { NONCE_BYTES as u64 } else { 0 };
    nonce + blocks(len) * checksum.width() as u64
}

fn blocks(len: u64) -> u64 {
    len.div_ceil(BLOCK_BYTES as u64)
}

/// Whether this is the table that the reference means.
fn is_table(envelope: &Envelope, value: &ValueRef, table: &[u8]) -> bool {
    match envelope {
        Envelope::Plain => value.checksum.kind().of(&[table]) == value.checksum,
        #[cfg(feature = "encryption")]
        Envelope::Sealed(cipher) => match (value.checksum, table.first_chunk()) {
            (Digest::Tag(tag), Some(first)) => {
                let nonce = following(first, blocks(value.len));
                cipher.open(&nonce, Unit::ValueTable, value.len, table, &mut [], &tag)
            }
            _ => false,
        },
    }
}

/// Whether this is block `index` as `table` says; if it was sealed, it is open now.
fn open_block(envelope: &Envelope, checksum: Checksum, table: &[u8], index: u64, block: &mut [u8]) -> bool {
    let width = checksum.width();
    let at = table_bytes(0, checksum) as usize + index as usize * width;
    let Some(expected) = table.get(at..at + width) else { return false };
    match envelope {
        Envelope::Plain => Digest::from_bytes(expected) == Some(checksum.of(&[block])),
        #[cfg(feature = "encryption")]
        Envelope::Sealed(cipher) => match (table.first_chunk(), expected.first_chunk()) {
            (Some(first), Some(tag)) => cipher.open(&following(first, index), Unit::ValueBlock, index, &[], block, tag),
            _ => false,
        },
    }
}

/// The value of these bytes and their table.
fn open_all(envelope: &Envelope, value: &ValueRef, bytes: &mut [u8], table: &[u8]) -> bool {
    let checksum = value.checksum.kind();
    is_table(envelope, value, table)
        && bytes
            .chunks_mut(BLOCK_BYTES)
            .zip(0..)
            .all(|(block, index)| open_block(envelope, checksum, table, index, block))
}

/// The space a value occupies; of a reference that no honest program wrote, beyond the end of any file.
pub(super) fn extent_of(value: &ValueRef) -> Extent {
    Extent { offset: value.offset, len: value.len.saturating_add(table_bytes(value.len, value.checksum.kind())) }
}

/// Writes one value of a length known in advance, in pieces of any size.
#[derive(Debug)]
pub(crate) struct ValueWriter {
    extent: Extent,
    checksum: Checksum,
    len: u64,
    written: u64,
    block: Vec<u8>,
    table: Vec<u8>,
}

impl ValueWriter {
    /// Takes space for `len` bytes.
    pub(crate) fn new(engine: &Engine, len: u64) -> Result<Self> {
        if len > VALUE_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "the length of a value in bytes",
                value: len,
                limit: VALUE_BYTES_MAX,
            });
        }
        let checksum = engine.nodes.seal().checksum;
        let extent = engine.allocate_value(len + table_bytes(len, checksum))?;
        let table = match &engine.nodes.seal().envelope {
            Envelope::Plain => Vec::new(),
            #[cfg(feature = "encryption")]
            Envelope::Sealed(cipher) => cipher.nonces(0, blocks(len) + 1).to_vec(),
        };
        Ok(Self { extent, checksum, len, written: 0, block: Vec::new(), table })
    }

    /// Appends bytes. More than the length announced is an error.
    pub(crate) fn write(&mut self, engine: &Engine, mut bytes: &[u8]) -> Result<()> {
        let total = self.written + self.block.len() as u64 + bytes.len() as u64;
        if total > self.len {
            return Err(Error::LimitExceeded { what: "the bytes written to a value", value: total, limit: self.len });
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.flush_block(engine)?;
            }
        }
        Ok(())
    }

    fn flush_block(&mut self, engine: &Engine) -> Result<()> {
        let at = self.extent.offset + self.written;
        match &engine.nodes.seal().envelope {
            Envelope::Plain => {
                engine.storage().write_at(FileId::Data, at, &self.block)?;
                self.checksum.of(&[&self.block]).encode(&mut self.table);
            }
            // A block that is written again after an error is the same, and so is what it is sealed to.
            #[cfg(feature = "encryption")]
            Envelope::Sealed(cipher) => {
                let mut sealed = self.block.clone();
                let index = self.written / BLOCK_BYTES as u64;
                let first = self.table.first_chunk().copied().unwrap_or_default();
                let tag = cipher.seal(&following(&first, index), Unit::ValueBlock, index, &[], &mut sealed);
                engine.storage().write_at(FileId::Data, at, &sealed)?;
                self.table.extend_from_slice(&tag);
            }
        }
        self.written += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// Completes the value. Fewer bytes than announced is an error.
    pub(crate) fn finish(mut self, engine: &Engine) -> Result<ValueRef> {
        if !self.block.is_empty() {
            self.flush_block(engine)?;
        }
        if self.written != self.len {
            let what = format!("the value was announced with {} bytes and got {}", self.len, self.written);
            self.abandon(engine);
            return Err(Error::Invalid { what });
        }
        let table_at = self.extent.offset + self.len;
        let envelope = &engine.nodes.seal().envelope;
        let table_end = table_at + self.table.len() as u64;
        let noise = envelope.noise_behind(table_end, SECTOR_BYTES);
        engine.storage().write_at(FileId::Data, table_at, &self.table)?;
        if !noise.is_empty() {
            engine.storage().write_at(FileId::Data, table_end, &noise)?;
        }
        let checksum = match &engine.nodes.seal().envelope {
            Envelope::Plain => self.checksum.of(&[&self.table]),
            #[cfg(feature = "encryption")]
            Envelope::Sealed(cipher) => {
                let first = self.table.first_chunk().copied().unwrap_or_default();
                let nonce = following(&first, blocks(self.len));
                Digest::Tag(cipher.seal(&nonce, Unit::ValueTable, self.len, &self.table, &mut []))
            }
        };
        Ok(ValueRef { offset: self.extent.offset, len: self.len, checksum })
    }

    /// Where it is written.
    #[cfg(feature = "encryption")]
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Gives the space back.
    pub(crate) fn abandon(&mut self, engine: &Engine) {
        engine.space.lock().withdraw(self.extent);
    }
}

impl Engine {
    /// The value will not be committed after all.
    pub(crate) fn withdraw_value(&self, value: &ValueRef) {
        // The frame that refers to it may be on the medium all the same: the next opening decides.
        if matches!(self.writer.lock().stopped, Some(super::state::Stopped::Poisoned(_))) {
            return;
        }
        self.space.lock().withdraw(extent_of(value));
    }
}

/// Whether all of a value is on storage as it was written. Reads twice before it judges: a commit is cut off for it.
pub(super) fn is_there(storage: &dyn Storage, envelope: &Envelope, value: &ValueRef) -> Result<bool> {
    Ok(reads_well(storage, envelope, value)? || reads_well(storage, envelope, value)?)
}

fn reads_well(storage: &dyn Storage, envelope: &Envelope, value: &ValueRef) -> Result<bool> {
    let checksum = value.checksum.kind();
    let extent = extent_of(value);
    if value.len > VALUE_BYTES_MAX || extent.offset.saturating_add(extent.len) > storage.len(FileId::Data)? {
        return Ok(false);
    }
    let mut table = vec![0; table_bytes(value.len, checksum) as usize];
    storage.read_at(FileId::Data, value.offset + value.len, &mut table)?;
    if !is_table(envelope, value, &table) {
        return Ok(false);
    }
    let mut block = vec![0; BLOCK_BYTES];
    for index in 0..blocks(value.len) {
        let start = index * BLOCK_BYTES as u64;
        let len = value.len.saturating_sub(start).min(BLOCK_BYTES as u64) as usize;
        let Some(block) = block.get_mut(..len) else { return Ok(false) };
        storage.read_at(FileId::Data, value.offset + start, block)?;
        if !open_block(envelope, checksum, &table, index, block) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// All of a value that nothing may hold any more: `None` when its space holds something else by now.
pub(super) fn read_if_there(storage: &dyn Storage, envelope: &Envelope, value: &ValueRef) -> Result<Option<Vec<u8>>> {
    let extent = extent_of(value);
    let end = extent.offset.checked_add(extent.len);
    if value.len > VALUE_BYTES_MAX || end.is_none_or(|end| storage.len(FileId::Data).is_ok_and(|len| end > len)) {
        return Ok(None);
    }
    // Value and table lie side by side, and are read at once: another writer may be at work there.
    let Ok(len) = usize::try_from(extent.len) else { return Ok(None) };
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(len).is_err() {
        return Err(Error::invalid("there is no memory for a value of this length"));
    }
    bytes.resize(len, 0);
    match storage.read_at(FileId::Data, value.offset, &mut bytes) {
        // Cut off since.
        Err(error) if error.kind == StorageErrorKind::UnexpectedEnd => return Ok(None),
        read => read?,
    }
    let table = bytes.split_off(usize::try_from(value.len).unwrap_or(usize::MAX).min(len));
    let proven = open_all(envelope, value, &mut bytes, &table);
    Ok(proven.then_some(bytes))
}

impl Engine {
    /// The value that a commit in the log refers to, unless it is gone.
    pub(crate) fn logged_value(&self, value: &ValueRef) -> Result<Option<Vec<u8>>> {
        read_if_there(self.storage(), &self.nodes.seal().envelope, value)
    }
}

/// Reads a value in pieces, each verified.
#[derive(Debug)]
pub(crate) struct ValueReader {
    nodes: Arc<Nodes>,
    value: ValueRef,
    table: Option<Vec<u8>>,
    block: Option<(u64, Vec<u8>)>,
    /// That block as it is stored, where it is sealed and was asked for so.
    stored: Option<Vec<u8>>,
    keeps_stored: bool,
    /// Nothing holds its space: what is found there instead is no damage.
    may_be_gone: bool,
    /// The state that keeps it, unless it is current and stays so.
    layers: Option<Arc<Layers>>,
}

impl ValueReader {
    /// Of a value that `layers` keep; without them of one that stays where it is as long as it is read.
    pub(crate) fn new(nodes: &Arc<Nodes>, value: ValueRef, layers: Option<Arc<Layers>>) -> Self {
        Self {
            nodes: Arc::clone(nodes),
            value,
            table: None,
            block: None,
            stored: None,
            keeps_stored: false,
            may_be_gone: false,
            layers,
        }
    }

    /// Of a value that may have been overwritten: then reading it is [`Error::Corrupt`], and nothing is reported.
    pub(crate) fn of_perhaps(nodes: &Arc<Nodes>, value: ValueRef) -> Self {
        Self { may_be_gone: true, ..Self::new(nodes, value, None) }
    }

    pub(crate) fn len(&self) -> u64 {
        self.value.len
    }

    /// Fills as much of `buf` as the rest of the value from `offset` gives; returns how much.
    pub(crate) fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset + filled as u64;
            if at >= self.value.len {
                break;
            }
            let index = at / BLOCK_BYTES as u64;
            self.load(index)?;
            let Some((_, block)) = &self.block else { break };
            let from = block.get((at % BLOCK_BYTES as u64) as usize..).unwrap_or(&[]);
            let take = from.len().min(rest.len());
            if let (Some(to), Some(from)) = (rest.get_mut(..take), from.get(..take)) {
                to.copy_from_slice(from);
            }
            if take == 0 {
                break;
            }
            filled += take;
        }
        Ok(filled)
    }

    /// A reader that gives what is stored, see [`stored`](Self::stored).
    pub(crate) fn of_stored(nodes: &Arc<Nodes>, value: ValueRef, layers: Option<Arc<Layers>>) -> Self {
        Self { keeps_stored: true, ..Self::new(nodes, value, layers) }
    }

    /// Block `index` as it is stored, verified; behind the last the table, then nothing.
    pub(crate) fn stored(&mut self, index: u64) -> Result<&[u8]> {
        let count = blocks(self.value.len);
        if index < count || self.table.is_none() {
            self.load(index.min(count.saturating_sub(1)))?;
        }
        let block = self.stored.as_deref().or(self.block.as_ref().map(|(_, block)| block.as_slice()));
        let found = if index < count { block } else { self.table.as_deref().filter(|_| index == count) };
        Ok(found.unwrap_or_default())
    }

    /// The whole value.
    pub(crate) fn read_all(&mut self) -> Result<Vec<u8>> {
        let len = usize::try_from(self.value.len).map_err(|_| Error::LimitExceeded {
            what: "the length of a value read at once",
            value: self.value.len,
            limit: usize::MAX as u64,
        })?;
        self.require_in_file()?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(len)
            .map_err(|_| Error::invalid("there is no memory for a value of this length; read it in pieces"))?;
        bytes.resize(len, 0);
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Memory is taken only for what is there.
    pub(super) fn require_in_file(&self) -> Result<()> {
        let extent = extent_of(&self.value);
        let end = extent.offset.checked_add(extent.len).filter(|_| self.value.len <= VALUE_BYTES_MAX);
        if end.is_none_or(|end| self.nodes.storage().len(FileId::Data).is_ok_and(|len| len < end)) {
            let what = format!("a reference claims a value of {} bytes, which is not in the file", self.value.len);
            return Err(Error::corrupt(FileId::Data, self.value.offset, what));
        }
        Ok(())
    }

    /// Reads twice before it judges.
    fn load(&mut self, index: u64) -> Result<()> {
        let layers = self.layers.clone();
        let _inside = layers.as_ref().map(|layers| layers.lease.enter()).transpose()?;
        match self.load_once(index) {
            Err(error) if !error.passes() => self.load_once(index).inspect_err(|error| {
                if !error.passes() && !self.may_be_gone {
                    self.nodes.quarantine().add(extent_of(&self.value));
                }
            }),
            loaded => loaded,
        }
    }

    fn load_once(&mut self, index: u64) -> Result<()> {
        if self.block.as_ref().is_some_and(|(have, _)| *have == index) {
            return Ok(());
        }
        let value = self.value;
        self.require_in_file()?;
        let checksum = value.checksum.kind();
        let envelope = &self.nodes.seal().envelope;
        if self.table.is_none() {
            let mut table = vec![0; table_bytes(value.len, checksum) as usize];
            read_exact(self.nodes.storage(), value.offset + value.len, &mut table, "a value's checksums")?;
            if !is_table(envelope, &value, &table) {
                return Err(Error::corrupt(
                    FileId::Data,
                    value.offset + value.len,
                    "the checksums of a value are damaged",
                ));
            }
            self.table = Some(table);
        }
        let Some(table) = &self.table else { return Ok(()) };
        let start = index * BLOCK_BYTES as u64;
        let len = value.len.saturating_sub(start).min(BLOCK_BYTES as u64) as usize;
        if len == 0 {
            return Ok(());
        }
        let mut block = vec![0; len];
        read_exact(self.nodes.storage(), value.offset + start, &mut block, "a value")?;
        let stored = (self.keeps_stored && checksum.is_tag()).then(|| block.clone());
        if !open_block(envelope, checksum, table, index, &mut block) && !Mutant::ValueUnverified.is_active() {
            return Err(Error::corrupt(FileId::Data, value.offset + start, "a block of a value is damaged"));
        }
        self.stored = stored;
        self.block = Some((index, block));
        Ok(())
    }
}

/// Copies every value of the base that lies at or beyond an offset to lower ground, and keeps the new references as
/// changes for a merge: used when the file is shortened.
#[derive(Debug)]
pub(super) struct ValueMoves {
    cursor: TreeCursor<Source>,
    from: u64,
    started: bool,
    /// The records with their new references.
    pub(super) moved: Memtable,
    /// The new extents.
    pub(super) written: Vec<Extent>,
}

impl ValueMoves {
    pub(super) fn new(engine: &Engine, base: Root, from: u64) -> Self {
        let cursor = TreeCursor::new(Source::current(&engine.nodes), Some(base));
        Self { cursor, from, started: false, moved: Memtable::new(), written: Vec::new() }
    }

    /// Looks at some records; true when it has seen all.
    pub(super) fn step(&mut self, engine: &Engine, budget: usize) -> Result<bool> {
        if !self.started {
            self.cursor.seek(&[])?;
            self.started = true;
        }
        for _ in 0..budget {
            let Some((key, slot)) = self.cursor.entry() else { return Ok(true) };
            if let Some(old) = slot.extent()
                && old.offset >= self.from
                // Moved already, when the step to the next record lacked bytes.
                && !matches!(self.moved.get(key), crate::memtable::Lookup::Found { .. })
            {
                let new = copy_stored(engine, &old)?;
                // It becomes part of the base with this job, or is released with it.
                engine.space.lock().settle(extent_of(&new));
                self.written.push(extent_of(&new));
                self.moved.put(key, Slot::Extent(new), 0);
            }
            self.cursor.next()?;
        }
        Ok(false)
    }
}

/// Copies a value as it is stored, verified.
fn copy_stored(engine: &Engine, old: &ValueRef) -> Result<ValueRef> {
    let mut reader = ValueReader::of_stored(&engine.nodes, *old, None);
    reader.require_in_file()?;
    let extent = engine.allocate_value(extent_of(old).len)?;
    let mut copy = || {
        let mut at = extent.offset;
        for index in 0..=blocks(old.len) {
            let bytes = reader.stored(index)?;
            engine.storage().write_at(FileId::Data, at, bytes)?;
            at += bytes.len() as u64;
        }
        let noise = engine.nodes.seal().envelope.noise_behind(at, SECTOR_BYTES);
        if !noise.is_empty() {
            engine.storage().write_at(FileId::Data, at, &noise)?;
        }
        Ok(())
    };
    match copy() {
        Ok(()) => Ok(ValueRef { offset: extent.offset, ..*old }),
        Err(error) => {
            engine.space.lock().withdraw(extent);
            Err(error)
        }
    }
}

impl Slot<'_> {
    /// The extent, if the value has one of its own.
    pub(crate) fn extent(&self) -> Option<ValueRef> {
        if let Slot::Extent(value) = self { Some(*value) } else { None }
    }
}
