package dev.lightningdb

import dev.lightningdb.internal.BackupProgress as NativeProgress
import dev.lightningdb.internal.CheckReport as NativeReport
import dev.lightningdb.internal.CollectionInfo as NativeCollectionInfo
import dev.lightningdb.internal.Stats as NativeStats

/** A table that there is. */
public data class TableInfo(val name: String, val keys: String, val values: String)

/** A collection that there is. */
public data class CollectionInfo(
    val name: String,
    val key: String,
    val version: Int,
    val expiresAfterMs: Long?,
    val autoKey: String?,
    val documents: Long,
    val indexes: List<IndexInfo>,
) {
    internal constructor(native: NativeCollectionInfo) : this(
        native.name, native.key, native.version.toInt(), native.expiresAfterMs?.toLong(), native.autoKey, native.documents.toLong(),
        native.indexes.map {
            IndexInfo(it.name, it.paths, it.unique, it.sparse, it.multi, it.folded, it.ready, it.entries.toLong())
        },
    )
}

/** An index of a collection. */
public data class IndexInfo(
    val name: String,
    val paths: List<String>,
    val unique: Boolean,
    val sparse: Boolean,
    val multi: Boolean,
    val folded: Boolean,
    val ready: Boolean,
    val entries: Long,
)

/** How far a backup is; how many bytes there will be is known when all is made. */
public data class BackupProgress(val entries: Long, val entriesAll: Long, val bytes: Long, val bytesAll: Long?) {
    internal constructor(native: NativeProgress) :
        this(native.entries.toLong(), native.entriesAll.toLong(), native.bytes.toLong(), native.bytesAll?.toLong())
}

/** What was verified; [problems] is empty when the database is whole. */
public data class CheckReport(
    val entries: Long,
    val documents: Long,
    val indexEntries: Long,
    val collections: Long,
    val bytes: Long,
    val problems: List<String>,
) {
    internal constructor(native: NativeReport) : this(
        native.entries.toLong(), native.documents.toLong(), native.indexEntries.toLong(), native.collections.toLong(),
        native.bytes.toLong(), native.problems,
    )
}

/** A snapshot that has a name: the newest commit that it sees, when that was made, and the bytes that would be free without it. */
public data class NamedSnapshot(val name: String, val sequence: Long, val timeMs: Long, val heldBytes: Long)

/** Counters and sizes. */
public data class Stats(
    val sequence: Long,
    val commits: Long,
    val conflicts: Long,
    val entries: Long,
    val fileBytes: Long,
    val usedBytes: Long,
    val logBytes: Long,
    val memtableBytes: Long,
    val cacheBytes: Long,
    val cacheHits: Long,
    val cacheMisses: Long,
    val memoryBudgetBytes: Long,
    val snapshots: Long,
    /** Bytes that cannot be used again because of snapshots. */
    val snapshotPinnedBytes: Long,
    val quarantined: Long,
    /** Bytes of [scrubBytesAll] that the background has verified this time. */
    val scrubBytes: Long,
    val scrubBytesAll: Long,
    /** How often it has verified everything since the database was opened. */
    val scrubs: Long,
) {
    internal constructor(native: NativeStats) : this(
        native.sequence.toLong(), native.commits.toLong(), native.conflicts.toLong(), native.entries.toLong(),
        native.fileBytes.toLong(), native.usedBytes.toLong(), native.logBytes.toLong(), native.memtableBytes.toLong(),
        native.cacheBytes.toLong(), native.cacheHits.toLong(), native.cacheMisses.toLong(), native.memoryBudgetBytes.toLong(),
        native.snapshots.toLong(), native.snapshotPinnedBytes.toLong(), native.quarantined.toLong(), native.scrubBytes.toLong(),
        native.scrubBytesAll.toLong(), native.scrubs.toLong(),
    )
}
