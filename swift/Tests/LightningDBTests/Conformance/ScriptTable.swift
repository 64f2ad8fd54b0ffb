import Foundation

@testable import LightningDB

/// A table whose types only the script knows: its keys and values are the bytes that cross.
struct ScriptTable {
    private let table: Table<Data, Data>
    private let keys: String
    private let values: String

    init(_ database: Database, _ name: String, keys: String, values: String) throws {
        let native = try calling { try database.native.table(name: name, keys: keys, values: values) }
        (table, self.keys, self.values) = (Table(name: name, native: native, of: database), keys, values)
    }

    /// Does an operation on it.
    func work(_ scope: UInt64, _ step: Step) throws -> Value {
        let table = table.inScope(scope)
        let blocking = table.blocking
        func key() throws -> Data { crossing(try step.value("key"), keys) }
        func value() throws -> Data { crossing(try step.value("value"), values) }
        switch try step.text("do") {
        case "put": try blocking.put(key(), value())
        case "insert": try blocking.insert(key(), value())
        case "replace": try blocking.replace(key(), value())
        case "get": return try blocking.get(key()).map { try read($0, values) } ?? .null
        case "delete": return .bool(try blocking.delete(key()))
        case "swap":
            let expected = try step.value("expected")
            return .bool(try blocking.compareAndSwap(key(), expected: expected == .null ? nil : crossing(expected, values), value()))
        case "increment":
            return .int(try calling { try table.native.increment(scope: scope, key: key(), by: step.integer("by")) })
        case "range":
            let entries = try blocking.scan(range(step), backwards: step["reverse"] == .bool(true), limit: Int(step["limit"]?.integer ?? .max))
            return .array(try entries.map { .array([try read($0.key, keys), try read($0.value, values)]) })
        case "count": return .int(Int64(try blocking.count(range(step))))
        case "deleteRange": try blocking.deleteRange(range(step))
        case let other: throw Mistake("there is no operation '\(other)' of tables")
        }
        return .null
    }

    private func range(_ step: Step) throws -> Keys<Data> {
        func bound(_ including: String, _ excluding: String) throws -> ([UInt8], Bool)? {
            for (name, isIncluded) in [(including, true), (excluding, false)] where step[name] != nil {
                return ([UInt8](crossing(try step.value(name), keys)), isIncluded)
            }
            return nil
        }
        return Keys(lower: try bound("from", "above"), upper: try bound("to", "below"))
    }

    private func crossing(_ value: Value, _ type: String) -> Data {
        switch (type, value) {
        case ("string", .text(let text)): Data(text.utf8)
        case ("bytes", .data(let data)): data
        default: Data(CBORWriter.encode(value))
        }
    }

    private func read(_ bytes: Data, _ type: String) throws -> Value {
        switch type {
        case "string": .text(String(decoding: bytes, as: UTF8.self))
        case "bytes": .data(bytes)
        default: try CBORReader.decode([UInt8](bytes))
        }
    }
}
