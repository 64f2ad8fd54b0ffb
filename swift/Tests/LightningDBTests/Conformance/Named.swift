import Foundation

@testable import LightningDB

/// What has a name by `as`. Each kind can do some of this.
struct Named {
    var scope: () throws -> UInt64 = { throw Mistake("it is no transaction and no snapshot") }
    var commit: () throws -> Void = { throw Mistake("it is no transaction") }
    var next: (Step) throws -> Value = { _ in throw Mistake("it has no next") }
    var position: () throws -> Data = { throw Mistake("it is no feed") }
    var end: () -> Void

    static func transaction(_ database: Database, _ isolation: Isolation) throws -> Named {
        let transaction = try calling { try database.native.begin(isolation: isolation.native) }
        return Named(
            scope: { transaction.number() }, commit: { try calling { try transaction.commitBlocking() } }, end: { transaction.end() }
        )
    }

    static func snapshot(_ database: Database) throws -> Named {
        let snapshot = try calling { try database.native.snapshot() }
        return Named(scope: { snapshot.number() }, end: { snapshot.end() })
    }

    /// Rows that are asked for one by one.
    static func rows(_ query: Query<Value>) throws -> Named {
        var chunk: Chunk? = try Calls.query(Calls.now, query.collection.handle, query.cbor, bytes: 1)
        return Named(
            next: { step in
                guard let rows = chunk else { return .null }
                var row: Value?
                try rows.forEach { bytes in
                    guard let bytes else { return }
                    if row != nil { throw Mistake("there is more than one row") }
                    var reader = CBORReader(bytes)
                    row = try reader.value()
                }
                chunk = try rows.next(bytes: 1)
                return try row.map(step.shown) ?? .null
            },
            end: { chunk = nil }
        )
    }

    /// What a query finds, and how it changes.
    static func watch(_ query: Query<Value>) throws -> Named {
        let live = try calling { try query.collection.native.watch(query: Data(query.cbor)) }
        var rows: [Value] = []
        func read(_ cbor: Data) throws -> Value { try CBORReader.decode([UInt8](cbor)) }
        return Named(
            next: { step in
                guard let change = try calling({ try live.tryNext() }) else { return .null }
                let gone = change.removed.map(\.at) + change.changed.map(\.from)
                for place in gone.sorted(by: >) { rows.remove(at: Int(place)) }
                let placed = change.added.map { ($0.at, $0.row) } + change.changed.map { ($0.at, $0.row) }
                for (place, row) in placed.sorted(by: { $0.0 < $1.0 }) { rows.insert(try read(row), at: Int(place)) }
                guard rows.count == Int(change.rows) else { throw Mistake("it says that there are \(change.rows) rows, not \(rows.count)") }

                var told: [String: Value] = ["rows": try step.shown(rows)]
                let removed: [Value] = try change.removed.map { ["at": .int(Int64($0.at)), "key": try read($0.key)] }
                let changed: [Value] = try change.changed.map {
                    ["from": .int(Int64($0.from)), "at": .int(Int64($0.at)), "row": try step.shown(read($0.row))]
                }
                let added: [Value] = try change.added.map { ["at": .int(Int64($0.at)), "row": try step.shown(read($0.row))] }
                for (name, list) in [("removed", removed), ("changed", changed), ("added", added)] where !list.isEmpty {
                    told[name] = .array(list)
                }
                return .map(told)
            },
            end: { live.end() }
        )
    }

    /// The commits, one after the other.
    static func changes(_ database: Database, _ since: FeedStart) throws -> Named {
        let feed = try calling { try database.native.changes(since: since.native) }
        var last: UInt64?
        return Named(
            next: { _ in
                while let commit = try calling({ try feed.next() }).map(Commit.init) {
                    if let last, commit.sequence != last + 1 { throw Mistake("commit \(commit.sequence) after \(last)") }
                    last = commit.sequence
                    if !commit.changes.isEmpty {
                        return ["timeMs": milliseconds(commit.time), "changes": .array(commit.changes.map(shown))]
                    }
                }
                return .null
            },
            position: { try calling { try feed.position() } },
            end: { feed.end() }
        )
    }
}

private func milliseconds(_ date: Date) -> Value { .int(Int64(date.lightningMilliseconds)) }

private func shown(_ change: Change) -> Value {
    switch change {
    case .putDocument(let collection, let id, let document, let expires):
        var map: [String: Value] = ["put": .text(collection), "key": id, "document": document ?? .null]
        if let expires { map["expires"] = milliseconds(expires) }
        return .map(map)
    case .deleteDocument(let collection, let id): return ["delete": .text(collection), "key": id]
    case .put(let table, let key, let value): return ["put": .text(table), "key": .data(key), "value": value.map(Value.data) ?? .null]
    case .delete(let table, let key): return ["delete": .text(table), "key": .data(key)]
    case .deleteRange(let table, let from, let to):
        return ["deleteRange": .text(table), "from": .data(from), "to": to.map(Value.data) ?? .null]
    }
}
