import Foundation

/// Whatever a document, a key or a field of an update may hold.
public enum Value: Sendable, Hashable {
    /// Nothing.
    case null
    /// True or false.
    case bool(Bool)
    /// An integer.
    case int(Int64)
    /// An integer beyond those with a sign.
    case unsigned(UInt64)
    /// A number with a fraction.
    case double(Double)
    /// Text.
    case text(String)
    /// Bytes.
    case data(Data)
    /// A time, to the microsecond.
    case date(Date)
    /// A UUID.
    case uuid(UUID)
    /// Values in order.
    case array([Value])
    /// Fields by name.
    case map([String: Value])
}

/// What can be a key, a bound of a query, or the new value of a field.
public protocol ValueConvertible: Sendable {
    /// As the database has it.
    var lightningValue: Value { get }
}

extension Value: ValueConvertible {
    public var lightningValue: Value { self }
}

extension Bool: ValueConvertible {
    public var lightningValue: Value { .bool(self) }
}

extension Int: ValueConvertible {
    public var lightningValue: Value { .int(Int64(self)) }
}

extension Int32: ValueConvertible {
    public var lightningValue: Value { .int(Int64(self)) }
}

extension Int64: ValueConvertible {
    public var lightningValue: Value { .int(self) }
}

extension UInt64: ValueConvertible {
    public var lightningValue: Value { self <= UInt64(Int64.max) ? .int(Int64(self)) : .unsigned(self) }
}

extension Double: ValueConvertible {
    public var lightningValue: Value { .double(self) }
}

extension String: ValueConvertible {
    public var lightningValue: Value { .text(self) }
}

extension Data: ValueConvertible {
    public var lightningValue: Value { .data(self) }
}

extension Date: ValueConvertible {
    public var lightningValue: Value { .date(self) }
}

extension UUID: ValueConvertible {
    public var lightningValue: Value { .uuid(self) }
}

extension Optional: ValueConvertible where Wrapped: ValueConvertible {
    public var lightningValue: Value { map(\.lightningValue) ?? .null }
}

extension Array: ValueConvertible where Element: ValueConvertible {
    public var lightningValue: Value { .array(map(\.lightningValue)) }
}

extension Value: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(arrayLiteral elements: Value...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, Value)...) { self = .map(Dictionary(uniqueKeysWithValues: elements)) }
}
