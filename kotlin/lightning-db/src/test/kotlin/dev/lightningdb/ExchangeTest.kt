package dev.lightningdb

import kotlinx.coroutines.runBlocking
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path
import java.time.Instant

/** Files that one language writes are read by the others: Kotlin, the shell and Node. */
@Tag("long")
class ExchangeTest {
    @Serializable
    data class Town(
        val id: Int,
        val name: String,
        val people: Long,
        val share: Double,
        val tags: List<String>,
        @Serializable(InstantSerializer::class) val founded: Instant,
        val mayor: String? = null,
    )

    private val towns = listOf(
        Town(1, "Tampere", 202_687, 0.5, listOf("lake", "rapids"), Instant.parse("1779-10-01T00:00:00Z"), "Anna"),
        Town(2, "Zürich", 9_007_199_254_740_993, 1e300, emptyList(), Instant.parse("2026-11-22T01:02:03.000004Z")),
        Town(-3, "東京", -1, -0.25, listOf("ß"), Instant.EPOCH, ""),
    )

    private fun run(vararg command: String): String {
        val process = ProcessBuilder(*command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        val text = process.inputStream.readAllBytes().decodeToString()
        assertEquals(0, process.waitFor(), command.joinToString(" "))
        return text
    }

    private fun shell(vararg arguments: String) = run(System.getProperty("lightning.shell"), *arguments)

    /** Node with the package, in which `db` is this database. */
    private fun node(path: Path, program: String) = run(
        "node", "--input-type=module", "--eval",
        "import { open } from '${Path.of(System.getProperty("lightning.node")).toUri()}'\n" +
            "const db = await open('$path', { storage: 'file' })\n$program\nawait db.close()\n",
    )

    private fun write(path: Path) = runBlocking {
        Database.open(path).use { db -> db.collection("towns", key = Town::id) { index(Town::people); unique(Town::name) }.putMany(towns) }
    }

    @Test
    fun `the shell reads what Kotlin wrote, and Kotlin what the shell wrote`(@TempDir folder: Path) {
        val path = folder.resolve("towns.ldb")
        write(path)
        val rows = shell("--json", "scan", path.toString(), "towns").trim().lines().map { Json.parseToJsonElement(it).jsonObject }
        assertEquals(setOf("Tampere", "Zürich", "東京"), rows.map { (it["value"] ?: it).jsonObject.getValue("name").jsonPrimitive.content }.toSet())
        shell("check", path.toString())
        val more = folder.resolve("more.jsonl")
        Files.writeString(more, """{"id":4,"name":"Ål","people":7,"share":2,"tags":["a"],"founded":0}""" + "\n")
        shell("import", path.toString(), "towns", more.toString(), "--key", "id")
        runBlocking {
            Database.open(path).use { db ->
                val there = db.existingCollection<Town>("towns")
                assertEquals(towns.toSet() + Town(4, "Ål", 7, 2.0, listOf("a"), Instant.EPOCH), there.query().toList().toSet())
                assertEquals("Ål", there.where(Town::people).between(1, 10).firstOrNull()?.name)
                assertEquals("people", there.where(Town::people).eq(7).explain().index)
            }
        }
    }

    @Test
    fun `what Kotlin encrypted the shell opens, and Kotlin what the shell encrypted`(@TempDir folder: Path) {
        val (path, key, words) = listOf("towns.ldb", "key", "words").map(folder::resolve)
        val bytes = ByteArray(32) { (it * 7).toByte() }
        Files.writeString(key, bytes.joinToString("") { "%02x".format(it) })
        Files.writeString(words, "pässphrase")
        val options = Options(key = EncryptionKey.Raw(bytes), encryption = Encryption.ChaCha20Poly1305)
        runBlocking {
            Database.open(path, options).use { db ->
                db.collection("towns", key = Town::id).putMany(towns)
                db.keys.add(EncryptionKey.Passphrase("pässphrase"))
            }
        }
        for (file in listOf(key, words)) {
            assertEquals("3", shell("count", path.toString(), "towns", "--key-file", file.toString()).trim())
        }
        val theirs = folder.resolve("theirs.ldb")
        shell("put", theirs.toString(), "notes", "today", "nobody reads this", "--key-file", words.toString())
        runBlocking {
            Database.open(theirs, Options(key = EncryptionKey.Passphrase("pässphrase".toCharArray()))).use { db ->
                assertEquals(listOf(KeyKind.Passphrase), db.keys.list().map { it.kind })
                assertEquals(listOf("notes"), db.tables().map { it.name })
                db.keys.rotate(0, EncryptionKey.Raw(bytes))
            }
        }
        assertEquals("nobody reads this", shell("get", theirs.toString(), "notes", "today", "--key-file", key.toString()).trim())
    }

    @Test
    fun `Node reads what Kotlin wrote, and Kotlin what Node wrote`(@TempDir folder: Path) {
        val path = folder.resolve("towns.ldb")
        write(path)
        val said = node(
            path,
            """
            const towns = db.collection('towns')
            const tampere = await towns.get(1)
            if (tampere.founded.toISOString() !== '1779-10-01T00:00:00.000Z') throw new Error(String(tampere.founded))
            if ((await towns.getBy('name', 'Zürich')).people !== 9007199254740993n) throw new Error('not exact')
            await towns.put({ id: 5, name: 'Vaasa', people: 68000, share: 0.125, tags: ['sea'], founded: new Date(86400000), mayor: null })
            console.log((await towns.where('people').above(100).orderBy('people').toArray()).map(t => t.name).join())
            """.trimIndent(),
        )
        assertEquals("Vaasa,Tampere,Zürich", said.trim())
        runBlocking {
            Database.open(path).use { db ->
                val there = db.existingCollection<Town>("towns")
                assertEquals(Town(5, "Vaasa", 68_000, 0.125, listOf("sea"), Instant.ofEpochSecond(86400)), there.get(5))
                assertEquals(towns.toSet(), there.query().toList().filter { it.id != 5 }.toSet())
                assertTrue(db.verify().problems.isEmpty())
            }
        }
    }

    @Test
    fun `a database that the shell froze takes nothing from Kotlin and Node until it is thawed`(@TempDir folder: Path) {
        val path = folder.resolve("towns.ldb")
        write(path)
        shell("mode", path.toString(), "read-only")
        val puts = """
            const put = () => db.collection('towns').put({ id: 5, name: 'Vaasa', people: 68000, share: 0, tags: [], founded: new Date(0), mayor: null })
            console.log(await put().then(() => 'put', error => error.code), await db.collection('towns').count())
        """.trimIndent()
        assertEquals("ReadOnly 3", node(path, puts).trim())
        runBlocking {
            Database.open(path).use { db ->
                assertEquals(Mode.ReadOnly, db.mode)
                val there = db.existingCollection<Town>("towns").blocking
                assertThrows(LightningException.ReadOnly::class.java) { there.put(towns[0]) }
            }
        }
        shell("mode", path.toString(), "normal")
        assertEquals("put 4", node(path, puts).trim())
    }
}
