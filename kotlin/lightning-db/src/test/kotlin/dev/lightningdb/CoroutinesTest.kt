package dev.lightningdb

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

/** Many coroutines at once, and coroutines that are cancelled. */
class CoroutinesTest {
    private fun person(id: Int, age: Int = 0) = Person(id, "person $id", age)

    /** Money that is only moved is neither made nor lost, whoever looks. */
    private fun move(path: Path, coroutines: Int, moves: Int) = runBlocking {
        Database.open(path, Options(durability = Durability.Relaxed)).use { db ->
            val people = db.collection("people", key = Person::id) { index(Person::age) }
            people.putMany((0 until 20).map { person(it, 100) })
            coroutineScope {
                val looking = launch(Dispatchers.Default) {
                    people.query().watch().collect { rows -> assertEquals(2000, rows.sumOf(Person::age)) }
                }
                withContext(Dispatchers.Default) {
                    List(coroutines) { one ->
                        async {
                            var done = 0
                            while (done < moves) {
                                try {
                                    db.transaction { tx ->
                                        val inside = tx.collection(people)
                                        val (from, to) = (one * 7 + done) % 20 to (one * 3 + done * 11 + 1) % 20
                                        if (from == to) return@transaction
                                        inside.put(inside.get(from)!!.let { it.copy(age = it.age - 1) })
                                        inside.put(inside.get(to)!!.let { it.copy(age = it.age + 1) })
                                    }
                                    done++
                                } catch (conflict: LightningException) {
                                    assertTrue(conflict.isRetryable, conflict.message)
                                }
                                assertEquals(2000, people.query().toList().sumOf(Person::age))
                            }
                            done
                        }
                    }.awaitAll().also { assertEquals(coroutines * moves, it.sum()) }
                }
                looking.cancelAndJoin()
            }
            assertEquals(2000, people.query().toList().sumOf(Person::age))
            assertTrue(db.verify().problems.isEmpty())
        }
    }

    @Test
    fun `what many coroutines move stays as much`(@TempDir folder: Path) = move(folder.resolve("app.ldb"), 16, 5)

    @Test
    @Tag("long")
    fun `what hundreds of coroutines move stays as much`(@TempDir folder: Path) = move(folder.resolve("app.ldb"), 300, 20)

    @Test
    fun `thousands of coroutines put, each its own`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = db.collection("people", key = Person::id)
            coroutineScope { repeat(2000) { launch(Dispatchers.Default) { people.put(person(it)) } } }
            assertEquals(2000, people.count())
        }
    }

    @Test
    fun `a transaction whose coroutine is cancelled is undone`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = db.collection("people", key = Person::id)
            val written = CompletableDeferred<Unit>()
            val job = launch {
                db.transaction { tx ->
                    tx.collection(people).put(person(1))
                    written.complete(Unit)
                    CompletableDeferred<Unit>().await()
                }
            }
            written.await()
            job.cancelAndJoin()
            assertNull(people.get(1))
            // Nobody waits for what it held.
            db.transaction { tx -> tx.collection(people).put(person(1)) }
            assertEquals(person(1), people.get(1))
        }
    }

    @Test
    fun `a watch ends with its coroutine, and with its database`(): Unit = runBlocking {
        val db = Database.inMemory()
        val people = db.collection("people", key = Person::id)
        val begun = CompletableDeferred<Unit>()
        val cancelled = launch(Dispatchers.Default) { people.query().watch().collect { begun.complete(Unit) } }
        begun.await()
        withTimeout(10_000) { cancelled.cancelAndJoin() }
        val watching = async(Dispatchers.Default) { runCatching { people.query().watch().collect { db.close() } } }
        val end = withTimeout(10_000) { watching.await() }.exceptionOrNull()
        assertTrue(end is LightningException.Closed, "$end")
    }

    @Test
    fun `a timeout is a cancellation, not an error of the database`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = db.collection("people", key = Person::id)
            assertThrows(CancellationException::class.java) {
                runBlocking { withTimeout(50) { people.query().watch().first { it.isNotEmpty() } } }
            }
        }
    }
}
