//! A disk that loses power: the fault model of `Storage`, for the log file.

use alloc::string::String;
use alloc::vec::Vec;

use crate::env::sync::Mutex;
use crate::env::{FileId, Storage, StorageError, StorageErrorKind, Sync};

const UNIT: usize = 512;
const SECTOR: usize = 4096;

#[derive(Default)]
pub(super) struct Disk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    synced: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    writes: usize,
    /// Writes until one fails, having written a part.
    fail_after: Option<usize>,
    /// The byte that is read wrong, once, after so many readings of it.
    misread: Option<(u64, usize)>,
    /// The byte that cannot be read.
    unreadable: Option<u64>,
}

impl Disk {
    pub(super) fn fail_after(&self, writes: usize) {
        self.state.lock().fail_after = Some(writes);
    }

    /// A disk that holds this log.
    pub(super) fn with_log(bytes: &[u8]) -> Self {
        let state = State { synced: bytes.to_vec(), current: bytes.to_vec(), ..State::default() };
        Self { state: Mutex::new(state) }
    }

    /// The next reading of the byte at `offset` gives another.
    pub(super) fn misread(&self, offset: u64) {
        self.misread_after(0, offset);
    }

    /// The byte at `offset` is read right so many times, and then once wrong.
    pub(super) fn misread_after(&self, readings: usize, offset: u64) {
        self.state.lock().misread = Some((offset, readings));
    }

    /// Whether a reading gave another byte since that was asked for.
    pub(super) fn has_misread(&self) -> bool {
        self.state.lock().misread.is_none()
    }

    /// From now on the byte at `offset` cannot be read.
    pub(super) fn lose(&self, offset: u64) {
        self.state.lock().unreadable = Some(offset);
    }

    pub(super) fn heal(&self) {
        self.state.lock().fail_after = None;
    }

    pub(super) fn writes(&self) -> usize {
        self.state.lock().writes
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state.lock().current.clone()
    }

    /// What a machine that lost power now may find: unsynced writes whole, torn or missing, in any order.
    pub(super) fn lose_power(&self, seed: u64) {
        let mut random = Random(seed);
        let mut state = self.state.lock();
        let mut writes = core::mem::take(&mut state.unsynced);
        let mut found = core::mem::take(&mut state.synced);
        let synced_len = found.len();
        if random.one_in(2) {
            found.resize(state.current.len().max(found.len()), 0);
            if random.one_in(2) {
                found[synced_len..].iter_mut().for_each(|byte| *byte = random.next() as u8);
            }
        }
        for i in (1..writes.len()).rev() {
            writes.swap(i, random.below(i + 1));
        }
        let fate = random.below(4);
        let touched: Vec<(usize, usize)> = writes.iter().map(|(at, bytes)| (*at, at + bytes.len())).collect();
        for (at, bytes) in &writes {
            let whole = match fate {
                0 => true,
                1 => random.one_in(2),
                _ => false,
            };
            for unit in (*at / UNIT)..(at + bytes.len()).div_ceil(UNIT) {
                let from = (unit * UNIT).max(*at);
                let to = ((unit + 1) * UNIT).min(at + bytes.len());
                if whole || (fate >= 2 && random.one_in(2)) {
                    if found.len() < to {
                        found.resize(to, 0);
                    }
                    found[from..to].copy_from_slice(&bytes[from - at..to - at]);
                }
            }
        }
        // In a sector written since the sync, bytes outside all writes may be lost.
        for (from, to) in &touched {
            for at in (from / SECTOR * SECTOR)..to.next_multiple_of(SECTOR).min(found.len()) {
                if random.one_in(16) && touched.iter().all(|(from, to)| at < *from || at >= *to) {
                    found[at] = random.next() as u8;
                }
            }
        }
        state.current.clone_from(&found);
        state.synced = found;
    }
}

impl Storage for Disk {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        let at = offset as usize;
        let Some(from) = state.current.get(at..at + buf.len()) else {
            let kind = StorageErrorKind::UnexpectedEnd;
            return Err(StorageError::new(kind, file, offset, buf.len() as u64, "beyond the end"));
        };
        if state.unreadable.is_some_and(|lost| (at..at + buf.len()).contains(&(lost as usize))) {
            let kind = StorageErrorKind::Other;
            return Err(StorageError::new(kind, file, offset, buf.len() as u64, "made to fail"));
        }
        buf.copy_from_slice(from);
        if let Some((wrong, readings)) = &mut state.misread
            && let Some(byte) = wrong.checked_sub(offset).and_then(|at| buf.get_mut(usize::try_from(at).ok()?))
        {
            match readings.checked_sub(1) {
                Some(left) => *readings = left,
                None => {
                    *byte ^= 0x5a;
                    state.misread = None;
                }
            }
        }
        Ok(())
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        let fails = state.fail_after == Some(0);
        state.fail_after = state.fail_after.map(|left| left.saturating_sub(1));
        let at = offset as usize;
        let buf = if fails { &buf[..buf.len() * 2 / 3] } else { buf };
        if state.current.len() < at + buf.len() {
            state.current.resize(at + buf.len(), 0);
        }
        state.current[at..at + buf.len()].copy_from_slice(buf);
        state.unsynced.push((at, buf.to_vec()));
        state.writes += 1;
        if fails {
            let kind = StorageErrorKind::Other;
            return Err(StorageError::new(kind, file, offset, buf.len() as u64, "made to fail"));
        }
        Ok(())
    }

    fn len(&self, _file: FileId) -> Result<u64, StorageError> {
        Ok(self.state.lock().current.len() as u64)
    }

    fn set_len(&self, _file: FileId, len: u64) -> Result<(), StorageError> {
        self.state.lock().current.resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self, _file: FileId) -> Result<Sync, StorageError> {
        let mut state = self.state.lock();
        let current = state.current.clone();
        state.synced = current;
        state.unsynced.clear();
        Ok(Sync::Done)
    }

    fn name(&self) -> String {
        String::from("disk")
    }
}

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}
