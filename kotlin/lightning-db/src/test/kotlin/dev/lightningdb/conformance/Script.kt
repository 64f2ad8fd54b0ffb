package dev.lightningdb.conformance

import dev.lightningdb.AnySerializer
import dev.lightningdb.Change
import dev.lightningdb.Collection
import dev.lightningdb.Database
import dev.lightningdb.Expires
import dev.lightningdb.FeedStart
import dev.lightningdb.KeyType
import dev.lightningdb.Keys
import dev.lightningdb.LightningException
import dev.lightningdb.Migration
import dev.lightningdb.Options
import dev.lightningdb.Query
import dev.lightningdb.QuerySpec
import dev.lightningdb.Table
import dev.lightningdb.ValueType
import dev.lightningdb.calling
import dev.lightningdb.internal.CborNull
import dev.lightningdb.internal.CborReader
import dev.lightningdb.internal.CborWriter
import dev.lightningdb.internal.Feed
import dev.lightningdb.internal.Isolation
import dev.lightningdb.internal.Live
import dev.lightningdb.internal.Native
import dev.lightningdb.internal.PackedReader
import dev.lightningdb.internal.Snapshot
import dev.lightningdb.internal.Transaction
import dev.lightningdb.internal.handleBefore
import dev.lightningdb.toCommit
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.KSerializer
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import java.nio.file.Files
import java.nio.file.Path

private typealias Step = JsonObject

@Suppress("UNCHECKED_CAST")
private val ANY = AnySerializer as KSerializer<Any>

/** How many operations were done, and how many passed over because Kotlin has no such thing. */
class Counts(val done: Int, val passedOver: Int)

/** Runs one script against the package, on files in [folder]: see `tests/conformance/README.md`. */
class Script(private val folder: Path) {
    private var number = 0
    private var nowMs = 0L
    private lateinit var database: Database
    private val collections = HashMap<String, Collection<Any>>()
    private val known = HashSet<String>()
    private val tables = HashMap<String, Table<Any?, Any>>()
    private val named = HashMap<String, Named>()

    /** Page tokens and positions. */
    private val tokens = HashMap<String, ByteArray?>()

    fun run(text: String): Counts {
        open(null)
        var (done, passedOver) = 0 to 0
        try {
            text.lines().forEachIndexed { at, line ->
                if (line.isEmpty() || line.startsWith("#")) return@forEachIndexed
                try {
                    val step = Json.parseToJsonElement(line).jsonObject
                    onlyKnownMembers(step)
                    if (step["query"].let { it is JsonPrimitive && it !is JsonNull }) {
                        passedOver++
                    } else {
                        compared(step) { perform(step) }
                        done++
                    }
                } catch (error: Throwable) {
                    throw AssertionError("line ${at + 1}: ${line.take(500)}\n$error", error)
                }
            }
        } finally {
            forget()
            database.close()
        }
        return Counts(done, passedOver)
    }

    private fun path(): Path = folder.resolve("$number.ldb")

    private fun open(step: Step?) {
        val kept = step?.get("feedRetentionBytes")?.jsonPrimitive?.long ?: 0
        database = Database.forTests(path(), Options(feedRetentionBytes = kept))
        database.setClock(nowMs)
    }

    private fun forget() {
        named.values.forEach(Named::end)
        named.clear()
        collections.clear()
        tables.clear()
    }

    /** Holds an operation to what must come of it. */
    private fun compared(step: Step, perform: () -> Any?) {
        val given = try {
            perform()
        } catch (error: LightningException) {
            val expected = step["fails"]?.jsonPrimitive?.content
            if (error.name == expected) return
            if (expected == null) throw error
            throw AssertionError("it failed with ${error.name}: ${error.message}", error)
        }
        step["fails"]?.let { throw AssertionError("it did not fail with $it") }
        val gives = step["gives"] ?: return
        val expected = read(gives)
        val isInPart = step.text("do") in setOf("explain", "describe") && expected is Map<*, *>
        val isSame = if (isInPart) {
            (expected as Map<*, *>).all { (name, value) -> same(value, (given as Map<*, *>)[name]) }
        } else {
            same(expected, given)
        }
        if (!isSame) throw AssertionError("it gave ${shown(given)}")
    }

    @Suppress("CyclomaticComplexMethod")
    private fun perform(step: Step): Any? {
        when (step.text("do")) {
            "clock" -> {
                nowMs = step.number("ms")
                database.setClock(nowMs)
            }
            "reopen", "newDatabase" -> {
                forget()
                database.close()
                if (step.text("do") == "newDatabase") number++
                open(step)
            }
            "close" -> database.close()
            "open", "openExisting" -> openCollection(step)
            "openTable" -> tables[step.text("table")] = runBlocking {
                database.table(step.text("table"), KeyType.named(step.text("keys")), ValueType.named(step.text("values")))
            }
            "dropCollection" -> return runBlocking { database.dropCollection(step.text("collection")) }
            "dropTable" -> return runBlocking { database.dropTable(step.text("table")) }
            "removeExpired" -> runBlocking { database.removeExpired() }
            "check" -> return runBlocking { database.verify() }.problems.size.toLong()
            "begin" -> name(step, Named.Of(calling { database.native.begin(isolation(step)) }))
            "commit" -> calling { transaction(step).commitBlocking() }
            "rollback" -> transaction(step).end()
            "transaction" -> {
                val transaction = calling { database.native.begin(Isolation.SERIALIZABLE) }
                try {
                    step.getValue("steps").jsonArray.map(JsonElement::jsonObject).forEach { inner ->
                        compared(inner) { work(transaction.number().toLong(), inner) }
                    }
                    calling { transaction.commitBlocking() }
                } finally {
                    transaction.end()
                }
            }
            "snapshot" -> name(step, Named.At(calling { database.native.snapshot() }))
            "rows" -> name(step, Named.Rows(query(collection(step), 0, step), collection(step)))
            "watch" -> name(step, Named.Watch(calling { collection(step).native.watch(query(collection(step), 0, step).toCbor()) }))
            "changes" -> name(step, Named.Changes(calling { database.native.changes(since(step).toNative()) }))
            "position" -> {
                val of = step["of"]?.let { (named.getValue(it.jsonPrimitive.content) as Named.Changes) }
                tokens[step.text("as")] = of?.position() ?: run {
                    val feed = calling { database.native.changes(FeedStart.Now.toNative()) }
                    calling { feed.position() }.also { feed.end() }
                }
            }
            "next" -> return named.getValue(step.text("of")).next(step, known)
            "drop" -> named.remove(step.text("of"))?.end()
            else -> {
                val scope = (step["in"] ?: step["at"])?.jsonPrimitive?.content
                return work(if (scope == null) 0L else named.getValue(scope).scope(), step)
            }
        }
        return null
    }

    private fun name(step: Step, what: Named) {
        named.put(step.text("as"), what)?.end()
    }

    private fun transaction(step: Step): Transaction = (named.remove(step.text("in")) as Named.Of).transaction

    private fun isolation(step: Step): Isolation = when (step["isolation"]?.jsonPrimitive?.content) {
        "readCommitted" -> Isolation.READ_COMMITTED
        "snapshot" -> Isolation.SNAPSHOT
        else -> Isolation.SERIALIZABLE
    }

    private fun since(step: Step): FeedStart = when (val since = step.getValue("since")) {
        JsonPrimitive("now") -> FeedStart.Now
        JsonPrimitive("oldest") -> FeedStart.Oldest
        is JsonObject -> FeedStart.After(read(since) as ByteArray)
        else -> FeedStart.After(tokens.getValue(since.jsonPrimitive.content)!!)
    }

    private fun openCollection(step: Step) {
        val name = step.text("collection")
        collections[name] = if (step.text("do") == "openExisting") {
            runBlocking { database.existingCollection(name, ANY) }
        } else {
            val migrations = step["migrations"]?.jsonObject.orEmpty().map { (from, how) -> from.toInt() to migration(how) }
            database.open(name, CborWriter.of(read(step.getValue("schema"))), migrations.toMap(), ANY)
        }
        known += name
    }

    private fun migration(how: JsonElement): Migration<Any> {
        val steps = (how as? JsonObject)?.get("transaction") ?: return Migration.By(CborWriter.of(read(how)))
        return Migration.Together { documents ->
            steps.jsonArray.map(JsonElement::jsonObject).forEach { inner ->
                compared(inner) { workOn(documents.collection, documents.scope, inner) }
            }
        }
    }

    private fun collection(step: Step) = collections[step.text("collection")] ?: error("the script has not opened it")

    private fun work(scope: Long, step: Step): Any? = if ("table" in step) {
        val table = tables[step.text("table")] ?: error("the script has not opened it")
        runBlocking { workOnTable(table.inScope(scope), step) }
    } else {
        workOn(collection(step), scope, step)
    }

    private fun query(collection: Collection<Any>, scope: Long, step: Step): Query<Any> {
        @Suppress("UNCHECKED_CAST")
        val given = step["query"]?.let { read(it) as? Map<String, Any?> ?: mapOf("where" to 0) } ?: emptyMap()
        val after = step["after"]?.let { tokens[it.jsonPrimitive.content] }
        return Query(collection, collection.serializer, scope, QuerySpec(given = given, after = after))
    }

    @Suppress("CyclomaticComplexMethod")
    private fun workOn(of: Collection<Any>, scope: Long, step: Step): Any? {
        val collection = of.inScope(scope)
        val documents = collection.blocking
        val document by lazy { read(step.getValue("document"))!! }
        val query by lazy { query(collection, scope, step) }
        fun key() = read(step.getValue("key"))
        return when (val what = step.text("do")) {
            "put" -> when (val expires = step["expires"]?.jsonPrimitive) {
                null -> documents.put(document)
                JsonPrimitive("never") -> documents.put(document, Expires.Never)
                JsonPrimitive("kept") -> documents.put(document, Expires.Kept)
                else -> documents.put(document, Expires.At(expires.long))
            }
            "putCbor" -> calling { Native.put(scope, collection.handle, 0, ByteArray(0), bytes(step.text("cbor"))) }.let { null }
            "insert" -> documents.insert(document)
            "replace" -> documents.replace(document).let { null }
            "get" -> calling { Native.get(scope, collection.handle, CborWriter.of(key())) }?.let(CborReader::value)
            "getMany" -> documents.getMany(step.getValue("keys").jsonArray.map { read(it)!! })
            "getBy" -> documents.getBy(step.text("index"), *step.getValue("values").jsonArray.map(::read).toTypedArray())
            "delete" -> calling { Native.delete(scope, collection.handle, CborWriter.of(key())) }
            "update" -> calling { of.native.update(scope.toULong(), CborWriter.of(key()), update(step)) }
            "swap" -> documents.compareAndSwap(read(step.getValue("expected")), document)
            "query" -> listed(query.toListBlocking(), step)
            "count" -> runBlocking { query.count() }
            "min" -> runBlocking { query.min(step.text("path")) }
            "max" -> runBlocking { query.max(step.text("path")) }
            "updateWhere" -> calling { of.native.updateWhere(scope.toULong(), query.toCbor(), update(step)).toLong() }
            "deleteWhere" -> runBlocking { query.delete() }
            "explain" -> runBlocking { query.explain() }.let {
                mapOf("index" to it.index, "sorted" to it.isSorted, "filtered" to it.looksAtDocuments, "rows" to it.rows)
            }
            "page" -> {
                // Behind the last page there is none to ask for.
                val after = step["after"]?.jsonPrimitive?.content
                if (after != null && tokens[after] == null) {
                    emptyList()
                } else {
                    val page = runBlocking { query.page() }
                    step["as"]?.let { tokens[it.jsonPrimitive.content] = page.token }
                    listed(page.rows, step)
                }
            }
            "pages" -> {
                val pages = ArrayList<List<Any?>>()
                var next: Query<Any>? = query
                while (next != null) {
                    val page = runBlocking { next!!.page() }
                    if (page.rows.isNotEmpty()) pages += listed(page.rows, step)
                    next = page.token?.takeIf { page.rows.isNotEmpty() }?.let(query::after)
                }
                pages
            }
            "describe" -> runBlocking { database.collections() }.single { it.name == of.name }.let { info ->
                mapOf(
                    "key" to info.key, "version" to info.version.toLong(), "expiresAfterMs" to info.expiresAfterMs,
                    "autoKey" to info.autoKey, "documents" to info.documents,
                    "indexes" to info.indexes.map {
                        mapOf(
                            "name" to it.name, "paths" to it.paths, "unique" to it.unique, "sparse" to it.sparse,
                            "multi" to it.multi, "folded" to it.folded, "ready" to it.ready, "entries" to it.entries,
                        )
                    },
                )
            }
            "dropIndex" -> runBlocking { collection.dropIndex(step.text("index")) }
            else -> error("there is no operation '$what' of collections")
        }
    }

    private fun update(step: Step): ByteArray = CborWriter.of(read(step.getValue("update")))

    private suspend fun workOnTable(table: Table<Any?, Any>, step: Step): Any? {
        fun key() = read(step.getValue("key"))
        fun value() = read(step.getValue("value")) ?: NULL
        return when (val what = step.text("do")) {
            "put" -> table.put(key(), value()).let { null }
            "insert" -> table.insert(key(), value()).let { null }
            "replace" -> table.replace(key(), value()).let { null }
            "get" -> calling { Native.get(table.scope, table.handle, table.keys.encode(key())) }?.let(table.values.decode)
            "delete" -> table.delete(key())
            "swap" -> table.compareAndSwap(key(), read(step.getValue("expected")), value())
            "increment" -> table.increment(key(), step.number("by"))
            "range" -> {
                val limit = step["limit"]?.jsonPrimitive?.long ?: Long.MAX_VALUE
                table.scan(range(step), step["reverse"]?.jsonPrimitive?.boolean ?: false, limit).toList().map { listOf(it.first, it.second) }
            }
            "count" -> table.count(range(step))
            "deleteRange" -> table.deleteRange(range(step)).let { null }
            else -> error("there is no operation '$what' of tables")
        }
    }

    private fun range(step: Step): Keys<Any?> {
        val (from, above, to, below) = listOf("from", "above", "to", "below").map { name -> step[name]?.let { read(it) ?: NULL } }
        return Keys(from ?: above, from != null, to ?: below, to != null)
    }

    /** What has a name by `as`. */
    private sealed class Named {
        open fun scope(): Long = error("it is no transaction and no snapshot")

        open fun next(step: Step, known: Set<String>): Any? = error("it has no next")

        abstract fun end()

        class Of(val transaction: Transaction) : Named() {
            override fun scope() = transaction.number().toLong()

            override fun end() = transaction.end()
        }

        class At(private val snapshot: Snapshot) : Named() {
            override fun scope() = snapshot.number().toLong()

            override fun end() = snapshot.end()
        }

        class Rows(query: Query<Any>, private val collection: Collection<Any>) : Named() {
            private var chunk = calling { Native.query(0, collection.handle, query.toCbor(), 1) }
            private var isRead = false

            override fun next(step: Step, known: Set<String>): Any? {
                if (isRead) {
                    val cursor = handleBefore(chunk)
                    if (cursor == 0L) return null
                    chunk = calling { Native.next(cursor, 1) }
                }
                isRead = true
                val rows = PackedReader(chunk, 8)
                return if (rows.isAtEnd) null else shownRow(CborReader.value(rows.nextOf()), step)
            }

            override fun end() = Native.release(handleBefore(chunk))
        }

        class Watch(private val live: Live) : Named() {
            private val rows = ArrayList<Any?>()

            override fun next(step: Step, known: Set<String>): Any? {
                val change = calling { live.tryNext() } ?: return null
                val gone = change.removed.map { it.at } + change.changed.map { it.from }
                gone.map(ULong::toInt).sortedDescending().forEach(rows::removeAt)
                val placed = change.added.map { it.at.toInt() to it.row } + change.changed.map { it.at.toInt() to it.row }
                placed.sortedBy { it.first }.forEach { (at, row) -> rows.add(at, CborReader.value(row)) }
                check(rows.size == change.rows.toInt()) { "it says that there are ${change.rows} rows, and there are ${rows.size}" }
                val lists = mapOf(
                    "removed" to change.removed.map { mapOf("at" to it.at.toLong(), "key" to CborReader.value(it.key)) },
                    "changed" to change.changed.map {
                        mapOf("from" to it.from.toLong(), "at" to it.at.toLong(), "row" to shownRow(CborReader.value(it.row), step))
                    },
                    "added" to change.added.map { mapOf("at" to it.at.toLong(), "row" to shownRow(CborReader.value(it.row), step)) },
                )
                return lists.filterValues { it.isNotEmpty() } + ("rows" to listed(rows, step))
            }

            override fun end() = live.end()
        }

        class Changes(private val feed: Feed) : Named() {
            private var sequence: Long? = null

            fun position(): ByteArray = calling { feed.position() }

            override fun next(step: Step, known: Set<String>): Any? {
                while (true) {
                    val commit = calling { feed.next() }?.toCommit() ?: return null
                    sequence?.let { check(commit.sequence == it + 1) { "commit ${commit.sequence} after $it" } }
                    sequence = commit.sequence
                    if (commit.changes.isNotEmpty()) {
                        return mapOf("timeMs" to commit.timeMs, "changes" to commit.changes.map(::shownChange))
                    }
                }
            }

            private fun shownChange(change: Change): Map<String, Any?> = when (change) {
                is Change.Put -> mapOf("put" to change.table, "key" to change.key, "value" to change.value)
                is Change.PutDocument -> buildMap {
                    put("put", change.table)
                    put("key", change.id)
                    put("document", change.document)
                    change.expiresMs?.let { put("expires", it) }
                }
                is Change.Delete -> mapOf("delete" to change.table, "key" to change.key)
                is Change.DeleteDocument -> mapOf("delete" to change.table, "key" to change.id)
                is Change.DeleteRange -> mapOf("deleteRange" to change.table, "from" to change.from, "to" to change.to)
            }

            override fun end() = feed.end()
        }
    }

    companion object {
        /** Null as a key or value of a table, which is none in Kotlin's sense. */
        private val NULL: Any = CborNull

        private val MEMBERS = (
            "above after as at below by cbor collection do document expected expires fails feedRetentionBytes from gives in index " +
                "isolation key keys limit migrations ms of path query reverse schema since steps table to update value values"
            ).split(" ").toSet()

        private fun onlyKnownMembers(step: Step) {
            step.keys.forEach { require(it in MEMBERS) { "an operation has no '$it'" } }
            require("gives" !in step || "fails" !in step) { "it cannot give something and fail" }
            (step["steps"] as? JsonArray)?.forEach { onlyKnownMembers(it.jsonObject) }
        }

        private fun Step.text(name: String): String = getValue(name).jsonPrimitive.content

        private fun Step.number(name: String): Long = getValue(name).jsonPrimitive.long

        private fun listed(rows: List<Any?>, step: Step): List<Any?> = rows.map { shownRow(it, step) }

        private fun shownRow(row: Any?, step: Step): Any? =
            step["keys"]?.let { (row as Map<*, *>)[it.jsonPrimitive.content] } ?: row.takeIf { "keys" !in step }

        fun scripts(): List<Path> = Files.list(Path.of(System.getProperty("lightning.conformance"))).use { files ->
            files.filter { it.toString().endsWith(".jsonl") }.sorted().toList()
        }
    }
}
