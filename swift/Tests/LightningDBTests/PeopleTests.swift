import Foundation
import Testing

@testable import LightningDB

struct Person: Codable, Sendable, Equatable {
    var id: Int
    var name: String
    var age: Int
    var email: String?
    var tags: [String] = []

    static let id = Field(\Person.id, "id"), age = Field(\Person.age, "age"), email = Field(\Person.email, "email")
    static let name = Field(\Person.name, "name")
}

struct Event: Codable, Sendable, Equatable {
    var id: UUID
    var at: Date
    var payload: Data
    var weights: [String: Double]
    var nested: Nested?

    struct Nested: Codable, Sendable, Equatable {
        var flags: [Bool]
        var link: URL
    }

    static let id = Field(\Event.id, "id")
}

private func person(_ id: Int) -> Person {
    Person(id: id, name: "person \(id)", age: id % 90, email: "\(id)@example.org", tags: ["a", "b"])
}

private func people(_ db: Database) async throws -> DocumentCollection<Person> {
    try await db.collection(Person.self, name: "people", key: Person.id, indexes: [.index(Person.age), .unique(Person.email)])
}

@Suite struct PeopleTests {
    @Test func documentsAreWrittenFoundChangedAndDeleted() async throws {
        let db = try Database.inMemory()
        let people = try await people(db)
        try await people.put(person(1))
        #expect(try await people.get(1) == person(1))
        #expect(try await people.get(2) == nil)
        #expect(try await people.get(by: Person.email, "1@example.org") == person(1))
        #expect(try await people.update(1, Update().increment(Person.age, by: 1).set(Person.name, to: "Ada")))
        #expect(try await people.get(1)?.name == "Ada")
        #expect(try await people.get(1)?.age == 2)
        #expect(try await people.delete(1))
        #expect(try await people.count() == 0)
        try await db.close()
    }

    @Test func queriesUseIndexesInOrderWithLimits() async throws {
        let db = try Database.inMemory()
        let people = try await people(db)
        try await people.putMany((1...1000).map(person))
        let found = try await people.query(Person.age, in: 30...31).order(by: Person.age, descending: true).limit(5).all()
        #expect(found.map(\.age) == [31, 31, 31, 31, 31])
        var count = 0
        for try await found in people.query(Person.age >= 80) {
            #expect(found.age >= 80)
            count += 1
        }
        #expect(count == (1...1000).filter { $0 % 90 >= 80 }.count)
        #expect(try await people.query(Person.age == 3 || Person.age == 4).count() == 24)
        #expect(try await people.query(Person.age == 3).explain().index == "age")
        #expect(try await people.getMany([5, 5000, 7]) == [person(5), nil, person(7)])
        #expect(try people.blocking.get(8) == person(8))
    }

    @Test func transactionsAreWholeOrNotAtAllAndRunAgainAfterConflicts() async throws {
        let db = try Database.inMemory()
        let people = try await people(db)
        try await people.put(Person(id: 1, name: "Ada", age: 0))
        struct Enough: Error {}
        await #expect(throws: Enough.self) {
            try await db.transaction { tx in
                try await tx.collection(people).put(person(2))
                throw Enough()
            }
        }
        #expect(try await people.get(2) == nil)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10 {
                        var isDone = false
                        while !isDone {
                            do {
                                try await db.transaction { tx in
                                    let inside = tx.collection(people)
                                    var ada = try await inside.get(1)!
                                    ada.age += 1
                                    try await inside.put(ada)
                                }
                                isDone = true
                            } catch let error as LightningError {
                                #expect(error.kind == .conflict && error.isRetryable)
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await people.get(1)?.age == 40)
    }

    @Test(.timeLimit(.minutes(1))) func updatesGiveTheRowsNowAndAfterEachChange() async throws {
        let db = try Database.inMemory()
        let people = try await people(db)
        try await people.put(person(40))
        var expected = 1
        for try await rows in people.query(Person.age, in: 31...).updates {
            guard rows.count == expected else { continue }
            #expect(rows.map(\.id).sorted() == Array(40..<(40 + expected)))
            if expected == 4 { break }
            try await people.put(person(40 + expected))
            expected += 1
        }
    }

    @Test func kindsOfItsOwnAreStoredAsSuch() async throws {
        let db = try Database.inMemory()
        let events = try await db.collection(Event.self, key: Event.id)
        let event = Event(
            id: UUID(uuidString: "00112233-4455-6677-8899-AABBCCDDEEFF")!, at: Date(timeIntervalSince1970: 1_790_000_000.25),
            payload: Data([1, 2, 255]), weights: ["a": 0.5, "b": 1e300, "c": -0.0, "d": 65504],
            nested: .init(flags: [true, false], link: URL(string: "https://example.org/a?b")!)
        )
        try await events.put(event)
        #expect(try await events.get(event.id) == event)
    }

    @Test func errorsSayWhatTheyAre() async throws {
        let db = try Database.inMemory()
        let people = try await people(db)
        try await people.put(person(1))
        var other = person(2)
        other.email = "1@example.org"
        await #expect(throws: LightningError.self) { [other] in try await people.put(other) }
        do {
            try await people.put(other)
            Issue.record("it is taken")
        } catch let error as LightningError {
            #expect(error.kind == .duplicateKey)
            #expect(error.fields["index"] == "email")
        }
        let wrong = Field(\Person.age, "years")
        do {
            _ = try await db.collection(Person.self, name: "wrong", key: Person.id, indexes: [.index(wrong)])
            Issue.record("there is no such field")
        } catch let error as LightningError {
            #expect(error.kind == .invalid && error.description.contains("years"))
        }
        try await db.close()
        do {
            _ = try people.blocking.get(1)
            Issue.record("it is closed")
        } catch let error as LightningError {
            #expect(error.kind == .closed)
        }
    }

    @Test func whatWasWrittenIsThereAfterItWasClosed() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("app.ldb")
        let first = try await Database.open(file)
        try await people(first).putMany((1...100).map(person))
        try await first.close()
        let second = try await Database.open(file)
        #expect(try await second.existingCollection(Person.self, name: "people").count() == 100)
        #expect(try await second.verify().problems.isEmpty)
        try await second.backup(to: folder.appendingPathComponent("copy.ldb"))
        try await second.close()
        let copy = try await Database.open(folder.appendingPathComponent("copy.ldb"))
        #expect(try await people(copy).get(7) == person(7))
        try await copy.close()
    }

    @Test func tablesAreOrdered() async throws {
        let db = try Database.inMemory()
        let scores = try await db.table("scores", keys: String.self, values: Int64.self)
        for (name, score) in [("b", 2), ("a", 1), ("c", 3)] as [(String, Int64)] { try await scores.put(name, score) }
        #expect(try await scores.scan().map(\.key) == ["a", "b", "c"])
        #expect(try await scores.scan(.above("a"), backwards: true).map(\.value) == [3, 2])
        #expect(try await scores.increment("a", by: 10) == 11)
        #expect(try await scores.count(.between("a", "b")) == 2)
        try await scores.deleteRange(.from("b"))
        #expect(try await scores.getMany(["a", "b"]) == [11, nil])
    }
}
