import Foundation
import Testing

@testable import LightningDB

/// Rows that are asked for some at a time.
@Suite struct SequenceTests {
    /// A table of so many entries, of 1,000 bytes each: several chunks.
    private func numbers(_ db: Database, _ count: Int) async throws -> Table<Int, Data> {
        let table = try await db.table("numbers", keys: Int.self, values: Data.self)
        try await db.transaction { tx in
            let table = tx.table(table).blocking
            for number in 0..<count { try table.put(number, Data(repeating: UInt8(number % 251), count: 1000)) }
        }
        return table
    }

    @Test func entriesComeInOrderFromEitherEnd() async throws {
        let db = try Database.inMemory()
        let table = try await numbers(db, 300)
        var keys: [Int] = []
        for try await (key, value) in table.entries() {
            #expect(value == Data(repeating: UInt8(key % 251), count: 1000))
            keys.append(key)
        }
        #expect(keys == Array(0..<300))
        keys = []
        for try await entry in table.entries(.between(10, 250), backwards: true, limit: 200) { keys.append(entry.key) }
        #expect(keys == Array((51...250).reversed()))
        for try await _ in table.entries(.above(299)) { Issue.record("there are none") }
    }

    @Test func entriesAreOfOneMomentAndReadWhenTheyAreAskedFor() async throws {
        let db = try Database.inMemory()
        let table = try await numbers(db, 300)
        let before = table.entries()
        try await table.delete(0)
        var iterator = before.makeAsyncIterator()
        // It begins when the first is asked for.
        #expect(try await iterator.next()?.key == 1)
        try await table.delete(299)
        var last: Int?
        while let entry = try await iterator.next() { last = entry.key }
        #expect(last == 299)
        #expect(try await iterator.next() == nil)
    }

    @Test func entriesOfATransactionAreThoseItWrote() async throws {
        let db = try Database.inMemory()
        let table = try await numbers(db, 3)
        let keys = try await db.transaction { tx in
            let inside = tx.table(table)
            try await inside.put(7, Data())
            var keys: [Int] = []
            for try await entry in inside.entries() { keys.append(entry.key) }
            return keys
        }
        #expect(keys == [0, 1, 2, 7])
    }

    @Test func aCancelledTaskGetsNoFurtherChunk() async throws {
        let db = try Database.inMemory()
        let table = try await numbers(db, 300)
        let seen = await Task {
            var seen = 0
            do {
                for try await _ in table.entries() {
                    seen += 1
                    withUnsafeCurrentTask { $0?.cancel() }
                }
                Issue.record("it went on to the end")
            } catch {
                #expect(error is CancellationError)
            }
            return seen
        }.value
        #expect(seen > 0 && seen < 100, "what was read already, and no more")
    }
}
