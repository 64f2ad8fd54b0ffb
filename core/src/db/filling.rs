//! A file that is filled piece by piece: made by a thread of its own, written by whoever asked for it.
//!
//! **Who waits for whom.** Making takes a processor for as long as it lasts, and where writers and background work leave none
//! over it would be theirs. So the thread that makes stands behind them (`env/priority.rs`). It holds no lock over what takes
//! long, so nobody waits for it. Writing and syncing stay with the caller's thread: in the kernel others may wait for those.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use super::backup_files::REST_MAX;
use super::partial::{Partial, failed};
use super::pieces::Pieces;
use crate::env::{Stop, stand_behind};
use crate::error::{Error, Result};

/// Pieces that are made and not written yet, at most, beside one on either side.
const WAITING_MAX: usize = 3;
/// Bytes that are left to the system to write before it is made to. What waits there stands before the log's next sync.
const UNSYNCED_BYTES_MAX: u64 = 16 << 20;

/// A file that is being written piece by piece. After an error it goes on with what was not written.
pub(super) struct Filling {
    partial: Option<Partial>,
    file: File,
    /// Bytes of it that are right.
    written: u64,
    /// Of those, bytes that were synced.
    synced: u64,
    /// What comes next.
    pieces: VecDeque<Vec<u8>>,
    /// There are more pieces than those.
    more: bool,
}

/// What came of one step.
struct Made<S> {
    piece: Vec<u8>,
    more: bool,
    state: S,
}

impl Filling {
    /// A new file, as [`Partial::create`].
    pub(super) fn create(to: &Path) -> Result<Self> {
        let (partial, file) = Partial::create(to)?;
        Ok(Self { partial: Some(partial), file, written: 0, synced: 0, pieces: VecDeque::new(), more: true })
    }

    /// Writes all of it, telling how far it is after each step, and gives the file its name.
    pub(super) fn fill<P: Pieces + Send>(&mut self, pieces: &mut P, told: &mut dyn FnMut(&P::State)) -> Result<()> {
        if self.partial.is_none() {
            return Ok(());
        }
        self.write_waiting()?;
        if self.more {
            self.make_and_write(pieces, told)?;
        }
        let Some(partial) = &self.partial else { return Ok(()) };
        if let Some(head) = pieces.head() {
            let written = self.file.rewind().and_then(|()| self.file.write_all(head));
            written.map_err(|error| failed(&error, partial.path()))?;
        }
        self.file.sync_all().map_err(|error| failed(&error, partial.path()))?;
        self.partial.take().map_or(Ok(()), Partial::finish)
    }

    fn make_and_write<P: Pieces + Send>(&mut self, pieces: &mut P, told: &mut dyn FnMut(&P::State)) -> Result<()> {
        let (give, made) = sync_channel(WAITING_MAX);
        let (is_over, stop) = (AtomicBool::new(false), Stop::current());
        thread::scope(|scope| {
            let maker = thread::Builder::new().name("lightning-backup".into());
            let is_over = &is_over;
            let spawned = maker.spawn_scoped(scope, move || {
                let _entered = stop.map(|stop| stop.enter());
                stand_behind();
                make(pieces, is_over, &give);
            });
            spawned.map_err(|error| failed(&error, Path::new("a thread for the backup")))?;
            let result = made.iter().try_for_each(|made| self.write_made(made, told));
            // What was made meanwhile is there once.
            is_over.store(true, Ordering::Relaxed);
            for made in made.iter().flatten() {
                self.keep(made);
            }
            result
        })
    }

    fn write_made<S>(&mut self, made: Result<Made<S>>, told: &mut dyn FnMut(&S)) -> Result<()> {
        let state = self.keep(made?);
        self.write_waiting()?;
        told(&state);
        Error::if_cancelled()
    }

    fn keep<S>(&mut self, made: Made<S>) -> S {
        self.pieces.push_back(made.piece);
        self.more = made.more;
        made.state
    }

    fn write_waiting(&mut self) -> Result<()> {
        let Some(partial) = &self.partial else { return Ok(()) };
        while let Some(piece) = self.pieces.front() {
            // Of one that failed nobody knows how much is there.
            let written = self.file.seek(SeekFrom::Start(self.written)).and_then(|_| self.file.write_all(piece));
            written.map_err(|error| failed(&error, partial.path()))?;
            self.written += piece.len() as u64;
            self.pieces.pop_front();
            if self.written - self.synced >= UNSYNCED_BYTES_MAX {
                self.file.sync_data().map_err(|error| failed(&error, partial.path()))?;
                self.synced = self.written;
            }
        }
        Ok(())
    }
}

/// Makes pieces and gives them away until all are made, one could not be, or it is over.
fn make<P: Pieces>(pieces: &mut P, is_over: &AtomicBool, give: &SyncSender<Result<Made<P::State>>>) {
    let mut more = true;
    while more && !is_over.load(Ordering::Relaxed) {
        let step = rest(pieces, is_over).and_then(|()| pieces.go_on());
        let made = step.map(|more| Made { piece: pieces.take_made(), more, state: pieces.state() });
        more = made.as_ref().is_ok_and(|made| made.more);
        if give.send(made).is_err() {
            return;
        }
    }
}

/// Waits until the next step is allowed, unless it is over.
fn rest<P: Pieces>(pieces: &P, is_over: &AtomicBool) -> Result<()> {
    loop {
        Error::if_cancelled()?;
        match Duration::from_nanos(pieces.rest_ns()) {
            rest if rest.is_zero() || is_over.load(Ordering::Relaxed) => return Ok(()),
            rest => thread::sleep(rest.min(REST_MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::env::beside;

    /// Ten pieces, of which the fourth cannot be made at first.
    struct Numbers {
        next: u8,
        fails: bool,
        made: Vec<u8>,
    }

    impl Pieces for Numbers {
        type State = u8;

        fn state(&self) -> u8 {
            self.next
        }

        fn go_on(&mut self) -> Result<bool> {
            if self.next == 3 && core::mem::take(&mut self.fails) {
                return Err(Error::invalid("not now"));
            }
            self.made.extend([self.next; 1000]);
            self.next += 1;
            Ok(self.next < 10)
        }

        fn take_made(&mut self) -> Vec<u8> {
            core::mem::take(&mut self.made)
        }
    }

    #[test]
    fn what_could_not_be_made_or_written_is_gone_on_with() {
        let folder = std::env::temp_dir().join(std::format!("lightning-partial-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let to = folder.join("whole");
        let mut pieces = Numbers { next: 0, fails: true, made: Vec::new() };
        let mut filling = Filling::create(&to).unwrap();
        assert!(filling.fill(&mut pieces, &mut |_| {}).is_err());
        // A file that takes nothing, as on a full disk.
        let partial = beside(&to, "-partial");
        filling.file = File::open(&partial).unwrap();
        for _ in 0..2 {
            assert!(filling.fill(&mut pieces, &mut |_| {}).is_err());
            assert!(partial.exists() && !to.exists());
        }
        filling.file = File::options().write(true).open(&partial).unwrap();
        filling.fill(&mut pieces, &mut |_| {}).unwrap();
        let expected: Vec<u8> = (0..10).flat_map(|number| [number; 1000]).collect();
        assert_eq!(fs::read(&to).unwrap(), expected);
        assert!(!partial.exists());
        // Done is done.
        filling.fill(&mut pieces, &mut |_| {}).unwrap();

        let other = folder.join("other");
        drop(Filling::create(&other).unwrap());
        assert!(!beside(&other, "-partial").exists() && !other.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
