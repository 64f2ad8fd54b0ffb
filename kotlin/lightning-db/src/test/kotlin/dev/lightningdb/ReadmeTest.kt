package dev.lightningdb

import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path
import java.security.SecureRandom

/** The programs of README.md, as they are there. */
class ReadmeTest {
    @Serializable
    data class Person(val id: Int, val name: String, val age: Int, val email: String? = null)

    @Serializable
    data class Name(val id: Int, val name: String)

    @Test
    fun `the programs do what they say`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("people.ldb")
        Database.open(path).use { db ->
            val people = db.collection("people", key = Person::id) { index(Person::age); unique(Person::email) }
            people.put(Person(1, "Ada", 36, "ada@example.org"))
            people.put(Person(2, "Grace", 85))
            people.update(2) { set(Person::email, "grace@example.org"); increment(Person::age, 1) }

            val ada = people.get(1)
            val grace = people.getBy("email", "grace@example.org")
            people.where(Person::age).from(30).orderBy(Person::age).limit(10).asFlow().collect { println(it.name) }

            assertEquals(listOf(36, 86), listOf(ada?.age, grace?.age))
        }
        Database.open(path).use { db ->
            val people = db.existingCollection<Person>("people")
            db.transaction { tx ->
                val inside = tx.collection(people)
                val (ada, grace) = inside.getMany(listOf(1, 2)).map(::checkNotNull)
                inside.put(ada.copy(age = grace.age))
                inside.put(grace.copy(age = ada.age))
            }
            assertEquals(86, people.get(1)?.age)

            val shown = mutableListOf<List<String>>()
            runCatching {
                coroutineScope {
                    fun render(rows: List<Person>) {
                        shown += rows.map(Person::name)
                        cancel()
                    }
                    people.where(Person::age).above(80).watch().collect { rows -> render(rows) }
                }
            }
            assertEquals(listOf(listOf("Ada")), shown)

            val names = people.where(Person::age).above(30).select<Name>().toList()
            assertEquals(setOf(Name(1, "Ada"), Name(2, "Grace")), names.toSet())

            try {
                people.insert(Person(3, "Ida", 20, "ada@example.org"))
            } catch (taken: LightningException.DuplicateKey) {
                println("taken: ${taken.fields["index"]}")
            }
            assertEquals(2, people.count())

            val passphrase = "correct horse battery staple".toCharArray()
            val secret = Database.open(folder.resolve("secret.ldb"), Options(key = EncryptionKey.Passphrase(passphrase)))
            passphrase.fill(' ')
            val slot = secret.keys.add(EncryptionKey.Raw(ByteArray(32).also(SecureRandom()::nextBytes)))
            secret.keys.remove(slot)
            assertEquals(listOf(KeyKind.Passphrase), secret.keys.list().map { it.kind })
            secret.close()

            db.backup(folder.resolve("backup.ldb"))
            Database.restore(folder.resolve("backup.ldb"), folder.resolve("restored.ldb"))
            db.createSnapshot("before import")
            db.snapshot("before import").use { before -> println(before.collection(people).count()) }
            for (finding in db.health().findings) println("${finding.name}: ${finding.cause}; ${finding.remedy}")

            val newer = db.collection("people", key = Person::id) {
                version = 3
                migrate(from = 1) { fields -> fields.putIfAbsent("name", "nobody") }
                migrateBy(from = 2) { set("seen", 0) }
            }
            assertEquals(2, newer.where("seen").eq(0).count())

            AppLife.entersBackground()
            AppLife.trimMemory(TrimLevel.All)
        }
        val tested = Database.forTests()
        tested.setClock(ms = 1_000)
        tested.close()
    }

    @Test
    fun `they are the same there and here`() {
        val kotlin = Path.of(System.getProperty("lightning.repository"), "kotlin")
        val here = lines(Files.readString(kotlin.resolve("lightning-db/src/test/kotlin/dev/lightningdb/ReadmeTest.kt")))
        val programs = Files.readString(kotlin.resolve("README.md")).split("```kotlin\n").drop(1).map { lines(it.substringBefore("```")) }
        assertEquals(PROGRAMS, programs.size)
        for (program in programs.flatMap { it.split("\n}\n") }) assertTrue(program.removeSuffix("\n}") in here, program)
    }

    /** Without what is before and behind each line. */
    private fun lines(text: String) = text.lines().map(String::trim).filter(String::isNotEmpty).joinToString("\n")

    private companion object {
        const val PROGRAMS = 12
    }
}
