import Foundation
@preconcurrency import LightningDBGenerated

/// How far a backup is.
public struct BackupProgress: Sendable, Hashable {
    /// Records read.
    public let entries: Int
    /// How many there are to read, about.
    public let entriesAll: Int
    /// Bytes written.
    public let bytes: Int
    /// Bytes of the file, once everything is in it.
    public let bytesAll: Int?

    init(_ native: LightningDBGenerated.BackupProgress) {
        entries = Int(native.entries)
        entriesAll = Int(native.entriesAll)
        bytes = Int(native.bytes)
        bytesAll = native.bytesAll.map(Int.init)
    }
}

/// How far a compaction is.
public struct CompactionProgress: Sendable, Hashable {
    /// Changes that are still to be merged.
    public let changesLeft: Int
    /// Bytes of the file.
    public let fileBytes: Int
    /// Those of them that are free.
    public let freeBytes: Int
}

/// What was verified.
public struct CheckReport: Sendable, Hashable {
    /// Entries of all tables.
    public let entries: Int
    /// Documents, each whole and under its own key.
    public let documents: Int
    /// Entries of indexes, each held against its document.
    public let indexEntries: Int
    /// Collections.
    public let collections: Int
    /// Bytes read.
    public let bytes: Int
    /// Everything found wrong, in plain words; empty when the database is whole.
    public let problems: [String]

    init(_ native: LightningDBGenerated.CheckReport) {
        entries = Int(native.entries)
        documents = Int(native.documents)
        indexEntries = Int(native.indexEntries)
        collections = Int(native.collections)
        bytes = Int(native.bytes)
        problems = native.problems
    }
}

/// Counters and sizes.
public struct Stats: Sendable, Hashable {
    /// The newest commit.
    public let sequence: UInt64
    /// Commits since it was opened.
    public let commits: Int
    /// Those that were refused because of others.
    public let conflicts: Int
    /// Entries, about: what was written over and not yet merged is counted again.
    public let entries: Int
    /// Bytes of the data file.
    public let fileBytes: Int
    /// Those of them that are used.
    public let usedBytes: Int
    /// Bytes of the log.
    public let logBytes: Int
    /// Bytes in memory that were not merged yet.
    public let memtableBytes: Int
    /// Bytes of the file that are kept in memory.
    public let cacheBytes: Int
    /// Reads that found what they needed there.
    public let cacheHits: Int
    /// Reads that did not.
    public let cacheMisses: Int
    /// Memory for everything together.
    public let memoryBudgetBytes: Int
    /// Snapshots that are open.
    public let snapshots: Int
    /// Bytes that cannot be used again because of them.
    public let snapshotPinnedBytes: Int
    /// Damaged parts that were found.
    public let quarantined: Int
    /// Bytes that the background has verified this time.
    public let scrubBytes: Int
    /// Those that there are.
    public let scrubBytesAll: Int
    /// How often it has verified everything since the database was opened.
    public let scrubs: Int

    init(_ native: LightningDBGenerated.Stats) {
        sequence = native.sequence
        commits = Int(native.commits)
        conflicts = Int(native.conflicts)
        entries = Int(native.entries)
        fileBytes = Int(native.fileBytes)
        usedBytes = Int(native.usedBytes)
        logBytes = Int(native.logBytes)
        memtableBytes = Int(native.memtableBytes)
        cacheBytes = Int(native.cacheBytes)
        cacheHits = Int(native.cacheHits)
        cacheMisses = Int(native.cacheMisses)
        memoryBudgetBytes = Int(native.memoryBudgetBytes)
        snapshots = Int(native.snapshots)
        snapshotPinnedBytes = Int(native.snapshotPinnedBytes)
        quarantined = Int(native.quarantined)
        scrubBytes = Int(native.scrubBytes)
        scrubBytesAll = Int(native.scrubBytesAll)
        scrubs = Int(native.scrubs)
    }
}

/// Tells somebody how far a compaction is.
final class CompactionTold: CompactionListener {
    private let tell: @Sendable (CompactionProgress) -> Void

    init(_ tell: @escaping @Sendable (CompactionProgress) -> Void) {
        self.tell = tell
    }

    func onProgress(changesLeft: UInt64, fileBytes: UInt64, freeBytes: UInt64) {
        tell(CompactionProgress(changesLeft: Int(changesLeft), fileBytes: Int(fileBytes), freeBytes: Int(freeBytes)))
    }
}

/// Tells somebody how far a scrub is.
final class ScrubTold: ScrubListener {
    private let tell: @Sendable (CheckReport) -> Void

    init(_ tell: @escaping @Sendable (CheckReport) -> Void) {
        self.tell = tell
    }

    func onProgress(progress: LightningDBGenerated.CheckReport) { tell(CheckReport(progress)) }
}

/// Tells somebody how far a backup is.
final class BackupTold: BackupListener {
    private let tell: @Sendable (BackupProgress) -> Void

    init(_ tell: @escaping @Sendable (BackupProgress) -> Void) {
        self.tell = tell
    }

    func onProgress(progress: LightningDBGenerated.BackupProgress) { tell(BackupProgress(progress)) }
}
