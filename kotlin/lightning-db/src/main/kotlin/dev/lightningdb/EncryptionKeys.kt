package dev.lightningdb

import dev.lightningdb.internal.ReencryptionListener
import dev.lightningdb.internal.Database as NativeDatabase
import dev.lightningdb.internal.Reencryption as NativeReencryption

/** Of which kind a key is. */
public enum class KeyKind {
    /** 32 bytes. */
    Raw,

    /** A passphrase. */
    Passphrase,

    /** Somebody keeps it. */
    Provider,
}

/** A key that opens a database, without anything secret: its [slot] is what it is [removed][EncryptionKeys.remove] by. */
public data class KeyInfo(val slot: Int, val kind: KeyKind, val addedMs: Long)

/**
 * How far encrypting everything anew is: [done] of about [all] records are written, or bytes wiped, where something is counted. [waitingFor]
 * says what it waits for, if it does not go on by itself.
 */
public data class Reencryption(val stage: String, val done: Long, val all: Long, val waitingFor: String?) {
    internal constructor(native: NativeReencryption) : this(native.stage, native.done.toLong(), native.all.toLong(), native.waitingFor)
}

/** The keys of an encrypted database, changed while it is open: see [Database.keys]. */
public class EncryptionKeys internal constructor(private val native: () -> NativeDatabase) {
    /** The keys that open it, by slot; none if it is not encrypted. */
    public fun list(): List<KeyInfo> = calling { native().keys() }.map {
        KeyInfo(it.slot.toInt(), KeyKind.entries[it.kind.ordinal], it.addedMs.toLong())
    }

    /** Lets one key more open it, at most eight, and gives its slot. All lead to the same data. */
    public suspend fun add(key: EncryptionKey): Int = withKey(key) { handle -> calling { native().addKey(handle.toULong()) } }.toInt()

    /**
     * The key in [slot] opens it no more. The last one stays. Copies of the file from before still open with it: where a key is known to
     * others, [reencrypt].
     */
    public suspend fun remove(slot: Int): Unit = calling { native().removeKey(slot.toUByte()) }

    /** Puts [key] in the place of the one in [slot], and gives its slot: to change a passphrase. */
    public suspend fun rotate(slot: Int, key: EncryptionKey): Int {
        if (list().none { it.slot == slot }) throw LightningException.Invalid("there is no key in slot $slot", mapOf("what" to "slot"))
        return add(key).also { remove(slot) }
    }

    /**
     * Encrypts everything anew, under a new data key that [key] alone opens: all other keys are gone at once, and may be [added][add] again.
     * Readers and writers go on meanwhile. When the coroutine is cancelled, or the database closed, the rest is done in the background, also in
     * the sessions that come.
     *
     * It throws [LightningException.Invalid] where it waits for something: snapshots of before, feeds, the archive, damage.
     */
    public suspend fun reencrypt(key: EncryptionKey, onProgress: ((Reencryption) -> Unit)? = null) {
        withKey(key) { handle -> calling { native().reencrypt(handle.toULong()) } }
        finishReencryption(onProgress)
    }

    /** How far that is; null when nothing of it is left to do. */
    public fun reencryption(): Reencryption? = calling { native().reencryption() }?.let(::Reencryption)

    /** Goes on with it until it is done: one that was cancelled, or begun in another session. */
    public suspend fun finishReencryption(onProgress: ((Reencryption) -> Unit)? = null) {
        val listener = onProgress?.let {
            object : ReencryptionListener {
                override fun onProgress(progress: NativeReencryption) = it(Reencryption(progress))
            }
        }
        calling { native().finishReencryption(listener) }
    }
}
