import Foundation
@preconcurrency import LightningDBGenerated

/// When a commit is acknowledged.
public enum Durability: Sendable {
    /// When it is on the medium: it survives a power loss.
    case sync
    /// At once; it is on the medium within a second.
    case periodic
    /// At once; it survives the end of the process, and perhaps no power loss.
    case relaxed

    var native: LightningDBGenerated.Durability {
        switch self {
        case .sync: .sync
        case .periodic: .periodic
        case .relaxed: .relaxed
        }
    }
}

/// How a database is opened. The defaults suit a phone.
public struct Options: Sendable {
    /// Make the database if there is none.
    public var create = true
    /// Refuse every write, and write nothing to the files.
    public var readOnly = false
    /// When commits are acknowledged.
    public var durability = Durability.sync
    /// Memory for everything together, in bytes; at least 2 MiB.
    public var memoryBudgetBytes = 10_000_000
    /// What it gives at most to all who share it.
    public var limits = Limits()
    /// The log keeps the newest commits up to so many bytes for the change feed, also after a clean close.
    public var feedRetentionBytes = 0
    /// Verify everything stored in the background, each time so long after the last time ended.
    public var scrubInterval: TimeInterval?
    /// What opens an encrypted database. A new one that is given a key is encrypted, and this is its first.
    public var key: EncryptionKey?
    /// How a new database is encrypted, if it gets a key; one that exists stays as it was made.
    public var encryption = Encryption.aes256Gcm
    /// Where there is UIKit: suspend it while the application is in the background, and give memory back when the system warns. Without it,
    /// call `suspend`, `resume` and `trimMemory` by hand: iOS ends an application that it puts to sleep with a lock on a file.
    public var followsApplication = true

    /// The defaults.
    public init() {}

    func native(_ key: UInt64) -> OpenOptions {
        OpenOptions(
            create: create, readOnly: readOnly, durability: durability.native, memoryBudgetBytes: UInt64(memoryBudgetBytes),
            limits: limits.native, feedRetentionBytes: UInt64(feedRetentionBytes),
            scrubIntervalS: scrubInterval.map { UInt32(max(1, $0)) }, key: key,
            encryption: encryption == .aes256Gcm ? .aes256Gcm : .chaCha20Poly1305
        )
    }
}

/// A database. Opened more than once in a process it is the same one, closed when everybody has closed it, or when nobody has anything of
/// it any more: its collections, tables and snapshots keep it open.
///
/// ```swift
/// let db = try await Database.open(url)
/// let people = try await db.collection(Person.self, key: Person.id, indexes: [.index(Person.age), .unique(Person.email)])
/// try await people.put(Person(id: 1, name: "Ada", age: 36, email: "ada@example.org"))
/// ```
public final class Database: Sendable {
    let native: LightningDBGenerated.Database
    private let life: ApplicationLife?

    private init(_ native: LightningDBGenerated.Database, followsApplication: Bool = false) {
        self.native = native
        life = followsApplication ? ApplicationLife.Names.ofSystem.map { ApplicationLife(of: native, $0) } : nil
    }

    /// Opens the database in a file.
    public static func open(_ url: URL, options: Options = Options()) async throws -> Database {
        try await background { try openBlocking(url, options: options) }
    }

    /// Opens the database in a file, on the calling thread.
    public static func openBlocking(_ url: URL, options: Options = Options()) throws -> Database {
        let native = try withKey(options.key) { key in
            try calling { try LightningDBGenerated.Database.openBlocking(path: url.path, options: options.native(key)) }
        }
        return Database(native, followsApplication: options.followsApplication)
    }

    /// A new database in memory, gone when it is closed.
    public static func inMemory(options: Options = Options()) throws -> Database {
        Database(try withKey(options.key) { key in try calling { try LightningDBGenerated.Database.inMemory(options: options.native(key)) } })
    }

    /// A database for tests, in a file or in memory: its time is what `setClock` says, 1970 at first, and it does nothing by itself.
    public static func forTests(_ url: URL? = nil, options: Options = Options()) throws -> Database {
        Database(
            try withKey(options.key) { key in
                try calling { try LightningDBGenerated.Database.forTests(path: url?.path, options: options.native(key)) }
            }
        )
    }

    /// Opens a collection of documents of a type, named as the type unless `name` says otherwise, and makes it and its indexes where they
    /// are not there.
    ///
    /// `migrations` say how documents of an older version become those of the next.
    public func collection<Document: Codable & Sendable, Key>(
        _: Document.Type,
        name: String? = nil,
        key: Field<Document, Key>,
        indexes: [Index<Document>] = [],
        version: Int = 1,
        expiresAfter: TimeInterval? = nil,
        autoKey: AutoKey? = nil,
        migrations: [Int: Migration] = [:]
    ) async throws -> DocumentCollection<Document> {
        let name = name ?? String(describing: Document.self)
        let paths = [key.path] + indexes.flatMap(\.paths)
        try FieldNames.check(paths, of: Document.self)
        let schema = schema(key: key.path, indexes: indexes.map(\.value), version: version, expiresAfter: expiresAfter, autoKey: autoKey)
        return try await background { [self] in try open(name, schema: schema, migrations) }
    }

    /// Opens a collection as it is: its schema is in the database.
    public func existingCollection<Document: Codable & Sendable>(_: Document.Type, name: String? = nil) async throws -> DocumentCollection<Document> {
        let name = name ?? String(describing: Document.self)
        return try await background { [self] in
            DocumentCollection(name: name, native: try calling { try native.collectionBlocking(name: name, schema: nil) }, of: self)
        }
    }

    /// Deletes a collection with everything in it; false when there is none.
    @discardableResult
    public func dropCollection(_ name: String) async throws -> Bool {
        try await background { [native] in try calling { try native.dropCollection(name: name) } }
    }

    /// Opens a table, and makes it if there is none.
    public func table<Key: TableKey, Value: TableValue>(
        _ name: String, keys _: Key.Type, values _: Value.Type
    ) async throws -> Table<Key, Value> {
        try await background { [self] in
            let opened = try calling { try native.table(name: name, keys: Key.lightningKeyType, values: Value.lightningValueType) }
            return Table(name: name, native: opened, of: self)
        }
    }

    /// Deletes a table with everything in it; false when there is none.
    @discardableResult
    public func dropTable(_ name: String) async throws -> Bool {
        try await background { [native] in try calling { try native.dropTable(name: name) } }
    }

    /// Runs `body` in a transaction: what it writes is committed together when it ends, and undone when it throws. It may run again, up to
    /// five times, when another transaction has changed what it read; so it does nothing else that counts.
    ///
    /// Only what `tx` gives is in the transaction: `tx.collection(people)`.
    public func transaction<R: Sendable>(
        isolation: Isolation = .serializable, _ body: @Sendable (Transaction) async throws -> R
    ) async throws -> R {
        var tries = 0
        while true {
            let native = try calling { try self.native.begin(isolation: isolation.native) }
            defer { native.end() }
            do {
                let result = try await body(Transaction(scope: native.number()))
                try Task.checkCancellation()
                // Who is cancelled from here on learns what became of it.
                try await toItsEnd { try calling { try native.commitBlocking() } }
                return result
            } catch let error as LightningError where error.isOfOthers && tries < 4 {
                tries += 1
            }
        }
    }

    /// The database as it is now, for several reads that belong together. It keeps what it sees from being given back until it is gone.
    public func snapshot() throws -> Snapshot { Snapshot(try calling { try native.snapshot() }, of: self) }

    /// All tables, by name; a collection has its own.
    public func tables() throws -> [TableInfo] { try calling { try native.tables() }.map(TableInfo.init) }

    /// All collections, by name.
    public func collections() throws -> [CollectionInfo] { try calling { try native.collections() }.map(CollectionInfo.init) }

    /// Makes every commit so far durable, whatever durability it was made with.
    public func sync() async throws { try await calling { [native] stop in try await native.sync(stop: stop) } }

    /// Merges what is in memory, so that reopening has nothing to replay.
    public func checkpoint() async throws { try await calling { [native] stop in try await native.checkpoint(stop: stop) } }

    /// Makes the file as small as it can be. `onProgress` is called by the thread that does it.
    public func compact(onProgress: (@Sendable (CompactionProgress) -> Void)? = nil) async throws {
        let listener = onProgress.map(CompactionTold.init)
        try await calling { [native] stop in try await native.compact(listener: listener, stop: stop) }
    }

    /// Reads and verifies everything, indexes and the use of space as well. Background work waits meanwhile.
    public func verify() async throws -> CheckReport {
        CheckReport(try await calling { [native] stop in try await native.verify(stop: stop) })
    }

    /// Verifies what is stored, checksums, structure and order, in steps that hold nobody up. `onProgress` is told what was verified after
    /// each, by the thread that does it. `Options.scrubInterval` has that done by itself.
    public func scrub(onProgress: (@Sendable (CheckReport) -> Void)? = nil) async throws -> CheckReport {
        let listener = onProgress.map(ScrubTold.init)
        return CheckReport(try await calling { [native] stop in try await native.scrub(listener: listener, stop: stop) })
    }

    /// The keys that open it, if it is encrypted.
    public var keys: EncryptionKeys { EncryptionKeys(native: native) }

    /// Counters and sizes.
    public func stats() throws -> Stats { Stats(try calling { try native.stats() }) }

    /// Writes a copy of the database as it is now to a new file, beside whatever else goes on.
    @discardableResult
    public func backup(to url: URL, onProgress: (@Sendable (BackupProgress) -> Void)? = nil) async throws -> BackupProgress {
        let listener = onProgress.map(BackupTold.init)
        return BackupProgress(try await calling { [native] stop in try await native.backup(to: url.path, listener: listener, stop: stop) })
    }

    /// Sets the time of a database for tests: see `forTests`.
    public func setClock(_ date: Date) throws { try calling { try native.setClock(ms: date.lightningMilliseconds) } }

    /// Removes documents that have gone by themselves; the database does so about once a second.
    public func removeExpired() async throws { try await background { [native] in try calling { try native.removeExpired() } } }

    /// Brings everything into the data file and closes it; whatever is called afterwards is `closed`.
    public func close() async throws { try await toItsEnd { [native] in try calling { try native.endBlocking() } } }
}
