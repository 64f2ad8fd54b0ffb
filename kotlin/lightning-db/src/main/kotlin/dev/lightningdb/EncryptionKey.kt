package dev.lightningdb

import dev.lightningdb.internal.KeyAnswers
import dev.lightningdb.internal.Native
import java.nio.CharBuffer
import java.nio.charset.CharacterCodingException

/**
 * What opens an encrypted database. A new database that is given one is encrypted, and this is its first key; others are
 * [added][EncryptionKeys.add]. `toString` tells only of which kind it is.
 */
public sealed interface EncryptionKey {
    /** 32 bytes that nobody can guess. They are not copied: fill them with zeros once the call is over that was given this. */
    public class Raw(internal val bytes: ByteArray) : EncryptionKey {
        override fun toString(): String = "EncryptionKey.Raw(..)"
    }

    /**
     * A passphrase, from which Argon2id derives the key, with 64 MB of memory for a moment. Its characters are not copied: fill them with
     * zeros once the call is over that was given this.
     */
    public class Passphrase(internal val text: CharArray) : EncryptionKey {
        /** A passphrase that was text before, and so stays in memory until it is collected. */
        public constructor(text: String) : this(text.toCharArray())

        override fun toString(): String = "EncryptionKey.Passphrase(..)"
    }

    /** A key that somebody keeps: on Android the system's Keystore, by `AndroidKeystore` in `lightning-db-android`. */
    public class Provider(internal val provider: KeyProvider) : EncryptionKey {
        override fun toString(): String = "EncryptionKey.Provider(..)"
    }
}

/**
 * Somebody who keeps a key and gives it to nobody: a keystore, a key management service. The database draws a key of 32 bytes for it to
 * wrap, stores what it gives back, and asks to unwrap that at each opening. Any thread calls it.
 *
 * What it throws is thrown by the call that needed the key; [LightningException.ProtectedDataUnavailable] where the device is locked.
 */
public interface KeyProvider {
    /** Encrypts [key] so that only [unwrap] gives it back, in at most 512 bytes. [key] is wiped when this returns. */
    public fun wrap(key: ByteArray): ByteArray

    /** The key that was [wrapped], 32 bytes, in an array of its own, which is wiped; null if this provider has not wrapped it. */
    public fun unwrap(wrapped: ByteArray): ByteArray?
}

/** How a new database is encrypted, if it gets a key. */
public enum class Encryption {
    /** The fastest where the processor has instructions for AES, as nearly all do. */
    Aes256Gcm,

    /** Faster where it has none, and in constant time there. */
    ChaCha20Poly1305,
}

/** Gives [body] the key as the library knows it, or 0. What whoever keeps it has thrown is thrown. */
internal inline fun <R> withKey(key: EncryptionKey?, body: (key: Long) -> R): R {
    if (key == null) return body(0)
    val answers = (key as? EncryptionKey.Provider)?.let { KeyAnswers(it.provider) }
    val handle = calling { if (answers != null) Native.providerKey(answers) else made(key) }
    try {
        return body(handle)
    } catch (error: LightningException) {
        throw answers?.thrown?.also { if (it !== error) it.addSuppressed(error) } ?: error
    } finally {
        Native.release(handle)
    }
}

internal fun made(key: EncryptionKey): Long = when (key) {
    is EncryptionKey.Raw -> Native.rawKey(key.bytes)
    is EncryptionKey.Passphrase -> {
        val text = utf8(key.text)
        try {
            Native.passphraseKey(text)
        } finally {
            text.fill(0)
        }
    }
    is EncryptionKey.Provider -> throw IllegalArgumentException("it is asked by whoever uses it")
}

/** Not by way of a `String`, which nobody can wipe. */
private fun utf8(text: CharArray): ByteArray {
    val encoded = try {
        Charsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text))
    } catch (_: CharacterCodingException) {
        throw IllegalArgumentException("a passphrase has half of a character")
    }
    return ByteArray(encoded.remaining()).also {
        encoded.get(it)
        encoded.array().fill(0)
    }
}
