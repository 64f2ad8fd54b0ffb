import Foundation

/// Whatever a document, a key or a field of an update may hold.
public enum Value: Sendable, Hashable {
    /// Nothing.
    case null
    /// True or false.
    case bool(Bool)
    /// An integer.
    case int(Int64)
    /// An integer above those of 64 bits with a sign; one that is not is given back as `int`.
    case unsigned(UInt64)
    /// An integer below those of 64 bits with a sign, down to −2⁶⁴: it is −1 − n. One that is not is given back as `int`.
    case negative(UInt64)
    /// A number with a fraction.
    case double(Double)
    /// Text.
    case text(String)
    /// Bytes.
    case data(Data)
    /// A time, in microseconds since the beginning of 1970.
    case timestamp(microseconds: Int64)
    /// A UUID.
    case uuid(UUID)
    /// Values in order.
    case array([Value])
    /// Fields by name.
    case map([String: Value])

    /// A time, to the nearest microsecond.
    public static func date(_ date: Date) -> Value { .timestamp(microseconds: date.lightningMicroseconds) }

    /// The time that it is, if it is one.
    public var date: Date? {
        guard case .timestamp(let microseconds) = self else { return nil }
        return Date(lightningMicroseconds: microseconds)
    }

    /// The field of a map; nil also where it is no map.
    public subscript(field: String) -> Value? {
        guard case .map(let fields) = self else { return nil }
        return fields[field]
    }
}

extension Date {
    /// Since the beginning of 1970; what is beyond 64 bits is the last of them.
    var lightningMicroseconds: Int64 { Int64(clamping: (timeIntervalSince1970 * 1_000_000).rounded()) }

    /// Since the beginning of 1970; before that 0.
    var lightningMilliseconds: UInt64 { UInt64(max(0, Int64(clamping: (timeIntervalSince1970 * 1000).rounded()))) }

    init(lightningMicroseconds microseconds: Int64) {
        self.init(timeIntervalSince1970: Double(microseconds) / 1_000_000)
    }

    init(lightningMilliseconds milliseconds: UInt64) {
        self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    }
}

extension TimeInterval {
    /// Below 0 it is 0, and at most some 30,000 years.
    var lightningMilliseconds: UInt64 { UInt64(max(0, min(self, 1e12)) * 1000) }

    init(lightningMilliseconds milliseconds: UInt64) { self = Double(milliseconds) / 1000 }
}

extension Int64 {
    /// The nearest that there is; 0 for what is no number.
    init(clamping number: Double) {
        self = Int64(exactly: number) ?? (number.isNaN ? 0 : number < 0 ? .min : .max)
    }
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

// Not by nil: where a value is optional, that would mean two things.
extension Value: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(arrayLiteral elements: Value...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, Value)...) { self = .map(Dictionary(uniqueKeysWithValues: elements)) }
}
