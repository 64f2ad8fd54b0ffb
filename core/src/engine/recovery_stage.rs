//! What opening a database is doing, for whoever waits for it.

/// The stages of opening a database, in this order. Each is told as it begins. One that was closed properly skips those of the
/// log and those that write, which come with the first write; one that is opened for reading only skips those that write; and a
/// new one has only the last four and the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecoveryStage {
    /// Reading both superblocks.
    Superblocks,
    /// Reading the checkpoint record.
    CheckpointRecord,
    /// Reading the pages of the space map.
    SpaceMap,
    /// Holding what waits to be reused against the map.
    VerifySpace,
    /// Reading the log and applying its commits.
    ReplayLog,
    /// Judging whether what ended the log is a torn tail, and whether the newest superblock was lost.
    JudgeLog,
    /// Giving back what was freed before the newest checkpoint.
    ReleaseSpace,
    /// Marking values that the log names as in use.
    ReserveValues,
    /// Opening a fresh log segment.
    StartLog,
    /// Making that segment durable.
    SyncLog,
    /// Writing a checkpoint that names what was recovered.
    Checkpoint,
    /// Open.
    Done,
}

impl RecoveryStage {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::Superblocks,
        Self::CheckpointRecord,
        Self::SpaceMap,
        Self::VerifySpace,
        Self::ReplayLog,
        Self::JudgeLog,
        Self::ReleaseSpace,
        Self::ReserveValues,
        Self::StartLog,
        Self::SyncLog,
        Self::Checkpoint,
        Self::Done,
    ];

    /// Its place among all, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Superblocks => "read superblocks",
            Self::CheckpointRecord => "read checkpoint record",
            Self::SpaceMap => "read space map",
            Self::VerifySpace => "verify space",
            Self::ReplayLog => "replay log",
            Self::JudgeLog => "judge the end of the log",
            Self::ReleaseSpace => "release space",
            Self::ReserveValues => "reserve values",
            Self::StartLog => "start log",
            Self::SyncLog => "sync log",
            Self::Checkpoint => "write checkpoint",
            Self::Done => "done",
        }
    }
}
