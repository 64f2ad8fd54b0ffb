import Foundation

/// `Codable` types as documents: CBOR, straight from their fields. `Data`, `Date` and `UUID` are kinds of their own.
///
/// What is written lies outside of Swift's objects, as with `DocumentDecoder`, and is gone when the document has been written: encoders
/// must not be kept.
enum DocumentEncoder {
    static func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
        var writing = Writing()
        try withUnsafeMutablePointer(to: &writing) { try Output(writing: $0).encode(value) { [] } }
        return writing.writer.bytes
    }
}

/// A dictionary by names. Its fields are written in one order: what is equal is written alike, which nothing then takes for a change.
private protocol FieldsOfText {
    func encode(to output: Output, path: [any CodingKey]) throws
}

extension Dictionary: FieldsOfText where Key == String, Value: Encodable {
    fileprivate func encode(to output: Output, path: [any CodingKey]) throws {
        output.writer.map(count)
        for (name, value) in sorted(by: { $0.key < $1.key }) {
            output.writer.text(name)
            try output.encode(value) { path }
        }
    }
}

/// What is written, and the containers that are open.
///
/// How many fields or elements a container has is known at its end: its head is put in then. `Codable` types write their containers one
/// inside the other, so what is open is a stack, and a container is over when another of an outer level goes on.
private struct Writing {
    var writer = CBORWriter(capacity: 256)
    var open: [Open] = []

    struct Open {
        let place: Int
        let major: UInt8
        var count: Int
    }

    mutating func close(to level: Int) {
        while open.count > level {
            let last = open.removeLast()
            writer.open(at: last.place, major: last.major, count: last.count)
        }
    }
}

/// Where everything is written, one item after the other. One pointer, so that an encoder is small.
private struct Output {
    let writing: UnsafeMutablePointer<Writing>

    var writer: CBORWriter {
        @inline(__always) get { writing.pointee.writer }
        @inline(__always) nonmutating _modify { yield &writing.pointee.writer }
    }

    @inline(__always)
    func encode<T: Encodable>(_ value: T, path: () -> [any CodingKey]) throws {
        // A cast asks the runtime; that two types are one costs nothing.
        if T.self == String.self { return writer.text(unsafeBitCast(value, to: String.self)) }
        if T.self == Int.self { return writer.integer(Int64(unsafeBitCast(value, to: Int.self))) }
        if T.self == Data.self { return writer.data(unsafeBitCast(value, to: Data.self)) }
        if T.self == Date.self { return writer.timestamp(unsafeBitCast(value, to: Date.self)) }
        if T.self == UUID.self { return writer.uuid(unsafeBitCast(value, to: UUID.self)) }
        if T.self == URL.self { return writer.text((value as! URL).absoluteString) }
        if T.self == Value.self { return writer.value(value as! Value) }
        if let fields = value as? any FieldsOfText { return try fields.encode(to: self, path: path()) }
        let (depth, before) = (writing.pointee.open.count, writer.count)
        try value.encode(to: ItemEncoder(output: self, codingPath: path()))
        writing.pointee.close(to: depth)
        // A type that writes nothing is an empty map.
        if writer.count == before { writer.map(0) }
    }

    /// Begins a container; its level.
    func begin(_ major: UInt8) -> Int {
        writing.pointee.open.append(.init(place: writer.placeholder(), major: major, count: 0))
        return writing.pointee.open.count
    }

    /// Another element of the container at `level` follows.
    func element(of level: Int) {
        writing.pointee.close(to: level)
        writing.pointee.open[level - 1].count += 1
    }
}

private struct ItemEncoder: Encoder {
    let output: Output
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy _: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(Fields<Key>(output: output, level: output.begin(5), codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        Elements(output: output, level: output.begin(4), codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Single(output: output, codingPath: codingPath) }
}

private struct Fields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let output: Output
    let level: Int
    let codingPath: [any CodingKey]

    private func name(_ key: any CodingKey) {
        output.element(of: level)
        output.writer.text(key.stringValue)
    }

    mutating func encodeNil(forKey key: Key) throws {
        name(key)
        output.writer.null()
    }

    mutating func encode(_ value: Bool, forKey key: Key) throws {
        name(key)
        output.writer.bool(value)
    }

    mutating func encode(_ value: String, forKey key: Key) throws {
        name(key)
        output.writer.text(value)
    }

    mutating func encode(_ value: Double, forKey key: Key) throws {
        name(key)
        output.writer.float(value)
    }

    mutating func encode(_ value: Float, forKey key: Key) throws {
        name(key)
        output.writer.float(Double(value))
    }

    mutating func encode(_ value: Int, forKey key: Key) throws { integer(Int64(value), key) }
    mutating func encode(_ value: Int8, forKey key: Key) throws { integer(Int64(value), key) }
    mutating func encode(_ value: Int16, forKey key: Key) throws { integer(Int64(value), key) }
    mutating func encode(_ value: Int32, forKey key: Key) throws { integer(Int64(value), key) }
    mutating func encode(_ value: Int64, forKey key: Key) throws { integer(value, key) }
    mutating func encode(_ value: UInt, forKey key: Key) throws { unsigned(UInt64(value), key) }
    mutating func encode(_ value: UInt8, forKey key: Key) throws { unsigned(UInt64(value), key) }
    mutating func encode(_ value: UInt16, forKey key: Key) throws { unsigned(UInt64(value), key) }
    mutating func encode(_ value: UInt32, forKey key: Key) throws { unsigned(UInt64(value), key) }
    mutating func encode(_ value: UInt64, forKey key: Key) throws { unsigned(value, key) }

    private func integer(_ number: Int64, _ key: Key) {
        name(key)
        output.writer.integer(number)
    }

    private func unsigned(_ number: UInt64, _ key: Key) {
        name(key)
        output.writer.unsigned(number)
    }

    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        name(key)
        try output.encode(value) { codingPath + [key] }
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy _: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        name(key)
        return ItemEncoder(output: output, codingPath: codingPath + [key]).container(keyedBy: Nested.self)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        name(key)
        return ItemEncoder(output: output, codingPath: codingPath + [key]).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { superEncoder(forKey: Key(stringValue: "super")!) }

    mutating func superEncoder(forKey key: Key) -> any Encoder {
        name(key)
        return ItemEncoder(output: output, codingPath: codingPath + [key])
    }
}

private struct Elements: UnkeyedEncodingContainer {
    let output: Output
    let level: Int
    let codingPath: [any CodingKey]
    private(set) var count = 0

    init(output: Output, level: Int, codingPath: [any CodingKey]) {
        (self.output, self.level, self.codingPath) = (output, level, codingPath)
    }

    private mutating func next() {
        output.element(of: level)
        count += 1
    }

    mutating func encodeNil() throws {
        next()
        output.writer.null()
    }

    mutating func encode<T: Encodable>(_ value: T) throws {
        next()
        try output.encode(value) { codingPath }
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy _: Nested.Type) -> KeyedEncodingContainer<Nested> {
        next()
        return ItemEncoder(output: output, codingPath: codingPath).container(keyedBy: Nested.self)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        next()
        return ItemEncoder(output: output, codingPath: codingPath).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
        next()
        return ItemEncoder(output: output, codingPath: codingPath)
    }
}

private struct Single: SingleValueEncodingContainer {
    let output: Output
    let codingPath: [any CodingKey]

    mutating func encodeNil() throws { output.writer.null() }
    mutating func encode(_ value: Bool) throws { output.writer.bool(value) }
    mutating func encode(_ value: String) throws { output.writer.text(value) }
    mutating func encode(_ value: Double) throws { output.writer.float(value) }
    mutating func encode(_ value: Float) throws { output.writer.float(Double(value)) }
    mutating func encode(_ value: Int) throws { output.writer.integer(Int64(value)) }
    mutating func encode(_ value: Int8) throws { output.writer.integer(Int64(value)) }
    mutating func encode(_ value: Int16) throws { output.writer.integer(Int64(value)) }
    mutating func encode(_ value: Int32) throws { output.writer.integer(Int64(value)) }
    mutating func encode(_ value: Int64) throws { output.writer.integer(value) }
    mutating func encode(_ value: UInt) throws { output.writer.unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt8) throws { output.writer.unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt16) throws { output.writer.unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt32) throws { output.writer.unsigned(UInt64(value)) }
    mutating func encode(_ value: UInt64) throws { output.writer.unsigned(value) }
    mutating func encode<T: Encodable>(_ value: T) throws { try output.encode(value) { codingPath } }
}
