import Foundation
@preconcurrency import LightningDBGenerated

extension Query {
    /// The documents now, and after each commit that changes them: the newest state, so whoever is slow misses those in between. It throws
    /// when the database is closed or the query can no longer be answered, and ends with its task.
    public var updates: AsyncThrowingStream<[Document], any Error> {
        let (query, collection) = (Data(cbor), collection)
        return AsyncThrowingStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let task = Task {
                do {
                    let live = try calling { try collection.native.watch(query: query) }
                    defer { live.end() }
                    let bell = Bell()
                    try calling { try live.onReady(ready: bell) }
                    var rows: [Document] = []
                    while !Task.isCancelled {
                        let change = try await background { try calling { try live.tryNext() } }
                        if let change {
                            try apply(change, to: &rows)
                            continuation.yield(rows)
                        } else {
                            await bell.wait(until: try calling { try live.wakeAtMs() })
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}

private func apply<Document: Decodable>(_ change: LiveChange, to rows: inout [Document]) throws {
    let gone = change.removed.map(\.at) + change.changed.map(\.from)
    for place in gone.sorted(by: >) { rows.remove(at: Int(place)) }
    let placed = change.added.map { ($0.at, $0.row) } + change.changed.map { ($0.at, $0.row) }
    for (place, row) in placed.sorted(by: { $0.0 < $1.0 }) {
        rows.insert(try DocumentDecoder.decode(Document.self, from: [UInt8](row)), at: Int(place))
    }
}

/// Is rung by the thread that commits, and heard by the one task that waits.
private final class Bell: Ready, @unchecked Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func ready() { continuation.yield() }

    /// Until it rings, the time comes, or the task is cancelled.
    func wait(until wakeAt: UInt64?) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [stream] in for await _ in stream { break } }
            if let wakeAt {
                group.addTask {
                    let now = Date().timeIntervalSince1970 * 1000
                    try? await Task.sleep(nanoseconds: UInt64(max(1, Double(wakeAt) - now)) * 1_000_000)
                }
            }
            await group.next()
            group.cancelAll()
        }
    }
}
