import Foundation

/// Documents as `Codable` types: from CBOR, straight into their fields.
///
/// All containers of a document share one reader, which lies outside of Swift's objects, as do their places: nothing counts references to
/// them, and nothing watches who has access. They are gone when the document has been read, and so must the decoder be, which `Codable`
/// types do not keep.
enum DocumentDecoder {
    static func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        var place = Place()
        return try withUnsafeMutablePointer(to: &place) { place in
            var reading = Reading(reader: CBORReader(bytes), outermost: place)
            defer { reading.places?.free() }
            return try withUnsafeMutablePointer(to: &reading) { try Input(reading: $0).decode(type, last: true) { [] } }
        }
    }

    static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        try bytes.withUnsafeBytes { try decode(type, from: $0) }
    }
}

/// What the containers of a document share.
private struct Reading {
    var reader: CBORReader
    /// The place of the outermost map, until it is taken.
    var outermost: UnsafeMutablePointer<Place>?
    /// Those of the others.
    var places: Places?
}

/// Where a map has come to: the name that is looked at next, and how many are before it.
private struct Place {
    var at = 0
    var index = 0
}

/// Places of maps within the document.
private final class Places {
    private var all: [UnsafeMutablePointer<Place>] = []

    func add() -> UnsafeMutablePointer<Place> {
        let place = UnsafeMutablePointer<Place>.allocate(capacity: 1)
        all.append(place)
        return place
    }

    func free() { all.forEach { $0.deallocate() } }
}

/// Where the reading has come to. One pointer, so that a decoder fits where Swift keeps small ones without asking for memory.
private struct Input {
    let reading: UnsafeMutablePointer<Reading>

    var reader: UnsafeMutablePointer<CBORReader> {
        // It is the first in it.
        @inline(__always) get { UnsafeMutableRawPointer(reading).assumingMemoryBound(to: CBORReader.self) }
    }

    func place(at start: Int) -> UnsafeMutablePointer<Place> {
        let place: UnsafeMutablePointer<Place>
        if let outermost = reading.pointee.outermost {
            reading.pointee.outermost = nil
            place = outermost
        } else {
            let places = reading.pointee.places ?? Places()
            reading.pointee.places = places
            place = places.add()
        }
        place.initialize(to: Place(at: start))
        return place
    }

    /// Reads the item that comes next; `last` where nothing behind it will be read.
    @inline(__always)
    func decode<T: Decodable>(_ type: T.Type, last: Bool = false, path: () -> [any CodingKey]) throws -> T {
        // A cast asks the runtime; that two types are one was found out already.
        if type == String.self { return unsafeBitCast(try reader.pointee.text(), to: T.self) }
        if type == Int.self { return unsafeBitCast(try reader.pointee.integer(Int.self), to: T.self) }
        if type == Data.self { return unsafeBitCast(try reader.pointee.data(), to: T.self) }
        if type == Date.self { return unsafeBitCast(try reader.pointee.date(), to: T.self) }
        if type == UUID.self { return unsafeBitCast(try reader.pointee.uuid(), to: T.self) }
        if type == Value.self { return try reader.pointee.value() as! T }
        if type == URL.self {
            let text = try reader.pointee.text()
            guard let url = URL(string: text) else { throw reader.pointee.failure("'\(text)' is no URL") }
            return url as! T
        }
        let start = reader.pointee.at
        let value = try T(from: ItemDecoder(input: self, start: start, codingPath: path()))
        // However much of the item the type reads, the next one begins behind it.
        if !last {
            reader.pointee.at = start
            try reader.pointee.skip()
        }
        return value
    }
}

private struct ItemDecoder: Decoder {
    let input: Input
    let start: Int
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy _: Key.Type) throws -> KeyedDecodingContainer<Key> {
        input.reader.pointee.at = start
        return KeyedDecodingContainer(try FieldsOf<Key>(input: input, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        input.reader.pointee.at = start
        return try ElementsOf(input: input, codingPath: codingPath)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        input.reader.pointee.at = start
        return SingleOf(input: input, start: start, codingPath: codingPath)
    }
}

/// The fields of a map. They are looked for from where the last one ended: types ask for them in the order in which they wrote them.
private struct FieldsOf<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let input: Input
    let codingPath: [any CodingKey]
    private let first: Int
    private let count: Int
    private let place: UnsafeMutablePointer<Place>

    init(input: Input, codingPath: [any CodingKey]) throws {
        (self.input, self.codingPath) = (input, codingPath)
        count = try input.reader.pointee.map()
        first = input.reader.pointee.at
        place = input.place(at: first)
    }

    var allKeys: [Key] {
        input.reader.pointee.at = first
        return (0..<count).compactMap { _ in
            guard let name = try? input.reader.pointee.text(), (try? input.reader.pointee.skip()) != nil else { return nil }
            return Key(stringValue: name)
        }
    }

    /// Goes to the value of a field; false where there is none. The field stays the one that is looked at next.
    @inline(__always)
    private func find(_ key: Key) throws -> Bool {
        let reader = input.reader
        reader.pointee.at = place.pointee.at
        var name = key.stringValue
        return try name.withUTF8 { name in
            // Nearly always it is this one.
            if place.pointee.index < count, reader.pointee.takes(name) { return true }
            return try search(name)
        }
    }

    @inline(never)
    private func search(_ name: UnsafeBufferPointer<UInt8>) throws -> Bool {
        let reader = input.reader
        for _ in 0..<count {
            if place.pointee.index == count { place.pointee = Place(at: first) }
            reader.pointee.at = place.pointee.at
            if reader.pointee.takes(name) { return true }
            try reader.pointee.skip()
            try reader.pointee.skip()
            place.pointee = Place(at: reader.pointee.at, index: place.pointee.index + 1)
        }
        return false
    }

    /// The value of the field that was found was read: another follows.
    @inline(__always)
    private func goOn() {
        place.pointee = Place(at: input.reader.pointee.at, index: place.pointee.index + 1)
    }

    @inline(__always)
    private func field<R>(_ key: Key, _ read: (UnsafeMutablePointer<CBORReader>) throws -> R) throws -> R {
        guard try find(key) else { throw missing(key) }
        let value = try read(input.reader)
        goOn()
        return value
    }

    /// As `field`; nil where there is none, or where it is null.
    @inline(__always)
    private func fieldIfPresent<R>(_ key: Key, _ read: (UnsafeMutablePointer<CBORReader>) throws -> R) throws -> R? {
        guard try find(key) else { return nil }
        if input.reader.pointee.isAtNull {
            input.reader.pointee.at += 1
            goOn()
            return nil
        }
        let value = try read(input.reader)
        goOn()
        return value
    }

    @inline(never)
    private func missing(_ key: Key) -> DecodingError {
        .keyNotFound(key, .init(codingPath: codingPath, debugDescription: "a document has no field '\(key.stringValue)'"))
    }

    func contains(_ key: Key) -> Bool { (try? find(key)) ?? false }

    func decodeNil(forKey key: Key) throws -> Bool {
        guard try find(key) else { throw missing(key) }
        return input.reader.pointee.isAtNull
    }

    func decode(_: Bool.Type, forKey key: Key) throws -> Bool { try field(key) { try $0.pointee.bool() } }
    func decode(_: String.Type, forKey key: Key) throws -> String { try field(key) { try $0.pointee.text() } }
    func decode(_: Double.Type, forKey key: Key) throws -> Double { try field(key) { try $0.pointee.double() } }
    func decode(_: Float.Type, forKey key: Key) throws -> Float { try field(key) { Float(try $0.pointee.double()) } }
    func decode(_: Int.Type, forKey key: Key) throws -> Int { try field(key) { try $0.pointee.integer(Int.self) } }
    func decode(_: Int8.Type, forKey key: Key) throws -> Int8 { try field(key) { try $0.pointee.integer(Int8.self) } }
    func decode(_: Int16.Type, forKey key: Key) throws -> Int16 { try field(key) { try $0.pointee.integer(Int16.self) } }
    func decode(_: Int32.Type, forKey key: Key) throws -> Int32 { try field(key) { try $0.pointee.integer(Int32.self) } }
    func decode(_: Int64.Type, forKey key: Key) throws -> Int64 { try field(key) { try $0.pointee.integer(Int64.self) } }
    func decode(_: UInt.Type, forKey key: Key) throws -> UInt { try field(key) { try $0.pointee.integer(UInt.self) } }
    func decode(_: UInt8.Type, forKey key: Key) throws -> UInt8 { try field(key) { try $0.pointee.integer(UInt8.self) } }
    func decode(_: UInt16.Type, forKey key: Key) throws -> UInt16 { try field(key) { try $0.pointee.integer(UInt16.self) } }
    func decode(_: UInt32.Type, forKey key: Key) throws -> UInt32 { try field(key) { try $0.pointee.integer(UInt32.self) } }
    func decode(_: UInt64.Type, forKey key: Key) throws -> UInt64 { try field(key) { try $0.pointee.integer(UInt64.self) } }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try field(key) { _ in try input.decode(type) { codingPath + [key] } }
    }

    func decodeIfPresent(_: Bool.Type, forKey key: Key) throws -> Bool? { try fieldIfPresent(key) { try $0.pointee.bool() } }
    func decodeIfPresent(_: String.Type, forKey key: Key) throws -> String? { try fieldIfPresent(key) { try $0.pointee.text() } }
    func decodeIfPresent(_: Double.Type, forKey key: Key) throws -> Double? { try fieldIfPresent(key) { try $0.pointee.double() } }
    func decodeIfPresent(_: Int.Type, forKey key: Key) throws -> Int? { try fieldIfPresent(key) { try $0.pointee.integer(Int.self) } }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        try fieldIfPresent(key) { _ in try input.decode(type) { codingPath + [key] } }
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try decoder(key).unkeyedContainer() }

    func superDecoder() throws -> any Decoder { try decoder(Key(stringValue: "super")!) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }

    private func decoder(_ key: Key) throws -> ItemDecoder {
        guard try find(key) else { throw missing(key) }
        return ItemDecoder(input: input, start: input.reader.pointee.at, codingPath: codingPath + [key])
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
        count = try input.reader.pointee.array()
        at = input.reader.pointee.at
    }

    var isAtEnd: Bool { currentIndex >= count ?? 0 }

    private mutating func next<R>(_ read: (Input) throws -> R) throws -> R {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(R.self, .init(codingPath: codingPath, debugDescription: "an array has no more elements"))
        }
        input.reader.pointee.at = at
        let value = try read(input)
        at = input.reader.pointee.at
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        input.reader.pointee.at = at
        guard !isAtEnd, input.reader.pointee.isAtNull else { return false }
        try next { try $0.reader.pointee.null() }
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let path = codingPath
        return try next { try $0.decode(type) { path } }
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try decoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try decoder().unkeyedContainer() }

    mutating func superDecoder() throws -> any Decoder { try decoder() }

    private mutating func decoder() throws -> ItemDecoder {
        let start = at
        try next { try $0.reader.pointee.skip() }
        return ItemDecoder(input: input, start: start, codingPath: codingPath)
    }
}

private struct SingleOf: SingleValueDecodingContainer {
    let input: Input
    let start: Int
    let codingPath: [any CodingKey]

    private func read<R>(_ read: (inout CBORReader) throws -> R) throws -> R {
        input.reader.pointee.at = start
        return try read(&input.reader.pointee)
    }

    func decodeNil() -> Bool {
        input.reader.pointee.at = start
        return input.reader.pointee.isAtNull
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
        input.reader.pointee.at = start
        return try input.decode(type) { codingPath }
    }
}
