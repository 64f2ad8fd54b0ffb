import Foundation

/// A key that may be missing; it comes before all others.
extension Optional: TableKey where Wrapped: TableKey {
    public static var lightningKeyType: String { Wrapped.lightningKeyType + "?" }

    public var lightningBytes: [UInt8] {
        var writer = CBORWriter(capacity: 32)
        if let key = self { writer.part(key) } else { writer.null() }
        return writer.bytes
    }

    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        self = reader.isAtNull ? nil : try reader.part(Wrapped.self)
    }
}

/// A key of two: ordered by the first, and where that is alike by the second.
public struct Pair<First: TableKey, Second: TableKey>: TableKey {
    /// What orders first.
    public var first: First
    /// What orders where the first is alike.
    public var second: Second

    /// These two.
    public init(_ first: First, _ second: Second) {
        (self.first, self.second) = (first, second)
    }

    public static var lightningKeyType: String { "(\(First.lightningKeyType), \(Second.lightningKeyType))" }

    public var lightningBytes: [UInt8] {
        var writer = CBORWriter(capacity: 32)
        writer.array(2)
        writer.part(first)
        writer.part(second)
        return writer.bytes
    }

    public init(lightningBytes: UnsafeRawBufferPointer) throws {
        var reader = CBORReader(lightningBytes)
        guard try reader.array() == 2 else { throw reader.failure("a pair was expected") }
        first = try reader.part(First.self)
        second = try reader.part(Second.self)
    }
}

extension Pair: Equatable where First: Equatable, Second: Equatable {}
extension Pair: Hashable where First: Hashable, Second: Hashable {}

// Text and bytes cross as they are where they are the whole key; as parts of another they are CBOR as everything is.

extension CBORWriter {
    fileprivate mutating func part<Key: TableKey>(_ key: Key) {
        switch Key.lightningKeyType {
        case String.lightningKeyType: text(String(decoding: key.lightningBytes, as: UTF8.self))
        case Data.lightningKeyType: data(key.lightningBytes)
        default: raw(key.lightningBytes)
        }
    }
}

extension CBORReader {
    fileprivate mutating func part<Key: TableKey>(_: Key.Type) throws -> Key {
        switch Key.lightningKeyType {
        case String.lightningKeyType: return try Array(text().utf8).withUnsafeBytes(Key.init(lightningBytes:))
        case Data.lightningKeyType: return try Array(data()).withUnsafeBytes(Key.init(lightningBytes:))
        default:
            let start = at
            try skip()
            return try Key(lightningBytes: UnsafeRawBufferPointer(rebasing: bytes[start..<at]))
        }
    }
}
