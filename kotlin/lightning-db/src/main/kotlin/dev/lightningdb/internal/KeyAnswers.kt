package dev.lightningdb.internal

import dev.lightningdb.KeyProvider
import dev.lightningdb.LightningException

/** What a [provider] answers to the library, which knows this class by its name, and hears of what is thrown as text. */
internal class KeyAnswers(private val provider: KeyProvider) {
    /** What it threw when it was asked last. */
    @Volatile
    var thrown: Throwable? = null
        private set

    /** How it went is the first byte, and what it gives, or says, behind that. It throws nothing. */
    @Suppress("TooGenericExceptionCaught")
    fun ask(wraps: Boolean, given: ByteArray): ByteArray = try {
        thrown = null
        if (wraps) {
            answer(GIVEN, provider.wrap(given))
        } else {
            provider.unwrap(given)?.let { key -> answer(GIVEN, key).also { key.fill(0) } } ?: byteArrayOf(MISSING)
        }
    } catch (error: Throwable) {
        thrown = error
        answer(if (error is LightningException.ProtectedDataUnavailable) LOCKED else FAILED, error.toString().encodeToByteArray())
    }

    private fun answer(how: Byte, what: ByteArray): ByteArray = ByteArray(1 + what.size).also {
        it[0] = how
        what.copyInto(it, 1)
    }

    private companion object {
        const val GIVEN: Byte = 0
        const val MISSING: Byte = 1
        const val LOCKED: Byte = 2
        const val FAILED: Byte = 3
    }
}
