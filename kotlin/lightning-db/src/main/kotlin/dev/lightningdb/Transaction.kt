package dev.lightningdb

import dev.lightningdb.internal.Snapshot as NativeSnapshot
import dev.lightningdb.internal.Transaction as NativeTransaction

/** A transaction, as [Database.transaction] gives it: sees the database as it was at its start, with its own changes. */
public class Transaction internal constructor(native: NativeTransaction) {
    private val handle = native.number().toLong()

    /** A collection inside this transaction. */
    public fun <T : Any> collection(collection: Collection<T>): Collection<T> = collection.inScope(handle)

    /** A table inside this transaction. */
    public fun <K, V : Any> table(table: Table<K, V>): Table<K, V> = table.inScope(handle)
}

/** The database as it was at one moment, until this is closed. */
public class Snapshot internal constructor(private val native: NativeSnapshot) : AutoCloseable {
    private val handle = native.number().toLong()

    /** The newest commit that it sees. */
    public val sequence: Long = native.sequence().toLong()

    /** A collection as this snapshot sees it. */
    public fun <T : Any> collection(collection: Collection<T>): Collection<T> = collection.inScope(handle)

    /** A table as this snapshot sees it. */
    public fun <K, V : Any> table(table: Table<K, V>): Table<K, V> = table.inScope(handle)

    override fun close(): Unit = native.end()
}
