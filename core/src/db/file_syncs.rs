//! Syncs of a file while it is being written, by a thread of their own and one at a time.

use std::fs::File;
use std::io;
use std::thread;
use std::time::Instant;

use super::stand_aside::StandAside;
use crate::env::sync::{Condvar, Mutex};

/// What the one who writes and the thread that syncs know of each other.
#[derive(Default)]
pub(super) struct FileSyncs {
    state: Mutex<State>,
    changed: Condvar,
}

/// Asks for syncs; when it is dropped the thread ends with what was asked for.
pub(super) struct Asking<'s>(&'s FileSyncs);

#[derive(Default)]
struct State {
    /// A sync is due, or under way.
    asked: bool,
    /// No more are asked for.
    is_over: bool,
    /// The thread has ended.
    is_gone: bool,
}

impl Asking<'_> {
    /// Asks for a sync of what is written, when the one before is done and was rested after. Where one failed nobody listens: it
    /// is told in the end.
    pub(super) fn sync(&self) {
        let Self(syncs) = self;
        let mut state = syncs.state.lock();
        while state.asked && !state.is_gone {
            state = syncs.changed.wait(state);
        }
        state.asked = true;
        syncs.changed.notify_all();
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl FileSyncs {
    /// For the one who writes.
    pub(super) fn asking(&self) -> Asking<'_> {
        Asking(self)
    }

    /// The work of the thread, until no more are asked for or one fails.
    pub(super) fn run(&self, file: &File, mut aside: StandAside<impl Fn() -> u64>) -> io::Result<()> {
        let _gone = Gone(self);
        while self.is_asked() {
            let begun = Instant::now();
            file.sync_data()?;
            thread::sleep(aside.rest_after(begun.elapsed()));
            self.state.lock().asked = false;
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Waits until a sync is asked for; false when none will be.
    fn is_asked(&self) -> bool {
        let mut state = self.state.lock();
        while !state.asked && !state.is_over {
            state = self.changed.wait(state);
        }
        state.asked
    }
}

/// Whoever asks waits for nobody who is gone.
struct Gone<'s>(&'s FileSyncs);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_gone = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_synced_and_whoever_asks_does_not_wait_for_one_that_failed() {
        let path = std::env::temp_dir().join(std::format!("lightning-syncs-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let syncs = FileSyncs::default();
        thread::scope(|scope| {
            let thread = scope.spawn(|| syncs.run(&file, StandAside::new(|| 0)));
            let asking = syncs.asking();
            (0..5).for_each(|_| asking.sync());
            drop(asking);
            thread.join().unwrap().unwrap();
        });
        std::fs::remove_file(&path).unwrap();
        if cfg!(target_os = "linux") {
            let nowhere = File::options().write(true).open("/dev/null").unwrap();
            let syncs = FileSyncs::default();
            thread::scope(|scope| {
                let thread = scope.spawn(|| syncs.run(&nowhere, StandAside::new(|| 0)));
                let asking = syncs.asking();
                (0..5).for_each(|_| asking.sync());
                thread.join().unwrap().unwrap_err();
            });
        }
    }
}
