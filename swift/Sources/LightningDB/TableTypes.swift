import Foundation
@preconcurrency import LightningDBGenerated

/// A type of keys.
public protocol TableKey: Sendable {
    /// Its name in the file.
    static var lightningKeyType: String { get }
    /// As it crosses.
    var lightningBytes: [UInt8] { get }
    /// From what has crossed.
    init(lightningBytes: UnsafeRawBufferPointer) throws
}

/// A type of values.
public protocol TableValue: Sendable {
    /// Its name in the file.
    static var lightningValueType: String { get }
    /// As it crosses.
    var lightningBytes: [UInt8] { get }
    /// From what has crossed.
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

extension Int: TableKey, TableValue {
    public static var lightningKeyType: String { Int64.lightningKeyType }
    public static var lightningValueType: String { Int64.lightningValueType }
    public var lightningBytes: [UInt8] { CBORWriter.encode(.int(Int64(self))) }
    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = try reader.integer(Int.self)
    }
}

extension Bool: TableKey, TableValue {
    public static var lightningKeyType: String { "bool" }
    public static var lightningValueType: String { "bool" }
    public var lightningBytes: [UInt8] { CBORWriter.encode(.bool(self)) }
    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = try reader.bool()
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
