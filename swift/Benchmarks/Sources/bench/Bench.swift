import Foundation

/// `bench [--quick] [--rounds N] [--memory MB]`: each round runs every database in a process of its own, and another one begins.
@main struct Bench {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let isQuick = arguments.contains("--quick")
        let people = isQuick ? 5_000 : 100_000
        let number = { (name: String) in arguments.drop { $0 != name }.dropFirst().first.flatMap { Int($0) } }
        switch arguments.first {
        case "run": try await worker(Array(arguments), people)
        default: try Conductor(rounds: number("--rounds") ?? (isQuick ? 1 : 5), isQuick: isQuick).run()
        }
    }

    private static func worker(_ arguments: [String], _ people: Int) async throws {
        let folder = arguments[3]
        switch (arguments[1], arguments[2]) {
        case ("all", Lightning.name): try await Worker.run(Lightning.self, folder, people: people)
        case ("all", SQLite.name): try await Worker.run(SQLite.self, folder, people: people)
        case ("open", Lightning.name): try await Worker.open(Lightning.self, folder)
        case ("open", SQLite.name): try await Worker.open(SQLite.self, folder)
        case ("calls", _): try await Worker.calls(folder, people: people)
        default: throw Wrong("run all|open|calls lightning|sqlite FOLDER")
        }
    }
}

/// Starts the processes and gathers what they print.
struct Conductor {
    let rounds: Int
    let isQuick: Bool
    private let folder = FileManager.default.currentDirectoryPath + "/.build/databases"

    init(rounds: Int, isQuick: Bool) { (self.rounds, self.isQuick) = (rounds, isQuick) }

    func run() throws {
        print("\(Lightning.description)\n\(SQLite.description)\n")
        let names = [Lightning.name, SQLite.name]
        var found: [String: [String: [Double]]] = [:]
        var order: [String] = []
        func note(_ name: String, _ lines: [(String, Double)]) {
            // Where a process measures the same thing more than once its best counts: what disturbs only takes time.
            let best = Dictionary(lines, uniquingKeysWith: Swift.min)
            for (what, _) in lines where !order.contains(what) { order.append(what) }
            for (what, value) in best { found[what, default: [:]][name, default: []].append(value) }
        }
        for round in 0..<rounds {
            try? FileManager.default.removeItem(atPath: folder)
            let inTurn = round.isMultiple(of: 2) ? names : names.reversed()
            for name in inTurn {
                let own = folder + "/" + name
                try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
                note(name, try process(["run", "all", name, own]))
            }
            for _ in 0..<5 {
                for name in inTurn {
                    note(name, try process(["run", "open", name, folder + "/" + name]).map { ("open and get, files in memory", $0.1) })
                    try forget(folder + "/" + name)
                    note(name, try process(["run", "open", name, folder + "/" + name]).map { ("open and get, files on disk", $0.1) })
                }
            }
            note(Lightning.name, try process(["run", "calls", Lightning.name, folder]))
        }
        let isOfCPU = { (what: String) in what.hasSuffix(", CPU time") }
        table(order.filter { !isOfCPU($0) }, found)
        table(order.filter(isOfCPU), found)
    }

    private func table(_ rows: [String], _ found: [String: [String: [Double]]]) {
        print("| | lightning | sqlite | sqlite / lightning |\n|---|--:|--:|--:|")
        for what in rows {
            let ours = found[what]?[Lightning.name], theirs = found[what]?[SQLite.name]
            let ratio = median(zip(ours ?? [], theirs ?? []).map { $1 / $0 }).map { String(format: "%.2f", $0) } ?? "–"
            print("| \(what) | \(shown(median(ours), what)) | \(shown(median(theirs), what)) | \(ratio) |")
        }
        print("")
    }

    /// Runs this program; what it printed.
    private func process(_ arguments: [String]) throws -> [(String, Double)] {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
        process.arguments = arguments + ["--memory", "\(Budget.megabytes)"] + (isQuick ? ["--quick"] : [])
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try Wrong.unless(process.terminationStatus == 0, "\(arguments.joined(separator: " ")) failed")
        return text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\t")
            return parts.count == 2 ? Double(parts[1]).map { (String(parts[0]), $0) } : nil
        }
    }

    /// Has the system forget what it keeps of the files of a folder.
    private func forget(_ folder: String) throws {
        #if canImport(Glibc)
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                let file = Glibc.open(folder + "/" + name, O_RDONLY)
                defer { Glibc.close(file) }
                fsync(file)
                posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
            }
        #endif
    }

    private func median(_ values: [Double]?) -> Double? {
        guard let values, !values.isEmpty else { return nil }
        return values.sorted()[values.count / 2]
    }

    private func shown(_ value: Double?, _ what: String) -> String {
        guard let value else { return "–" }
        if what.hasSuffix("MB") { return String(format: "%.1f", value) }
        return value < 1e-3 ? String(format: "%.2f µs", value * 1e6) : String(format: "%.2f ms", value * 1e3)
    }
}
