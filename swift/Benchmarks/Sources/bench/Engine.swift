/// What is measured of each database, through the interface that its users have.
protocol Engine: Sendable {
    static var name: String { get }
    static var description: String { get }

    /// Opens the database in a folder, and makes it with its two indexes if it is not there.
    static func open(_ folder: String, durable: Bool) async throws -> Self

    /// Writes documents in one transaction.
    func load(_ people: [Person]) throws
    /// Writes one document in a transaction.
    func put(_ person: Person) throws
    func get(_ id: Int) throws -> Person?
    func getMany(_ ids: [Int]) throws -> [Person?]
    func get(email: String) throws -> Person?
    func range(ages: ClosedRange<Int>) throws -> [Person]
    func scan() throws -> [Person]
    /// The people of an age now, and after each commit that changes them.
    func watch(age: Int) async throws -> AsyncThrowingStream<[Person], any Error>
    func close() async throws
}

/// Memory that a database may use for caches and buffers: `--memory MB`.
enum Budget {
    static let megabytes = CommandLine.arguments.drop { $0 != "--memory" }.dropFirst().first.flatMap { Int($0) } ?? 10
}

/// What a database gave is not what was written to it.
struct Wrong: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func unless(_ isRight: Bool, _ what: @autoclosure () -> String) throws {
        if !isRight { throw Wrong(what()) }
    }
}
