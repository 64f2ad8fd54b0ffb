import Foundation

/// Whether a `Codable` type reads the fields that keys and indexes name: a name that is spelled wrong would find nothing, for ever.
enum FieldNames {
    /// Throws for a path whose first name the type does not ask for. What it asks for is seen by having it read a document that is not
    /// there; a type that stops early, or reads by hand, is not known to the end, and then nothing is said.
    static func check<T: Decodable>(_ paths: [String], of type: T.Type) throws {
        let asked = Asked()
        let isComplete = (try? T(from: Spy(asked: asked))) != nil
        // A type that asks for none by name, as a dictionary, may have any.
        guard isComplete, !asked.names.isEmpty else { return }
        for path in paths {
            let first = path.split(separator: ".").first.map(String.init) ?? path
            guard asked.names.contains(first) else {
                let names = asked.names.sorted().joined(separator: ", ")
                throw LightningError.invalid("\(type) is stored without a field '\(first)'; its fields are \(names)")
            }
        }
    }
}

private final class Asked {
    var names: Set<String> = []
}

private struct Spy: Decoder {
    let asked: Asked?
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func container<Key: CodingKey>(keyedBy _: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(SpiedFields(asked: asked))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { SpiedElements() }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { SpiedValue() }
}

/// Something of each type, so that reading goes on.
private func anything<T: Decodable>(_: T.Type) throws -> T {
    switch T.self {
    case is Data.Type: Data() as! T
    case is Date.Type: Date(timeIntervalSince1970: 0) as! T
    case is UUID.Type: UUID() as! T
    case is URL.Type: URL(string: "x:")! as! T
    case is Value.Type: Value.null as! T
    default: try T(from: Spy(asked: nil))
    }
}

private struct SpiedFields<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let asked: Asked?
    let codingPath: [any CodingKey] = []
    let allKeys: [Key] = []

    private func note(_ key: Key) { asked?.names.insert(key.stringValue) }

    func contains(_ key: Key) -> Bool {
        note(key)
        return true
    }

    func decodeNil(forKey key: Key) -> Bool {
        note(key)
        return true
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        note(key)
        return try anything(type)
    }

    func nestedContainer<N: CodingKey>(keyedBy _: N.Type, forKey key: Key) -> KeyedDecodingContainer<N> {
        note(key)
        return KeyedDecodingContainer(SpiedFields<N>(asked: nil))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer {
        note(key)
        return SpiedElements()
    }

    func superDecoder() -> any Decoder { Spy(asked: nil) }

    func superDecoder(forKey key: Key) -> any Decoder {
        note(key)
        return Spy(asked: nil)
    }
}

private struct SpiedElements: UnkeyedDecodingContainer {
    let codingPath: [any CodingKey] = []
    let count: Int? = 0
    let isAtEnd = true
    let currentIndex = 0

    func decodeNil() -> Bool { true }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try anything(type) }
    func nestedContainer<N: CodingKey>(keyedBy _: N.Type) -> KeyedDecodingContainer<N> { KeyedDecodingContainer(SpiedFields<N>(asked: nil)) }
    func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer { self }
    func superDecoder() -> any Decoder { Spy(asked: nil) }
}

private struct SpiedValue: SingleValueDecodingContainer {
    let codingPath: [any CodingKey] = []

    func decodeNil() -> Bool { true }
    func decode(_: Bool.Type) -> Bool { false }
    func decode(_: String.Type) -> String { "" }
    func decode(_: Double.Type) -> Double { 0 }
    func decode(_: Float.Type) -> Float { 0 }
    func decode(_: Int.Type) -> Int { 0 }
    func decode(_: Int8.Type) -> Int8 { 0 }
    func decode(_: Int16.Type) -> Int16 { 0 }
    func decode(_: Int32.Type) -> Int32 { 0 }
    func decode(_: Int64.Type) -> Int64 { 0 }
    func decode(_: UInt.Type) -> UInt { 0 }
    func decode(_: UInt8.Type) -> UInt8 { 0 }
    func decode(_: UInt16.Type) -> UInt16 { 0 }
    func decode(_: UInt32.Type) -> UInt32 { 0 }
    func decode(_: UInt64.Type) -> UInt64 { 0 }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try anything(type) }
}
