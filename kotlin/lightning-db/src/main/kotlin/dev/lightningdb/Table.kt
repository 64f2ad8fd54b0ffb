package dev.lightningdb

import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.KeyRange as NativeRange
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.Opened
import dev.lightningdb.internal.PackedReader
import dev.lightningdb.internal.PackedWriter
import dev.lightningdb.internal.HANDLE_BYTES
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import dev.lightningdb.internal.Table as NativeTable

/** A type of keys: how it is named in the file, and how it crosses. */
public class KeyType<K> private constructor(
    internal val name: String,
    internal val encode: (K) -> ByteArray,
    internal val decode: (ByteArray) -> K,
) {
    public companion object {
        /** Text, ordered by its UTF-8. */
        public val Text: KeyType<String> = KeyType("string", String::encodeToByteArray, ByteArray::decodeToString)

        /** Bytes. */
        public val Bytes: KeyType<ByteArray> = KeyType("bytes", { it }, { it })

        /** Integers of 64 bits with a sign. */
        public val Long: KeyType<kotlin.Long> = cbor("i64")

        /** Integers of 64 bits without a sign, up to the highest with one. */
        public val UnsignedLong: KeyType<kotlin.Long> = cbor("u64")

        /** Numbers with a fraction. */
        public val Double: KeyType<kotlin.Double> = cbor("f64")

        /** Keys of every kind, as those of documents: null, numbers, text, bytes, times, UUIDs, and lists of them. */
        public val Any: KeyType<kotlin.Any> = cbor("key")

        /** Of the name that the file has for it, as `(string, u64)`; a tuple is a list. */
        @Suppress("UNCHECKED_CAST")
        public fun <K> named(name: String): KeyType<K> = when (name) {
            Text.name -> Text as KeyType<K>
            Bytes.name -> Bytes as KeyType<K>
            else -> cbor(name)
        }

        @Suppress("UNCHECKED_CAST")
        private fun <K> cbor(name: String): KeyType<K> =
            KeyType(name, { CborWriter.of(it) }, { CborReader.value(it) as K })
    }
}

/** A type of values: how it is named in the file, and how it crosses. */
public class ValueType<V : Any> private constructor(
    internal val name: String,
    internal val encode: (V) -> ByteArray,
    internal val decode: (ByteArray) -> V,
) {
    public companion object {
        /** Text. */
        public val Text: ValueType<String> = ValueType("string", String::encodeToByteArray, ByteArray::decodeToString)

        /** Bytes. */
        public val Bytes: ValueType<ByteArray> = ValueType("bytes", { it }, { it })

        /** Integers of 64 bits with a sign. */
        public val Long: ValueType<kotlin.Long> = cbor("i64")

        /** Numbers with a fraction. */
        public val Double: ValueType<kotlin.Double> = cbor("f64")

        /** True or false. */
        public val Boolean: ValueType<kotlin.Boolean> = cbor("bool")

        /** Whatever a document may hold. */
        public val Any: ValueType<kotlin.Any> = cbor("value")

        /** Of the name that the file has for it. */
        @Suppress("UNCHECKED_CAST")
        public fun <V : kotlin.Any> named(name: String): ValueType<V> = when (name) {
            Text.name -> Text as ValueType<V>
            Bytes.name -> Bytes as ValueType<V>
            else -> cbor(name)
        }

        @Suppress("UNCHECKED_CAST")
        private fun <V : kotlin.Any> cbor(name: String): ValueType<V> =
            ValueType(name, { CborWriter.of(it) }, { CborReader.value(it) as V })
    }
}

/** Keys from one to another. */
public class Keys<K> internal constructor(
    internal val lower: K?,
    internal val includesLower: Boolean,
    internal val upper: K?,
    internal val includesUpper: Boolean,
) {
    public companion object {
        /** All keys. */
        public fun <K> all(): Keys<K> = Keys(null, false, null, false)

        /** From [from] to [to], both included. */
        public fun <K> between(from: K, to: K): Keys<K> = Keys(from, true, to, true)

        /** [from] and above. */
        public fun <K> from(from: K): Keys<K> = Keys(from, true, null, false)

        /** Above [above]. */
        public fun <K> above(above: K): Keys<K> = Keys(above, false, null, false)

        /** Up to [to]. */
        public fun <K> to(to: K): Keys<K> = Keys(null, false, to, true)

        /** Below [below]. */
        public fun <K> below(below: K): Keys<K> = Keys(null, false, below, false)
    }
}

/** A table of ordered keys and their values. */
public class Table<K, V : Any> internal constructor(
    /** Its name. */
    public val name: String,
    internal val opened: Opened,
    internal val keys: KeyType<K>,
    internal val values: ValueType<V>,
    internal val scope: Long = 0,
    /** What the scope is of: it is not to be forgotten. */
    private val within: Any? = null,
) {
    internal val handle: Long get() = opened.handle

    /** What is called more rarely. */
    internal val native: NativeTable by lazy { calling { NativeTable.of(handle.toULong()) } }

    /** The same calls on the calling thread. */
    public val blocking: BlockingTable<K, V> = BlockingTable(this, scope)

    private fun blocking(scope: Long) = BlockingTable(this, scope)

    /** The value of a key. */
    public suspend fun get(key: K): V? = io(handle, scope) { blocking(it).get(key) }

    /** The values of many keys, in their order. */
    public suspend fun getMany(keys: Iterable<K>): List<V?> = io(handle, scope) { blocking(it).getMany(keys) }

    /** Writes [value], whatever was there. */
    public suspend fun put(key: K, value: V): Unit = io(handle, scope) { blocking(it).put(key, value) }

    /** Writes [value] where nothing is; else [LightningException.Unexpected]. */
    public suspend fun insert(key: K, value: V): Unit = io(handle, scope) { blocking(it).insert(key, value) }

    /** Writes [value] over what is there; where nothing is, [LightningException.Unexpected]. */
    public suspend fun replace(key: K, value: V): Unit = io(handle, scope) { blocking(it).replace(key, value) }

    /** Deletes what is under a key; whether anything was. */
    public suspend fun delete(key: K): Boolean = io(handle, scope) { blocking(it).delete(key) }

    /** Deletes all keys of a range. */
    public suspend fun deleteRange(range: Keys<K>): Unit = io(handle, scope) { calling { native.deleteRange(it.toULong(), native(range)) } }

    /** How many entries a range has. */
    public suspend fun count(range: Keys<K> = Keys.all()): Long =
        io(handle, scope) { calling { native.count(it.toULong(), native(range)).toLong() } }

    /** Writes [value] if what is there is [expected] (null: nothing); whether it was. */
    public suspend fun compareAndSwap(key: K, expected: V?, value: V): Boolean =
        io { calling { native.compareAndSwap(scope.toULong(), keys.encode(key), expected?.let(values.encode), values.encode(value)) } }

    /** Adds to a number, of a table whose values are [ValueType.Long]; the sum. */
    public suspend fun increment(key: K, by: Long): Long = io { calling { native.increment(scope.toULong(), keys.encode(key), by) } }

    /** The entries of a range in the order of their keys, some at a time, read as they are collected. */
    public fun scan(range: Keys<K> = Keys.all(), backwards: Boolean = false, limit: Long = Long.MAX_VALUE): Flow<Pair<K, V>> = flow {
        val lower = range.lower?.let(keys.encode)
        val upper = range.upper?.let(keys.encode)
        val scan = { scope: Long, bytes: Int ->
            Native.scan(scope, handle, lower, range.includesLower, upper, range.includesUpper, backwards, limit, bytes)
        }
        givenUp(handle, scope) { own ->
            chunks(readsAhead = false, { scan(own, it) }) { chunk ->
                val entries = PackedReader(chunk, HANDLE_BYTES)
                while (!entries.isAtEnd) emit(keys.decode(entries.nextOf()) to values.decode(entries.nextOf()))
            }
        }
    }.flowOn(Dispatchers.IO)

    internal fun inScope(scope: Long, within: Any? = null): Table<K, V> = Table(name, opened, keys, values, scope, within)

    private fun native(range: Keys<K>) =
        NativeRange(range.lower?.let(keys.encode), range.includesLower, range.upper?.let(keys.encode), range.includesUpper)
}

/** The calls of a [Table] on the calling thread. */
public class BlockingTable<K, V : Any> internal constructor(private val table: Table<K, V>, private val scope: Long) {
    private val handle = table.handle

    /** As [Table.get]. */
    public fun get(key: K): V? = calling { Native.get(scope, handle, table.keys.encode(key)) }?.let(table.values.decode)

    /** As [Table.getMany]. */
    public fun getMany(keys: Iterable<K>): List<V?> {
        val packed = PackedWriter()
        for (key in keys) packed.bytes(table.keys.encode(key))
        val found = PackedReader(calling { Native.getMany(scope, handle, packed.toByteArray()) })
        return buildList { while (!found.isAtEnd) add(found.next()?.let(table.values.decode)) }
    }

    /** As [Table.put]. */
    public fun put(key: K, value: V): Unit = write(BlockingCollection.PUT, key, value)

    /** As [Table.insert]. */
    public fun insert(key: K, value: V): Unit = write(BlockingCollection.INSERT, key, value)

    /** As [Table.replace]. */
    public fun replace(key: K, value: V): Unit = write(BlockingCollection.REPLACE, key, value)

    private fun write(mode: Int, key: K, value: V) {
        calling { Native.put(scope, handle, mode, table.keys.encode(key), table.values.encode(value)) }
    }

    /** As [Table.delete]. */
    public fun delete(key: K): Boolean = calling { Native.delete(scope, handle, table.keys.encode(key)) }
}
