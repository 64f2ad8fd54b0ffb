import Foundation
import Testing

@testable import LightningDB

/// `tests/conformance`, which is put beside the package's sources when it is staged.
private let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("conformance")

private func scripts() -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasSuffix(".jsonl") }.sorted()
}

/// As keys are: 3 and 3.0 are equal.
private func isEqual(_ one: Value, _ other: Value) -> Bool {
    switch (one, other) {
    case (.double(let float), .int(let number)), (.int(let number), .double(let float)): Int64(exactly: float) == number
    case (.array(let one), .array(let other)): one.elementsEqual(other, by: isEqual)
    default: one.isSame(as: other) || one == other
    }
}

@Suite struct ConformanceTests {
    private static let scriptsAtLeast = 18

    @Test func noScriptIsMissing() { #expect(scripts().count >= Self.scriptsAtLeast) }

    @Test(arguments: scripts()) func everyScriptRunsToItsEnd(_ name: String) async throws {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        let (done, passedOver) = try await Script(folder: place).run(text)
        #expect(done > 0)
        print("\(name): \(done) operations, \(passedOver) passed over")
    }

    /// Keys as the change feed tells what is stored, and as a scan reads them.
    @Test func keysAreTheBytesThatAllLanguagesWrite() throws {
        let text = try String(contentsOf: folder.appendingPathComponent("keys.json"), encoding: .utf8)
        let vectors = try #require(try JSON(text).list).map { vector in
            (value: try Value(script: vector.object?["value"] ?? .null), key: try bytes(vector.object?["key"]?.text ?? ""))
        }
        #expect(vectors.count > 100)
        let database = try Database.forTests()
        let table = Table<Value, Data>(name: "t", native: try calling { try database.native.table(name: "t", keys: "key", values: "bytes") }, of: database)
        let feed = try calling { try database.native.changes(since: FeedStart.now.native) }
        for (value, key) in vectors {
            try table.blocking.put(value, key)
            let commit = try #require(try calling { try feed.next() }.map(Commit.init))
            #expect(commit.changes == [.put(table: "t", key: key, value: key)], "\(value)")
            #expect(try table.blocking.get(value) == key, "\(value)")
        }
        // Equal values have one key, and are read as one of them.
        var distinct: [Data] = []
        for (_, key) in vectors where distinct.last != key { distinct.append(key) }
        let entries = try table.blocking.scan()
        #expect(entries.map(\.value) == distinct)
        for (read, key) in entries {
            let equal = vectors.filter { $0.key == key }.map(\.value)
            #expect(equal.contains { isEqual($0, read) }, "\(read) is none of \(equal)")
        }
    }
}
