//! A disk that does everything the fault model on [`Storage`] allows, and nothing else, as a seed decides.
//!
//! What it may do, in the words of that contract, and where:
//! - after a power loss, writes since the last completed sync are whole, missing or torn by 512-byte units, in any order;
//!   lengths are old or new; bytes never written are zeros or anything; a torn write may ruin the rest of the 4096-byte
//!   sectors at its ends: [`SimDisk::power_loss`], in `power_loss.rs`;
//! - after a killed process, every write that returned is whole: [`SimDisk::kill`];
//! - a failed sync loses any of the writes it should have made durable, even if a later sync succeeds, and reads may go on
//!   showing them ([`SimDisk::keep_stale_cache`]); writes fail half done; reads fail, end early or return wrong bytes; the disk is full, or slow: [`Fault`], [`SimDisk::limit`];
//! - syncs complete later, and cover what was written before they were asked for: [`SimDisk::complete_syncs_later`];
//! - stored bits change: [`SimDisk::flip_bit`].
//!
//! Every read, write, change of length and sync is counted, so a test can run once to learn how many there are and then
//! again with a crash at each. Each also takes its time, as the seed decides, on a clock that nothing else moves:
//! [`SimDisk::elapsed_ns`].

mod power_loss;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync, SyncTicket};

use crate::random::Random;

/// The unit that is either old or new after a power loss.
pub const UNIT_BYTES: u64 = 512;
/// The unit that a torn write may ruin around itself.
pub const SECTOR_BYTES: u64 = 4096;

const CRASH_MESSAGE: &str = "the simulated machine has crashed";

/// What happens at a chosen I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The I/O fails: a read returns nothing useful, a write or change of length is done in part, a sync loses any of what
    /// it should have made durable.
    Error,
    /// The next write or change of length, from this I/O on, finds the disk full.
    Full,
    /// The next read, from this I/O on, returns one wrong bit.
    WrongBit,
    /// The next read, from this I/O on, reports the end of the file too early.
    ShortRead,
    /// The I/O takes seconds, up to a minute.
    Slow,
    /// The I/O is done wholly, in part or not at all, and nothing works any more until [`SimDisk::power_loss`] or
    /// [`SimDisk::kill`].
    Crash,
}

/// A simulated disk. Clones are independent copies of everything, faults to come included.
#[derive(Debug)]
pub struct SimDisk {
    state: Mutex<State>,
    /// Beside the state, so that a clock can be looked at from anywhere.
    elapsed_ns: AtomicU64,
}

#[derive(Clone, Debug)]
struct State {
    files: [SimFile; 2],
    random: Random,
    io_count: u64,
    faults: BTreeMap<u64, Fault>,
    limit: Option<u64>,
    crashed: bool,
    faults_met: u64,
    failed_syncs: u64,
    slow_ios: u64,
    latency: Latency,
    trace: bool,
    /// Whether syncs are completed by [`SimDisk::complete_sync`].
    later: bool,
    /// Syncs asked for, the oldest first.
    asked: VecDeque<Asked>,
    /// Those of a process that has ended; they are complete before any asked for later.
    left: Vec<Asked>,
    next_ticket: u64,
    completed_ticket: u64,
    /// A sync of this process failed after it was asked for: those asked for later are done, but prove nothing.
    any_failed_later: bool,
    copy_at: Option<u64>,
    copy: Option<[Vec<u8>; 2]>,
    /// Whether reads after a failed sync go on showing what was lost, also after reopening, until the power goes.
    stale_cache: bool,
}

/// One file: `visible` is what reads see, `durable` with any of `unsynced` is what a power loss leaves. They agree until a
/// sync fails. A file system that simulates power losses itself keeps its files so too.
#[derive(Clone, Debug, Default)]
pub struct SimFile {
    visible: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many changes were made durable, or lost, before those.
    settled: u64,
}

/// A sync that is not complete: it covers the first so many changes of its file, and orders nothing yet.
#[derive(Clone, Debug)]
struct Asked {
    ticket: SyncTicket,
    file: FileId,
    changes: u64,
    /// It met a fault when it was asked for, which shows when it is to be complete.
    fails: bool,
}

/// How long an I/O takes, in nanoseconds.
#[derive(Clone, Debug)]
struct Latency {
    read_ns: u64,
    write_ns: u64,
    sync_ns: u64,
    /// Of its own, so that time changes nothing else.
    random: Random,
}

impl Latency {
    /// A good solid-state disk, or one that is some times faster or slower.
    fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x4C41_5445_4E43_5900);
        let times = |random: &mut Random, ns: u64| ns * [1, 2, 4, 10, 40][random.index(5)] / 4;
        Self {
            read_ns: times(&mut random, 100_000),
            write_ns: times(&mut random, 50_000),
            sync_ns: times(&mut random, 2_000_000),
            random,
        }
    }

    /// About as long as always.
    fn of_io(&mut self, io: Io) -> u64 {
        let usual = match io {
            Io::Read => self.read_ns,
            Io::Write => self.write_ns,
            Io::Sync => self.sync_ns,
        };
        usual / 2 + self.random.below(usual)
    }
}

/// What may or may not outlive a power loss until it is synced.
#[derive(Clone, Debug)]
pub enum Change {
    /// Bytes written.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The file's length set.
    Len(u64),
}

impl SimDisk {
    /// An empty disk whose accidents are decided by `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_contents(seed, [Vec::new(), Vec::new()])
    }

    /// A disk that durably holds these files (data, log).
    pub fn with_contents(seed: u64, contents: [Vec<u8>; 2]) -> Self {
        let files = contents.map(SimFile::holding);
        let random = Random::new(seed);
        Self {
            state: Mutex::new(State {
                files,
                random,
                io_count: 0,
                faults: BTreeMap::new(),
                limit: None,
                crashed: false,
                faults_met: 0,
                failed_syncs: 0,
                slow_ios: 0,
                latency: Latency::of(seed),
                trace: false,
                later: false,
                asked: VecDeque::new(),
                left: Vec::new(),
                next_ticket: 1,
                completed_ticket: 0,
                any_failed_later: false,
                copy_at: None,
                copy: None,
                stale_cache: false,
            }),
            elapsed_ns: AtomicU64::new(0),
        }
    }

    /// The files as reads see them (data, log).
    pub fn contents(&self) -> [Vec<u8>; 2] {
        self.lock().files.each_ref().map(|file| file.visible.clone())
    }

    /// I/Os so far: reads, writes, changes of length and syncs, failed ones too.
    pub fn io_count(&self) -> u64 {
        self.lock().io_count
    }

    /// I/Os so far that met a fault or a full disk, so that a test knows whether an error has a reason.
    pub fn faults_met(&self) -> u64 {
        self.lock().faults_met
    }

    /// Syncs so far that failed and may have lost writes.
    pub fn failed_syncs(&self) -> u64 {
        self.lock().failed_syncs
    }

    /// I/Os so far that took seconds; no error comes of that.
    pub fn slow_ios(&self) -> u64 {
        self.lock().slow_ios
    }

    /// Nanoseconds since the disk was made: what its I/Os took, and what passed between them.
    pub fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns.load(Ordering::Relaxed)
    }

    /// Time passes without an I/O.
    pub fn pass(&self, ns: u64) {
        self.elapsed_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Lets the I/O after `ios` more (0: the very next) meet `fault`.
    pub fn schedule(&self, ios: u64, fault: Fault) {
        let mut state = self.lock();
        let at = state.io_count + 1 + ios;
        state.faults.insert(at, fault);
    }

    /// Forgets all faults to come.
    pub fn cancel_faults(&self) {
        self.lock().faults.clear();
    }

    /// Both files together may be this long; `None` for no limit.
    pub fn limit(&self, bytes: Option<u64>) {
        self.lock().limit = bytes;
    }

    /// After a failed sync, keep showing readers what may be lost until the power goes, as Linux' page cache does; without,
    /// what was lost shows when the process ends.
    pub fn keep_stale_cache(&self, keep: bool) {
        self.lock().stale_cache = keep;
    }

    /// From now on a sync is answered by a ticket, and complete when [`complete_sync`](SimDisk::complete_sync) says so.
    pub fn complete_syncs_later(&self, later: bool) {
        self.lock().later = later;
    }

    /// Completes the oldest sync asked for, which is an I/O of its own: what was written before it was asked for is
    /// durable, or any of it lost.
    pub fn complete_sync(&self) -> Option<(SyncTicket, Result<(), StorageError>)> {
        let oldest = self.lock().asked.pop_front()?;
        let Asked { ticket, file, changes, fails } = oldest;
        let begun = self.begin(file, 0, 0, Io::Sync);
        let (mut state, fault) = match begun {
            Ok((state, fault)) if fault != Some(Fault::Crash) => (state, fault.or(fails.then_some(Fault::Error))),
            _ => {
                // Whether it has happened is seen when the machine starts again.
                let mut state = begun.map_or_else(|_| self.lock(), |(state, _)| state);
                state.asked.push_front(oldest);
                return Some((ticket, Err(crashed(file, 0, 0))));
            }
        };
        let result = state.sync(file, changes, fault);
        state.any_failed_later |= result.is_err();
        if result.is_ok() {
            if !state.any_failed_later {
                state.completed_ticket = ticket.0;
            }
            for Asked { file, changes, .. } in std::mem::take(&mut state.left) {
                state.files[file as usize].sync_first(changes);
            }
        }
        Some((ticket, result))
    }

    /// Copies both files when so many more I/Os were done, as somebody does beside a process that works.
    pub fn copy_after(&self, ios: u64) {
        let mut state = self.lock();
        state.copy_at = Some(state.io_count + 1 + ios);
    }

    /// Whether a copy is still to be made.
    pub fn will_copy(&self) -> bool {
        self.lock().copy_at.is_some()
    }

    /// The copy, on a disk of its own, once it was made.
    pub fn take_copy(&self) -> Option<SimDisk> {
        let contents = self.lock().copy.take()?;
        Some(SimDisk::with_contents(self.io_count(), contents))
    }

    /// The ticket that the next sync will get.
    pub fn next_ticket(&self) -> u64 {
        self.lock().next_ticket
    }

    /// Every sync up to this ticket is complete.
    pub fn completed_ticket(&self) -> u64 {
        self.lock().completed_ticket
    }

    /// Empties both files durably, as a person who deletes them.
    pub fn erase(&self) {
        self.lock().files = Default::default();
    }

    /// Changes a stored bit, unless a write that is still on its way overwrites it. Beyond the end of the file nothing
    /// happens.
    pub fn flip_bit(&self, file: FileId, offset: u64, bit: u8) {
        let mut state = self.lock();
        let file = &mut state.files[file as usize];
        for image in [&mut file.visible, &mut file.durable] {
            if let Some(byte) = usize::try_from(offset).ok().and_then(|offset| image.get_mut(offset)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Prints every I/O, for whoever reads a failing run.
    pub fn trace(&self, trace: bool) {
        self.lock().trace = trace;
    }

    /// The machine goes down now, as at a scheduled crash but between two I/Os.
    pub fn crash(&self) {
        self.lock().crashed = true;
    }

    /// Whether the machine is down; until the machine is started again every call fails.
    pub fn is_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Whether this error is how calls fail after a scheduled crash.
    pub fn is_crash(error: &StorageError) -> bool {
        error.message == CRASH_MESSAGE
    }

    /// Ends the process, at a scheduled crash or wherever it is: every write that returned is kept, the unsynced ones
    /// still in danger of a later power loss. Faults to come stay.
    pub fn kill(&self) {
        let mut state = self.lock();
        if state.trace {
            println!("      killed");
        }
        state.crashed = false;
        let asked = std::mem::take(&mut state.asked);
        state.left.extend(asked);
        state.any_failed_later = false;
        if !state.stale_cache {
            state.files.iter_mut().for_each(SimFile::drop_cache);
        }
    }

    /// Cuts the power, at a scheduled crash or wherever it is, and starts again with one of the contents that the
    /// fault model allows, as `seed` decides. Faults to come stay.
    pub fn power_loss(&self, seed: u64) {
        let mut state = self.lock();
        state.crashed = false;
        state.any_failed_later = false;
        let mut random = Random::new(seed);
        state.complete_some(&mut random);
        if state.trace {
            println!("      power lost");
        }
        power_loss::strike(&mut state.files, &mut random);
    }

    /// Counts an I/O, lets it take its time, and says what it meets.
    fn begin(
        &self,
        file: FileId,
        offset: u64,
        len: u64,
        io: Io,
    ) -> Result<(MutexGuard<'_, State>, Option<Fault>), StorageError> {
        let mut state = self.lock();
        if state.crashed {
            return Err(crashed(file, offset, len));
        }
        state.io_count += 1;
        if state.copy_at.is_some_and(|at| at <= state.io_count) {
            state.copy_at = None;
            state.copy = Some(state.files.each_ref().map(|file| file.visible.clone()));
        }
        let fault = state.meet(io, len);
        if state.trace {
            let fault = fault.map_or(String::new(), |fault| format!(", {fault:?}"));
            println!("      I/O {}: {io:?} {file}, {len} bytes at {offset}{fault}", state.io_count);
        }
        let seconds = if fault == Some(Fault::Slow) { state.latency.random.between(1, 60) } else { 0 };
        self.pass(state.latency.of_io(io) + seconds * 1_000_000_000);
        Ok((state, fault.filter(|fault| *fault != Fault::Slow)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for SimDisk {
    fn clone(&self) -> Self {
        let elapsed_ns = AtomicU64::new(self.elapsed_ns());
        Self { state: Mutex::new(self.lock().clone()), elapsed_ns }
    }
}

impl Storage for SimDisk {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let len = buf.len() as u64;
        let (mut state, fault) = self.begin(file, offset, len, Io::Read)?;
        // Whoever uses the buffer after a failure must be found out.
        state.random.fill(buf);
        match fault {
            Some(Fault::Crash) => return Err(crashed(file, offset, len)),
            Some(Fault::Error) => {
                return Err(failure(StorageErrorKind::Other, file, offset, len, "simulated read error"));
            }
            Some(Fault::ShortRead) => {
                return Err(failure(StorageErrorKind::UnexpectedEnd, file, offset, len, "simulated short read"));
            }
            _ => {}
        }
        if buf.is_empty() {
            return Ok(());
        }
        let found = range(offset, len).and_then(|range| state.files[file as usize].visible.get(range));
        let Some(found) = found else {
            return Err(failure(StorageErrorKind::UnexpectedEnd, file, offset, len, "the file ends before this range"));
        };
        buf.copy_from_slice(found);
        if fault == Some(Fault::WrongBit) {
            let at = state.random.index(buf.len());
            buf[at] ^= 1 << state.random.below(8);
        }
        Ok(())
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let len = buf.len() as u64;
        let (mut state, fault) = self.begin(file, offset, len, Io::Write)?;
        if buf.is_empty() && fault.is_none() {
            return Ok(());
        }
        let Some(range) = range(offset, len) else {
            return Err(failure(StorageErrorKind::Full, file, offset, len, "beyond what this machine can address"));
        };
        let full = state.is_full(file, range.end as u64);
        let error = match fault {
            Some(Fault::Crash) => crashed(file, offset, len),
            Some(Fault::Error) => failure(StorageErrorKind::Other, file, offset, len, "simulated write error"),
            Some(Fault::Full) => failure(StorageErrorKind::Full, file, offset, len, "simulated full disk"),
            _ if full => failure(StorageErrorKind::Full, file, offset, len, "the simulated disk is full"),
            _ => {
                state.files[file as usize].change(Change::Write { offset, bytes: buf.to_vec() });
                return Ok(());
            }
        };
        if full {
            let room = state.room(file).saturating_sub(offset).min(len);
            state.write_partly(file, offset, &buf[..room as usize]);
        } else {
            state.write_partly(file, offset, buf);
        }
        Err(error)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        let state = self.lock();
        if state.crashed {
            return Err(crashed(file, 0, 0));
        }
        Ok(state.files[file as usize].visible.len() as u64)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        let (mut state, fault) = self.begin(file, 0, len, Io::Write)?;
        if range(len, 0).is_none() {
            return Err(failure(StorageErrorKind::Full, file, 0, len, "beyond what this machine can address"));
        }
        let full = state.is_full(file, len);
        let error = match fault {
            Some(Fault::Crash) => crashed(file, 0, len),
            Some(Fault::Error) => failure(StorageErrorKind::Other, file, 0, len, "simulated error"),
            Some(Fault::Full) => failure(StorageErrorKind::Full, file, 0, len, "simulated full disk"),
            _ if full => return Err(failure(StorageErrorKind::Full, file, 0, len, "the simulated disk is full")),
            _ => {
                state.files[file as usize].change(Change::Len(len));
                return Ok(());
            }
        };
        if !full && state.random.chance(1, 2) {
            state.files[file as usize].change(Change::Len(len));
        }
        Err(error)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        let (mut state, fault) = self.begin(file, 0, 0, Io::Sync)?;
        let changes = state.files[file as usize].changes();
        if !state.later {
            return state.sync(file, changes, fault).map(|()| Sync::Done);
        }
        let ticket = SyncTicket(state.next_ticket);
        state.next_ticket += 1;
        state.asked.push_back(Asked { ticket, file, changes, fails: fault == Some(Fault::Error) });
        if fault == Some(Fault::Crash) { Err(crashed(file, 0, 0)) } else { Ok(Sync::Pending(ticket)) }
    }

    fn name(&self) -> String {
        String::from("simulated disk")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Io {
    Read,
    Write,
    Sync,
}

impl State {
    fn meet(&mut self, io: Io, len: u64) -> Option<Fault> {
        let due = self.faults.first_entry().filter(|due| *due.key() <= self.io_count)?;
        let fault = *due.get();
        let concerns = match fault {
            Fault::Error | Fault::Slow => true,
            Fault::Full => io == Io::Write,
            Fault::WrongBit | Fault::ShortRead => io == Io::Read && len > 0,
            Fault::Crash => {
                self.crashed = true;
                true
            }
        };
        if concerns {
            self.faults.pop_first();
            let count = if fault == Fault::Slow { &mut self.slow_ios } else { &mut self.faults_met };
            *count += 1;
        }
        concerns.then_some(fault)
    }

    /// Makes the first so many changes of a file durable.
    fn sync(&mut self, file: FileId, changes: u64, fault: Option<Fault>) -> Result<(), StorageError> {
        let synced = &mut self.files[file as usize];
        match fault {
            Some(Fault::Crash) => {
                if self.random.chance(1, 2) {
                    synced.sync_first(changes);
                }
                Err(crashed(file, 0, 0))
            }
            Some(Fault::Error) => {
                self.failed_syncs += 1;
                power_loss::lose(synced, &mut self.random);
                Err(failure(StorageErrorKind::Other, file, 0, 0, "simulated sync error"))
            }
            _ => {
                synced.sync_first(changes);
                Ok(())
            }
        }
    }

    /// The power goes while syncs are under way: some of them, the oldest, have happened.
    fn complete_some(&mut self, random: &mut Random) {
        let asked: Vec<Asked> = self.left.drain(..).chain(self.asked.drain(..)).collect();
        let happened = random.index(asked.len() + 1);
        for Asked { file, changes, .. } in asked.into_iter().take(happened) {
            self.files[file as usize].sync_first(changes);
        }
    }

    /// How long `file` may become.
    fn room(&self, file: FileId) -> u64 {
        let other = &self.files[1 - file as usize];
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(other.visible.len() as u64))
    }

    fn is_full(&mut self, file: FileId, end: u64) -> bool {
        let full = end > self.room(file) && end > self.files[file as usize].visible.len() as u64;
        self.faults_met += u64::from(full);
        full
    }

    /// Does any part of a write that fails. It stays one write of its whole range: what a power loss may ruin lies around
    /// that, not around each part.
    fn write_partly(&mut self, file: FileId, offset: u64, buf: &[u8]) {
        let Self { files, random, .. } = self;
        let file = &mut files[file as usize];
        let parts = power_loss::torn(offset, buf, random);
        let Some((start, last)) = parts.last() else { return };
        let written_end = start + last.len() as u64;
        let end = (file.visible.len() as u64).clamp(written_end, offset + buf.len() as u64);
        let mut bytes = file.visible.get(offset as usize..).unwrap_or(&[]).to_vec();
        bytes.resize((end - offset) as usize, 0);
        for (start, part) in parts {
            let at = (start - offset) as usize;
            bytes[at..at + part.len()].copy_from_slice(part);
        }
        file.change(Change::Write { offset, bytes });
    }
}

impl SimFile {
    /// A file that durably holds these bytes.
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self { visible: bytes.clone(), durable: bytes, ..Self::default() }
    }

    /// The file as reads see it.
    pub fn visible(&self) -> &[u8] {
        &self.visible
    }

    /// Whether everything is durable.
    pub fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// Replaces the file by what may be found when the machine starts again.
    pub fn lose_power(&mut self, random: &mut Random) {
        power_loss::lose(self, random);
        self.visible.clone_from(&self.durable);
    }

    /// Writes, or sets the length; not durable before [`sync`](Self::sync).
    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.visible);
        self.unsynced.push(change);
    }

    /// Makes every change so far durable.
    pub fn sync(&mut self) {
        self.sync_first(self.changes());
    }

    /// Changes so far, from the first on.
    fn changes(&self) -> u64 {
        self.settled + self.unsynced.len() as u64
    }

    /// Makes the first so many changes durable.
    fn sync_first(&mut self, changes: u64) {
        let now = changes.saturating_sub(self.settled).min(self.unsynced.len() as u64);
        self.settled += now;
        for change in self.unsynced.drain(..now as usize) {
            change.apply(&mut self.durable);
        }
    }

    /// Shows what is really stored: durable bytes and the writes still on their way.
    fn drop_cache(&mut self) {
        self.visible.clone_from(&self.durable);
        for change in &self.unsynced {
            change.apply(&mut self.visible);
        }
    }
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                let start = *offset as usize;
                let end = start + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[start..end].copy_from_slice(bytes);
            }
            Change::Len(len) => image.resize(*len as usize, 0),
        }
    }
}

fn range(offset: u64, len: u64) -> Option<std::ops::Range<usize>> {
    // A simulated file of more than 16 GiB is a mistake of the test, not a file.
    let end = offset.checked_add(len).filter(|end| *end <= 1 << 34)?;
    Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
}

fn failure(kind: StorageErrorKind, file: FileId, offset: u64, len: u64, message: &str) -> StorageError {
    StorageError::new(kind, file, offset, len, message)
}

fn crashed(file: FileId, offset: u64, len: u64) -> StorageError {
    failure(StorageErrorKind::Other, file, offset, len, CRASH_MESSAGE)
}
