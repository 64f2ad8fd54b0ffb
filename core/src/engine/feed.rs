//! What change feeds ask of the engine: which commits the log holds, and which history they belong to.
//!
//! **Architecture invariant:** a feed gives what snapshots see, never more: the log is read up to the visible sequence, and
//! what a position names is compared with the incarnations that led here.

use alloc::vec::Vec;

use super::record::Ancestor;
use super::state::{Engine, Stopped};
use crate::codec::cipher::Envelope;
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::increment::{Encoder, Place};
use crate::log::{Follower, KnownSegment, Log};
use crate::testing::Mutant;

/// Whose log this is. Set when the database is opened.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub database_id: [u8; 16],
    pub segment_bytes: u32,
    pub incarnation: u64,
    /// This opening has begun it.
    pub is_new: bool,
    /// Those before it, oldest first.
    pub ancestors: Vec<Ancestor>,
}

impl History {
    /// Whether a reader that has seen commit `sequence` of `incarnation` has seen only what led here, up to `newest`.
    fn require_part(&self, incarnation: u64, sequence: u64, newest: u64) -> Result<()> {
        let at = Place { incarnation, sequence };
        require_part(at, self.incarnation, self.ancestors.iter().map(|one| (one.incarnation, one.left_at)), newest)
    }
}

/// That a commit is part of a history: of an incarnation, those before it (oldest first, each with the commit at which it was
/// left), up to `newest`.
pub(crate) fn require_part(
    at: Place,
    incarnation: u64,
    ancestors: impl Iterator<Item = (u64, u64)>,
    newest: u64,
) -> Result<()> {
    let common = if at.incarnation == incarnation || Mutant::ForkUnnoticed.is_active() {
        Some(newest)
    } else {
        ancestors.skip_while(|&(ancestor, _)| ancestor != at.incarnation).map(|(_, left_at)| left_at).min()
    };
    match common {
        Some(common) if at.sequence <= common => Ok(()),
        common => Err(Error::HistoryForked { sequence: at.sequence, common }),
    }
}

/// Where a feed is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowFrom {
    /// With the next commit.
    Now,
    /// With the oldest commit there is.
    Oldest,
    /// After this commit of this incarnation.
    After { incarnation: u64, sequence: u64 },
}

impl Engine {
    /// An incarnation of which commit `sequence` is a part. One that opening has begun, and that is not durable yet, is
    /// not told: after a crash nobody would know it.
    pub(crate) fn incarnation_of(&self, sequence: u64) -> u64 {
        let History { incarnation, ancestors, is_new, .. } = &self.history;
        match ancestors.last() {
            Some(parent) if *is_new && sequence <= parent.left_at && self.is_opening() => parent.incarnation,
            _ => *incarnation,
        }
    }

    /// The incarnation, and those before it with the commits at which they were left.
    pub(crate) fn history(&self) -> crate::increment::History {
        let History { incarnation, ancestors, .. } = &self.history;
        crate::increment::History {
            incarnation: *incarnation,
            ancestors: ancestors.iter().map(|one| (one.incarnation, one.left_at)).collect(),
        }
    }

    #[cfg(feature = "std")]
    /// That this commit is one of those up to the newest.
    pub(crate) fn require_part_of_history(&self, at: Place) -> Result<()> {
        self.history.require_part(at.incarnation, at.sequence, self.version().sequence)
    }

    /// Of this database, drawn when it was made.
    pub(crate) fn database_id(&self) -> &[u8; 16] {
        &self.history.database_id
    }

    /// The commit of another history that this one goes on after, where it is the newest: a copy to which nothing was written.
    pub(crate) fn copied_from(&self) -> Option<(u64, u64)> {
        let parent = self.history.ancestors.last()?;
        (parent.left_at == self.version().sequence).then_some((parent.incarnation, parent.left_at))
    }

    /// The newest commit that a feed may give.
    pub(crate) fn followable(&self) -> u64 {
        if Mutant::FeedBeforeVisible.is_active() {
            return self.writer.lock().appended;
        }
        self.version().sequence
    }

    /// A reader of the log, and the commit it begins after. `None` where there is nothing to read, now or later.
    pub(crate) fn follow(&self, from: FollowFrom) -> Result<(Option<Follower>, u64)> {
        let writer = self.writer.lock();
        let newest = self.version().sequence;
        let segments: Vec<KnownSegment> = writer.log.iter().flat_map(Log::followed).collect();
        let oldest = segments.first().map_or(newest, |segment| segment.sequence.min(newest));
        let after = match from {
            FollowFrom::Now => newest,
            FollowFrom::Oldest => oldest,
            FollowFrom::After { incarnation, sequence } => {
                self.history.require_part(incarnation, sequence, newest)?;
                sequence
            }
        };
        if after < oldest {
            return Err(Error::NoLongerKept { oldest: oldest + 1, asked: after + 1 });
        }
        let Some(log) = writer.log.as_ref() else { return Ok((None, after)) };
        let History { database_id, segment_bytes, .. } = self.history;
        if log.position().sequence == after {
            return Ok((Some(Follower::at_end(database_id, segment_bytes, log.position())), after));
        }
        Ok((Follower::new(database_id, segment_bytes, &segments, after), after))
    }

    /// The commit after `after` is not in the log segment of `generation`, at `offset`: a reader that finds it elsewhere, or
    /// why there is none.
    pub(crate) fn follow_again(&self, generation: u64, offset: u64, after: u64) -> Result<Follower> {
        let writer = self.writer.lock();
        if let Some(stopped) = writer.stopped.as_ref().filter(|stopped| stopped.is_closed()) {
            return Err(stopped.error());
        }
        let segments: Vec<KnownSegment> = writer.log.iter().flat_map(Log::followed).collect();
        if segments.iter().any(|segment| segment.generation == generation) {
            return Err(Error::corrupt(FileId::Log, offset, alloc::format!("commit {} is damaged", after + 1)));
        }
        let History { database_id, segment_bytes, .. } = self.history;
        Follower::new(database_id, segment_bytes, &segments, after).ok_or_else(|| {
            let oldest = segments.first().map_or_else(|| self.version().sequence, |segment| segment.sequence);
            Error::NoLongerKept { oldest: oldest + 1, asked: after + 1 }
        })
    }

    /// Begins an increment that goes on after `after`.
    pub(crate) fn increment_encoder(&self, after: Place) -> Encoder {
        let id = self.database_id();
        #[cfg(feature = "encryption")]
        if let Envelope::Sealed(cipher) = &self.nodes.seal().envelope
            && let Some(block) = &self.work.lock().superblock.key_block
        {
            // All of it is to be opened by what stands in its header.
            let cipher = alloc::sync::Arc::new(cipher.apart(&*self.env.entropy));
            return Encoder::sealed(id, after, &self.history(), &cipher, &block.keys);
        }
        Encoder::new(id, after, &self.history())
    }

    /// What a commit does, of the payload that its frames hold.
    pub(crate) fn opened_payload(&self, sequence: u64, payload: Vec<u8>, offset: u64) -> Result<Vec<u8>> {
        let _ = (sequence, offset);
        match &self.nodes.seal().envelope {
            Envelope::Plain => Ok(payload),
            #[cfg(feature = "encryption")]
            Envelope::Sealed(cipher) => crate::log::open_payload(cipher, None, sequence, &payload).ok_or_else(|| {
                let what = alloc::format!("commit {sequence}: it is not what was sealed");
                Error::corrupt(FileId::Log, offset, what)
            }),
        }
    }

    /// Why there will be no more commits, if there will not.
    pub(crate) fn why_stopped(&self) -> Option<Error> {
        match &self.writer.lock().stopped {
            Some(stopped @ Stopped::Poisoned(_)) => Some(stopped.error()),
            Some(stopped @ Stopped::Closed) => Some(stopped.error()),
            #[cfg(feature = "std")]
            Some(stopped @ Stopped::ShutDown) => Some(stopped.error()),
            Some(Stopped::Closing | Stopped::ReadOnly) | None => None,
            #[cfg(feature = "std")]
            Some(Stopped::Suspended) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_part_of_history_up_to_where_its_incarnation_was_left() {
        let ancestors = [(1, 10), (2, 10), (3, 30)];
        let history = History {
            database_id: [0; 16],
            segment_bytes: 0,
            incarnation: 4,
            is_new: false,
            ancestors: ancestors.map(|(incarnation, left_at)| Ancestor { incarnation, left_at }).to_vec(),
        };
        let check = |incarnation, sequence| match history.require_part(incarnation, sequence, 50) {
            Ok(()) => Ok(()),
            Err(Error::HistoryForked { common, .. }) => Err(common),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(check(4, 50), Ok(()));
        assert_eq!(check(4, 51), Err(Some(50)), "files put back");
        assert_eq!([check(3, 30), check(3, 31)], [Ok(()), Err(Some(30))]);
        assert_eq!([check(1, 10), check(1, 11)], [Ok(()), Err(Some(10))]);
        assert_eq!([check(2, 9), check(2, 11)], [Ok(()), Err(Some(10))]);
        assert_eq!(check(9, 1), Err(None), "nobody knows where that one was left");
    }
}
