package dev.lightningdb

import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.DocumentFormat
import dev.lightningdb.internal.Expires as NativeExpires
import dev.lightningdb.internal.Explanation as NativeExplanation
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.Opened
import dev.lightningdb.internal.PackedReader
import dev.lightningdb.internal.PackedWriter
import kotlinx.coroutines.Dispatchers
import kotlinx.serialization.KSerializer
import kotlin.reflect.KProperty1
import dev.lightningdb.internal.Collection as NativeCollection

/**
 * A collection of documents of one type.
 *
 * Suspending calls run on [Dispatchers.IO]; [blocking] has the same ones for whoever is on a thread that may wait. Reads that are answered
 * from memory take a few microseconds either way.
 */
public class Collection<T : Any> internal constructor(
    /** Its name. */
    public val name: String,
    internal val opened: Opened,
    internal val serializer: KSerializer<T>,
    private val scope: Long = NOW,
    /** What the scope is of: it is not to be forgotten. */
    private val within: Any? = null,
) {
    internal val handle: Long get() = opened.handle

    /** What is called more rarely. */
    internal val native: NativeCollection by lazy { calling { NativeCollection.of(handle.toULong()) } }

    /** The same calls on the calling thread. */
    public val blocking: BlockingCollection<T> = BlockingCollection(this, scope)

    private fun blocking(scope: Long) = BlockingCollection(this, scope)

    /** The document of a key. */
    public suspend fun get(key: Any): T? = io(handle, scope) { blocking(it).get(key) }

    /** The documents of many keys, in their order. */
    public suspend fun getMany(keys: Iterable<Any>): List<T?> = io(handle, scope) { blocking(it).getMany(keys) }

    /** The document that has these values in a unique index, one for each of its paths. */
    public suspend fun getBy(index: String, vararg values: Any?): T? = io(handle, scope) { blocking(it).getBy(index, *values) }

    /** Writes a document, whatever was under its key; gives the key where it was made. */
    public suspend fun put(document: T): Any? = io(handle, scope) { blocking(it).put(document) }

    /** Writes many documents in one transaction. */
    public suspend fun putMany(documents: Iterable<T>): Unit = io(handle, scope) { blocking(it).putMany(documents) }

    /** Writes a new document, and gives its key where it was made; one that exists is [LightningException.Unexpected]. */
    public suspend fun insert(document: T): Any? = io(handle, scope) { blocking(it).insert(document) }

    /** Writes over a document; one that is missing is [LightningException.Unexpected]. */
    public suspend fun replace(document: T): Unit = io(handle, scope) { blocking(it).replace(document) }

    /** Writes a document that goes by itself as [expires] says. */
    public suspend fun put(document: T, expires: Expires): Any? = io(handle, scope) { blocking(it).put(document, expires) }

    /** Deletes a document; whether it was there. */
    public suspend fun delete(key: Any): Boolean = io(handle, scope) { blocking(it).delete(key) }

    /** Changes fields of a document; false when there is none. */
    public suspend fun update(key: Any, changes: UpdateBuilder.() -> Unit): Boolean = io(handle, scope) { blocking(it).update(key, changes) }

    /** Writes [document] if the one under its key is [expected] (null: there is none); whether it was. */
    public suspend fun compareAndSwap(expected: T?, document: T): Boolean = io(handle, scope) { blocking(it).compareAndSwap(expected, document) }

    /** How many documents there are. */
    public suspend fun count(): Long = query().count()

    /** Deletes an index; false when there is none of this name. */
    public suspend fun dropIndex(index: String): Boolean = io { calling { native.dropIndex(index) } }

    /** All documents, of which more can be asked. */
    public fun query(): Query<T> = Query(this, serializer, scope, QuerySpec())

    /** The documents that are as [filter] says. */
    public fun where(filter: Filter): Query<T> = query().where(filter)

    /** The documents of which something is to be said about a field. */
    public fun where(property: KProperty1<T, *>): Condition<T> = Condition(query(), property.name)

    /** The documents of which something is to be said about a field. */
    public fun where(path: String): Condition<T> = Condition(query(), path)

    internal fun inScope(scope: Long, within: Any? = null): Collection<T> = Collection(name, opened, serializer, scope, within)

    internal fun encode(document: T): ByteArray = DocumentFormat.encode(serializer, document)

    internal fun decode(cbor: ByteArray): T = DocumentFormat.decode(serializer, cbor)

    internal companion object {
        const val NOW = 0L
    }
}

/** The calls of a [Collection] on the calling thread. */
public class BlockingCollection<T : Any> internal constructor(internal val collection: Collection<T>, internal val scope: Long) {
    private val handle = collection.handle
    private val native get() = collection.native

    /** As [Collection.get]. */
    public fun get(key: Any): T? = calling {
        when (key) {
            is Long -> Native.getNumbered(scope, handle, key)
            is Int -> Native.getNumbered(scope, handle, key.toLong())
            else -> Native.get(scope, handle, CborWriter.of(key))
        }
    }?.let { collection.decode(it) }

    /** As [Collection.getMany]. */
    public fun getMany(keys: Iterable<Any>): List<T?> {
        val packed = PackedWriter()
        for (key in keys) packed.bytes(CborWriter.of(key))
        val found = calling { Native.getMany(scope, handle, packed.toByteArray()) }
        return buildList { DocumentFormat.unpack(collection.serializer, found, 0, ::add) }
    }

    /** As [Collection.getBy]. */
    public fun getBy(index: String, vararg values: Any?): T? {
        val packed = PackedWriter()
        for (value in values) packed.bytes(CborWriter.of(value))
        return calling { Native.getBy(scope, handle, index.encodeToByteArray(), packed.toByteArray()) }?.let { collection.decode(it) }
    }

    /** As [Collection.put]. */
    public fun put(document: T): Any? = write(PUT, document)

    /** As [Collection.insert]. */
    public fun insert(document: T): Any? = write(INSERT, document)

    /** As [Collection.replace]. */
    public fun replace(document: T) {
        write(REPLACE, document)
    }

    private fun write(mode: Int, document: T): Any? =
        calling { Native.put(scope, handle, mode, NOTHING, collection.encode(document)) }?.let(CborReader::value)

    /** As [Collection.putMany]. */
    public fun putMany(documents: Iterable<T>) {
        val writes = PackedWriter()
        for (document in documents) {
            writes.number(PUT.toLong())
            writes.number(handle)
            writes.bytes(NOTHING)
            writes.sized { DocumentFormat.encode(collection.serializer, document, CborWriter(it)) }
        }
        calling { Native.batch(scope, writes.toByteArray()) }
    }

    /** As [Collection.put]. */
    public fun put(document: T, expires: Expires): Any? =
        calling { native.putExpiring(scope.toULong(), collection.encode(document), expires.toNative()) }?.let(CborReader::value)

    /** As [Collection.delete]. */
    public fun delete(key: Any): Boolean = calling { Native.delete(scope, handle, CborWriter.of(key)) }

    /** As [Collection.update]. */
    public fun update(key: Any, changes: UpdateBuilder.() -> Unit): Boolean =
        calling { Native.update(scope, handle, CborWriter.of(key), UpdateBuilder().apply(changes).toCbor()) }

    /** As [Collection.compareAndSwap]. */
    public fun compareAndSwap(expected: T?, document: T): Boolean =
        calling { native.compareAndSwap(scope.toULong(), expected?.let(collection::encode), collection.encode(document)) }

    internal companion object {
        const val PUT = 0
        const val INSERT = 1
        const val REPLACE = 2
        const val DELETE = 3
        val NOTHING = ByteArray(0)
    }
}

/** When a document goes by itself. */
public sealed class Expires {
    /** It does not. */
    public object Never : Expires()

    /** As the document that is written over. */
    public object Kept : Expires()

    /** At a time, in milliseconds since 1970. */
    public class At(public val ms: Long) : Expires()

    internal fun toNative(): NativeExpires = when (this) {
        Never -> NativeExpires.Never
        Kept -> NativeExpires.Kept
        is At -> NativeExpires.At(ms.toULong())
    }
}

/** How a query is answered. */
public data class Explanation(
    /** In words. */
    val plan: String,
    /** The index that is read, if one is. */
    val index: String?,
    /** Whether rows are gathered and sorted. */
    val isSorted: Boolean,
    /** Whether documents are asked if they are found. */
    val looksAtDocuments: Boolean,
    /** How many rows were expected. */
    val estimatedRows: Long,
    /** How many there are. */
    val rows: Long,
    /** Entries of indexes that were read. */
    val entriesRead: Long,
    /** Documents that were read. */
    val documentsRead: Long,
) {
    internal constructor(native: NativeExplanation) : this(
        native.plan, native.index, native.isSorted, native.looksAtDocuments, native.estimatedRows.toLong(),
        native.rows.toLong(), native.entriesRead.toLong(), native.documentsRead.toLong(),
    )
}

/** Gives [each] where in packed bytes a record begins, or -1 where there is none, from [from] on. */
internal inline fun unpack(packed: ByteArray, from: Int, each: (at: Int) -> Unit) {
    val reader = PackedReader(packed, from)
    while (!reader.isAtEnd) {
        val length = reader.length()
        if (length < 0) {
            each(-1)
        } else {
            each(reader.position)
            reader.skip(length)
        }
    }
}
