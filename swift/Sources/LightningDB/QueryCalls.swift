import Foundation
@preconcurrency import LightningDBGenerated

extension Query {
    private var native: LightningDBGenerated.Collection { collection.native }
    private var scope: UInt64 { collection.scope }
    private var bytes: Data { Data(cbor) }

    /// How many documents it finds.
    public func count() async throws -> Int { try await run { try $0.countBlocking() } }

    /// How many documents it finds, on the calling thread.
    public func countBlocking() throws -> Int { Int(try calling { try native.count(scope: scope, query: bytes) }) }

    /// The lowest value of a field.
    public func min<V>(_ field: Field<Document, V>) async throws -> Value? { try await run { try $0.minBlocking(field.path) } }

    /// The lowest value under a path, on the calling thread.
    public func minBlocking(_ path: String) throws -> Value? {
        try calling { try native.min(scope: scope, path: path, query: bytes) }.map { try CBORReader.decode([UInt8]($0)) }
    }

    /// The highest value of a field.
    public func max<V>(_ field: Field<Document, V>) async throws -> Value? { try await run { try $0.maxBlocking(field.path) } }

    /// The highest value under a path, on the calling thread.
    public func maxBlocking(_ path: String) throws -> Value? {
        try calling { try native.max(scope: scope, path: path, query: bytes) }.map { try CBORReader.decode([UInt8]($0)) }
    }

    /// Deletes every document that it finds; how many.
    @discardableResult
    public func delete() async throws -> Int { try await run { try $0.deleteBlocking() } }

    /// Deletes every document that it finds, on the calling thread; how many.
    @discardableResult
    public func deleteBlocking() throws -> Int { Int(try calling { try native.deleteWhere(scope: scope, query: bytes) }) }

    /// Changes fields of every document that it finds; how many.
    @discardableResult
    public func update(_ update: Update) async throws -> Int { try await run { try $0.updateBlocking(update) } }

    /// Changes fields of every document that it finds, on the calling thread; how many.
    @discardableResult
    public func updateBlocking(_ update: Update) throws -> Int {
        Int(try calling { try native.updateWhere(scope: scope, query: bytes, changes: Data(update.cbor)) })
    }

    /// How it is answered.
    public func explain() async throws -> Explanation { try await run { try $0.explainBlocking() } }

    /// How it is answered, on the calling thread.
    public func explainBlocking() throws -> Explanation {
        Explanation(try calling { try native.explain(scope: scope, query: bytes) })
    }

    /// One page, for a query with a limit, and the token for `after`; nil behind the last.
    public func page() async throws -> (rows: [Document], token: Data?) { try await run { try $0.pageBlocking() } }

    /// One page, on the calling thread.
    public func pageBlocking() throws -> (rows: [Document], token: Data?) {
        let page = try calling { try native.page(scope: scope, query: bytes) }
        var rows: [Document] = []
        try page.rows.forEachPacked { rows.append(try DocumentDecoder.decode(Document.self, from: $0)) }
        return (rows, page.token)
    }
}
