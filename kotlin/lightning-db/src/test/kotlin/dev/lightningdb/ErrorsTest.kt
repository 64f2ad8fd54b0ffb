package dev.lightningdb

import kotlinx.coroutines.runBlocking
import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path

class ErrorsTest {
    @Serializable
    class Other(val id: Int, val name: List<Int>)

    private inline fun <reified E : Throwable> fails(crossinline body: suspend () -> Unit): E =
        assertThrows(E::class.java) { runBlocking { body() } }

    @Test
    fun `each error of the table has a class of its name`() {
        val text = Files.readString(Path.of(System.getProperty("lightning.repository"), "docs/errors.md"))
        // What follows belongs to one language each.
        val table = text.substringBefore("\n## In ").lines()
        val rows = table.mapNotNull { Regex("""^\| `(\w+)` \|.*\| (yes|no) \|[^|]*\|$""").matchEntire(it)?.destructured }
        assertTrue(rows.size > 20, "$rows")
        for ((name, again) in rows) {
            val error = LightningException.of(name, "text", mapOf("a" to "b"))
            assertEquals(name, error::class.simpleName)
            assertEquals(listOf(name, "text", "b"), listOf(error.name, error.message, error.fields["a"]))
            assertEquals(again == "yes", error.isRetryable, name)
        }
        assertInstanceOf(LightningException.Internal::class.java, LightningException.of("Unheard", "text", emptyMap()))
    }

    @Test
    fun `files that are no databases, or not there, say so`(@TempDir folder: Path) {
        val text = folder.resolve("text.ldb")
        Files.writeString(text, "this is no database, but a text ".repeat(1000))
        assertTrue("text.ldb" in fails<LightningException.NotADatabase> { Database.open(text) }.message!!)
        assertTrue("none.ldb" in fails<LightningException> { Database.open(folder.resolve("none.ldb"), Options(create = false)) }.message!!)
        assertTrue("no/such" in fails<LightningException> { Database.open(folder.resolve("no/such/folder/a.ldb")) }.message!!)
    }

    @Test
    fun `damage is an error, never data`(@TempDir folder: Path) {
        val path = folder.resolve("app.ldb")
        runBlocking {
            Database.open(path).use { db ->
                val people = db.collection("people", key = Person::id)
                people.putMany((1..3000).map { Person(it, "person $it ".repeat(5), 1) })
            }
            val bytes = Files.readAllBytes(path)
            for (at in 8192 until bytes.size step 5000) bytes[at] = (bytes[at].toInt() xor 0x55).toByte()
            Files.write(path, bytes)
            fails<LightningException.Corrupt> {
                Database.open(path).use { db -> db.existingCollection<Person>("people").query().toList() }
            }
        }
    }

    @Test
    fun `documents that do not fit their type say what was expected`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            db.collection("people", key = Person::id).put(Person(1, "Ada", 36))
            val others = db.existingCollection<Other>("people")
            val wrong = assertThrows(RuntimeException::class.java) { others.blocking.get(1) }
            assertTrue("array" in wrong.message!!, wrong.message)
        }
    }

    @Test
    fun `a read-only database refuses to be written to`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        Database.open(path).use { it.collection("people", key = Person::id).put(Person(1, "Ada", 36)) }
        Database.open(path, Options(readOnly = true)).use { db ->
            val people = db.existingCollection<Person>("people")
            assertEquals("Ada", people.get(1)?.name)
            fails<LightningException.ReadOnly> { people.put(Person(2, "Grace", 85)) }
        }
    }

    @Test
    fun `another definition of what is there is refused`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            db.collection("people", key = Person::id) { index(Person::age, name = "one") }
            fails<LightningException.SchemaMismatch> { db.collection("people", key = Person::id) { index(Person::name, name = "one") } }
            db.table("numbers", KeyType.Text, ValueType.Long)
            fails<LightningException.TableTypeMismatch> { db.table("numbers", KeyType.Text, ValueType.Text) }
            fails<LightningException.NoSuchTable> { db.existingCollection<Person>("nobody") }
            fails<IllegalArgumentException> { db.existingCollection<Person>("people").query().select("years") }
        }
    }

    @Test
    fun `what was closed stays closed`(): Unit = runBlocking {
        val db = Database.inMemory()
        val people = db.collection("people", key = Person::id)
        people.putMany((1..2000).map { Person(it, "person $it", 1) })
        val snapshot = db.snapshot()
        db.close()
        db.close()
        for (call in listOf<suspend () -> Any?>(
            { people.get(1) }, { people.put(Person(1, "Ada", 36)) }, { people.query().toList() }, { people.count() }, { db.stats() },
            { snapshot.collection(people).get(1) }, { db.transaction { } }, { db.snapshot() }, { people.query().watch().collect { } },
            { db.collection("other", key = Person::id) }, { db.table("other") },
        )) fails<LightningException.Closed> { call() }
        snapshot.close()
    }
}
