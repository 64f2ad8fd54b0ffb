package dev.lightningdb

import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.random.Random

/** A Java that writes is killed (SIGKILL); what it was told is there, is there. */
class KillTest {
    private fun person(id: Int, round: Int) = Person(id, "person $id of round $round", id % 90, "$id@example.org")

    private fun kill(path: Path, rounds: Int) {
        val random = Random(rounds)
        val acknowledged = HashMap<Int, Int>()
        repeat(rounds) { round ->
            val process = writer(path, round)
            val enough = random.nextInt(20, 250)
            val begun = HashSet<Int>()
            process.inputStream.bufferedReader().useLines { lines ->
                for (line in lines) {
                    val (what, id) = line.split(' ')
                    if (what == "begin") begun += id.toInt() else acknowledged[id.toInt()] = round
                    if (what == "done" && begun.size >= enough) process.toHandle().destroyForcibly()
                }
            }
            assertTrue(process.waitFor() != 0, "it ended before it was killed")
            runBlocking { check(path, acknowledged, begun, round) }
        }
    }

    private suspend fun check(path: Path, acknowledged: MutableMap<Int, Int>, begun: Set<Int>, round: Int) = Database.open(path).use { db ->
        val people = db.existingCollection<Person>("people")
        val found = people.query().toList().associateBy(Person::id)
        for ((id, of) in acknowledged) {
            val person = found[id] ?: error("person $id was acknowledged in round $of, and is not there after round $round")
            // One that was begun again may be there already.
            assertTrue(person == person(id, of) || (id in begun && person == person(id, round)), "$person, and round $of was acknowledged")
        }
        // Nor is what was found lost in a later round, though nobody was told.
        for (id in begun) if (found[id] == person(id, round)) acknowledged[id] = round
        assertEquals(found.size.toLong(), people.where(Person::age).from(0).count())
        assertTrue(db.verify().problems.isEmpty())
    }

    private fun writer(path: Path, round: Int): Process {
        val java = Path.of(System.getProperty("java.home"), "bin", "java").toString()
        val command = listOf(java, "-cp", System.getProperty("java.class.path"), "dev.lightningdb.KillTest", path.toString(), "$round")
        return ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }

    @Test
    fun `nothing that was acknowledged is lost`(@TempDir folder: Path) = kill(folder.resolve("app.ldb"), 2)

    @Test
    @Tag("long")
    fun `nothing that was acknowledged is lost in many rounds`(@TempDir folder: Path) = kill(folder.resolve("app.ldb"), 40)

    companion object {
        /** Writes, each write by itself or in a transaction, until it is killed. */
        @JvmStatic
        fun main(arguments: Array<String>): Unit = runBlocking {
            val round = arguments[1].toInt()
            val db = Database.open(arguments[0])
            val people = db.collection("people", key = Person::id) { index(Person::age); unique(Person::email) }
            val test = KillTest()
            val random = Random(round * 1000)
            while (true) {
                val id = random.nextInt(300)
                println("begin $id")
                if (id % 3 == 0) db.transaction { it.collection(people).put(test.person(id, round)) } else people.put(test.person(id, round))
                println("done $id")
                System.out.flush()
            }
        }
    }
}
