package dev.lightningdb

import dev.lightningdb.internal.AddedRow
import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.DocumentFormat
import dev.lightningdb.internal.LiveChange
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.Ready
import dev.lightningdb.internal.HANDLE_BYTES
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.KSerializer
import kotlinx.serialization.builtins.MapSerializer
import kotlinx.serialization.builtins.serializer
import kotlinx.serialization.descriptors.elementNames
import kotlinx.serialization.serializer
import kotlin.reflect.KProperty1

/** What is asked of a collection, apart from what documents must be like. */
internal data class QuerySpec(
    val filters: List<Filter> = emptyList(),
    val order: List<Pair<String, Boolean>> = emptyList(),
    val isReversed: Boolean = false,
    val limit: Long? = null,
    val offset: Long? = null,
    val after: ByteArray? = null,
    val fields: List<String> = emptyList(),
    /** What it begins with, as it crosses. */
    val given: Map<String, Any?> = emptyMap(),
) {
    fun toCbor(): ByteArray = CborWriter.of(
        buildMap {
            putAll(given)
            when (filters.size) {
                0 -> {}
                1 -> put("where", filters[0].map)
                else -> put("where", mapOf("all" to filters.map(Filter::map)))
            }
            if (order.isNotEmpty()) {
                put("orderBy", order.map { (path, descending) -> if (descending) mapOf("path" to path, "descending" to true) else mapOf("path" to path) })
            }
            if (isReversed) put("reverse", true)
            limit?.let { put("limit", it) }
            offset?.let { put("offset", it) }
            after?.let { put("after", it) }
            if (fields.isNotEmpty()) put("select", fields)
        },
    )
}

/**
 * A query of a collection. It does nothing before it is asked for its rows; each call that says more of it gives another one.
 *
 * ```
 * people.where(Person::age).between(30, 40).orderBy(Person::age).limit(10).asFlow().collect { println(it.name) }
 * ```
 */
public class Query<T : Any> internal constructor(
    private val collection: Collection<*>,
    /** What the rows are read as. */
    private val serializer: KSerializer<T>,
    private val scope: Long,
    private val spec: QuerySpec,
) {
    private fun with(spec: QuerySpec) = Query(collection, serializer, scope, spec)

    internal fun toCbor(): ByteArray = spec.toCbor()

    /** Also as this says. */
    public fun where(filter: Filter): Query<T> = with(spec.copy(filters = spec.filters + filter))

    /** Also as is said next of this field. */
    public fun and(property: KProperty1<T, *>): Condition<T> = Condition(this, property.name)

    /** Also as is said next of this field. */
    public fun and(path: String): Condition<T> = Condition(this, path)

    /** In this order; asked again, where that leaves documents alike. */
    public fun orderBy(property: KProperty1<T, *>, descending: Boolean = false): Query<T> = orderBy(property.name, descending)

    /** In this order. */
    public fun orderBy(path: String, descending: Boolean = false): Query<T> {
        checkPath(collection.serializer.descriptor, path)
        return with(spec.copy(order = spec.order + (path to descending)))
    }

    /** Last ones first. */
    public fun reversed(): Query<T> = with(spec.copy(isReversed = !spec.isReversed))

    /** At most so many. */
    public fun limit(count: Long): Query<T> = with(spec.copy(limit = count))

    /** At most so many. */
    public fun limit(count: Int): Query<T> = limit(count.toLong())

    /** Without the first so many. */
    public fun offset(count: Long): Query<T> = with(spec.copy(offset = count))

    /** Those that follow a page: see [page]. */
    public fun after(token: ByteArray): Query<T> = with(spec.copy(after = token))

    /**
     * Rows of the fields of [R] alone, in the order and with the limit that were said: nothing else is read into objects.
     *
     * ```
     * @Serializable class Named(val id: Int, val name: String)
     * people.where(Person::age).above(30).select<Named>().toList()
     * ```
     */
    public inline fun <reified R : Any> select(): Query<R> = select(serializer<R>())

    /** Rows of the fields that [rows] reads, alone. */
    @OptIn(ExperimentalSerializationApi::class)
    public fun <R : Any> select(rows: KSerializer<R>): Query<R> {
        val fields = rows.descriptor.elementNames.toList()
        return Query(collection, rows, scope, selected(fields))
    }

    /** Rows of these fields alone, each with the values by their names. */
    public fun select(vararg paths: String): Query<Map<String, Any?>> =
        Query(collection, MapSerializer(String.serializer(), AnySerializer), scope, selected(paths.asList()))

    private fun selected(fields: List<String>): QuerySpec {
        require(fields.isNotEmpty()) { "rows without fields were asked for; name at least one" }
        fields.forEach { checkPath(collection.serializer.descriptor, it) }
        return spec.copy(fields = fields)
    }

    /** All rows. */
    public suspend fun toList(): List<T> = io(collection.handle, scope, ::toListIn)

    /** All rows, on the calling thread. */
    public fun toListBlocking(): List<T> = toListIn(scope)

    private fun toListIn(scope: Long): List<T> {
        val rows = ArrayList<T>()
        val query = spec.toCbor()
        chunks(readsAhead = true, { Native.query(scope, collection.handle, query, it) }) { chunk -> forEach(chunk, each = rows::add) }
        return rows
    }

    /** The first row. */
    public suspend fun firstOrNull(): T? = limit(1).toList().firstOrNull()

    /** The rows, some at a time, read as they are collected: a collector that is slow, or ends, asks for no more. */
    public fun asFlow(): Flow<T> = flow {
        val query = spec.toCbor()
        givenUp(collection.handle, scope) { own ->
            chunks(readsAhead = false, { Native.query(own, collection.handle, query, it) }) { chunk -> forEach(chunk) { emit(it) } }
        }
    }.flowOn(Dispatchers.IO)

    /**
     * Gives [each] the rows, one after the other, on the calling thread. They are read some at a time; where there are many, another thread
     * reads the next ones meanwhile.
     */
    public fun forEachBlocking(each: (T) -> Unit) {
        val query = spec.toCbor()
        chunks(readsAhead = true, { Native.query(scope, collection.handle, query, it) }) { chunk -> forEach(chunk, each = each) }
    }

    private inline fun forEach(rows: ByteArray, from: Int = HANDLE_BYTES, each: (T) -> Unit) =
        DocumentFormat.unpack(serializer, rows, from) { it?.let(each) }

    /** How many documents it finds. */
    public suspend fun count(): Long = io(collection.handle, scope) { calling { Native.count(it, collection.handle, spec.toCbor()) } }

    /** The lowest value under a path. */
    public suspend fun min(path: String): Any? =
        io(collection.handle, scope) { own -> calling { collection.native.min(own.toULong(), path, spec.toCbor()) }?.let(CborReader::value) }

    /** The highest value under a path. */
    public suspend fun max(path: String): Any? =
        io(collection.handle, scope) { own -> calling { collection.native.max(own.toULong(), path, spec.toCbor()) }?.let(CborReader::value) }

    /** Deletes every document that it finds; how many. */
    public suspend fun delete(): Long = io(collection.handle, scope) { calling { collection.native.deleteWhere(it.toULong(), spec.toCbor()).toLong() } }

    /** Changes fields of every document that it finds; how many. */
    public suspend fun update(changes: UpdateBuilder.() -> Unit): Long = io(collection.handle, scope) {
        val update = UpdateBuilder().apply(changes).toCbor()
        calling { collection.native.updateWhere(it.toULong(), spec.toCbor(), update).toLong() }
    }

    /** How it is answered. */
    public suspend fun explain(): Explanation = io { Explanation(calling { collection.native.explain(scope.toULong(), spec.toCbor()) }) }

    /** One page, for a query with a [limit], and where it ends: the token for [after]. */
    public suspend fun page(): Page<T> = io {
        val page = calling { collection.native.page(scope.toULong(), spec.toCbor()) }
        Page(buildList { forEach(page.rows, from = 0, each = ::add) }, page.token)
    }

    /**
     * The rows now, and after each commit that changes them: the newest state, so whoever is slow misses those in between. The flow ends
     * with an exception when the database is closed or the query can no longer be answered, and with its collector.
     */
    public fun watch(): Flow<List<T>> = flow {
        val live = calling { collection.native.watch(spec.toCbor()) }
        try {
            val ready = Channel<Unit>(Channel.CONFLATED)
            calling {
                live.onReady(object : Ready {
                    override fun ready() {
                        ready.trySend(Unit)
                    }
                })
            }
            val rows = ArrayList<T>()
            while (true) {
                val change = calling { live.tryNext() }
                if (change != null) {
                    apply(change, rows)
                    emit(rows.toList())
                    continue
                }
                val wakeAt = calling { live.wakeAtMs() }
                if (wakeAt == null) {
                    ready.receive()
                } else {
                    withTimeoutOrNull((wakeAt.toLong() - System.currentTimeMillis()).coerceAtLeast(1)) { ready.receive() }
                }
            }
        } finally {
            live.end()
            live.destroy()
        }
    }.flowOn(Dispatchers.IO)

    /** Queries that ask the same are equal. */
    override fun equals(other: Any?): Boolean = other is Query<*> && other.scope == scope &&
        other.collection.handle == collection.handle && other.serializer == serializer && other.toCbor().contentEquals(toCbor())

    override fun hashCode(): Int = toCbor().contentHashCode()

    private fun apply(change: LiveChange, rows: MutableList<T>) {
        val gone = (change.removed.map { it.at } + change.changed.map { it.from }).map(ULong::toInt).sortedDescending()
        gone.forEach(rows::removeAt)
        val placed = change.added + change.changed.map { AddedRow(it.at, it.row) }
        placed.sortedBy(AddedRow::at).forEach { rows.add(it.at.toInt(), DocumentFormat.decode(serializer, it.row)) }
    }
}

/** Rows of a page, and the token for the one that follows; null behind the last. */
public class Page<T>(
    /** Its rows. */
    public val rows: List<T>,
    /** For [Query.after]. */
    public val token: ByteArray?,
)

/** A field of which something is to be said. */
public class Condition<T : Any> internal constructor(private val query: Query<T>, path: String) {
    private val field = Field(path)

    /** It is [value]. */
    public fun eq(value: Any?): Query<T> = query.where(field eq value)

    /** It is one of these. */
    public fun isIn(values: kotlin.collections.Collection<Any?>): Query<T> = query.where(field isIn values)

    /** From [from] to [to], both included. */
    public fun between(from: Any?, to: Any?): Query<T> = query.where(field.between(from, to))

    /** More than [value]. */
    public fun above(value: Any?): Query<T> = query.where(field above value)

    /** Less than [value]. */
    public fun below(value: Any?): Query<T> = query.where(field below value)

    /** [value] or more. */
    public fun from(value: Any?): Query<T> = query.where(field from value)

    /** [value] or less. */
    public fun to(value: Any?): Query<T> = query.where(field to value)

    /** Text that begins so; where [fold] is true, whatever the case and the accents. */
    public fun startsWith(prefix: String, fold: Boolean = false): Query<T> = query.where(field.startsWith(prefix, fold))

    /** There is one. */
    public fun exists(): Query<T> = query.where(field.exists())
}
