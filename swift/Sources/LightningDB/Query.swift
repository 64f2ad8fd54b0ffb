import Foundation
@preconcurrency import LightningDBGenerated

/// A query of a collection: an asynchronous sequence of the documents that it finds. It does nothing before it is asked for them; each call
/// that says more of it gives another one.
///
/// ```swift
/// for try await p in people.query(Person.age, in: 30...40) { print(p.name) }
/// for try await rows in people.query(Person.age, in: 30...).updates { render(rows) }
/// ```
public struct Query<Document: Codable & Sendable>: Sendable {
    private(set) var collection: DocumentCollection<Document>
    private var filters: [Filter] = []
    private var order: [Value] = []
    private var isReversed = false
    private var limit: Int?
    private var offset: Int?
    private var token: Data?
    /// What it begins with, as it crosses.
    private let given: [String: Value]

    init(collection: DocumentCollection<Document>, given: [String: Value] = [:]) {
        (self.collection, self.given) = (collection, given)
    }

    private func with(_ change: (inout Query) -> Void) -> Query {
        var copy = self
        change(&copy)
        return copy
    }

    /// Runs a call on a thread that may wait; it is given up when the task is cancelled.
    func run<R: Sendable>(_ call: @Sendable @escaping (Query) throws -> R) async throws -> R {
        try await background(beside: collection.handle, in: collection.scope) { scope in
            try call(with { $0.collection = collection.inScope(scope) })
        }
    }

    /// Also as this says.
    public func filter(_ filter: Filter) -> Query { with { $0.filters.append(filter) } }

    /// In this order; asked again, where that leaves documents alike.
    public func order<V>(by field: Field<Document, V>, descending: Bool = false) -> Query {
        with { $0.order.append(descending ? ["path": .text(field.path), "descending": true] : ["path": .text(field.path)]) }
    }

    /// Last ones first.
    public func reversed() -> Query { with { $0.isReversed.toggle() } }

    /// At most so many.
    public func limit(_ count: Int) -> Query { with { $0.limit = count } }

    /// Without the first so many.
    public func offset(_ count: Int) -> Query { with { $0.offset = count } }

    /// Those that follow a page.
    public func after(_ token: Data) -> Query { with { $0.token = token } }

    var cbor: [UInt8] {
        var map = given
        if !filters.isEmpty { map["where"] = Filter.all(filters) }
        if !order.isEmpty { map["orderBy"] = .array(order) }
        if isReversed { map["reverse"] = true }
        if let limit { map["limit"] = .int(Int64(limit)) }
        if let offset { map["offset"] = .int(Int64(offset)) }
        if let token { map["after"] = .data(token) }
        return CBORWriter.encode(.map(map))
    }

    /// All documents.
    public func all() async throws -> [Document] { try await run { try $0.allBlocking() } }

    /// All documents, on the calling thread.
    public func allBlocking() throws -> [Document] {
        try ParallelDecoding.documents(from: Calls.query(collection.scope, collection.handle, cbor))
    }

    /// The first document.
    public func first() async throws -> Document? { try await limit(1).all().first }
}

extension Query: AsyncSequence {
    public typealias Element = Document

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(query: self) }

    /// The documents, some at a time: who is slow, or ends, asks for no more.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let query: Query
        private var chunks = Chunks()
        private var rows: IndexingIterator<[Document]> = [].makeIterator()

        init(query: Query) { self.query = query }

        public mutating func next() async throws -> Document? {
            while true {
                if let row = rows.next() { return row }
                let query = query
                let (handle, scope) = (query.collection.handle, query.collection.scope)
                let found = try await chunks.next(beside: handle, in: scope) { scope in
                    try Calls.query(scope, handle, query.cbor)
                } read: { chunk in
                    var documents: [Document] = []
                    try chunk.documents(into: &documents)
                    return documents
                }
                guard let found else { return nil }
                rows = found.makeIterator()
            }
        }
    }
}

extension Chunk {
    /// Appends the rows, where they are documents.
    func documents<Document: Decodable>(into documents: inout [Document]) throws {
        try DocumentDecoder.decoding(Document.self) { decode in
            try forEach { row in
                if let row { documents.append(try decode(row)) }
            }
        }
    }
}
