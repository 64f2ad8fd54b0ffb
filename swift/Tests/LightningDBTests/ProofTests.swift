import Foundation
import Testing

@testable import LightningDB

/// They count what is open in the process, so nothing else may run in it: `LIGHTNING_ALONE=1 swift test --filter ProofTests`.
private let isAlone = ProcessInfo.processInfo.environment["LIGHTNING_ALONE"] != nil

/// What holds whatever happens: nothing is kept, nobody is in the way of another, and what is given up ends.
@Suite(.serialized, .enabled(if: isAlone)) struct ProofTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    private func people(_ db: Database) async throws -> DocumentCollection<Person> {
        try await db.collection(Person.self, name: "people", key: Person.id, indexes: [.index(Person.age)])
    }

    /// Uses everything that there is to be opened.
    private func use(_ db: Database) async throws {
        let people = try await people(db)
        let names = try await db.table("names", keys: Int.self, values: String.self)
        try await people.putMany((0..<50).map { Person(id: $0, name: "person \($0)", age: $0) })
        for number in 0..<5 { try await names.put(number, "name") }
        for try await _ in people.query(Person.age >= 10) { break }
        for try await _ in names.entries() { break }
        for try await rows in people.query(Person.age < 10).updates {
            #expect(rows.count == 10)
            break
        }
        let snapshot = try db.snapshot()
        #expect(try await snapshot.collection(people).get(1)?.age == 1)
        try await db.transaction { tx in _ = try await tx.collection(people).update(1, Update().set(Person.name, to: "other")) }
        await #expect(throws: LightningError.self) { try await people.insert(Person(id: 1, name: "", age: 0)) }
        #expect(try await people.query().page().rows.count == 50)
    }

    /// Waits until all tasks have given up what they held.
    private func settled(to count: Int) async {
        while Database.openObjects > count { await Task.yield() }
    }

    @Test(.timeLimit(.minutes(5))) func whatWasOpenedIsGivenUp() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let before = Database.openObjects
        for turn in 0..<20 {
            weak var gone: Database?
            do {
                let db = try await Database.open(folder.appendingPathComponent("app.ldb"))
                gone = db
                try await use(db)
                // Half of them are not closed by hand.
                if turn.isMultiple(of: 2) { try await db.close() }
            }
            await settled(to: before)
            #expect(gone == nil && Database.openObjects == before, "turn \(turn)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["app.ldb", "app.ldb-log"])
    }

    @Test(.timeLimit(.minutes(30))) func manyOpensTakeNoMoreMemoryThanTheFirst() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("app.ldb")
        let before = Database.openObjects
        var kept = 0
        let opens = ProcessInfo.processInfo.environment["LIGHTNING_OPENS"].flatMap { Int($0) } ?? 100
        for turn in 0..<opens {
            let db = try Database.openBlocking(file)
            let names = try await db.table("names", keys: Int.self, values: String.self)
            #expect(try names.blocking.get(turn - 1) == (turn == 0 ? nil : "name"))
            try names.blocking.put(turn, "name")
            try await db.close()
            if turn == opens / 4 { kept = residentBytes() }
        }
        await settled(to: before)
        #expect(Database.openObjects == before)
        #expect(residentBytes() < kept + 8_000_000, "\(kept) bytes after a quarter, \(residentBytes()) in the end")
    }

    @Test func aCollectionKeepsItsDatabaseOpen() async throws {
        let before = Database.openObjects
        func opened() async throws -> DocumentCollection<Person> { try await people(try Database.inMemory()) }
        do {
            let people = try await opened()
            try await people.put(Person(id: 1, name: "Ada", age: 36))
            #expect(try people.blocking.get(1)?.name == "Ada")
        }
        await settled(to: before)
    }

    @Test(.timeLimit(.minutes(2))) func manyTasksShareADatabase() async throws {
        let db = try Database.inMemory()
        let people = try await people(db)
        try await people.putMany((0..<8).map { Person(id: $0, name: "", age: 0) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for turn in 0..<40 {
                        try await people.update((task + turn) % 8, Update().increment(Person.age, by: 1))
                        _ = try await people.query(Person.age >= 0).all()
                        if turn.isMultiple(of: 10) { for try await _ in people.query().updates { break } }
                        _ = try db.snapshot().collection(people).blocking.get(task)
                    }
                }
            }
            try await group.waitForAll()
        }
        let sum = try await people.query().all().map(\.age).reduce(0, +)
        #expect(sum == 8 * 40)
    }

    @Test(.timeLimit(.minutes(2))) func whoIsCancelledGoesOnAtOnceAndNothingIsHalfDone() async throws {
        let before = Database.openObjects
        do {
            let db = try Database.inMemory()
            let people = try await people(db)
            try await people.putMany((0..<2000).map { Person(id: $0, name: String(repeating: "x", count: 200), age: $0) })
            // Cancelled at all moments: before, within and behind.
            for turn in 0..<60 {
                let task = Task { try await people.query(Person.name == "nobody").update(Update().increment(Person.age, by: 1)) }
                for _ in 0..<turn { await Task.yield() }
                task.cancel()
                switch await task.result {
                case .success(let changed): #expect(changed == 0)
                case .failure(let error): #expect(error is CancellationError)
                }
            }
            for turn in 0..<30 {
                let task = Task {
                    try await db.transaction { tx in
                        let people = tx.collection(people)
                        try await people.put(Person(id: 10_000 + turn, name: "", age: 0))
                        try await people.put(Person(id: 20_000 + turn, name: "", age: 0))
                    }
                }
                for _ in 0..<turn { await Task.yield() }
                task.cancel()
                let isDone = (try? await task.value) != nil
                let found = try await people.getMany([10_000 + turn, 20_000 + turn]).compactMap { $0 }.count
                #expect(found == (isDone ? 2 : 0))
            }
            await #expect(throws: CancellationError.self) {
                try await Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    _ = try await db.verify()
                }.value
            }
            // Who is cancelled can still close.
            try await Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await db.close()
            }.value
            await #expect(throws: LightningError.self) { try await people.get(1) }
        }
        await settled(to: before)
    }

    private func residentBytes() -> Int {
        #if os(Linux)
            let pages = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")[1]
            return (pages.flatMap { Int($0) } ?? 0) * 4096
        #else
            return 0
        #endif
    }
}
