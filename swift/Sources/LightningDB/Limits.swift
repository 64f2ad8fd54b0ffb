import Foundation
@preconcurrency import LightningDBGenerated

/// What a database gives at most to all who share it; what is nil is as the engine has it. Each has an error that says the limit and its
/// use.
public struct Limits: Sendable, Hashable {
    /// Transactions that are open at once.
    public var transactionsMax: Int?
    /// A transaction that takes longer is ended.
    public var transactionTimeMax: TimeInterval?
    /// Keys and values that one transaction may change, in bytes; never more than the memory budget allows.
    public var transactionBytesMax: Int?
    /// What all transactions under way may hold in memory together, in bytes.
    public var transactionsBytesMax: Int?
    /// What a snapshot sees is kept so long after it was replaced.
    public var snapshotTimeMax: TimeInterval?
    /// States older than the newest that are kept for those who read them.
    public var snapshotsMax: Int?
    /// Live results that are followed at once.
    public var watchesMax: Int?
    /// Bytes that are appended to the log in a second; writers wait.
    public var writeBytesPerSecond: Int?
    /// Bytes that are read from the data file in a second, those of the background too; readers wait.
    public var readBytesPerSecond: Int?
    /// Backups that are made at once.
    public var backupsMax: Int?
    /// The data file never grows beyond this, in bytes.
    public var fileBytesMax: Int?
    /// The log never grows beyond this, in bytes, and what the feed keeps.
    public var logBytesMax: Int?

    /// As the engine has them.
    public init() {}

    init(_ native: LightningDBGenerated.Limits) {
        let number = { (limit: UInt64?) in limit.map(Int.init(clamping:)) }
        let time = { (ms: UInt64?) in ms.map(TimeInterval.init(lightningMilliseconds:)) }
        transactionsMax = number(native.transactionsMax)
        transactionTimeMax = time(native.transactionMsMax)
        transactionBytesMax = number(native.transactionBytesMax)
        transactionsBytesMax = number(native.transactionsBytesMax)
        snapshotTimeMax = time(native.snapshotMsMax)
        snapshotsMax = number(native.snapshotsMax)
        watchesMax = number(native.watchesMax)
        writeBytesPerSecond = number(native.writeBytesPerS)
        readBytesPerSecond = number(native.readBytesPerS)
        backupsMax = number(native.backupsMax)
        fileBytesMax = number(native.fileBytesMax)
        logBytesMax = number(native.logBytesMax)
    }

    var native: LightningDBGenerated.Limits {
        let number = { (limit: Int?) in limit.map(UInt64.init(clamping:)) }
        return LightningDBGenerated.Limits(
            transactionsMax: number(transactionsMax), transactionMsMax: transactionTimeMax?.lightningMilliseconds,
            transactionBytesMax: number(transactionBytesMax), transactionsBytesMax: number(transactionsBytesMax),
            snapshotMsMax: snapshotTimeMax?.lightningMilliseconds, snapshotsMax: number(snapshotsMax), watchesMax: number(watchesMax),
            writeBytesPerS: number(writeBytesPerSecond), readBytesPerS: number(readBytesPerSecond), backupsMax: number(backupsMax),
            fileBytesMax: number(fileBytesMax), logBytesMax: number(logBytesMax)
        )
    }
}
