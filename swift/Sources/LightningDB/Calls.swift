import Foundation
import LightningDBFFI

/// The calls that are made most, straight into the library. `scope` is 0, or the handle of a snapshot or transaction.
enum Calls {
    static let now: UInt64 = 0
    static let chunkBytes = 64 * 1024

    /// Gives `read` the value or document of a key.
    static func get<R>(
        _ scope: UInt64, _ target: UInt64, _ key: [UInt8], _ read: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        try find(read) { place, capacity, length in
            key.withBytes { lightning_get(scope, target, $0, place, capacity, length) }
        }
    }

    /// The document that has these values, packed, in a unique index.
    static func getBy<R>(
        _ scope: UInt64, _ collection: UInt64, _ index: String, _ values: [UInt8], _ read: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        let index = Array(index.utf8)
        return try find(read) { place, capacity, length in
            index.withBytes { index in
                values.withBytes { lightning_get_by(scope, collection, index, $0, place, capacity, length) }
            }
        }
    }

    @inline(__always)
    private static func find<R>(
        _ read: (UnsafeRawBufferPointer) throws -> R,
        _ call: (UnsafeMutablePointer<UInt8>?, Int, UnsafeMutablePointer<Int>) -> Int32
    ) throws -> R? {
        // Most fit here; for a longer one it is asked again. Another may be written in between.
        var capacity = 512
        while true {
            var length = 0
            let found: R?? = try withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { place in
                let status = call(place.baseAddress?.assumingMemoryBound(to: UInt8.self), capacity, &length)
                if try isMissing(status) { return .some(nil) }
                return length <= capacity ? .some(try read(UnsafeRawBufferPointer(rebasing: place[0..<length]))) : nil
            }
            if let found { return found }
            capacity = length
        }
    }

    static func getMany(_ scope: UInt64, _ target: UInt64, _ keys: [UInt8]) throws -> Chunk {
        var buffer = lightning_buffer()
        try check(keys.withBytes { lightning_get_many(scope, target, $0, &buffer) })
        return Chunk(buffer, cursor: 0)
    }

    /// The key, as CBOR, where it was made.
    static func put(_ scope: UInt64, _ target: UInt64, _ mode: UInt8, _ key: [UInt8], _ value: [UInt8]) throws -> [UInt8]? {
        var made = lightning_buffer()
        try check(key.withBytes { key in value.withBytes { lightning_put(scope, target, mode, key, $0, &made) } })
        guard let data = made.data else { return nil }
        defer { lightning_free(made) }
        return Array(UnsafeBufferPointer(start: data, count: made.len))
    }

    static func delete(_ scope: UInt64, _ target: UInt64, _ key: [UInt8]) throws -> Bool {
        try !isMissing(key.withBytes { lightning_delete(scope, target, $0) })
    }

    static func batch(_ scope: UInt64, _ writes: [UInt8]) throws {
        try check(writes.withBytes { lightning_batch(scope, $0) })
    }

    static func query(_ scope: UInt64, _ collection: UInt64, _ query: [UInt8], bytes: Int = chunkBytes) throws -> Chunk {
        var (rows, cursor) = (lightning_buffer(), UInt64(0))
        try check(query.withBytes { lightning_query(scope, collection, $0, bytes, &rows, &cursor) })
        return Chunk(rows, cursor: cursor)
    }

    static func scan(
        _ scope: UInt64, _ table: UInt64, lower: ([UInt8], Bool)?, upper: ([UInt8], Bool)?, backwards: Bool, limit: UInt64
    ) throws -> Chunk {
        var (rows, cursor) = (lightning_buffer(), UInt64(0))
        // An empty key is a key: only a null pointer is none.
        let status: Int32 = (lower?.0 ?? []).withBytes { low -> Int32 in
            (upper?.0 ?? []).withBytes { high -> Int32 in
                var range = lightning_range()
                return withUnsafePointer(to: UInt8(0)) { empty -> Int32 in
                    range.lower = lower == nil ? lightning_bytes() : low.orAt(empty)
                    range.upper = upper == nil ? lightning_bytes() : high.orAt(empty)
                    range.excludes_lower = !(lower?.1 ?? true)
                    range.includes_upper = upper?.1 ?? false
                    return lightning_scan(scope, table, &range, backwards, limit, chunkBytes, &rows, &cursor)
                }
            }
        }
        try check(status)
        return Chunk(rows, cursor: cursor)
    }

    static func next(_ cursor: UInt64, bytes: Int = chunkBytes) throws -> Chunk {
        var (rows, isOver) = (lightning_buffer(), false)
        try check(lightning_next(cursor, bytes, &rows, &isOver))
        return Chunk(rows, cursor: isOver ? 0 : cursor)
    }

    /// A scope like `scope`, whose calls can be given up.
    static func stoppable(_ sibling: UInt64, _ scope: UInt64) throws -> UInt64 {
        var handle = UInt64(0)
        try check(lightning_stoppable(sibling, scope, &handle))
        return handle
    }

    private static func check(_ status: Int32) throws {
        if status != LIGHTNING_OK { throw LightningError.last() }
    }

    private static func isMissing(_ status: Int32) throws -> Bool {
        if status == LIGHTNING_MISSING { return true }
        try check(status)
        return false
    }
}

extension [UInt8] {
    func withBytes<R>(_ body: (lightning_bytes) throws -> R) rethrows -> R {
        try withUnsafeBufferPointer { try body(lightning_bytes(data: $0.baseAddress, len: $0.count)) }
    }

    /// Appends bytes with their length before them, 4 bytes, lowest first.
    mutating func pack(_ bytes: [UInt8]) {
        Swift.withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { append(contentsOf: $0) }
        append(contentsOf: bytes)
    }

    mutating func pack(_ number: UInt64) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}

extension lightning_bytes {
    fileprivate func orAt(_ empty: UnsafePointer<UInt8>) -> lightning_bytes {
        data == nil ? lightning_bytes(data: empty, len: 0) : self
    }
}

extension UnsafeRawBufferPointer {
    /// Gives `body` each of the packed byte strings; nil is one that is missing.
    fileprivate func forEachPacked(_ body: (UnsafeRawBufferPointer?) throws -> Void) rethrows {
        var at = 0
        while at < count {
            let length = UInt32(littleEndian: loadUnaligned(fromByteOffset: at, as: UInt32.self))
            at += 4
            if length == .max {
                try body(nil)
            } else {
                try body(UnsafeRawBufferPointer(rebasing: self[at..<at + Int(length)]))
                at += Int(length)
            }
        }
    }
}

extension Data {
    /// Gives `body` each of the packed byte strings that are there.
    func forEachPacked(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try withUnsafeBytes { bytes in
            try bytes.forEachPacked { try $0.map(body) }
        }
    }
}

/// Packed rows, and the cursor that has more, or 0. Frees the rows; a cursor that was not read to its end is released with it, unless it
/// was handed on.
final class Chunk {
    private let buffer: lightning_buffer
    private(set) var cursor: UInt64

    init(_ buffer: lightning_buffer, cursor: UInt64) {
        (self.buffer, self.cursor) = (buffer, cursor)
    }

    /// The chunk that follows; nil behind the last.
    func next(bytes: Int = Calls.chunkBytes) throws -> Chunk? {
        guard cursor != 0 else { return nil }
        let following = try Calls.next(cursor, bytes: bytes)
        cursor = 0
        return following
    }

    /// How many parts there are.
    func count() throws -> Int {
        var count = 0
        try forEach { _ in count += 1 }
        return count
    }

    /// Gives `body` each part; nil is one that is missing.
    func forEach(_ body: (UnsafeRawBufferPointer?) throws -> Void) throws {
        try UnsafeRawBufferPointer(start: buffer.data, count: buffer.len).forEachPacked(body)
    }

    deinit {
        lightning_free(buffer)
        if cursor != 0 { lightning_release(cursor) }
    }
}
