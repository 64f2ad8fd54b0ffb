//! Reading commits from the log one after the other, as whoever follows a database does.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::engine::{Engine, FollowFrom};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::{Followed, Follower, Preamble};

/// A commit as it is in the log.
#[derive(Debug)]
pub(super) struct Logged {
    pub sequence: u64,
    pub payload: Vec<u8>,
    /// Where in the log file, for messages.
    pub offset: u64,
}

impl Logged {
    /// What it begins with, and its operations.
    pub(super) fn split(&self) -> Result<(Preamble, &[u8])> {
        Preamble::split(&self.payload).ok_or_else(|| {
            let what = format!("commit {}: its payload does not begin as one does", self.sequence);
            Error::corrupt(FileId::Log, self.offset, what)
        })
    }
}

/// Where a reader of the log stands, and where it goes on when the log is written on.
#[derive(Debug)]
pub(super) struct CommitReader {
    follower: Option<Follower>,
    /// The last commit that was taken in, or the one that all begins after. Whoever reads says so.
    pub sequence: u64,
    /// Commits up to here were visible when that was last asked.
    until: u64,
}

impl CommitReader {
    pub(super) fn new(engine: &Arc<Engine>, from: FollowFrom) -> Result<Self> {
        let (follower, sequence) = engine.follow(from)?;
        Ok(Self { follower, sequence, until: sequence })
    }

    /// The commit after [`sequence`](Self::sequence); `None` until there is one. [`Error::Closed`] and [`Error::Poisoned`] when
    /// there will not be any.
    pub(super) fn read(&mut self, engine: &Engine) -> Result<Option<Logged>> {
        let Some(follower) = &mut self.follower else { return Ok(None) };
        loop {
            if self.sequence >= self.until {
                self.until = engine.followable();
            }
            match follower.next(engine.storage(), self.until) {
                Ok(Followed::Commit { sequence, payload, offset }) => {
                    let payload = engine.opened_payload(sequence, payload, offset)?;
                    return Ok(Some(Logged { sequence, payload, offset }));
                }
                Ok(Followed::End) => {
                    let Some(why) = engine.why_stopped() else { return Ok(None) };
                    // Before it stopped more may have become visible.
                    let newest = engine.followable();
                    if newest <= self.until {
                        return Err(why);
                    }
                    self.until = newest;
                }
                Ok(Followed::Lost { generation, offset }) => {
                    *follower = engine.follow_again(generation, offset, self.sequence)?;
                }
                Err(error) if error.not_resident().is_some() => return Err(error),
                // The file may have been cut or emptied under the reading.
                Err(error) => match engine.why_stopped() {
                    Some(closed @ Error::Closed) => return Err(closed),
                    _ => return Err(error),
                },
            }
        }
    }
}
