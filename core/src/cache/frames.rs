//! The memory of nodes: blocks of a head and bytes in one piece, shared by counting, in large slabs where they lie
//! closely and the system can use huge pages.
//!
//! # Why the unsafe code is sound
//!
//! **Shape.** A block is a [`Header`], then `len` bytes, then, at the next multiple of a pointer's alignment, `links`
//! pointers. Its memory is either a *frame* of a pool, at least that long, or *loose*: an allocation of exactly that size.
//! [`Block::shape`] computes both from two numbers that never change while the block lives.
//!
//! **Lifetime.** `count` is the number of [`Block`]s that name it. Whoever takes it to zero drops the head and gives the
//! memory back; the release in each decrement and the acquiring load after the last put all uses before that. As long as it is above zero
//! nothing but atomics is written, so shared references to head and bytes are good.
//!
//! **Frames stay memory.** A pool's chunks are freed when the pool is dropped, and each block in a frame holds a count of
//! its pool. `identity` of a frame is written as an atomic from the first use of the frame on, never otherwise. So a
//! pointer to, or the number of, a frame that was ever in use may be asked for its identity as long as the pool lives, whatever has become
//! of the frame ([`Remembered`], [`Pool::frame`]). Before `identity` is set the block is complete; it is cleared before the block ends.
//!
//! **Threads.** Blocks go between threads like an `Arc`, where the pool's lock allows it: without `std` it does not.
#![allow(unsafe_code)]

use alloc::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::cmp::Reverse;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::env::sync::Mutex;

/// Sizes of frames. Those of the first two are for leaves and for inner nodes of 4 KiB, heads and links included.
const FRAME_BYTES: [usize; 4] = [4224, 5440, 8320, 16512];
/// Chunks of this size are aligned to it, so that one huge page holds each.
const HUGE_PAGE_BYTES: usize = 2 << 20;
const CHUNK_BYTES_MIN: usize = 64 << 10;
/// A chunk has fewer frames than two to this.
const CHUNK_SHIFT: u32 = 9;
/// A chunk is at most this part of the budget.
const CHUNK_PART: usize = 16;
pub(super) const LINE_BYTES: usize = 64;

/// What stands before a block's bytes. What a reader needs comes first.
#[repr(C, align(64))]
pub(super) struct Header<H> {
    /// Used by `residents`: which node this is while readers may find it without a count, else 0.
    identity: AtomicUsize,
    /// The newest tree this is known to be a node of, 0 when none is.
    member: AtomicUsize,
    len: u32,
    head: H,
    count: AtomicUsize,
    number: Option<FrameNumber>,
    /// Used by `residents`.
    told: AtomicU32,
    links: u32,
    home: Option<Arc<Pool<H>>>,
}

/// Which frame of its pool: from the lowest bit the place in its chunk, the chunk, and the size; plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameNumber(NonZeroU32);

impl FrameNumber {
    #[inline]
    pub(super) fn from_u32(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    #[inline]
    pub(super) fn to_u32(self) -> u32 {
        self.0.get()
    }

    #[cfg(feature = "std")]
    fn chunk(self) -> usize {
        (self.0.get() - 1) as usize >> CHUNK_SHIFT
    }
}

/// A head and bytes that do not change, and pointers that do. A clone is the same block.
pub(crate) struct Block<H> {
    header: NonNull<Header<H>>,
    owns: PhantomData<Header<H>>,
}

// SAFETY: as for `Arc`: see "Threads".
unsafe impl<H: Send + Sync> Send for Block<H> where Pool<H>: Send + Sync {}
// SAFETY: the same.
unsafe impl<H: Send + Sync> Sync for Block<H> where Pool<H>: Send + Sync {}

/// Where frames come from.
pub(crate) struct Pool<H> {
    classes: [Mutex<Class>; FRAME_BYTES.len()],
    chunk_bytes: usize,
    /// The chunks whose frames have numbers.
    directory: Box<[Chunk]>,
    chunks: AtomicUsize,
    heads: PhantomData<fn() -> H>,
}

/// Set once: the size first, then the pointer with release.
#[derive(Debug, Default)]
struct Chunk {
    start: AtomicPtr<u8>,
    frame_bytes: AtomicUsize,
}

/// Frames of one size.
#[derive(Default)]
struct Class {
    vacant: Vec<Frame>,
    /// Each with its place in the directory.
    chunks: Vec<(NonNull<u8>, usize)>,
    /// Frames of the last chunk that were never used.
    fresh: usize,
}

#[derive(Clone, Copy)]
struct Frame {
    start: NonNull<u8>,
    number: Option<FrameNumber>,
}

// SAFETY: the pointers name memory that the class owns, and frames that nobody uses.
unsafe impl Send for Class {}

#[cfg(feature = "std")]
impl Frame {
    /// The place of its chunk in the directory; chunks that are not there are the newest.
    fn chunk(&self) -> usize {
        self.number.map_or(usize::MAX, FrameNumber::chunk)
    }
}

impl<H> Pool<H> {
    /// A pool for about `budget_bytes` of frames, and at times for as much as `bytes_max`.
    pub(super) fn new(budget_bytes: usize, bytes_max: usize) -> Arc<Self> {
        let chunk_bytes = (budget_bytes / CHUNK_PART).clamp(CHUNK_BYTES_MIN, HUGE_PAGE_BYTES);
        let chunks = (bytes_max / chunk_bytes * 2 + FRAME_BYTES.len()).min(1 << (32 - CHUNK_SHIFT));
        Arc::new(Self {
            classes: Default::default(),
            chunk_bytes,
            directory: (0..chunks).map(|_| Chunk::default()).collect(),
            chunks: AtomicUsize::new(0),
            heads: PhantomData,
        })
    }

    /// Memory that frames of the common sizes may hold in vain: a chunk each, hardly begun.
    pub(super) fn slack_bytes(&self) -> usize {
        2 * self.chunk_bytes
    }

    fn chunk_layout(&self) -> Option<Layout> {
        let align = if self.chunk_bytes == HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { align_of::<Header<H>>() };
        Layout::from_size_align(self.chunk_bytes, align).ok()
    }

    /// Memory of at least `bytes`, aligned for a header; `None` when no frame is so large, or there is no memory.
    fn take(&self, bytes: usize) -> Option<Frame> {
        let (class, frame_bytes) = self.class_for(bytes)?;
        let mut class = class.lock();
        if let Some(frame) = class.vacant.pop() {
            return Some(frame);
        }
        if class.fresh == 0 {
            let layout = self.chunk_layout()?;
            // SAFETY: the size is not 0.
            let chunk = NonNull::new(unsafe { alloc(layout) })?;
            // Not for the first: the system clears a huge page as soon as one byte of it is used, and who opens a database for a
            // few nodes would wait for that.
            if self.chunk_bytes == HUGE_PAGE_BYTES && !class.chunks.is_empty() {
                ask_for_huge_pages(chunk, self.chunk_bytes);
            }
            let place = self.chunks.fetch_add(1, Ordering::Relaxed);
            if let Some(listed) = self.directory.get(place) {
                listed.frame_bytes.store(frame_bytes, Ordering::Relaxed);
                listed.start.store(chunk.as_ptr(), Ordering::Release);
            }
            class.chunks.push((chunk, place));
            class.fresh = self.chunk_bytes / frame_bytes;
        }
        let (chunk, place) = *class.chunks.last()?;
        let index = self.chunk_bytes / frame_bytes - class.fresh;
        class.fresh -= 1;
        // SAFETY: `index` is below the number of frames that the chunk has room for.
        let start = unsafe { chunk.add(index * frame_bytes) };
        let number = (place < self.directory.len()).then_some((place << CHUNK_SHIFT | index) as u32 + 1);
        Some(Frame { start, number: number.and_then(FrameNumber::from_u32) })
    }

    fn give_back(&self, frame: Frame, bytes: usize) {
        if let Some((class, _)) = self.class_for(bytes) {
            class.lock().vacant.push(frame);
        }
    }

    #[cfg(feature = "std")]
    /// Gives the pages on which only vacant frames of the chunks from `chunk` on lie back to the system, which has them empty when they
    /// are used again. An identity there is zero before and after. Frames of the chunks before are taken first from now on.
    pub(super) fn give_pages_back(&self, chunk: usize) {
        for (class, frame_bytes) in self.classes.iter().zip(FRAME_BYTES) {
            let mut class = class.lock();
            class.vacant.sort_unstable_by_key(|frame| (Reverse(frame.chunk()), frame.start));
            let beyond = class.vacant.partition_point(|frame| frame.chunk() >= chunk);
            let mut rest = class.vacant.get(..beyond).unwrap_or_default();
            while let Some((first, _)) = rest.split_first() {
                let beside = |pair: &[Frame]| pair[0].start.addr().get() + frame_bytes == pair[1].start.addr().get();
                let count = 1 + rest.windows(2).take_while(|pair| beside(pair)).count();
                // SAFETY: nobody uses these frames, and under the lock nobody begins to; what was in them is read by nobody but
                // for the identities, which are cleared.
                unsafe { give_back_pages(first.start, count * frame_bytes) };
                rest = &rest[count..];
            }
        }
    }

    #[cfg(feature = "std")]
    /// Chunks that `bytes` are enough for, and whether there are more.
    pub(super) fn chunks_within(&self, bytes: usize) -> (usize, bool) {
        let chunks = bytes / self.chunk_bytes;
        (chunks, self.chunks.load(Ordering::Relaxed) > chunks)
    }

    fn class_for(&self, bytes: usize) -> Option<(&Mutex<Class>, usize)> {
        let at = FRAME_BYTES.iter().position(|frame| bytes <= *frame)?;
        Some((self.classes.get(at)?, *FRAME_BYTES.get(at)?))
    }

    /// The frame of this number, and the identity of what is there now.
    ///
    /// # Safety
    /// A block of this pool had the number.
    #[inline]
    pub(super) unsafe fn frame(&self, number: FrameNumber) -> Option<(NonNull<Header<H>>, &AtomicUsize)> {
        let number = number.to_u32() as usize - 1;
        let chunk = self.directory.get(number >> CHUNK_SHIFT)?;
        let start = NonNull::new(chunk.start.load(Ordering::Acquire))?;
        let at = (number & ((1 << CHUNK_SHIFT) - 1)) * chunk.frame_bytes.load(Ordering::Relaxed);
        // SAFETY: a number that was given names a frame in its chunk, whose identity is an atomic since its first use.
        unsafe {
            let header = start.add(at).cast::<Header<H>>();
            Some((header, &*ptr::addr_of!((*header.as_ptr()).identity)))
        }
    }
}

impl<H> Drop for Pool<H> {
    fn drop(&mut self) {
        let Some(layout) = self.chunk_layout() else { return };
        for class in &self.classes {
            for (chunk, _) in class.lock().chunks.drain(..) {
                // SAFETY: allocated with this layout; no block is left, because each holds a count of the pool.
                unsafe { dealloc(chunk.as_ptr(), layout) };
            }
        }
    }
}

impl<H> fmt::Debug for Pool<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("chunk_bytes", &self.chunk_bytes).finish_non_exhaustive()
    }
}

impl<H> Block<H> {
    /// A block in an allocation of its own. `bytes` are less than 4 GiB.
    pub(crate) fn loose(head: H, bytes: &[u8]) -> Self {
        Self::make(None, head, bytes, 0)
    }

    /// A block in a frame if it fits one, with `links` pointers, all null; else a loose one.
    pub(crate) fn pooled(pool: &Arc<Pool<H>>, head: H, bytes: &[u8], links: usize) -> Self {
        Self::make(Some(pool), head, bytes, links)
    }

    fn make(pool: Option<&Arc<Pool<H>>>, head: H, bytes: &[u8], links: usize) -> Self {
        let (len, links) = match (u32::try_from(bytes.len()), u32::try_from(links)) {
            (Ok(len), Ok(links)) => (len, links),
            _ => handle_alloc_error(Layout::new::<Header<H>>()),
        };
        let (links_at, size) = Self::shape(len, links);
        let frame = pool.and_then(|pool| Some((pool.take(size)?, Some(Arc::clone(pool)))));
        let (Frame { start, number }, home) = frame.unwrap_or_else(|| {
            let layout = Self::loose_layout(size);
            // SAFETY: the size is at least that of a header.
            let start = NonNull::new(unsafe { alloc(layout) });
            (Frame { start: start.unwrap_or_else(|| handle_alloc_error(layout)), number: None }, None)
        });
        let header = start.cast::<Header<H>>().as_ptr();
        // SAFETY: the memory is ours alone, long and aligned enough for the shape, except that old pointers to a frame may
        // be read for its identity: that field is stored to as an atomic, in memory that is valid for any bits.
        unsafe {
            (*ptr::addr_of!((*header).identity)).store(0, Ordering::Relaxed);
            ptr::addr_of_mut!((*header).member).write(AtomicUsize::new(0));
            ptr::addr_of_mut!((*header).number).write(number);
            ptr::addr_of_mut!((*header).told).write(AtomicU32::new(0));
            ptr::addr_of_mut!((*header).len).write(len);
            ptr::addr_of_mut!((*header).head).write(head);
            ptr::addr_of_mut!((*header).count).write(AtomicUsize::new(1));
            ptr::addr_of_mut!((*header).links).write(links);
            ptr::addr_of_mut!((*header).home).write(home);
            start.as_ptr().add(size_of::<Header<H>>()).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            let first = start.as_ptr().add(links_at).cast::<AtomicPtr<Header<H>>>();
            for link in 0..links as usize {
                first.add(link).write(AtomicPtr::new(ptr::null_mut()));
            }
        }
        Self { header: start.cast(), owns: PhantomData }
    }

    /// From the first byte of a block: where its links begin, and its size.
    fn shape(len: u32, links: u32) -> (usize, usize) {
        let shape = || {
            let links_at = size_of::<Header<H>>()
                .checked_add(len as usize)?
                .checked_next_multiple_of(align_of::<AtomicPtr<Header<H>>>())?;
            let links_bytes = (links as usize).checked_mul(size_of::<AtomicPtr<Header<H>>>())?;
            Some((links_at, links_at.checked_add(links_bytes)?))
        };
        shape().unwrap_or_else(|| handle_alloc_error(Layout::new::<Header<H>>()))
    }

    fn loose_layout(size: usize) -> Layout {
        Layout::from_size_align(size, align_of::<Header<H>>())
            .unwrap_or_else(|_| handle_alloc_error(Layout::new::<Header<H>>()))
    }

    #[inline]
    fn header(&self) -> &Header<H> {
        // SAFETY: this block counts, so the header is there.
        unsafe { self.header.as_ref() }
    }

    /// What was given with the bytes.
    #[inline]
    pub(crate) fn head(&self) -> &H {
        &self.header().head
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes follow the header, and nobody changes them.
        unsafe {
            let first = self.header.as_ptr().cast::<u8>().add(size_of::<Header<H>>());
            core::slice::from_raw_parts(first, self.header().len as usize)
        }
    }

    #[inline]
    fn links(&self) -> &[AtomicPtr<Header<H>>] {
        let header = self.header();
        if header.links == 0 {
            return &[];
        }
        let links_at = (size_of::<Header<H>>() + header.len as usize).next_multiple_of(align_of::<AtomicPtr<()>>());
        // SAFETY: so many links lie there, made with the block, and are changed as atomics.
        unsafe {
            let first = self.header.as_ptr().cast::<u8>().add(links_at).cast();
            core::slice::from_raw_parts(first, header.links as usize)
        }
    }

    pub(crate) const EXPECTED_BYTES: usize = 8 * LINE_BYTES;

    /// The bytes from `at` on will be read soon.
    #[inline]
    pub(crate) fn expect(&self, at: usize) {
        for line in 0..Self::EXPECTED_BYTES / LINE_BYTES {
            prefetch(self.header.cast(), size_of::<Header<H>>() + at + line * LINE_BYTES);
        }
    }

    /// Memory the block takes.
    pub(super) fn footprint_bytes(&self) -> usize {
        let (_, size) = Self::shape(self.header().len, self.header().links);
        let frame = FRAME_BYTES.iter().find(|frame| size <= **frame && self.header().home.is_some());
        frame.copied().unwrap_or(size)
    }

    #[inline]
    pub(super) fn identity(&self) -> &AtomicUsize {
        &self.header().identity
    }

    #[inline]
    pub(super) fn number(&self) -> Option<FrameNumber> {
        self.header().number
    }

    /// The size of the table of points when it was told of all entries of this node; 0 when it never was.
    pub(super) fn told(&self) -> &AtomicU32 {
        &self.header().told
    }

    /// The newest tree this is known to be a node of; 0 when none is.
    #[inline]
    pub(super) fn member(&self) -> &AtomicUsize {
        &self.header().member
    }

    /// A pointer that keeps its count.
    pub(super) fn into_raw(self) -> *mut Header<H> {
        let header = self.header;
        core::mem::forget(self);
        header.as_ptr()
    }

    /// # Safety
    /// The pointer came from [`into_raw`](Self::into_raw), and its count is taken over.
    pub(super) unsafe fn from_raw(header: NonNull<Header<H>>) -> Self {
        Self { header, owns: PhantomData }
    }

    /// Whether the block is in no frame of another pool.
    pub(super) fn is_loose_or_of(&self, pool: &Arc<Pool<H>>) -> bool {
        self.header().home.as_ref().is_none_or(|home| Arc::ptr_eq(home, pool))
    }

    #[cfg(feature = "std")]
    /// The place of its chunk in the pool's directory; `None` when it is in no frame.
    pub(super) fn chunk(&self) -> Option<usize> {
        self.is_framed().then(|| self.number().map_or(usize::MAX, FrameNumber::chunk))
    }

    /// The block is in a frame: [`Remembered`] may name it.
    fn is_framed(&self) -> bool {
        self.header().home.is_some()
    }

    /// Link `index`, if the block has so many.
    #[inline]
    pub(super) fn link(&self, index: usize) -> Option<&Remembered<H>> {
        let link = self.links().get(index)?;
        // SAFETY: `Remembered` is a transparent wrapper, and links are stored to only through it.
        Some(unsafe { &*ptr::from_ref(link).cast::<Remembered<H>>() })
    }
}

impl<H> Clone for Block<H> {
    #[inline]
    fn clone(&self) -> Self {
        self.header().count.fetch_add(1, Ordering::Relaxed);
        Self { header: self.header, owns: PhantomData }
    }
}

impl<H> Drop for Block<H> {
    #[inline]
    fn drop(&mut self) {
        if self.header().count.fetch_sub(1, Ordering::Release) == 1 {
            // A load and not a fence, of which ThreadSanitizer knows nothing.
            self.header().count.load(Ordering::Acquire);
            // SAFETY: that was the last count.
            unsafe { end(self.header) }
        }
    }
}

/// # Safety
/// No count is left, and the caller took the last.
#[cold]
unsafe fn end<H>(header: NonNull<Header<H>>) {
    // SAFETY: the memory is the caller's alone now, except for its identity.
    unsafe {
        let at = header.as_ptr();
        let (_, size) = Block::<H>::shape((*at).len, (*at).links);
        ptr::addr_of_mut!((*at).head).drop_in_place();
        match ptr::addr_of_mut!((*at).home).read() {
            Some(pool) => pool.give_back(Frame { start: header.cast(), number: (*at).number }, size),
            None => dealloc(at.cast(), Block::<H>::loose_layout(size)),
        }
    }
}

impl<H: fmt::Debug> fmt::Debug for Block<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("head", self.head()).field("len", &self.header().len).finish_non_exhaustive()
    }
}

/// Where a block was once. It may be something else by now, so it must be asked for its identity.
///
/// Names only frames, and only of one pool: that is kept by `residents`, which stores here what it found itself.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Remembered<H>(AtomicPtr<Header<H>>);

impl<H> Remembered<H> {
    pub(super) fn nothing() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Takes note of the block if it is in a frame.
    #[inline]
    pub(super) fn remember(&self, block: &Block<H>) {
        if block.is_framed() {
            self.0.store(block.header.as_ptr(), Ordering::Release);
        }
    }

    /// What is there will be read soon, from its beginning on.
    #[inline]
    pub(super) fn prefetch(&self) {
        if let Some(header) = NonNull::new(self.0.load(Ordering::Relaxed)) {
            for line in 0..8 {
                prefetch(header.cast(), line * LINE_BYTES);
            }
        }
    }

    /// The header remembered, and the identity of what is there now.
    ///
    /// # Safety
    /// The pool of what was remembered lives.
    #[inline]
    pub(super) unsafe fn recall(&self) -> Option<(NonNull<Header<H>>, &AtomicUsize)> {
        let header = NonNull::new(self.0.load(Ordering::Acquire))?;
        for line in [2, 3, 4] {
            prefetch(header.cast(), line * LINE_BYTES);
        }
        // SAFETY: frames stay memory while their pool lives, and their identity is an atomic.
        Some((header, unsafe { &*ptr::addr_of!((*header.as_ptr()).identity) }))
    }
}

/// Numbers, all zero at first, in pages that take memory only when they are used, huge ones if there are many.
pub(super) struct Words {
    start: NonNull<u8>,
    layout: Layout,
    /// The first byte in a line of its own.
    first: NonNull<u8>,
    words: usize,
}

// SAFETY: the memory is owned, and used as atomics only.
unsafe impl Send for Words {}
// SAFETY: the same.
unsafe impl Sync for Words {}

impl Words {
    /// How many stand in a group.
    pub(super) const GROUP: usize = 8;

    pub(super) fn zeroed(groups: usize) -> Self {
        let words = groups * Self::GROUP;
        // A larger alignment would have the allocator write zeros everywhere.
        let layout = Layout::from_size_align(words * size_of::<AtomicU32>() + LINE_BYTES, 16)
            .unwrap_or_else(|_| handle_alloc_error(Layout::new::<AtomicU32>()));
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        let before = start.as_ptr().align_offset(HUGE_PAGE_BYTES);
        if let Some(huge @ HUGE_PAGE_BYTES..) = layout.size().checked_sub(before) {
            // SAFETY: within the allocation.
            ask_for_huge_pages(unsafe { start.add(before) }, huge & !(HUGE_PAGE_BYTES - 1));
        }
        // SAFETY: fewer bytes than a line are skipped, and there is a line more than all words take.
        let first = unsafe { start.add(start.as_ptr().align_offset(LINE_BYTES)) };
        Self { start, layout, first, words }
    }

    #[inline]
    pub(super) fn groups(&self) -> usize {
        self.words / Self::GROUP
    }

    /// Group `at`, in one cache line.
    #[inline]
    pub(super) fn group(&self, at: usize) -> Option<&[AtomicU32; Self::GROUP]> {
        if at >= self.groups() {
            return None;
        }
        // SAFETY: so many groups follow the first, all of the allocation; zeros are valid numbers.
        Some(unsafe { self.first.add(at * Self::GROUP * size_of::<AtomicU32>()).cast().as_ref() })
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("words", &self.words).finish_non_exhaustive()
    }
}

/// A table of entries that are all zero bits at first, in pages that take memory only when they are used: opening a database
/// touches none of it.
pub(super) struct Zeroed<T> {
    start: NonNull<u8>,
    layout: Layout,
    /// The first entry, at the beginning of a line.
    first: NonNull<T>,
    len: usize,
}

// SAFETY: the entries are owned.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: and shared only as a slice is.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T> Zeroed<T> {
    /// # Safety
    ///
    /// Zero bits are a `T`, which needs no dropping.
    pub(super) unsafe fn new(len: usize) -> Self {
        const { assert!(align_of::<T>() <= LINE_BYTES && size_of::<T>() > 0 && !core::mem::needs_drop::<T>()) };
        // A larger alignment would have the allocator write zeros everywhere.
        let layout = Layout::array::<T>(len)
            .and_then(|array| Layout::from_size_align(array.size().saturating_add(LINE_BYTES), 16))
            .unwrap_or_else(|_| handle_alloc_error(Layout::new::<T>()));
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: fewer bytes than a line are skipped, and there is a line more than all entries take.
        let first = unsafe { start.add(start.as_ptr().align_offset(LINE_BYTES)) }.cast();
        Self { start, layout, first, len }
    }
}

impl<T> core::ops::Deref for Zeroed<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: so many entries follow the first, all of the allocation, aligned to a line; zeros were valid ones.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; the entries need no dropping.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl<T> fmt::Debug for Zeroed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zeroed").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Says that memory will be read soon. Any address is good.
#[inline]
pub(super) fn prefetch(start: NonNull<u8>, bytes: usize) {
    let at = start.as_ptr().wrapping_add(bytes);
    #[cfg(all(target_arch = "x86_64", target_feature = "sse", not(miri)))]
    // SAFETY: a prefetch reads nothing that the program can see and never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{0}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    let _ = at;
}

/// Fewer misses in the tables that translate addresses, where the system has such pages.
fn ask_for_huge_pages(chunk: NonNull<u8>, bytes: usize) {
    #[cfg(all(target_os = "linux", feature = "std", not(miri)))]
    // SAFETY: the advice concerns memory that was just allocated, and changes nothing of what it holds.
    let _ = unsafe { rustix::mm::madvise(chunk.as_ptr().cast(), bytes, rustix::mm::Advice::LinuxHugepage) };
    let _ = (chunk, bytes);
}

/// Whether [`give_back_pages`] gives any back.
pub(crate) const GIVES_PAGES_BACK: bool =
    cfg!(all(feature = "std", any(target_os = "linux", target_os = "android", target_vendor = "apple"),));

#[cfg(feature = "std")]
/// The largest pages that there are on phones and servers, but for the huge ones.
const PAGE_BYTES: usize = 16 << 10;

#[cfg(feature = "std")]
/// Gives the whole pages among these bytes back; elsewhere than on systems of these families they stay.
///
/// # Safety
/// What they hold may be lost, or be zero; nobody but for atomics that are zero looks at it.
unsafe fn give_back_pages(start: NonNull<u8>, bytes: usize) {
    let skipped = start.as_ptr().align_offset(PAGE_BYTES);
    let Some(len) = bytes.checked_sub(skipped).map(|len| len & !(PAGE_BYTES - 1)).filter(|len| *len > 0) else {
        return;
    };
    // SAFETY: within the bytes given.
    let first = unsafe { start.add(skipped) };
    #[cfg(all(any(target_os = "linux", target_os = "android"), feature = "std", not(miri)))]
    // SAFETY: private memory of this process, whose contents the caller gives up.
    let _ = unsafe { rustix::mm::madvise(first.as_ptr().cast(), len, rustix::mm::Advice::LinuxDontNeed) };
    #[cfg(all(target_vendor = "apple", feature = "std"))]
    {
        unsafe extern "C" {
            fn madvise(start: *mut core::ffi::c_void, len: usize, advice: core::ffi::c_int) -> core::ffi::c_int;
        }
        const MADV_FREE: core::ffi::c_int = 5;
        // SAFETY: as above.
        let _ = unsafe { madvise(first.as_ptr().cast(), len, MADV_FREE) };
    }
    let _ = (first, len);
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_was_given_wherever_they_are() {
        let pool = Pool::new(1 << 20, 1 << 20);
        let long = alloc::vec![7u8; 100_000];
        for len in [0, 1, 100, 4096, 5000, 20_000, 100_000] {
            let bytes = &long[..len];
            for (block, links) in [(Block::loose(len, bytes), 0), (Block::pooled(&pool, len, bytes, 9), 9)] {
                let other = block.clone();
                drop(block);
                assert_eq!((*other.head(), other.bytes()), (len, bytes));
                assert_eq!(other.links().len(), links);
                assert!(other.footprint_bytes() >= len + 9);
            }
        }
    }

    #[test]
    fn frames_are_used_again_and_outlive_their_pool_handle() {
        let pool = Pool::new(1 << 20, 1 << 20);
        let marker = Arc::new(());
        let first = Block::pooled(&pool, Arc::clone(&marker), &[1; 4000], 0);
        let place = first.header;
        drop(first);
        assert_eq!(Arc::strong_count(&marker), 1, "the head is dropped with the last count");
        let second = Block::pooled(&pool, Arc::clone(&marker), &[2; 4000], 0);
        assert_eq!(second.header, place);
        drop(pool);
        assert_eq!(second.bytes(), [2; 4000]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "there is no system to give pages to")]
    fn pages_of_vacant_frames_beyond_a_chunk_go_back_to_the_system() {
        let pool = Pool::new(8 << 20, 8 << 20);
        let blocks: Vec<_> = (0..500).map(|at| Block::pooled(&pool, at, &[7; 4000], 0)).collect();
        let held = blocks[400].clone();
        drop(blocks);
        pool.give_pages_back(2);
        let class = pool.classes[0].lock();
        let is_empty = |frame: &Frame| {
            // SAFETY: nobody uses a vacant frame.
            let bytes = unsafe { core::slice::from_raw_parts(frame.start.as_ptr().add(256), 3000) };
            bytes.iter().all(|byte| *byte == 0)
        };
        let (before, beyond): (Vec<_>, Vec<_>) = class.vacant.iter().partition(|frame| frame.chunk() < 2);
        assert!(!before.is_empty() && before.into_iter().all(|frame| !is_empty(frame)));
        // The pages at both ends of what is vacant belong to others, too.
        let empty = beyond.iter().filter(|frame| is_empty(frame)).count();
        assert_eq!(empty * 2 > beyond.len(), GIVES_PAGES_BACK, "{empty} of {}", beyond.len());
        assert!(class.vacant.is_sorted_by_key(|frame| Reverse(frame.chunk())), "the first are taken first");
        assert_eq!(held.bytes(), [7; 4000]);
    }

    #[test]
    fn frames_of_many_chunks_do_not_overlap() {
        let pool = Pool::new(1 << 20, 1 << 20);
        let blocks: Vec<_> = (0..100u8).map(|at| Block::pooled(&pool, at, &[at; 4096], 3)).collect();
        assert!(pool.classes.iter().map(|class| class.lock().chunks.len()).sum::<usize>() > 3);
        for (at, block) in blocks.iter().enumerate() {
            assert_eq!(block.bytes(), [at as u8; 4096]);
        }
    }

    #[test]
    fn threads_share_blocks() {
        let pool = Pool::new(1 << 20, 1 << 20);
        std::thread::scope(|scope| {
            for thread in 0..3u8 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..if cfg!(miri) { 20 } else { 2000 } {
                        let block = Block::pooled(pool, round, &[thread; 300], 2);
                        let other = block.clone();
                        let reader = scope.spawn(move || assert_eq!(other.bytes(), [thread; 300]));
                        assert_eq!(*block.head(), round);
                        reader.join().unwrap();
                    }
                });
            }
        });
    }
}
