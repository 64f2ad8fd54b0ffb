import Foundation
import LightningDBFFI
@preconcurrency import LightningDBGenerated

/// What went wrong. `name` is the same in every language; the description says what happened, where, and what to do.
public struct LightningError: Error, Sendable, Equatable, CustomStringConvertible, LocalizedError {
    /// Each error of the database.
    public enum Kind: String, Sendable, CaseIterable {
        /// No space is left, or a quota is reached. Nothing acknowledged was lost.
        case storageFull = "StorageFull"
        /// The platform refuses access to the files.
        case permissionDenied = "PermissionDenied"
        /// Any other failure of the storage.
        case storageFailed = "StorageFailed"
        /// A file does not hold what its checksums promise. Nothing damaged is ever given as data.
        case corrupt = "Corrupt"
        /// The file is something else.
        case notADatabase = "NotADatabase"
        /// The file was written by a newer version, or uses what this build does not have.
        case unsupported = "Unsupported"
        /// Another process has the database open.
        case locked = "Locked"
        /// A sync failed earlier, so what is durable is unknown: only reopening writes again.
        case poisoned = "Poisoned"
        /// Whether this commit is durable cannot be known.
        case outcomeUnknown = "OutcomeUnknown"
        /// It was closed.
        case closed = "Closed"
        /// It was opened for reading only.
        case readOnly = "ReadOnly"
        /// Another transaction changed what this one read or wrote.
        case conflict = "Conflict"
        /// The changes needed to validate the transaction are gone.
        case transactionTooOld = "TransactionTooOld"
        /// A change feed was asked for commits that the log has given up.
        case noLongerKept = "NoLongerKept"
        /// The commit to go on after is not part of this database's history.
        case historyForked = "HistoryForked"
        /// The transaction ran longer than its limit; nothing was written.
        case transactionTimeout = "TransactionTimeout"
        /// Waiting for a row would have closed a circle.
        case deadlock = "Deadlock"
        /// A size or count is above its limit.
        case limitExceeded = "LimitExceeded"
        /// What a snapshot or transaction sees is no longer kept for it. Take another.
        case snapshotExpired = "SnapshotExpired"
        /// One of the database's own limits is reached: others have to give something back first.
        case limitReached = "LimitReached"
        /// The database refuses this for now.
        case unavailable = "Unavailable"
        /// The table was made with other types.
        case tableTypeMismatch = "TableTypeMismatch"
        /// There is no table or collection of this name.
        case noSuchTable = "NoSuchTable"
        /// The schema contradicts the collection.
        case schemaMismatch = "SchemaMismatch"
        /// The documents were migrated by a newer version of the application.
        case schemaTooNew = "SchemaTooNew"
        /// Two documents would have the same entry in a unique index.
        case duplicateKey = "DuplicateKey"
        /// A document cannot be stored.
        case invalidDocument = "InvalidDocument"
        /// There was something where nothing was expected, or nothing where something was.
        case unexpected = "Unexpected"
        /// An argument, or stored bytes, are not valid.
        case invalid = "Invalid"
        /// The database is suspended, and what is asked for is not in memory, or is a write. It passes.
        case suspended = "Suspended"
        /// The device is locked, and the files with it. It passes.
        case protectedDataUnavailable = "ProtectedDataUnavailable"
        /// The call was given up.
        case cancelled = "Cancelled"
        /// A backup does not hold what its checksums promise, or was cut: nothing of it was restored.
        case damagedBackup = "DamagedBackup"
        /// The database is encrypted, and no key of it was given; or it is not, and one was: nothing was changed.
        case wrongKey = "WrongKey"
        /// A fault of this library. Please report it.
        case `internal` = "Internal"
    }

    /// Which error it is.
    public let kind: Kind
    /// What happened, where, and what to do.
    public let description: String
    /// The parts of it that programs look at, by name.
    public let fields: [String: String]
    /// Whether the same call may succeed when it is made again.
    public let isRetryable: Bool

    /// What other transactions have done: the same one may succeed at once. What else passes is waited for, and running it again would not help.
    var isOfOthers: Bool { [.conflict, .transactionTooOld, .deadlock].contains(kind) }

    /// Its name, the same in every language.
    public var name: String { kind.rawValue }
    public var errorDescription: String? { description }

    init(name: String, text: String, isRetryable: Bool, fields: [String: String]) {
        kind = Kind(rawValue: name) ?? .internal
        description = text
        self.isRetryable = isRetryable
        self.fields = fields
    }

    init(_ failure: Failure) {
        switch failure {
        case .Engine(_, let name, let isRetryable, let text, let fields):
            let fields = Dictionary(fields.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
            self.init(name: name, text: text, isRetryable: isRetryable, fields: fields)
        }
    }

    /// That the device is locked, and keeps its keys until it is unlocked: what a `KeyProvider` throws then. It is retryable.
    public static func protectedDataUnavailable(_ text: String) -> LightningError {
        LightningError(name: Kind.protectedDataUnavailable.rawValue, text: text, isRetryable: true, fields: [:])
    }

    static func wrongKey(_ text: String) -> LightningError {
        LightningError(name: Kind.wrongKey.rawValue, text: text, isRetryable: false, fields: [:])
    }

    static func invalid(_ what: String) -> LightningError {
        LightningError(name: Kind.invalid.rawValue, text: what, isRetryable: false, fields: ["what": what])
    }

    /// That of the last call of this thread.
    static func last() -> LightningError {
        guard let error = lightning_last_error()?.pointee else {
            return LightningError(name: Kind.internal.rawValue, text: "a call failed and did not say why", isRetryable: false, fields: [:])
        }
        var fields: [String: String] = [:]
        var at = error.fields
        while let name = at?.pointee, let value = at?.advanced(by: 1).pointee {
            fields[String(cString: name)] = String(cString: value)
            at = at?.advanced(by: 2)
        }
        return LightningError(
            name: String(cString: error.name), text: String(cString: error.text), isRetryable: error.is_retryable, fields: fields
        )
    }
}

/// Runs calls of the library, and makes an error of ours from what they throw.
func calling<R>(_ call: () throws -> R) throws -> R {
    do {
        return try call()
    } catch let failure as Failure {
        throw LightningError(failure)
    }
}
