import Foundation
@preconcurrency import LightningDBGenerated

/// How commits are archived. Recorded in the database; what is nil is as the engine has it.
public struct ArchiveOptions: Sendable, Hashable {
    /// The folder for the pieces, relative to that of the database; empty for one beside it, called as it is with `-archive` behind it.
    public var folder = ""
    /// Log and overwritten values that stay in the database until they are archived, in bytes. Beyond that the archive gets a gap.
    public var holdBytes: Int?
    /// A piece is completed this long after its first commit: what a lost device may take with it.
    public var interval: TimeInterval?
    /// The oldest pieces are deleted when all together are larger than this.
    public var keepBytes: Int?
    /// Pieces are deleted when their last commit was made longer ago than this.
    public var keepTime: TimeInterval?

    /// In a folder beside the database.
    public init() {}

    init(_ native: LightningDBGenerated.ArchiveOptions) {
        folder = native.folder
        holdBytes = native.holdBytes.map(Int.init(clamping:))
        interval = native.intervalMs.map(TimeInterval.init(lightningMilliseconds:))
        keepBytes = native.keepBytes.map(Int.init(clamping:))
        keepTime = native.keepMs.map(TimeInterval.init(lightningMilliseconds:))
    }

    var native: LightningDBGenerated.ArchiveOptions {
        LightningDBGenerated.ArchiveOptions(
            folder: folder, holdBytes: holdBytes.map(UInt64.init(clamping:)), intervalMs: interval?.lightningMilliseconds,
            keepBytes: keepBytes.map(UInt64.init(clamping:)), keepMs: keepTime?.lightningMilliseconds
        )
    }
}

/// How an archive does.
public struct ArchiveStatus: Sendable, Hashable {
    /// How it is kept.
    public let options: ArchiveOptions
    /// The last commit that it has, or the one after which it begins.
    public let archived: UInt64
    /// The newest commit.
    public let newest: UInt64
    /// Log and overwritten values that the database holds for it, in bytes.
    public let heldBytes: Int
    /// Whether it lacks commits, because the limit was reached before they were archived. A backup since then is whole.
    public let hasGap: Bool
    /// Why the last attempt failed, where it did: it is tried again.
    public let failed: String?

    init(_ native: LightningDBGenerated.ArchiveStatus) {
        options = ArchiveOptions(native.options)
        archived = native.archived
        newest = native.newest
        heldBytes = Int(native.heldBytes)
        hasGap = native.hasGap
        failed = native.failed
    }
}

/// Up to where a backup, and the archive behind it, is restored.
public enum RestoreUntil: Sendable, Hashable {
    /// All of it.
    case end
    /// Up to this commit, and with it.
    case sequence(UInt64)
    /// Up to the last commit that was made at this time or before.
    case time(Date)

    var native: LightningDBGenerated.RestoreUntil {
        switch self {
        case .end: .end
        case .sequence(let sequence): .sequence(sequence: sequence)
        case .time(let date): .time(ms: date.lightningMilliseconds)
        }
    }
}

/// The archive of a database's commits, from which `Database.restore` takes what follows a backup.
public struct Archive: Sendable {
    let native: LightningDBGenerated.Database

    /// Archives every commit from now on, in a folder, also in the sessions that come; or changes how.
    public func on(_ options: ArchiveOptions = ArchiveOptions()) async throws {
        try await toItsEnd { [native] in try calling { try native.archiveOn(options: options.native) } }
    }

    /// Archives nothing any more. What is in the archive stays.
    public func off() async throws { try await toItsEnd { [native] in try calling { try native.archiveOff() } } }

    /// How it does; nil where there is none.
    public func status() throws -> ArchiveStatus? { try calling { try native.archiveStatus() }.map(ArchiveStatus.init) }

    /// Archives everything that is committed now.
    public func now() async throws { try await calling { [native] stop in try await native.archiveNow(stop: stop) } }
}

extension Database {
    /// The archive of its commits.
    public var archive: Archive { Archive(native: native) }
}
