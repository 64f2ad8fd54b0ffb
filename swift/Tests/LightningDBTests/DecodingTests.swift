import Foundation
import Testing

@testable import LightningDB

/// What `Codable` may ask of a decoder, beyond a type's own fields in their order.
@Suite struct DecodingTests {
    private struct Point: Codable, Equatable {
        var x, y: Int
    }

    private struct Shape: Codable, Equatable {
        var name: String
        var points: [Point]
        var size: [String: Point]
        var link: URL?
    }

    private let shape = Shape(name: "a", points: [Point(x: 1, y: 2), Point(x: 3, y: -4)], size: ["b": Point(x: 5, y: 6)], link: URL(string: "x:y"))

    @Test func typesWithinTypesComeBack() throws {
        #expect(try DocumentDecoder.decode(Shape.self, from: DocumentEncoder.encode(shape)) == shape)
    }

    /// One decoder reads documents of different types and lengths, and none sees the one before.
    @Test func documentsAreReadOneAfterTheOther() throws {
        let shapes = [shape, Shape(name: "", points: [], size: [:], link: nil), shape]
        let written = try shapes.map(DocumentEncoder.encode)
        try DocumentDecoder.decoding(Shape.self) { decode in
            for (bytes, shape) in zip(written, shapes) {
                let found = try bytes.withUnsafeBytes(decode)
                #expect(found == shape)
                let empty = try? ([0xa0] as [UInt8]).withUnsafeBytes(decode)
                #expect(empty == nil)
            }
        }
    }

    /// Reads its fields by one enumeration of names or by another, as the document says; some of them twice, and in any order.
    private struct Either: Decodable {
        private enum Kind: String, CodingKey { case kind }
        private enum Circle: String, CodingKey { case radius, kind }
        private enum Square: String, CodingKey { case side, inner }
        let text: String

        init(from decoder: any Decoder) throws {
            let kind = try decoder.container(keyedBy: Kind.self)
            switch try kind.decode(String.self, forKey: .kind) {
            case "circle":
                let circle = try decoder.container(keyedBy: Circle.self)
                let radius = try circle.decode(Double.self, forKey: .radius)
                text = "\(try kind.decode(String.self, forKey: .kind)) \(radius) \(try circle.decode(String.self, forKey: .kind))"
            default:
                let square = try decoder.container(keyedBy: Square.self)
                var inner = try square.nestedUnkeyedContainer(forKey: .inner)
                let side = try square.decode(Int.self, forKey: .side)
                var found: [String] = []
                while !inner.isAtEnd { found.append(try inner.decode(String.self)) }
                text = "\(side) \(found) \(square.contains(.inner)) \(try kind.decode(String.self, forKey: .kind))"
            }
        }
    }

    @Test func severalContainersOfOneDocumentGoOnByThemselves() throws {
        let circle: Value = ["radius": 1.5, "kind": "circle"]
        let square: Value = ["inner": ["a", "b"], "kind": "square", "side": 2]
        try DocumentDecoder.decoding(Either.self) { decode in
            for _ in 0..<2 {
                let round = try CBORWriter.encode(circle).withUnsafeBytes(decode)
                #expect(round.text == "circle 1.5 circle")
                let angular = try CBORWriter.encode(square).withUnsafeBytes(decode)
                #expect(angular.text == "2 [\"a\", \"b\"] true square")
            }
        }
    }

    private func path(_ document: Value) -> [String] {
        do {
            _ = try DocumentDecoder.decode(Shape.self, from: CBORWriter.encode(document))
            return ["nothing is wrong"]
        } catch let DecodingError.keyNotFound(key, context) {
            return context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue } + [key.stringValue]
        } catch {
            return ["\(error)"]
        }
    }

    @Test func errorsSayTheWayToWhatIsMissing() {
        let whole: Value = ["x": 1, "y": 2]
        #expect(path(["points": [], "size": [:]]) == ["name"])
        #expect(path(["name": "a", "points": [whole, ["x": 1]], "size": [:]]) == ["points", "1", "y"])
        #expect(path(["name": "a", "size": ["b": ["y": 1]], "points": [whole]]) == ["size", "b", "x"])
    }

    private struct Row: Codable, Equatable, Sendable {
        var id: Int
        var text: String
    }

    /// Some twenty chunks.
    private func rows(_ db: Database) async throws -> DocumentCollection<Row> {
        let rows = try await db.collection(Row.self, name: "rows", key: Field(\Row.id, "id"))
        try await rows.putMany((0..<5_000).map { Row(id: $0, text: String(repeating: "\($0) ", count: 50)) })
        return rows
    }

    @Test func threadsThatDecodeTogetherKeepTheOrder() async throws {
        let rows = try await rows(Database.inMemory())
        let all = try await rows.query().all()
        #expect(all == (0..<5_000).map { Row(id: $0, text: String(repeating: "\($0) ", count: 50)) })
        #expect(try await rows.query().reversed().limit(4_000).all() == all.suffix(4_000).reversed())
    }

    @Test func oneDocumentThatCannotBeReadFailsTheWhole() async throws {
        let db = try Database.inMemory()
        let rows = try await rows(db)
        let values = try await db.existingCollection(Value.self, name: "rows")
        try await values.put(["id": 4_321])
        for _ in 0..<20 {
            await #expect(throws: DecodingError.self) { try await rows.query().all() }
        }
        try await values.delete(4_321)
        #expect(try await rows.query().all().count == 4_999)
    }
}
