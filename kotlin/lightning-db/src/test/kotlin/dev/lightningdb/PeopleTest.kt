package dev.lightningdb

import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import java.time.Instant

@Serializable
data class Person(
    val id: Int,
    val name: String,
    val age: Int,
    val email: String? = null,
    val tags: List<String> = emptyList(),
)

@Serializable
class Event(
    @Serializable(UuidSerializer::class) val id: Uuid,
    @Serializable(InstantSerializer::class) val at: Instant,
    val payload: ByteArray,
    val weights: Map<String, Double>,
)

class PeopleTest {
    private fun person(id: Int) = Person(id, "person $id", id % 90, "$id@example.org", listOf("a", "b"))

    private suspend fun people(db: Database) =
        db.collection("people", key = Person::id) { index(Person::age); unique(Person::email) }

    @Test
    fun `documents are written, found, changed and deleted`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.put(person(1))
            assertEquals(person(1), people.get(1))
            assertNull(people.get(2))
            assertEquals(person(1), people.getBy("email", "1@example.org"))
            assertTrue(people.update(1) { increment(Person::age, 1); set("name", "Ada") })
            assertEquals(person(1).copy(age = 2, name = "Ada"), people.get(1))
            assertTrue(people.delete(1))
            assertEquals(0, people.count())
        }
    }

    @Test
    fun `a key that is an integer is the same one, whatever Kotlin calls it`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            for (id in listOf(0, -1, 23, -24, 70_000, Int.MIN_VALUE, Int.MAX_VALUE)) {
                people.put(person(id))
                val found = listOf(people.get(id), people.get(id.toLong()), people.get(id.toBigInteger()), people.getMany(listOf(id)).single())
                assertEquals(List(4) { person(id) }, found)
            }
            assertNull(people.get(Long.MIN_VALUE))
            assertNull(people.get("1"))
            people.put(person(8))
            db.snapshot().use { before ->
                people.delete(8)
                assertEquals(person(8), before.collection(people).get(8))
            }
            assertNull(people.get(8))
            db.transaction { tx ->
                tx.collection(people).put(person(9))
                assertEquals(person(9), tx.collection(people).get(9))
                assertNull(people.blocking.get(9))
            }
        }
    }

    @Test
    fun `queries use indexes, in order, with limits`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.putMany((1..1000).map(::person))
            val found = people.where(Person::age).between(30, 31).orderBy(Person::age, descending = true).limit(5).toList()
            assertEquals(listOf(31, 31, 31, 31, 31), found.map(Person::age))
            val all = people.where(Person::age).from(80).asFlow().toList()
            assertEquals((1..1000).count { it % 90 >= 80 }, all.size)
            assertEquals("age", people.where(Person::age).eq(3).explain().index)
            assertEquals(listOf(person(5), null, person(7)), people.getMany(listOf(5, 5000, 7)))
        }
    }

    @Test
    fun `a transaction is committed whole, or not at all`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.put(person(1))
            val older = db.transaction { tx ->
                val inside = tx.collection(people)
                val ada = inside.get(1)!!
                inside.put(ada.copy(age = ada.age + 1))
                ada.age
            }
            assertEquals(older + 1, people.get(1)?.age)
            runCatching {
                db.transaction { tx ->
                    tx.collection(people).put(person(2))
                    error("enough")
                }
            }
            assertNull(people.get(2))
        }
    }

    @Test
    fun `transactions that conflict are run again`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.put(person(1).copy(age = 0))
            val all = List(4) {
                async {
                    repeat(10) {
                        var done = false
                        while (!done) {
                            try {
                                db.transaction { tx ->
                                    val inside = tx.collection(people)
                                    inside.put(inside.get(1)!!.let { it.copy(age = it.age + 1) })
                                }
                                done = true
                            } catch (conflict: LightningException.Conflict) {
                                assertTrue(conflict.isRetryable)
                            }
                        }
                    }
                }
            }
            all.forEach { it.await() }
            assertEquals(40, people.get(1)?.age)
        }
    }

    @Test
    fun `watching gives the rows now and after each change`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.put(person(40))
            val seen = async { withTimeout(10_000) { people.where(Person::age).above(30).watch().take(3).toList() } }
            while (db.stats().commits < 1) Thread.onSpinWait()
            launch {
                people.where(Person::age).above(30).watch().first()
                people.put(person(41))
                people.where(Person::age).above(30).watch().first { it.size == 2 }
                people.put(person(42))
            }
            val rows = seen.await()
            assertEquals(setOf(40, 41, 42).size, rows.last().size.coerceAtLeast(3))
        }
    }

    @Test
    fun `kinds of its own are stored as such`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val events = db.collection("events", key = Event::id)
            val id = Uuid.fromString("00112233-4455-6677-8899-aabbccddeeff")
            val at = Instant.parse("2026-11-21T10:00:00.123456Z")
            events.put(Event(id, at, byteArrayOf(1, 2, -1), mapOf("a" to 0.5, "b" to 1e300)))
            val found = events.get(id)!!
            assertEquals(at, found.at)
            assertArrayEquals(byteArrayOf(1, 2, -1), found.payload)
            assertEquals(mapOf("a" to 0.5, "b" to 1e300), found.weights)
        }
    }

    @Test
    fun `errors have classes and fields`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = people(db)
            people.put(person(1))
            val taken = assertThrows(LightningException.DuplicateKey::class.java) {
                people.blocking.put(person(2).copy(email = "1@example.org"))
            }
            assertEquals("email", taken.fields["index"])
            assertThrows(LightningException.Unexpected::class.java) { people.blocking.insert(person(1)) }
            val wrong = assertThrows(IllegalArgumentException::class.java) {
                runBlocking { db.collection("wrong", key = Person::id) { index("years") } }
            }
            assertTrue("years" in wrong.message!!)
            db.close()
            assertThrows(LightningException.Closed::class.java) { people.blocking.get(1) }
        }
    }

    @Test
    fun `what was written is there after it was closed`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        Database.open(path).use { db -> people(db).putMany((1..100).map(::person)) }
        Database.open(path).use { db ->
            assertEquals(100, db.existingCollection<Person>("people").count())
            assertTrue(db.verify().problems.isEmpty())
            db.backup(folder.resolve("copy.ldb"))
        }
        Database.open(folder.resolve("copy.ldb")).use { db -> assertEquals(person(7), people(db).get(7)) }
    }
}
