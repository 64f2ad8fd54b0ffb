import Foundation

/// Reads CBOR (RFC 8949) of any form that a document may have. The bytes are the caller's, and outlive it.
struct CBORReader {
    let bytes: UnsafeRawBufferPointer
    var at: Int

    init(_ bytes: UnsafeRawBufferPointer, at: Int = 0) {
        self.bytes = bytes
        self.at = at
    }

    static func decode(_ bytes: [UInt8]) throws -> Value {
        try bytes.withUnsafeBytes { buffer in
            var reader = CBORReader(buffer)
            return try reader.value()
        }
    }

    func failure(_ what: String) -> LightningError {
        .invalid("\(what), at byte \(at) of a document")
    }

    @inline(__always)
    private mutating func byte() throws -> UInt8 {
        guard at < bytes.count else { throw failure("it ends within an item") }
        let byte = bytes.baseAddress.unsafelyUnwrapped.load(fromByteOffset: at, as: UInt8.self)
        at += 1
        return byte
    }

    @inline(__always)
    private mutating func number<T: FixedWidthInteger>(_: T.Type) throws -> T {
        guard bytes.count - at >= MemoryLayout<T>.size else { throw failure("it ends within an item") }
        let number = bytes.baseAddress.unsafelyUnwrapped.loadUnaligned(fromByteOffset: at, as: T.self)
        at += MemoryLayout<T>.size
        return T(bigEndian: number)
    }

    /// The next byte; 0xff where there is none, which begins no item.
    private var head: UInt8 {
        @inline(__always) get { at < bytes.count ? bytes.baseAddress.unsafelyUnwrapped.load(fromByteOffset: at, as: UInt8.self) : 0xff }
    }

    var nextMajor: UInt8 { head == 0xff ? 0xff : head >> 5 }

    var isAtNull: Bool {
        @inline(__always) get { head == 0xf6 || head == 0xf7 }
    }

    @inline(__always)
    mutating func argument() throws -> UInt64 {
        let low = try byte() & 0x1f
        return low < 24 ? UInt64(low) : try argument(follows: low)
    }

    private mutating func argument(follows low: UInt8) throws -> UInt64 {
        switch low {
        case 24: return UInt64(try byte())
        case 25: return UInt64(try number(UInt16.self))
        case 26: return UInt64(try number(UInt32.self))
        case 27: return try number(UInt64.self)
        default: throw failure("a length is not said")
        }
    }

    @inline(__always)
    private mutating func expect(_ major: UInt8, _ what: StaticString) throws -> UInt64 {
        guard head != 0xff, head >> 5 == major else { throw failure("\(what) was expected") }
        return try argument()
    }

    @inline(__always)
    private func size(_ length: UInt64) throws -> Int {
        guard length <= UInt64(bytes.count - at) else { throw failure("more is said to follow than there is") }
        return Int(length)
    }

    mutating func array() throws -> Int { try size(try expect(4, "an array")) }

    mutating func map() throws -> Int { try size(try expect(5, "a map")) }

    mutating func null() throws {
        guard isAtNull else { throw failure("null was expected") }
        at += 1
    }

    mutating func bool() throws -> Bool {
        switch try byte() {
        case 0xf5: return true
        case 0xf4: return false
        default:
            at -= 1
            throw failure("true or false was expected")
        }
    }

    @inline(__always)
    mutating func text() throws -> String {
        let length = try size(try expect(3, "text"))
        let start = bytes.baseAddress.unsafelyUnwrapped.advanced(by: at).assumingMemoryBound(to: UInt8.self)
        at += length
        return String(decoding: UnsafeBufferPointer(start: start, count: length), as: UTF8.self)
    }

    /// Whether the next item is this text; then it is read.
    @inline(__always)
    mutating func takes(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        let count = name.count
        // Names are short. Documents are written in shortest form, and another form is as good.
        guard count < 24 else { return takes(long: name) }
        guard head == 0x60 | UInt8(truncatingIfNeeded: count), bytes.count - at > count else { return false }
        guard count == 0 || memcmp(bytes.baseAddress.unsafelyUnwrapped + at + 1, name.baseAddress.unsafelyUnwrapped, count) == 0 else { return false }
        at += 1 + count
        return true
    }

    private mutating func takes(long name: UnsafeBufferPointer<UInt8>) -> Bool {
        var ahead = self
        guard head >> 5 == 3, let length = try? ahead.argument(), length == UInt64(name.count), bytes.count - ahead.at >= name.count,
            memcmp(bytes.baseAddress.unsafelyUnwrapped + ahead.at, name.baseAddress.unsafelyUnwrapped, name.count) == 0
        else { return false }
        at = ahead.at + name.count
        return true
    }

    mutating func data() throws -> Data {
        let length = try size(try expect(2, "bytes"))
        let start = bytes.baseAddress.unsafelyUnwrapped.advanced(by: at)
        at += length
        return Data(bytes: start, count: length)
    }

    /// An integer, or a float that is one: other languages write 3.0 for 3.
    @inline(__always)
    mutating func integer<T: FixedWidthInteger>(_: T.Type) throws -> T {
        // Small ones are one byte, and fit every type.
        if head < 24 { return T(truncatingIfNeeded: try byte()) }
        return try longInteger(T.self)
    }

    private mutating func longInteger<T: FixedWidthInteger>(_: T.Type) throws -> T {
        let number: T?
        switch nextMajor {
        case 0: number = T(exactly: try argument())
        case 1: number = Int64(exactly: try argument()).flatMap { T(exactly: ~$0) }
        default: number = T(exactly: try double())
        }
        guard let number else { throw failure("a number does not fit \(T.self)") }
        return number
    }

    mutating func double() throws -> Double {
        switch nextMajor {
        case 0: return Double(try argument())
        case 1: return -1 - Double(try argument())
        default:
            switch try byte() {
            case 0xf9: return half(try number(UInt16.self))
            case 0xfa: return Double(Float(bitPattern: try number(UInt32.self)))
            case 0xfb: return Double(bitPattern: try number(UInt64.self))
            default:
                at -= 1
                throw failure("a number was expected")
            }
        }
    }

    mutating func date() throws -> Date {
        if nextMajor == 6 {
            guard let date = try value().date else { throw failure("a time was expected") }
            return date
        }
        return Date(lightningMicroseconds: try integer(Int64.self))
    }

    mutating func uuid() throws -> UUID {
        guard case .uuid(let uuid) = try value() else { throw failure("a UUID was expected") }
        return uuid
    }

    /// Whatever comes next.
    mutating func value() throws -> Value {
        switch nextMajor {
        case 0:
            let number = try argument()
            return Int64(exactly: number).map(Value.int) ?? .unsigned(number)
        case 1:
            let number = try argument()
            return Int64(exactly: number).map { .int(~$0) } ?? .negative(number)
        case 2: return .data(try data())
        case 3: return .text(try text())
        case 4:
            let count = try array()
            return .array(try (0..<count).map { _ in try value() })
        case 5:
            var fields: [String: Value] = [:]
            for _ in 0..<(try map()) { fields[try text()] = try value() }
            return .map(fields)
        case 6: return try tagged(try argument())
        default:
            if isAtNull {
                at += 1
                return .null
            }
            if at < bytes.count, bytes[at] & 0xfe == 0xf4 { return .bool(try bool()) }
            return .double(try double())
        }
    }

    private mutating func tagged(_ tag: UInt64) throws -> Value {
        switch tag {
        case 1: return try timestamp(seconds: try integer(Int64.self), microseconds: 0)
        case 1001:
            var (seconds, micros): (Int64, Int64) = (0, 0)
            for _ in 0..<(try map()) {
                switch try integer(Int64.self) {
                case 1: seconds = try integer(Int64.self)
                case -6: micros = try integer(Int64.self)
                default: try skip()
                }
            }
            return try timestamp(seconds: seconds, microseconds: micros)
        case 37:
            let bytes = try data()
            guard bytes.count == 16 else { throw failure("a UUID has 16 bytes") }
            return .uuid(bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) })
        default: return try value()
        }
    }

    private func timestamp(seconds: Int64, microseconds: Int64) throws -> Value {
        // The first of all times has more seconds below 0 than there are microseconds for.
        let (whole, rest) = seconds < 0 ? (seconds + 1, microseconds - 1_000_000) : (seconds, microseconds)
        let (product, isAbove) = whole.multipliedReportingOverflow(by: 1_000_000)
        let (sum, isBeyond) = product.addingReportingOverflow(rest)
        guard !isAbove, !isBeyond, (0..<1_000_000).contains(microseconds) else { throw failure("a time is too far away") }
        return .timestamp(microseconds: sum)
    }

    mutating func skip() throws {
        switch nextMajor {
        case 2, 3: at += try size(try argument())
        case 4: for _ in 0..<(try size(try argument())) { try skip() }
        case 5:
            for _ in 0..<(try size(try argument())) {
                try skip()
                try skip()
            }
        case 6:
            _ = try argument()
            try skip()
        default: _ = try argument()
        }
    }
}

private func half(_ bits: UInt16) -> Double {
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    let fraction = Double(bits & 0x3ff)
    switch bits >> 10 & 0x1f {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    case let exponent: return sign * Double(sign: .plus, exponent: Int(exponent) - 25, significand: fraction + 1024)
    }
}
