package dev.lightningdb

import dev.lightningdb.internal.BackupListener
import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.CompactionListener
import dev.lightningdb.internal.Handles
import dev.lightningdb.internal.Library
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.Opened
import dev.lightningdb.internal.OpenOptions
import dev.lightningdb.internal.PackedReader
import dev.lightningdb.internal.PackedWriter
import dev.lightningdb.internal.ScrubListener
import dev.lightningdb.internal.TrimLevel as NativeTrimLevel
import dev.lightningdb.internal.restoreBackup
import kotlinx.coroutines.CancellationException
import kotlinx.serialization.KSerializer
import kotlinx.serialization.serializer
import java.nio.file.Path
import kotlin.reflect.KProperty1
import dev.lightningdb.internal.BackupProgress as NativeProgress
import dev.lightningdb.internal.CheckReport as NativeReport
import dev.lightningdb.internal.Database as NativeDatabase
import dev.lightningdb.internal.Durability as NativeDurability
import dev.lightningdb.internal.Encryption as NativeEncryption
import dev.lightningdb.internal.Mode as NativeMode

/** When a commit is acknowledged. */
public enum class Durability {
    /** When it is on the medium: it survives a power loss. */
    Sync,

    /** At once; it is on the medium within a second. */
    Periodic,

    /** At once; it survives the end of the process, and perhaps no power loss. */
    Relaxed,
}

/** What a transaction is kept from. */
public enum class Isolation {
    /** What others commit meanwhile may be seen. */
    ReadCommitted,

    /** All is read as it was at the beginning; two that write the same conflict. */
    Snapshot,

    /** As if all had run one after the other. */
    Serializable,
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
    /** What it gives at most to all who share it. */
    val limits: Limits = Limits(),
    /** The log keeps the newest commits up to so many bytes for the change feed, also after a clean close. */
    val feedRetentionBytes: Long = 0,
    /** Verify everything stored in the background, each time this many seconds after the last time ended. */
    val scrubIntervalSeconds: Int? = null,
    /** What opens an encrypted database. A new one that is given a key is encrypted, and this is its first. */
    val key: EncryptionKey? = null,
    /** How a new database is encrypted, if it gets a key; one that exists stays as it was made. */
    val encryption: Encryption = Encryption.Aes256Gcm,
    /** Do what [AppLife] says: merge when the app goes into the background, give memory back when it is short. */
    val followsAppLife: Boolean = true,
) {
    internal fun open(path: ByteArray): Long = withKey(key) { key ->
        calling {
            Native.open(
                path, create, readOnly, durability.ordinal, memoryBudgetBytes, limits.toNumbers(), feedRetentionBytes,
                scrubIntervalSeconds?.toLong() ?: -1, key, encryption.ordinal,
            )
        }
    }

    internal fun toNative(key: Long) = OpenOptions(
        create, readOnly, NativeDurability.entries[durability.ordinal], memoryBudgetBytes.toULong(), limits.toNative(),
        feedRetentionBytes.toULong(), scrubIntervalSeconds?.toUInt(), key.toULong(), NativeEncryption.entries[encryption.ordinal],
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
public class Database private constructor(internal val handle: Long, made: NativeDatabase? = null) : AutoCloseable {
    private val wide: Lazy<NativeDatabase> = if (made != null) lazyOf(made) else lazy { NativeDatabase.of(handle.toULong()) }

    /** What is called more rarely; it is made when it is called first, which takes longer than to open a database. */
    internal val native: NativeDatabase get() = wide.value

    init {
        // Databases that the other interface has opened are its own.
        if (made == null) Handles.keep(this, closing(handle))
    }

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
    ): Collection<T> = io { collectionBlocking(name, key, serializer, schema) }

    /** Opens a collection of documents of type [T], on the calling thread. */
    public inline fun <reified T : Any> collectionBlocking(
        name: String,
        key: KProperty1<T, *>,
        noinline schema: SchemaBuilder<T>.() -> Unit = {},
    ): Collection<T> = collectionBlocking(name, key.name, serializer<T>(), schema)

    /** Opens a collection of documents that [serializer] writes, on the calling thread. */
    public fun <T : Any> collectionBlocking(
        name: String,
        key: String,
        serializer: KSerializer<T>,
        schema: SchemaBuilder<T>.() -> Unit = {},
    ): Collection<T> {
        val built = SchemaBuilder<T>(key, serializer.descriptor).apply(schema)
        return open(name, built.toCbor(), built.migrations, serializer)
    }

    internal fun <T : Any> open(
        name: String,
        schema: ByteArray,
        migrations: Map<Int, Migration<T>>,
        serializer: KSerializer<T>,
    ): Collection<T> {
        val bytes = name.encodeToByteArray()
        var opened = calling { Native.collection(handle, bytes, schema) }
        if (opened == 0L) {
            migrate(name, schema, migrations, serializer)
            // Where documents are older still, this says which migration is missing.
            calling { native.collectionBlocking(name, schema) }.destroy()
            opened = calling { Native.collection(handle, bytes, schema) }
        }
        return Collection(name, Opened(opened, this), serializer)
    }

    /** Opens a collection as it is: its schema is in the database. */
    public suspend inline fun <reified T : Any> existingCollection(name: String): Collection<T> = existingCollection(name, serializer<T>())

    /** Opens a collection as it is. */
    public suspend fun <T : Any> existingCollection(name: String, serializer: KSerializer<T>): Collection<T> =
        io { Collection(name, Opened(calling { Native.collection(handle, name.encodeToByteArray(), null) }, this), serializer) }

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
                    val transaction = calling { Native.begin(handle, Isolation.Serializable.ordinal) }
                    try {
                        val collection = Collection(name, Opened(older.number().toLong(), this), serializer, transaction)
                        migration.change(collection.blocking)
                        calling { native.finishMigration(transaction.toULong(), older.number(), step.version) }
                        calling { Native.commit(transaction) }
                    } finally {
                        Native.release(transaction)
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
        io {
            val (bytes, keyType, valueType) = listOf(name, keys.name, values.name).map(String::encodeToByteArray)
            val table = calling { Native.table(handle, bytes, keyType, valueType) }
            Table(name, Opened(table, this), keys, values)
        }

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
            // Neither waits for anything, but a commit for the medium.
            val transaction = calling { Native.begin(handle, isolation.ordinal) }
            try {
                val result = body(Transaction(transaction))
                io { calling { Native.commit(transaction) } }
                return result
            } catch (error: LightningException) {
                if (!error.isOfOthers || ++tries >= TRIES_MAX) throw error
            } catch (cancelled: CancellationException) {
                throw cancelled
            } finally {
                Native.release(transaction)
            }
        }
    }

    /** The database as it is now, for several reads that belong together. Close it: it keeps what it sees from being given back. */
    public suspend fun snapshot(): Snapshot = io { Snapshot(PackedReader(calling { Native.snapshot(handle, null) })) }

    /**
     * Keeps the database as it is now under a [name], also when it is closed and opened again, until it is [dropped][dropSnapshot]. It holds the
     * space of what is overwritten or deleted afterwards. At most 64 exist at once.
     */
    public suspend fun createSnapshot(name: String): Unit = io { calling { native.createSnapshot(name) } }

    /** The snapshots that have a name, oldest first. */
    public fun snapshots(): List<NamedSnapshot> = calling { native.snapshots() }.map {
        NamedSnapshot(it.name, it.sequence.toLong(), it.timeMs.toLong(), it.heldBytes.toLong())
    }

    /** The database as it was when the snapshot of this name was made. Close it. */
    public suspend fun snapshot(name: String): Snapshot =
        io { Snapshot(PackedReader(calling { Native.snapshot(handle, name.encodeToByteArray()) })) }

    /** Gives up the snapshot of a name. Whoever reads it now goes on. */
    public suspend fun dropSnapshot(name: String): Unit = io { calling { native.dropSnapshot(name) } }

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

    /** Reads and verifies everything, indexes and the use of space as well. Background work waits meanwhile. */
    public suspend fun verify(): CheckReport = CheckReport(calling { native.verify() })

    /**
     * Verifies what is stored, checksums, structure and order, in steps that hold nobody up; [onProgress] is told what was verified after each.
     * `Options.scrubIntervalSeconds` has that done by itself.
     */
    public suspend fun scrub(onProgress: ((CheckReport) -> Unit)? = null): CheckReport {
        val listener = onProgress?.let {
            object : ScrubListener {
                override fun onProgress(progress: NativeReport) = it(CheckReport(progress))
            }
        }
        return CheckReport(calling { native.scrub(listener) })
    }

    /** How it is: what is not as it should be, with causes and remedies. Nothing is read from storage. */
    public fun health(): Health = Health(calling { native.health() }.map(::Finding))

    /**
     * What was found damaged since it was opened, by reads, [scrub] or [verify]. Reading it is [LightningException.Corrupt]; everything else is read
     * and written as always.
     */
    public suspend fun quarantined(): List<Quarantined> = io { calling { native.quarantined() }.map(::Quarantined) }

    /** Who may use it, as was last decided. */
    public val mode: Mode get() = Mode.entries[calling { native.mode() }.ordinal]

    /** Decides who may use it, for everybody in this process, until it is decided otherwise or closed. Waits for whoever writes. */
    public suspend fun setMode(mode: Mode): Unit = io { calling { native.setMode(NativeMode.entries[mode.ordinal]) } }

    /** Whether it is frozen: whoever opens it finds it in [Mode.ReadOnly]. */
    public val isFrozen: Boolean get() = calling { native.isFrozen() }

    /** Freezes it, or thaws it. That is kept in the file, and is durable when this returns; a backup of a frozen one is not frozen. */
    public suspend fun setFrozen(isFrozen: Boolean): Unit = io { calling { native.setFrozen(isFrozen) } }

    /**
     * Ends everything now, for everybody in this process: what was acknowledged is made durable, whatever is under way is refused with
     * [LightningException.Closed], and nothing is written any more. It merges nothing, so it takes no longer than a sync; whoever opens the database
     * next finds everything in the log. Close it afterwards.
     */
    public suspend fun shutDownNow(): Unit = io { calling { native.shutDownNow() } }

    /** What it gives at most. */
    public val limits: Limits get() = Limits(calling { native.limits() })

    /** The archive of its commits. */
    public val archive: Archive get() = Archive { native }

    /** The keys that open it, if it is encrypted. */
    public val keys: EncryptionKeys get() = EncryptionKeys { native }

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
    public fun trimMemory(level: TrimLevel = TrimLevel.All): Long =
        calling { native.trimMemory(NativeTrimLevel.entries[level.ordinal]) }.toLong()

    /**
     * Lets go of the files, for everybody in this process who has the database open: everything committed is brought into them, and the
     * lock on them is given up. Meanwhile what is in memory is read as before; all else is [LightningException.Suspended], which passes.
     * Snapshots, transactions, live results and feeds go on after [resume].
     */
    public suspend fun suspend(): Unit = calling { native.suspend() }

    /**
     * Takes the files again. As long as another process has them that is tried for [waitMs] milliseconds; then it is
     * [LightningException.Locked], and may be tried again. Where another has written to them it is [LightningException.Poisoned]: close
     * the database, and open it again.
     */
    public suspend fun resume(waitMs: Long = 5_000): Unit = calling { native.resume(waitMs.toULong()) }

    /** Brings everything into the data file and closes it; whatever is called afterwards is [LightningException.Closed]. */
    override fun close() {
        AppLife.remove(this)
        if (wide.isInitialized()) calling { native.endBlocking() }
        calling { Native.close(handle) }
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
            Database(options.open(path.toString().encodeToByteArray())).also {
                if (options.followsAppLife) AppLife.add(it)
            }

        /**
         * Restores a [backup] as the database [to], where nothing may be yet. It is verified before it has its name; until then it is called
         * so with `-partial` behind it. Of the folders of [archives] that follow it, commits are taken in [until] the one that is wanted. That of an
         * encrypted database needs a [key] that opened it then.
         */
        public suspend fun restore(
            backup: Path,
            to: Path,
            archives: List<Path> = emptyList(),
            until: RestoreUntil = RestoreUntil.End,
            key: EncryptionKey? = null,
        ): CheckReport {
            val following = archives.map(Path::toString)
            val report = withKey(key) { handle ->
                calling { restoreBackup(backup.toString(), to.toString(), following, until.toNative(), handle.toULong()) }
            }
            return CheckReport(report)
        }

        /**
         * A database for tests, in a file or in memory: its time is what [setClock] says, 1970 at first, and it does nothing by itself.
         */
        public fun forTests(path: Path? = null, options: Options = Options()): Database =
            apart(withKey(options.key) { key -> calling { NativeDatabase.forTests(path?.toString(), options.toNative(key)) } })

        /** A new database in memory, gone when it is closed. */
        public fun inMemory(options: Options = Options()): Database =
            apart(withKey(options.key) { key -> calling { NativeDatabase.inMemory(options.toNative(key)) } })

        private fun apart(native: NativeDatabase) = Database(native.number().toLong(), native)

        // Not within the database, which is forgotten before these are called.
        private fun closing(handle: Long): () -> Unit = { runCatching { Native.close(handle) } }
    }
}
