package dev.lightningdb

import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path

/** What is opened is given back, whether it was closed or forgotten. */
class LeaksTest {
    private fun person(id: Int) = Person(id, "person $id", id % 90, "$id@example.org")

    /** Memory of the process that Java's heap does not have, in KiB. */
    private fun outsideKiB(): Long {
        System.gc()
        val memory = Files.readAllLines(Path.of("/proc/self/status")).first { it.startsWith("RssAnon") }.filter(Char::isDigit).toLong()
        return memory - Runtime.getRuntime().totalMemory() / 1024
    }

    private fun openFiles(): Int = Path.of("/proc/self/fd").toFile().list()!!.size

    private suspend fun useAll(db: Database) {
        val people = db.collection("people", key = Person::id) { index(Person::age) }
        people.putMany((1..20).map(::person))
        people.query().asFlow().first()
        people.where(Person::age).above(3).watch().take(1).toList()
        db.snapshot().use { it.collection(people).get(1) }
        db.transaction { tx -> tx.collection(people).put(person(21)) }
        db.changes(FeedStart.Now)
        runCatching { people.blocking.insert(person(1)) }
    }

    private fun opens(folder: Path, times: Int) = runBlocking {
        repeat(times) { time -> Database.open(folder.resolve("app-${time % 4}.ldb")).use { useAll(it) } }
    }

    private fun check(folder: Path, times: Int) {
        opens(folder, 50)
        val (files, memory) = openFiles() to outsideKiB()
        opens(folder, times)
        assertTrue(openFiles() <= files + 5, "${openFiles()} files are open, $files before")
        val more = outsideKiB() - memory
        assertTrue(more < 24 * 1024, "$more KiB more than before")
    }

    @Test
    fun `a database that is opened and closed often leaves nothing`(@TempDir folder: Path) = check(folder, 150)

    @Test
    @Tag("long")
    fun `a database that is opened and closed thousands of times leaves nothing`(@TempDir folder: Path) = check(folder, 5000)

    @Test
    fun `what is forgotten is given back when it is collected`(@TempDir folder: Path): Unit = runBlocking {
        Database.open(folder.resolve("app.ldb")).use { db ->
            useAll(db)
            val people = db.existingCollection<Person>("people")
            repeat(200) {
                people.query().asFlow().first()
                db.existingCollection<Person>("people").blocking.get(1)
                db.transaction { tx -> tx.collection(people).get(1) }
            }
            // Snapshots keep versions from being given back, so none may be left.
            assertEquals(0, db.stats().snapshots)
        }
    }

    @Test
    fun `a flow that is left early closes its cursor`(): Unit = runBlocking {
        Database.inMemory().use { db ->
            val people = db.collection("people", key = Person::id)
            people.putMany((1..5000).map(::person))
            repeat(100) { assertEquals(3, people.query().asFlow().take(3).toList().size) }
            assertEquals(0, db.stats().snapshots)
            runCatching { people.query().asFlow().collect { error("enough") } }
            assertEquals(0, db.stats().snapshots)
        }
    }
}
