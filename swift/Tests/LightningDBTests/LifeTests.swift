import Foundation
import Testing

@testable import LightningDB

private struct Session: Codable, Sendable, Equatable {
    var id: Int
    var user: String

    static let id = Field(\Session.id, "id"), user = Field(\Session.user, "user")
}

/// How databases, collections and documents come, change and go.
@Suite struct LifeTests {
    @Test func documentsGoWhenTheirTimeHasCome() async throws {
        let db = try Database.forTests()
        try db.setClock(Date(timeIntervalSince1970: 100))
        let sessions = try await db.collection(Session.self, key: Session.id, expiresAfter: 60)
        try await sessions.put(Session(id: 1, user: "a"))
        try await sessions.put(Session(id: 2, user: "b"), expires: .never)
        try await sessions.put(Session(id: 3, user: "c"), expires: .at(Date(timeIntervalSince1970: 110.5)))
        try await sessions.put(Session(id: 3, user: "d"), expires: .kept)
        try db.setClock(Date(timeIntervalSince1970: 110.499))
        #expect(try await sessions.query().all().map(\.id) == [1, 2, 3])
        try db.setClock(Date(timeIntervalSince1970: 110.5))
        #expect(try await sessions.query().all().map(\.id) == [1, 2])
        try db.setClock(Date(timeIntervalSince1970: 160))
        #expect(try await sessions.query().all().map(\.id) == [2])
        #expect(try db.collections().map(\.documents) == [3])
        #expect(try db.collections().map(\.expiresAfter) == [60])
        try await db.removeExpired()
        #expect(try db.collections().map(\.documents) == [1])
    }

    @Test func documentsOfOlderVersionsBecomeNewOnesInThreeWays() async throws {
        let db = try Database.forTests()
        let first = try await db.collection(Value.self, name: "sessions", key: Field("id"))
        for id in 1...3 { try await first.put(["id": .int(Int64(id)), "name": .text("user \(id)")]) }
        let sessions = try await db.collection(
            Session.self, name: "sessions", key: Session.id, indexes: [.unique(Session.user)], version: 4,
            migrations: [
                1: .each { fields in
                    fields["user"] = fields["name"]
                    fields["name"] = nil
                },
                2: .by(Update().set("seen", to: 0)),
                3: .together { documents in
                    for document in try documents.query().allBlocking() where document["seen"] == 0 {
                        guard case .int(let id)? = document["id"] else { continue }
                        if id == 2 { try documents.delete(id) } else { try documents.update(id, Update().set("user", to: "u\(id)")) }
                    }
                },
            ]
        )
        #expect(try await sessions.query().all() == [Session(id: 1, user: "u1"), Session(id: 3, user: "u3")])
        #expect(try db.collections().map(\.version) == [4])
    }

    @Test func aMigrationThatFailsChangesNothing() async throws {
        struct Enough: Error {}
        let db = try Database.forTests()
        let first = try await db.collection(Session.self, key: Session.id)
        try await first.put(Session(id: 1, user: "a"))
        for migration: Migration in [.each { _ in throw Enough() }, .together { try $0.delete(1); throw Enough() }] {
            await #expect(throws: Enough.self) {
                _ = try await db.collection(Session.self, key: Session.id, version: 2, migrations: [1: migration])
            }
            #expect(try await db.existingCollection(Session.self).get(1) == Session(id: 1, user: "a"))
            #expect(try db.collections().map(\.version) == [1])
        }
    }

    @Test(.timeLimit(.minutes(1))) func changesAreThoseOfDocumentsAndOfTables() async throws {
        let db = try Database.forTests()
        try db.setClock(Date(timeIntervalSince1970: 7))
        let sessions = try await db.collection(Session.self, name: "sessions", key: Session.id)
        let names = try await db.table("names", keys: String.self, values: Data.self)
        var commits = db.changes(since: .oldest).makeAsyncIterator()
        try await sessions.put(Session(id: 1, user: "a"), expires: .at(Date(timeIntervalSince1970: 9)))
        try await sessions.delete(1)
        try await names.put("x", Data([1]))
        var changes: [Change] = []
        while changes.count < 3, let commit = try await commits.next() {
            changes += commit.changes
            #expect(commit.time == Date(timeIntervalSince1970: 7))
        }
        let expected: [Change] = [
            .putDocument(
                collection: "sessions", id: 1, document: ["id": 1, "user": "a"], expires: Date(timeIntervalSince1970: 9)
            ),
            .deleteDocument(collection: "sessions", id: 1),
        ]
        #expect(Array(changes.prefix(2)) == expected)
        guard case .put("names", _, let value) = changes[2] else { throw Mistake("\(changes[2])") }
        #expect(value?.last == 1)
    }

    @Test func keysOfTablesMayBeMissing() async throws {
        let db = try Database.forTests()
        let texts = try await db.table("texts", keys: String?.self, values: String.self)
        try await texts.put("", "empty")
        try await texts.put(nil, "none")
        try await texts.put("é", "text")
        #expect(try await texts.scan().map(\.key) == [nil, "", "é"])
        #expect(try await texts.get(nil) == "none")
        #expect(try await texts.compareAndSwap("é", expected: "text", "other"))
        #expect(try await !texts.compareAndSwap("é", expected: nil, "third"))
        #expect(try await texts.get("é") == "other")
        let numbers = try await db.table("numbers", keys: UInt64?.self, values: Int64.self)
        try await numbers.put(.max, 1)
        try await numbers.put(nil, 2)
        #expect(try await numbers.scan().map(\.key) == [nil, .max])
        #expect(try db.tables().first { $0.name == "texts" }?.keys == "string?")
    }

    @Test func keysOfTablesMayBePairs() async throws {
        let db = try Database.forTests()
        let visits = try await db.table("visits", keys: Pair<String, UInt64>.self, values: Bool.self)
        for (page, time) in [("b", 1), ("a", 20), ("a", 3), ("é", 2)] as [(String, UInt64)] { try await visits.put(Pair(page, time), time > 2) }
        #expect(try await visits.scan().map(\.key) == [Pair("a", 3), Pair("a", 20), Pair("b", 1), Pair("é", 2)])
        #expect(try await visits.scan(.between(Pair("a", 4), Pair("b", 0))).map(\.value) == [true])
        #expect(try await visits.get(Pair("é", 2)) == false)
        let nested = try await db.table("nested", keys: Pair<Data, Pair<Int?, String?>>.self, values: Int.self)
        try await nested.put(Pair(Data([1]), Pair(nil, "x")), -7)
        #expect(try await nested.scan().map(\.key) == [Pair(Data([1]), Pair(nil, "x"))])
        #expect(try db.tables().map(\.keys).sorted() == ["(bytes, (i64?, string?))", "(string, u64)"])
    }

    @Test func compactionTellsHowFarItIs() async throws {
        let db = try Database.forTests()
        let sessions = try await db.collection(Session.self, key: Session.id)
        try await sessions.putMany((0..<5000).map { Session(id: $0, user: String(repeating: "x", count: 200)) })
        try await db.checkpoint()
        try await sessions.query(Session.id < 4900).delete()
        let before = try db.stats().fileBytes
        let told = Told()
        try await db.compact { told.note($0) }
        #expect(told.last?.changesLeft == 0)
        #expect(try db.stats().fileBytes < before)
        #expect(try await sessions.count() == 100)
    }
}

private final class Told: @unchecked Sendable {
    private let lock = NSLock()
    private var progress: CompactionProgress?

    func note(_ progress: CompactionProgress) { lock.withLock { self.progress = progress } }

    var last: CompactionProgress? { lock.withLock { progress } }
}
