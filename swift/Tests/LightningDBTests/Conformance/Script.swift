import Foundation

@testable import LightningDB

/// Runs one script against the package, on files in a folder: see `tests/conformance/README.md`.
final class Script: @unchecked Sendable {
    private let folder: URL
    private var number = 0
    private var nowMs: UInt64 = 0
    private var database: Database
    private(set) var collections: [String: DocumentCollection<Value>] = [:]
    private(set) var tables: [String: ScriptTable] = [:]
    private var named: [String: Named] = [:]
    /// Page tokens and positions; nil behind the last page.
    var tokens: [String: Data?] = [:]

    init(folder: URL) throws {
        self.folder = folder
        database = try Database.forTests(folder.appendingPathComponent("0.ldb"))
    }

    /// How many operations were done, and how many passed over because this package has no such thing: queries as text.
    func run(_ text: String) async throws -> (done: Int, passedOver: Int) {
        defer {
            forget()
            try? closeDatabase()
        }
        var (done, passedOver) = (0, 0)
        for (at, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() where !line.isEmpty && !line.hasPrefix("#") {
            do {
                let step = try Step(JSON(String(line)))
                if step["query"]?.text != nil {
                    passedOver += 1
                } else if try step.text("do") == "check" {
                    let problems = try await database.verify().problems
                    try compared(step) { .int(Int64(problems.count)) }
                    done += 1
                } else {
                    try compared(step) { try perform(step) }
                    done += 1
                }
            } catch {
                throw Mistake("line \(at + 1): \(line.prefix(500))\n\(error)")
            }
        }
        return (done, passedOver)
    }

    private func open(_ step: Step) throws {
        var options = Options()
        options.feedRetentionBytes = Int(step["feedRetentionBytes"]?.integer ?? 0)
        database = try Database.forTests(folder.appendingPathComponent("\(number).ldb"), options: options)
        try database.setClock(Date(lightningMilliseconds: nowMs))
    }

    private func closeDatabase() throws { try calling { try database.native.endBlocking() } }

    private func forget() {
        named.values.forEach { $0.end() }
        named.removeAll()
        collections.removeAll()
        tables.removeAll()
    }

    /// Holds an operation to what must come of it.
    private func compared(_ step: Step, _ perform: () throws -> Value) throws {
        let given: Value
        do {
            given = try perform()
        } catch let error as LightningError {
            guard let expected = step["fails"]?.text else { throw error }
            guard error.name == expected else { throw Mistake("it failed with \(error.name): \(error)") }
            return
        }
        if let expected = step["fails"] { throw Mistake("it did not fail with \(expected)") }
        guard step["gives"] != nil else { return }
        let expected = try step.value("gives")
        let isSame: Bool
        if case .map(let members) = expected, try ["explain", "describe"].contains(step.text("do")) {
            isSame = members.allSatisfy { name, value in given[name].map(value.isSame) ?? false }
        } else {
            isSame = expected.isSame(as: given)
        }
        guard isSame else { throw Mistake("it gave \(given)") }
    }

    private func perform(_ step: Step) throws -> Value {
        switch try step.text("do") {
        case "clock":
            nowMs = try step.milliseconds("ms")
            try database.setClock(Date(lightningMilliseconds: nowMs))
        case "reopen":
            forget()
            try closeDatabase()
            try open(step)
        case "newDatabase":
            forget()
            try closeDatabase()
            number += 1
            try open(step)
        case "close": try closeDatabase()
        case "open", "openExisting":
            let name = try step.text("collection")
            collections[name] = try openCollection(name, step)
        case "openTable":
            let (name, keys, values) = (try step.text("table"), try step.text("keys"), try step.text("values"))
            tables[name] = try ScriptTable(database, name, keys: keys, values: values)
        case "dropCollection": return .bool(try calling { try database.native.dropCollection(name: step.text("collection")) })
        case "dropTable": return .bool(try calling { try database.native.dropTable(name: step.text("table")) })
        case "removeExpired": try calling { try database.native.removeExpired() }
        case "describe": return try described(try step.text("collection"))
        case "commit", "rollback":
            guard let transaction = named.removeValue(forKey: try step.text("in")) else { throw Mistake("there is no such transaction") }
            defer { transaction.end() }
            if try step.text("do") == "commit" { try transaction.commit() }
        case "transaction":
            let transaction = try Named.transaction(database, .serializable)
            defer { transaction.end() }
            for inner in try step.list("steps").map(Step.init) {
                try compared(inner) { try work(transaction.scope(), inner) }
            }
            try transaction.commit()
        case "begin", "snapshot", "rows", "watch", "changes":
            let new = try begin(step)
            named.updateValue(new, forKey: try step.text("as"))?.end()
        case "position":
            let feed = try step["of"].map { _ in try named(step.text("of")) } ?? Named.changes(database, .now)
            tokens[try step.text("as")] = try feed.position()
        case "next": return try named(try step.text("of")).next(step)
        case "drop": named.removeValue(forKey: try step.text("of"))?.end()
        default:
            let scope = (step["in"] ?? step["at"])?.text
            return try work(scope.map { try named($0).scope() } ?? Calls.now, step)
        }
        return .null
    }

    private func named(_ name: String) throws -> Named {
        guard let there = named[name] else { throw Mistake("nothing has the name '\(name)'") }
        return there
    }

    private func begin(_ step: Step) throws -> Named {
        switch try step.text("do") {
        case "begin":
            let isolations: [String: Isolation] = ["readCommitted": .readCommitted, "snapshot": .snapshot, "serializable": .serializable]
            return try .transaction(database, isolations[step["isolation"]?.text ?? "serializable"] ?? .serializable)
        case "snapshot": return try .snapshot(database)
        case "rows": return try .rows(try query(collection(step), step))
        case "watch": return try .watch(try query(collection(step), step))
        default: return try .changes(database, try since(step))
        }
    }

    private func since(_ step: Step) throws -> FeedStart {
        switch step["since"] {
        case .text("now"): return .now
        case .text("oldest"): return .oldest
        case .text(let name):
            if case .some(.some(let position)) = tokens[name] { return .after(position) }
        default:
            if case .data(let position) = try step.value("since") { return .after(position) }
        }
        throw Mistake("there is no such position")
    }

    private func openCollection(_ name: String, _ step: Step) throws -> DocumentCollection<Value> {
        guard step["schema"] != nil else {
            return DocumentCollection(name: name, native: try calling { try database.native.collectionBlocking(name: name, schema: nil) }, of: database)
        }
        var migrations: [Int: Migration] = [:]
        for (version, how) in step["migrations"]?.object ?? [:] { migrations[Int(version) ?? 0] = try migration(how) }
        return try database.open(name, schema: CBORWriter.encode(step.value("schema")), migrations)
    }

    private func migration(_ how: JSON) throws -> Migration {
        guard let steps = how.object?["transaction"]?.list else { return .by(Update(given: try Value(script: how))) }
        return .together { [self] documents in
            for inner in try steps.map(Step.init) { try compared(inner) { try workOn(documents.collection, inner) } }
        }
    }

    private func collection(_ step: Step) throws -> DocumentCollection<Value> {
        guard let collection = collections[try step.text("collection")] else { throw Mistake("the script has not opened it") }
        return collection
    }

    private func work(_ scope: UInt64, _ step: Step) throws -> Value {
        guard step["table"] != nil else { return try workOn(collection(step).inScope(scope), step) }
        guard let table = tables[try step.text("table")] else { throw Mistake("the script has not opened it") }
        return try table.work(scope, step)
    }

    private func described(_ name: String) throws -> Value {
        guard let info = try database.collections().first(where: { $0.name == name }) else { throw Mistake("there is no such collection") }
        let indexes = info.indexes.map { index -> Value in
            [
                "name": .text(index.name), "paths": .array(index.paths.map(Value.text)), "unique": .bool(index.isUnique),
                "sparse": .bool(index.isSparse), "multi": .bool(index.isMulti), "folded": .bool(index.isFolded),
                "ready": .bool(index.isReady), "entries": .int(Int64(index.entries)),
            ]
        }
        return [
            "key": .text(info.key), "version": .int(Int64(info.version)), "documents": .int(Int64(info.documents)),
            "expiresAfterMs": info.expiresAfter.map { .int(Int64($0 * 1000)) } ?? .null, "autoKey": info.autoKey.map { .text($0.rawValue) } ?? .null,
            "indexes": .array(indexes),
        ]
    }
}
