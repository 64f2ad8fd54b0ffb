import Foundation

/// Documents as `Codable` types: from CBOR, straight into their fields.
enum DocumentDecoder {
    static func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        try Input(CBORReader(bytes)).decode(type, path: [])
    }

    static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        try bytes.withUnsafeBytes { try decode(type, from: $0) }
    }
}

/// The document, and where its reading has come to. It does not outlive the bytes.
private final class Input {
    var reader: CBORReader

    init(_ reader: CBORReader) {
        self.reader = reader
    }

    func decode<T: Decodable>(_ type: T.Type, path: [any CodingKey]) throws -> T {
        if type == Data.self { return try reader.data() as! T }
        if type == Date.self { return try reader.date() as! T }
        if type == UUID.self { return try reader.uuid() as! T }
        if type == String.self { return try reader.text() as! T }
        if type == Int.self { return try reader.integer(Int.self) as! T }
        if type == Value.self { return try reader.value() as! T }
        if type == URL.self {
            let text = try reader.text()
            guard let url = URL(string: text) else { throw reader.failure("'\(text)' is no URL") }
            return url as! T
        }
        // However much of the item the type reads, the next one begins behind it.
        let start = reader.at
        let value = try T(from: ItemDecoder(input: self, start: start, codingPath: path))
        reader.at = start
        try reader.skip()
        return value
    }
}

private struct ItemDecoder: Decoder {
    let input: Input
    let start: Int
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy _: Key.Type) throws -> KeyedDecodingContainer<Key> {
        input.reader.at = start
        return KeyedDecodingContainer(try FieldsOf<Key>(input: input, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        input.reader.at = start
        return try ElementsOf(input: input, codingPath: codingPath)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        input.reader.at = start
        return SingleOf(input: input, start: start, codingPath: codingPath)
    }
}

/// The fields of a map. They are looked for from where the last one ended: types ask for them in the order in which they wrote them.
private final class FieldsOf<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let input: Input
    let codingPath: [any CodingKey]
    private let first: Int
    private let count: Int
    /// The field that is read next: its place, and how many are before it.
    private var next: (at: Int, index: Int)

    init(input: Input, codingPath: [any CodingKey]) throws {
        (self.input, self.codingPath) = (input, codingPath)
        count = try input.reader.map()
        first = input.reader.at
        next = (first, 0)
    }

    var allKeys: [Key] {
        input.reader.at = first
        return (0..<count).compactMap { _ in
            guard let name = try? input.reader.text(), (try? input.reader.skip()) != nil else { return nil }
            return Key(stringValue: name)
        }
    }

    /// Goes to the value of a field; false where there is none.
    private func find(_ key: any CodingKey) throws -> Bool {
        var name = CBORWriter(capacity: 24)
        name.text(key.stringValue)
        input.reader.at = next.at
        for tried in 0..<count {
            if next.index == count {
                next = (first, 0)
                input.reader.at = first
            }
            let isIt = input.reader.takes(name.bytes)
            if !isIt { try input.reader.skip() }
            if isIt {
                let value = input.reader.at
                try input.reader.skip()
                next = (input.reader.at, next.index + 1)
                input.reader.at = value
                return true
            }
            try input.reader.skip()
            next = (input.reader.at, next.index + 1)
            _ = tried
        }
        return false
    }

    private func require(_ key: any CodingKey) throws {
        guard try find(key) else {
            let context = DecodingError.Context(codingPath: codingPath, debugDescription: "a document has no field '\(key.stringValue)'")
            throw DecodingError.keyNotFound(key, context)
        }
    }

    func contains(_ key: Key) -> Bool { (try? find(key)) ?? false }

    func decodeNil(forKey key: Key) throws -> Bool {
        try require(key)
        return input.reader.isAtNull
    }

    func decode(_: Bool.Type, forKey key: Key) throws -> Bool {
        try require(key)
        return try input.reader.bool()
    }

    func decode(_: String.Type, forKey key: Key) throws -> String {
        try require(key)
        return try input.reader.text()
    }

    func decode(_: Double.Type, forKey key: Key) throws -> Double {
        try require(key)
        return try input.reader.double()
    }

    func decode(_: Float.Type, forKey key: Key) throws -> Float {
        try require(key)
        return Float(try input.reader.double())
    }

    func decode(_: Int.Type, forKey key: Key) throws -> Int { try integer(key) }
    func decode(_: Int8.Type, forKey key: Key) throws -> Int8 { try integer(key) }
    func decode(_: Int16.Type, forKey key: Key) throws -> Int16 { try integer(key) }
    func decode(_: Int32.Type, forKey key: Key) throws -> Int32 { try integer(key) }
    func decode(_: Int64.Type, forKey key: Key) throws -> Int64 { try integer(key) }
    func decode(_: UInt.Type, forKey key: Key) throws -> UInt { try integer(key) }
    func decode(_: UInt8.Type, forKey key: Key) throws -> UInt8 { try integer(key) }
    func decode(_: UInt16.Type, forKey key: Key) throws -> UInt16 { try integer(key) }
    func decode(_: UInt32.Type, forKey key: Key) throws -> UInt32 { try integer(key) }
    func decode(_: UInt64.Type, forKey key: Key) throws -> UInt64 { try integer(key) }

    private func integer<T: FixedWidthInteger>(_ key: Key) throws -> T {
        try require(key)
        return try input.reader.integer(T.self)
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try require(key)
        return try input.decode(type, path: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try decoder(key).unkeyedContainer() }

    func superDecoder() throws -> any Decoder { try decoder(Key(stringValue: "super")!) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }

    private func decoder(_ key: Key) throws -> ItemDecoder {
        try require(key)
        return ItemDecoder(input: input, start: input.reader.at, codingPath: codingPath + [key])
    }
}

private struct ElementsOf: UnkeyedDecodingContainer {
    private let input: Input
    let codingPath: [any CodingKey]
    let count: Int?
    private(set) var currentIndex = 0
    /// Where the next one is: what was read in between may have gone elsewhere.
    private var at: Int

    init(input: Input, codingPath: [any CodingKey]) throws {
        (self.input, self.codingPath) = (input, codingPath)
        count = try input.reader.array()
        at = input.reader.at
    }

    var isAtEnd: Bool { currentIndex >= count ?? 0 }

    private mutating func next<R>(_ read: (Input) throws -> R) throws -> R {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(R.self, .init(codingPath: codingPath, debugDescription: "an array has no more elements"))
        }
        input.reader.at = at
        let value = try read(input)
        at = input.reader.at
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        input.reader.at = at
        guard !isAtEnd, input.reader.isAtNull else { return false }
        try next { try $0.reader.null() }
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let path = codingPath
        return try next { try $0.decode(type, path: path) }
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try decoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try decoder().unkeyedContainer() }

    mutating func superDecoder() throws -> any Decoder { try decoder() }

    private mutating func decoder() throws -> ItemDecoder {
        let start = at
        try next { try $0.reader.skip() }
        return ItemDecoder(input: input, start: start, codingPath: codingPath)
    }
}

private struct SingleOf: SingleValueDecodingContainer {
    let input: Input
    let start: Int
    let codingPath: [any CodingKey]

    private func read<R>(_ read: (inout CBORReader) throws -> R) throws -> R {
        input.reader.at = start
        return try read(&input.reader)
    }

    func decodeNil() -> Bool {
        input.reader.at = start
        return input.reader.isAtNull
    }

    func decode(_: Bool.Type) throws -> Bool { try read { try $0.bool() } }
    func decode(_: String.Type) throws -> String { try read { try $0.text() } }
    func decode(_: Double.Type) throws -> Double { try read { try $0.double() } }
    func decode(_: Float.Type) throws -> Float { Float(try read { try $0.double() }) }
    func decode(_: Int.Type) throws -> Int { try read { try $0.integer(Int.self) } }
    func decode(_: Int8.Type) throws -> Int8 { try read { try $0.integer(Int8.self) } }
    func decode(_: Int16.Type) throws -> Int16 { try read { try $0.integer(Int16.self) } }
    func decode(_: Int32.Type) throws -> Int32 { try read { try $0.integer(Int32.self) } }
    func decode(_: Int64.Type) throws -> Int64 { try read { try $0.integer(Int64.self) } }
    func decode(_: UInt.Type) throws -> UInt { try read { try $0.integer(UInt.self) } }
    func decode(_: UInt8.Type) throws -> UInt8 { try read { try $0.integer(UInt8.self) } }
    func decode(_: UInt16.Type) throws -> UInt16 { try read { try $0.integer(UInt16.self) } }
    func decode(_: UInt32.Type) throws -> UInt32 { try read { try $0.integer(UInt32.self) } }
    func decode(_: UInt64.Type) throws -> UInt64 { try read { try $0.integer(UInt64.self) } }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        input.reader.at = start
        return try input.decode(type, path: codingPath)
    }
}
