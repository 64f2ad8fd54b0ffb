import Foundation
import LightningDBFFI
@preconcurrency import LightningDBGenerated

/// A type of keys.
public protocol TableKey: Sendable {
    /// Its name in the file.
    static var lightningKeyType: String { get }
    /// As it crosses.
    var lightningBytes: [UInt8] { get }
    init(lightningBytes: UnsafeRawBufferPointer) throws
}

/// A type of values.
public protocol TableValue: Sendable {
    /// Its name in the file.
    static var lightningValueType: String { get }
    /// As it crosses.
    var lightningBytes: [UInt8] { get }
    init(lightningBytes: UnsafeRawBufferPointer) throws
}

extension String: TableKey, TableValue {
    public static var lightningKeyType: String { "string" }
    public static var lightningValueType: String { "string" }
    public var lightningBytes: [UInt8] { Array(utf8) }
    public init(lightningBytes: UnsafeRawBufferPointer) { self.init(decoding: lightningBytes, as: UTF8.self) }
}

extension Data: TableKey, TableValue {
    public static var lightningKeyType: String { "bytes" }
    public static var lightningValueType: String { "bytes" }
    public var lightningBytes: [UInt8] { Array(self) }
    public init(lightningBytes: UnsafeRawBufferPointer) { self.init(lightningBytes) }
}

extension Int64: TableKey, TableValue {
    public static var lightningKeyType: String { "i64" }
    public static var lightningValueType: String { "i64" }
    public var lightningBytes: [UInt8] { CBORWriter.encode(.int(self)) }
    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = try reader.integer(Int64.self)
    }
}

extension UInt64: TableKey, TableValue {
    public static var lightningKeyType: String { "u64" }
    public static var lightningValueType: String { "u64" }
    public var lightningBytes: [UInt8] { CBORWriter.encode(.unsigned(self)) }
    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = try reader.integer(UInt64.self)
    }
}

extension Double: TableKey, TableValue {
    public static var lightningKeyType: String { "f64" }
    public static var lightningValueType: String { "f64" }
    public var lightningBytes: [UInt8] { CBORWriter.encode(.double(self)) }
    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = try reader.double()
    }
}

/// A key or value of every kind.
extension Value: TableKey, TableValue {
    public static var lightningKeyType: String { "key" }
    public static var lightningValueType: String { "value" }
    public var lightningBytes: [UInt8] { CBORWriter.encode(self) }
    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = try reader.value()
    }
}

/// A key that may be missing; it comes before all others.
extension Optional: TableKey where Wrapped: TableKey {
    public static var lightningKeyType: String { Wrapped.lightningKeyType + "?" }

    public var lightningBytes: [UInt8] {
        guard let key = self else { return CBORWriter.encode(.null) }
        // Text and bytes cross as they are, but not where they may be missing.
        var writer = CBORWriter(capacity: 32)
        switch Wrapped.lightningKeyType {
        case String.lightningKeyType: writer.text(String(decoding: key.lightningBytes, as: UTF8.self))
        case Data.lightningKeyType: writer.data(key.lightningBytes)
        default: writer.raw(key.lightningBytes)
        }
        return writer.bytes
    }

    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        guard !reader.isAtNull else {
            self = nil
            return
        }
        switch Wrapped.lightningKeyType {
        case String.lightningKeyType: self = try Array(reader.text().utf8).withUnsafeBytes(Wrapped.init(lightningBytes:))
        case Data.lightningKeyType: self = try Array(reader.data()).withUnsafeBytes(Wrapped.init(lightningBytes:))
        default: self = try Wrapped(lightningBytes: lightningBytes)
        }
    }
}

/// Keys from one to another.
public struct Keys<Key: TableKey>: Sendable {
    var lower: ([UInt8], Bool)?
    var upper: ([UInt8], Bool)?

    /// All keys.
    public static var all: Keys { Keys() }
    /// From one to another, both included.
    public static func between(_ from: Key, _ to: Key) -> Keys { Keys(lower: (from.lightningBytes, true), upper: (to.lightningBytes, true)) }
    /// This key and above.
    public static func from(_ key: Key) -> Keys { Keys(lower: (key.lightningBytes, true)) }
    /// Above this key.
    public static func above(_ key: Key) -> Keys { Keys(lower: (key.lightningBytes, false)) }
    /// Up to this key.
    public static func through(_ key: Key) -> Keys { Keys(upper: (key.lightningBytes, true)) }
    /// Below this key.
    public static func below(_ key: Key) -> Keys { Keys(upper: (key.lightningBytes, false)) }

    var native: KeyRange {
        KeyRange(
            lower: lower.map { Data($0.0) }, includesLower: lower?.1 ?? false,
            upper: upper.map { Data($0.0) }, includesUpper: upper?.1 ?? false
        )
    }
}

/// A table of ordered keys and their values.
public struct Table<Key: TableKey, Value: TableValue>: Sendable {
    /// Its name.
    public let name: String
    let native: LightningDBGenerated.Table
    let handle: UInt64
    let scope: UInt64

    init(name: String, native: LightningDBGenerated.Table, scope: UInt64 = Calls.now) {
        (self.name, self.native, self.scope) = (name, native, scope)
        handle = native.number()
    }

    func inScope(_ scope: UInt64) -> Table { Table(name: name, native: native, scope: scope) }

    /// The same calls on the calling thread.
    public var blocking: BlockingTable<Key, Value> { BlockingTable(table: self) }

    /// The value of a key.
    public func get(_ key: Key) async throws -> Value? { try await background { try blocking.get(key) } }

    /// The values of many keys, in their order.
    public func getMany(_ keys: [Key]) async throws -> [Value?] { try await background { try blocking.getMany(keys) } }

    /// Writes a value, whatever was there.
    public func put(_ key: Key, _ value: Value) async throws { try await background { try blocking.put(key, value) } }

    /// Writes a value where nothing is; else `unexpected`.
    public func insert(_ key: Key, _ value: Value) async throws { try await background { try blocking.insert(key, value) } }

    /// Writes a value over what is there; where nothing is, `unexpected`.
    public func replace(_ key: Key, _ value: Value) async throws { try await background { try blocking.replace(key, value) } }

    /// Deletes what is under a key; whether anything was.
    @discardableResult
    public func delete(_ key: Key) async throws -> Bool { try await background { try blocking.delete(key) } }

    /// Deletes all keys of a range.
    public func deleteRange(_ keys: Keys<Key>) async throws {
        let range = keys.native
        try await background { try calling { try native.deleteRange(scope: scope, range: range) } }
    }

    /// How many entries a range has.
    public func count(_ keys: Keys<Key> = .all) async throws -> Int {
        let range = keys.native
        return try await background { Int(try calling { try native.count(scope: scope, range: range) }) }
    }

    /// The entries of a range in the order of their keys.
    public func scan(_ keys: Keys<Key> = .all, backwards: Bool = false, limit: Int = .max) async throws -> [(key: Key, value: Value)] {
        try await background { try blocking.scan(keys, backwards: backwards, limit: limit) }
    }
}

extension Table where Value == Int64 {
    /// Adds to a number; the sum.
    @discardableResult
    public func increment(_ key: Key, by number: Int64 = 1) async throws -> Int64 {
        let key = Data(key.lightningBytes)
        return try await background { try calling { try native.increment(scope: scope, key: key, by: number) } }
    }
}

/// The calls of a table on the calling thread.
public struct BlockingTable<Key: TableKey, Value: TableValue>: Sendable {
    private let handle: UInt64
    private let scope: UInt64
    /// It keeps the handle open.
    private let native: LightningDBGenerated.Table

    init(table: Table<Key, Value>) {
        (native, handle, scope) = (table.native, table.handle, table.scope)
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
        let first = try Calls.scan(scope, handle, lower: keys.lower, upper: keys.upper, backwards: backwards, limit: UInt64(limit))
        var chunk: Chunk? = first
        while let rows = chunk {
            var key: Key?
            try rows.forEach { bytes in
                guard let bytes else { return }
                if let complete = key {
                    entries.append((complete, try Value(lightningBytes: bytes)))
                    key = nil
                } else {
                    key = try Key(lightningBytes: bytes)
                }
            }
            chunk = try rows.next()
        }
        return entries
    }
}
