package dev.lightningdb

import dev.lightningdb.internal.Native
import dev.lightningdb.internal.handleBefore

/** Rows cross so many bytes at a time. */
internal const val CHUNK_BYTES: Int = 64 * 1024

/** Gives [each] the chunks of a cursor that [open] begins, one after the other; the cursor is closed however that ends. */
internal inline fun chunks(open: (bytes: Int) -> ByteArray, each: (ByteArray) -> Unit) {
    var chunk = calling { open(CHUNK_BYTES) }
    var cursor = handleBefore(chunk)
    try {
        while (true) {
            each(chunk)
            if (cursor == 0L) break
            chunk = calling { Native.next(cursor, CHUNK_BYTES) }
            cursor = handleBefore(chunk)
        }
    } finally {
        if (cursor != 0L) Native.release(cursor)
    }
}
