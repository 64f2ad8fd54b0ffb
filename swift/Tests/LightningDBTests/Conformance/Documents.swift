import Foundation

@testable import LightningDB

extension Script {
    /// The query of an operation, of a collection as it is in a transaction or snapshot.
    func query(_ collection: DocumentCollection<Value>, _ step: Step) throws -> Query<Value> {
        var given: [String: Value] = [:]
        if step["query"] != nil {
            // What is no map goes as what is no query either.
            if case .map(let members) = try step.value("query") { given = members } else { given = ["where": 0] }
        }
        let query = Query(collection: collection, given: given)
        guard let after = step["after"]?.text, case .some(.some(let token)) = tokens[after] else { return query }
        return query.after(token)
    }

    /// Does an operation on a collection.
    func workOn(_ collection: DocumentCollection<Value>, _ step: Step) throws -> Value {
        let documents = collection.blocking
        switch try step.text("do") {
        case "put":
            let document = try step.value("document")
            guard let expires = step["expires"] else { return try documents.put(document) ?? .null }
            return try documents.put(document, expires: try expiry(expires)) ?? .null
        case "putCbor": _ = try Calls.put(collection.scope, collection.handle, 0, [], [UInt8](bytes(step.text("cbor"))))
        case "insert": return try documents.insert(try step.value("document")) ?? .null
        case "replace": try documents.replace(try step.value("document"))
        case "get": return try documents.get(try step.value("key")) ?? .null
        case "getMany": return .array(try documents.getMany(step.list("keys").map(Value.init(script:))).map { $0 ?? .null })
        case "getBy": return try documents.get(by: step.text("index"), step.list("values").map(Value.init(script:))) ?? .null
        case "delete": return .bool(try documents.delete(try step.value("key")))
        case "update": return .bool(try documents.update(try step.value("key"), try update(step)))
        case "swap":
            let expected = try step.value("expected")
            return .bool(try documents.compareAndSwap(expected: expected == .null ? nil : expected, try step.value("document")))
        case "dropIndex": return .bool(try calling { try collection.native.dropIndex(index: step.text("index")) })
        default: return try ask(query(collection, step), step)
        }
        return .null
    }

    private func ask(_ query: Query<Value>, _ step: Step) throws -> Value {
        switch try step.text("do") {
        case "query": return try step.shown(query.allBlocking())
        case "count": return .int(Int64(try query.countBlocking()))
        case "min": return try query.minBlocking(step.text("path")) ?? .null
        case "max": return try query.maxBlocking(step.text("path")) ?? .null
        case "updateWhere": return .int(Int64(try query.updateBlocking(update(step))))
        case "deleteWhere": return .int(Int64(try query.deleteBlocking()))
        case "explain":
            let plan = try query.explainBlocking()
            return [
                "index": plan.index.map(Value.text) ?? .null, "sorted": .bool(plan.isSorted), "filtered": .bool(plan.looksAtDocuments),
                "rows": .int(Int64(plan.rows)),
            ]
        case "page":
            // Behind the last page there is none to ask for.
            if let after = step["after"]?.text, case .some(.none) = tokens[after] { return [] }
            let page = try query.pageBlocking()
            if let name = step["as"]?.text { tokens.updateValue(page.token, forKey: name) }
            return try step.shown(page.rows)
        case "pages":
            var (pages, next): ([Value], Query<Value>?) = ([], query)
            while let asked = next {
                let page = try asked.pageBlocking()
                if !page.rows.isEmpty { pages.append(try step.shown(page.rows)) }
                next = page.rows.isEmpty ? nil : page.token.map(query.after)
            }
            return .array(pages)
        case let other: throw Mistake("there is no operation '\(other)' of collections")
        }
    }

    private func update(_ step: Step) throws -> Update { Update(given: try step.value("update")) }

    private func expiry(_ json: JSON) throws -> Expires {
        switch json {
        case .text("never"): return .never
        case .text("kept"): return .kept
        case .integer(let ms): return .at(Date(lightningMilliseconds: UInt64(ms)))
        default: throw Mistake("\(json) is no time")
        }
    }
}
