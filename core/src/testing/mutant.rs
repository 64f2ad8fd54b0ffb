//! Deliberate bugs of the engine: each breaks one rule of its design, so that the tests can show that they would notice.
//!
//! At the place where a rule is kept one line asks whether the mutant that breaks it is active. Without the feature `testing`
//! the answer is a constant, and nothing of this is left in the program.

/// Declares the mutants: what each does wrong, and the rule it breaks.
macro_rules! mutants {
    (
        $(#[doc = $what:literal] $name:ident: $rule:literal,)+
        noticed by threads alone:
        $(#[doc = $thread_what:literal] $thread_name:ident: $thread_rule:literal,)+
    ) => {
        /// One deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "some rules are kept only with `std`"))]
        pub enum Mutant {
            $(#[doc = $what] $name,)+
            $(#[doc = $thread_what] $thread_name,)+
        }

        #[cfg(feature = "testing")]
        impl Mutant {
            /// Every one, but for those of [`OF_THREADS`](Self::OF_THREADS).
            pub const ALL: &[Self] = &[$(Self::$name,)+];
            /// Those that harm only where threads wait for each other: found by trying the orders of threads.
            pub const OF_THREADS: &[Self] = &[$(Self::$thread_name,)+];

            /// The name of the variant.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                    $(Self::$thread_name => stringify!($thread_name),)+
                }
            }

            /// What it does wrong.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what.trim_ascii(),)+
                    $(Self::$thread_name => $thread_what.trim_ascii(),)+
                }
            }

            /// The rule it breaks.
            pub fn rule(self) -> &'static str {
                match self {
                    $(Self::$name => $rule,)+
                    $(Self::$thread_name => $thread_rule,)+
                }
            }
        }
    };
}

mutants! {
    /// A new data key seals before the superblocks that bring it are durable.
    NewKeyBeforeItsSlot: "a data key is in both superblocks before anything is sealed under it",
    /// The old data key is forgotten as soon as the base is sealed anew.
    OldKeyForgottenEarly: "the old data key stays until nothing sealed under it is read",
    /// Values in extents of their own are not sealed anew.
    ValueNotSealedAnew: "everything is sealed anew before the old data key is forgotten",
    /// Values that were begun before a new data key are not waited for.
    ValueInFlightForgotten: "values sealed before are in the trees before these are sealed anew",
    /// The segment that a new data key begins is not synced before checkpoints lead there.
    NewSegmentNotSynced: "a segment of the log is durable before a checkpoint names a place in it",
    /// Space that held what was sealed under the old data key is given out, and left, as it is.
    StaleSpaceUnwiped: "nothing in the files opens under a data key that was forgotten",
    /// A commit is acknowledged without a sync of the log.
    CommitNotSynced: "append, apply, sync, publish, acknowledge",
    /// A memtable is merged while its log is not yet durable.
    MergedBeforeLogSync: "the log is durable before a node that holds its changes is written",
    /// A value in an extent of its own is not synced before the frame that refers to it.
    ValuesNotSynced: "a commit's values are durable before the frame that refers to them",
    /// A commit is visible before it is durable.
    VisibleBeforeDurable: "append, apply, sync, publish, acknowledge",
    /// What a failed append wrote stays.
    FailedAppendLeft: "a failed append is overwritten before anything else is acknowledged",
    /// An append writes only the new bytes of its first sector.
    SyncedBytesAtRisk: "a write covers whole sectors from its first byte on, with what was in them unchanged",
    /// The checksum of a frame's header is not compared.
    FrameHeaderUnverified: "a frame's checksum covers database, generation, offset and header",
    /// The checksum of a frame's body is not compared.
    FrameBodyUnverified: "a torn frame is not a frame",
    /// The checksum of the frame before is not compared.
    ChainUnverified: "a frame names the frame before, so that another history's is none",
    /// The log is cut behind a commit's first frame instead of before it.
    CutInsideCommit: "a commit without its last frame is cut off whole",
    /// A change feed reads what is appended but not yet visible.
    FeedBeforeVisible: "a feed gives what snapshots see, never more",
    /// A change feed does not compare incarnations.
    ForkUnnoticed: "a reader that saw commits which a power loss took back is told so",
    /// The log is written anew whatever the archive lacks.
    LogNotKeptForArchive: "the log stays until the archive has it",
    /// A value that was overwritten makes room for others before the archive has it.
    ArchiveNotWaitedFor: "the space of an overwritten value is given out again when the archive has its commit",
    /// What a named snapshot reads is given out again.
    NamedSnapshotNotPinned: "what was freed since a named snapshot was made stays while it exists",
    /// An archive that gets nowhere holds log and values without end.
    ArchiveUnbounded: "what stays for the archive alone is bounded, and beyond that there is a gap",
    /// A piece of an archive counts as archived before its sink has said so.
    PieceBelievedEarly: "only a piece that has its name is archived",
    /// Frames do not say what was durable.
    DurableNotTold: "every frame says the highest sequence that was durable",
    /// The log is cut at a damaged frame whatever lies behind it.
    DurableCommitsCut: "a torn tail is told from a damaged middle",
    /// The checkpoint after a recovery names the place where the log was cut, and new commits are appended elsewhere.
    AppendedBehindCut: "after a cut the log goes on in a segment that a checkpoint names",
    /// The first commit after a clean close does not wait for the superblock that says that the log is needed.
    CommitBeforeMark: "before the first write a superblock that says that the log is needed is durable",
    /// The new beginning of the log is not durable before a superblock names it.
    LogStartNotSynced: "the log's new beginning is durable before a superblock names it",
    /// The checkpoint after a recovery forgets what was replayed.
    ReplayedLogForgotten: "recovery seals what it replayed in the checkpoint record",
    /// Recovery builds on what it has read without writing it again.
    FoundNotWrittenAgain: "what recovery builds on is durable before a checkpoint does",
    /// After a recovery the sequences of what was replayed are given again.
    SequenceGivenAgain: "a sequence is given once",
    /// Values that only the log names are not reserved by recovery.
    LoggedValuesUnreserved: "replay reserves the extents that the log names first",
    /// A superblock that says the log is not needed is believed although a newer one may be lost.
    CleanSuperblockBelieved: "a clean superblock is believed only if nothing can have come after it",
    /// The superblock is written without syncing what it refers to.
    SuperblockBeforeData: "checkpoint order: sync data, then the superblock",
    /// What a checkpoint frees is reused before its superblock is durable.
    SuperblockNotSynced: "checkpoint order: superblock, sync, then reuse",
    /// Every checkpoint is written to the same slot.
    NewestSuperblockOverwritten: "a checkpoint is written to the slot of the older one",
    /// Log is reused as soon as its commits are merged.
    LogReusedWhenMerged: "a segment is reused after a checkpoint has what was in it",
    /// Log is reused one checkpoint too early.
    LogReusedEarly: "what a checkpoint frees is reused after the next one is durable: segments",
    /// Extents are reused one checkpoint too early.
    ExtentReusedEarly: "what a checkpoint frees is reused after the next one is durable: extents",
    /// Extents are reused although a snapshot reads them.
    SnapshotNotPinned: "a freed extent is pinned by every snapshot between its birth and its end",
    /// An expired snapshot goes on reading.
    ExpiredSnapshotReads: "what an expired snapshot refers to is given out again, so it reads nothing any more",
    /// What an expired snapshot refers to is given out again while a read of it is under way.
    ExpiredUnderReader: "an expired state is kept until no read is inside",
    /// A value is given back at once when its record is replaced.
    ValueFreedAtOnce: "values are freed as nodes are",
    /// A space map that is made again has forgotten what waits to be reused.
    RebuiltWithoutPending: "what is used is what the trees, the record and what waits to be reused refer to",
    /// The nodes that a merge replaced are never given back.
    ExtentLeaked: "reachable + pending = in use",
    /// Values overwritten while in a memtable are never given back.
    DeadValueLeaked: "reachable + pending = in use: values",
    /// What unfinished jobs have written counts as in use in a checkpoint.
    UnfinishedJobCounted: "a checkpoint's map leaves out what nothing refers to yet",
    /// A checkpoint says the log goes on at its end, not after what was merged.
    LogPositionTooFar: "a checkpoint holds the place after its last merged commit",
    /// A memtable goes into the trees without its last record.
    LastRecordNotFlushed: "what the log lets go of is in the trees",
    /// The run made of a memtable has no tombstones.
    TombstoneNotFlushed: "only the bottom layer drops tombstones: flush",
    /// The merge of runs drops tombstones.
    TombstoneDroppedAmongRuns: "only the bottom layer drops tombstones: merge of runs",
    /// The run made of a memtable has no deleted ranges.
    IntervalNotFlushed: "deleted ranges hide what lies in lower layers: flush",
    /// The merge of runs loses deleted ranges.
    IntervalLostAmongRuns: "deleted ranges hide what lies in lower layers: merge of runs",
    /// A memtable goes into the base under a run that has changes in the same range.
    DenseUnderRun: "layer invariant: dense changes go into the base only where no run has any",
    /// A new run is placed below the older ones.
    NewRunBelow: "layer invariant: every layer is newer than all layers below it",
    /// Only the newest run goes into the base.
    NewestRunIntoBase: "layer invariant: all runs that are older take part in a merge into the base",
    /// What of a run went into the base is still read in the run.
    MergedPartStillRead: "keys that have moved into the base are no longer part of the run",
    /// A deleted range hides points of its own layer.
    IntervalHidesOwnLayer: "in one layer a point beats an interval",
    /// Frozen memtables are looked at oldest first.
    OldestFrozenFirst: "for each key the newest layer decides",
    /// A merge keeps the entries of a leaf that a deleted range covers in part.
    PartOfLeafNotDeleted: "an interval hides every entry of the base up to its end",
    /// The checksum of a node is not compared.
    NodeUnverified: "every node is proven by the checksum in its parent",
    /// The checksums of a value are not compared.
    ValueUnverified: "every block of a value is proven by its checksum",
    /// The checksums of an increment are not compared.
    IncrementUnverified: "every record of an increment is proven by its checksum",
    /// A restore takes in what lies behind the commit that is wanted.
    ReplayGoesOn: "restoring to a commit gives exactly the commits up to it",
    /// A node stays resident when its extent is written again.
    StaleNodeServed: "whoever writes at an offset invalidates the node that was there",
    /// An entry of the point index is used for a base that its leaf is no part of.
    PointOfOtherBase: "an entry of the point index holds for the base in which it was found",
    /// An entry of the point index is used for another key of the same hash.
    PointKeyUncompared: "an entry of the point index proves nothing: the key is compared",
    /// A cursor that enters the next leaf skips its first entry.
    CursorSkipsAtLeaf: "a cursor's next entry is the next key",
    /// An inner node counts one entry too many.
    CountTooHigh: "an inner node counts the entries below each child",
    /// Going back to a savepoint keeps the tables that were made since.
    SavepointKeepsTables: "going back to a savepoint undoes every write since",
    /// Going back to a savepoint keeps the values that were written since.
    SavepointKeepsChanges: "going back to a savepoint undoes every write since",
    /// Two transactions that write the same key both commit.
    WriteConflictUnseen: "snapshot isolation: of two that write the same key the second is refused",
    /// Two transactions that delete ranges and write keys in them both commit.
    RangeWriteConflictUnseen: "snapshot isolation: deleted ranges are writes",
    /// A key that was read may have changed at commit.
    ReadKeyUnvalidated: "serializable: nothing that was read has changed: keys",
    /// A range that was read may have changed at commit.
    ReadRangeUnvalidated: "serializable: nothing that was read has changed: ranges",
    /// A transaction is validated against what is left of the commits since it began.
    TooOldAccepted: "a transaction older than what is kept for validation is refused",
    /// Every isolation level reads what is committed at the moment.
    SnapshotMovesOn: "all reads of a transaction see one snapshot",
    /// At read committed all reads see one snapshot.
    ReadCommittedStays: "read committed sees what is committed at the moment",
    /// Transactions take as much memory as they like.
    TransactionMemoryUnbounded: "all transactions together hold no more in memory than is allowed",
    /// Reads go on although more is read than is allowed.
    ReadRateIgnored: "where nobody may wait, who reads more than is allowed is told so",
    /// An emergency shutdown does not sync what was acknowledged.
    ShutDownUnsynced: "what was acknowledged before an emergency shutdown is durable after it",
    /// Who holds rows beyond its time keeps them.
    OverdueKeepsRows: "a transaction that takes longer than it may holds nobody up",
    /// An interactive transaction commits after its time.
    OverdueCommits: "a transaction that takes longer than it may is ended: nothing of it is committed",
    /// A remembered table definition is used for versions older than the last change of the catalogue.
    NewTableInOldSnapshot: "a remembered definition is right from the commit that last changed the catalogue",
    /// A document that is written over keeps its entries in the indexes.
    IndexNotUpdated: "an index has exactly the entries of its documents: update",
    /// A document that is deleted keeps its entries in the indexes.
    EntryKeptOnDelete: "an index has exactly the entries of its documents: delete",
    /// Two documents may have the same entry in a unique index.
    UniqueUnchecked: "no two documents have the same entry in a unique index",
    /// A write keeps no index that is not ready.
    UnreadyIndexNotKept: "from its first step on every write keeps an index that is being made",
    /// An index is ready after the first step of its making.
    ReadyBeforeLastDocument: "an index is ready when no document is left",
    /// What a write at read committed was decided upon may have changed at its commit.
    RowConstraintUnvalidated: "what a write of a collection was decided upon is so at its commit, at every isolation level: rows",
    /// Reads at read committed go on although what a write was decided upon has changed.
    MovesOnUnvalidated: "at read committed nothing is read beside writes that can no longer be committed",
    /// The schema may have changed at the commit of a write.
    DefinitionUnvalidated: "what a write of a collection was decided upon is so at its commit: the schema",
    /// What a refused write has changed so far stays.
    RefusedWriteKept: "a write is refused before anything is changed",
    /// A document that is gone is read.
    ExpiredServed: "a document is gone from its time on",
    /// A page leaves out its first document.
    PageSkipsOne: "a page begins with the document behind the last of the page before",
    /// A commit that changes a row of a live result passes it over.
    HeldRowPassedOver: "a live result is told of a commit that can change it: rows",
    /// A commit passes over a document of which something was noted that no look has seen.
    NotedDocumentPassedOver: "a live result is told of a commit that can change it: documents noted before",
    /// Rows behind the end are read as if the commits that are not visible yet had passed over nothing.
    PassedOverForgotten: "a live result is told of a commit that can change it: rows behind the last one held",

    noticed by threads alone:
    /// The end of a sync wakes nobody who waits for it.
    SyncEndsSilently: "whoever waits for a sync hears of its end",
    /// A commit is acknowledged before it is visible.
    AcknowledgedBeforeVisible: "append, apply, sync, publish, acknowledge",
    /// The end of a transaction wakes nobody who waits for its rows.
    RowsFreedSilently: "whoever waits for a row hears when it is free",
    /// The last checkpoint is made while commits are still accepted.
    CommitsWhileClosing: "no commit is accepted from the last checkpoint on",
    /// Background work wakes no writer that waits for room.
    RoomMadeSilently: "whoever waits for room hears when there may be some",
    /// A periodic commit takes the lock of what is durable while it holds the writer's.
    LocksInOtherOrder: "the lock of what is durable is taken before the writer's",
}

#[cfg(not(feature = "testing"))]
impl Mutant {
    #[inline(always)]
    pub(crate) const fn is_active(self) -> bool {
        false
    }
}

#[cfg(feature = "testing")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    std::thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Until this is dropped the engine has the bug, on this thread.
    #[derive(Debug)]
    pub struct Active(());

    impl Mutant {
        /// Gives the engine this bug instead of any other, on this thread.
        #[must_use]
        pub fn activate(self) -> Active {
            ACTIVE.set(Some(self));
            Active(())
        }

        pub(crate) fn is_active(self) -> bool {
            ACTIVE.get() == Some(self)
        }
    }

    impl Drop for Active {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
}

#[cfg(feature = "testing")]
pub use switch::Active;
