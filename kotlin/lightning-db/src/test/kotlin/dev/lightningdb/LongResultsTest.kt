package dev.lightningdb

import dev.lightningdb.internal.openObjects
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout

/** Results of many chunks, most of which another thread reads ahead. */
@Timeout(120)
class LongResultsTest {
    // Some 4 MB.
    private val all = List(PEOPLE) { Person(it, "person $it".repeat(10), it % 90, "$it@example.org", listOf("a", "b")) }

    private fun people(db: Database): Collection<Person> {
        val people = db.collectionBlocking<Person>("people", key = Person::id) { index(Person::age) }
        all.chunked(2000).forEach(people.blocking::putMany)
        return people
    }

    private fun <T> Collection<T>.gathered(): List<T> where T : Any = buildList { query().forEachBlocking(::add) }

    @Test
    fun `all rows come once, in their order, however they are asked for`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            assertEquals(all, people.gathered())
            assertEquals(all, people.query().toList())
            assertEquals(all.reversed(), people.query().reversed().toListBlocking())
            assertEquals(all, people.query().asFlow().toList())
            assertEquals(all.filter { it.age == 7 }, people.where(Person::age).eq(7).toListBlocking())
            // A scan of what was there, whatever is written meanwhile.
            val seen = ArrayList<Person>()
            people.query().forEachBlocking { person ->
                if (person.id % 5000 == 0) people.blocking.delete(PEOPLE - 1 - person.id / 5000)
                seen += person
            }
            assertEquals(all, seen)
        }
    }

    /** What other tests have forgotten may be given back meanwhile. */
    private fun assertNoMoreThan(before: ULong) = openObjects().let { assertTrue(it <= before, "$it objects are open, $before before") }

    private fun isReading() = Thread.getAllStackTraces().values.any { calls ->
        calls.any { it.className == "dev.lightningdb.internal.Native" && it.methodName == "next" }
    }

    @Test
    fun `whoever stops early leaves nothing open, and no thread that reads`() {
        Database.inMemory().use { db ->
            val people = people(db)
            val before = openObjects()
            repeat(200) { time ->
                var left = 1 + time * 99
                val thrown = assertThrows(IllegalStateException::class.java) { people.query().forEachBlocking { if (--left == 0) error("enough") } }
                assertFalse(isReading(), "$time")
                assertEquals("enough", thrown.message)
            }
            assertNoMoreThan(before)
        }
    }

    @Test
    fun `a database that is closed meanwhile is said to be`() {
        val db = Database.inMemory()
        var seen = 0
        assertThrows(LightningException.Closed::class.java) { people(db).query().forEachBlocking { if (++seen == 6_000) db.close() } }
        assertTrue(seen in 6_000 until PEOPLE, "$seen")
    }

    @Test
    fun `a coroutine that is cancelled reads no further`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            val before = openObjects()
            repeat(10) { time ->
                val job = launch(Dispatchers.Default) { while (true) people.query().toList() }
                Thread.sleep(time * 7L)
                withTimeout(20_000) { job.cancelAndJoin() }
            }
            assertNoMoreThan(before)
        }
    }

    @Test
    fun `a thread that is interrupted reads on, and stays so`() {
        Database.inMemory().use { db ->
            val people = people(db)
            Thread.currentThread().interrupt()
            val found = people.gathered()
            assertTrue(Thread.interrupted())
            assertEquals(all, found)
        }
    }

    @Test
    fun `more threads than can read ahead read at once, within each other, too`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            withTimeout(100_000) {
                List(100) { async(Dispatchers.IO) { people.gathered().size } }.awaitAll().forEach { assertEquals(PEOPLE, it) }
            }
            var both = 0
            people.query().forEachBlocking { outer -> if (outer.id % 4000 == 1) both += people.gathered().size }
            assertEquals(PEOPLE * (PEOPLE / 4000), both)
        }
    }

    private companion object {
        const val PEOPLE = 20_000
    }
}
