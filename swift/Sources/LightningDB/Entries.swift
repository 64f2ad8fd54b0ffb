import Foundation

extension Table {
    /// The entries of a range in the order of their keys, some at a time.
    ///
    /// ```swift
    /// for try await (name, score) in scores.entries(.from("m")) { print(name, score) }
    /// ```
    public func entries(_ keys: Keys<Key> = .all, backwards: Bool = false, limit: Int = .max) -> Entries<Key, Value> {
        Entries(table: self, keys: keys, backwards: backwards, limit: limit)
    }
}

/// Entries of a table, as an asynchronous sequence.
///
/// Nothing is read before the first is asked for, and no more than a chunk of some 64 KB ahead of who asks: whoever is slow holds the
/// reading up, and whoever ends, or whose task is cancelled, ends it. All entries are of one moment, that of the first.
public struct Entries<Key: TableKey, Value: TableValue>: AsyncSequence, Sendable {
    public typealias Element = (key: Key, value: Value)

    let table: Table<Key, Value>
    let keys: Keys<Key>
    let backwards: Bool
    let limit: Int

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(entries: self) }

    /// Walks over the entries.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let entries: Entries
        private var chunks = Chunks()
        private var rows: IndexingIterator<[Element]> = [].makeIterator()

        init(entries: Entries) { self.entries = entries }

        public mutating func next() async throws -> Element? {
            while true {
                if let row = rows.next() { return row }
                let entries = entries
                let (handle, scope) = (entries.table.handle, entries.table.scope)
                let found = try await chunks.next(beside: handle, in: scope) { scope in
                    try Calls.scan(
                        scope, handle, lower: entries.keys.lower, upper: entries.keys.upper,
                        backwards: entries.backwards, limit: UInt64(entries.limit)
                    )
                } read: { chunk in
                    try chunk.entries(Key.self, Value.self)
                }
                guard let found else { return nil }
                rows = found.makeIterator()
            }
        }
    }
}

/// Where an asynchronous sequence of rows has come to: its chunks are read one after the other, each when the one before is used up.
struct Chunks: Sendable {
    private enum State: Sendable {
        case before
        case at(Handed)
        case over
    }

    private var state = State.before

    /// The rows of the next chunk, as `read` makes them; nil behind the last. `begin` gives the first, in a scope like `scope`.
    mutating func next<R: Sendable>(
        beside sibling: UInt64, in scope: UInt64, begin: @Sendable @escaping (UInt64) throws -> Chunk,
        read: @Sendable @escaping (Chunk) throws -> R
    ) async throws -> R? {
        let step: (rows: R, after: Handed?)?
        switch state {
        case .over: return nil
        case .before:
            let stop = try StopScope(beside: sibling, like: scope)
            step = try await background(stop) { try Self.read(begin(stop.handle), stop, read) }
        case .at(let at):
            step = try await background(at.stop) { try at.chunk.next().map { try Self.read($0, at.stop, read) } }
        }
        state = step?.after.map(State.at) ?? .over
        return step?.rows
    }

    private static func read<R>(_ chunk: Chunk, _ stop: StopScope, _ read: (Chunk) throws -> R) throws -> (R, Handed?) {
        (try read(chunk), chunk.cursor == 0 ? nil : Handed(chunk: chunk, stop: stop))
    }
}

/// A chunk that goes from one thread to another, which uses it alone; and what gives up the calls of its cursor.
struct Handed: @unchecked Sendable {
    let chunk: Chunk
    let stop: StopScope
}

extension Chunk {
    /// The rows, where they are entries of a table: keys and values in turn.
    func entries<Key: TableKey, Value: TableValue>(_: Key.Type, _: Value.Type) throws -> [(key: Key, value: Value)] {
        var entries: [(key: Key, value: Value)] = []
        var key: Key?
        try forEach { bytes in
            guard let bytes else { return }
            if let complete = key {
                entries.append((complete, try Value(lightningBytes: bytes)))
                key = nil
            } else {
                key = try Key(lightningBytes: bytes)
            }
        }
        return entries
    }
}
