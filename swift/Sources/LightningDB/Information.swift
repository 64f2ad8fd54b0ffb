import Foundation
@preconcurrency import LightningDBGenerated

/// A table that there is.
public struct TableInfo: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// The type of its keys, by name.
    public let keys: String
    /// The type of its values.
    public let values: String

    init(_ native: LightningDBGenerated.TableInfo) {
        name = native.name
        keys = native.keys
        values = native.values
    }
}

/// A collection that there is.
public struct CollectionInfo: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// The path of its key.
    public let key: String
    /// The version of its documents.
    public let version: Int
    /// Documents go so long after they were written.
    public let expiresAfter: TimeInterval?
    /// How keys are made, if they are.
    public let autoKey: AutoKey?
    /// How many documents there are, those gone and not yet removed among them.
    public let documents: Int
    /// Its indexes.
    public let indexes: [IndexInfo]

    init(_ native: LightningDBGenerated.CollectionInfo) {
        name = native.name
        key = native.key
        version = Int(native.version)
        expiresAfter = native.expiresAfterMs.map(TimeInterval.init(lightningMilliseconds:))
        autoKey = native.autoKey.flatMap(AutoKey.init)
        documents = Int(native.documents)
        indexes = native.indexes.map(IndexInfo.init)
    }
}

/// An index of a collection.
public struct IndexInfo: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// The paths of its fields.
    public let paths: [String]
    /// Whether no two documents have the same entry.
    public let isUnique: Bool
    /// Whether documents without the field have no entry.
    public let isSparse: Bool
    /// Whether each element of an array has an entry.
    public let isMulti: Bool
    /// Whether case and accents are left out.
    public let isFolded: Bool
    /// Whether queries use it: they do not while it is being made.
    public let isReady: Bool
    /// How many entries it has.
    public let entries: Int

    init(_ native: LightningDBGenerated.IndexInfo) {
        name = native.name
        paths = native.paths
        isUnique = native.unique
        isSparse = native.sparse
        isMulti = native.multi
        isFolded = native.folded
        isReady = native.ready
        entries = Int(native.entries)
    }
}

/// How a query is answered.
public struct Explanation: Sendable, Hashable {
    /// In words.
    public let plan: String
    /// The index that is read, if one is.
    public let index: String?
    /// Whether rows are gathered and sorted.
    public let isSorted: Bool
    /// Whether documents are asked if they are found.
    public let looksAtDocuments: Bool
    /// How many rows were expected.
    public let estimatedRows: Int
    /// How many there are.
    public let rows: Int
    /// Entries of indexes that were read.
    public let entriesRead: Int
    /// Documents that were read.
    public let documentsRead: Int

    init(_ native: LightningDBGenerated.Explanation) {
        plan = native.plan
        index = native.index
        isSorted = native.isSorted
        looksAtDocuments = native.looksAtDocuments
        estimatedRows = Int(native.estimatedRows)
        rows = Int(native.rows)
        entriesRead = Int(native.entriesRead)
        documentsRead = Int(native.documentsRead)
    }
}
