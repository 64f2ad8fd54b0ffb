import Foundation
@preconcurrency import LightningDBGenerated

/// The calls of a table on the calling thread.
public struct BlockingTable<Key: TableKey, Value: TableValue>: Sendable {
    private let handle: UInt64
    fileprivate let scope: UInt64
    /// It keeps the handle open.
    fileprivate let native: LightningDBGenerated.Table
    private let owner: any AnyObject & Sendable

    init(table: Table<Key, Value>) {
        (native, handle, scope, owner) = (table.native, table.handle, table.scope, table.owner)
    }

    /// The value of a key.
    public func get(_ key: Key) throws -> Value? {
        try Calls.get(scope, handle, key.lightningBytes) { try Value(lightningBytes: $0) }
    }

    /// The values of many keys, in their order.
    public func getMany(_ keys: [Key]) throws -> [Value?] {
        var packed: [UInt8] = []
        for key in keys { packed.pack(key.lightningBytes) }
        var values: [Value?] = []
        try Calls.getMany(scope, handle, packed).forEach { values.append(try $0.map { try Value(lightningBytes: $0) }) }
        return values
    }

    /// Writes a value, whatever was there.
    public func put(_ key: Key, _ value: Value) throws { _ = try Calls.put(scope, handle, 0, key.lightningBytes, value.lightningBytes) }

    /// Writes a value where nothing is; else `unexpected`.
    public func insert(_ key: Key, _ value: Value) throws { _ = try Calls.put(scope, handle, 1, key.lightningBytes, value.lightningBytes) }

    /// Writes a value over what is there; where nothing is, `unexpected`.
    public func replace(_ key: Key, _ value: Value) throws { _ = try Calls.put(scope, handle, 2, key.lightningBytes, value.lightningBytes) }

    /// Deletes what is under a key; whether anything was.
    @discardableResult
    public func delete(_ key: Key) throws -> Bool { try Calls.delete(scope, handle, key.lightningBytes) }

    /// The entries of a range in the order of their keys.
    public func scan(_ keys: Keys<Key> = .all, backwards: Bool = false, limit: Int = .max) throws -> [(key: Key, value: Value)] {
        var entries: [(key: Key, value: Value)] = []
        var chunk: Chunk? = try Calls.scan(
            scope, handle, lower: keys.lower, upper: keys.upper, backwards: backwards, limit: UInt64(limit)
        )
        while let rows = chunk {
            entries += try rows.entries(Key.self, Value.self)
            chunk = try rows.next()
        }
        return entries
    }

    /// Deletes all keys of a range.
    public func deleteRange(_ keys: Keys<Key>) throws { try calling { try native.deleteRange(scope: scope, range: keys.native) } }

    /// How many entries a range has.
    public func count(_ keys: Keys<Key> = .all) throws -> Int { Int(try calling { try native.count(scope: scope, range: keys.native) }) }

    /// Writes a value if what is there is `expected` (nil: nothing); whether it was.
    public func compareAndSwap(_ key: Key, expected: Value?, _ value: Value) throws -> Bool {
        let (expected, value) = (expected.map { Data($0.lightningBytes) }, Data(value.lightningBytes))
        return try calling { try native.compareAndSwap(scope: scope, key: Data(key.lightningBytes), expected: expected, value: value) }
    }
}

extension BlockingTable where Value == Int64 {
    /// Adds to a number; the sum.
    @discardableResult
    public func increment(_ key: Key, by number: Int64 = 1) throws -> Int64 {
        try calling { try native.increment(scope: scope, key: Data(key.lightningBytes), by: number) }
    }
}
