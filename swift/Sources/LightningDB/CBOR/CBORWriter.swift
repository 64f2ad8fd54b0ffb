import Foundation

/// Writes CBOR (RFC 8949) in its shortest form.
struct CBORWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 128) {
        bytes.reserveCapacity(capacity)
    }

    static func encode(_ value: Value) -> [UInt8] {
        var writer = CBORWriter(capacity: 32)
        writer.value(value)
        return writer.bytes
    }

    /// Writes a value with its length before it, as `[UInt8].pack` does.
    mutating func packed(_ value: Value) {
        let start = bytes.count
        withUnsafeBytes(of: UInt32(0)) { bytes.append(contentsOf: $0) }
        self.value(value)
        let length = UInt32(bytes.count - start - 4).littleEndian
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: length, toByteOffset: start, as: UInt32.self) }
    }

    mutating func head(_ major: UInt8, _ number: UInt64) {
        let type = major << 5
        switch number {
        case 0...23:
            bytes.append(type | UInt8(number))
        case 0...0xff:
            bytes.append(type | 24)
            bytes.append(UInt8(number))
        case 0...0xffff:
            bytes.append(type | 25)
            bigEndian(UInt16(number))
        case 0...0xffff_ffff:
            bytes.append(type | 26)
            bigEndian(UInt32(number))
        default:
            bytes.append(type | 27)
            bigEndian(number)
        }
    }

    private mutating func bigEndian<T: FixedWidthInteger>(_ number: T) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func integer(_ number: Int64) {
        if number < 0 { head(1, UInt64(~number)) } else { head(0, UInt64(number)) }
    }

    mutating func unsigned(_ number: UInt64) { head(0, number) }

    mutating func float(_ number: Double) {
        let single = Float(number)
        guard Double(single) == number || number.isNaN else {
            bytes.append(0xfb)
            bigEndian(number.bitPattern)
            return
        }
        if let half = halfBits(of: single) {
            bytes.append(0xf9)
            bigEndian(half)
        } else {
            bytes.append(0xfa)
            bigEndian(single.bitPattern)
        }
    }

    mutating func text(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            head(3, UInt64(utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func data(_ data: some Collection<UInt8>) {
        head(2, UInt64(data.count))
        bytes.append(contentsOf: data)
    }

    mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }

    mutating func null() { bytes.append(0xf6) }

    mutating func array(_ count: Int) { head(4, UInt64(count)) }

    mutating func map(_ count: Int) { head(5, UInt64(count)) }

    /// What is CBOR already.
    mutating func raw(_ cbor: some Collection<UInt8>) { bytes.append(contentsOf: cbor) }

    mutating func timestamp(_ date: Date) { timestamp(microseconds: date.lightningMicroseconds) }

    mutating func timestamp(microseconds: Int64) {
        var (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        if rest < 0 { (seconds, rest) = (seconds - 1, rest + 1_000_000) }
        if rest == 0 {
            head(6, 1)
            integer(seconds)
        } else {
            head(6, 1001)
            map(2)
            integer(1)
            integer(seconds)
            integer(-6)
            integer(rest)
        }
    }

    mutating func uuid(_ uuid: UUID) {
        head(6, 37)
        withUnsafeBytes(of: uuid.uuid) { data($0) }
    }

    mutating func value(_ value: Value) {
        switch value {
        case .null: null()
        case .bool(let bool): self.bool(bool)
        case .int(let number): integer(number)
        case .unsigned(let number): unsigned(number)
        case .negative(let number): head(1, number)
        case .double(let number): float(number)
        case .text(let text): self.text(text)
        case .data(let data): self.data(data)
        case .timestamp(let microseconds): timestamp(microseconds: microseconds)
        case .uuid(let uuid): self.uuid(uuid)
        case .array(let values):
            array(values.count)
            values.forEach { self.value($0) }
        case .map(let fields):
            map(fields.count)
            // In one order, whatever the dictionary's: what is equal is written alike, which nothing then takes for a change.
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                text(name)
                self.value(field)
            }
        }
    }

    /// Puts items that were written apart in their place.
    mutating func open(at place: Int, major: UInt8, count: Int) {
        // Nearly always one byte is enough, and it is there.
        if count < 24 {
            bytes[place] = major << 5 | UInt8(truncatingIfNeeded: count)
            return
        }
        var header = CBORWriter(capacity: 9)
        header.head(major, UInt64(count))
        bytes.replaceSubrange(place...place, with: header.bytes)
    }

    var count: Int { bytes.count }

    /// Leaves room for a head that says how many items follow; see `open`.
    mutating func placeholder() -> Int {
        bytes.append(0)
        return bytes.count - 1
    }
}

/// The 16 bits that are this number exactly.
private func halfBits(of number: Float) -> UInt16? {
    let bits = number.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let exponent = Int(bits >> 23 & 0xff) - 127
    let fraction = bits & 0x7f_ffff
    if number.isNaN { return 0x7e00 }
    if exponent == 128 { return sign | 0x7c00 }
    if number == 0 { return sign }
    if (-14...15).contains(exponent), fraction & 0x1fff == 0 {
        return sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 13)
    }
    if (-24 ... -15).contains(exponent) {
        // Below 2^-14 the steps stay the same: 2^-24.
        let whole = fraction | 0x80_0000
        let shift = UInt32(-exponent - 1)
        return whole & ((1 << shift) - 1) == 0 ? sign | UInt16(whole >> shift) : nil
    }
    return nil
}
