import Foundation
import Testing

@testable import LightningDB

private actor Runs {
    var count = 0
    func add() { count += 1 }
}

/// Applications that go into the background and come back, restoring, and memory that is given back.
@Suite struct SuspendTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test func aSuspendedDatabaseHasNoFilesAndGoesOnAfterwards() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let db = try await Database.open(folder.appendingPathComponent("app.ldb"))
        let names = try await db.table("names", keys: Int.self, values: String.self)
        try await names.put(1, "one")
        let snapshot = try db.snapshot()
        try await db.suspend()
        try await db.suspend()
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/app.ldb-lock"))
        do {
            try await names.put(2, "two")
            Issue.record("it has no files")
        } catch let error as LightningError {
            #expect(error.kind == .suspended && error.isRetryable)
        }
        // Nobody goes round meanwhile.
        let runs = Runs()
        await #expect(throws: LightningError.self) {
            try await db.transaction { tx in
                await runs.add()
                try tx.table(names).blocking.put(2, "two")
            }
        }
        #expect(await runs.count <= 1)
        try await db.resume()
        try await names.put(2, "two")
        #expect(try await names.scan().map(\.value) == ["one", "two"])
        #expect(try await snapshot.table(names).scan().map(\.value) == ["one"])
        try await db.close()
    }

    @Test(.timeLimit(.minutes(1))) func whatTheSystemTellsIsFollowed() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let db = try await Database.open(folder.appendingPathComponent("app.ldb"))
        let names = try await db.table("names", keys: Int.self, values: String.self)
        let center = NotificationCenter()
        let told = ApplicationLife.Names(background: .init("background"), foreground: .init("foreground"), memory: .init("memory"))
        var life: ApplicationLife? = ApplicationLife(of: db.native, told, center: center)
        try await db.transaction { tx in for number in 0..<2000 { try tx.table(names).blocking.put(number, "name") } }
        try await db.checkpoint()
        _ = try await names.scan()
        let before = try db.stats().cacheBytes
        center.post(name: told.memory, object: nil)
        #expect(try db.stats().cacheBytes < before)
        center.post(name: told.background, object: nil)
        #expect(throws: LightningError.self) { try names.blocking.put(2, "two") }
        center.post(name: told.foreground, object: nil)
        try names.blocking.put(2, "two")
        life = nil
        center.post(name: told.background, object: nil)
        try names.blocking.put(3, "three")
        _ = life
        try await db.close()
    }

    @Test func memoryIsGivenBack() async throws {
        let db = try Database.forTests()
        let names = try await db.table("names", keys: Int.self, values: String.self)
        try await db.transaction { tx in for number in 0..<2000 { try tx.table(names).blocking.put(number, "name") } }
        try await db.checkpoint()
        _ = try await names.scan()
        let before = try db.stats().cacheBytes
        try db.trimMemory(.all)
        #expect(try db.stats().cacheBytes < before)
        #expect(try await names.count() == 2000)
    }

    @Test func aBackupIsRestoredWhereNothingIs() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let (app, copy, again) = ("app.ldb", "copy.ldb", "again.ldb")
        let place = { (name: String) in folder.appendingPathComponent(name) }
        let db = try await Database.open(place(app))
        let names = try await db.table("names", keys: Int.self, values: String.self)
        try await names.put(1, "one")
        try await db.backup(to: place(copy))
        try await db.close()
        #expect(try await Database.restore(place(copy), to: place(again)).problems.isEmpty)
        await #expect(throws: LightningError.self) { try await Database.restore(place(copy), to: place(app)) }
        let restored = try await Database.open(place(again))
        #expect(try await restored.table("names", keys: Int.self, values: String.self).get(1) == "one")
        try await restored.close()
    }

    @Test func errorsThatPassAreRetryable() {
        for kind in LightningError.Kind.allCases { #expect(LightningError.Kind(rawValue: kind.rawValue) == kind) }
        let error = LightningError(name: "ProtectedDataUnavailable", text: "", isRetryable: true, fields: [:])
        #expect(error.kind == .protectedDataUnavailable)
    }
}
