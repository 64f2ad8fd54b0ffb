import Foundation
@preconcurrency import LightningDBGenerated

/// What a transaction is kept from.
public enum Isolation: Sendable {
    /// What others commit meanwhile may be seen.
    case readCommitted
    /// All is read as it was at the beginning; two that write the same conflict.
    case snapshot
    /// As if all had run one after the other.
    case serializable

    var native: LightningDBGenerated.Isolation {
        switch self {
        case .readCommitted: .readCommitted
        case .snapshot: .snapshot
        case .serializable: .serializable
        }
    }
}

/// A transaction, as `Database.transaction` gives it: sees the database as it was at its start, with its own changes.
public struct Transaction: Sendable {
    let scope: UInt64

    /// A collection inside this transaction.
    public func collection<Document>(_ collection: DocumentCollection<Document>) -> DocumentCollection<Document> { collection.inScope(scope) }

    /// A table inside this transaction.
    public func table<Key, Value>(_ table: Table<Key, Value>) -> Table<Key, Value> { table.inScope(scope) }
}

/// The database as it was at one moment, until this is gone.
public final class Snapshot: Sendable {
    private let native: LightningDBGenerated.Snapshot
    /// Open for as long as anybody has something of it.
    private let database: Database

    init(_ native: LightningDBGenerated.Snapshot, of database: Database) {
        (self.native, self.database) = (native, database)
    }

    /// The newest commit that it sees.
    public var sequence: UInt64 { native.sequence() }

    /// A collection as this snapshot sees it.
    public func collection<Document>(_ collection: DocumentCollection<Document>) -> DocumentCollection<Document> { collection.inScope(native.number(), keeping: self) }

    /// A table as this snapshot sees it.
    public func table<Key, Value>(_ table: Table<Key, Value>) -> Table<Key, Value> { table.inScope(native.number(), keeping: self) }

    /// Gives up what it holds, before it is gone by itself.
    public func close() { native.end() }

    deinit { native.end() }
}
