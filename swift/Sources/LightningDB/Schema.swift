import Foundation

/// An index of a collection.
public struct Index<Root>: Sendable {
    let paths: [String]
    let isUnique: Bool
    var name: String?
    var isSparse = false
    var isMulti = false
    var isFolded = false

    private init(_ paths: [String], isUnique: Bool) {
        (self.paths, self.isUnique) = (paths, isUnique)
    }

    /// Of one field.
    public static func index<Value>(_ field: Field<Root, Value>) -> Index { Index([field.path], isUnique: false) }

    /// Of several fields in order.
    public static func index<each V>(_ fields: repeat Field<Root, each V>) -> Index {
        var paths: [String] = []
        repeat paths.append((each fields).path)
        return Index(paths, isUnique: false)
    }

    /// In which no two documents have the same entry.
    public static func unique<each V>(_ fields: repeat Field<Root, each V>) -> Index {
        var paths: [String] = []
        repeat paths.append((each fields).path)
        return Index(paths, isUnique: true)
    }

    /// Under this name, not that of its paths joined by `+`.
    public func named(_ name: String) -> Index { with { $0.name = name } }

    /// Documents without the field have no entry.
    public var sparse: Index { with { $0.isSparse = true } }

    /// Each element of an array has an entry.
    public var multi: Index { with { $0.isMulti = true } }

    /// Case and accents are left out.
    public var folded: Index { with { $0.isFolded = true } }

    private func with(_ change: (inout Index) -> Void) -> Index {
        var copy = self
        change(&copy)
        return copy
    }

    var value: Value {
        var map: [String: Value] = ["paths": .array(paths.map(Value.text))]
        if let name { map["name"] = .text(name) }
        if isUnique { map["unique"] = true }
        if isSparse { map["sparse"] = true }
        if isMulti { map["multi"] = true }
        if isFolded { map["folded"] = true }
        return .map(map)
    }
}

/// How keys of documents are made that come without one.
public enum AutoKey: String, Sendable {
    /// Counted up; a number is never given twice.
    case increment
    /// UUIDs of version 7, which sort by the time they were made.
    case uuid
}

/// How documents of an older version become those of the next.
public struct Migration: Sendable {
    enum Kind: Sendable {
        case each(@Sendable (inout [String: Value]) throws -> Void)
        case changes([UInt8])
        case together(@Sendable (BlockingCollection<Value>) throws -> Void)
    }

    let kind: Kind

    init(_ kind: Kind) {
        self.kind = kind
    }

    /// The fields of each document are changed in place.
    public static func each(_ change: @escaping @Sendable (inout [String: Value]) throws -> Void) -> Migration {
        Migration(.each(change))
    }

    /// The same changes are made to each document.
    public static func by(_ update: Update) -> Migration { Migration(.changes(update.cbor)) }

    /// All documents are changed in one transaction, in which `change` reads and writes them.
    public static func together(_ change: @escaping @Sendable (BlockingCollection<Value>) throws -> Void) -> Migration {
        Migration(.together(change))
    }
}

func schema(key: String, indexes: [Value], version: Int, expiresAfter: TimeInterval?, autoKey: AutoKey?) -> [UInt8] {
    var map: [String: Value] = ["key": .text(key), "version": .int(Int64(version)), "indexes": .array(indexes)]
    if let expiresAfter { map["expiresAfterMs"] = .int(Int64(expiresAfter * 1000)) }
    if let autoKey { map["autoKey"] = .text(autoKey.rawValue) }
    return CBORWriter.encode(.map(map))
}
