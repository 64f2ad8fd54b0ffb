package dev.lightningdb

import dev.lightningdb.internal.Limits as NativeLimits

/** What a database gives at most to all who share it; what is null is as the engine has it. Each has an error that says the limit and its use. */
public data class Limits(
    /** Transactions that are open at once. */
    val transactionsMax: Long? = null,
    /** A transaction that takes longer is ended, in milliseconds. */
    val transactionMsMax: Long? = null,
    /** Keys and values that one transaction may change, in bytes; never more than the memory budget allows. */
    val transactionBytesMax: Long? = null,
    /** What all transactions under way may hold in memory together, in bytes. */
    val transactionsBytesMax: Long? = null,
    /** What a snapshot sees is kept for so many milliseconds after it was replaced. */
    val snapshotMsMax: Long? = null,
    /** States older than the newest that are kept for those who read them. */
    val snapshotsMax: Long? = null,
    /** Live results that are followed at once. */
    val watchesMax: Long? = null,
    /** Bytes that are appended to the log in a second; writers wait. */
    val writeBytesPerSecond: Long? = null,
    /** Bytes that are read from the data file in a second, those of the background too; readers wait. */
    val readBytesPerSecond: Long? = null,
    /** Backups that are made at once. */
    val backupsMax: Long? = null,
    /** The data file never grows beyond this, in bytes. */
    val fileBytesMax: Long? = null,
    /** The log never grows beyond this, in bytes, and what the feed keeps. */
    val logBytesMax: Long? = null,
) {
    private val all get() = listOf(
        transactionsMax, transactionMsMax, transactionBytesMax, transactionsBytesMax, snapshotMsMax, snapshotsMax, watchesMax,
        writeBytesPerSecond, readBytesPerSecond, backupsMax, fileBytesMax, logBytesMax,
    )

    init {
        require(all.none { it != null && it < 0 }) { "a limit is negative" }
    }

    internal constructor(native: NativeLimits) : this(
        native.transactionsMax?.toLong(), native.transactionMsMax?.toLong(), native.transactionBytesMax?.toLong(),
        native.transactionsBytesMax?.toLong(), native.snapshotMsMax?.toLong(), native.snapshotsMax?.toLong(), native.watchesMax?.toLong(),
        native.writeBytesPerS?.toLong(), native.readBytesPerS?.toLong(), native.backupsMax?.toLong(), native.fileBytesMax?.toLong(),
        native.logBytesMax?.toLong(),
    )

    /** In the order that the library knows; those that are null are negative. */
    internal fun toNumbers(): LongArray = LongArray(all.size) { all[it] ?: -1 }

    internal fun toNative() = NativeLimits(
        transactionsMax?.toULong(), transactionMsMax?.toULong(), transactionBytesMax?.toULong(), transactionsBytesMax?.toULong(),
        snapshotMsMax?.toULong(), snapshotsMax?.toULong(), watchesMax?.toULong(), writeBytesPerSecond?.toULong(),
        readBytesPerSecond?.toULong(), backupsMax?.toULong(), fileBytesMax?.toULong(), logBytesMax?.toULong(),
    )
}
