//! Append-only memory for the entries of a memtable, and the arrays of handles that its nodes keep into that memory.
//!
//! The only module of this layer with `unsafe` code. What it keeps true, and what that code rests on:
//!
//! 1. A chunk is neither moved nor freed while its [`Arena`] lives, and belongs to one arena, or to none while it waits in
//!    a [`ChunkPool`].
//! 2. [`State::reserve`] runs under the arena's lock and gives out every byte of a chunk at most once, so whoever got a
//!    range may write it without further ado, also while other threads reserve and write theirs.
//! 3. A record is complete before a [`Handle`] to it exists and is never written again. A handle reaches another thread
//!    only inside a [`Records`], through whatever made that send safe, so the record is visible there too.
//! 4. A handle is private to this module and lives in nothing but a [`Records`], next to a counted reference to the
//!    arena it points into. It goes from one `Records` to another only after both are seen to share that arena.
//!    Everything read through a handle is borrowed from its `Records`. So no code outside this module can hold a record
//!    longer than its memory, or read it through another arena.
#![allow(unsafe_code)]

use crate::codec::slot::{Slot, ValueRef};
use crate::env::sync::Mutex;
use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Size of an arena's first chunk; each next one is twice as large, up to [`CHUNK_MAX_BYTES`].
const CHUNK_MIN_BYTES: usize = 4 << 10;
pub(crate) const CHUNK_MAX_BYTES: usize = 256 << 10;

/// Places in a [`Records`].
pub(super) const CAPACITY: usize = 64;

/// A key, what it maps to, and the sequence of the commit that said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub key: &'a [u8],
    pub slot: Slot<'a>,
    pub sequence: u64,
}

/// Chunks of arenas that are gone, for those to come: memory that the system has to give anew has to be cleared by it, and
/// that costs more than to fill it.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    free: Mutex<Vec<Chunk>>,
    chunks_max: AtomicUsize,
}

impl ChunkPool {
    /// A pool that keeps at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), chunks_max: AtomicUsize::new(bytes_max / CHUNK_MAX_BYTES) }
    }

    #[cfg(feature = "std")]
    /// Keeps at most so many bytes from now on, and gives back what is more.
    pub(crate) fn keep(&self, bytes_max: usize) {
        let chunks_max = bytes_max / CHUNK_MAX_BYTES;
        let mut free = self.free.lock();
        self.chunks_max.store(chunks_max, Ordering::Relaxed);
        free.truncate(chunks_max);
    }

    #[cfg(feature = "std")]
    /// Gives back what no arena has.
    pub(crate) fn trim(&self) {
        self.free.lock().clear();
    }

    fn take(&self) -> Option<Chunk> {
        self.free.lock().pop()
    }

    fn give(&self, chunks: impl Iterator<Item = Chunk>) {
        let mut free = self.free.lock();
        let room = self.chunks_max.load(Ordering::Relaxed).saturating_sub(free.len());
        free.extend(chunks.filter(|chunk| chunk.layout.size() == CHUNK_MAX_BYTES).take(room));
    }
}

/// Memory that only grows, freed as a whole when the last [`Records`] over it goes.
#[derive(Debug)]
pub(super) struct Arena {
    state: Mutex<State>,
    pool: Option<Arc<ChunkPool>>,
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.give(self.state.lock().chunks.drain(..));
        }
    }
}

impl Arena {
    /// An arena that holds no memory yet, and takes what it needs from `pool` as long as that has any.
    pub(super) fn new(pool: Option<Arc<ChunkPool>>) -> Self {
        Self {
            state: Mutex::new(State {
                chunks: Vec::new(),
                free: NonNull::dangling(),
                left: 0,
                chunk_bytes: CHUNK_MIN_BYTES,
                taken: 0,
            }),
            pool,
        }
    }

    /// Memory in use, in bytes; as much as that again, and at most 256 KiB, may be held for what comes next.
    pub(super) fn bytes(&self) -> usize {
        let state = self.state.lock();
        state.taken - state.left
    }

    /// Copies an entry into the arena.
    fn append(&self, entry: &Entry<'_>) -> Handle {
        let (kind, value_len) = match entry.slot {
            Slot::Inline(value) => (Kind::Inline, value.len()),
            Slot::Extent(_) => (Kind::Extent, size_of::<ValueRef>()),
            Slot::Tombstone => (Kind::Tombstone, 0),
        };
        // The layers above limit keys to 64 KiB and values to what fits the memory budget; a record must not lie all the same.
        assert!(
            entry.key.len() <= Header::KEY_LEN_MAX && u32::try_from(value_len).is_ok(),
            "entry too large for a memtable"
        );
        let header = Header {
            sequence: entry.sequence,
            value_len: value_len as u32,
            key_len_and_kind: entry.key.len() as u32 | (kind as u32) << Header::KIND_SHIFT,
        };
        let len = value_len
            .checked_add(size_of::<Header>() + entry.key.len())
            .and_then(|len| len.checked_next_multiple_of(align_of::<Header>()));
        let at = self.state.lock().reserve(len.unwrap_or(usize::MAX), self.pool.as_deref()).cast::<Header>();
        // SAFETY: `reserve` gave us `len` bytes, aligned for a header, that nobody else reads or writes (2). Header, key and
        // value fit them by the sum above. The sources are borrowed slices, so they cannot overlap memory reserved just now.
        unsafe {
            at.write(header);
            let key = at.add(1).cast::<u8>();
            key.copy_from_nonoverlapping(NonNull::from(entry.key).cast(), entry.key.len());
            let value = key.add(entry.key.len());
            match entry.slot {
                Slot::Inline(bytes) => value.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()),
                Slot::Extent(reference) => value.cast::<ValueRef>().write_unaligned(reference),
                Slot::Tombstone => {}
            }
        }
        Handle(at)
    }
}

/// Up to [`CAPACITY`] entries of one arena, in the order their owner gives them. Copying one copies handles, not entries.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Records {
    arena: Arc<Arena>,
    len: usize,
    /// Those from `len` on point to [`VACANT`].
    handles: [Handle; CAPACITY],
}

impl Records {
    /// No entries yet, with room in `arena`.
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        Self { arena, len: 0, handles: [Handle::vacant(); CAPACITY] }
    }

    /// No entries yet, in the same arena as `self`.
    pub(super) fn sibling(&self) -> Self {
        Self::new(Arc::clone(&self.arena))
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The entry at `at`; an empty one from `len` on.
    #[inline]
    pub(super) fn entry(&self, at: usize) -> Entry<'_> {
        // SAFETY: `self` holds the arena, and lends it for as long as the entry is borrowed (4).
        unsafe { self.handles[at].entry() }
    }

    /// The key of the entry at `at`; an empty one from `len` on.
    #[inline]
    pub(super) fn key(&self, at: usize) -> &[u8] {
        // SAFETY: as in `entry`.
        unsafe { self.handles[at].key() }
    }

    /// Stores a copy of `entry` and puts it at `at`, before what is there. There must be room for it.
    pub(super) fn insert(&mut self, at: usize, entry: &Entry<'_>) {
        let handle = self.arena.append(entry);
        self.insert_handle(at, handle);
    }

    /// Puts the entry that is at `from` in `other` also at `at` here. Both must be of one arena, and there must be room.
    pub(super) fn insert_shared(&mut self, at: usize, other: &Self, from: usize) {
        assert!(Arc::ptr_eq(&self.arena, &other.arena), "records of two arenas");
        self.insert_handle(at, other.handles[from]);
    }

    /// Stores a copy of `entry` in the place of the one at `at`.
    pub(super) fn replace(&mut self, at: usize, entry: &Entry<'_>) {
        self.handles[..self.len][at] = self.arena.append(entry);
    }

    /// Moves the entries from `at` on into a new array.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let mut right = self.sibling();
        right.len = self.len - at;
        right.handles[..right.len].copy_from_slice(&self.handles[at..self.len]);
        self.handles[at..self.len].fill(Handle::vacant());
        self.len = at;
        right
    }

    /// Takes out the entries of `range`.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        let len = self.len - range.len();
        self.handles.copy_within(range.end..self.len, range.start);
        self.handles[len..self.len].fill(Handle::vacant());
        self.len = len;
    }

    fn insert_handle(&mut self, at: usize, handle: Handle) {
        self.handles[..=self.len].copy_within(at..self.len, at + 1);
        self.handles[at] = handle;
        self.len += 1;
    }
}

/// Thin pointer to a record: a [`Header`], the key's bytes, the value's bytes.
#[derive(Clone, Copy, Debug)]
struct Handle(NonNull<Header>);

// SAFETY: what a handle points to never changes (3), so any thread may read it. Whether a `Records` may go to another
// thread is decided by its `Arc<Arena>`: yes where the arena's lock is a real one (`std`), no where it is a cell.
unsafe impl Send for Handle {}
// SAFETY: as for `Send`.
unsafe impl Sync for Handle {}

impl Handle {
    fn vacant() -> Self {
        Self(NonNull::from(&VACANT))
    }

    /// # Safety
    /// The record's arena lives for `'a`.
    #[inline]
    unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the record is complete (3) and alive (the caller); its key follows the header.
        unsafe {
            let header = self.0.as_ref();
            core::slice::from_raw_parts(self.0.add(1).cast::<u8>().as_ptr(), header.key_len())
        }
    }

    /// # Safety
    /// The record's arena lives for `'a`.
    #[inline]
    unsafe fn entry<'a>(self) -> Entry<'a> {
        // SAFETY: the record is complete (3) and alive (the caller); the value follows the key and is what the kind says.
        unsafe {
            let header = self.0.as_ref();
            let key = self.key();
            let value = self.0.add(1).cast::<u8>().add(key.len());
            let slot = match header.key_len_and_kind >> Header::KIND_SHIFT {
                kind if kind == Kind::Inline as u32 => {
                    Slot::Inline(core::slice::from_raw_parts(value.as_ptr(), header.value_len as usize))
                }
                kind if kind == Kind::Extent as u32 => Slot::Extent(value.cast::<ValueRef>().read_unaligned()),
                _ => Slot::Tombstone,
            };
            Entry { key, slot, sequence: header.sequence }
        }
    }
}

/// How a record begins.
#[derive(Debug)]
#[repr(C, align(8))]
struct Header {
    sequence: u64,
    value_len: u32,
    /// The upper two bits are the [`Kind`].
    key_len_and_kind: u32,
}

impl Header {
    const KIND_SHIFT: u32 = 30;
    const KEY_LEN_MAX: usize = (1 << Self::KIND_SHIFT) - 1;

    #[inline]
    fn key_len(&self) -> usize {
        self.key_len_and_kind as usize & Self::KEY_LEN_MAX
    }
}

/// Which [`Slot`] a record holds.
#[derive(Clone, Copy)]
enum Kind {
    Inline,
    Extent,
    Tombstone,
}

/// What the unused places of a [`Records`] point to, so that every handle can be read.
static VACANT: Header =
    Header { sequence: 0, value_len: 0, key_len_and_kind: (Kind::Tombstone as u32) << Header::KIND_SHIFT };

/// The chunks and what is left of the one in use.
#[derive(Debug)]
struct State {
    chunks: Vec<Chunk>,
    /// The first free byte of the chunk in use.
    free: NonNull<u8>,
    /// Bytes from `free` to that chunk's end.
    left: usize,
    /// Size of the next chunk.
    chunk_bytes: usize,
    /// Sizes of all chunks, less what was left over at their ends.
    taken: usize,
}

// SAFETY: the pointers are to memory that the state owns.
unsafe impl Send for State {}

impl State {
    /// Takes `len` bytes, a multiple of a header's alignment, and aligned to it.
    fn reserve(&mut self, len: usize, pool: Option<&ChunkPool>) -> NonNull<u8> {
        if len > self.left {
            if len > self.chunk_bytes / 4 {
                // A chunk of its own leaves the one in use to those that fit.
                return self.add_chunk(Chunk::new(len));
            }
            let chunk = pool.and_then(ChunkPool::take).unwrap_or_else(|| Chunk::new(self.chunk_bytes));
            self.taken -= self.left;
            self.left = chunk.layout.size();
            self.chunk_bytes = (self.left * 2).min(CHUNK_MAX_BYTES);
            self.free = self.add_chunk(chunk);
        }
        let at = self.free;
        // SAFETY: `len` bytes are left in the chunk that `free` points into.
        self.free = unsafe { at.add(len) };
        self.left -= len;
        at
    }

    fn add_chunk(&mut self, chunk: Chunk) -> NonNull<u8> {
        let start = chunk.start;
        self.taken += chunk.layout.size();
        self.chunks.push(chunk);
        start
    }
}

/// One allocation.
#[derive(Debug)]
struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns what it points to.
unsafe impl Send for Chunk {}

impl Chunk {
    fn new(len: usize) -> Self {
        let Ok(layout) = Layout::from_size_align(len, align_of::<Header>()) else {
            panic!("an entry does not fit the address space");
        };
        // SAFETY: no record, and so no request, is empty.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout);
        };
        Self { start, layout }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, owned by this chunk alone.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn inline<'a>(key: &'a [u8], value: &'a [u8], sequence: u64) -> Entry<'a> {
        Entry { key, slot: Slot::Inline(value), sequence }
    }

    #[test]
    fn every_kind_of_record_reads_as_it_was_written() {
        let mut records = Records::new(Arc::new(Arena::new(None)));
        let reference = ValueRef { offset: u64::MAX, len: 1 << 40, checksum: crate::codec::checksum::Digest::Crc32(7) };
        let entries = [
            inline(b"", b"", 0),
            inline(b"key", b"value", u64::MAX),
            Entry { key: b"odd", slot: Slot::Extent(reference), sequence: 3 },
            Entry { key: b"", slot: Slot::Extent(reference), sequence: 4 },
            Entry { key: b"gone", slot: Slot::Tombstone, sequence: 5 },
        ];
        for entry in &entries {
            records.insert(records.len(), entry);
        }
        for (at, entry) in entries.iter().enumerate() {
            assert_eq!((records.entry(at), records.key(at)), (*entry, entry.key));
        }
        assert_eq!(records.entry(entries.len()), Entry { key: b"", slot: Slot::Tombstone, sequence: 0 });
    }

    #[test]
    fn records_outlive_chunks_that_fill_up_and_the_array_that_made_them() {
        let mut first = Records::new(Arc::new(Arena::new(None)));
        let mut copies = Vec::new();
        for round in 0..200u8 {
            // Some fit the chunk in use, some begin the next, some get their own.
            let value = vec![round; usize::from(round) * 37 + if round % 50 == 0 { 200_000 } else { 0 }];
            first.remove(0..first.len());
            first.insert(0, &inline(&[round], &value, u64::from(round)));
            copies.push((first.clone(), value));
        }
        drop(first);
        for (at, (records, value)) in copies.iter().enumerate() {
            assert_eq!(records.entry(0), inline(&[at as u8], value, at as u64));
        }
    }

    #[test]
    fn chunks_grow_and_large_records_waste_nothing() {
        let held = |arena: &Arena| arena.state.lock().chunks.iter().map(|chunk| chunk.layout.size()).sum::<usize>();
        let arena = Arc::new(Arena::new(None));
        let mut records = Records::new(Arc::clone(&arena));
        assert_eq!((arena.bytes(), held(&arena)), (0, 0));
        records.insert(0, &inline(b"a", b"", 0));
        let small = size_of::<Header>() + 8;
        assert_eq!((arena.bytes(), held(&arena)), (small, CHUNK_MIN_BYTES));
        records.insert(0, &inline(b"b", &vec![0; 1 << 20], 0));
        let large = (1 << 20) + size_of::<Header>() + 8;
        assert_eq!((arena.bytes(), held(&arena)), (small + large, CHUNK_MIN_BYTES + large));
        records.insert(0, &inline(b"c", b"", 0));
        assert_eq!((arena.bytes(), held(&arena)), (2 * small + large, CHUNK_MIN_BYTES + large));
        for round in 0..10_000 {
            records.replace(0, &inline(b"d", &[4; 300], round));
        }
        let used = 2 * small + large + 10_000 * 320;
        assert!((used..used + used / 50).contains(&arena.bytes()), "{} for {used}", arena.bytes());
        assert!(held(&arena) <= arena.bytes() + CHUNK_MAX_BYTES + used / 50);
        assert_eq!(records.entry(1), inline(b"b", &vec![0; 1 << 20], 0));
    }

    #[test]
    fn a_pool_gives_the_chunks_of_one_arena_to_the_next_and_keeps_no_more_than_it_may() {
        let pool = Arc::new(ChunkPool::new(2 * CHUNK_MAX_BYTES));
        let fill = |value: u8| {
            let mut records = Records::new(Arc::new(Arena::new(Some(Arc::clone(&pool)))));
            for at in 0..CAPACITY as u8 {
                records.insert(usize::from(at), &inline(&[at], &[value; 900], 0));
            }
            // Until three chunks of full size are full.
            for _ in 0..1000 {
                records.replace(0, &inline(&[0], &[value; 900], 0));
            }
            records
        };
        let is_whole = |records: &Records, value| {
            (0..CAPACITY).all(|at| records.entry(at) == inline(&[at as u8], &[value; 900], 0))
        };
        let (first, second) = (fill(1), fill(2));
        assert!(is_whole(&first, 1) && is_whole(&second, 2));
        drop(first);
        assert_eq!(pool.free.lock().len(), 2);
        let third = fill(3);
        assert_eq!(pool.free.lock().len(), 0);
        assert!(is_whole(&second, 2) && is_whole(&third, 3));
    }

    #[test]
    fn arrays_are_split_cut_and_shared() {
        let mut left = Records::new(Arc::new(Arena::new(None)));
        for byte in 0..CAPACITY as u8 {
            left.insert(left.len(), &inline(&[byte], b"", 0));
        }
        let mut right = left.split_off(40);
        assert_eq!((left.len(), right.len()), (40, CAPACITY - 40));
        left.remove(1..39);
        right.insert_shared(0, &left, 1);
        assert_eq!((left.key(0), left.key(1), left.key(2)), (&[0][..], &[39][..], &[][..]));
        drop(left);
        assert_eq!((right.key(0), right.key(1), right.key(CAPACITY - 40)), (&[39][..], &[40][..], &[63][..]));
    }

    #[test]
    #[should_panic = "records of two arenas"]
    fn records_of_another_arena_are_refused() {
        let mut records = Records::new(Arc::new(Arena::new(None)));
        let mut other = Records::new(Arc::new(Arena::new(None)));
        other.insert(0, &inline(b"a", b"", 0));
        records.insert_shared(0, &other, 0);
    }

    #[cfg(feature = "std")]
    #[test]
    fn threads_append_to_one_arena() {
        let arena = Arc::new(Arena::new(None));
        let fill = |thread: u8| {
            let mut all = Vec::new();
            for round in 0..50u8 {
                let mut records = Records::new(Arc::clone(&arena));
                for at in 0..CAPACITY as u8 {
                    records.insert(usize::from(at), &inline(&[thread, round, at], &vec![at; usize::from(round)], 9));
                }
                all.push(records);
            }
            all
        };
        let filled = std::thread::scope(|scope| {
            let threads = [1, 2, 3].map(|thread| (thread, scope.spawn(move || fill(thread))));
            threads.map(|(thread, handle)| (thread, handle.join().unwrap()))
        });
        drop(arena);
        for (thread, all) in &filled {
            for (round, records) in all.iter().enumerate() {
                for at in 0..CAPACITY {
                    let expected = (&[*thread, round as u8, at as u8][..], &vec![at as u8; round][..]);
                    assert_eq!(records.entry(at), inline(expected.0, expected.1, 9));
                }
            }
        }
    }
}
