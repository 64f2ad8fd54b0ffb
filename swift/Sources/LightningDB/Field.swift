import Foundation

/// A field of a type and the name under which it is stored: a constant for keys, indexes and queries, so that a wrong one does not
/// compile.
///
/// ```swift
/// extension Person { static let id = Field(\Person.id, "id"), age = Field(\Person.age, "age") }
/// ```
public struct Field<Root, Value>: Sendable {
    /// The name, or a path such as `address.city`.
    public let path: String

    /// The field at `keyPath`, which the type's `Codable` writes as `path`.
    public init(_ keyPath: KeyPath<Root, Value>, _ path: String) {
        self.path = path
    }
}

extension Field where Root == LightningDB.Value, Value == LightningDB.Value {
    /// The field under a path, of documents whose fields are not known before: those of `db.collection(Value.self, …)`.
    public init(_ path: String) {
        self.path = path
    }
}

/// What documents must be like.
public struct Filter: Sendable, Hashable {
    let value: LightningDB.Value

    private init(_ value: LightningDB.Value) {
        self.value = value
    }

    /// What is said of the field at a path.
    static func condition(_ path: String, _ rest: [String: LightningDB.Value]) -> Filter {
        Filter(.map(rest.merging(["path": .text(path)]) { own, _ in own }))
    }

    static func all(_ filters: [Filter]) -> LightningDB.Value {
        filters.count == 1 ? filters[0].value : ["all": .array(filters.map(\.value))]
    }

    /// Both.
    public static func && (one: Filter, other: Filter) -> Filter { Filter(["all": [one.value, other.value]]) }

    /// One of them, or both.
    public static func || (one: Filter, other: Filter) -> Filter { Filter(["any": [one.value, other.value]]) }

    /// Not this.
    public static prefix func ! (filter: Filter) -> Filter { Filter(["not": filter.value]) }
}

extension Field where Value: ValueConvertible {
    private func condition(_ what: String, _ value: some ValueConvertible) -> Filter {
        .condition(path, [what: value.lightningValue])
    }

    /// It is this; nil also where there is none.
    public static func == (field: Field, value: Value) -> Filter { field.condition("equals", value) }
    /// It is more.
    public static func > (field: Field, value: Value) -> Filter { field.condition("above", value) }
    /// It is less.
    public static func < (field: Field, value: Value) -> Filter { field.condition("below", value) }
    /// It is this or more.
    public static func >= (field: Field, value: Value) -> Filter { field.condition("from", value) }
    /// It is this or less.
    public static func <= (field: Field, value: Value) -> Filter { field.condition("to", value) }

    /// It is one of these.
    public func isIn(_ values: [Value]) -> Filter { .condition(path, ["in": .array(values.map(\.lightningValue))]) }
}

extension Field {
    /// Whether there is one.
    public var exists: Filter { .condition(path, ["exists": true]) }

    /// Text that begins so; `folded`: whatever the case and the accents.
    public func starts(with prefix: String, folded: Bool = false) -> Filter {
        .condition(path, folded ? ["startsWith": .text(prefix), "fold": true] : ["startsWith": .text(prefix)])
    }

    /// It is this text, whatever the case and the accents.
    public func equalsFolded(_ text: String) -> Filter { .condition(path, ["equals": .text(text), "fold": true]) }
}

/// Values from one to another.
public protocol ValueRange: Sendable {
    associatedtype Bound: ValueConvertible
    /// The bounds, as a filter has them.
    var lightningBounds: [String: Value] { get }
}

extension ClosedRange: ValueRange where Bound: ValueConvertible {
    public var lightningBounds: [String: Value] { ["from": lowerBound.lightningValue, "to": upperBound.lightningValue] }
}

extension Range: ValueRange where Bound: ValueConvertible {
    public var lightningBounds: [String: Value] { ["from": lowerBound.lightningValue, "below": upperBound.lightningValue] }
}

extension PartialRangeFrom: ValueRange where Bound: ValueConvertible {
    public var lightningBounds: [String: Value] { ["from": lowerBound.lightningValue] }
}

extension PartialRangeThrough: ValueRange where Bound: ValueConvertible {
    public var lightningBounds: [String: Value] { ["to": upperBound.lightningValue] }
}

extension PartialRangeUpTo: ValueRange where Bound: ValueConvertible {
    public var lightningBounds: [String: Value] { ["below": upperBound.lightningValue] }
}
