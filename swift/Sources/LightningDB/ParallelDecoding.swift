import Dispatch
import Foundation

/// All documents of a query, whose chunks several threads take in turn and decode: reading bytes out of the database is a tenth of the work,
/// making Swift's values of them the rest. The caller's thread is one of them, and goes on when all is done.
final class ParallelDecoding<Document: Decodable & Sendable>: @unchecked Sendable {
    private typealias Part = UnsafeMutableBufferPointer<Document>

    private let lock = NSLock()
    /// What the next thread takes; nil when there is no more.
    private var ahead: Chunk?
    /// What was decoded of each chunk that was taken, in their order.
    private var parts: [Part?] = []
    private var failure: (any Error)?

    private init(_ first: Chunk) { ahead = first }

    /// The documents of `first` and of all chunks behind it.
    static func documents(from first: Chunk) throws -> [Document] {
        guard first.cursor != 0 else {
            var documents: [Document] = []
            try first.documents(into: &documents)
            return documents
        }
        let decoding = ParallelDecoding(first)
        // More threads only wait for each other's chunks.
        DispatchQueue.concurrentPerform(iterations: min(ProcessInfo.processInfo.activeProcessorCount, 4)) { _ in decoding.work() }
        return try decoding.gathered()
    }

    private func work() {
        while let (place, chunk) = take() {
            do {
                let part = try Self.decode(chunk)
                lock.withLock { parts[place] = part }
            } catch {
                lock.withLock { failure = error }
            }
        }
    }

    /// The next chunk, and its place. The one behind it has been read then, as one cursor gives them one after the other.
    private func take() -> (Int, Chunk)? {
        lock.lock()
        defer { lock.unlock() }
        guard failure == nil, let chunk = ahead else { return nil }
        do {
            ahead = try chunk.next()
        } catch {
            failure = error
            return nil
        }
        parts.append(nil)
        return (parts.count - 1, chunk)
    }

    private static func decode(_ chunk: Chunk) throws -> Part {
        let part = Part.allocate(capacity: try chunk.count())
        var count = 0
        do {
            try DocumentDecoder.decoding(Document.self) { decode in
                try chunk.forEach { row in
                    guard let row else { return }
                    part.initializeElement(at: count, to: try decode(row))
                    count += 1
                }
            }
        } catch {
            free(Part(rebasing: part[..<count]))
            throw error
        }
        return Part(rebasing: part[..<count])
    }

    private static func free(_ part: Part) {
        part.deinitialize()
        part.deallocate()
    }

    /// All that was decoded, moved into one array.
    private func gathered() throws -> [Document] {
        let parts = parts.compactMap { $0 }
        if let failure {
            parts.forEach(Self.free)
            throw failure
        }
        return [Document](unsafeUninitializedCapacity: parts.reduce(0) { $0 + $1.count }) { all, count in
            for part in parts {
                count = all[count...].moveInitialize(fromContentsOf: part)
                part.deallocate()
            }
        }
    }
}
