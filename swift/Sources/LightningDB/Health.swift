import Foundation
@preconcurrency import LightningDBGenerated

/// How bad something is.
public enum Severity: Int, Sendable, CaseIterable, Comparable {
    /// As somebody wanted it, or over by itself.
    case notice
    /// Everything works still; it will not, if nothing is done.
    case warning
    /// Something does not work.
    case critical

    public static func < (one: Severity, other: Severity) -> Bool { one.rawValue < other.rawValue }
}

/// Something that is not as it should be.
public struct Finding: Sendable, Hashable {
    /// A name that stays the same; `docs/operations.md` lists them.
    public let name: String
    /// How bad it is.
    public let severity: Severity
    /// What was found, with its figures.
    public let cause: String
    /// What to do.
    public let remedy: String

    init(_ native: LightningDBGenerated.Finding) {
        name = native.name
        severity =
            switch native.severity {
            case .notice: .notice
            case .warning: .warning
            case .critical: .critical
            }
        cause = native.cause
        remedy = native.remedy
    }
}

/// How a database is.
public struct Health: Sendable, Hashable {
    /// What is not as it should be, the worst first.
    public let findings: [Finding]
    /// Whether everything works, and will go on to.
    public var isWell: Bool { findings.allSatisfy { $0.severity == .notice } }
}

/// A damaged part of the data file, and the keys behind it.
public struct Quarantined: Sendable, Hashable {
    /// Byte offset in the data file.
    public let offset: Int
    /// Its length in bytes.
    public let length: Int
    /// The tables whose keys are behind it; empty where that cannot be told.
    public let tables: [String]
    /// The first key that may be lost, as it is stored; empty for the first of the first table.
    public let from: Data
    /// The first key behind those; empty for the end of the last table.
    public let to: Data

    init(_ native: LightningDBGenerated.Quarantined) {
        offset = Int(native.offset)
        length = Int(native.length)
        tables = native.tables
        from = native.from
        to = native.to
    }
}

/// Who may use a database that is open. Reading goes on in each.
public enum Mode: Sendable, CaseIterable {
    /// Everybody.
    case normal
    /// Nobody writes: that throws `readOnly`.
    case readOnly
    /// No transaction begins: that throws `unavailable`, which passes. Checks, backups and compactions go on undisturbed.
    case maintenance
}

extension Database {
    /// How it is: what is not as it should be, with causes and remedies. Nothing is read from storage.
    public func health() throws -> Health { Health(findings: try calling { try native.health() }.map(Finding.init)) }

    /// What was found damaged since it was opened, by reads, `scrub` or `verify`. Reading it throws `corrupt`; everything else is read and written
    /// as always.
    public func quarantined() async throws -> [Quarantined] {
        try await background { [native] in try calling { try native.quarantined() }.map(Quarantined.init) }
    }

    /// Who may use it, as was last decided.
    public var mode: Mode {
        get throws {
            switch try calling({ try native.mode() }) {
            case .normal: .normal
            case .readOnly: .readOnly
            case .maintenance: .maintenance
            }
        }
    }

    /// Decides who may use it, for everybody in this process, until it is decided otherwise or closed. Waits for whoever writes.
    public func setMode(_ mode: Mode) async throws {
        let native: LightningDBGenerated.Mode =
            switch mode {
            case .normal: .normal
            case .readOnly: .readOnly
            case .maintenance: .maintenance
            }
        try await toItsEnd { [database = self.native] in try calling { try database.setMode(mode: native) } }
    }

    /// Whether it is frozen: whoever opens it finds it in `readOnly` mode.
    public var isFrozen: Bool { get throws { try calling { try native.isFrozen() } } }

    /// Freezes it, or thaws it. That is kept in the file, and is durable when this returns; a backup of a frozen one is not frozen.
    public func setFrozen(_ isFrozen: Bool) async throws {
        try await toItsEnd { [database = self.native] in try calling { try database.setFrozen(isFrozen: isFrozen) } }
    }

    /// Ends everything now, for everybody in this process: what was acknowledged is made durable, whatever is under way is refused with `closed`, and nothing is written any more. It
    /// merges nothing, so it takes no longer than a sync; whoever opens the database next finds everything in the log. Close it afterwards.
    public func shutDownNow() async throws {
        try await toItsEnd { [database = self.native] in try calling { try database.shutDownNow() } }
    }

    /// What it gives at most.
    public var limits: Limits { get throws { Limits(try calling { try native.limits() }) } }
}
