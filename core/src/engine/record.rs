//! The checkpoint record: everything a superblock refers to. Little-endian; written to an extent of its own.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::archive::ArchiveRecord;
use super::named::{NAMED_MAX, Named};
use super::version::{Run, RunLayer};
use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::{Checksum, Digest, crc32};
use crate::codec::cipher::Proof;
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::{KnownSegment, LogPosition, SealedSegment};
use crate::space::{Extent, PendingFree};
use crate::tree::{NodeRef, Root};

const RECORD_VERSION: u16 = 0;

/// More incarnations than this are not remembered.
pub(crate) const ANCESTORS_MAX: usize = 256;

/// Bits of what is on: an archive follows; the database is frozen.
const ARCHIVED: u8 = 1;
const FROZEN: u8 = 2;

/// An incarnation that history went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ancestor {
    pub incarnation: u64,
    /// The last commit that its successor has of it.
    pub left_at: u64,
}

/// What a checkpoint makes durable beside nodes and values.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointRecord {
    /// The bottom layer.
    pub base: Option<Root>,
    /// Runs, newest first.
    pub runs: Vec<RunLayer>,
    /// Values in extents of their own that the trees refer to.
    pub values: u64,
    /// The id of the newest run.
    pub next_run_id: u64,
    /// The number that the nodes of the base's newest merge carry.
    pub base_age: u64,
    /// Parts of the log that a recovery cut and that are still to be replayed before `log`.
    pub sealed: Vec<SealedSegment>,
    /// Where the log goes on after this checkpoint's sequence.
    pub log: LogPosition,
    /// Segments of the log before all those that are for change feeds alone: with the others, every commit one after the
    /// other.
    pub kept: Vec<KnownSegment>,
    /// Incarnations before this one, oldest first, and the sequence at which each was left.
    pub ancestors: Vec<Ancestor>,
    /// Wall clock of the checkpoint's last commit.
    pub time_ms: u64,
    /// Sectors of the data file.
    pub sectors: u64,
    /// The archive of the log, where there is one.
    pub archive: Option<Box<ArchiveRecord>>,
    /// Nobody is to write.
    pub is_frozen: bool,
    /// The snapshots that have a name, oldest first.
    pub named: Vec<Arc<Named>>,
    /// The pages of the space map, in order: offset and what proves them.
    pub map_pages: Vec<(u64, Proof)>,
    /// Extents that wait to be reused.
    pub pending: Vec<PendingFree>,
}

impl CheckpointRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(RECORD_VERSION);
        put_layers(&mut out, self.base.as_ref(), &self.runs);
        out.put_u64(self.values);
        out.put_u64(self.next_run_id);
        out.put_u64(self.base_age);
        out.put_varint(self.sealed.len() as u64);
        for segment in &self.sealed {
            segment.encode(&mut out);
        }
        self.log.encode(&mut out);
        out.put_varint(self.kept.len() as u64);
        for segment in &self.kept {
            segment.encode(&mut out);
        }
        out.put_varint(self.ancestors.len() as u64);
        for ancestor in &self.ancestors {
            out.put_u64(ancestor.incarnation);
            out.put_u64(ancestor.left_at);
        }
        out.put_u64(self.time_ms);
        out.put_u64(self.sectors);
        out.put_u8((u8::from(self.archive.is_some()) * ARCHIVED) | (u8::from(self.is_frozen) * FROZEN));
        if let Some(archive) = &self.archive {
            archive.encode(&mut out);
        }
        out.put_varint(self.named.len() as u64);
        for named in &self.named {
            named.encode(&mut out);
        }
        let checksum = crc32(&[&out]);
        out.put_u32(checksum);
        out.put_varint(self.map_pages.len() as u64);
        for (offset, proof) in &self.map_pages {
            out.put_u64(*offset);
            proof.encode(&mut out);
        }
        out.put_varint(self.pending.len() as u64);
        for free in &self.pending {
            out.put_u64(free.extent.offset);
            out.put_u64(free.extent.len);
            out.put_u64(free.checkpoint);
            out.put_varint(free.until_archived);
        }
        out
    }

    /// Where reopening begins to read the log.
    pub(super) fn replay_start(&self) -> LogPosition {
        self.sealed.first().map_or(self.log, |segment| segment.start)
    }

    /// Reads a record whose checksum was verified; zeros fill its extent. `offset` is where it lies, for the error.
    pub(crate) fn decode(bytes: &[u8], offset: u64, checksum: Checksum) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        Self::decode_head(bytes, &mut reader, checksum)
            .and_then(|head| head.with_rest(&mut reader, checksum))
            .filter(|_| reader.take(reader.remaining()).is_some_and(|rest| rest.iter().all(|&byte| byte == 0)))
            .ok_or_else(|| Error::corrupt(FileId::Data, offset, "the checkpoint record is malformed"))
    }

    /// What stands before the checksum in the middle, which proves it where the rest of the record is damaged: all of it but
    /// the pages of the map and what waits to be reused.
    pub(crate) fn salvage(bytes: &[u8], checksum: Checksum) -> Option<Self> {
        Self::decode_head(bytes, &mut Reader::new(bytes), checksum)
    }

    /// Makes the checksum in the middle right.
    #[cfg(feature = "testing")]
    pub(super) fn reseal(bytes: &mut [u8], checksum: Checksum) {
        let mut reader = Reader::new(bytes);
        if Self::decode_fields(&mut reader, checksum).is_some() {
            let at = bytes.len() - reader.remaining();
            if let Some((covered, rest)) = bytes.split_at_mut_checked(at)
                && let Some(stored) = rest.first_chunk_mut::<4>()
            {
                *stored = crc32(&[covered]).to_le_bytes();
            }
        }
    }

    fn decode_head(bytes: &[u8], reader: &mut Reader<'_>, checksum: Checksum) -> Option<Self> {
        let head = Self::decode_fields(reader, checksum)?;
        let covered = bytes.get(..bytes.len() - reader.remaining())?;
        (reader.u32()? == crc32(&[covered])).then_some(head)
    }

    fn with_rest(self, reader: &mut Reader<'_>, checksum: Checksum) -> Option<Self> {
        Some(Self {
            map_pages: list(reader, |reader| Some((reader.u64()?, Proof::decode(reader, checksum)?)))?,
            pending: list(reader, |reader| {
                let extent = Extent { offset: reader.u64()?, len: reader.u64()? };
                let (checkpoint, until_archived) = (reader.u64()?, reader.varint()?);
                Some(PendingFree { extent, checkpoint, readable: 0..0, until_archived })
            })?,
            ..self
        })
    }

    fn decode_fields(reader: &mut Reader<'_>, checksum: Checksum) -> Option<Self> {
        if reader.u16()? != RECORD_VERSION {
            return None;
        }
        let (base, runs) = take_layers(reader, checksum)?;
        let flags;
        Some(Self {
            base,
            runs,
            values: reader.counter()?,
            next_run_id: reader.counter()?,
            base_age: reader.counter()?,
            sealed: list(reader, SealedSegment::decode)?,
            log: LogPosition::decode(reader)?,
            kept: list(reader, KnownSegment::decode)?,
            ancestors: list(reader, |reader| {
                Some(Ancestor { incarnation: reader.u64()?, left_at: reader.counter()? })
            })?,
            time_ms: reader.u64()?,
            sectors: reader.u64()?,
            archive: {
                flags = reader.u8().filter(|flags| flags & !(ARCHIVED | FROZEN) == 0)?;
                if flags & ARCHIVED != 0 { Some(ArchiveRecord::decode(reader)?) } else { None }
            },
            is_frozen: flags & FROZEN != 0,
            named: list(reader, |reader| Named::decode(reader, checksum).map(Arc::new))
                .filter(|named| named.len() <= NAMED_MAX)?,
            map_pages: Vec::new(),
            pending: Vec::new(),
        })
    }
}

/// A varint count followed by that many items. Memory grows with the bytes really there, not with the count claimed.
fn list<T>(reader: &mut Reader<'_>, mut item: impl FnMut(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let count = reader.varint()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(item(reader)?);
    }
    Some(items)
}

/// A base and the runs above it, newest first.
#[inline(always)]
pub(super) fn put_layers(out: &mut Vec<u8>, base: Option<&Root>, runs: &[RunLayer]) {
    put_root(out, base);
    out.put_varint(runs.len() as u64);
    for layer in runs {
        out.put_u64(layer.run.id);
        out.put_u64(*layer.run.sequences.start());
        out.put_u64(*layer.run.sequences.end());
        out.put_u8(layer.run.level);
        out.put_u64(layer.run.bytes);
        put_root(out, layer.run.points.as_ref());
        put_root(out, layer.run.intervals.as_ref());
        out.put_u8(u8::from(layer.merged_below.is_some()));
        out.put_prefixed(layer.merged_below.as_deref().unwrap_or(&[]));
    }
}

#[inline(always)]
pub(super) fn take_layers(reader: &mut Reader<'_>, checksum: Checksum) -> Option<(Option<Root>, Vec<RunLayer>)> {
    let base = take_root(reader, checksum)?;
    let runs = list(reader, |reader| {
        let (id, sequences) = (reader.counter()?, reader.counter()?..=reader.counter()?);
        let (level, bytes) = (reader.u8()?, reader.u64()?);
        let run = Run {
            id,
            sequences,
            level,
            bytes,
            points: take_root(reader, checksum)?,
            intervals: take_root(reader, checksum)?,
        };
        let bounded = reader.u8()? != 0;
        let merged_below = reader.prefixed()?;
        Some(RunLayer { run: Arc::new(run), merged_below: bounded.then(|| Arc::from(merged_below)) })
    })?;
    Some((base, runs))
}

fn put_root(out: &mut Vec<u8>, root: Option<&Root>) {
    match root {
        None => out.put_u8(0),
        Some(root) => {
            out.put_u8(1);
            out.put_u64(root.node.offset);
            out.put_u32(root.node.len);
            root.node.checksum.encode(out);
            out.put_u8(root.height);
            out.put_u64(root.entries);
        }
    }
}

fn take_root(reader: &mut Reader<'_>, checksum: Checksum) -> Option<Option<Root>> {
    Some(match reader.u8()? {
        0 => None,
        1 => Some(Root {
            node: NodeRef { offset: reader.u64()?, len: reader.u32()?, checksum: Digest::decode(reader, checksum)? },
            height: reader.u8()?,
            entries: reader.u64()?,
        }),
        _ => return None,
    })
}
