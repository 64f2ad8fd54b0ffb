package dev.lightningdb.android

import android.app.Application
import dev.lightningdb.EncryptionKey
import dev.lightningdb.KeyKind
import dev.lightningdb.KeyType
import dev.lightningdb.LightningException
import dev.lightningdb.Options
import dev.lightningdb.ValueType
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.SecureRandom
import java.security.Security
import java.security.UnrecoverableKeyException
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey
import javax.crypto.spec.SecretKeySpec

/** With Android's own `KeyGenParameterSpec`; the Keystore, which is the system's, is stood in for. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class AndroidKeystoreTest {
    private val application: Application get() = RuntimeEnvironment.getApplication()

    @Before
    fun start() {
        keys.clear()
        Security.addProvider(StandIn)
    }

    @After
    fun end() = Security.removeProvider(StandIn.name)

    private fun options(alias: String) = Options(key = EncryptionKey.Provider(AndroidKeystore(alias)))

    @Test
    fun `a database opens by the key of its alias`(): Unit = runBlocking {
        application.openLightningDatabase("notes", options("notes")).use { db ->
            db.table("rows", KeyType.Long, ValueType.Text).put(1, "nobody reads this")
            assertEquals(listOf(KeyKind.Provider), db.keys.list().map { it.kind })
        }
        assertEquals(setOf("notes"), keys.keys)
        application.openLightningDatabase("notes", options("notes")).use { db ->
            assertEquals("nobody reads this", db.table("rows", KeyType.Long, ValueType.Text).get(1))
            db.keys.add(EncryptionKey.Provider(AndroidKeystore("other")))
        }
        keys.remove("notes")
        application.openLightningDatabase("notes", options("other")).close()
        val gone = assertThrows(UnrecoverableKeyException::class.java) {
            runBlocking { application.openLightningDatabase("notes", options("notes")) }
        }
        assertTrue(gone.message!!, "'notes'" in gone.message!!)
        keys["notes"] = SecretKeySpec(ByteArray(32), "AES")
        assertThrows(LightningException.WrongKey::class.java) { runBlocking { application.openLightningDatabase("notes", options("notes")) } }
    }

    private companion object {
        val keys = mutableMapOf<String, SecretKey>()

        object StandIn : Provider("AndroidKeyStore", "1", "stands in for the system's") {
            private fun readResolve(): Any = StandIn

            init {
                put("KeyStore.AndroidKeyStore", Store::class.java.name)
                put("KeyGenerator.AES", Generator::class.java.name)
            }
        }
    }

    class Generator : KeyGeneratorSpi() {
        private var specification: AlgorithmParameterSpec? = null

        override fun engineInit(parameters: AlgorithmParameterSpec, random: SecureRandom?) {
            specification = parameters
        }

        override fun engineGenerateKey(): SecretKey {
            assertEquals("KeyGenParameterSpec", specification!!.javaClass.simpleName)
            assertEquals(listOf("GCM"), asked<Array<String>>("BlockModes").toList())
            assertEquals(listOf("NoPadding"), asked<Array<String>>("EncryptionPaddings").toList())
            assertEquals(listOf(256, 3), listOf(asked<Int>("KeySize"), asked<Int>("Purposes")))
            val key = SecretKeySpec(ByteArray(32).also(SecureRandom()::nextBytes), "AES")
            return key.also { keys[asked("KeystoreAlias")] = it }
        }

        /** What these tests are compiled with is older than the specification. */
        @Suppress("UNCHECKED_CAST")
        private fun <T> asked(name: String): T = specification!!.run { javaClass.getMethod("get$name").invoke(this) as T }

        override fun engineInit(random: SecureRandom?) = throw UnsupportedOperationException()
        override fun engineInit(size: Int, random: SecureRandom?) = throw UnsupportedOperationException()
    }

    class Store : KeyStoreSpi() {
        override fun engineGetKey(alias: String, password: CharArray?): Key? = keys[alias]
        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit
        override fun engineAliases(): Enumeration<String> = Collections.enumeration(keys.keys)
        override fun engineContainsAlias(alias: String) = alias in keys
        override fun engineSize() = keys.size
        override fun engineIsKeyEntry(alias: String) = alias in keys
        override fun engineIsCertificateEntry(alias: String) = false
        override fun engineDeleteEntry(alias: String) = Unit.also { keys.remove(alias) }
        override fun engineGetCertificate(alias: String): Certificate? = null
        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = null
        override fun engineGetCertificateAlias(certificate: Certificate): String? = null
        override fun engineGetCreationDate(alias: String): Date? = null
        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<Certificate>?) = throw UnsupportedOperationException()
        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) = throw UnsupportedOperationException()
        override fun engineSetCertificateEntry(alias: String, certificate: Certificate) = throw UnsupportedOperationException()
        override fun engineStore(stream: OutputStream?, password: CharArray?) = throw UnsupportedOperationException()
    }
}
