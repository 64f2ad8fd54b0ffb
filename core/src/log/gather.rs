//! Every whole commit that is left of a damaged log: for salvage, which takes what lies behind damage too.
//!
//! A frame proves itself, so what follows a damaged one is found again at the next multiple of 8. What is needed is the
//! generation of each segment: from its header, from a checkpoint record, or from the link that leads to it. A commit counts
//! when its frames follow each other from the first to the last, each naming the one before.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Kind, Link, Place};
use super::operation::{Operations, Preamble};
use super::position::{LogPosition, SealedSegment};
use super::scan::{Search, guess_layout};
#[cfg(feature = "encryption")]
use super::sealed::open_payload_of_any;
use super::segment::{
    FILE_HEADER_BYTES, FileHeader, FileState, Layout, SECTOR_BYTES, SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES,
    SegmentHeader,
};
use super::window::Window;
use crate::codec::checksum::crc32;
use crate::codec::cipher::Envelope;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};

/// Longer commits are not put together: no memtable holds one.
const COMMIT_BYTES_MAX: usize = 1 << 30;

/// Where to look, and from when on.
pub(crate) struct Gather<'a> {
    pub storage: &'a dyn Storage,
    pub database_id: [u8; 16],
    pub envelope: &'a Envelope,
    /// Incarnations that are known to have ended, and with which commit.
    #[cfg(feature = "encryption")]
    pub left: &'a [(u64, u64)],
    /// Bytes of a segment, where something else than the log says it.
    pub segment_bytes: Option<u32>,
    /// What the checkpoint record says of the log; without it every segment is taken.
    pub record: Option<(&'a [SealedSegment], LogPosition)>,
    /// Commits up to this one are in the trees.
    pub sequence: u64,
}

/// What was found beside the commits.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Commits given to the visitor.
    pub commits: u64,
    /// Commits that must have been there.
    pub missing: Vec<RangeInclusive<u64>>,
    /// The last commit found, or known to be missing; if there is none, the last in the trees.
    pub last_sequence: u64,
    /// The last commit given to the visitor, and its time.
    pub last: Option<(u64, u64)>,
}

impl Gather<'_> {
    /// Gives `visit` each commit, oldest first: its sequence and its operations. Writes nothing.
    pub(crate) fn run(&self, visit: &mut dyn FnMut(u64, Operations<'_>) -> Result<()>) -> Result<Gathered> {
        let file_bytes = self.storage.len(FileId::Log)?;
        let mut found = Gathered::default();
        if file_bytes == 0 {
            found.last_sequence = self.sequence;
            return Ok(found);
        }
        let mut window = Window::new(file_bytes);
        let layout = self.layout(&mut window, file_bytes)?;
        let segments = self.segments(&mut window, layout, file_bytes)?;
        let envelope = self.envelope;
        let mut assembly = Assembly {
            envelope,
            #[cfg(feature = "encryption")]
            left: self.left,
            sequence: self.sequence,
            durable: 0,
            pending: None,
            found,
        };
        for (generation, part) in segments {
            self.read(&mut window, layout, generation, part, &mut assembly, visit)?;
        }
        assembly.tell_missing_up_to(assembly.durable);
        if self.record.is_none() {
            // Nobody knows where the log began to be needed.
            assembly.found.missing.clear();
        }
        assembly.found.last_sequence = assembly.sequence;
        Ok(assembly.found)
    }

    fn layout(&self, window: &mut Window, file_bytes: u64) -> Result<Layout> {
        let told = self.segment_bytes.filter(|&bytes| bytes >= SEGMENT_BYTES_MIN);
        match FileHeader::read(self.storage, &self.database_id, file_bytes) {
            Ok(FileState::Valid(layout)) => return Ok(layout),
            Err(error) if error.not_resident().is_some() => return Err(error),
            _ => {}
        }
        match told {
            Some(bytes) => Ok(Layout { segment_bytes: u64::from(bytes) }),
            None => guess_layout(window, self.storage, &self.database_id),
        }
    }

    /// The segments to read, by generation: which bytes of which region.
    fn segments(&self, window: &mut Window, layout: Layout, file_bytes: u64) -> Result<BTreeMap<u64, Part>> {
        let search = Search { storage: self.storage, database_id: &self.database_id, layout };
        let mut known: BTreeMap<u64, u32> = BTreeMap::new();
        let mut region_of = |generation: u64, region: u32| {
            known.entry(generation).or_insert(region);
        };
        if let Some((sealed, log)) = self.record {
            sealed.iter().for_each(|segment| region_of(segment.start.generation, segment.start.region));
            region_of(log.generation, log.region);
        }
        for region in 0..layout.regions(file_bytes) {
            if let Some((header, _)) = readable(search.segment_header(region, file_bytes))?.flatten() {
                region_of(header.generation, region);
            }
        }
        // A segment whose header is damaged is still led to by the link at the end of the one before.
        let mut look_at: Vec<(u64, u32)> = known.iter().map(|(&generation, &region)| (generation, region)).collect();
        while let Some((generation, region)) = look_at.pop() {
            let link = self.last_link(window, layout, generation, region)?;
            if let Some(link) =
                link.filter(|link| link.generation > generation && !known.contains_key(&link.generation))
                && layout.region_start(link.region) < file_bytes
            {
                known.insert(link.generation, link.region);
                look_at.push((link.generation, link.region));
            }
        }
        Ok(known
            .into_iter()
            .filter_map(|(generation, region)| Some((generation, self.part(layout, generation, region)?)))
            .collect())
    }

    /// Which part of a segment counts: what the trees hold already, and what a recovery has cut off, do not.
    fn part(&self, layout: Layout, generation: u64, region: u32) -> Option<Part> {
        let frames = layout.region_start(region).saturating_add(SEGMENT_HEADER_BYTES);
        let end = layout.region_end(region);
        let Some((sealed, log)) = self.record else { return Some(Part { region, from: frames, end }) };
        if let Some(segment) = sealed.iter().find(|segment| segment.start.generation == generation) {
            return Some(Part { region, from: segment.start.offset.max(frames), end: segment.end_offset.min(end) });
        }
        let from = if generation == log.generation { log.offset.max(frames) } else { frames };
        (generation >= log.generation).then_some(Part { region, from, end })
    }

    fn last_link(&self, window: &mut Window, layout: Layout, generation: u64, region: u32) -> Result<Option<Link>> {
        let part = Part {
            region,
            from: layout.region_start(region).saturating_add(SEGMENT_HEADER_BYTES),
            end: layout.region_end(region),
        };
        let mut link = None;
        self.frames(window, generation, part, &mut |frame| {
            if frame.header.kind == Kind::Link {
                link = frame.body.and_then(Link::decode);
            }
            Ok(())
        })?;
        Ok(link)
    }

    fn read(
        &self,
        window: &mut Window,
        layout: Layout,
        generation: u64,
        part: Part,
        assembly: &mut Assembly<'_>,
        visit: &mut dyn FnMut(u64, Operations<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.record.is_none() {
            // Another life may have given the numbers again that this one follows.
            assembly.sequence = assembly.sequence.min(self.sequence);
        }
        let search = Search { storage: self.storage, database_id: &self.database_id, layout };
        let file_bytes = window.file_bytes();
        let header = readable(search.segment_header(part.region, file_bytes))?.flatten();
        let leads_here = match (&assembly.pending, header) {
            (Some(pending), Some((header, _))) => header.generation == generation && header.previous == pending.chain,
            _ => false,
        };
        match (&mut assembly.pending, header) {
            (Some(pending), Some((_, checksum))) if leads_here => pending.chain = checksum,
            (pending, _) => *pending = None,
        }
        self.frames(window, generation, part, &mut |frame| assembly.take(frame, visit))
    }

    /// All frames whose headers verify, in order; `None` for the body of one whose body does not.
    fn frames(
        &self,
        window: &mut Window,
        generation: u64,
        part: Part,
        each: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut offset = part.from.next_multiple_of(8);
        while offset < part.end {
            let bytes = match readable(window.get(self.storage, offset, FRAME_HEADER_BYTES, part.end))? {
                Some(Some(bytes)) => bytes,
                Some(None) => break,
                // A sector that cannot be read: go on behind it.
                None => {
                    offset = (offset + 1).next_multiple_of(4096);
                    continue;
                }
            };
            let place = Place { database_id: &self.database_id, generation, offset };
            let Some((header, checksum)) = FrameHeader::verify(place, bytes) else {
                offset += 8;
                continue;
            };
            let whole = FRAME_HEADER_BYTES + header.body_len as usize;
            let body = readable(window.get(self.storage, offset, whole, part.end))?.flatten();
            let body = body.and_then(|bytes| bytes.get(FRAME_HEADER_BYTES..));
            let body = body.filter(|body| crc32(&[body]) == header.body_checksum);
            each(Frame { header, checksum, body, offset })?;
            offset = offset.saturating_add(header.frame_bytes());
        }
        Ok(())
    }
}

/// The bytes of a region that hold frames to be looked at.
#[derive(Clone, Copy, Debug)]
struct Part {
    region: u32,
    from: u64,
    end: u64,
}

struct Frame<'b> {
    header: FrameHeader,
    checksum: u32,
    body: Option<&'b [u8]>,
    offset: u64,
}

/// A commit whose last frame has not come yet.
struct Pending {
    sequence: u64,
    body: Vec<u8>,
    chain: u32,
}

struct Assembly<'a> {
    #[cfg_attr(not(feature = "encryption"), allow(dead_code, reason = "nothing is sealed"))]
    envelope: &'a Envelope,
    #[cfg(feature = "encryption")]
    left: &'a [(u64, u64)],
    /// Of the last commit given.
    sequence: u64,
    durable: u64,
    pending: Option<Pending>,
    found: Gathered,
}

impl Assembly<'_> {
    fn take(&mut self, frame: Frame<'_>, visit: &mut dyn FnMut(u64, Operations<'_>) -> Result<()>) -> Result<()> {
        let header = frame.header;
        self.durable = self.durable.max(header.durable);
        match header.kind {
            Kind::Commit => {
                self.pending = frame.body.map(|body| Pending {
                    sequence: header.sequence,
                    body: body.to_vec(),
                    chain: frame.checksum,
                });
            }
            Kind::CommitContinued => {
                let follows = |pending: &Pending| {
                    pending.sequence == header.sequence
                        && pending.chain == header.previous
                        && pending.body.len() < COMMIT_BYTES_MAX
                };
                self.pending = match (self.pending.take().filter(follows), frame.body) {
                    (Some(mut pending), Some(body)) => {
                        pending.body.extend_from_slice(body);
                        pending.chain = frame.checksum;
                        Some(pending)
                    }
                    _ => None,
                };
            }
            Kind::Link => {
                if let Some(pending) = &mut self.pending
                    && pending.chain == header.previous
                {
                    pending.chain = frame.checksum;
                }
            }
            Kind::Mark => {}
        }
        if !header.last {
            return Ok(());
        }
        match self.pending.take() {
            Some(pending) if pending.sequence > self.sequence => self.give(&pending, frame.offset, visit),
            _ => Ok(()),
        }
    }

    fn give(
        &mut self,
        pending: &Pending,
        offset: u64,
        visit: &mut dyn FnMut(u64, Operations<'_>) -> Result<()>,
    ) -> Result<()> {
        #[cfg(feature = "encryption")]
        let opened = match self.envelope {
            Envelope::Sealed(cipher) => match open_payload_of_any(cipher, pending.sequence, &pending.body) {
                None => return Ok(()),
                // Taken back by a power loss, and put in again by somebody.
                Some((by, _)) if self.left.iter().any(|&(one, left_at)| one == by && pending.sequence > left_at) => {
                    return Ok(());
                }
                Some((_, opened)) => Some(opened),
            },
            Envelope::Plain => None,
        };
        #[cfg(not(feature = "encryption"))]
        let opened: Option<Vec<u8>> = None;
        let payload = opened.as_deref().unwrap_or(&pending.body);
        let Some((preamble, operations)) = Preamble::split(payload) else { return Ok(()) };
        let operations = Operations::new(operations, pending.sequence, offset);
        if operations.clone().any(|operation| operation.is_err()) {
            return Ok(());
        }
        self.tell_missing_up_to(pending.sequence - 1);
        self.sequence = pending.sequence;
        self.found.commits += 1;
        self.found.last = Some((pending.sequence, preamble.time_ms));
        visit(pending.sequence, operations)
    }

    fn tell_missing_up_to(&mut self, sequence: u64) {
        if sequence > self.sequence {
            self.found.missing.push(self.sequence + 1..=sequence);
            self.sequence = sequence;
        }
    }
}

/// `None` for bytes that the storage cannot give.
fn readable<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.not_resident().is_some() => Err(error),
        Err(Error::Storage(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The id of the database that the log file belongs to, as its header or any of its segments says.
pub(crate) fn database_of_log(storage: &dyn Storage) -> Result<Option<[u8; 16]>> {
    let file_bytes = storage.len(FileId::Log)?;
    let mut window = Window::new(file_bytes);
    if let Some(Some(bytes)) = readable(window.get(storage, 0, 64, u64::MAX))?
        && let Some(id) = FileHeader::database_of(bytes)
    {
        return Ok(Some(id));
    }
    let mut offset = FILE_HEADER_BYTES;
    while offset < file_bytes {
        if let Some(Some(bytes)) = readable(window.get(storage, offset, SEGMENT_HEADER_BYTES as usize, u64::MAX))?
            && let Some(id) = SegmentHeader::database_of(bytes)
        {
            return Ok(Some(id));
        }
        offset += SECTOR_BYTES;
    }
    Ok(None)
}
