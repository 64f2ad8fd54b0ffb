package dev.lightningdb

import dev.lightningdb.internal.Handles
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.PackedReader

/** A transaction, as [Database.transaction] gives it: sees the database as it was at its start, with its own changes. */
public class Transaction internal constructor(private val handle: Long) {
    /** A collection inside this transaction. */
    public fun <T : Any> collection(collection: Collection<T>): Collection<T> = collection.inScope(handle, this)

    /** A table inside this transaction. */
    public fun <K, V : Any> table(table: Table<K, V>): Table<K, V> = table.inScope(handle, this)
}

/** The database as it was at one moment, until this is closed. */
public class Snapshot internal constructor(opened: PackedReader) : AutoCloseable {
    private val handle = opened.number()

    /** The newest commit that it sees. */
    public val sequence: Long = opened.number()

    init {
        Handles.keep(this, releasing(handle))
    }

    private companion object {
        fun releasing(handle: Long): () -> Unit = { Native.release(handle) }
    }

    /** A collection as this snapshot sees it. */
    public fun <T : Any> collection(collection: Collection<T>): Collection<T> = collection.inScope(handle, this)

    /** A table as this snapshot sees it. */
    public fun <K, V : Any> table(table: Table<K, V>): Table<K, V> = table.inScope(handle, this)

    override fun close(): Unit = Native.release(handle)
}
