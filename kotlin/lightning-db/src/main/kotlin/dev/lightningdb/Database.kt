package dev.lightningdb

import dev.lightningdb.internal.BackupListener
import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.CompactionListener
import dev.lightningdb.internal.Isolation as NativeIsolation
import dev.lightningdb.internal.Library
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.OpenOptions
import dev.lightningdb.internal.PackedReader
import dev.lightningdb.internal.PackedWriter
import kotlinx.coroutines.CancellationException
import kotlinx.serialization.KSerializer
import kotlinx.serialization.serializer
import java.nio.file.Path
import kotlin.reflect.KProperty1
import dev.lightningdb.internal.BackupProgress as NativeProgress
import dev.lightningdb.internal.Database as NativeDatabase
import dev.lightningdb.internal.Durability as NativeDurability

/** When a commit is acknowledged. */
public enum class Durability(internal val native: NativeDurability) {
    /** When it is on the medium: it survives a power loss. */
    Sync(NativeDurability.SYNC),

    /** At once; it is on the medium within a second. */
    Periodic(NativeDurability.PERIODIC),

    /** At once; it survives the end of the process, and perhaps no power loss. */
    Relaxed(NativeDurability.RELAXED),
}

/** What a transaction is kept from. */
public enum class Isolation(internal val native: NativeIsolation) {
    /** What others commit meanwhile may be seen. */
    ReadCommitted(NativeIsolation.READ_COMMITTED),

    /** All is read as it was at the beginning; two that write the same conflict. */
    Snapshot(NativeIsolation.SNAPSHOT),

    /** As if all had run one after the other. */
    Serializable(NativeIsolation.SERIALIZABLE),
}

/** How a database is opened. The defaults suit a phone. */
public data class Options(
    /** Make the database if there is none. */
    val create: Boolean = true,
    /** Refuse every write, and write nothing to the files. */
    val readOnly: Boolean = false,
    /** When commits are acknowledged. */
    val durability: Durability = Durability.Sync,
    /** Memory for everything together, in bytes; at least 2 MiB. */
    val memoryBudgetBytes: Long = 10_000_000,
    /** The data file never grows beyond this. */
    val fileBytesMax: Long? = null,
    /** The log keeps the newest commits up to so many bytes for the change feed, also after a clean close. */
    val feedRetentionBytes: Long = 0,
    /** Verify everything stored in the background, each time this many seconds after the last time ended. */
    val scrubIntervalSeconds: Int? = null,
    /** Do what [AppLife] says: merge when the app goes into the background, give memory back when it is short. */
    val followsAppLife: Boolean = true,
) {
    internal fun toNative() = OpenOptions(
        create, readOnly, durability.native, memoryBudgetBytes.toULong(), fileBytesMax?.toULong(),
        feedRetentionBytes.toULong(), scrubIntervalSeconds?.toUInt(),
    )
}

/**
 * A database. Opened more than once in a process it is the same one, closed when everybody has closed it.
 *
 * ```
 * Database.open(path).use { db ->
 *     val people = db.collection<Person>("people", key = Person::id) { index(Person::age); unique(Person::email) }
 *     people.put(Person(1, "Ada", 36, "ada@example.org"))
 * }
 * ```
 */
public class Database private constructor(internal val native: NativeDatabase) : AutoCloseable {
    internal val handle: Long = native.number().toLong()

    /** Opens a collection of documents of type [T], and makes it and its indexes where they are not there. */
    public suspend inline fun <reified T : Any> collection(
        name: String,
        key: KProperty1<T, *>,
        noinline schema: SchemaBuilder<T>.() -> Unit = {},
    ): Collection<T> = collection(name, key.name, serializer<T>(), schema)

    /** Opens a collection whose key is under a path. */
    public suspend inline fun <reified T : Any> collection(
        name: String,
        key: String,
        noinline schema: SchemaBuilder<T>.() -> Unit = {},
    ): Collection<T> = collection(name, key, serializer<T>(), schema)

    /** Opens a collection of documents that [serializer] writes. */
    public suspend fun <T : Any> collection(
        name: String,
        key: String,
        serializer: KSerializer<T>,
        schema: SchemaBuilder<T>.() -> Unit = {},
    ): Collection<T> = io {
        val built = SchemaBuilder<T>(key, serializer.descriptor).apply(schema)
        open(name, built.toCbor(), built.migrations, serializer)
    }

    internal fun <T : Any> open(
        name: String,
        schema: ByteArray,
        migrations: Map<Int, Migration<T>>,
        serializer: KSerializer<T>,
    ): Collection<T> {
        migrate(name, schema, migrations, serializer)
        return Collection(name, calling { native.collectionBlocking(name, schema) }, serializer)
    }

    /** Opens a collection as it is: its schema is in the database. */
    public suspend inline fun <reified T : Any> existingCollection(name: String): Collection<T> = existingCollection(name, serializer<T>())

    /** Opens a collection as it is. */
    public suspend fun <T : Any> existingCollection(name: String, serializer: KSerializer<T>): Collection<T> =
        io { Collection(name, calling { native.collectionBlocking(name, null) }, serializer) }

    private fun <T : Any> migrate(name: String, schema: ByteArray, migrations: Map<Int, Migration<T>>, serializer: KSerializer<T>) {
        while (true) {
            val step = calling { native.nextMigration(name, schema) } ?: return
            val version = step.version.toInt()
            when (val migration = migrations[version]) {
                is Migration.Each -> {
                    val changed = PackedWriter()
                    val documents = PackedReader(step.documents)
                    while (!documents.isAtEnd) {
                        @Suppress("UNCHECKED_CAST")
                        val document = (CborReader.value(documents.nextOf()) as Map<String, Any?>).toMutableMap()
                        migration.change(document)
                        changed.bytes(CborWriter.of(document))
                    }
                    calling { native.migrate(step.handle, changed.toByteArray()) }
                }
                is Migration.By -> calling { native.migrateBy(step.handle, migration.changes) }
                is Migration.Together -> {
                    Native.release(step.handle.toLong())
                    val older = calling { native.olderCollection(name, schema) }
                    val transaction = calling { native.begin(NativeIsolation.SERIALIZABLE) }
                    try {
                        val scope = transaction.number()
                        migration.change(Collection(name, older, serializer, scope.toLong()).blocking)
                        calling { native.finishMigration(scope, older.number(), step.version) }
                        calling { transaction.commitBlocking() }
                    } finally {
                        transaction.end()
                        older.destroy()
                    }
                }
                null -> {
                    Native.release(step.handle.toLong())
                    // Opening it says what is missing.
                    return
                }
            }
        }
    }

    /** Deletes a collection with everything in it; false when there is none. */
    public suspend fun dropCollection(name: String): Boolean = io { calling { native.dropCollection(name) } }

    /** Opens a table of bytes, and makes it if there is none. */
    public suspend fun table(name: String): Table<ByteArray, ByteArray> = table(name, KeyType.Bytes, ValueType.Bytes)

    /** Opens a table, and makes it if there is none. */
    public suspend fun <K, V : Any> table(name: String, keys: KeyType<K>, values: ValueType<V>): Table<K, V> =
        io { Table(name, calling { native.table(name, keys.name, values.name) }, keys, values) }

    /** Deletes a table with everything in it; false when there is none. */
    public suspend fun dropTable(name: String): Boolean = io { calling { native.dropTable(name) } }

    /**
     * Runs [body] in a transaction: what it writes is committed together when it ends, and undone when it throws or is cancelled. It may
     * run again, up to five times, when another transaction has changed what it read; so it does nothing else that counts.
     *
     * Only what `tx` gives is in the transaction: `tx.collection(people)`.
     */
    public suspend fun <R> transaction(isolation: Isolation = Isolation.Serializable, body: suspend (Transaction) -> R): R {
        var tries = 0
        while (true) {
            val native = io { calling { native.begin(isolation.native) } }
            val transaction = Transaction(native)
            try {
                val result = body(transaction)
                io { calling { native.commitBlocking() } }
                return result
            } catch (error: LightningException) {
                if (!error.isRetryable || ++tries >= TRIES_MAX) throw error
            } catch (cancelled: CancellationException) {
                throw cancelled
            } finally {
                native.end()
                native.destroy()
            }
        }
    }

    /** The database as it is now, for several reads that belong together. Close it: it keeps what it sees from being given back. */
    public suspend fun snapshot(): Snapshot = io { Snapshot(calling { native.snapshot() }) }

    /** Follows all commits, from the next one on, or [since] a position that was kept. */
    public fun changes(since: FeedStart = FeedStart.Now): ChangeFeed = ChangeFeed(native, since)

    /** All tables, by name; a collection has its own. */
    public suspend fun tables(): List<TableInfo> =
        io { calling { native.tables() }.map { TableInfo(it.name, it.keys, it.values) } }

    /** All collections, by name. */
    public suspend fun collections(): List<CollectionInfo> = io { calling { native.collections() }.map(::CollectionInfo) }

    /** Makes every commit so far durable, whatever durability it was made with. */
    public suspend fun sync(): Unit = calling { native.sync() }

    /** Merges what is in memory, so that reopening has nothing to replay. */
    public suspend fun checkpoint(): Unit = calling { native.checkpoint() }

    /** Makes the file as small as it can be. */
    public suspend fun compact(onProgress: ((changesLeft: Long, fileBytes: Long, freeBytes: Long) -> Unit)? = null) {
        val listener = onProgress?.let {
            object : CompactionListener {
                override fun onProgress(changesLeft: ULong, fileBytes: ULong, freeBytes: ULong) =
                    it(changesLeft.toLong(), fileBytes.toLong(), freeBytes.toLong())
            }
        }
        calling { native.compact(listener) }
    }

    /** Reads and verifies everything. */
    public suspend fun verify(): CheckReport = CheckReport(calling { native.verify() })

    /** Counters and sizes. */
    public fun stats(): Stats = Stats(calling { native.stats() })

    /** Writes a copy of the database as it is now to a new file, beside whatever else goes on. */
    public suspend fun backup(to: Path, onProgress: ((BackupProgress) -> Unit)? = null): BackupProgress {
        val listener = onProgress?.let {
            object : BackupListener {
                override fun onProgress(progress: NativeProgress) = it(BackupProgress(progress))
            }
        }
        return BackupProgress(calling { native.backup(to.toString(), listener) })
    }

    /** Sets the time of a [database for tests][forTests], in milliseconds since 1970. */
    public fun setClock(ms: Long): Unit = calling { native.setClock(ms.toULong()) }

    /** Removes documents that have gone by themselves; the database does so about once a second. */
    public suspend fun removeExpired(): Unit = io { calling { native.removeExpired() } }

    /** Gives memory back; how many bytes of what was read, and of what is not merged yet, are held then. */
    public fun trimMemory(level: TrimLevel = TrimLevel.All): Long = TODO("$level")

    /** Brings everything into the data file and closes it; whatever is called afterwards is [LightningException.Closed]. */
    override fun close() {
        AppLife.remove(this)
        calling { native.endBlocking() }
    }

    public companion object {
        private const val TRIES_MAX = 5

        init {
            Library.load()
        }

        /** Opens the database at [path]. */
        public suspend fun open(path: Path, options: Options = Options()): Database = io { openBlocking(path, options) }

        /** Opens the database at [path]. */
        public suspend fun open(path: String, options: Options = Options()): Database = open(Path.of(path), options)

        /** Opens the database at [path], on the calling thread. */
        public fun openBlocking(path: Path, options: Options = Options()): Database =
            Database(calling { NativeDatabase.openBlocking(path.toString(), options.toNative()) }).also {
                if (options.followsAppLife) AppLife.add(it)
            }

        /**
         * A database for tests, in a file or in memory: its time is what [setClock] says, 1970 at first, and it does nothing by itself.
         */
        public fun forTests(path: Path? = null, options: Options = Options()): Database =
            Database(calling { NativeDatabase.forTests(path?.toString(), options.toNative()) })

        /** A new database in memory, gone when it is closed. */
        public fun inMemory(options: Options = Options()): Database = Database(calling { NativeDatabase.inMemory(options.toNative()) })
    }
}
