import Foundation
import Testing

@testable import LightningDB

/// Databases that nobody reads without a key.
@Suite struct EncryptionTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    private func raw(_ byte: UInt8) -> EncryptionKey { .raw(Data(repeating: byte, count: 32)) }

    private func open(_ url: URL, _ key: EncryptionKey?, _ encryption: Encryption = .aes256Gcm) async throws -> Database {
        var options = Options()
        (options.key, options.encryption) = (key, encryption)
        return try await Database.open(url, options: options)
    }

    private func fill(_ db: Database) async throws {
        try await db.table("secrets", keys: Int.self, values: String.self).put(1, "nobody reads this")
    }

    private func isWhole(_ db: Database) async throws -> Bool {
        try await db.table("secrets", keys: Int.self, values: String.self).get(1) == "nobody reads this"
    }

    @discardableResult
    private func refused(_ kind: LightningError.Kind, _ call: () async throws -> some Any) async -> String {
        do {
            _ = try await call()
            Issue.record("it was expected to be \(kind)")
            return ""
        } catch let error as LightningError {
            #expect(error.kind == kind, "\(error)")
            return error.description
        } catch {
            Issue.record(error)
            return ""
        }
    }

    @Test(arguments: Encryption.allCases) func anEncryptedDatabaseOpensWithItsKeyAlone(_ encryption: Encryption) async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let (url, plain) = (folder.appendingPathComponent("app.ldb"), folder.appendingPathComponent("plain.ldb"))
        let db = try await open(url, raw(1), encryption)
        try await fill(db)
        // Whoever opens it beside needs a key, too.
        await refused(.wrongKey) { try await open(url, nil) }
        await refused(.wrongKey) { try await open(url, raw(2)) }
        let beside = try await open(url, raw(1))
        #expect(try await isWhole(beside))
        try await beside.close()
        #expect(try db.keys.list().map(\.kind) == [.raw])
        try await db.close()

        #expect(await refused(.wrongKey) { try await open(url, nil) }.contains("encrypted"))
        await refused(.wrongKey) { try await open(url, raw(2)) }
        #expect(try Data(contentsOf: url).range(of: Data("nobody reads".utf8)) == nil)
        let again = try await open(url, raw(1))
        #expect(try await isWhole(again))
        try await again.close()
        try await open(plain, nil).close()
        #expect(await refused(.wrongKey) { try await open(plain, raw(1)) }.contains("not encrypted"))
        await refused(.invalid) { try await open(url, .raw(Data(count: 31))) }
        await refused(.invalid) { try await open(url, .passphrase("")) }
    }

    @Test func nothingSecretIsInWhatIsPrinted() throws {
        var options = Options()
        options.key = .passphrase("open sesame")
        var dumped = ""
        dump(options, to: &dumped)
        for text in ["\(options)", String(reflecting: options), dumped, "\(options.key!)"] {
            #expect(!text.contains("sesame"), "\(text)")
        }
        #expect("\(raw(1))" == "EncryptionKey.raw(..)")
    }

    @Test func keysAreAddedRotatedAndRemoved() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        let db = try await open(url, raw(1))
        try await fill(db)
        #expect(try await db.keys.add(.passphrase("pässphrase")) == 1)
        #expect(try await db.keys.rotate(slot: 0, to: .provider(Turning())) == 2)
        #expect(try db.keys.list().map(\.kind) == [.passphrase, .provider])
        #expect(try db.keys.list().allSatisfy { abs($0.added.timeIntervalSinceNow) < 3600 })
        await refused(.invalid) { try await db.keys.rotate(slot: 0, to: raw(2)) }
        await refused(.invalid) { try await db.keys.remove(slot: -1) }
        try await db.close()
        await refused(.wrongKey) { try await open(url, raw(1)) }
        for key in [EncryptionKey.passphrase("pässphrase"), .provider(Turning())] {
            let db = try await open(url, key)
            #expect(try await isWhole(db))
            try await db.close()
        }
        #expect(try Database.inMemory().keys.list().isEmpty)
    }

    @Test func whoeverKeepsTheKeyIsAskedAndWhatItThrowsIsThrown() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        let first = try await open(url, .provider(Turning()))
        try await fill(first)
        try await first.close()
        await refused(.wrongKey) { try await open(url, .provider(Turning(mark: 8))) }
        await #expect(throws: Away.itself) { try await open(url, .provider(Turning { throw Away.itself })) }
        let locked = Turning { throw LightningError.protectedDataUnavailable("unlock the device") }
        #expect(await refused(.protectedDataUnavailable) { try await open(url, .provider(locked)) } == "unlock the device")
        // It may use databases itself.
        weak var gone: Turning?
        do {
            let nested = Turning { try Database.openBlocking(folder.appendingPathComponent("other.ldb")).native.endBlocking() }
            gone = nested
            let db = try await open(url, .provider(nested))
            #expect(try await isWhole(db))
            for _ in 0..<3 { try await db.keys.add(.provider(nested)) }
            #expect(try db.keys.list().count == 4)
            try await db.close()
        }
        #expect(gone == nil, "the library lets go of it")
    }

    @Test func backupsOpenWithTheKeysOfTheirDatabase() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let (backup, restored) = (folder.appendingPathComponent("backup.ldb"), folder.appendingPathComponent("restored.ldb"))
        let db = try await open(folder.appendingPathComponent("app.ldb"), raw(1))
        try await fill(db)
        try await db.backup(to: backup)
        await refused(.wrongKey) { try await Database.restore(backup, to: restored) }
        await refused(.wrongKey) { try await Database.restore(backup, to: restored, key: raw(2)) }
        #expect(try await Database.restore(backup, to: restored, key: raw(1)).problems.isEmpty)
        let again = try await open(restored, raw(1))
        #expect(try await isWhole(again))
        try await again.close()
        try await db.close()
    }

    @Test func everythingIsEncryptedAnewAndWhoIsCancelledLeavesTheRestToTheBackground() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        let db = try await open(url, raw(1))
        try await fill(db)
        try await db.keys.add(raw(2))
        let task = Task {
            try await db.keys.reencrypt(with: raw(3)) { _ in }
        }
        // Wherever it was cancelled, or not at all, it has begun.
        while try db.keys.list().count > 1 { await Task.yield() }
        task.cancel()
        _ = await task.result
        try await db.keys.finishReencryption { #expect(!$0.stage.isEmpty) }
        #expect(try db.keys.reencryption() == nil)
        #expect(try await isWhole(db))
        try await db.close()
        await refused(.wrongKey) { try await open(url, raw(1)) }
        let again = try await open(url, raw(3))
        #expect(try await isWhole(again))
        try await again.close()
    }
}

private enum Away: Error {
    case itself
}

/// Turns the bits, and knows its own by the last byte.
private final class Turning: KeyProvider {
    private let mark: UInt8
    private let before: @Sendable () throws -> Void

    init(mark: UInt8 = 7, before: @escaping @Sendable () throws -> Void = {}) {
        (self.mark, self.before) = (mark, before)
    }

    func wrap(_ key: Data) throws -> Data { Data(key.map { ~$0 } + [mark]) }

    func unwrap(_ wrapped: Data) throws -> Data? {
        try before()
        return wrapped.last == mark ? Data(wrapped.dropLast().map { ~$0 }) : nil
    }
}
