import Foundation
@preconcurrency import LightningDBGenerated

/// How much memory is given back.
public enum TrimLevel: Sendable, CaseIterable {
    /// What was not read lately.
    case moderate
    /// All that can be read again.
    case all
}

extension Database {
    /// Lets go of the files, for everybody in this process who has the database open: what is committed is brought into them, they are
    /// closed, and the lock on them is given up, for which iOS would end an application that it puts to sleep. Until `resume` what is in
    /// memory is read as before; all else throws `suspended`, which is retryable. Snapshots, transactions and live results go on afterwards.
    ///
    /// Where there is UIKit this happens by itself when the application goes into the background: see `Options.followsApplication`.
    public func suspend() async throws { try await toItsEnd { try self.suspendBlocking() } }

    /// As `suspend`, on the calling thread.
    public func suspendBlocking() throws { try calling { try native.suspendBlocking() } }

    /// Takes the files again. Where another process has them, that is tried for so long; then it throws `locked`, and may be called again.
    /// Where another has written to them, it throws `poisoned`: close the database, and open it again.
    public func resume(waiting limit: TimeInterval = 5) async throws { try await toItsEnd { try self.resumeBlocking(waiting: limit) } }

    /// As `resume`, on the calling thread.
    public func resumeBlocking(waiting limit: TimeInterval = 5) throws {
        try calling { try native.resumeBlocking(waitMs: UInt64(max(0, limit) * 1000)) }
    }

    /// Gives memory back; how many bytes are still held. Where there is UIKit this happens by itself when the system warns of memory.
    @discardableResult
    public func trimMemory(_ level: TrimLevel = .all) throws -> Int {
        Int(try calling { try native.trimMemory(level: level == .all ? .all : .moderate) })
    }

    /// Copies a backup to where no database is yet, and verifies it; only then it has its name. Of the folders of archives that
    /// follow it, commits are taken in until the one that is wanted. That of an encrypted database needs a key that opened it then.
    @discardableResult
    public static func restore(
        _ backup: URL, to url: URL, archives: [URL] = [], until: RestoreUntil = .end, key: EncryptionKey? = nil
    ) async throws -> CheckReport {
        let following = archives.map(\.path)
        return try await withKey(key) { key in
            CheckReport(
                try await calling { stop in
                    try await restoreBackup(
                        backup: backup.path, to: url.path, following: following, until: until.native, key: key, stop: stop)
                })
        }
    }

    /// How many objects are open in this process, of all databases: collections, snapshots, cursors. Where it grows, something is kept that
    /// should have been given up.
    public static var openObjects: Int { Int(LightningDBGenerated.openObjects()) }
}
