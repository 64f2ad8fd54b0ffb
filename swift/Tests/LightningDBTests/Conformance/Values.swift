import Foundation

@testable import LightningDB

extension Value {
    /// Reads a value in the form of the scripts.
    init(script json: JSON) throws {
        switch json {
        case .null: self = .null
        case .bool(let bool): self = .bool(bool)
        case .integer(let number): self = .int(number)
        case .float(let number): self = .double(number)
        case .text(let text): self = .text(text)
        case .list(let elements): self = .array(try elements.map(Value.init(script:)))
        case .object(let members):
            if members.count == 1, let (mark, json) = members.first, mark.hasPrefix("$") {
                self = try Value.marked(mark, json)
            } else {
                self = .map(try members.mapValues(Value.init(script:)))
            }
        }
    }

    private static func marked(_ mark: String, _ json: JSON) throws -> Value {
        switch (mark, json) {
        case ("$integer", .text(let digits)): return try integer(digits)
        case ("$float", .text(let text)):
            if let number = Double(text) { return .double(number) }
        case ("$bytes", .text(let digits)): return .data(try bytes(digits))
        case ("$timestamp", _):
            if case .int(let microseconds) = try Value(script: json) { return .timestamp(microseconds: microseconds) }
        case ("$uuid", .text(let text)):
            if let uuid = UUID(uuidString: text) { return .uuid(uuid) }
        case ("$map", .object(let members)): return .map(try members.mapValues(Value.init(script:)))
        case ("$repeat", .list(let parts)):
            if parts.count == 2, let text = parts[0].text, let times = parts[1].integer {
                return .text(String(repeating: text, count: Int(times)))
            }
        default: break
        }
        throw Mistake("\(mark) with \(json) stands for no value")
    }

    private static func integer(_ digits: String) throws -> Value {
        if let number = Int64(digits) { return .int(number) }
        if let number = UInt64(digits) { return .unsigned(number) }
        if digits == "-18446744073709551616" { return .negative(.max) }
        guard digits.hasPrefix("-"), let number = UInt64(digits.dropFirst()) else { throw Mistake("'\(digits)' is no integer") }
        return .negative(number - 1)
    }

    /// Whether it is the same to the last bit: equal texts of different letters, and zeros of different signs, are not.
    func isSame(as other: Value) -> Bool {
        switch (self, other) {
        case (.double(let one), .double(let other)): one.bitPattern == other.bitPattern || one.isNaN && other.isNaN
        case (.text(let one), .text(let other)): one.utf8.elementsEqual(other.utf8)
        case (.array(let one), .array(let other)): one.elementsEqual(other) { $0.isSame(as: $1) }
        case (.map(let one), .map(let other)):
            one.count == other.count && one.allSatisfy { name, value in other[name].map(value.isSame) ?? false }
        default: self == other
        }
    }
}

func bytes(_ digits: String) throws -> Data {
    let digits = Array(digits)
    return Data(
        try stride(from: 0, to: digits.count, by: 2).map { at in
            guard let byte = UInt8(String(digits[at..<min(at + 2, digits.count)]), radix: 16) else { throw Mistake("these are no bytes") }
            return byte
        }
    )
}
