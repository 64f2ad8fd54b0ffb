package dev.lightningdb

import dev.lightningdb.internal.Native
import dev.lightningdb.internal.handleBefore
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.asExecutor
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask

/** Rows cross so many bytes at a time. */
internal const val CHUNK_BYTES: Int = 64 * 1024

private val CHUNK_BYTES_AHEAD = Integer.getInteger("ahead", 256) * 1024
private val AHEAD = Integer.getInteger("ahead", 256) > 0

/** Gives [each] the chunks of a cursor that [open] begins, one after the other; the cursor is closed however that ends. */
internal inline fun chunks(open: (bytes: Int) -> ByteArray, each: (ByteArray) -> Unit) {
    var chunk = calling { open(CHUNK_BYTES) }
    val cursor = handleBefore(chunk)
    if (cursor == 0L) return each(chunk)
    Chunks(cursor).use { further ->
        while (true) {
            each(chunk)
            chunk = further.next() ?: break
        }
    }
}

/**
 * The chunks of a cursor that follow its first. From the third on each is read by another thread while the one before it is used: to read
 * rows takes about as long as to make objects of them.
 */
internal class Chunks(private var cursor: Long) : AutoCloseable {
    private val readsAhead = AHEAD && Runtime.getRuntime().availableProcessors() > 1
    private var ahead: FutureTask<ByteArray>? = null

    fun next(): ByteArray? {
        if (cursor == 0L) return null
        val chunk = calling { ahead?.let(::given) ?: read(cursor, CHUNK_BYTES) }
        ahead = null
        cursor = handleBefore(chunk)
        if (cursor != 0L && readsAhead) ahead = reading(cursor).also(READERS::execute)
        return chunk
    }

    override fun close() {
        // Whoever closes the database next is not to find it in use.
        ahead?.let { if (!it.cancel(false)) runCatching { given(it) } }
        if (cursor != 0L) Native.release(cursor)
    }

    private companion object {
        val READERS = Dispatchers.IO.asExecutor()

        fun read(cursor: Long, bytes: Int): ByteArray = Native.next(cursor, bytes)

        fun reading(cursor: Long) = FutureTask { read(cursor, CHUNK_BYTES_AHEAD) }

        /** What was read. Where no thread has begun to, this one does: those that read may all be waiting as it would. */
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
