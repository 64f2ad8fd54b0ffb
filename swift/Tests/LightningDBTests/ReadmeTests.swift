import Foundation
import Testing

import LightningDB

/// The programs of README.md, as they are there.
@Suite struct ReadmeTests {
    struct Person: Codable, Sendable, Equatable {
        var id: Int
        var name: String
        var age: Int
        var email: String?

        static let id = Field(\Person.id, "id"), name = Field(\Person.name, "name")
        static let age = Field(\Person.age, "age"), email = Field(\Person.email, "email")
    }

    @Test(.timeLimit(.minutes(1))) func theProgramsDoWhatTheySay() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let url = folder.appendingPathComponent("people.ldb")

        let db = try await Database.open(url)
        let people = try await db.collection(
            Person.self, name: "people", key: Person.id, indexes: [.index(Person.age), .unique(Person.email)]
        )
        try await people.put(Person(id: 1, name: "Ada", age: 36, email: "ada@example.org"))
        try await people.put(Person(id: 2, name: "Grace", age: 85))
        try await people.update(2, Update().set(Person.email, to: "grace@example.org").increment(Person.age, by: 1))

        let ada = try await people.get(1)
        let grace = try await people.get(by: Person.email, "grace@example.org")
        for try await person in people.query(Person.age, in: 30...).order(by: Person.age).limit(10) {
            print(person.name)
        }
        #expect(ada?.age == 36 && grace?.age == 86)

        try await db.transaction { tx in
            let people = tx.collection(people)
            guard var ada = try await people.get(1), var grace = try await people.get(2) else { return }
            (ada.age, grace.age) = (grace.age, ada.age)
            try await people.put(ada)
            try await people.put(grace)
        }
        #expect(try await people.get(1)?.age == 86)

        try await watched(people)
        do {
            try await people.insert(Person(id: 3, name: "Ida", age: 20, email: "ada@example.org"))
        } catch let error as LightningError where error.kind == .duplicateKey {
            print("taken: \(error.fields["index"] ?? "")")
        }
        #expect(try await people.count() == 2)
        try await tables(db)
        try await kept(db, people, folder.appendingPathComponent("copy.ldb"), folder.appendingPathComponent("again.ldb"))
        try await encrypted(folder)
        try await sleeping()
        #if canImport(Observation)
            if #available(macOS 14, iOS 17, tvOS 17, watchOS 10, *) { try await shown(people) }
        #endif
        try await migrated(db)
        try await db.close()
    }

    private func tables(_ db: Database) async throws {
        let scores = try await db.table("scores", keys: String.self, values: Int64.self)
        try await scores.put("ada", 10)
        try await scores.increment("ada", by: 5)
        for try await (name, score) in scores.entries(.from("a")) {
            print(name, score)
        }
        #expect(try await scores.get("ada") == 15)
    }

    private func sleeping() async throws {
        let place = try Database.location("cache", isBackedUp: false, protection: .unlessOpen)
        let cache = try await Database.open(place)
        defer { try? FileManager.default.removeItem(at: place.deletingLastPathComponent()) }
        try await cache.suspend()
        try await cache.resume()
        try cache.trimMemory()
        try await cache.close()
    }

    private func kept(_ db: Database, _ people: DocumentCollection<Person>, _ copy: URL, _ again: URL) async throws {
        try await db.backup(to: copy)
        try await Database.restore(copy, to: again)
        try await db.createSnapshot("before import")
        let before = try await db.snapshot(named: "before import")
        print(try await before.collection(people).count())
        for finding in try db.health().findings { print("\(finding.name): \(finding.cause); \(finding.remedy)") }
    }

    private func encrypted(_ folder: URL) async throws {
        var options = Options()
        options.key = .passphrase("correct horse battery staple")
        let secret = try await Database.open(folder.appendingPathComponent("secret.ldb"), options: options)
        let slot = try await secret.keys.add(.raw(Data((0..<32).map { _ in UInt8.random(in: .min ... .max) })))
        try await secret.keys.remove(slot: slot)
        #expect(try secret.keys.list().map(\.kind) == [.passphrase])
        try await secret.close()
    }

    #if canImport(Observation)
        @available(macOS 14, iOS 17, tvOS 17, watchOS 10, *)
        @MainActor private func shown(_ people: DocumentCollection<Person>) async throws {
            let adults = LiveQuery(people.query(Person.age, in: 18...))
            let shown = adults.rows.map(\.name)
            #expect(shown.isEmpty, "they come when they were read")
            while adults.rows.count < 2 { await Task.yield() }
        }
    #endif

    private func watched(_ people: DocumentCollection<Person>) async throws {
        let task = Task {
            var shown: [[String]] = []
            func render(_ rows: [Person]) {
                shown.append(rows.map(\.name))
                withUnsafeCurrentTask { $0?.cancel() }
            }
            for try await rows in people.query(Person.age, in: 80...).updates {
                render(rows)
            }
            return shown
        }
        #expect(try await task.value == [["Ada"]])
    }

    private func migrated(_ db: Database) async throws {
        let people = try await db.collection(
            Person.self, name: "people", key: Person.id, version: 3,
            migrations: [
                1: .each { fields in fields["name"] = fields["name"] ?? "nobody" },
                2: .by(Update().set("seen", to: 0)),
            ]
        )
        #expect(try await people.get(2)?.name == "Grace")
    }

    @Test func theyAreTheSameThereAndHere() throws {
        let file = URL(fileURLWithPath: #filePath)
        let here = lines(of: try String(contentsOf: file, encoding: .utf8))
        let package = file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: package.appendingPathComponent("README.md"), encoding: .utf8)
        let programs = readme.components(separatedBy: "```swift\n").dropFirst().map { lines(of: $0.components(separatedBy: "```")[0]) }
        #expect(programs.count == 12)
        for program in programs { #expect(here.contains(program), "\(program)") }
    }

    /// Without what is before and behind each line, and without the lines that import.
    private func lines(of text: String) -> String {
        let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        return lines.filter { !$0.isEmpty && !$0.hasPrefix("import ") }.joined(separator: "\n")
    }
}
