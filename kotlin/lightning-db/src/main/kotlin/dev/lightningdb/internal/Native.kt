package dev.lightningdb.internal

/**
 * The calls that are made most, straight into the library. `scope` is 0, or the handle of a snapshot or transaction; what is
 * packed has the length of each part before it, 4 bytes, lowest first.
 */
internal object Native {
    init {
        Library.load()
    }

    @JvmStatic external fun get(scope: Long, target: Long, key: ByteArray): ByteArray?

    /** As [get], of a collection, where the key is an integer: nothing of it is copied. */
    @JvmStatic external fun getNumbered(scope: Long, collection: Long, key: Long): ByteArray?

    /** The name of the index is UTF-8, the values are CBOR and packed. */
    @JvmStatic external fun getBy(scope: Long, collection: Long, index: ByteArray, values: ByteArray): ByteArray?

    @JvmStatic external fun getMany(scope: Long, target: Long, keys: ByteArray): ByteArray

    @JvmStatic external fun put(scope: Long, target: Long, mode: Int, key: ByteArray, value: ByteArray): ByteArray?

    @JvmStatic external fun delete(scope: Long, target: Long, key: ByteArray): Boolean

    @JvmStatic external fun batch(scope: Long, writes: ByteArray)

    /** Gives the handle of a cursor, 8 bytes, 0 where there are no more rows, and rows behind it. */
    @JvmStatic external fun query(scope: Long, collection: Long, query: ByteArray, size: Int): ByteArray

    @JvmStatic
    @Suppress("LongParameterList")
    external fun scan(
        scope: Long,
        table: Long,
        lower: ByteArray?,
        includesLower: Boolean,
        upper: ByteArray?,
        includesUpper: Boolean,
        backwards: Boolean,
        limit: Long,
        size: Int,
    ): ByteArray

    /** A scope like `scope` whose calls [stop] gives up; it is released like a cursor. */
    @JvmStatic external fun stoppable(sibling: Long, scope: Long): Long

    @JvmStatic external fun stop(stoppable: Long)

    /** Numbers that are negative are not given. */
    @JvmStatic
    @Suppress("LongParameterList")
    external fun open(
        path: ByteArray,
        create: Boolean,
        readOnly: Boolean,
        durability: Int,
        memoryBudgetBytes: Long,
        limits: LongArray,
        feedRetentionBytes: Long,
        scrubIntervalSeconds: Long,
        key: Long,
        encryption: Int,
    ): Long

    /** Keys are released like cursors, once they were used. */
    @JvmStatic external fun rawKey(bytes: ByteArray): Long

    @JvmStatic external fun passphraseKey(text: ByteArray): Long

    @JvmStatic external fun providerKey(provider: KeyAnswers): Long

    @JvmStatic external fun close(database: Long)

    /** Gives 0 where documents are of an older version, which are to be migrated first. */
    @JvmStatic external fun collection(database: Long, name: ByteArray, schema: ByteArray?): Long

    @JvmStatic external fun table(database: Long, name: ByteArray, keys: ByteArray, values: ByteArray): Long

    @JvmStatic external fun begin(database: Long, isolation: Int): Long

    @JvmStatic external fun commit(transaction: Long)

    /** As the database is now, or that of a name. Gives its handle and the newest commit that it sees, 8 bytes each. */
    @JvmStatic external fun snapshot(database: Long, name: ByteArray?): ByteArray

    @JvmStatic external fun count(scope: Long, collection: Long, query: ByteArray): Long

    @JvmStatic external fun update(scope: Long, collection: Long, key: ByteArray, changes: ByteArray): Boolean

    @JvmStatic external fun next(cursor: Long, size: Int): ByteArray

    @JvmStatic external fun release(handle: Long)
}

/** What [Native] throws. [fields] are names and values in turn, packed. */
internal class NativeFailure(
    val number: Int,
    val name: String,
    val isRetryable: Boolean,
    val text: String,
    val fields: ByteArray,
) : RuntimeException(text, null, false, false)
