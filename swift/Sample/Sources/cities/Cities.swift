import Foundation
import LightningDB

private let usage = """
    cities DATABASE                         how many there are, and the largest
    cities DATABASE get ID                  one of them: FI/Tampere
    cities DATABASE country CODE            the largest of a country
    cities DATABASE search TEXT             those whose names begin so, whatever the case and the accents
    cities DATABASE grow ID NUMBER          so many more people live there
    cities DATABASE watch CODE              the largest of a country, now and whenever that changes
    cities DATABASE load FILE               writes the places of a file of JSON Lines, and says of how many it is certain
    """

/// Works on a database of places, whoever wrote it: this program, the command `lightning`, or another language.
@main struct Cities {
    let places: DocumentCollection<City>
    let database: Database

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            guard let file = arguments.first, file != "--help" else { return print(usage) }
            let cities = try await Cities(URL(fileURLWithPath: file))
            try await cities.run(Array(arguments.dropFirst()))
            try await cities.database.close()
        } catch {
            // Errors of the database say what happened, where, and what to do.
            FileHandle.standardError.write(Data("error: \(error)\n".utf8))
            exit(1)
        }
    }

    init(_ file: URL) async throws {
        database = try await Database.open(file)
        // What is there already stays, other indexes too; what is missing is made.
        places = try await database.collection(City.self, name: "cities", key: City.id, indexes: [.index(City.country, City.population)])
    }

    func run(_ arguments: [String]) async throws {
        switch (arguments.first, arguments.dropFirst().first) {
        case (nil, _):
            print("\(try await places.count()) places; the largest:")
            for try await city in places.query().order(by: City.population, descending: true).limit(5) { print(city) }
        case ("get", let id?):
            guard let city = try await places.get(id) else { return print("there is no \(id)") }
            print(city)
        case ("country", let code?):
            for try await city in largest(of: code) { print(city) }
        case ("search", let text?):
            for try await city in places.query(City.name.starts(with: text, folded: true)).limit(10) { print(city) }
        case ("grow", let id?):
            guard let more = arguments.dropFirst(2).first.flatMap({ Int($0) }) else { return print(usage) }
            let isThere = try await places.update(id, Update().increment(City.population, by: more))
            print(isThere ? "\(id) has grown by \(more)" : "there is no \(id)")
        case ("watch", let code?):
            for try await cities in largest(of: code).updates {
                print("the largest of \(code):")
                cities.forEach { print("  \($0)") }
            }
        case ("load", let file?):
            try await load(file)
        default:
            print(usage)
        }
    }

    private func largest(of country: String) -> Query<City> {
        places.query(City.country == country).order(by: City.population, descending: true).limit(5)
    }

    /// A hundred at a time, each a transaction: what was said to be written stays, whatever becomes of this process.
    private func load(_ file: String) async throws {
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        let decoder = JSONDecoder()
        for start in stride(from: 0, to: lines.count, by: 100) {
            let end = min(start + 100, lines.count)
            try await places.putMany(try lines[start..<end].map { try decoder.decode(City.self, from: Data($0.utf8)) })
            FileHandle.standardOutput.write(Data("acknowledged \(end)\n".utf8))
        }
    }
}
