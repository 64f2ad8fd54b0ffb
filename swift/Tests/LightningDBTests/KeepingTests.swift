import Foundation
import Testing

@testable import LightningDB

/// What was told from another thread.
private final class Told: @unchecked Sendable {
    private let lock = NSLock()
    private var most = 0

    func add(_ bytes: Int) { lock.withLock { most = max(most, bytes) } }
    var bytes: Int { lock.withLock { most } }
}

/// Keeping data: how a database is, who may use it, what it was.
@Suite struct KeepingTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    private func rows(_ db: Database) async throws -> Table<Int, String> { try await db.table("rows", keys: Int.self, values: String.self) }

    private func kind(_ call: () async throws -> some Any) async -> LightningError.Kind? {
        do {
            _ = try await call()
            return nil
        } catch {
            return (error as? LightningError)?.kind
        }
    }

    @Test func modesKeepWritersOutAndAreTold() async throws {
        let db = try Database.inMemory()
        let rows = try await rows(db)
        try await rows.put(1, "one")
        #expect(try db.health().isWell && db.health().findings.isEmpty)
        try await db.setMode(.readOnly)
        #expect(await kind { try await rows.put(2, "two") } == .readOnly)
        #expect(try db.health().findings.map(\.name) == ["mode"])
        #expect(try db.health().isWell && db.health().findings[0].cause.contains("read-only"))
        try await db.setMode(.maintenance)
        #expect(await kind { try await rows.put(2, "two") } == .unavailable)
        #expect(try db.mode == .maintenance)
        #expect(try await rows.get(1) == "one")
        try await db.setMode(.normal)
        try await rows.put(2, "two")
    }

    @Test func afterAShutdownEverybodyIsRefusedAndTheNextOpeningHasWhatWasAcknowledged() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        var options = Options()
        options.durability = .relaxed
        let db = try await Database.open(url, options: options), other = try await Database.open(url, options: options)
        let theirs = try await rows(other)
        try await rows(db).put(1, "one")
        try await db.shutDownNow()
        #expect(await kind { try await theirs.put(2, "two") } == .closed)
        try await db.close()
        try await other.close()
        let again = try await Database.open(url)
        let found = try await rows(again)
        #expect(try await found.get(1) == "one")
        #expect(try await found.get(2) == nil)
        try await again.close()
    }

    @Test func aFrozenDatabaseIsReadOnlyForWhoeverOpensIt() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        let first = try await Database.open(url)
        try await rows(first).put(1, "one")
        try await first.setFrozen(true)
        try await first.close()
        let db = try await Database.open(url)
        let rows = try await rows(db)
        #expect(await kind { try await rows.put(1, "two") } == .readOnly)
        #expect(try db.isFrozen && db.mode == .readOnly)
        try await db.setFrozen(false)
        try await rows.put(1, "two")
        try await db.close()
    }

    @Test func damageIsFoundToldAndKeptApart() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        let whole = try await Database.open(url)
        let rows = try await rows(whole)
        try await whole.transaction { tx in
            let rows = tx.table(rows)
            for key in 0..<20_000 { try rows.blocking.put(key, "value \(key &* 7919)") }
        }
        try await whole.checkpoint()
        let told = Told()
        let report = try await whole.scrub { told.add($0.bytes) }
        #expect(report.problems.isEmpty && told.bytes > 0 && told.bytes <= report.bytes)
        try await whole.close()
        var bytes = try Data(contentsOf: url)
        for at in bytes.count / 2..<bytes.count / 2 + 64 { bytes[at] ^= 0x55 }
        try bytes.write(to: url)
        let db = try await Database.open(url)
        #expect(try await !db.scrub().problems.isEmpty)
        let damaged = try await db.quarantined()
        #expect(!damaged.isEmpty && damaged.allSatisfy { $0.length > 0 && $0.tables == ["rows"] }, "\(damaged)")
        #expect(try db.health().findings.first?.name == "damaged" && !db.health().isWell)
        #expect(try db.stats().quarantined == damaged.count)
        try await self.rows(db).put(100_000, "all else works")
        try await db.close()
    }

    @Test func limitsAreHeldAndTold() async throws {
        var options = Options()
        options.limits.transactionBytesMax = 1500
        options.limits.snapshotTimeMax = 3600
        options.limits.fileBytesMax = 1 << 30
        let db = try Database.inMemory(options: options)
        let rows = try await rows(db)
        #expect(await kind { try await rows.put(1, String(repeating: "x", count: 1900)) } == .limitExceeded)
        try await rows.put(1, "short")
        let limits = try db.limits
        #expect(limits.transactionBytesMax == 1500 && limits.snapshotTimeMax == 3600 && limits.fileBytesMax == 1 << 30)
        #expect(limits.transactionsMax ?? 0 > 1 && limits.writeBytesPerSecond == nil)
    }

    @Test func aSnapshotThatHasANameOutlivesTheProcess() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("app.ldb")
        let first = try await Database.open(url)
        try await rows(first).put(1, "before")
        try await first.createSnapshot("before import")
        #expect(await kind { try await first.createSnapshot("before import") } != nil)
        try await rows(first).put(1, "after")
        try await first.close()
        let db = try await Database.open(url)
        let named = try db.snapshots()
        #expect(named.map(\.name) == ["before import"] && abs(named[0].time.timeIntervalSinceNow) < 3600)
        let before = try await db.snapshot(named: "before import")
        #expect(before.sequence == named[0].sequence)
        #expect(try await before.table(rows(db)).get(1) == "before")
        #expect(try await rows(db).get(1) == "after")
        before.close()
        try await db.dropSnapshot("before import")
        #expect(try db.snapshots().isEmpty)
        #expect(await kind { try await db.snapshot(named: "before import") } != nil)
        try await db.close()
    }

    @Test func aBackupAndTheArchiveBehindItGiveAnyCommitBack() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let (url, backup) = (folder.appendingPathComponent("app.ldb"), folder.appendingPathComponent("backup.ldb"))
        let db = try await Database.open(url)
        #expect(try db.archive.status() == nil)
        var options = ArchiveOptions()
        (options.folder, options.keepTime) = ("kept", 3600)
        try await db.archive.on(options)
        let rows = try await rows(db)
        try await rows.put(1, "one")
        try await db.backup(to: backup)
        try await rows.put(1, "two")
        let two = try db.stats().sequence
        try await rows.put(1, "three")
        try await db.archive.now()
        let status = try #require(try db.archive.status())
        #expect(try status.archived == db.stats().sequence && !status.hasGap && status.failed == nil)
        #expect(status.options.folder == "kept" && status.options.keepTime == 3600)
        try await db.close()
        for (until, value) in [(RestoreUntil.end, "three"), (.sequence(two), "two"), (.time(Date()), "three")] {
            let to = folder.appendingPathComponent("restored-\(UUID()).ldb")
            try await Database.restore(backup, to: to, archives: [folder.appendingPathComponent("kept")], until: until)
            let restored = try await Database.open(to)
            #expect(try await self.rows(restored).get(1) == value)
            try await restored.close()
        }
    }
}
