//! A file that is filled piece by piece: made by a thread of its own, written by whoever asked for it, synced by another.
//!
//! **Who waits for whom.** Making takes a processor for as long as it lasts, and where writers and background work leave none
//! over it would be theirs. So the thread that makes stands behind them (`env/priority.rs`). It holds no lock over what takes
//! long, so nobody waits for it. Writing and syncing have the caller's priority: in the kernel others may wait for those. And those
//! who commit wait for the disk, which is left to them for most of the time (`stand_aside.rs`).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::Duration;
use std::vec::Vec;

use super::file_syncs::{Asking, FileSyncs};
use super::partial::{Partial, failed};
use super::pieces::{Pieces, REST_MAX};
use super::stand_aside::StandAside;
use crate::env::{Stop, stand_behind};
use crate::error::{Error, Result};

/// Pieces that are made and not written yet, at most, beside one on either side.
const WAITING_MAX: usize = 4;

/// A file that is being written piece by piece. After an error it goes on with what was not written.
pub(super) struct Filling {
    partial: Option<Partial>,
    /// Of the caller's and of the thread that syncs.
    file: Arc<File>,
    /// Bytes of it that are right.
    written: u64,
    /// Of those, bytes that were synced or are being.
    synced: u64,
    /// A sync failed: of what was written before nobody knows what is stored, and later syncs succeed without it.
    is_lost: bool,
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
        let (partial, file) = (Some(partial), Arc::new(file));
        Ok(Self { partial, file, written: 0, synced: 0, is_lost: false, pieces: VecDeque::new(), more: true })
    }

    /// Writes all of it, telling how far it is after each step, and gives the file its name.
    pub(super) fn fill<P: Pieces + Send>(&mut self, pieces: &mut P, told: &mut dyn FnMut(&P::State)) -> Result<()> {
        let Some(path) = self.partial.as_ref().map(|partial| partial.path().to_owned()) else { return Ok(()) };
        if self.is_lost {
            return Err(Error::invalid(std::format!(
                "'{}' was not synced, and what is missing of it cannot be told; begin anew",
                path.display()
            )));
        }
        let (made, synced) = self.make_and_write(pieces, told, &path);
        let synced = synced.inspect_err(|_| self.is_lost = true);
        made.and(synced.map_err(|error| failed(&error, &path)))?;
        if let Some(head) = pieces.head() {
            let written = (&*self.file).rewind().and_then(|()| (&*self.file).write_all(head));
            written.map_err(|error| failed(&error, &path))?;
        }
        let synced = self.file.sync_all().inspect_err(|_| self.is_lost = true);
        synced.map_err(|error| failed(&error, &path))?;
        self.partial.take().map_or(Ok(()), Partial::finish)
    }

    /// How that went, and how the syncs did.
    fn make_and_write<P: Pieces + Send>(
        &mut self,
        pieces: &mut P,
        told: &mut dyn FnMut(&P::State),
        path: &Path,
    ) -> (Result<()>, io::Result<()>) {
        let file = Arc::clone(&self.file);
        let (give, made) = sync_channel(WAITING_MAX);
        let syncs = &FileSyncs::default();
        let (is_over, stop) = (&AtomicBool::new(false), Stop::current());
        let mut aside = StandAside::new(pieces.log_syncs());
        let of_syncer = aside.clone();
        thread::scope(|scope| {
            let asking = syncs.asking();
            let spawned = spawn(scope, move || syncs.run(&file, of_syncer)).and_then(|syncer| {
                let maker = move || {
                    let _entered = stop.as_ref().map(Stop::enter);
                    stand_behind();
                    make(pieces, is_over, &give);
                };
                self.more.then(|| spawn(scope, maker)).transpose().map(|_| syncer)
            });
            let syncer = match spawned {
                Ok(syncer) => syncer,
                Err(error) => return (Err(failed(&error, path)), Ok(())),
            };
            let mut written = self.write_waiting(&asking, &mut aside, path);
            if written.is_ok() {
                written = made.iter().try_for_each(|made| {
                    let state = self.keep(made?);
                    self.write_waiting(&asking, &mut aside, path)?;
                    told(&state);
                    Error::if_cancelled()
                });
            }
            is_over.store(true, Ordering::Relaxed);
            // What was made meanwhile is made once.
            for made in made.iter().flatten() {
                self.keep(made);
            }
            drop(asking);
            (written, syncer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    fn keep<S>(&mut self, made: Made<S>) -> S {
        self.pieces.push_back(made.piece);
        self.more = made.more;
        made.state
    }

    fn write_waiting(
        &mut self,
        asking: &Asking<'_>,
        aside: &mut StandAside<impl Fn() -> u64>,
        path: &Path,
    ) -> Result<()> {
        while let Some(piece) = self.pieces.front() {
            // Of one that failed nobody knows how much is there.
            let written =
                (&*self.file).seek(SeekFrom::Start(self.written)).and_then(|_| (&*self.file).write_all(piece));
            written.map_err(|error| failed(&error, path))?;
            self.written += piece.len() as u64;
            self.pieces.pop_front();
            if self.written - self.synced >= aside.bytes_at_once() {
                self.synced = self.written;
                asking.sync();
            }
        }
        Ok(())
    }
}

fn spawn<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    run: impl FnOnce() -> T + Send + 's,
) -> io::Result<ScopedJoinHandle<'s, T>> {
    Builder::new().name("lightning-backup".into()).spawn_scoped(scope, run)
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

        fn log_syncs(&self) -> impl Fn() -> u64 + Clone + Send + 'static {
            || 0
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
        filling.file = Arc::new(File::open(&partial).unwrap());
        for _ in 0..2 {
            assert!(filling.fill(&mut pieces, &mut |_| {}).is_err());
            assert!(partial.exists() && !to.exists());
        }
        filling.file = Arc::new(File::options().write(true).open(&partial).unwrap());
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

    /// Writes go nowhere, and syncs fail.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_not_synced_is_not_gone_on_with() {
        let folder = std::env::temp_dir().join(std::format!("lightning-unsynced-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let to = folder.join("whole");
        let mut pieces = Numbers { next: 0, fails: false, made: Vec::new() };
        let mut filling = Filling::create(&to).unwrap();
        let nowhere = File::options().write(true).open("/dev/null").unwrap();
        let file = std::mem::replace(&mut filling.file, Arc::new(nowhere));
        assert!(matches!(filling.fill(&mut pieces, &mut |_| {}), Err(Error::Storage(_))));
        filling.file = file;
        assert!(matches!(filling.fill(&mut pieces, &mut |_| {}), Err(Error::Invalid { .. })));
        assert!(!to.exists());
        drop(filling);
        fs::remove_dir_all(&folder).unwrap();
    }
}
