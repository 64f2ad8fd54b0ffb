import Foundation

/// Documents whose fields are not known before are values: `db.collection(Value.self, …)`. Other coders, as those of JSON, write what they
/// have a kind for, and give it back as the kind that it then is.
extension Value: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let bool = try? container.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? container.decode(Int64.self) {
            self = .int(number)
        } else if let number = try? container.decode(UInt64.self) {
            self = .unsigned(number)
        } else if let number = try? container.decode(Double.self) {
            self = .double(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let values = try? container.decode([Value].self) {
            self = .array(values)
        } else {
            self = .map(try container.decode([String: Value].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let bool): try container.encode(bool)
        case .int(let number): try container.encode(number)
        case .unsigned(let number): try container.encode(number)
        case .negative(let number): try container.encode(-1 - Double(number))
        case .double(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        case .data(let data): try container.encode(data)
        case .timestamp(let microseconds): try container.encode(Date(lightningMicroseconds: microseconds))
        case .uuid(let uuid): try container.encode(uuid)
        case .array(let values): try container.encode(values)
        case .map(let fields): try container.encode(fields)
        }
    }
}
