import Foundation
@preconcurrency import LightningDBGenerated

/// A collection of documents of one type.
///
/// Calls that wait for the disk are `async`; reads that are answered from memory have a twin in `blocking`, for whoever is on a thread
/// that may wait a few microseconds.
public struct DocumentCollection<Document: Codable & Sendable>: Sendable {
    /// Its name.
    public let name: String
    let native: LightningDBGenerated.Collection
    let handle: UInt64
    let scope: UInt64
    /// The database, or the snapshot: open for as long as anybody has something of it.
    private let owner: any AnyObject & Sendable

    init(name: String, native: LightningDBGenerated.Collection, of database: Database, scope: UInt64 = Calls.now) {
        (self.name, self.native, self.scope, owner) = (name, native, scope, database)
        handle = native.number()
    }

    private init(_ other: DocumentCollection, scope: UInt64, owner: any AnyObject & Sendable) {
        (name, native, handle, self.scope, self.owner) = (other.name, other.native, other.handle, scope, owner)
    }

    /// In a scope, which is that of `keeping` where that is given.
    func inScope(_ scope: UInt64, keeping: (any AnyObject & Sendable)? = nil) -> DocumentCollection {
        DocumentCollection(self, scope: scope, owner: keeping ?? owner)
    }

    /// The same calls on the calling thread.
    public var blocking: BlockingCollection<Document> { BlockingCollection(collection: self) }

    /// Runs a call on a thread that may wait; it is given up when the task is cancelled.
    private func run<R: Sendable>(_ call: @Sendable @escaping (BlockingCollection<Document>) throws -> R) async throws -> R {
        try await background(beside: handle, in: scope) { try call(inScope($0).blocking) }
    }

    /// The document of a key.
    public func get(_ key: some ValueConvertible) async throws -> Document? { try await run { try $0.get(key) } }

    /// The documents of many keys, in their order.
    public func getMany(_ keys: [some ValueConvertible]) async throws -> [Document?] {
        try await run { try $0.getMany(keys) }
    }

    /// The document that has this value in a unique index.
    public func get<V: ValueConvertible>(by field: Field<Document, V>, _ value: V) async throws -> Document? {
        try await get(by: field.path, [value.lightningValue])
    }

    /// The document that has these values in a unique index, one for each of its paths.
    public func get(by index: String, _ values: [Value]) async throws -> Document? {
        try await run { try $0.get(by: index, values) }
    }

    /// Writes a document, whatever was under its key; the key where it was made.
    @discardableResult
    public func put(_ document: Document) async throws -> Value? { try await run { try $0.put(document) } }

    /// Writes many documents in one transaction.
    public func putMany(_ documents: some Sequence<Document> & Sendable) async throws {
        try await run { try $0.putMany(documents) }
    }

    /// Writes a new document, and gives its key where it was made; one that exists is `unexpected`.
    @discardableResult
    public func insert(_ document: Document) async throws -> Value? { try await run { try $0.insert(document) } }

    /// Writes over a document; one that is missing is `unexpected`.
    public func replace(_ document: Document) async throws { try await run { try $0.replace(document) } }

    /// Writes a document that goes by itself as `expires` says, whatever the schema says.
    @discardableResult
    public func put(_ document: Document, expires: Expires) async throws -> Value? {
        try await run { try $0.put(document, expires: expires) }
    }

    /// Deletes a document; whether it was there.
    @discardableResult
    public func delete(_ key: some ValueConvertible) async throws -> Bool { try await run { try $0.delete(key) } }

    /// Changes fields of a document; false when there is none.
    @discardableResult
    public func update(_ key: some ValueConvertible, _ update: Update) async throws -> Bool {
        try await run { try $0.update(key, update) }
    }

    /// Writes `document` if the one under its key is `expected` (nil: there is none); whether it was.
    public func compareAndSwap(expected: Document?, _ document: Document) async throws -> Bool {
        try await run { try $0.compareAndSwap(expected: expected, document) }
    }

    /// How many documents there are.
    public func count() async throws -> Int { try await query().count() }

    /// Deletes an index; false when there is none of this name.
    @discardableResult
    public func dropIndex(_ name: String) async throws -> Bool {
        try await background { try calling { try native.dropIndex(index: name) } }
    }

    /// All documents, of which more can be asked.
    public func query() -> Query<Document> { Query(collection: self) }

    /// The documents that are as this says.
    public func query(_ filter: Filter) -> Query<Document> { query().filter(filter) }

    /// The documents whose field lies in a range.
    public func query<R: ValueRange>(_ field: Field<Document, R.Bound>, in range: R) -> Query<Document> {
        query(.condition(field.path, range.lightningBounds))
    }
}

/// When a document goes by itself.
public enum Expires: Sendable, Hashable {
    /// It does not.
    case never
    /// As the document that is written over.
    case kept
    /// At a time.
    case at(Date)

    var native: LightningDBGenerated.Expires {
        switch self {
        case .never: .never
        case .kept: .kept
        case .at(let date): .at(ms: date.lightningMilliseconds)
        }
    }
}
