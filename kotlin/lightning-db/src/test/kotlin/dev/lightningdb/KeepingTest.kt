package dev.lightningdb

import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path

/** Keeping data: how a database is, who may use it, what it was. */
class KeepingTest {
    private inline fun <reified E : Throwable> fails(crossinline body: suspend () -> Unit): E =
        assertThrows(E::class.java) { runBlocking { body() } }

    private suspend fun Database.rows() = table("rows", KeyType.Long, ValueType.Text)

    @Test
    fun `modes keep writers out, and are told`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val rows = db.rows()
            rows.put(1, "one")
            assertTrue(db.health().isWell && db.health().findings.isEmpty())
            db.setMode(Mode.ReadOnly)
            fails<LightningException.ReadOnly> { rows.put(2, "two") }
            assertEquals(listOf("mode" to Severity.Notice), db.health().findings.map { it.name to it.severity })
            assertTrue(db.health().isWell && "read-only" in db.health().findings.single().cause)
            db.setMode(Mode.Maintenance)
            assertTrue(fails<LightningException.Unavailable> { rows.put(2, "two") }.isRetryable)
            assertEquals(Mode.Maintenance to "one", db.mode to rows.get(1))
            db.setMode(Mode.Normal)
            rows.put(2, "two")
            assertEquals(Mode.Normal, db.mode)
        }
    }

    @kotlinx.serialization.Serializable
    private data class Whole(val id: Long, val text: String, val bytes: ByteArray, val list: List<String>, val last: String)

    @kotlinx.serialization.Serializable
    private data class Part(val id: Long, val last: String)

    @Test
    fun `fields that a class does not have are passed over`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            db.collection("rows", key = Whole::id).put(Whole(1, "some text", byteArrayOf(1, 2, 3), listOf("a", "b"), "end"))
            assertEquals(Part(1, "end"), db.existingCollection<Part>("rows").get(1))
        }
    }

    @Test
    fun `after a shutdown everybody is refused, and the next opening has what was acknowledged`(@TempDir folder: Path): Unit = runBlocking {
        val (path, options) = folder.resolve("app.ldb") to Options(durability = Durability.Relaxed)
        Database.open(path, options).use { db ->
            Database.open(path, options).use { other ->
                val rows = other.rows()
                db.rows().put(1, "one")
                db.shutDownNow()
                fails<LightningException.Closed> { rows.put(2, "two") }
                fails<LightningException.Closed> { db.rows().put(3, "three") }
            }
        }
        Database.open(path).use { db -> assertEquals(listOf("one", null), db.rows().let { listOf(it.get(1), it.get(2)) }) }
    }

    @Test
    fun `a frozen database is read-only for whoever opens it`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        Database.open(path).use { db ->
            db.rows().put(1, "one")
            db.setFrozen(true)
        }
        Database.open(path).use { db ->
            val rows = db.rows()
            fails<LightningException.ReadOnly> { rows.put(1, "two") }
            assertEquals(Triple(true, Mode.ReadOnly, "one"), Triple(db.isFrozen, db.mode, rows.get(1)))
            db.setFrozen(false)
            rows.put(1, "two")
        }
    }

    @Test
    fun `damage is found, told and kept apart`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        Database.open(path).use { db ->
            val rows = db.rows()
            db.transaction { tx -> for (key in 0L until 20_000) tx.table(rows).blocking.put(key, "value ${key * 7919}") }
            db.checkpoint()
            val told = mutableListOf<Long>()
            val report = db.scrub { told += it.bytes }
            assertTrue(report.problems.isEmpty() && told.first() > 0 && told == told.sorted() && told.last() <= report.bytes, "$told")
        }
        val bytes = Files.readAllBytes(path)
        for (at in bytes.size / 2 until bytes.size / 2 + 64) bytes[at] = (bytes[at].toInt() xor 0x55).toByte()
        Files.write(path, bytes)
        Database.open(path).use { db ->
            assertTrue(db.scrub().problems.isNotEmpty())
            val damaged = db.quarantined()
            assertTrue(damaged.isNotEmpty() && damaged.all { it.length > 0 && it.tables == listOf("rows") }, "$damaged")
            assertFalse(db.health().isWell)
            assertEquals("damaged" to Severity.Critical, db.health().findings.first().let { it.name to it.severity })
            assertEquals(damaged.size.toLong(), db.stats().quarantined)
            db.rows().put(100_000, "all else works")
        }
    }

    @Test
    fun `limits are held, and told`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        val limits = Limits(transactionBytesMax = 1500, fileBytesMax = 1L shl 30, writeBytesPerSecond = 1L shl 20)
        for (db in listOf(Database.open(path, Options(limits = limits)), Database.inMemory(Options(limits = limits)))) {
            db.use {
                fails<LightningException.LimitExceeded> { db.rows().put(1, "x".repeat(1900)) }
                db.rows().put(1, "short")
                assertEquals(listOf(1500L, 1L shl 30, 1L shl 20), db.limits.run { listOf(transactionBytesMax, fileBytesMax, writeBytesPerSecond) })
                assertTrue(db.limits.transactionsMax!! > 1)
            }
        }
        Database.open(path).use { fails<LightningException.Invalid> { Database.open(path, Options(limits = limits)) } }
        assertThrows(IllegalArgumentException::class.java) { Limits(backupsMax = -1) }
    }

    @Test
    fun `a snapshot that has a name outlives the process`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        Database.open(path).use { db ->
            db.rows().put(1, "before")
            db.createSnapshot("before import")
            fails<LightningException> { db.createSnapshot("before import") }
            db.rows().put(1, "after")
        }
        Database.open(path).use { db ->
            val named = db.snapshots().single()
            assertEquals("before import", named.name)
            assertTrue(named.sequence > 0 && named.timeMs > 1_600_000_000_000)
            db.snapshot(named.name).use { before ->
                assertEquals(named.sequence, before.sequence)
                assertEquals("before" to "after", before.table(db.rows()).get(1) to db.rows().get(1))
            }
            db.dropSnapshot(named.name)
            assertTrue(db.snapshots().isEmpty())
            fails<LightningException> { db.snapshot(named.name) }
        }
    }

    @Test
    fun `a backup and the archive behind it give any commit back`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        val backup = folder.resolve("backup.ldb")
        val two = Database.open(path).use { db ->
            assertNull(db.archive.status())
            db.archive.on(ArchiveOptions(folder = "kept", keepBytes = 1L shl 30))
            db.rows().put(1, "one")
            db.backup(backup)
            db.rows().put(1, "two")
            db.stats().sequence
        }
        Database.open(path).use { db ->
            db.rows().put(1, "three")
            db.archive.now()
            val status = db.archive.status()!!
            assertEquals(Triple(db.stats().sequence, "kept", 1L shl 30), status.run { Triple(archived, options.folder, options.keepBytes) })
            assertFalse(status.hasGap)
            db.archive.off()
            assertNull(db.archive.status())
        }
        val kept = listOf(folder.resolve("kept"))
        for ((until, value) in listOf(RestoreUntil.End to "three", RestoreUntil.Sequence(two) to "two", RestoreUntil.Time(0) to null)) {
            val to = folder.resolve("restored-${value ?: "none"}.ldb")
            if (value == null) {
                // It was before the backup.
                fails<LightningException> { Database.restore(backup, to, kept, until) }
            } else {
                Database.restore(backup, to, kept, until)
                Database.open(to).use { assertEquals(value, it.rows().get(1)) }
            }
        }
    }
}
