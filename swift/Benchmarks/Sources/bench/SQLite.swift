import CSQLite
import Foundation

/// SQLite's own interface as one uses it who knows it: documents as columns, prepared statements, a write-ahead log.
final class SQLite: Engine, @unchecked Sendable {
    static let name = "sqlite"
    static let description =
        "SQLite \(SQLITE_VERSION), its C interface; columns, prepared statements, WAL with synchronous FULL or NORMAL, a page cache of \(Budget.megabytes) MB"

    private let folder: String
    private let connection: Connection
    private let insert, select, selectByEmail, selectByAge, selectAll: Statement
    private let isDurable: Bool

    static func open(_ folder: String, durable: Bool) async throws -> SQLite { try SQLite(folder, durable: durable) }

    private init(_ folder: String, durable: Bool) throws {
        (self.folder, isDurable) = (folder, durable)
        connection = try Connection(URL(fileURLWithPath: folder).appendingPathComponent("people.sqlite").path, durable: durable)
        insert = try connection.prepare("INSERT OR REPLACE INTO people VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        let columns = "SELECT id, name, age, email, city, balance, isActive, note FROM people"
        select = try connection.prepare(columns + " WHERE id = ?1")
        selectByEmail = try connection.prepare(columns + " WHERE email = ?1")
        selectByAge = try connection.prepare(columns + " WHERE age BETWEEN ?1 AND ?2 ORDER BY age, id")
        selectAll = try connection.prepare(columns)
    }

    func load(_ people: [Person]) throws {
        try connection.run("BEGIN IMMEDIATE")
        for person in people { try write(person) }
        try connection.run("COMMIT")
    }

    func put(_ person: Person) throws { try write(person) }

    private func write(_ person: Person) throws {
        insert.bind(1, person.id)
        insert.bind(2, person.name)
        insert.bind(3, person.age)
        insert.bind(4, person.email)
        insert.bind(5, person.city)
        insert.bind(6, person.balance)
        insert.bind(7, person.isActive ? 1 : 0)
        if let note = person.note { insert.bind(8, note) } else { insert.bindNull(8) }
        defer { insert.reset() }
        _ = try insert.step()
    }

    func get(_ id: Int) throws -> Person? {
        select.bind(1, id)
        defer { select.reset() }
        return try select.step() ? select.person() : nil
    }

    func getMany(_ ids: [Int]) throws -> [Person?] {
        // One transaction takes and gives back the lock once.
        try connection.run("BEGIN")
        defer { try? connection.run("COMMIT") }
        return try ids.map(get)
    }

    func get(email: String) throws -> Person? {
        selectByEmail.bind(1, email)
        defer { selectByEmail.reset() }
        return try selectByEmail.step() ? selectByEmail.person() : nil
    }

    func range(ages: ClosedRange<Int>) throws -> [Person] {
        selectByAge.bind(1, ages.lowerBound)
        selectByAge.bind(2, ages.upperBound)
        return try selectByAge.people()
    }

    func scan() throws -> [Person] { try selectAll.people() }

    /// As libraries do that stand on SQLite: after a commit that touched the table the query runs again, on a connection and a queue of
    /// its own.
    func watch(age: Int) async throws -> AsyncThrowingStream<[Person], any Error> {
        let reader = try SQLite(folder, durable: isDurable)
        let queue = DispatchQueue(label: "watch", qos: .userInitiated)
        return AsyncThrowingStream { continuation in
            let look: @Sendable () -> Void = {
                queue.async {
                    do { continuation.yield(try reader.range(ages: age...age)) } catch { continuation.finish(throwing: error) }
                }
            }
            connection.onCommit(look)
            look()
        }
    }

    func close() async throws { connection.close() }
}

private final class Connection {
    private var handle: OpaquePointer?
    private var onCommit: (@Sendable () -> Void)?
    private var isTouched = false
    private var plain: [String: Statement] = [:]

    init(_ path: String, durable: Bool) throws {
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(path, &handle, flags, nil) == SQLITE_OK else { throw Wrong("cannot open \(path)") }
        try run("PRAGMA cache_size = -\(Budget.megabytes * 1000)")
        try run("PRAGMA synchronous = \(durable ? "FULL" : "NORMAL")")
        let version = try prepare("PRAGMA user_version")
        guard try version.step(), version.int(0) == 0 else { return }
        version.reset()
        try run("PRAGMA journal_mode = WAL")
        try run(
            """
            CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER NOT NULL, email TEXT NOT NULL, city TEXT NOT NULL,
                balance REAL NOT NULL, isActive INTEGER NOT NULL, note TEXT);
            CREATE INDEX people_age ON people (age);
            CREATE UNIQUE INDEX people_email ON people (email);
            PRAGMA user_version = 1
            """)
    }

    /// Has `look` called after each commit that changed something.
    func onCommit(_ look: @escaping @Sendable () -> Void) {
        onCommit = look
        let own = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_update_hook(handle, { own, _, _, _, _ in Unmanaged<Connection>.fromOpaque(own!).takeUnretainedValue().isTouched = true }, own)
        sqlite3_wal_hook(
            handle,
            { own, _, _, _ in
                let connection = Unmanaged<Connection>.fromOpaque(own!).takeUnretainedValue()
                if connection.isTouched { connection.onCommit?() }
                connection.isTouched = false
                return SQLITE_OK
            }, own)
    }

    /// BEGIN and COMMIT are prepared once, as all that runs often.
    func run(_ sql: String) throws {
        if sql == "BEGIN" || sql == "COMMIT" || sql == "BEGIN IMMEDIATE" {
            let statement = try plain[sql] ?? prepare(sql)
            plain[sql] = statement
            defer { statement.reset() }
            _ = try statement.step()
        } else if sqlite3_exec(handle, sql, nil, nil, nil) != SQLITE_OK {
            throw Wrong("\(sql): \(String(cString: sqlite3_errmsg(handle)))")
        }
    }

    func prepare(_ sql: String) throws -> Statement {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK, let statement else {
            throw Wrong("\(sql): \(String(cString: sqlite3_errmsg(handle)))")
        }
        return Statement(statement)
    }

    /// Closed when the last of its statements is given up.
    func close() {
        sqlite3_close_v2(handle)
        handle = nil
    }
}

private final class Statement {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { sqlite3_finalize(handle) }

    func bind(_ at: Int32, _ value: Int) { sqlite3_bind_int64(handle, at, Int64(value)) }
    func bind(_ at: Int32, _ value: Double) { sqlite3_bind_double(handle, at, value) }
    func bindNull(_ at: Int32) { sqlite3_bind_null(handle, at) }

    func bind(_ at: Int32, _ value: String) {
        var value = value
        // It makes a copy.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        value.withUTF8 { text in
            text.withMemoryRebound(to: CChar.self) { _ = sqlite3_bind_text(handle, at, $0.baseAddress, Int32($0.count), transient) }
        }
    }

    /// Whether there is a row.
    func step() throws -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let status: throw Wrong("SQLite: \(String(cString: sqlite3_errstr(status)))")
        }
    }

    func reset() { sqlite3_reset(handle) }

    func int(_ at: Int32) -> Int { Int(sqlite3_column_int64(handle, at)) }

    private func text(_ at: Int32) -> String {
        let start = sqlite3_column_text(handle, at)
        return String(decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, at))), as: UTF8.self)
    }

    func person() -> Person {
        Person(
            id: int(0), name: text(1), age: int(2), email: text(3), city: text(4), balance: sqlite3_column_double(handle, 5),
            isActive: int(6) != 0, note: sqlite3_column_type(handle, 7) == SQLITE_NULL ? nil : text(7)
        )
    }

    func people() throws -> [Person] {
        defer { reset() }
        var people: [Person] = []
        while try step() { people.append(person()) }
        return people
    }
}

extension Person {
    fileprivate init(
        id: Int, name: String, age: Int, email: String, city: String, balance: Double, isActive: Bool, note: String?
    ) {
        (self.id, self.name, self.age, self.email) = (id, name, age, email)
        (self.city, self.balance, self.isActive, self.note) = (city, balance, isActive, note)
    }
}
