import Dispatch
import LightningDBFFI
@preconcurrency import LightningDBGenerated

/// Runs what may wait on a thread of its own, so that no thread of Swift's pool does.
///
/// When the task is cancelled, it goes on at once with `CancellationError`; what `body` does is given up through `stop`, and its result
/// dropped.
func background<R: Sendable>(_ stop: StopScope? = nil, _ body: @Sendable @escaping () throws -> R) async throws -> R {
    try Task.checkCancellation()
    let call = Call<R>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            guard call.begin(continuation) else { return }
            waiting.async {
                // Who is cancelled before it began has done nothing.
                if !call.isOver { call.end(Result(catching: body)) }
            }
        }
    } onCancel: {
        call.end(.failure(CancellationError()))
        stop?.stop()
    }
}

/// As `background`, for calls in a scope: `body` is given one like it, whose calls end when the task is cancelled. `sibling` is a handle of
/// the same database.
func background<R: Sendable>(
    beside sibling: UInt64, in scope: UInt64, _ body: @Sendable @escaping (UInt64) throws -> R
) async throws -> R {
    let stop = try StopScope(beside: sibling, like: scope)
    return try await background(stop) { try body(stop.handle) }
}

/// As `background`, whether or not the task is cancelled: what must be done, and whose end must be known.
func toItsEnd<R: Sendable>(_ body: @Sendable @escaping () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
        waiting.async { continuation.resume(with: Result(catching: body)) }
    }
}

/// Runs a call of the library that is asynchronous itself, and makes an error of ours from what it throws. When the task is cancelled, the
/// call is given up.
func calling<R: Sendable>(_ call: @Sendable (Stop) async throws -> R) async throws -> R {
    try Task.checkCancellation()
    let stop = Stop()
    return try await withTaskCancellationHandler {
        do {
            return try await call(stop)
        } catch let failure as Failure {
            let error = LightningError(failure)
            throw error.kind == .cancelled && Task.isCancelled ? CancellationError() : error as any Error
        }
    } onCancel: {
        stop.stop()
    }
}

private let waiting = DispatchQueue(label: "dev.lightningdb", qos: .userInitiated, attributes: .concurrent)

/// A scope whose calls, and those of cursors opened in it, can be given up from another thread.
final class StopScope: Sendable {
    let handle: UInt64

    init(beside sibling: UInt64, like scope: UInt64) throws {
        handle = try Calls.stoppable(sibling, scope)
    }

    func stop() { _ = lightning_stop(handle) }

    deinit { lightning_release(handle) }
}

/// A call that ends once: with what it gives, or because its task was cancelled.
private final class Call<R: Sendable>: @unchecked Sendable {
    private let lock = DispatchSemaphore(value: 1)
    private var continuation: CheckedContinuation<R, any Error>?
    private var result: Result<R, any Error>?

    /// Whether somebody still waits for it.
    func begin(_ continuation: CheckedContinuation<R, any Error>) -> Bool {
        lock.wait()
        let before = result
        if before == nil { self.continuation = continuation }
        lock.signal()
        if let before { continuation.resume(with: before) }
        return before == nil
    }

    var isOver: Bool {
        lock.wait()
        defer { lock.signal() }
        return result != nil
    }

    /// What comes first counts.
    func end(_ ended: Result<R, any Error>) {
        lock.wait()
        let continuation = result == nil ? self.continuation : nil
        if result == nil { result = ended }
        self.continuation = nil
        lock.signal()
        continuation?.resume(with: ended)
    }
}
