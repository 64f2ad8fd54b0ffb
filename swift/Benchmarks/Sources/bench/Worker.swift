import CCalls
import Foundation
import LightningDB

/// What one process measures, of one database. Every answer is compared with what was written.
enum Worker {
    /// Prints one line for each measurement: its name and the number.
    static func run<E: Engine>(_: E.Type, _ folder: String, people count: Int) async throws {
        var numbers = Shuffled(7)
        let people = (0..<count).map { Person($0) }
        let withPeople = Memory.resident

        var db = try await E.open(folder, durable: true)
        try await measure("load") {
            for start in stride(from: 0, to: count, by: 1000) { try db.load(Array(people[start..<min(start + 1000, count)])) }
            return count
        }
        let puts = max(count / 50, 10)
        try await measure("put, durable") {
            for id in count..<count + puts { try db.put(Person(id)) }
            return puts
        }
        let all = count + puts

        let ids = (0..<count).map { _ in Int.random(in: 0..<all, using: &numbers) }
        try await measure("get") {
            for id in ids { try Wrong.unless(try db.get(id)?.id == id, "get \(id)") }
            return ids.count
        }
        try await measure("getMany of 100") {
            for start in stride(from: 0, to: count, by: 100) {
                let some = Array(ids[start..<min(start + 100, count)])
                let found = try db.getMany(some)
                try Wrong.unless(zip(found, some).allSatisfy { $0?.id == $1 }, "getMany from \(start)")
            }
            return ids.count
        }
        let emails = ids.prefix(count / 2).map { ($0, Person.email($0)) }
        try await measure("get by a unique index") {
            for (id, email) in emails { try Wrong.unless(try db.get(email: email)?.id == id, "get \(email)") }
            return emails.count
        }
        try await measure("range of an index") {
            var rows = 0
            for _ in 0..<count / 100 {
                let age = Int.random(in: 0..<Person.ages, using: &numbers)
                let found = try db.range(ages: age...age)
                try Wrong.unless(found.allSatisfy { $0.age == age } && found.count >= count / Person.ages, "people of age \(age)")
                rows += found.count
            }
            return rows
        }
        // What the scan gives is more than any database keeps.
        report("memory, at most, MB", wall: Double(Memory.peak - withPeople) / 1e6)
        for _ in 0..<3 {
            try await measure("scan to typed objects") {
                let found = try db.scan()
                try Wrong.unless(found.count == all && found.indices.allSatisfy { found[$0].id == $0 }, "a scan")
                return all
            }
        }
        try Wrong.unless(try db.get(17) == Person(17) && db.get(16) == Person(16), "a whole document")
        try await db.close()

        db = try await E.open(folder, durable: false)
        try await watch(db)
        try await db.close()
    }

    /// From before a write until its rows have come, one after the other.
    private static func watch(_ db: some Engine) async throws {
        let age = 77
        var rows = try await db.watch(age: age).makeAsyncIterator()
        guard var person = try await rows.next()?.first else { throw Wrong("nothing is watched") }
        var times: [Double] = []
        for turn in 1...500 {
            person.balance = -Double(turn)
            let start = ContinuousClock.now
            try db.put(person)
            while let now = try await rows.next(), now.first?.balance != person.balance {}
            if turn > 100 { times.append((ContinuousClock.now - start).seconds) }
        }
        report("watch, until the rows come", wall: times.sorted()[times.count / 2])
    }

    /// Until the first document has been read.
    static func open<E: Engine>(_: E.Type, _ folder: String) async throws {
        let start = ContinuousClock.now
        let db = try await E.open(folder, durable: true)
        try Wrong.unless(try db.get(4711)?.id == 4711, "get 4711")
        report("open", wall: (ContinuousClock.now - start).seconds)
        try await db.close()
    }

    /// A value of 100 bytes, from Swift and from C.
    static func calls(_ folder: String, people count: Int) async throws {
        let path = folder + "/calls.ldb"
        let db = try await Database.open(URL(fileURLWithPath: path))
        let table = try await db.table("values", keys: String.self, values: Data.self)
        let blocking = table.blocking
        let keys = (0..<10_000).map { "key-\(1_000_000 + $0)" }
        let value = Data((0..<100).map { UInt8($0) })
        try await db.transaction { tx in
            let table = tx.table(table)
            for key in keys { try table.blocking.put(key, value) }
        }
        var (database, sameTable): (UInt64, UInt64) = (0, 0)
        try Wrong.unless(calls_open(path, "values", &database, &sameTable) == 0, "opening from C")
        var numbers = Shuffled(3)
        let asked = keys.shuffled(using: &numbers)
        let packed = asked.flatMap { Array($0.utf8) }
        for _ in 0..<20 {
            try await measure("get of 100 bytes, C") {
                let bytes = packed.withUnsafeBufferPointer { calls_get(sameTable, $0.baseAddress, keys[0].utf8.count, asked.count) }
                try Wrong.unless(bytes == asked.count * 100, "gets from C")
                return asked.count
            }
            try await measure("get of 100 bytes, Swift") {
                var bytes = 0
                for key in asked { bytes += try blocking.get(key)?.count ?? 0 }
                try Wrong.unless(bytes == asked.count * 100, "gets from Swift")
                return asked.count
            }
        }
        calls_close(database, sameTable)
        try await db.close()
    }

    /// Prints the seconds that each of what `body` did took, by the clock and of the processor.
    private static func measure(_ what: String, _ body: () async throws -> Int) async throws {
        let start = ContinuousClock.now, cpu = clock()
        let count = Double(try await body())
        report(what, wall: (ContinuousClock.now - start).seconds / count, cpu: Double(clock() - cpu) / Double(CLOCKS_PER_SEC) / count)
    }

    /// One line for the conductor.
    private static func report(_ what: String, wall: Double, cpu: Double? = nil) {
        print("\(what)\t\(wall)")
        if let cpu { print("\(what), CPU time\t\(cpu)") }
    }
}

/// Memory of this process, in bytes.
enum Memory {
    static var resident: Int { line("VmRSS:") }
    static var peak: Int { line("VmHWM:") }

    private static func line(_ name: String) -> Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
