import Foundation
import LightningDBFFI

/// What opens an encrypted database. A new database that is given one is encrypted, and this is its first key; others are added by
/// `Database.keys`. What is printed of it tells only of which kind it is.
public enum EncryptionKey: Sendable {
    /// 32 bytes that nobody can guess.
    case raw(Data)
    /// A passphrase, from which Argon2id derives the key, with 64 MB of memory for a moment.
    case passphrase(String)
    /// A key that somebody keeps. On Apple's systems `keychain(service:account:)` is one.
    case provider(any KeyProvider)
}

extension EncryptionKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch self {
        case .raw: "EncryptionKey.raw(..)"
        case .passphrase: "EncryptionKey.passphrase(..)"
        case .provider: "EncryptionKey.provider(..)"
        }
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Somebody who keeps a key and gives it to nobody: a keychain, a key management service. The database draws a key of 32 bytes for it to
/// wrap, stores what it gives back, and asks to unwrap that at each opening. Any thread calls it.
///
/// What it throws is thrown by the call that needed the key; `LightningError.protectedDataUnavailable(_:)` where the device is locked.
public protocol KeyProvider: Sendable {
    /// Encrypts `key` so that only `unwrap` gives it back, in at most 512 bytes.
    func wrap(_ key: Data) throws -> Data
    /// The key that was wrapped, 32 bytes; nil if this provider has not wrapped it.
    func unwrap(_ wrapped: Data) throws -> Data?
}

/// How a new database is encrypted, if it gets a key.
public enum Encryption: Sendable, CaseIterable {
    /// AES-256-GCM: the fastest where the processor has instructions for AES, as nearly all do.
    case aes256Gcm
    /// ChaCha20-Poly1305: faster where it has none, and in constant time there.
    case chaCha20Poly1305
}

/// A key as the library knows it, until nobody needs it.
final class HeldKey: Sendable {
    let handle: UInt64
    private let answers: KeyAnswers?

    /// 0, which stands for no key, for nil.
    init(_ key: EncryptionKey?) throws {
        var handle: UInt64 = 0
        var answers: KeyAnswers?
        var status = LIGHTNING_OK
        switch key {
        case nil: break
        case .raw(let bytes)?:
            status = bytes.withUnsafeBytes { lightning_raw_key(lightning_bytes($0), &handle) }
        case .passphrase(var text)?:
            status = text.withUTF8 { lightning_passphrase_key(lightning_bytes(UnsafeRawBufferPointer($0)), &handle) }
        case .provider(let provider)?:
            let own = KeyAnswers(provider)
            answers = own
            status = lightning_provider_key(own.forLibrary(), &handle)
        }
        if status != LIGHTNING_OK { throw LightningError.last() }
        (self.handle, self.answers) = (handle, answers)
    }

    /// What whoever keeps the key has thrown, where that is why a call failed.
    func cause(of error: any Error) -> any Error {
        guard error is LightningError else { return error }
        return answers?.thrown ?? error
    }

    deinit { lightning_release(handle) }
}

/// Gives `body` the key as the library knows it, or 0. What whoever keeps it has thrown is thrown.
func withKey<R>(_ key: EncryptionKey?, _ body: (UInt64) throws -> R) throws -> R {
    let held = try HeldKey(key)
    do {
        return try body(held.handle)
    } catch {
        throw held.cause(of: error)
    }
}

/// As `withKey`, for calls that are asynchronous.
func withKey<R: Sendable>(_ key: EncryptionKey?, _ body: (UInt64) async throws -> R) async throws -> R {
    let held = try HeldKey(key)
    do {
        return try await body(held.handle)
    } catch {
        throw held.cause(of: error)
    }
}

extension lightning_bytes {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(data: bytes.bindMemory(to: UInt8.self).baseAddress, len: bytes.count)
    }
}

/// What a provider answers to the library, which hears of what is thrown as text.
private final class KeyAnswers: @unchecked Sendable {
    private let provider: any KeyProvider
    private let lock = NSLock()
    private var last: (any Error)?

    init(_ provider: any KeyProvider) {
        self.provider = provider
    }

    /// What it threw when it was asked last.
    var thrown: (any Error)? {
        lock.lock()
        defer { lock.unlock() }
        return last
    }

    /// For the library, which holds this until it calls `release`.
    func forLibrary() -> lightning_key_provider {
        lightning_key_provider(
            context: Unmanaged.passRetained(self).toOpaque(),
            wrap: { KeyAnswers.of($0).answer($1, $2, $3) { provider, key in try provider.wrap(key) } },
            unwrap: { KeyAnswers.of($0).answer($1, $2, $3) { provider, wrapped in try provider.unwrap(wrapped) } },
            release: { Unmanaged<KeyAnswers>.fromOpaque($0!).release() }
        )
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> KeyAnswers {
        Unmanaged.fromOpaque(context!).takeUnretainedValue()
    }

    private func answer(
        _ given: lightning_bytes,
        _ answer: UnsafeMutablePointer<UInt8>?,
        _ length: UnsafeMutablePointer<Int>?,
        _ ask: (any KeyProvider, Data) throws -> Data?
    ) -> Int32 {
        let give = { (bytes: Data) in
            let room = UnsafeMutableBufferPointer(start: answer, count: Int(LIGHTNING_ANSWER_MAX))
            length?.pointee = bytes.copyBytes(to: room)
        }
        var (given, found, failed): (Data, Data?, (any Error)?) = (Data(bytes: given.data, count: given.len), nil, nil)
        defer {
            given.resetBytes(in: given.startIndex..<given.endIndex)
            if let whole = found { found?.resetBytes(in: whole.startIndex..<whole.endIndex) }
        }
        do {
            found = try ask(provider, given)
            if let found, found.count > LIGHTNING_ANSWER_MAX {
                throw LightningError.invalid("a wrapped key has \(found.count) bytes, more than \(LIGHTNING_ANSWER_MAX)")
            }
        } catch {
            failed = error
        }
        lock.lock()
        last = failed
        lock.unlock()
        if let failed {
            give(Data(String(describing: failed).utf8))
            return (failed as? LightningError)?.kind == .protectedDataUnavailable ? LIGHTNING_DEVICE_LOCKED : LIGHTNING_MISSING - 1
        }
        guard let found else { return LIGHTNING_MISSING }
        give(found)
        return LIGHTNING_OK
    }
}
