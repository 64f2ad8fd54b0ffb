package dev.lightningdb

import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.Change as NativeChange
import dev.lightningdb.internal.FeedStart as NativeStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import dev.lightningdb.internal.Database as NativeDatabase

/** Where a change feed begins. */
public sealed class FeedStart {
    /** With the next commit. */
    public object Now : FeedStart()

    /** With the oldest that is kept: see [Options.feedRetentionBytes]. */
    public object Oldest : FeedStart()

    /** After a position that was kept. */
    public class After(public val position: ByteArray) : FeedStart()

    internal fun toNative(): NativeStart = when (this) {
        Now -> NativeStart.Now
        Oldest -> NativeStart.Oldest
        is After -> NativeStart.After(position)
    }
}

/** One commit. */
public class Commit internal constructor(
    /** Its number: one more than that of the commit before. */
    public val sequence: Long,
    /** When it was made, in milliseconds since 1970. */
    public val timeMs: Long,
    /** To be kept, and to go on [after][FeedStart.After]. */
    public val position: ByteArray,
    /** What it changed, in order. */
    public val changes: List<Change>,
)

/** One change of a commit; keys and values of tables as they are stored. */
public sealed class Change {
    /** The table, or collection. */
    public abstract val table: String

    /** A value was written; null where a long one is no longer there. */
    public class Put internal constructor(override val table: String, public val key: ByteArray, public val value: ByteArray?) : Change()

    /** A document was written; null where a long one is no longer there. Its fields are as [AnySerializer] gives them. */
    public class PutDocument internal constructor(
        override val table: String,
        public val id: Any?,
        public val document: Any?,
        /** When it goes by itself, in milliseconds since 1970. */
        public val expiresMs: Long?,
    ) : Change()

    /** A document was deleted. */
    public class DeleteDocument internal constructor(override val table: String, public val id: Any?) : Change()

    /** A value was deleted. */
    public class Delete internal constructor(override val table: String, public val key: ByteArray) : Change()

    /** All values from a key on and below another were deleted; without that the rest of the table. */
    public class DeleteRange internal constructor(override val table: String, public val from: ByteArray, public val to: ByteArray?) : Change()
}

/** Follows all commits, in order, none left out. */
public class ChangeFeed internal constructor(private val database: NativeDatabase, private val since: FeedStart) {
    /** The commits, as they are collected; it waits for those to come, and ends with an exception when the database is closed. */
    public fun asFlow(): Flow<Commit> = flow {
        val feed = calling { database.changes(since.toNative()) }
        try {
            while (true) {
                currentCoroutineContext().ensureActive()
                val commit = calling { feed.next() }
                if (commit == null) calling { feed.wait(WAIT_MS) } else emit(commit.toCommit())
            }
        } finally {
            feed.end()
            feed.destroy()
        }
    }.flowOn(Dispatchers.IO)

    private companion object {
        /** How long a cancelled collector may take to notice. */
        const val WAIT_MS: ULong = 100u
    }
}

internal fun dev.lightningdb.internal.Commit.toCommit() = Commit(
    sequence.toLong(), timeMs.toLong(), position,
    changes.map {
        when (it) {
            is NativeChange.Put -> Change.Put(it.table, it.key, it.value)
            is NativeChange.PutDocument -> Change.PutDocument(
                it.collection, CborReader.value(it.id), it.document?.let(CborReader::value), it.expiresMs?.toLong(),
            )
            is NativeChange.DeleteDocument -> Change.DeleteDocument(it.collection, CborReader.value(it.id))
            is NativeChange.Delete -> Change.Delete(it.table, it.key)
            is NativeChange.DeleteRange -> Change.DeleteRange(it.table, it.from, it.to)
        }
    },
)
