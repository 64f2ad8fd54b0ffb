import Foundation
@preconcurrency import LightningDBGenerated

/// Where a change feed begins.
public enum FeedStart: Sendable, Hashable {
    /// With the next commit.
    case now
    /// With the oldest that is kept: see `Options.feedRetentionBytes`.
    case oldest
    /// After a position that was kept.
    case after(Data)

    var native: LightningDBGenerated.FeedStart {
        switch self {
        case .now: .now
        case .oldest: .oldest
        case .after(let position): .after(position: position)
        }
    }
}

/// One commit.
public struct Commit: Sendable, Hashable {
    /// Its number: one more than that of the commit before.
    public let sequence: UInt64
    /// When it was made.
    public let time: Date
    /// To be kept, and to go on after.
    public let position: Data
    /// What it changed, in order.
    public let changes: [Change]

    init(_ native: LightningDBGenerated.Commit) throws {
        (sequence, position) = (native.sequence, native.position)
        time = Date(lightningMilliseconds: native.timeMs)
        changes = try native.changes.map(Change.init)
    }
}

/// One change of a commit; keys and values of tables are as they are stored.
public enum Change: Sendable, Hashable {
    /// A document was written; nil where a long one is no longer there. `expires` is when it goes by itself.
    case putDocument(collection: String, id: Value, document: Value?, expires: Date?)
    /// A document was deleted.
    case deleteDocument(collection: String, id: Value)
    /// A value was written to a table; nil where a long one is no longer there.
    case put(table: String, key: Data, value: Data?)
    /// A value was deleted from a table.
    case delete(table: String, key: Data)
    /// Everything of a table, or collection, from a key on and below another was deleted; without that the rest of it.
    case deleteRange(table: String, from: Data, to: Data?)

    init(_ native: LightningDBGenerated.Change) throws {
        func value(_ cbor: Data) throws -> Value { try CBORReader.decode([UInt8](cbor)) }
        switch native {
        case .putDocument(let collection, let id, let document, let expires):
            self = .putDocument(
                collection: collection, id: try value(id), document: try document.map(value),
                expires: expires.map(Date.init(lightningMilliseconds:))
            )
        case .deleteDocument(let collection, let id): self = .deleteDocument(collection: collection, id: try value(id))
        case .put(let table, let key, let value): self = .put(table: table, key: key, value: value)
        case .delete(let table, let key): self = .delete(table: table, key: key)
        case .deleteRange(let table, let from, let to): self = .deleteRange(table: table, from: from, to: to)
        }
    }
}

extension Database {
    /// Follows all commits: those to come, or those since a position.
    public func changes(since: FeedStart = .now) -> AsyncThrowingStream<Commit, any Error> {
        AsyncThrowingStream(bufferingPolicy: .unbounded) { continuation in
            let task = Task { [native] in
                do {
                    let feed = try calling { try native.changes(since: since.native) }
                    defer { feed.end() }
                    while !Task.isCancelled {
                        let commit = try await background {
                            try calling { try feed.wait(limitMs: 100) ? try feed.next() : nil }
                        }
                        if let commit { continuation.yield(try Commit(commit)) }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}
