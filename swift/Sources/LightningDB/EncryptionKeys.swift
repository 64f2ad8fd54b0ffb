import Foundation
@preconcurrency import LightningDBGenerated

/// Of which kind a key is.
public enum KeyKind: Sendable, CaseIterable {
    /// 32 bytes.
    case raw
    /// A passphrase.
    case passphrase
    /// Somebody keeps it.
    case provider
}

/// A key that opens a database, without anything secret.
public struct KeyInfo: Sendable, Hashable {
    /// Which of the eight slots it has: what it is removed by.
    public let slot: Int
    /// Of which kind it is.
    public let kind: KeyKind
    /// When it was added.
    public let added: Date

    init(_ native: LightningDBGenerated.KeyInfo) {
        slot = Int(native.slot)
        kind =
            switch native.kind {
            case .raw: .raw
            case .passphrase: .passphrase
            case .provider: .provider
            }
        added = Date(lightningMilliseconds: native.addedMs)
    }
}

/// How far encrypting everything anew is.
public struct Reencryption: Sendable, Hashable {
    /// What it is doing, in a word or a few.
    public let stage: String
    /// So many records are written anew, or so many bytes wiped.
    public let done: Int
    /// About how many there are; 0 where nothing is counted.
    public let all: Int
    /// What it waits for, if it does not go on by itself.
    public let waitingFor: String?

    init(_ native: LightningDBGenerated.Reencryption) {
        stage = native.stage
        done = Int(native.done)
        all = Int(native.all)
        waitingFor = native.waitingFor
    }
}

/// The keys of an encrypted database, changed while it is open.
public struct EncryptionKeys: Sendable {
    let native: LightningDBGenerated.Database

    /// The keys that open it, by slot; none if it is not encrypted.
    public func list() throws -> [KeyInfo] { try calling { try native.keys() }.map(KeyInfo.init) }

    /// Lets one key more open it, at most eight; gives its slot. All lead to the same data.
    @discardableResult
    public func add(_ key: EncryptionKey) async throws -> Int {
        try await withKey(key) { handle in Int(try await calling { [native] _ in try await native.addKey(key: handle) }) }
    }

    /// The key in a slot opens it no more. The last one stays. Copies of the file from before still open with it: where a key is known to
    /// others, `reencrypt`.
    public func remove(slot: Int) async throws {
        guard let slot = UInt8(exactly: slot) else { throw LightningError.invalid("there is no slot \(slot)") }
        try await calling { [native] _ in try await native.removeKey(slot: slot) }
    }

    /// Puts a key in the place of the one in a slot: to change a passphrase. Gives the new one's slot.
    @discardableResult
    public func rotate(slot: Int, to key: EncryptionKey) async throws -> Int {
        guard try list().contains(where: { $0.slot == slot }) else { throw LightningError.invalid("there is no key in slot \(slot)") }
        let new = try await add(key)
        try await remove(slot: slot)
        return new
    }

    /// Encrypts everything anew, under a new data key that `key` alone opens: all other keys are gone at once, and may be added again.
    /// Readers and writers go on meanwhile. When the task is cancelled, or the database closed, the rest is done in the background, also in
    /// the sessions that come.
    ///
    /// It throws `invalid` where it waits for something: snapshots of before, feeds, the archive, damage.
    public func reencrypt(with key: EncryptionKey, onProgress: (@Sendable (Reencryption) -> Void)? = nil) async throws {
        try await withKey(key) { handle in try await calling { [native] _ in try await native.reencrypt(key: handle) } }
        try await finishReencryption(onProgress: onProgress)
    }

    /// How far that is; nil when nothing of it is left to do.
    public func reencryption() throws -> Reencryption? { try calling { try native.reencryption() }.map(Reencryption.init) }

    /// Goes on with it until it is done: one that was cancelled, or begun in another session.
    public func finishReencryption(onProgress: (@Sendable (Reencryption) -> Void)? = nil) async throws {
        let listener = onProgress.map(ReencryptionTold.init)
        try await calling { [native] stop in try await native.finishReencryption(listener: listener, stop: stop) }
    }
}

/// Tells somebody how far it is.
private final class ReencryptionTold: ReencryptionListener {
    private let tell: @Sendable (Reencryption) -> Void

    init(_ tell: @escaping @Sendable (Reencryption) -> Void) {
        self.tell = tell
    }

    func onProgress(progress: LightningDBGenerated.Reencryption) { tell(Reencryption(progress)) }
}
