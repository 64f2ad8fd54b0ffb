import Foundation
@preconcurrency import LightningDBGenerated

/// A snapshot that has a name, and outlives the process.
public struct NamedSnapshot: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// The newest commit that it sees.
    public let sequence: UInt64
    /// When that was made.
    public let time: Date
    /// Bytes that would be free without it, unless another snapshot needs them, too.
    public let heldBytes: Int

    init(_ native: LightningDBGenerated.NamedSnapshot) {
        name = native.name
        sequence = native.sequence
        time = Date(lightningMilliseconds: native.timeMs)
        heldBytes = Int(native.heldBytes)
    }
}

extension Database {
    /// Keeps the database as it is now under a name, also when it is closed and opened again, until it is dropped. It holds the space of what
    /// is overwritten or deleted afterwards. At most 64 exist at once.
    public func createSnapshot(_ name: String) async throws {
        try await toItsEnd { [native] in try calling { try native.createSnapshot(name: name) } }
    }

    /// The snapshots that have a name, oldest first.
    public func snapshots() throws -> [NamedSnapshot] { try calling { try native.snapshots() }.map(NamedSnapshot.init) }

    /// The database as it was when the snapshot of this name was made.
    public func snapshot(named name: String) async throws -> Snapshot {
        try await background { [self] in Snapshot(try calling { try native.snapshotNamed(name: name) }, of: self) }
    }

    /// Gives up the snapshot of a name. Whoever reads it now goes on.
    public func dropSnapshot(_ name: String) async throws {
        try await toItsEnd { [native] in try calling { try native.dropSnapshot(name: name) } }
    }
}
