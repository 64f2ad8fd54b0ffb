@testable import LightningDB

/// One operation of a script.
struct Step {
    let members: [String: JSON]

    private static let known = Set(
        """
        above after as at below by cbor collection do document expected expires fails feedRetentionBytes from gives in index isolation \
        key keys limit migrations ms of path query reverse schema since steps table to update value values
        """.split(separator: " ").map(String.init)
    )

    init(_ json: JSON) throws {
        guard let members = json.object else { throw Mistake("an operation is an object") }
        for name in members.keys where !Self.known.contains(name) { throw Mistake("an operation has no '\(name)'") }
        if members["gives"] != nil, members["fails"] != nil { throw Mistake("it cannot give something and fail") }
        self.members = members
        for inner in members["steps"]?.list ?? [] { _ = try Step(inner) }
    }

    subscript(name: String) -> JSON? { members[name] }

    func text(_ name: String) throws -> String {
        guard let text = members[name]?.text else { throw Mistake("'\(name)' is missing") }
        return text
    }

    func integer(_ name: String) throws -> Int64 {
        guard let number = members[name]?.integer else { throw Mistake("'\(name)' is missing") }
        return number
    }

    func value(_ name: String) throws -> Value {
        guard let json = members[name] else { throw Mistake("'\(name)' is missing") }
        return try Value(script: json)
    }

    func list(_ name: String) throws -> [JSON] {
        guard let list = members[name]?.list else { throw Mistake("'\(name)' is missing") }
        return list
    }

    /// What it says of time, in milliseconds since 1970.
    func milliseconds(_ name: String) throws -> UInt64 { UInt64(try integer(name)) }

    /// A row, or of it what it asks for.
    func shown(_ row: Value) throws -> Value {
        guard members["keys"] != nil else { return row }
        return row[try text("keys")] ?? .null
    }

    func shown(_ rows: [Value]) throws -> Value { .array(try rows.map { try shown($0) }) }
}
