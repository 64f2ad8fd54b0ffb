import Foundation
@preconcurrency import LightningDBGenerated

/// The calls of a collection on the calling thread.
public struct BlockingCollection<Document: Codable & Sendable>: Sendable {
    let collection: DocumentCollection<Document>
    private var native: LightningDBGenerated.Collection { collection.native }
    private var handle: UInt64 { collection.handle }
    private var scope: UInt64 { collection.scope }

    /// The document of a key.
    public func get(_ key: some ValueConvertible) throws -> Document? {
        try Calls.get(scope, handle, CBORWriter.encode(key.lightningValue)) { try DocumentDecoder.decode(Document.self, from: $0) }
    }

    /// The documents of many keys, in their order.
    public func getMany(_ keys: [some ValueConvertible]) throws -> [Document?] {
        var packed = CBORWriter(capacity: keys.count * 16)
        for key in keys { packed.packed(key.lightningValue) }
        var documents: [Document?] = []
        documents.reserveCapacity(keys.count)
        let rows = try Calls.getMany(scope, handle, packed.bytes)
        try DocumentDecoder.decoding(Document.self) { decode in
            try rows.forEach { documents.append(try $0.map(decode)) }
        }
        return documents
    }

    /// The document that has these values in a unique index, one for each of its paths.
    public func get(by index: String, _ values: [Value]) throws -> Document? {
        var packed = CBORWriter(capacity: 64)
        for value in values { packed.packed(value) }
        return try Calls.getBy(scope, handle, index, packed.bytes) { try DocumentDecoder.decode(Document.self, from: $0) }
    }

    /// Writes a document, whatever was under its key; the key where it was made.
    @discardableResult
    public func put(_ document: Document) throws -> Value? { try write(0, document) }

    /// Writes a new document, and gives its key where it was made; one that exists is `unexpected`.
    @discardableResult
    public func insert(_ document: Document) throws -> Value? { try write(1, document) }

    /// Writes over a document; one that is missing is `unexpected`.
    public func replace(_ document: Document) throws { _ = try write(2, document) }

    /// Writes a document that goes by itself as `expires` says, whatever the schema says.
    @discardableResult
    public func put(_ document: Document, expires: Expires) throws -> Value? {
        let cbor = Data(try DocumentEncoder.encode(document))
        let made = try calling { try native.putExpiring(scope: scope, document: cbor, expires: expires.native) }
        return try made.map { try CBORReader.decode([UInt8]($0)) }
    }

    private func write(_ mode: UInt8, _ document: Document) throws -> Value? {
        try Calls.put(scope, handle, mode, [], DocumentEncoder.encode(document)).map(CBORReader.decode)
    }

    /// Writes many documents in one transaction.
    public func putMany(_ documents: some Sequence<Document>) throws {
        var writes: [UInt8] = []
        for document in documents {
            writes.pack(UInt64(0))
            writes.pack(handle)
            writes.pack([UInt8]())
            writes.pack(try DocumentEncoder.encode(document))
        }
        try Calls.batch(scope, writes)
    }

    /// Deletes a document; whether it was there.
    @discardableResult
    public func delete(_ key: some ValueConvertible) throws -> Bool {
        try Calls.delete(scope, handle, CBORWriter.encode(key.lightningValue))
    }

    /// Changes fields of a document; false when there is none.
    @discardableResult
    public func update(_ key: some ValueConvertible, _ update: Update) throws -> Bool {
        let key = Data(CBORWriter.encode(key.lightningValue))
        return try calling { try native.update(scope: scope, key: key, changes: Data(update.cbor)) }
    }

    /// Writes `document` if the one under its key is `expected` (nil: there is none); whether it was.
    public func compareAndSwap(expected: Document?, _ document: Document) throws -> Bool {
        let expected = try expected.map { Data(try DocumentEncoder.encode($0)) }
        let document = Data(try DocumentEncoder.encode(document))
        return try calling { try native.compareAndSwap(scope: scope, expected: expected, document: document) }
    }

    /// All documents, of which more can be asked: `query().allBlocking()`.
    public func query() -> Query<Document> { collection.query() }
}
