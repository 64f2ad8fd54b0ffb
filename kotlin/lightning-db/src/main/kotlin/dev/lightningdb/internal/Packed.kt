package dev.lightningdb.internal

/** Many byte strings in one: each with its length before it, 4 bytes, lowest first. */
internal class PackedReader(private val bytes: ByteArray, private var at: Int = 0) {
    val isAtEnd: Boolean get() = at >= bytes.size

    /** Where the next one begins, after its length was read; see [length]. */
    val position: Int get() = at

    /** The length of the next one, which the caller then reads or [skip]s; -1 where it is missing. */
    fun length(): Int {
        val length = (bytes[at].toInt() and 0xff) or ((bytes[at + 1].toInt() and 0xff) shl 8) or
            ((bytes[at + 2].toInt() and 0xff) shl 16) or ((bytes[at + 3].toInt() and 0xff) shl 24)
        at += 4
        return length
    }

    fun skip(length: Int) {
        at += length
    }

    /** The next 8 bytes. */
    fun number(): Long {
        var number = 0L
        for (byte in 7 downTo 0) number = number shl 8 or (bytes[at + byte].toLong() and 0xff)
        at += 8
        return number
    }

    fun next(): ByteArray? {
        val length = length()
        if (length < 0) return null
        at += length
        return bytes.copyOfRange(at - length, at)
    }

    fun nextOf(): ByteArray = checkNotNull(next()) { "a packed record is missing" }
}

internal class PackedWriter {
    val out = ByteBuffer(256)

    /** What [write] appends, with its length before it. */
    inline fun sized(write: (ByteBuffer) -> Unit) {
        val at = out.size
        out.littleEndian(0)
        write(out)
        out.littleEndianAt(at, out.size - at - 4)
    }

    fun number(number: Long) = out.littleEndian(number)

    fun bytes(bytes: ByteArray) {
        out.littleEndian(bytes.size)
        out.bytes(bytes)
    }

    fun toByteArray(): ByteArray = out.toByteArray()
}

/** Bytes of the handle that a chunk begins with. */
internal const val HANDLE_BYTES: Int = 8

internal fun handleBefore(chunk: ByteArray): Long = PackedReader(chunk).number()

/** Bytes that grow. */
internal class ByteBuffer(capacity: Int) {
    private var bytes = ByteArray(capacity)
    var size = 0
        private set

    private fun room(count: Int) {
        val needed = size + count
        if (needed > bytes.size) bytes = bytes.copyOf(maxOf(needed, bytes.size * 2))
    }

    fun byte(byte: Int) {
        room(1)
        bytes[size++] = byte.toByte()
    }

    fun bytes(more: ByteArray) {
        room(more.size)
        more.copyInto(bytes, size)
        size += more.size
    }

    /** So many bytes of a number, highest first. */
    fun bigEndian(number: Long, count: Int) {
        room(count)
        for (shift in (count - 1) * 8 downTo 0 step 8) bytes[size++] = (number ushr shift).toByte()
    }

    fun littleEndian(number: Long) {
        room(8)
        for (shift in 0..56 step 8) bytes[size++] = (number ushr shift).toByte()
    }

    fun littleEndian(number: Int) {
        room(4)
        for (shift in 0..24 step 8) bytes[size++] = (number ushr shift).toByte()
    }

    fun littleEndianAt(at: Int, number: Int) {
        for (byte in 0..3) bytes[at + byte] = (number ushr (byte * 8)).toByte()
    }

    /** Text that is ASCII. */
    fun ascii(text: String, length: Int) {
        room(length)
        @Suppress("DEPRECATION")
        (text as java.lang.String).getBytes(0, length, bytes, size)
        size += length
    }

    fun toByteArray(): ByteArray = bytes.copyOf(size)
}
