package dev.lightningdb

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path

/** What happens to an app: it is put aside, memory is short, a backup is put back, somebody no longer waits. */
class LifeTest {
    private fun person(id: Int) = Person(id, "person $id ".repeat(10), id % 90, "$id@example.org")

    private suspend fun people(db: Database) = db.collection("people", key = Person::id) { index(Person::age) }

    @Test
    fun `a suspended database has given its files back, and goes on`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        Database.open(path).use { db ->
            val people = people(db)
            people.put(person(1))
            db.suspend()
            assertThrows(LightningException.Suspended::class.java) { people.blocking.put(person(2)) }
            assertTrue(assertThrows(LightningException::class.java) { people.blocking.put(person(2)) }.isRetryable)
            // Nobody goes round meanwhile.
            var runs = 0
            val refused = runCatching {
                db.transaction { tx ->
                    runs++
                    tx.collection(people).blocking.put(person(2))
                }
            }
            assertTrue(refused.exceptionOrNull() is LightningException.Suspended && runs <= 1, "$refused, $runs")
            // Another process may have it.
            for (suffix in listOf("", "-log")) Files.copy(folder.resolve("app.ldb$suffix"), folder.resolve("copy.ldb$suffix"))
            Database.open(folder.resolve("copy.ldb")).use { assertEquals(person(1), people(it).get(1)) }
            db.resume()
            people.put(person(2))
            assertEquals(2, people.count())
        }
    }

    @Test
    fun `memory is given back, and nothing with it`(@TempDir folder: Path): Unit = runBlocking {
        Database.open(folder.resolve("app.ldb")).use { db ->
            val people = people(db)
            people.putMany((1..3000).map(::person))
            db.checkpoint()
            assertEquals(3000, people.query().toList().size)
            val before = db.stats().cacheBytes
            val held = db.trimMemory(TrimLevel.All)
            assertTrue(held < before, "$held of $before bytes are held")
            AppLife.trimMemory(TrimLevel.Moderate).join()
            assertEquals(person(7), people.get(7))
        }
    }

    @Test
    fun `what is committed is merged when the app goes into the background`(@TempDir folder: Path): Unit = runBlocking {
        val closed = Database.open(folder.resolve("closed.ldb"))
        closed.close()
        Database.open(folder.resolve("app.ldb")).use { db ->
            people(db).putMany((1..1000).map(::person))
            val before = db.stats().memtableBytes
            AppLife.entersBackground().join()
            assertTrue(db.stats().memtableBytes < before / 2, "${db.stats().memtableBytes} of $before bytes are not merged")
        }
    }

    @Test
    fun `a backup is restored, and nothing is written over`(@TempDir folder: Path): Unit = runBlocking {
        val (path, backup) = folder.resolve("app.ldb") to folder.resolve("backup.ldb")
        Database.open(path).use { db ->
            people(db).putMany((1..100).map(::person))
            db.backup(backup)
            people(db).delete(1)
        }
        assertThrows(LightningException::class.java) { runBlocking { Database.restore(backup, path) } }
        val report = Database.restore(backup, folder.resolve("restored.ldb"))
        assertEquals(100, report.documents)
        Database.open(folder.resolve("restored.ldb")).use { db -> assertEquals(person(1), people(db).get(1)) }
        Database.open(path).use { db -> assertEquals(99, people(db).count()) }
        val bytes = Files.readAllBytes(backup)
        for (at in 8192 until bytes.size step 1000) bytes[at] = (bytes[at].toInt() xor 1).toByte()
        Files.write(backup, bytes)
        assertThrows(LightningException::class.java) { runBlocking { Database.restore(backup, folder.resolve("damaged.ldb")) } }
        assertTrue(Files.notExists(folder.resolve("damaged.ldb")))
    }

    @Test
    fun `a query that nobody waits for any more ends, and its scope with it`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.putMany((1..8_000).map { Person(it, "$it", it) })
            repeat(20) { time ->
                val begun = CompletableDeferred<Unit>()
                val counting = launch(Dispatchers.Default) {
                    begun.complete(Unit)
                    // No index has this.
                    while (true) people.where("name").startsWith("x").count()
                }
                begun.await()
                if (time % 2 == 0) people.get(time + 1)
                withTimeout(10_000) { counting.cancelAndJoin() }
            }
            assertEquals(0, db.stats().snapshots)
            val writing = async(Dispatchers.Default) { runCatching { while (true) people.query().update { increment(Person::age, 1) } } }
            people.get(1)
            writing.cancel()
            assertInstanceOf(CancellationException::class.java, runCatching { writing.await() }.exceptionOrNull())
            // Each update was made of all, or of none.
            val ages = people.query().toList().map { it.age - it.id }
            assertEquals(1, ages.toSet().size)
        }
    }
}
