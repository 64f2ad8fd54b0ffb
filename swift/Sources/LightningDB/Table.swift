import Foundation
@preconcurrency import LightningDBGenerated

/// A table of ordered keys and their values.
public struct Table<Key: TableKey, Value: TableValue>: Sendable {
    /// Its name.
    public let name: String
    let native: LightningDBGenerated.Table
    let handle: UInt64
    let scope: UInt64
    /// The database, or the snapshot: open for as long as anybody has something of it.
    let owner: any AnyObject & Sendable

    init(name: String, native: LightningDBGenerated.Table, of database: Database, scope: UInt64 = Calls.now) {
        (self.name, self.native, self.scope, owner) = (name, native, scope, database)
        handle = native.number()
    }

    private init(_ other: Table, scope: UInt64, owner: any AnyObject & Sendable) {
        (name, native, handle, self.scope, self.owner) = (other.name, other.native, other.handle, scope, owner)
    }

    /// In a scope, which is that of `keeping` where that is given.
    func inScope(_ scope: UInt64, keeping: (any AnyObject & Sendable)? = nil) -> Table {
        Table(self, scope: scope, owner: keeping ?? owner)
    }

    /// The same calls on the calling thread.
    public var blocking: BlockingTable<Key, Value> { BlockingTable(table: self) }

    /// Runs a call on a thread that may wait; it is given up when the task is cancelled.
    func run<R: Sendable>(_ call: @Sendable @escaping (BlockingTable<Key, Value>) throws -> R) async throws -> R {
        try await background(beside: handle, in: scope) { try call(inScope($0).blocking) }
    }

    /// The value of a key.
    public func get(_ key: Key) async throws -> Value? { try await run { try $0.get(key) } }

    /// The values of many keys, in their order.
    public func getMany(_ keys: [Key]) async throws -> [Value?] { try await run { try $0.getMany(keys) } }

    /// Writes a value, whatever was there.
    public func put(_ key: Key, _ value: Value) async throws { try await run { try $0.put(key, value) } }

    /// Writes a value where nothing is; else `unexpected`.
    public func insert(_ key: Key, _ value: Value) async throws { try await run { try $0.insert(key, value) } }

    /// Writes a value over what is there; where nothing is, `unexpected`.
    public func replace(_ key: Key, _ value: Value) async throws { try await run { try $0.replace(key, value) } }

    /// Deletes what is under a key; whether anything was.
    @discardableResult
    public func delete(_ key: Key) async throws -> Bool { try await run { try $0.delete(key) } }

    /// Deletes all keys of a range.
    public func deleteRange(_ keys: Keys<Key>) async throws {
        try await run { try $0.deleteRange(keys) }
    }

    /// How many entries a range has.
    public func count(_ keys: Keys<Key> = .all) async throws -> Int {
        try await run { try $0.count(keys) }
    }

    /// Writes a value if what is there is `expected` (nil: nothing); whether it was.
    public func compareAndSwap(_ key: Key, expected: Value?, _ value: Value) async throws -> Bool {
        try await run { try $0.compareAndSwap(key, expected: expected, value) }
    }

    /// The entries of a range in the order of their keys.
    public func scan(_ keys: Keys<Key> = .all, backwards: Bool = false, limit: Int = .max) async throws -> [(key: Key, value: Value)] {
        try await run { try $0.scan(keys, backwards: backwards, limit: limit) }
    }
}

extension Table where Value == Int64 {
    /// Adds to a number; the sum.
    @discardableResult
    public func increment(_ key: Key, by number: Int64 = 1) async throws -> Int64 {
        try await run { try $0.increment(key, by: number) }
    }
}
