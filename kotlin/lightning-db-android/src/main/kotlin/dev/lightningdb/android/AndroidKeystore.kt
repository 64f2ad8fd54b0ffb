package dev.lightningdb.android

import dev.lightningdb.KeyProvider
import java.security.KeyStore
import java.security.UnrecoverableKeyException
import java.security.spec.AlgorithmParameterSpec
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Android's Keystore as what keeps the key of a database: a key for AES under [alias], made when it is first needed, that never leaves the
 * device, nor its secure hardware where it has some. What it has wrapped is stored in the database.
 *
 * ```
 * openLightningDatabase("notes", Options(key = EncryptionKey.Provider(AndroidKeystore("notes"))))
 * ```
 *
 * The database opens on this device alone, until the app is removed: to open it, or its backups, elsewhere, add another key
 * (`db.keys.add`), a passphrase say.
 */
public class AndroidKeystore(private val alias: String) : KeyProvider {
    override fun wrap(key: ByteArray): ByteArray {
        val cipher = Cipher.getInstance(CIPHER)
        // The Keystore draws the nonce.
        cipher.init(Cipher.ENCRYPT_MODE, found() ?: made())
        return cipher.iv + cipher.doFinal(key)
    }

    override fun unwrap(wrapped: ByteArray): ByteArray? {
        if (wrapped.size != NONCE_BYTES + KEY_BYTES + TAG_BYTES) return null
        val own = found() ?: throw UnrecoverableKeyException(
            "Android's Keystore has no key '$alias': the database was made on another device, or before the app was removed; open it with another key",
        )
        val cipher = Cipher.getInstance(CIPHER)
        cipher.init(Cipher.DECRYPT_MODE, own, GCMParameterSpec(8 * TAG_BYTES, wrapped, 0, NONCE_BYTES))
        return try {
            cipher.doFinal(wrapped, NONCE_BYTES, wrapped.size - NONCE_BYTES)
        } catch (_: AEADBadTagException) {
            null
        }
    }

    private fun found(): SecretKey? = KeyStore.getInstance(STORE).apply { load(null) }.getKey(alias, null) as SecretKey?

    private fun made(): SecretKey = synchronized(AndroidKeystore) {
        found() ?: KeyGenerator.getInstance("AES", STORE).run {
            init(specification())
            generateKey()
        }
    }

    /** A `KeyGenParameterSpec`, which Android has since version 6, and the classes that this is compiled with do not. */
    private fun specification(): AlgorithmParameterSpec {
        val builder = Class.forName("android.security.keystore.KeyGenParameterSpec\$Builder")
        val made = builder.getConstructor(String::class.java, Int::class.java).newInstance(alias, ENCRYPTS_AND_DECRYPTS)
        builder.getMethod("setBlockModes", Array<String>::class.java).invoke(made, arrayOf("GCM"))
        builder.getMethod("setEncryptionPaddings", Array<String>::class.java).invoke(made, arrayOf("NoPadding"))
        builder.getMethod("setKeySize", Int::class.java).invoke(made, 8 * KEY_BYTES)
        return builder.getMethod("build").invoke(made) as AlgorithmParameterSpec
    }

    private companion object {
        const val STORE = "AndroidKeyStore"
        const val CIPHER = "AES/GCM/NoPadding"

        /** `KeyProperties.PURPOSE_ENCRYPT` and `PURPOSE_DECRYPT`. */
        const val ENCRYPTS_AND_DECRYPTS = 1 or 2
        const val NONCE_BYTES = 12
        const val KEY_BYTES = 32
        const val TAG_BYTES = 16
    }
}
