import Foundation
import Testing

@testable import LightningDB

@Suite struct ValueTests {
    @Test func everyValueComesBackAsItWasWritten() async throws {
        let values: [Value] = [
            .null, true, false, 0, -1, .int(.max), .int(.min), .unsigned(UInt64(Int64.max) + 1), .unsigned(.max),
            .negative(UInt64(Int64.max) + 1), .negative(.max), 0.5, 3.0, 1e300, .double(.leastNonzeroMagnitude), .double(-0.0), .double(.infinity), .double(.nan),
            "", "é", "e\u{301}", .data(Data()), .data(Data([0, 255])), .uuid(UUID()), [], [1, [.null]], [:], ["b": 1, "a": ["c": 2]],
            .timestamp(microseconds: 0), .timestamp(microseconds: -1), .timestamp(microseconds: 999_999),
            .timestamp(microseconds: 1_700_000_000_123_456), .timestamp(microseconds: .max), .timestamp(microseconds: .min),
        ]
        let db = try Database.inMemory()
        let documents = try await db.collection(Value.self, name: "values", key: Field("id"))
        for (id, value) in values.enumerated() {
            let document: Value = ["id": .int(Int64(id)), "value": value]
            try await documents.put(document)
            let found = try #require(try await documents.get(id))
            #expect(found.isSame(as: document), "\(found)")
        }
        #expect(try await documents.query(Field<Value, Value>("id") == 1).all() == [["id": 1, "value": true]])
        #expect(try await documents.compareAndSwap(expected: nil, ["id": 1000]))
        #expect(try await !documents.compareAndSwap(expected: nil, ["id": 1000]))
    }

    @Test func timesAreThoseOfDates() {
        #expect(Value.date(Date(timeIntervalSince1970: 1.5)) == .timestamp(microseconds: 1_500_000))
        #expect(Value.timestamp(microseconds: -250_000).date == Date(timeIntervalSince1970: -0.25))
        #expect(Value.date(Date(timeIntervalSince1970: 1e300)) == .timestamp(microseconds: .max))
    }

    @Test func otherCodersWriteAndReadValues() throws {
        let value: Value = ["a": [1, 2.5, "x", true, .null], "b": ["c": .unsigned(.max)]]
        #expect(try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value)) == value)
    }

    /// A dictionary has no order of its own: without one, the same document would be another each time.
    @Test func whatIsEqualIsWrittenAlike() throws {
        let names = (0..<50).map { "name \($0)" }
        let (up, down) = (
            Dictionary(uniqueKeysWithValues: names.map { ($0, 1) }), Dictionary(uniqueKeysWithValues: names.reversed().map { ($0, 1) })
        )
        let written = try DocumentEncoder.encode(up)
        #expect(try DocumentEncoder.encode(down) == written)
        #expect(CBORWriter.encode(.map(down.mapValues { .int(Int64($0)) })) == written)
        #expect(try DocumentDecoder.decode([String: Int].self, from: written) == up)
    }
}
