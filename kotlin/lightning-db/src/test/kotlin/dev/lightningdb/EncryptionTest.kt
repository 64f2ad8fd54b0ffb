package dev.lightningdb

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.IOException
import java.nio.file.Files
import java.nio.file.Path

/** Databases that nobody reads without a key. */
class EncryptionTest {
    private fun raw(byte: Int) = EncryptionKey.Raw(ByteArray(32) { byte.toByte() })

    private inline fun <reified E : Throwable> fails(crossinline body: suspend () -> Unit): E =
        assertThrows(E::class.java) { runBlocking { body() } }

    private suspend fun Database.fill(): Database = apply { table("secrets", KeyType.Long, ValueType.Text).put(1, "nobody reads this") }

    private suspend fun Database.read() = table("secrets", KeyType.Long, ValueType.Text).get(1)

    /** Turns the bits, and knows its own by the last byte. */
    private open class Turning(private val mark: Byte = 7) : KeyProvider {
        val asked = mutableListOf<ByteArray>()

        override fun wrap(key: ByteArray): ByteArray = ByteArray(key.size + 1) { at -> if (at < key.size) key[at].toInt().inv().toByte() else mark }
            .also { asked += key }

        override fun unwrap(wrapped: ByteArray): ByteArray? =
            if (wrapped.last() != mark) null else ByteArray(wrapped.size - 1) { wrapped[it].toInt().inv().toByte() }.also { asked += it }
    }

    @Test
    fun `an encrypted database opens with its key alone`(@TempDir folder: Path): Unit = runBlocking {
        val (path, plain) = folder.resolve("app.ldb") to folder.resolve("plain.ldb")
        for (encryption in Encryption.entries) {
            val own = folder.resolve("$encryption.ldb")
            Database.open(own, Options(key = raw(1), encryption = encryption)).use { it.fill() }
            Database.open(own, Options(key = raw(1))).use { assertEquals("nobody reads this", it.read()) }
        }
        Database.open(path, Options(key = raw(1))).use { db ->
            db.fill()
            // Whoever opens it beside needs a key, too.
            for (wrong in listOf(null, raw(2))) fails<LightningException.WrongKey> { Database.open(path, Options(key = wrong)) }
            Database.open(path, Options(key = raw(1))).use { assertEquals("nobody reads this", it.read()) }
            assertEquals(listOf(KeyKind.Raw), db.keys.list().map { it.kind })
        }
        val none = fails<LightningException.WrongKey> { Database.open(path) }
        assertTrue("encrypted" in none.message!!, none.message)
        fails<LightningException.WrongKey> { Database.open(path, Options(key = raw(2))) }
        for (suffix in listOf("", "-log")) {
            assertFalse("nobody reads" in String(Files.readAllBytes(Path.of("$path$suffix")), Charsets.ISO_8859_1))
        }
        Database.open(plain).close()
        val needless = fails<LightningException.WrongKey> { Database.open(plain, Options(key = raw(1))) }
        assertTrue("not encrypted" in needless.message!!, needless.message)
        fails<LightningException.Invalid> { Database.open(path, Options(key = EncryptionKey.Raw(ByteArray(31)))) }
        fails<LightningException.Invalid> { Database.open(path, Options(key = EncryptionKey.Passphrase(""))) }
        fails<IllegalArgumentException> { Database.open(path, Options(key = EncryptionKey.Passphrase("\ud800"))) }
    }

    @Test
    fun `nothing secret is in what is printed`() {
        val keys = listOf(raw(1), EncryptionKey.Passphrase("open sesame"), EncryptionKey.Provider(Turning()))
        assertEquals("EncryptionKey.Raw(..)EncryptionKey.Passphrase(..)EncryptionKey.Provider(..)", keys.joinToString(""))
        val wrong = fails<LightningException.WrongKey> {
            Database.forTests().use { it.keys.add(EncryptionKey.Passphrase("open sesame")) }
        }
        assertFalse("sesame" in Options(key = keys[1]).toString() + wrong)
    }

    @Test
    fun `keys are added, rotated and removed`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        val passphrase = "pässphrase".toCharArray()
        Database.open(path, Options(key = raw(1))).use { db ->
            db.fill()
            assertEquals(1, db.keys.add(EncryptionKey.Passphrase(passphrase)))
            passphrase.fill('\u0000')
            assertEquals(2, db.keys.rotate(0, EncryptionKey.Provider(Turning())))
            assertEquals(listOf(1 to KeyKind.Passphrase, 2 to KeyKind.Provider), db.keys.list().map { it.slot to it.kind })
            assertTrue(db.keys.list().all { it.addedMs > 1_600_000_000_000 })
            fails<LightningException.Invalid> { db.keys.rotate(0, raw(2)) }
        }
        fails<LightningException.WrongKey> { Database.open(path, Options(key = raw(1))) }
        for (key in listOf(EncryptionKey.Passphrase("pässphrase"), EncryptionKey.Provider(Turning()))) {
            Database.open(path, Options(key = key)).use { assertEquals("nobody reads this", it.read()) }
        }
        Database.inMemory().use { db -> assertTrue(db.keys.list().isEmpty()) }
    }

    @Test
    fun `whoever keeps the key is asked, and what it throws is thrown`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        val keeper = Turning()
        Database.open(path, Options(key = EncryptionKey.Provider(keeper))).use { it.fill() }
        Database.open(path, Options(key = EncryptionKey.Provider(keeper))).use { assertEquals("nobody reads this", it.read()) }
        // What it was given, and what it gave, is wiped.
        assertEquals(listOf(32, 32), keeper.asked.map { it.size })
        assertTrue(keeper.asked.all { key -> key.all { it == 0.toByte() } })
        fails<LightningException.WrongKey> { Database.open(path, Options(key = EncryptionKey.Provider(Turning(mark = 8)))) }

        val away = IOException("the service is away")
        val failing = object : Turning() {
            override fun unwrap(wrapped: ByteArray): ByteArray = throw away
        }
        assertSame(away, fails<IOException> { Database.openBlocking(path, Options(key = EncryptionKey.Provider(failing))) })
        assertTrue(away.suppressed.single() is LightningException.WrongKey)
        val locked = object : Turning() {
            override fun unwrap(wrapped: ByteArray): ByteArray = throw LightningException.ProtectedDataUnavailable("unlock the device")
        }
        val later = fails<LightningException.ProtectedDataUnavailable> { Database.open(path, Options(key = EncryptionKey.Provider(locked))) }
        assertTrue(later.isRetryable && later.message == "unlock the device", later.message)
        // It may use databases itself, of other threads, too.
        val nested = object : Turning() {
            override fun unwrap(wrapped: ByteArray): ByteArray? {
                Database.openBlocking(folder.resolve("other.ldb")).close()
                return super.unwrap(wrapped)
            }
        }
        Database.open(path, Options(key = EncryptionKey.Provider(nested))).use { db ->
            assertEquals("nobody reads this", db.read())
            // On a thread that the virtual machine does not know yet.
            repeat(3) { db.keys.add(EncryptionKey.Provider(nested)) }
            assertEquals(4, db.keys.list().size)
        }
    }

    @Test
    fun `backups open with the keys of their database`(@TempDir folder: Path): Unit = runBlocking {
        val (backup, restored) = folder.resolve("backup.ldb") to folder.resolve("restored.ldb")
        Database.open(folder.resolve("app.ldb"), Options(key = raw(1))).use { db ->
            db.fill()
            db.backup(backup)
        }
        for (wrong in listOf(null, raw(2))) fails<LightningException.WrongKey> { Database.restore(backup, restored, key = wrong) }
        assertTrue(Database.restore(backup, restored, key = raw(1)).problems.isEmpty())
        Database.open(restored, Options(key = raw(1))).use { assertEquals("nobody reads this", it.read()) }
    }

    @Test
    fun `everything is encrypted anew, and who is cancelled leaves the rest to the background`(@TempDir folder: Path): Unit = runBlocking {
        val path = folder.resolve("app.ldb")
        val told = mutableListOf<Reencryption>()
        Database.open(path, Options(key = raw(1))).use { db ->
            db.fill()
            db.keys.add(raw(2))
            val cancelled = launch {
                val own = currentCoroutineContext().job
                db.keys.reencrypt(raw(3)) { own.cancel(CancellationException("enough")) }
            }
            cancelled.join()
            assertEquals(listOf(0), db.keys.list().map { it.slot })
            db.keys.finishReencryption { told += it }
            assertNull(db.keys.reencryption())
            assertEquals("nobody reads this", db.read())
        }
        assertTrue(told.all { it.stage.isNotEmpty() })
        for (old in listOf(1, 2)) fails<LightningException.WrongKey> { Database.open(path, Options(key = raw(old))) }
        Database.open(path, Options(key = raw(3))).use { assertEquals("nobody reads this", it.read()) }
    }
}
