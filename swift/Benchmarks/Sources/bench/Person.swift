import LightningDB

/// The documents: some 150 bytes, eight fields, two indexes.
struct Person: Codable, Sendable, Equatable {
    var id: Int
    var name: String
    var age: Int
    var email: String
    var city: String
    var balance: Double
    var isActive: Bool
    var note: String?

    static let id = Field(\Person.id, "id"), age = Field(\Person.age, "age"), email = Field(\Person.email, "email")

    /// So many ages there are, each of as many people.
    static let ages = 1000

    /// The person of a number: always the same.
    init(_ id: Int) {
        self.id = id
        age = (id &* 7919) % Person.ages
        name = "Person Number \(id)"
        email = Person.email(id)
        city = ["Helsinki", "Reykjavík", "San Francisco", "São Paulo", "Ulaanbaatar"][id % 5]
        balance = Double(id) * 1.25
        isActive = id % 3 == 0
        note = id % 4 == 0 ? nil : "what is known of number \(id), who lives there"
    }

    static func email(_ id: Int) -> String { "person.\(id)@example.org" }
}

/// Numbers without any order, the same in each run.
struct Shuffled: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
