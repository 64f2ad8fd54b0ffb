package dev.lightningdb

import dev.lightningdb.internal.Native
import dev.lightningdb.internal.handleBefore
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.asExecutor
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask

/** Rows cross so many bytes at a time. */
internal const val CHUNK_BYTES: Int = 64 * 1024

/** And so many where another thread reads them: for less it would be woken too often. */
private const val CHUNK_AHEAD_BYTES = 256 * 1024

/**
 * Gives [each] the chunks of a cursor that [open] begins, one after the other; the cursor is closed however that ends. Where it
 * [readsAhead], the next chunk may have been read that [each] does not come to.
 */
internal inline fun chunks(readsAhead: Boolean, open: (bytes: Int) -> ByteArray, each: (ByteArray) -> Unit) {
    var chunk = calling { open(CHUNK_BYTES) }
    val cursor = handleBefore(chunk)
    if (cursor == 0L) return each(chunk)
    Chunks(cursor, readsAhead).use { further ->
        while (true) {
            each(chunk)
            chunk = further.next() ?: break
        }
    }
}

/**
 * The chunks of a cursor that follow its first. Where it [readsAhead], each from the third on is read by another thread while the one
 * before it is used: to read rows takes about as long as to make objects of them.
 */
internal class Chunks(private var cursor: Long, readsAhead: Boolean) : AutoCloseable {
    private val readsAhead = readsAhead && Runtime.getRuntime().availableProcessors() > 1
    private var ahead: FutureTask<ByteArray>? = null

    @Volatile
    private var isClosed = false

    /** The next one; null behind the last. */
    fun next(): ByteArray? {
        if (cursor == 0L) return null
        val reading = ahead
        ahead = null
        val chunk = calling { if (reading == null) Native.next(cursor, CHUNK_BYTES) else given(reading) }
        cursor = handleBefore(chunk)
        if (cursor != 0L && readsAhead) ahead = readAhead(cursor)
        return chunk
    }

    private fun readAhead(cursor: Long): FutureTask<ByteArray> {
        val reading = FutureTask { if (isClosed) NOTHING else Native.next(cursor, CHUNK_AHEAD_BYTES) }
        READERS.execute(reading)
        return reading
    }

    override fun close() {
        isClosed = true
        // Whoever closes the database next does not find it in use.
        ahead?.let { runCatching { given(it) } }
        if (cursor != 0L) Native.release(cursor)
    }

    private companion object {
        val READERS = Dispatchers.IO.asExecutor()
        val NOTHING = ByteArray(0)

        /** What was read. Where no thread has begun to, this one does: all that could may be waiting as it would. */
        fun given(reading: FutureTask<ByteArray>): ByteArray {
            reading.run()
            var isInterrupted = false
            try {
                while (true) {
                    try {
                        return reading.get()
                    } catch (_: InterruptedException) {
                        isInterrupted = true
                    } catch (failed: ExecutionException) {
                        throw failed.cause!!
                    }
                }
            } finally {
                if (isInterrupted) Thread.currentThread().interrupt()
            }
        }
    }
}
