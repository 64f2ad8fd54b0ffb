import Foundation
import LightningDB

/// Lightning DB with what its package offers: `Codable` documents.
struct Lightning: Engine {
    static let name = "lightning"
    static let description = "Lightning DB; Codable documents, a budget of \(Budget.megabytes) MB for everything together, durability sync or relaxed"

    let db: Database
    let people: DocumentCollection<Person>
    let blocking: BlockingCollection<Person>

    static func open(_ folder: String, durable: Bool) async throws -> Lightning {
        var options = Options()
        options.memoryBudgetBytes = Budget.megabytes * 1_000_000
        options.durability = durable ? .sync : .relaxed
        let db = try await Database.open(URL(fileURLWithPath: folder).appendingPathComponent("people.ldb"), options: options)
        let people = try await db.collection(Person.self, name: "people", key: Person.id, indexes: [.index(Person.age), .unique(Person.email)])
        return Lightning(db: db, people: people, blocking: people.blocking)
    }

    func load(_ people: [Person]) throws { try blocking.putMany(people) }
    func put(_ person: Person) throws { try blocking.put(person) }
    func get(_ id: Int) throws -> Person? { try blocking.get(id) }
    func getMany(_ ids: [Int]) throws -> [Person?] { try blocking.getMany(ids) }
    func get(email: String) throws -> Person? { try blocking.get(by: Person.email.path, [.text(email)]) }
    func range(ages: ClosedRange<Int>) throws -> [Person] { try people.query(Person.age, in: ages).allBlocking() }
    func scan() throws -> [Person] { try people.query().allBlocking() }
    func watch(age: Int) async throws -> AsyncThrowingStream<[Person], any Error> { people.query(Person.age == age).updates }
    func close() async throws { try await db.close() }
}
