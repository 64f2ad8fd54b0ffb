import Foundation

/// JSON that keeps integers and floats apart, which Foundation's does not everywhere.
enum JSON: Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case float(Double)
    case text(String)
    case list([JSON])
    case object([String: JSON])

    init(_ text: String) throws {
        var parser = Parser(bytes: Array(text.utf8))
        self = try parser.value()
        guard parser.isAtEnd else { throw Mistake("something follows the value") }
    }

    var text: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    var integer: Int64? {
        guard case .integer(let number) = self else { return nil }
        return number
    }

    var list: [JSON]? {
        guard case .list(let elements) = self else { return nil }
        return elements
    }

    var object: [String: JSON]? {
        guard case .object(let members) = self else { return nil }
        return members
    }
}

/// What is wrong with a script, or with what came of it.
struct Mistake: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

private struct Parser {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool {
        mutating get {
            space()
            return at == bytes.count
        }
    }

    private mutating func space() {
        while at < bytes.count, " \t\r\n".utf8.contains(bytes[at]) { at += 1 }
    }

    /// The next byte that is no space.
    private mutating func peek() throws -> Character {
        space()
        guard at < bytes.count else { throw Mistake("the JSON ends too early") }
        return Character(UnicodeScalar(bytes[at]))
    }

    private mutating func expect(_ character: Character) throws {
        guard try peek() == character else { throw Mistake("'\(character)' was expected at byte \(at) of JSON") }
        at += 1
    }

    private mutating func takes(_ word: String) -> Bool {
        guard bytes[at...].starts(with: word.utf8) else { return false }
        at += word.utf8.count
        return true
    }

    mutating func value() throws -> JSON {
        switch try peek() {
        case "{":
            var members: [String: JSON] = [:]
            try each("{", "}") { parser in
                guard try parser.peek() == "\"" else { throw Mistake("a member has no name at byte \(parser.at) of JSON") }
                let name = try parser.string()
                try parser.expect(":")
                members[name] = try parser.value()
            }
            return .object(members)
        case "[":
            var elements: [JSON] = []
            try each("[", "]") { elements.append(try $0.value()) }
            return .list(elements)
        case "\"": return .text(try string())
        default:
            if takes("null") { return .null }
            if takes("true") { return .bool(true) }
            if takes("false") { return .bool(false) }
            return try number()
        }
    }

    private mutating func each(_ open: Character, _ close: Character, _ element: (inout Parser) throws -> Void) throws {
        try expect(open)
        if try peek() == close {
            at += 1
            return
        }
        while true {
            try element(&self)
            if try peek() == close {
                at += 1
                return
            }
            try expect(",")
        }
    }

    private mutating func number() throws -> JSON {
        let start = at
        while at < bytes.count, "+-.eE0123456789".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        let isFloat = text.contains { ".eE".contains($0) }
        guard let number = isFloat ? Double(text).map(JSON.float) : Int64(text).map(JSON.integer) else {
            throw Mistake("'\(text)' is no number, at byte \(start) of JSON")
        }
        return number
    }

    private mutating func string() throws -> String {
        try expect("\"")
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch Character(UnicodeScalar(byte)) {
            case "\"": return String(decoding: text, as: UTF8.self)
            case "\\":
                guard at < bytes.count else { break }
                at += 1
                switch Character(UnicodeScalar(bytes[at - 1])) {
                case "n": text.append(0x0a)
                case "t": text.append(0x09)
                case "r": text.append(0x0d)
                case "b": text.append(0x08)
                case "f": text.append(0x0c)
                case "u":
                    // Letters beyond 16 bits are two of these.
                    var units = [try unit()]
                    while takes("\\u") { units.append(try unit()) }
                    text += String(decoding: units, as: UTF16.self).utf8
                default: text.append(bytes[at - 1])
                }
            default: text.append(byte)
            }
        }
        throw Mistake("a text has no end in JSON")
    }

    private mutating func unit() throws -> UInt16 {
        let digits = String(decoding: bytes[at..<min(at + 4, bytes.count)], as: UTF8.self)
        guard digits.utf8.count == 4, let unit = UInt16(digits, radix: 16) else { throw Mistake("'\(digits)' is no letter of JSON") }
        at += 4
        return unit
    }
}
