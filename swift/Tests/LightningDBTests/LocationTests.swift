import Foundation
import Testing

@testable import LightningDB

@Suite struct LocationTests {
    @Test func aDatabaseHasAFolderOfItsOwn() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        for isBackedUp in [true, false] {
            let file = try Database.location("app", in: folder, isBackedUp: isBackedUp, protection: .whileLocked)
            #expect(file.path == folder.path + "/app/app.ldb")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["app"])
            #if canImport(Darwin)
                let values = try file.deletingLastPathComponent().resourceValues(forKeys: [.isExcludedFromBackupKey])
                #expect(values.isExcludedFromBackup == !isBackedUp)
            #endif
        }
        let db = try await Database.open(try Database.location("app", in: folder))
        _ = try await db.table("names", keys: String.self, values: String.self)
        try await db.close()
        #expect(FileManager.default.fileExists(atPath: folder.path + "/app/app.ldb"))
    }

    @Test func whatIsNoNameOfAFolderIsRefused() throws {
        for name in ["", "a/b", ".", ".."] {
            #expect(throws: LightningError.self) { try Database.location(name, in: FileManager.default.temporaryDirectory) }
        }
    }

    @Test func databasesOfAnApplicationAreInApplicationSupport() throws {
        let file = try Database.location("lightning-db-tests")
        defer { try? FileManager.default.removeItem(at: file.deletingLastPathComponent()) }
        let support = try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: false)
        #expect(file.path.hasPrefix(support.path))
    }
}
