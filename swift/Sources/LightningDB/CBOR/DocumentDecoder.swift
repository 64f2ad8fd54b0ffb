import Foundation

/// Documents as `Codable` types: from CBOR, straight into their fields.
///
/// All containers of a document share one reader, which lies outside of Swift's objects, as does what is known of its items: a container is
/// one pointer, so that nobody counts references where Swift's boxes are filled and emptied, and nothing watches who has access. They are
/// gone when the document has been read, and so must the decoder be, which `Codable` types do not keep.
enum DocumentDecoder {
    static func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        try decoding(type) { try $0(bytes) }
    }

    static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        try bytes.withUnsafeBytes { try decode(type, from: $0) }
    }

    /// Gives `body` what reads documents of a type, as many as it likes, one after the other.
    static func decoding<T: Decodable, R>(
        _ type: T.Type, _ body: ((UnsafeRawBufferPointer) throws -> T) throws -> R
    ) rethrows -> R {
        var reading = Reading(reader: CBORReader(UnsafeRawBufferPointer(start: nil, count: 0)))
        defer { reading.fields?.free() }
        return try withUnsafeMutablePointer(to: &reading) { reading in
            var document = Item(reading: reading, start: 0)
            return try withUnsafeMutablePointer(to: &document) { document in
                reading.pointee.document = document
                return try body { bytes in
                    reading.pointee.reader = CBORReader(bytes)
                    document.pointee = Item(reading: reading, start: 0)
                    defer {
                        reading.pointee.kept?.free()
                        reading.pointee.kept = nil
                    }
                    return try T(from: ItemDecoder(item: document))
                }
            }
        }
    }
}

/// What the containers of a document share.
private struct Reading {
    var reader: CBORReader
    /// The whole document, which is at one place whichever it is.
    var document: UnsafeMutablePointer<Item>?
    /// The container of its fields, for the next one of its type.
    var fields: KeptFields?
    /// Items that are read until the document has been, for who made a container of them may come back to it.
    var kept: Items?
}

/// A container of fields that is kept: to make one asks for memory, and Swift's runtime for three types.
private struct KeptFields {
    private let key: any CodingKey.Type
    private let place: UnsafeMutableRawPointer
    private let destroy: (UnsafeMutableRawPointer) -> Void

    init<Key: CodingKey>(_ container: KeyedDecodingContainer<Key>) {
        key = Key.self
        let place = UnsafeMutablePointer<KeyedDecodingContainer<Key>>.allocate(capacity: 1)
        place.initialize(to: container)
        self.place = UnsafeMutableRawPointer(place)
        destroy = { $0.assumingMemoryBound(to: KeyedDecodingContainer<Key>.self).deinitialize(count: 1).deallocate() }
    }

    /// It, where the fields are named by the same type.
    func container<Key: CodingKey>(_: Key.Type) -> KeyedDecodingContainer<Key>? {
        key == Key.self ? place.assumingMemoryBound(to: KeyedDecodingContainer<Key>.self).pointee : nil
    }

    func free() { destroy(place) }
}

private final class Items {
    private var all: [UnsafeMutablePointer<Item>] = []

    func keep(_ item: Item) -> UnsafeMutablePointer<Item> {
        let place = UnsafeMutablePointer<Item>.allocate(capacity: 1)
        place.initialize(to: item)
        all.append(place)
        return place
    }

    func free() { all.forEach { $0.deallocate() } }
}

/// An item of the document that a type is read from, and how far its container is.
private struct Item {
    private let reading: UnsafeMutablePointer<Reading>
    let start: Int
    /// The map or array that it is in; where its name is in the document, or `~` its index.
    private let parent: UnsafeMutablePointer<Item>?
    private let name: Int
    /// Whether it has its container; a second one has an item of its own.
    private var isTaken = false
    /// Where the elements or fields begin, and how many there are.
    private(set) var first = 0
    private(set) var count = 0
    /// The element, or the name of the field, that is looked at next, and how many are before it.
    var at = 0
    var index = 0

    init(reading: UnsafeMutablePointer<Reading>, start: Int, parent: UnsafeMutablePointer<Item>? = nil, name: Int = 0) {
        (self.reading, self.start, self.parent, self.name) = (reading, start, parent, name)
    }

    var reader: UnsafeMutablePointer<CBORReader> {
        // It is the first in it.
        @inline(__always) get { UnsafeMutableRawPointer(reading).assumingMemoryBound(to: CBORReader.self) }
    }

    /// The item for another container: `item` itself for the first.
    static func take(_ item: UnsafeMutablePointer<Item>, _ readCount: (UnsafeMutablePointer<CBORReader>) throws -> Int) rethrows
        -> UnsafeMutablePointer<Item>
    {
        let own = item.pointee.isTaken ? item.pointee.kept() : item
        let reader = item.pointee.reader
        reader.pointee.at = item.pointee.start
        own.pointee.count = try readCount(reader)
        own.pointee.isTaken = true
        (own.pointee.first, own.pointee.at, own.pointee.index) = (reader.pointee.at, reader.pointee.at, 0)
        return own
    }

    static func isDocument(_ item: UnsafeMutablePointer<Item>) -> Bool { item.pointee.reading.pointee.document == item }

    /// The container of the document's fields.
    var fields: KeptFields? {
        get { reading.pointee.fields }
        nonmutating set {
            reading.pointee.fields?.free()
            reading.pointee.fields = newValue
        }
    }

    /// A place for it that stays until the document has been read.
    func kept() -> UnsafeMutablePointer<Item> {
        let items = reading.pointee.kept ?? Items()
        reading.pointee.kept = items
        return items.keep(again)
    }

    /// Where `item` has come to, as an item within it.
    static func within(_ item: UnsafeMutablePointer<Item>, name: Int) -> Item {
        Item(reading: item.pointee.reading, start: item.pointee.reader.pointee.at, parent: item, name: name)
    }

    /// The same item, for another type to read.
    var again: Item { Item(reading: reading, start: start, parent: parent, name: name) }

    static func read<T: Decodable>(_ type: T.Type, of item: Item) throws -> T {
        var item = item
        return try withUnsafeMutablePointer(to: &item) { try T(from: ItemDecoder(item: $0)) }
    }

    /// Reads what comes next, which `item` says more of where the type asks for it.
    @inline(__always)
    static func next<T: Decodable>(_ type: T.Type, _ reader: UnsafeMutablePointer<CBORReader>, _ item: () -> Item) throws -> T {
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
        let item = item()
        let value = try read(type, of: item)
        // However much of the item the type reads, the next one begins behind it.
        reader.pointee.at = item.start
        try reader.pointee.skip()
        return value
    }

    /// The names and indexes that lead to it, for errors.
    var codingPath: [any CodingKey] {
        guard let parent else { return [] }
        var reader = reader.pointee
        reader.at = name
        let key = name < 0 ? Step(index: ~name) : Step(stringValue: (try? reader.text()) ?? "")
        return parent.pointee.codingPath + [key]
    }
}

/// A name or an index on the way to an item.
private struct Step: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) { (self.stringValue, intValue) = (stringValue, nil) }
    init(intValue: Int) { self.init(index: intValue) }
    init(index: Int) { (stringValue, intValue) = ("Index \(index)", index) }
}

private struct ItemDecoder: Decoder {
    let item: UnsafeMutablePointer<Item>
    var codingPath: [any CodingKey] { item.pointee.codingPath }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy _: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let own = try Item.take(item) { try $0.pointee.map() }
        guard Item.isDocument(own) else { return KeyedDecodingContainer(FieldsOf<Key>(item: own)) }
        if let kept = own.pointee.fields?.container(Key.self) { return kept }
        let container = KeyedDecodingContainer(FieldsOf<Key>(item: own))
        own.pointee.fields = KeptFields(container)
        return container
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        ElementsOf(item: try Item.take(item) { try $0.pointee.array() })
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { SingleOf(item: Item.take(item) { _ in 1 }) }
}

/// The fields of a map. They are looked for from where the last one ended: types ask for them in the order in which they wrote them.
private struct FieldsOf<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let item: UnsafeMutablePointer<Item>
    var codingPath: [any CodingKey] { item.pointee.codingPath }

    var allKeys: [Key] {
        let reader = item.pointee.reader
        reader.pointee.at = item.pointee.first
        return (0..<item.pointee.count).compactMap { _ in
            guard let name = try? reader.pointee.text(), (try? reader.pointee.skip()) != nil else { return nil }
            return Key(stringValue: name)
        }
    }

    /// Goes to the value of a field; false where there is none. The field stays the one that is looked at next.
    @inline(__always)
    private func find(_ key: Key) throws -> Bool {
        let reader = item.pointee.reader
        reader.pointee.at = item.pointee.at
        var name = key.stringValue
        return try name.withUTF8 { name in
            // Nearly always it is this one.
            if item.pointee.index < item.pointee.count, reader.pointee.takes(name) { return true }
            return try search(name)
        }
    }

    @inline(never)
    private func search(_ name: UnsafeBufferPointer<UInt8>) throws -> Bool {
        let reader = item.pointee.reader
        for _ in 0..<item.pointee.count {
            if item.pointee.index == item.pointee.count { (item.pointee.at, item.pointee.index) = (item.pointee.first, 0) }
            reader.pointee.at = item.pointee.at
            if reader.pointee.takes(name) { return true }
            try reader.pointee.skip()
            try reader.pointee.skip()
            goOn()
        }
        return false
    }

    /// The value of the field that was found was read: another follows.
    @inline(__always)
    private func goOn() {
        item.pointee.at = item.pointee.reader.pointee.at
        item.pointee.index += 1
    }

    @inline(__always)
    private func field<R>(_ key: Key, _ read: (UnsafeMutablePointer<CBORReader>) throws -> R) throws -> R {
        guard try find(key) else { throw missing(key) }
        let value = try read(item.pointee.reader)
        goOn()
        return value
    }

    /// As `field`; nil where there is none, or where it is null.
    @inline(__always)
    private func fieldIfPresent<R>(_ key: Key, _ read: (UnsafeMutablePointer<CBORReader>) throws -> R) throws -> R? {
        guard try find(key) else { return nil }
        let reader = item.pointee.reader
        if reader.pointee.isAtNull {
            reader.pointee.at += 1
            goOn()
            return nil
        }
        let value = try read(reader)
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
        return item.pointee.reader.pointee.isAtNull
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
        try field(key) { try Item.next(type, $0) { Item.within(item, name: item.pointee.at) } }
    }

    func decodeIfPresent(_: Bool.Type, forKey key: Key) throws -> Bool? { try fieldIfPresent(key) { try $0.pointee.bool() } }
    func decodeIfPresent(_: String.Type, forKey key: Key) throws -> String? { try fieldIfPresent(key) { try $0.pointee.text() } }
    func decodeIfPresent(_: Double.Type, forKey key: Key) throws -> Double? { try fieldIfPresent(key) { try $0.pointee.double() } }
    func decodeIfPresent(_: Int.Type, forKey key: Key) throws -> Int? { try fieldIfPresent(key) { try $0.pointee.integer(Int.self) } }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        try fieldIfPresent(key) { try Item.next(type, $0) { Item.within(item, name: item.pointee.at) } }
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try decoder(key).unkeyedContainer() }

    func superDecoder() throws -> any Decoder { try decoder(Key(stringValue: "super")!) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }

    private func decoder(_ key: Key) throws -> ItemDecoder {
        guard try find(key) else { throw missing(key) }
        return ItemDecoder(item: Item.within(item, name: item.pointee.at).kept())
    }
}

private struct ElementsOf: UnkeyedDecodingContainer {
    let item: UnsafeMutablePointer<Item>
    var codingPath: [any CodingKey] { item.pointee.codingPath }
    var count: Int? { item.pointee.count }
    var currentIndex: Int { item.pointee.index }
    var isAtEnd: Bool { item.pointee.index >= item.pointee.count }

    private func next<R>(_ read: (UnsafeMutablePointer<CBORReader>) throws -> R) throws -> R {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(R.self, .init(codingPath: codingPath, debugDescription: "an array has no more elements"))
        }
        let reader = item.pointee.reader
        // What was read in between may have gone elsewhere.
        reader.pointee.at = item.pointee.at
        let value = try read(reader)
        item.pointee.at = reader.pointee.at
        item.pointee.index += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        let reader = item.pointee.reader
        reader.pointee.at = item.pointee.at
        guard !isAtEnd, reader.pointee.isAtNull else { return false }
        try next { try $0.pointee.null() }
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try next { try Item.next(type, $0) { Item.within(item, name: ~item.pointee.index) } }
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try decoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try decoder().unkeyedContainer() }

    mutating func superDecoder() throws -> any Decoder { try decoder() }

    private mutating func decoder() throws -> ItemDecoder {
        try next { reader in
            let element = Item.within(item, name: ~item.pointee.index).kept()
            try reader.pointee.skip()
            return ItemDecoder(item: element)
        }
    }
}

private struct SingleOf: SingleValueDecodingContainer {
    let item: UnsafeMutablePointer<Item>
    var codingPath: [any CodingKey] { item.pointee.codingPath }

    private func read<R>(_ read: (inout CBORReader) throws -> R) rethrows -> R {
        let reader = item.pointee.reader
        reader.pointee.at = item.pointee.start
        return try read(&reader.pointee)
    }

    func decodeNil() -> Bool { read { $0.isAtNull } }
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
        try read { try Item.next(type, &$0) { item.pointee.again } }
    }
}
