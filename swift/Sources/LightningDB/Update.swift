import Foundation

/// What an update does with documents, one change after the other.
public struct Update: Sendable, Hashable {
    private var changes: [Value] = []
    /// Changes as they cross, right or wrong.
    private var given: Value?

    /// Nothing yet.
    public init() {}

    init(given: Value) {
        self.given = given
    }

    /// Also gives a field a value.
    public func set<Root, V: ValueConvertible>(_ field: Field<Root, V>, to value: V) -> Update {
        set(field.path, to: value)
    }

    /// Also gives the field at a path a value.
    public func set(_ path: String, to value: some ValueConvertible) -> Update {
        adding(["set": .text(path), "value": value.lightningValue])
    }

    /// Also adds to a number.
    public func increment<Root, V: ValueConvertible>(_ field: Field<Root, V>, by number: V) -> Update {
        adding(["increment": .text(field.path), "by": number.lightningValue])
    }

    /// Also takes a field away.
    public func remove<Root, V>(_ field: Field<Root, V>) -> Update { adding(["remove": .text(field.path)]) }

    /// Also merges these fields in (RFC 7396): null takes one away.
    public func patch(_ fields: [String: Value]) -> Update { adding(["patch": .map(fields)]) }

    private func adding(_ change: Value) -> Update {
        var copy = self
        copy.changes.append(change)
        return copy
    }

    var cbor: [UInt8] { CBORWriter.encode(given ?? .array(changes)) }
}
